/* SPDX-License-Identifier: Apache-2.0 */
/* loom sub: subscribes, and prints events as they arrive. */
#include <loom/topic.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/duration.h"
#include "base/str.h"
#include "envelope/topic.h"
#include "tools/loom/bus_client.h"
#include "tools/loom/live.h"
#include "tools/loom/message_options.h"
#include "tools/loom/pace.h"
#include "tools/loom/sub_output.h"
#include "tools/loom/topic_rates.h"
#include "tools/loom/trace_options.h"
#include "tools/loom/verbs.h"

enum { FILTERS_MAX = 32, TYPES_MAX = 16 };

static const option_spec specs[] = {
    {.name = "type", .letter = 't', .kind = OPTION_VALUE, .repeatable = true, .value = "TYPE", .group = "Which events", .help = "Only events of this type"},
    {.name = "qos", .kind = OPTION_VALUE, .value = "QOS", .choices = "batched|realtime|background", .fallback = "batched", .group = "Which events",
     .help = "What happens when events come faster than they are printed: for batched publishers wait a while, of realtime the oldest are dropped"},
    {.name = "group", .letter = 'g', .kind = OPTION_VALUE, .value = "NAME", .group = "Which events",
     .help = "Share the events with all who subscribe with this group and filter: each goes to one of them"},
    {.name = "count", .letter = 'n', .kind = OPTION_VALUE, .value = "N", .group = "Which events", .help = "Exit after N events"},
    {.name = "timeout", .kind = OPTION_VALUE, .value = "TIME", .group = "Which events",
     .help = "Fail unless --count events arrive within this time"},
    OPTIONS_SUB_OUTPUT,
    {.name = "report", .kind = OPTION_FLAG, .group = "Output", .help = "Print rates by topic instead of events, again and again"},
    OPTION_INTERVAL,
    {.name = "quiet", .letter = 'q', .kind = OPTION_FLAG, .group = "Output", .help = "Say nothing on standard error but errors: no totals, no word of the broker or that it is subscribed"},
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
                          "--trace-parent, or a trace in the environment, the command itself is a span of that one. On standard error "
                          "it says when it is subscribed, when the broker goes and comes back, and at ctrl-C how much has come.",
               .specs = specs,
               .spec_count = sizeof specs / sizeof specs[0],
               .trailer = "Examples:\n"
                          "  loom sub 'sensor.>'\n"
                          "  loom sub orders.created orders.cancelled --json | jq .payload\n"
                          "  loom sub jobs.done --count 1 --timeout 30s\n"
                          "  loom sub --group workers 'jobs.>'\n"
                          "  loom sub 'sensor.>' --format '%I %t %{unit} %p'   one's own lines\n"
                          "  loom sub 'image.>' --dump images             payloads as files\n"
                          "  loom sub '>' --report                        rates by topic\n\n"
                          "In --format stand:\n"
                          EVENT_FORMAT_WORDS "\n"
                          TRACE_ENVIRONMENT("")},
    .operands_max = FILTERS_MAX,
};

typedef struct subscriber {
    const options *options;
    bus_client client;
    interrupt stop;
    sub_output output;
    topic_rates rates;
    bool report, quiet;
    uint64_t wanted;    /* 0: no end */
    uint64_t deadline_ns; /* monotonic; UINT64_MAX: none */
    uint64_t interval_ns; /* of the report */
    progress received;  /* written by the agent's thread until ended is set */
    atomic_bool ended;  /* all that was wanted has come, or no more can be printed */
} subscriber;

static loom_status on_event(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    (void)agent;
    (void)topic;
    bus_client *client = user;
    subscriber *s = client->user;
    if (atomic_load(&s->ended)) {
        return LOOM_OK;
    }
    if (s->report) {
        topic_rates_add(&s->rates, event);
    }
    const bool good = sub_output_put(&s->output, event);
    progress_add(&s->received, loom_envelope_payload(event).len);
    if (!good || s->received.count == s->wanted) {
        atomic_store(&s->ended, true);
        bus_client_wake(client);
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

static bool read_timeout(subscriber *s, const options *o, int *exit_code)
{
    const char *text = options_value(o, "timeout");
    uint64_t ns;
    s->deadline_ns = UINT64_MAX;
    if (text == NULL) {
        return true;
    }
    if (!duration_parse(&ns, str_of(text)) || ns < 1000000) {
        *exit_code = command_misuse(&sub, "--timeout must be a duration such as 500ms, 30s or 5m, not \"%s\"", text);
        return false;
    }
    s->deadline_ns = clock_monotonic_ns() + ns;
    return true;
}

static bool read_options(subscriber *s, const options *o, loom_subscribe_options *with, const char *types[TYPES_MAX + 1], int *exit_code)
{
    s->quiet = options_is_on(o, "quiet");
    s->report = options_is_on(o, "report");
    if (o->operand_count < 1) {
        *exit_code = command_misuse(&sub, "missing filter, such as 'sensor.>'%s",
                                    options_has(o, "type") ? "; it stands alone, and -t is the type of events" : "");
        return false;
    }
    const char *reason;
    for (size_t i = 0; i < o->operand_count; i++) {
        if (loom_filter_check(str_of(o->operands[i]), &reason) != LOOM_OK) {
            *exit_code = command_misuse(&sub, "invalid filter \"%s\": %s", o->operands[i], reason);
            return false;
        }
        message_topic_hint(&sub, o, o->operands[i]);
    }
    if (with->group != NULL && topic_name_check(str_of(with->group), &reason) != LOOM_OK) {
        *exit_code = command_misuse(&sub, "invalid group \"%s\": %s", with->group, reason);
        return false;
    }
    if (s->report && s->output.style != OUTPUT_LINE) {
        *exit_code = command_misuse(&sub, "--report prints no events: leave out --json, --raw and --format");
        return false;
    }
    s->output.style = s->report ? OUTPUT_NOTHING : s->output.style;
    return read_qos(o, &with->qos, exit_code) && read_types(o, types, exit_code) && read_timeout(s, o, exit_code) &&
           live_page_interval(&s->interval_ns, &sub, o, exit_code) && trace_options_number(&sub, o, "count", 0, &s->wanted, exit_code);
}

/* Until all is there, the time is over, or somebody ends it. With a report, a page at each interval. */
static interrupt_news wait_for_end(subscriber *s)
{
    interrupt_news news = INTERRUPT_READABLE;
    live_page page;
    char key;
    if (!s->report) {
        return interrupt_wait(&s->stop, s->client.wake_fd, s->deadline_ns);
    }
    live_page_begin(&page, s->interval_ns);
    page.keys_fd = s->client.wake_fd; /* nobody types here */
    while (!atomic_load(&s->ended) && !bus_client_is_closed(&s->client) && clock_monotonic_ns() < s->deadline_ns) {
        news = live_page_wait(&page, &s->stop, &key);
        if (news == INTERRUPT_SIGNAL || news == INTERRUPT_READER_GONE) {
            break;
        }
        if (live_page_draw(&page) == NULL) {
            break;
        }
        topic_rates_draw(&s->rates, &page);
        if (!live_page_show(&page)) {
            break;
        }
    }
    live_page_end(&page);
    return clock_monotonic_ns() >= s->deadline_ns && !atomic_load(&s->ended) ? INTERRUPT_TIME : news;
}

static loom_status subscribe(subscriber *s, const loom_subscribe_options *with)
{
    loom_status st = LOOM_OK;
    for (size_t i = 0; i < s->options->operand_count && st == LOOM_OK; i++) {
        st = loom_agent_subscribe(s->client.agent, s->options->operands[i], with, NULL);
    }
    return st == LOOM_OK ? loom_agent_wait_connected(s->client.agent, 5000) : st;
}

/* How it came to its end. Nothing is printed by the agent's thread any more. */
static int outcome(subscriber *s, interrupt_news news)
{
    const bool all = s->wanted > 0 && s->received.count >= s->wanted;
    if (s->output.problem[0] != '\0') {
        return s->output.reader_gone ? VERB_OK : command_fail(&sub, "%s", s->output.problem);
    }
    if (news == INTERRUPT_TIME && !all) {
        return command_fail_with(&sub, LOOM_ETIMEDOUT, "timed out waiting for events");
    }
    if (news == INTERRUPT_READABLE && !all && s->client.link.state == LOOM_AGENT_CLOSED) {
        return VERB_FAILED;
    }
    return news == INTERRUPT_SIGNAL && s->stop.number == SIGINT && s->wanted > 0 && !all ? VERB_INTERRUPTED : VERB_OK;
}

static int receive(subscriber *s, const loom_subscribe_options *with)
{
    int exit_code;
    interrupt_news news = INTERRUPT_READABLE;
    if (!bus_client_open(&s->client, &sub, s->options, "sub", &(loom_agent_options){.on_event = on_event, .user = s}, &exit_code)) {
        return exit_code;
    }
    loom_span *span = message_run_begin(&sub, s->options, s->client.tracing.tracer, "loom sub");
    progress_begin(&s->received, "received", 0, false);
    interrupt_begin(&s->stop);
    s->stop.output = STDOUT_FILENO;
    const loom_status st = subscribe(s, with);
    if (st == LOOM_OK) {
        if (!s->quiet) {
            fputs("subscribed\n", stderr);
        }
        news = wait_for_end(s);
        atomic_store(&s->ended, true);
    }
    interrupt_end(&s->stop);
    loom_span_end(span);
    (void)bus_client_close(&s->client); /* and with it the agent's thread */
    progress_end(&s->received, s->quiet || news != INTERRUPT_SIGNAL);
    return st == LOOM_OK ? outcome(s, news) : command_fail_with(&sub, st, "%s", bus_client_reason(st));
}

static int run(const options *o)
{
    int exit_code = VERB_FAILED;
    const char *types[TYPES_MAX + 1];
    loom_subscribe_options with = {.types = types, .group = options_value(o, "group")};
    subscriber s = {.options = o, .client = {.on_return = options_is_on(o, "quiet") ? NULL : "; what was published meanwhile was not received"}};
    if (!sub_output_open(&s.output, &sub, o, &exit_code) || !read_options(&s, o, &with, types, &exit_code)) {
        sub_output_close(&s.output);
        return exit_code;
    }
    exit_code = topic_rates_init(&s.rates) == LOOM_OK ? receive(&s, &with) : command_fail(&sub, "out of memory");
    topic_rates_fini(&s.rates);
    sub_output_close(&s.output);
    return command_finish(&sub, exit_code);
}

int verb_sub(int argc, char *const argv[])
{
    return command_run(&sub, argc, argv, run);
}
