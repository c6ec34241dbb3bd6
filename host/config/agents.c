/* SPDX-License-Identifier: Apache-2.0 */
#include "host/config/agents.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define AT(member) offsetof(settings_agent, member)
#define MINUTE_MS 60000

static const config_key keys[] = {
    {.section = "agents", .name = "command", .type = CONFIG_COMMAND, .offset = AT(command), .fallback = "",
     .help = "A line for /bin/sh, or a list of a program and its arguments"},
    {.section = "agents", .name = "cwd", .type = CONFIG_STRING, .offset = AT(cwd), .fallback = "",
     .help = "Working directory, relative to the folder of the file"},
    {.section = "agents", .name = "env", .type = CONFIG_VARIABLES, .offset = AT(env), .fallback = "",
     .help = "Variables of its environment"},
    {.section = "agents", .name = "replicas", .type = CONFIG_INT, .offset = AT(replicas), .min = 1,
     .max = SETTINGS_REPLICAS_MAX, .fallback = "1", .help = "How many of it run, as NAME-1, NAME-2 …"},
    {.section = "agents", .name = "restart", .type = CONFIG_STRING, .offset = AT(restart), .fallback = "on-failure",
     .choices = "on-failure|always|never", .help = "When it is started again"},
    {.section = "agents", .name = "restart_delay", .type = CONFIG_DURATION, .offset = AT(restart_delay_ms), .min = 1,
     .max = MINUTE_MS, .fallback = "500ms", .help = "Wait before the first restart; each further one doubles it, up to 30s"},
    {.section = "agents", .name = "restart_limit", .type = CONFIG_INT, .offset = AT(restart_limit), .min = 0,
     .max = 1000000, .fallback = "10", .help = "Restarts in a row, after which it has failed; 0 is no limit"},
    {.section = "agents", .name = "ready", .type = CONFIG_STRING, .offset = AT(ready), .fallback = "start",
     .choices = "start|bus", .help = "Whether it is ready once it runs, or once it is on the bus"},
};

const config_key *settings_agent_keys(size_t *count)
{
    *count = sizeof keys / sizeof *keys;
    return keys;
}

/* It becomes a prefix of log lines, a service name and an argument. */
static bool is_name(loom_str name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    for (size_t i = 0; i < name.len; i++) {
        if (name.data[i] == '\0' || strchr(allowed, name.data[i]) == NULL) {
            return false;
        }
    }
    return name.len > 0 && name.len < SETTINGS_AGENT_NAME_SIZE && name.data[0] != '-';
}

static bool is_taken(loom_str name)
{
    return str_is(name, "up") || str_is(name, "broker") || str_is(name, "view");
}

static bool is_before(const config_place *a, const config_place *b)
{
    return a->line < b->line || (a->line == b->line && a->column < b->column);
}

/* The reader delivers sections by name; people mean the order that they wrote. */
static void insert(settings_agents *a, settings_agent *agent)
{
    size_t at = a->count++;
    for (; at > 0 && is_before(&agent->place, &a->items[at - 1]->place); at--) {
        a->items[at] = a->items[at - 1];
    }
    a->items[at] = agent;
}

static loom_status add(void *user, loom_str name, const config_place *place, config **out, char why[CONFIG_CHECK_SIZE])
{
    settings_agents *a = user;
    if (!is_name(name)) {
        snprintf(why, CONFIG_CHECK_SIZE, ": a name has up to %d letters, digits, underscores and dashes, and does not begin with a dash",
                 SETTINGS_AGENT_NAME_SIZE - 1);
        return LOOM_EINVAL;
    }
    if (is_taken(name)) {
        snprintf(why, CONFIG_CHECK_SIZE, ": the name belongs to `loom up` itself; choose another");
        return LOOM_EINVAL;
    }
    if (a->count == SETTINGS_AGENTS_MAX) {
        snprintf(why, CONFIG_CHECK_SIZE, " is one too many; there can be %d", SETTINGS_AGENTS_MAX);
        return LOOM_EINVAL;
    }
    settings_agent **items = realloc(a->items, (a->count + 1) * sizeof(settings_agent *));
    a->items = items != NULL ? items : a->items;
    settings_agent *agent = items != NULL ? calloc(1, sizeof *agent) : NULL;
    if (agent == NULL || config_init(&agent->config, keys, sizeof keys / sizeof keys[0], agent) != LOOM_OK) {
        free(agent);
        return LOOM_ENOMEM;
    }
    snprintf(agent->name, sizeof agent->name, "%.*s", (int)name.len, name.data);
    snprintf(agent->label, sizeof agent->label, "agents.%s", agent->name);
    agent->config.label = agent->label;
    agent->place = *place;
    insert(a, agent);
    *out = &agent->config;
    return LOOM_OK;
}

void settings_agents_init(settings_agents *a)
{
    *a = (settings_agents){.family = {.section = "agents", .add = add, .user = a}};
}

void settings_agents_fini(settings_agents *a)
{
    for (size_t i = 0; i < a->count; i++) {
        config_fini(&a->items[i]->config);
        free(a->items[i]);
    }
    free(a->items);
    *a = (settings_agents){0};
}

loom_status settings_agent_complain(const settings_agent *a, const char *key, problems *list, const char *format, ...)
{
    char where[PROBLEM_TEXT_SIZE / 2], what[PROBLEM_TEXT_SIZE];
    const config_place *place = &a->config.places[config_find(&a->config, str_of("agents"), str_of(key))];
    place = place->source == CONFIG_FROM_FILE ? place : &a->place;
    config_describe_place(&a->config, place, where, sizeof where);
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    problems_add_at(list, PROBLEM_ERROR, place->line, place->column, "%s: [%s] %s %s", where, a->label, key, what);
    return LOOM_EINVAL;
}

loom_status settings_agents_check(const settings_agents *a, problems *list)
{
    loom_status st = LOOM_OK;
    for (size_t i = 0; i < a->count; i++) {
        if (a->items[i]->command.count == 0) {
            st = settings_agent_complain(a->items[i], "command", list, "is missing; it says what to run, such as command = \"./agent\"");
        }
    }
    return st;
}
