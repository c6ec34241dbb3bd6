/* SPDX-License-Identifier: Apache-2.0 */
#include "host/cli/program_options.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

#define FLAG_NAME_SIZE 48

static const option_spec common[] = {
    {.name = "config", .letter = 'c', .kind = OPTION_VALUE, .value = "FILE", .group = "General",
     .help = "Read this file; without it the first of ./loom.toml, $XDG_CONFIG_HOME/loom/loom.toml, /etc/loom/loom.toml"},
    {.name = "check-config", .kind = OPTION_FLAG, .group = "General",
     .help = "Check the configuration, print every value and where it came from, and exit"},
    {.name = "json", .kind = OPTION_FLAG, .group = "General", .help = "Print --check-config as JSON"},
    {.name = "color", .kind = OPTION_VALUE, .value = "WHEN", .choices = TERM_COLOR_CHOICES,
     .fallback = "auto", .group = "General", .help = "Colour in the log"},
    {.name = "version", .letter = 'V', .kind = OPTION_FLAG, .group = "General", .help = "Print the version and exit"},
    {.name = "help", .letter = 'h', .kind = OPTION_FLAG, .group = "General", .help = "Print this text and exit"},
};
#define COMMON_COUNT (sizeof common / sizeof common[0])

static const char trailer_format[] =
    "Configuration:\n"
    "  A flag wins over the environment, the environment over loom.toml, loom.toml\n"
    "  over the default. In loom.toml --KEY stands as key below [%s] and\n"
    "  --SECTION-KEY as key below [section]; dashes become underscores.\n"
    "  {runtime} is $XDG_RUNTIME_DIR/loom, or /tmp/loom-UID without that variable, or when it holds blanks or commas.\n"
    "\n"
    "Environment:\n"
    "  LOOM_<SECTION>_<KEY>  any setting of another section than [telemetry], such as\n"
    "                        LOOM_LOG_LEVEL=debug; lists are separated by commas\n"
    "  LOOM_URL              where agents connect ([agent] url)\n"
    "  LOOM_SPANS_FILE       append spans to this file as well\n"
    "  LOOM_LOG_SPANS        log finished spans: all, errors, slow:100ms, attr:KEY, text\n"
    "  LOOM_TRACE_*          what leaves in spans: LOOM_TRACE_MASK=all masks personal data and\n"
    "                        secrets; LOOM_TRACE_FILTER and LOOM_TRACE_ATTRIBUTES, too\n"
    "  OTEL_*                OTEL_TRACES_EXPORTER, OTEL_EXPORTER_OTLP_ENDPOINT,\n"
    "                        OTEL_TRACES_SAMPLER and others of OpenTelemetry\n"
    "  NO_COLOR              no colour; CLICOLOR_FORCE=1 is the opposite\n"
    "\n"
    "Signals:\n"
    "  SIGTERM, SIGINT       stop: take on nothing new, let out what waits, at most for\n"
    "                        drain_timeout; a second one stops at once\n"
    "  SIGHUP                read the configuration again: log level, limits, the\n"
    "                        certificate; what cannot change is named, and a bad file\n"
    "                        changes nothing\n"
    "  SIGUSR1               open log file and spans file again, after a rotation\n"
    "  SIGUSR2               write the state into the log: sessions, queues, calls, memory\n"
    "\n"
    "Exit status:\n"
    "  0  a clean end    1  a failure, or a wrong configuration    2  a wrong command line\n";

static const char *value_name(const config_key *key)
{
    static const char *const names[] = {
        [CONFIG_BOOL] = "BOOL",   [CONFIG_INT] = "N",           [CONFIG_DOUBLE] = "NUMBER", [CONFIG_STRING] = "TEXT",
        [CONFIG_STRINGS] = "TEXT", [CONFIG_DURATION] = "TIME", [CONFIG_SIZE] = "SIZE"};
    if (key->value != NULL) {
        return key->value;
    }
    return key->choices != NULL ? "NAME" : names[key->type];
}

static const char *group_name(const char *section)
{
    static const char *const names[][2] = {{"broker", "Broker"},       {"bridge", "Bridge"}, {"agent", "Agent"},
                                           {"telemetry", "Telemetry"}, {"log", "Log"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i][0], section) == 0) {
            return names[i][1];
        }
    }
    return section;
}

static void flag_name(char out[FLAG_NAME_SIZE], const config_key *key, bool own)
{
    snprintf(out, FLAG_NAME_SIZE, "%s%s%s", own ? "" : key->section, own ? "" : "-", key->name);
    for (char *at = out; *at != '\0'; at++) {
        *at = *at == '_' ? '-' : *at;
    }
}

/* Calls visit with each setting the program uses, in the order of its sections. A wrong one does not keep the others
 * from being seen. */
static loom_status each_setting(program *p, loom_status (*visit)(program *p, void *user, size_t key, bool own), void *user)
{
    loom_status result = LOOM_OK;
    for (size_t s = 0; p->spec->sections[s] != NULL; s++) {
        for (size_t i = 0; i < p->settings.config.count && result != LOOM_ENOMEM; i++) {
            if (strcmp(p->settings.config.keys[i].section, p->spec->sections[s]) == 0) {
                loom_status st = visit(p, user, i, s == 0);
                result = st != LOOM_OK ? st : result;
            }
        }
    }
    return result;
}

static loom_status add_spec(program *p, void *user, size_t index, bool own)
{
    (void)user;
    const config_key *key = &p->settings.config.keys[index];
    char *name = p->names + p->spec_count * FLAG_NAME_SIZE;
    flag_name(name, key, own);
    /* "{runtime}" says more than this user's directory would in a text for everyone */
    p->specs[p->spec_count++] = (option_spec){
        .name = name,
        .kind = key->type == CONFIG_BOOL ? OPTION_SWITCH : OPTION_VALUE,
        .repeatable = key->type == CONFIG_STRINGS,
        .value = value_name(key),
        .choices = key->choices,
        .fallback = key->fallback,
        .group = group_name(key->section),
        .help = key->help,
    };
    return LOOM_OK;
}

loom_status program_build_options(program *p)
{
    size_t most = p->settings.config.count + p->spec->extra_count + COMMON_COUNT;
    p->spec_count = 0;
    p->specs = calloc(most, sizeof *p->specs);
    p->names = calloc(most, FLAG_NAME_SIZE);
    if (p->specs == NULL || p->names == NULL) {
        program_free_options(p);
        return LOOM_ENOMEM;
    }
    for (size_t i = 0; i < p->spec->extra_count; i++) {
        p->specs[p->spec_count++] = p->spec->extra[i];
    }
    loom_status st = each_setting(p, add_spec, NULL);
    for (size_t i = 0; i < COMMON_COUNT; i++) {
        p->specs[p->spec_count++] = common[i];
    }
    return st;
}

void program_free_options(program *p)
{
    free(p->specs);
    free(p->names);
    p->specs = NULL;
    p->names = NULL;
    p->spec_count = 0;
}

/* Where flags go. */
typedef struct flag_target {
    settings *settings;
    problems *problems;
} flag_target;

static loom_status apply_flag(program *p, void *user, size_t key, bool own)
{
    const flag_target *to = user;
    config_place place = {.source = CONFIG_FROM_FLAG, .severity = PROBLEM_ERROR};
    char name[FLAG_NAME_SIZE];
    loom_str texts[CONFIG_LIST_MAX + 1];
    flag_name(name, &p->settings.config.keys[key], own);
    snprintf(place.name, sizeof place.name, "--%s", name);
    size_t count = options_values(&p->options, name, texts, CONFIG_LIST_MAX + 1);
    if (count == 0) {
        return LOOM_OK;
    }
    if (count > CONFIG_LIST_MAX + 1) {
        count = CONFIG_LIST_MAX + 1;
    }
    if (p->settings.config.keys[key].type != CONFIG_STRINGS) {
        const char *last = options_value(&p->options, name);
        texts[0] = str_of(last);
        count = 1;
    }
    return config_put_texts(&to->settings->config, key, texts, count, &place, to->problems);
}

loom_status program_apply_flags(program *p, settings *to, problems *list)
{
    flag_target target = {to, list};
    return each_setting(p, apply_flag, &target);
}

void program_print_help(const program *p, FILE *out)
{
    char trailer[sizeof trailer_format + 64];
    snprintf(trailer, sizeof trailer, trailer_format, p->spec->sections[0] != NULL ? p->spec->sections[0] : "agent");
    options_manual manual = {
        .program = p->spec->name,
        .summary = p->spec->summary,
        .synopsis = p->spec->synopsis,
        .specs = p->specs,
        .spec_count = p->spec_count,
        .trailer = trailer,
    };
    size_t width = out == stdout ? term_width(STDOUT_FILENO) : 80;
    options_print_help(&manual, out, width);
    if (p->spec->examples != NULL) {
        fprintf(out, "\n%s", p->spec->examples);
    }
}
