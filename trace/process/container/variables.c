/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/process/container/variables.h"

#include "base/str.h"

#include <string.h>

const char *variable_value(char *const *environment, const char *name)
{
    const size_t len = strlen(name);
    for (; environment != NULL && *environment != NULL; environment++) {
        if (strncmp(*environment, name, len) == 0 && (*environment)[len] == '=') {
            return *environment + len + 1;
        }
    }
    return NULL;
}

/* The value of a variable in lines of NAME=VALUE. */
static loom_str line_value(const char *lines, const char *name)
{
    const size_t len = strlen(name);
    for (const char *line = lines; line != NULL; line = strchr(line, '\n')) {
        line += line != lines || *line == '\n' ? 1 : 0;
        if (strncmp(line, name, len) == 0 && line[len] == '=') {
            return (loom_str){line + len + 1, strcspn(line + len + 1, "\n")};
        }
    }
    return (loom_str){NULL, 0};
}

static bool drop_prefix(loom_str *text, const char *prefix)
{
    const bool has = str_starts_with(*text, prefix);
    *text = has ? str_tail(*text, strlen(prefix)) : *text;
    return has;
}

/* NAME=VALUE, or NAME alone, of an argument that sets a variable in the container (--env, -e). Empty: it does not. *i may go on
 * to the next argument. */
static loom_str variable_of(const engine_options *o, size_t *i)
{
    loom_str text = o->run_args[*i];
    if (str_is(text, "--env") || str_is(text, "-e")) {
        return ++*i < o->run_arg_count ? o->run_args[*i] : (loom_str){NULL, 0};
    }
    if (drop_prefix(&text, "--env=")) {
        return text;
    }
    if (drop_prefix(&text, "-e")) {
        (void)drop_prefix(&text, "=");
        return text;
    }
    return (loom_str){NULL, 0};
}

loom_str variable_in_container(const engine_options *o, const char *known, const char *name)
{
    loom_str value = line_value(known, name);
    for (size_t i = 0; i < o->run_arg_count; i++) {
        loom_str variable = variable_of(o, &i);
        if (str_is(variable, name)) { /* the engine's own */
            const char *own = variable_value(o->environment, name);
            value = own != NULL ? str_of(own) : value;
        } else if (drop_prefix(&variable, name) && drop_prefix(&variable, "=")) {
            value = variable;
        }
    }
    return value;
}
