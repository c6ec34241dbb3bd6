/* SPDX-License-Identifier: Apache-2.0 */
/* What is done with settings as a whole: rules between keys, the way to the tracing library, printing. */
#include "base/number.h"
#include "base/str.h"
#include "host/config/units.h"
#include "host/config/settings.h"
#include "base/url.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static bool has(const char *const *sections, const char *name)
{
    for (size_t i = 0; sections[i] != NULL; i++) {
        if (strcmp(sections[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static const config_place *place_of(const settings *s, const char *section, const char *name)
{
    size_t key = config_find(&s->config, str_of(section), str_of(name));
    assert(key < s->config.count);
    return &s->config.places[key];
}

static void add(const settings *s, const char *section, const char *name, problems *list, problem_severity severity, const char *what)
{
    char where[PROBLEM_TEXT_SIZE / 2];
    const config_place *place = place_of(s, section, name);
    config_describe_place(&s->config, place, where, sizeof where);
    problems_add_at(list, severity, place->line, place->column, "%s: [%s] %s %s", where, section, name, what);
}

__attribute__((format(printf, 5, 6))) static loom_status complain(const settings *s, const char *section, const char *name,
                                                                  problems *list, const char *format, ...)
{
    char what[PROBLEM_TEXT_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    add(s, section, name, list, PROBLEM_ERROR, what);
    return LOOM_EINVAL;
}

/* A limit that was set, and that another one will not let anybody reach. Defaults may be over a limit that was set lower. */
static void warn_of_lower(const settings *s, problems *list, const char *name, uint64_t value, const char *lower, uint64_t most)
{
    char what[PROBLEM_TEXT_SIZE], values[2][CONFIG_UNITS_SIZE];
    if (value > most && place_of(s, "broker", name)->source != CONFIG_FROM_DEFAULT) {
        config_format_size(values[0], (int64_t)value);
        config_format_size(values[1], (int64_t)most);
        snprintf(what, sizeof what, "is %s, and %s of %s will be reached first", values[0], lower, values[1]);
        add(s, "broker", name, list, PROBLEM_WARNING, what);
    }
}

/* An empty text is off, and harms nobody. */
static loom_status check_local(const settings *s, const char *section, const char *name, const char *text, problems *list)
{
    url parsed;
    char why[URL_ERROR_SIZE];
    if (text[0] == '\0' || url_parse(&parsed, text, URL_LINKS | URL_WEB, why) != LOOM_OK || url_is_loopback(&parsed)) {
        return LOOM_OK;
    }
    return complain(s, section, name, list,
                    "listens on \"%.128s\", where other machines reach it; if that is wanted, set allow_remote = true", text);
}

static loom_status check_broker(const settings *s, problems *list)
{
    const settings_broker *b = &s->broker;
    loom_status st = LOOM_OK;
    if (b->listen.count == 0 && b->bus_pull[0] == '\0') {
        st = complain(s, "broker", "listen", list, "is empty and bus_pull too: nobody could reach the broker");
    }
    const bool agent_first = b->agent_queue_bytes <= b->total_queue_bytes;
    warn_of_lower(s, list, "queue_bytes", b->queue_bytes, agent_first ? "agent_queue_bytes" : "total_queue_bytes",
                  agent_first ? b->agent_queue_bytes : b->total_queue_bytes);
    warn_of_lower(s, list, "agent_queue_bytes", b->agent_queue_bytes, "total_queue_bytes", b->total_queue_bytes);
    if (b->allow_remote) {
        return st;
    }
    for (size_t i = 0; i < b->listen.count; i++) {
        st = check_local(s, "broker", "listen", b->listen.items[i], list) == LOOM_OK ? st : LOOM_EINVAL;
    }
    st = check_local(s, "broker", "bus_pull", b->bus_pull, list) == LOOM_OK ? st : LOOM_EINVAL;
    st = check_local(s, "broker", "bus_pub", b->bus_pub, list) == LOOM_OK ? st : LOOM_EINVAL;
    st = check_local(s, "broker", "bus_control", b->bus_control, list) == LOOM_OK ? st : LOOM_EINVAL;
    st = check_local(s, "broker", "bus_bridge", b->bus_bridge, list) == LOOM_OK ? st : LOOM_EINVAL;
    return check_local(s, "broker", "metrics_listen", b->metrics_listen, list) == LOOM_OK ? st : LOOM_EINVAL;
}

static loom_status check_bridge(const settings *s, problems *list)
{
    const settings_bridge *b = &s->bridge;
    loom_status st = LOOM_OK;
    if (b->listen.count == 0) {
        st = complain(s, "bridge", "listen", list, "is empty: no agent could reach the bridge");
    }
    for (size_t i = 0; i < b->listen.count && !b->allow_remote; i++) {
        st = check_local(s, "bridge", "listen", b->listen.items[i], list) == LOOM_OK ? st : LOOM_EINVAL;
    }
    if (!b->allow_remote && check_local(s, "bridge", "metrics_listen", b->metrics_listen, list) != LOOM_OK) {
        st = LOOM_EINVAL;
    }
    return st;
}

loom_status settings_check(const settings *s, const char *const *sections, problems *list)
{
    loom_status broker = has(sections, "broker") ? check_broker(s, list) : LOOM_OK;
    loom_status bridge = has(sections, "bridge") ? check_bridge(s, list) : LOOM_OK;
    loom_status agents = settings_agents_check(&s->agents, list);
    return broker != LOOM_OK ? broker : bridge != LOOM_OK ? bridge : agents;
}

loom_status settings_load_otel_log_level(settings *s, problems *list)
{
    static const struct {
        const char *otel, *level;
    } levels[] = {{"none", "error"}, {"off", "error"},    {"fatal", "error"}, {"error", "error"}, {"warn", "warn"},
                  {"warning", "warn"}, {"info", "info"}, {"debug", "debug"}, {"trace", "debug"}, {"all", "debug"}};
    static const config_place place = {.source = CONFIG_FROM_ENV, .severity = PROBLEM_WARNING, .name = "OTEL_LOG_LEVEL"};
    const loom_str given = str_trim(str_of(getenv(place.name)));
    const size_t key = config_find(&s->config, str_of("log"), str_of("level"));
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        if (str_is_any_case(given, levels[i].otel)) {
            const loom_str level = str_of(levels[i].level);
            return config_put_texts(&s->config, key, &level, 1, &place, list);
        }
    }
    return LOOM_OK;
}

/* Only what a file or a flag said: the defaults of the tracing library are its own, and what it found in the environment
 * may mean more to it than to us. Of a key's variables the stronger ones would hide the decision; the last carries it. */
static loom_status export_key(const settings *s, size_t key, const char *text)
{
    const char *names = s->config.keys[key].env;
    config_source source = s->config.places[key].source;
    if (source == CONFIG_FROM_ENV || source == CONFIG_FROM_DEFAULT || text[0] == '\0') {
        return LOOM_OK;
    }
    for (;;) {
        char name[64];
        size_t length = strcspn(names, " ");
        snprintf(name, sizeof name, "%.*s", (int)length, names);
        names += length + strspn(names + length, " ");
        if (*names == '\0') {
            return setenv(name, text, 1) == 0 ? LOOM_OK : LOOM_ENOMEM;
        }
        unsetenv(name);
    }
}

loom_status settings_export_telemetry(const settings *s)
{
    for (size_t i = 0; i < s->config.count; i++) {
        const config_key *key = &s->config.keys[i];
        const void *field = (const char *)s + key->offset;
        char number[NUMBER_SIZE];
        if (strcmp(key->section, "telemetry") != 0) {
            continue;
        }
        const char *text = number;
        if (key->type == CONFIG_DOUBLE) {
            (void)number_format(number, *(const double *)field, 17);
        } else {
            text = *(char *const *)field;
        }
        if (export_key(s, i, text) != LOOM_OK) {
            return LOOM_ENOMEM;
        }
    }
    return LOOM_OK;
}

static bool checked_here(const char *variable)
{
    static const char *const names[] = {"OTEL_TRACES_EXPORTER", "OTEL_TRACES_SAMPLER", "OTEL_EXPORTER_OTLP_PROTOCOL",
                                        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", NULL};
    return has(names, variable);
}

/* The key of [telemetry] whose decision settings_export_telemetry() wrote into this variable; the count: none. */
static size_t key_exported_as(const settings *s, const char *variable)
{
    for (size_t i = 0; i < s->config.count; i++) {
        const config_key *key = &s->config.keys[i];
        config_source source = s->config.places[i].source;
        if (strcmp(key->section, "telemetry") == 0 && (source == CONFIG_FROM_FILE || source == CONFIG_FROM_FLAG)) {
            const char *blank = strrchr(key->env, ' ');
            if (strcmp(blank != NULL ? blank + 1 : key->env, variable) == 0) {
                return i;
            }
        }
    }
    return s->config.count;
}

void settings_add_variable_problem(const settings *s, const char *text, problems *list)
{
    char name[64], where[PROBLEM_TEXT_SIZE / 2];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(text, ":"), text);
    if (checked_here(name)) {
        return;
    }
    const size_t key = key_exported_as(s, name);
    if (key == s->config.count) {
        problems_add(list, PROBLEM_WARNING, "%s", text);
        return;
    }
    const config_place *place = &s->config.places[key];
    const bool in_file = place->source == CONFIG_FROM_FILE; /* a flag has the key's name */
    config_describe_place(&s->config, place, where, sizeof where);
    problems_add_at(list, PROBLEM_WARNING, place->line, place->column, "%s%s%s%s", where, in_file ? ": [telemetry] " : "",
                    in_file ? s->config.keys[key].name : "", text + strlen(name));
}

static void print_toml(const settings *s, const char *section, FILE *out)
{
    const config *c = &s->config;
    fprintf(out, "\n[%s]\n", section);
    for (size_t i = 0; i < c->count; i++) {
        if (strcmp(c->keys[i].section, section) == 0) {
            char where[320];
            config_describe_place(c, &c->places[i], where, sizeof where);
            fprintf(out, "%s = ", c->keys[i].name);
            config_print_value(c, i, out);
            fprintf(out, "  # %s\n", where);
        }
    }
}

static void print_json(const settings *s, const char *section, FILE *out)
{
    const config *c = &s->config;
    bool first = true;
    fprintf(out, "\"%s\":{", section);
    for (size_t i = 0; i < c->count; i++) {
        if (strcmp(c->keys[i].section, section) == 0) {
            char where[320];
            config_describe_place(c, &c->places[i], where, sizeof where);
            fprintf(out, "%s\"%s\":{\"value\":", first ? "" : ",", c->keys[i].name);
            config_print_value(c, i, out);
            fputs(",\"from\":", out);
            config_print_quoted(out, str_of(where));
            fputc('}', out);
            first = false;
        }
    }
    fputc('}', out);
}

void settings_print(const settings *s, const char *const *sections, bool as_json, FILE *out)
{
    fputs(as_json ? "{" : "", out);
    for (size_t i = 0; sections[i] != NULL; i++) {
        if (as_json) {
            fputs(i > 0 ? "," : "", out);
            print_json(s, sections[i], out);
        } else {
            print_toml(s, sections[i], out);
        }
    }
    fputs(as_json ? "}" : "", out);
}
