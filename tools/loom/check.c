/* SPDX-License-Identifier: Apache-2.0 */
/* loom check: one question for a monitoring system, answered as its plugins do: a line of text, and a code. */
#include <inttypes.h>
#include <loom/agent.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/duration.h"
#include "base/str.h"
#include "host/json_text.h"
#include "tools/loom/bus_names.h"
#include "tools/loom/control.h"
#include "tools/loom/event_json.h"
#include "tools/loom/verbs.h"
#include "trace/view/text.h"

#define NS_PER_S 1e9
#define NS_PER_MS 1e6
enum { TEXT_SIZE = CONTROL_WHY_SIZE, WHY_SIZE = 320, CONNECT_MS = 10000, LOOK_MS = 10 };

typedef enum check_code { CHECK_OK, CHECK_WARNING, CHECK_CRITICAL, CHECK_UNKNOWN } check_code;

/* What a check has found. */
typedef struct finding {
    const char *check, *subject; /* subject: the agent, topic …; may be "" */
    check_code code;
    char text[TEXT_SIZE];
    const char *metric;          /* NULL: none */
    double value, warn, critical;
    bool limited;                /* warn and critical mean something */
} finding;

#define CHECK_OPTIONS                                                                                                \
    {.name = "json", .kind = OPTION_FLAG, .group = "Output", .help = "Print one JSON object"},                        \
    {.name = "prometheus", .kind = OPTION_FLAG, .group = "Output", .help = "Print metrics for node_exporter's textfile collector"}
#define CHECK_LIMITS(what, warn_at, critical_at)                                                                     \
    {.name = "warn", .letter = 'w', .kind = OPTION_VALUE, .value = "LIMIT", .fallback = warn_at, .group = "Limits",   \
     .help = "WARNING from this " what " on"},                                                                       \
    {.name = "critical", .letter = 'c', .kind = OPTION_VALUE, .value = "LIMIT", .fallback = critical_at, .group = "Limits", \
     .help = "CRITICAL from this " what " on"}
#define CHECK_LEAST(what)                                                                                            \
    {.name = "least", .kind = OPTION_VALUE, .value = "N", .fallback = "1", .group = "Limits", .help = "CRITICAL with fewer " what}
#define CHECK_CODES "Exit codes:\n  0    OK\n  1    WARNING\n  2    CRITICAL\n  3    UNKNOWN: it could not be asked, or the command line makes no sense\n"

static const option_spec connection_specs[] = {
    CHECK_LIMITS("time to connect", "500ms", "5s"), CHECK_OPTIONS,
    {.name = "url", .letter = 'u', .kind = OPTION_VALUE, .value = "URL", .group = "Connection", .help = "Broker or bridge; default: LOOM_URL, or this machine's broker"},
    OPTION_HELP};
static const option_spec agent_specs[] = {CHECK_OPTIONS, OPTIONS_BUS, OPTIONS_CONTROL, OPTION_HELP};
static const option_spec topic_specs[] = {CHECK_LEAST("subscriptions"), CHECK_OPTIONS, OPTIONS_BUS, OPTIONS_CONTROL, OPTION_HELP};
static const option_spec capability_specs[] = {CHECK_LEAST("providers"), CHECK_OPTIONS, OPTIONS_BUS, OPTIONS_CONTROL, OPTION_HELP};
static const option_spec queue_specs[] = {CHECK_LIMITS("number of messages waiting", "1000", "8000"), CHECK_OPTIONS, OPTIONS_BUS, OPTIONS_CONTROL, OPTION_HELP};

#define CHECK(name, program_name, synopsis_text, summary_text, examples, most)                                       \
    static const command name = {.manual = {.program = program_name, .synopsis = synopsis_text, .summary = summary_text, \
                                            .specs = name##_specs, .spec_count = sizeof name##_specs / sizeof name##_specs[0], \
                                            .trailer = CHECK_CODES "\nExamples:\n" examples},                         \
                                 .operands_max = most, .own_exit_codes = true}
CHECK(connection, "loom check connection", "[OPTION]…", "Connects as an agent. CRITICAL when that fails or takes too long.",
      "  loom check connection --url tcp://bus.example.com:7700 -w 50ms -c 1s\n", 0);
CHECK(agent, "loom check agent", "[OPTION]… AGENT", "Whether an agent is on the bus: WARNING when it is silent, CRITICAL when it is not there.",
      "  loom check agent weather-1\n", 1);
CHECK(topic, "loom check topic", "[OPTION]… TOPIC",
      "Whether a topic that was published to has subscriptions: CRITICAL with too few, WARNING when copies were dropped.",
      "  loom check topic orders.created --least 2\n", 1);
CHECK(capability, "loom check capability", "[OPTION]… NAME", "Whether enough agents provide a capability.", "  loom check capability weather.lookup --least 2\n", 1);
CHECK(queue, "loom check queue", "[OPTION]… [AGENT]", "The longest queue of the broker, or of an agent: how many messages wait, and whether it drops.",
      "  loom check queue billing -w 100 -c 5000\n", 1);

/* ---- the answer ---- */

static void print_escaped(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        fputs(*text == '\\' ? "\\\\" : *text == '"' ? "\\\"" : *text == '\n' ? "\\n" : "", out);
        if (*text != '\\' && *text != '"' && *text != '\n') {
            fputc(*text, out);
        }
    }
}

static void print_prometheus_line(const finding *f, const char *name, double value)
{
    printf("%s{check=\"%s\",name=\"", name, f->check);
    print_escaped(stdout, f->subject);
    printf("\"} %g\n", value);
}

static void print_prometheus(const finding *f)
{
    char name[64];
    puts("# HELP loom_check_status What loom check says: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.\n# TYPE loom_check_status gauge");
    print_prometheus_line(f, "loom_check_status", (double)f->code);
    if (f->metric != NULL) {
        snprintf(name, sizeof name, "loom_check_%s", f->metric);
        printf("# HELP %s What loom check %s has measured.\n# TYPE %s gauge\n", name, f->check, name);
        print_prometheus_line(f, name, f->value);
    }
}

static int print_finding(const command *c, const options *o, const finding *f)
{
    static const char *const words[] = {"OK", "WARNING", "CRITICAL", "UNKNOWN"};
    if (options_is_on(o, "json")) {
        json_t *all = json_pack("{s:s, s:s, s:i, s:o}", "check", f->check, "status", words[f->code], "code", (int)f->code, "text", json_text(str_of(f->text)));
        if (f->subject[0] != '\0') {
            json_object_set_new(all, "name", json_text(str_of(f->subject)));
        }
        if (f->metric != NULL) {
            json_object_set_new(all, f->metric, json_real(f->value));
        }
        json_print_line(all);
    } else if (options_is_on(o, "prometheus")) {
        print_prometheus(f);
    } else {
        printf("LOOM %s: ", words[f->code]);
        text_put(stdout, str_of(f->text), SIZE_MAX);
        if (f->metric != NULL && f->limited) {
            printf(" | %s=%g;%g;%g;0", f->metric, f->value, f->warn, f->critical);
        } else if (f->metric != NULL) {
            printf(" | %s=%g", f->metric, f->value);
        }
        putchar('\n');
    }
    return command_finish(c, VERB_OK) == VERB_OK ? (int)f->code : CHECK_UNKNOWN;
}

static void say(finding *f, check_code code, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void say(finding *f, check_code code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(f->text, sizeof f->text, format, arguments);
    va_end(arguments);
    f->code = code;
}

/* By its limits. */
static check_code judge(const finding *f)
{
    return f->value >= f->critical ? CHECK_CRITICAL : f->value >= f->warn ? CHECK_WARNING : CHECK_OK;
}

/* ---- the questions ---- */

static bool read_count(const options *o, const char *name, double fallback, double *out)
{
    const char *text = options_value(o, name);
    char *end = NULL;
    *out = text != NULL ? strtod(text, &end) : fallback;
    return text == NULL || (end != text && *end == '\0' && *out >= 0);
}

static bool read_seconds(const options *o, const char *name, double fallback, double *out)
{
    const char *text = options_value(o, name);
    uint64_t ns = 0;
    const bool good = text == NULL || duration_parse(&ns, str_of(text));
    *out = text != NULL ? (double)ns / NS_PER_S : fallback;
    return good;
}

static void forget_state(loom_agent *a, loom_agent_state state, loom_status why, const char *text, void *user)
{
    (void)a;
    if (state == LOOM_AGENT_DISCONNECTED) {
        snprintf(user, WHY_SIZE, "%s", text);
    }
    (void)why;
}

static void check_connection(const options *o, finding *f)
{
    char why[WHY_SIZE] = "no answer", id[48];
    loom_agent *a;
    f->metric = "connect_seconds";
    f->limited = true;
    if (!read_seconds(o, "warn", 0.5, &f->warn) || !read_seconds(o, "critical", 5, &f->critical)) {
        f->metric = NULL;
        say(f, CHECK_UNKNOWN, "--warn and --critical must be durations such as 50ms or 2s");
        return;
    }
    snprintf(id, sizeof id, "loom-check-%" PRIx64, clock_unix_ns());
    const uint64_t began = clock_monotonic_ns();
    loom_status st = loom_agent_open(&a, &(loom_agent_options){.id = id, .url = options_value(o, "url"), .on_state = forget_state, .user = why, .quiet = true});
    if (st != LOOM_OK) {
        f->metric = NULL;
        say(f, CHECK_UNKNOWN, "%s", loom_agent_open_error());
        return;
    }
    const double patience = f->critical * 1000 < CONNECT_MS ? f->critical * 1000 : CONNECT_MS;
    const uint64_t until = began + (uint64_t)(patience * NS_PER_MS);
    do { /* what has failed is not tried again */
        st = loom_agent_wait_connected(a, LOOK_MS);
    } while (st == LOOM_ETIMEDOUT && loom_agent_get_state(a) != LOOM_AGENT_DISCONNECTED && clock_monotonic_ns() < until);
    f->value = (double)(clock_monotonic_ns() - began) / NS_PER_S;
    (void)loom_agent_close_within(a, 1000);
    if (st != LOOM_OK) {
        say(f, CHECK_CRITICAL, "not connected: %s", why);
    } else {
        say(f, judge(f), "connected in %.1f ms", f->value * 1000);
    }
}

static long long number(const json_t *object, const char *key)
{
    return (long long)json_integer_value(json_object_get(object, key));
}

/* NULL: the finding says why. */
static json_t *ask(const options *o, finding *f, const char *op, const char *item_key, const control_key *keys)
{
    control_asker a;
    char why[CONTROL_WHY_SIZE];
    int exit_code;
    json_t *answer = NULL;
    if (control_asker_open(&a, &queue, o, why, sizeof why, &exit_code)) {
        answer = control_asker_ask(&a, op, item_key, keys, why, sizeof why, &exit_code);
        control_asker_close(&a);
    }
    if (answer == NULL) {
        say(f, CHECK_UNKNOWN, "%s", why);
    }
    return answer;
}

/* Of the command whose options these are. */
static const char *near(char out[BUS_HINT_SIZE], const options *o, bus_name_kind kind, const char *name)
{
    return bus_names_hint(out, &agent, o, kind, name, "", NULL);
}

static void check_agent(const options *o, finding *f)
{
    char hint[BUS_HINT_SIZE];
    const control_key keys[] = {{"agent", f->subject}, {NULL, NULL}};
    json_t *agents = ask(o, f, "agents", "agent", keys), *found = json_array_get(agents, 0);
    const char *state = json_string_value(json_object_get(found, "state"));
    if (found != NULL) {
        f->metric = "heard_seconds";
        f->value = (double)number(found, "heard_ms_ago") / 1000;
        say(f, state != NULL && strcmp(state, "active") == 0 ? CHECK_OK : CHECK_WARNING, "agent %s is %s, heard %.1f s ago", f->subject,
            state != NULL ? state : "?", f->value);
    } else if (agents != NULL) {
        say(f, CHECK_CRITICAL, "agent %s is not on the bus%s", f->subject, near(hint, o, BUS_AGENTS, f->subject));
    }
    json_decref(agents);
}

static bool read_least(const options *o, finding *f, double *least)
{
    const bool good = read_count(o, "least", 1, least);
    if (!good) {
        say(f, CHECK_UNKNOWN, "--least must be a number, not \"%s\"", options_value(o, "least"));
    }
    return good;
}

static void check_topic(const options *o, finding *f)
{
    double least;
    char hint[BUS_HINT_SIZE];
    const control_key keys[] = {{"filter", f->subject}, {NULL, NULL}};
    json_t *answer = read_least(o, f, &least) ? ask(o, f, "topics", NULL, keys) : NULL;
    const json_t *found = json_array_get(json_object_get(answer, "topics"), 0);
    if (found != NULL) {
        const long long dropped = number(found, "dropped");
        f->metric = "subscriptions";
        f->value = (double)number(found, "subscriptions");
        say(f, f->value < least ? CHECK_CRITICAL : dropped > 0 ? CHECK_WARNING : CHECK_OK, "topic %s has %g subscription%s, %lld published, %lld dropped",
            f->subject, f->value, f->value == 1 ? "" : "s", number(found, "published"), dropped);
    } else if (answer != NULL) {
        say(f, CHECK_CRITICAL, "nobody has published to topic %s%s", f->subject, near(hint, o, BUS_TOPICS, f->subject));
    }
    json_decref(answer);
}

static void check_capability(const options *o, finding *f)
{
    double least;
    char hint[BUS_HINT_SIZE] = "";
    const control_key keys[] = {{"name", f->subject}, {NULL, NULL}};
    json_t *found = read_least(o, f, &least) ? ask(o, f, "capabilities", "name", keys) : NULL, *c;
    size_t i, providers = 0;
    json_array_foreach(found, i, c) { /* each version is one */
        providers += json_array_size(json_object_get(c, "providers"));
    }
    if (found != NULL) {
        f->metric = "providers";
        f->value = (double)providers;
        say(f, f->value < least ? CHECK_CRITICAL : CHECK_OK, "capability %s has %zu provider%s%s", f->subject, providers,
            providers == 1 ? "" : "s", providers == 0 ? near(hint, o, BUS_CAPABILITIES, f->subject) : "");
    }
    json_decref(found);
}

static void check_queue(const options *o, finding *f)
{
    f->limited = true;
    if (!read_count(o, "warn", 1000, &f->warn) || !read_count(o, "critical", 8000, &f->critical)) {
        say(f, CHECK_UNKNOWN, "--warn and --critical must be numbers of messages");
        return;
    }
    char hint[BUS_HINT_SIZE];
    json_t *all = ask(o, f, "stats", NULL, NULL), *s, *longest = NULL;
    size_t i, seen = 0;
    json_array_foreach(json_object_get(all, "subscriptions"), i, s) {
        const char *subscriber = json_string_value(json_object_get(s, "subscriber"));
        if (f->subject[0] != '\0' && (subscriber == NULL || strcmp(subscriber, f->subject) != 0)) {
            continue;
        }
        seen++;
        longest = longest == NULL || number(s, "queued") > number(longest, "queued") ? s : longest;
    }
    if (all != NULL && seen == 0) {
        const bool named = f->subject[0] != '\0';
        say(f, named ? CHECK_CRITICAL : CHECK_OK, "%s has no subscriptions%s", named ? f->subject : "the broker",
            named ? near(hint, o, BUS_AGENTS, f->subject) : "");
    } else if (all != NULL) {
        const bool drops = json_is_true(json_object_get(longest, "overdue"));
        f->metric = "waiting";
        f->value = (double)number(longest, "queued");
        const char *who = json_string_value(json_object_get(longest, "subscriber")), *filter = json_string_value(json_object_get(longest, "filter"));
        say(f, drops ? CHECK_CRITICAL : judge(f), "%g messages wait for %s on %s%s", f->value, who != NULL ? who : "?", filter != NULL ? filter : "?",
            drops ? ", which drops" : "");
    }
    json_decref(all);
}

/* ---- the verbs ---- */

static int run_check(const command *c, const char *name, void (*find)(const options *o, finding *f), bool needs_subject, int argc, char *const argv[])
{
    options o;
    int exit_code;
    if (!command_start(c, &o, argc, argv, &exit_code)) {
        return exit_code == VERB_OK ? VERB_OK : CHECK_UNKNOWN;
    }
    finding f = {.check = name, .subject = o.operand_count > 0 ? o.operands[0] : "", .code = CHECK_UNKNOWN};
    if (needs_subject && f.subject[0] == '\0') {
        (void)command_misuse(c, "missing name of what to check");
        exit_code = CHECK_UNKNOWN;
    } else {
        find(&o, &f);
        exit_code = print_finding(c, &o, &f);
    }
    options_fini(&o);
    return exit_code;
}

static int verb_connection(int argc, char *const argv[])
{
    return run_check(&connection, "connection", check_connection, false, argc, argv);
}
static int verb_agent(int argc, char *const argv[])
{
    return run_check(&agent, "agent", check_agent, true, argc, argv);
}
static int verb_topic(int argc, char *const argv[])
{
    return run_check(&topic, "topic", check_topic, true, argc, argv);
}
static int verb_capability(int argc, char *const argv[])
{
    return run_check(&capability, "capability", check_capability, true, argc, argv);
}
static int verb_queue(int argc, char *const argv[])
{
    return run_check(&queue, "queue", check_queue, false, argc, argv);
}

int verb_check(int argc, char *const argv[])
{
    static const verb verbs[] = {
        {"agent", "Whether an agent is on the bus", verb_agent},
        {"capability", "Whether enough agents provide a capability", verb_capability},
        {"connection", "Whether agents can connect, and how fast", verb_connection},
        {"queue", "Whether messages pile up", verb_queue},
        {"topic", "Whether a topic has subscriptions", verb_topic},
    };
    static const verb_synonym synonyms[] = {
        {"backlog", "queue"}, {"broker", "connection"}, {"caps", "capability"},    {"health", "connection"},  {"lag", "queue"},
        {"ping", "connection"}, {"server", "connection"}, {"service", "capability"}, {"subscriptions", "topic"}, {NULL, NULL},
    };
    static const verb_table table = {
        .program = "loom check",
        .summary = "One question for a monitoring system, answered as Nagios and its kin expect: a line, and 0 for OK, 1 for WARNING,\n"
                   "2 for CRITICAL, 3 for UNKNOWN. --json and --prometheus print the same for others.",
        .verbs = verbs,
        .count = sizeof verbs / sizeof verbs[0],
        .synonyms = synonyms,
        .trailer = "Examples:\n"
                   "  loom check connection -w 50ms\n"
                   "  loom check capability weather.lookup --least 2\n"
                   "  loom check queue --prometheus >/var/lib/node_exporter/loom.prom\n",
    };
    return verb_table_run(&table, argc, argv);
}
