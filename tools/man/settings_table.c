/* SPDX-License-Identifier: Apache-2.0 */
/* Prints every setting, a line each, fields separated by tabs: section, key, type, default, choices, variable, whether a reload
 * takes it over, help. For loom.toml(5) and docs/CONFIGURATION.md; built, and not installed. */
#include <stdio.h>

#include "host/config/settings.h"

static const char *const types[] = {
    [CONFIG_BOOL] = "true or false", [CONFIG_INT] = "number",        [CONFIG_DOUBLE] = "number",
    [CONFIG_STRING] = "text",        [CONFIG_STRINGS] = "list of texts", [CONFIG_DURATION] = "time, such as \"5s\"",
    [CONFIG_SIZE] = "size, such as \"64KiB\"", [CONFIG_COMMAND] = "text or list of texts", [CONFIG_VARIABLES] = "table of texts"};

static const char *or_empty(const char *text)
{
    return text != NULL ? text : "";
}

static void print_keys(const config_key *keys, size_t count, bool has_variables)
{
    for (size_t i = 0; i < count; i++) {
        char variable[128] = "";
        if (has_variables) {
            config_env_name(variable, sizeof variable, &keys[i]);
        }
        printf("%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", keys[i].section, keys[i].name, types[keys[i].type], or_empty(keys[i].fallback),
               or_empty(keys[i].choices), variable, keys[i].live ? "live" : "", or_empty(keys[i].help));
    }
}

int main(void)
{
    size_t count;
    const config_key *keys = settings_keys(&count);
    print_keys(keys, count, true);
    keys = settings_agent_keys(&count);
    print_keys(keys, count, false);
    return fflush(stdout) == 0 ? 0 : 1;
}
