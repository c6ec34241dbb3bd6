/* SPDX-License-Identifier: Apache-2.0 */
/* loom sub: subscribes, and prints events as they arrive. */
#include <errno.h>
#include <loom/topic.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "envelope/id.h"
#include "envelope/topic.h"
#include "tools/loom/bus_client.h"
#include "tools/loom/event_json.h"
#include "tools/loom/message_options.h"
#include "tools/loom/output_watch.h"
#include "trace/view/text.h"
#include "tools/loom/trace_options.h"
#include "tools/loom/verbs.h"

enum { FILTERS_MAX = 32, TYPES_MAX = 16 };

static const option_spec specs[] = {
    {.name = "type", .letter = 't', .kind = OPTION_VALUE, .repeatable = true, .value = "TYPE", .group = "Which events", .help = "Only events of this type"},
    {.name = "qos", .kind = OPTION_VALUE, .value = "QOS", .fallback = "batched", .group = "Which events",
     .help = "When events come faster than they are printed: batched (publishers wait a while), realtime (the oldest are dropped), background"},
    {.name = "group", .letter = 'g', .kind = OPTION_VALUE, .value = "NAME", .group = "Which events",
     .help = "Share the events with all who subscribe with this group and filter: each goes to one of them"},
    {.name = "count", .letter = 'n', .kind = OPTION_VALUE, .value = "N", .group = "Which events", .help = "Exit after N events"},
    {.name = "timeout", .kind = OPTION_VALUE, .value = "TIME", .group = "Which events",
     .help = "Fail unless --count events arrive within this time"},
    {.name = "json", .kind = OPTION_FLAG, .group = "Output", .help = "Print one JSON object per event"},
    {.name = "raw", .kind = OPTION_FLAG, .group = "Output", .help = "Print payloads only, one per line"},
    OPTION_COLOR,
    OPTION_TRACE_PARENT,
    OPTION_TRACE_UNSAMPLED,
    OPTIONS_BUS,
    OPTION_HELP,
};

static const command sub = {
    .manual = {.program = "loom sub",
               .synopsis = "[OPTION]… FILTER…",
               .summary = "Subscribes to topics and prints each event: topic, type, sender, trace id, payload. In a filter, "
                          "* matches one segment and a > at the end matches one or more. Each event belongs to its own trace; with "
                          "--trace-parent, or a trace in the environment, the command itself is a span of that one.",
               .specs = specs,
               .spec_count = sizeof specs / sizeof specs[0],
               .trailer = "Examples:\n"
                          "  loom sub 'sensor.>'\n"
                          "  loom sub orders.created orders.cancelled --json | jq .payload\n"
                          "  loom sub jobs.done --count 1 --timeout 30s\n"
                          "  loom sub --group workers 'jobs.>'\n\n"
                          TRACE_ENVIRONMENT("")},
    .operands_max = FILTERS_MAX,
};

typedef struct printer {
    const options *options;
    bool json, raw, colour;
    uint64_t wanted; /* 0: no end */
    uint64_t seen;
    int error;       /* errno of standard output when it could not be written; 0 */
} printer;

static void print_line(const printer *p, const loom_envelope *event, const char *trace_id)
{
    const char *bold = p->colour ? "\033[1m" : "", *dim = p->colour ? "\033[2m" : "", *plain = p->colour ? "\033[0m" : "";
    loom_bytes payload = loom_envelope_payload(event);
    fputs(bold, stdout);
    text_put(stdout, loom_envelope_topic(event), SIZE_MAX);
    printf("%s  %s", plain, dim);
    text_put(stdout, loom_envelope_type(event), SIZE_MAX);
    fputs(loom_envelope_type(event).len > 0 ? "  " : "", stdout);
    text_put(stdout, loom_envelope_sender(event), SIZE_MAX);
    printf("  %s%s  ", trace_id, plain);
    text_put(stdout, (loom_str){(const char *)payload.data, payload.len}, SIZE_MAX);
    putchar('\n');
}

static loom_status on_event(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    (void)topic;
    printer *p = ((bus_client *)user)->user;
    char hex[LOOM_TRACE_ID_HEX_SIZE];
    if (p->error != 0 || (p->wanted > 0 && p->seen == p->wanted)) {
        return LOOM_OK;
    }
    const char *trace_id = message_trace_id_of(hex, p->options, event);
    errno = 0;
    if (p->json) {
        json_print_line(event_to_json(event, trace_id));
    } else if (p->raw) {
        loom_bytes payload = loom_envelope_payload(event);
        fwrite(payload.data, 1, payload.len, stdout);
        putchar('\n');
    } else {
        print_line(p, event, trace_id != NULL ? trace_id : "-"); /* for people, something has to stand there */
    }
    p->error = fflush(stdout) == 0 && !ferror(stdout) ? 0 : errno != 0 ? errno : EIO;
    p->seen++;
    if (p->error != 0 || p->seen == p->wanted) {
        loom_agent_stop(agent);
    }
    return LOOM_OK;
}

static bool read_qos(const options *o, loom_qos *qos, int *exit_code)
{
    static const char *const names[] = {[LOOM_QOS_BATCHED] = "batched", [LOOM_QOS_REALTIME] = "realtime", [LOOM_QOS_BACKGROUND] = "background"};
    const char *wanted = options_value(o, "qos");
    *qos = LOOM_QOS_BATCHED;
    for (size_t i = 0; wanted != NULL && i < LOOM_QOS_COUNT; i++) {
        if (strcmp(wanted, names[i]) == 0) {
            *qos = (loom_qos)i;
            return true;
        }
    }
    if (wanted != NULL) {
        *exit_code = command_misuse(&sub, "--qos must be batched, realtime or background, not \"%s\"", wanted);
    }
    return wanted == NULL;
}

/* The event types as the SDK wants them; storage holds the strings. */
static bool read_types(const options *o, const char *types[TYPES_MAX + 1], int *exit_code)
{
    loom_str given[TYPES_MAX];
    size_t count = options_values(o, "type", given, TYPES_MAX);
    if (count > TYPES_MAX) {
        *exit_code = command_misuse(&sub, "at most %d --type options", TYPES_MAX);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        types[i] = given[i].data; /* of argv, and so NUL-terminated */
    }
    types[count] = NULL;
    return true;
}

static void on_alarm(int number)
{
    static const char text[] = "loom sub: timed out waiting for events\n";
    (void)number;
    (void)!write(STDERR_FILENO, text, sizeof text - 1);
    _exit(VERB_TIMEOUT);
}

static bool start_timeout(const options *o, int *exit_code)
{
    const char *text = options_value(o, "timeout");
    uint64_t ns;
    if (text == NULL) {
        return true;
    }
    if (!text_parse_duration(&ns, text) || ns < 1000000) {
        *exit_code = command_misuse(&sub, "--timeout must be a duration such as 500ms, 30s or 5m, not \"%s\"", text);
        return false;
    }
    signal(SIGALRM, on_alarm);
    timer_t timer;
    struct itimerspec at = {.it_value = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)}};
    return timer_create(CLOCK_MONOTONIC, NULL, &timer) == 0 && timer_settime(timer, 0, &at, NULL) == 0;
}

static int run(const options *o)
{
    int exit_code = VERB_FAILED;
    printer p = {.options = o, .json = options_is_on(o, "json"), .raw = options_is_on(o, "raw")};
    const char *types[TYPES_MAX + 1];
    loom_subscribe_options with = {.types = types, .group = options_value(o, "group")};
    if (o->operand_count < 1) {
        return command_misuse(&sub, "missing filter, such as 'sensor.>'");
    }
    const char *reason;
    for (size_t i = 0; i < o->operand_count; i++) {
        if (loom_filter_check(str_of(o->operands[i]), &reason) != LOOM_OK) {
            return command_misuse(&sub, "invalid filter \"%s\": %s", o->operands[i], reason);
        }
    }
    if (with.group != NULL && topic_name_check(str_of(with.group), &reason) != LOOM_OK) {
        return command_misuse(&sub, "invalid group \"%s\": %s", with.group, reason);
    }
    if (!read_qos(o, &with.qos, &exit_code) || !read_types(o, types, &exit_code) ||
        !trace_options_number(&sub, o, "count", 0, &p.wanted, &exit_code) ||
        !trace_options_color(&sub, o, &p.colour, &exit_code) || !start_timeout(o, &exit_code)) {
        return exit_code;
    }
    bus_client client = {.on_return = "; what was published meanwhile was not received"};
    loom_agent_options agent = {.on_event = on_event, .user = &p};
    if (!bus_client_open(&client, &sub, o, "sub", &agent, &exit_code)) {
        return exit_code;
    }
    loom_span *span = message_run_begin(&sub, o, client.tracing.tracer, "loom sub");
    loom_status st = LOOM_OK;
    for (size_t i = 0; i < o->operand_count && st == LOOM_OK; i++) {
        st = loom_agent_subscribe(client.agent, o->operands[i], &with, NULL);
    }
    if (st == LOOM_OK) {
        st = loom_agent_wait_connected(client.agent, 5000);
    }
    if (st == LOOM_OK) {
        output_watch reader;
        output_watch_start(&reader, client.agent);
        bus_client_hold_signals(true);
        if (!p.json && !p.raw) {
            fputs("subscribed\n", stderr);
        }
        st = loom_agent_run_until_signal(client.agent);
        bus_client_hold_signals(false);
        output_watch_end(&reader);
    }
    signal(SIGALRM, SIG_IGN); /* the events arrived in time */
    exit_code = st == LOOM_OK ? VERB_OK : command_fail_with(&sub, st, "%s", loom_status_text(st));
    loom_span_end(span);
    (void)bus_client_close(&client);
    if (p.error != 0 && p.error != EPIPE) {
        exit_code = command_fail(&sub, "cannot write: %s", strerror(p.error));
    }
    return command_finish(&sub, exit_code);
}

int verb_sub(int argc, char *const argv[])
{
    options o;
    int exit_code;
    if (!command_start(&sub, &o, argc, argv, &exit_code)) {
        return exit_code;
    }
    exit_code = run(&o);
    options_fini(&o);
    return exit_code;
}
