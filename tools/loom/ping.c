/* SPDX-License-Identifier: Apache-2.0 */
/* loom ping: round trips to the broker, an agent, a responder, a capability. */
#include <inttypes.h>
#include <loom/collaboration.h>
#include <loom/topic.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/duration.h"
#include "base/str.h"
#include "envelope/mailbox_name.h"
#include "host/json_text.h"
#include "tools/loom/bus_client.h"
#include "tools/loom/bus_names.h"
#include "tools/loom/event_json.h"
#include "tools/loom/interrupt.h"
#include "tools/loom/latencies.h"
#include "tools/loom/trace_options.h"
#include "tools/loom/verbs.h"
#include "trace/view/text.h"

#define NS_PER_MS 1000000u
#define ECHO_TYPE "loom.ping.echo"
enum { COUNT_MAX = 1000000, PAYLOAD_SIZE = sizeof(uint64_t) };

static const option_spec specs[] = {
    {.name = "topic", .kind = OPTION_VALUE, .value = "TOPIC", .group = "Whom", .help = "Whoever answers requests on this topic, such as `loom reply --echo TOPIC`"},
    {.name = "capability", .kind = OPTION_VALUE, .value = "NAME", .group = "Whom", .help = "A provider of this capability, called with an empty payload"},
    {.name = "count", .letter = 'n', .kind = OPTION_VALUE, .value = "N", .fallback = "10", .group = "How", .help = "Number of round trips"},
    {.name = "interval", .letter = 'i', .kind = OPTION_VALUE, .value = "TIME", .fallback = "100ms", .group = "How", .help = "Time from one to the next; 0s: as fast as they go"},
    {.name = "timeout", .letter = 'd', .kind = OPTION_VALUE, .value = "TIME", .fallback = "2s", .group = "How", .help = "How long to wait for an answer"},
    {.name = "histogram", .kind = OPTION_FLAG, .group = "Output", .help = "Show how the round trips are distributed"},
    {.name = "json", .kind = OPTION_FLAG, .group = "Output", .help = "Print the result as one JSON object, times in nanoseconds"},
    {.name = "quiet", .letter = 'q', .kind = OPTION_FLAG, .group = "Output", .help = "Do not print a line per round trip"},
    OPTIONS_BUS,
    OPTION_HELP,
};

static const command ping = {
    .manual = {.program = "loom ping",
               .synopsis = "[OPTION]… [AGENT]",
               .summary = "Measures round trips: of a message to the broker and back, or to an agent, which answers by libloom "
                          "without any code of its own while its handlers are not busy. Nothing of it is traced. Fails when "
                          "none was answered.",
               .specs = specs,
               .spec_count = sizeof specs / sizeof specs[0],
               .trailer = "Examples:\n"
                          "  loom ping                                    the broker\n"
                          "  loom ping weather-1                          an agent; `loom agents` lists them\n"
                          "  loom ping --topic echo -n 10000 -i 0s -q --histogram\n"},
    .operands_max = 1,
};

typedef struct pinger {
    const options *options;
    bus_client client;
    interrupt stop;
    const char *agent, *topic, *capability; /* at most one */
    char mailbox[LOOM_TOPIC_MAX + 1];       /* of the agent, or our own */
    uint64_t count, sent, timeout_ms, interval_ns;
    latencies times;
    loom_status last;           /* why the last one failed */
    atomic_uint_least64_t echoed; /* number of the last message that came back to us */
} pinger;

/* Our own mailbox: what was sent to the broker has come back. */
static loom_status on_event(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    (void)agent;
    (void)topic;
    bus_client *client = user;
    pinger *p = client->user;
    uint64_t number;
    const loom_bytes payload = loom_envelope_payload(event);
    if (str_is(loom_envelope_type(event), ECHO_TYPE) && payload.len == PAYLOAD_SIZE) {
        memcpy(&number, payload.data, sizeof number);
        atomic_store(&p->echoed, number);
        bus_client_wake(client);
    }
    return LOOM_OK;
}

static loom_status ask_broker(pinger *p)
{
    uint64_t number = p->sent, woken;
    const uint64_t deadline = clock_monotonic_ns() + p->timeout_ms * NS_PER_MS;
    const loom_status st = loom_agent_emit(p->client.agent, p->mailbox, (loom_bytes){(const uint8_t *)&number, sizeof number},
                                           &(loom_emit_options){.type = ECHO_TYPE});
    while (st == LOOM_OK && atomic_load(&p->echoed) != number) {
        switch (interrupt_wait(&p->stop, p->client.wake_fd, deadline)) {
        case INTERRUPT_SIGNAL:
        case INTERRUPT_READER_GONE: return LOOM_ECANCELED;
        case INTERRUPT_TIME: return LOOM_ETIMEDOUT;
        default: (void)!read(p->client.wake_fd, &woken, sizeof woken); break;
        }
        if (bus_client_is_closed(&p->client)) {
            return LOOM_ECLOSED;
        }
    }
    return st;
}

static loom_status ask(pinger *p)
{
    loom_envelope *reply = NULL;
    const uint32_t timeout = (uint32_t)p->timeout_ms;
    if (p->capability != NULL) {
        return loom_agent_invoke(p->client.agent, p->capability, (loom_bytes){0}, &(loom_invoke_options){.deadline_ms = timeout}, NULL);
    }
    if (p->agent == NULL && p->topic == NULL) {
        return ask_broker(p);
    }
    const loom_request_options with = {.timeout_ms = timeout, .type = LOOM_PING_TYPE};
    const loom_status st = loom_agent_request(p->client.agent, p->topic != NULL ? p->topic : p->mailbox, (loom_bytes){0}, &with, &reply);
    loom_envelope_unref(reply);
    return st;
}

/* False: nobody reads it any more. */
static bool print_one(const pinger *p, loom_status st, uint64_t ns)
{
    char took[TEXT_DURATION_SIZE];
    if (options_is_on(p->options, "quiet") || options_is_on(p->options, "json")) {
        return true;
    }
    text_duration(took, ns);
    if (st == LOOM_OK) {
        printf("%" PRIu64 "  %s\n", p->sent, took);
    } else {
        printf("%" PRIu64 "  %s\n", p->sent, loom_status_text(st));
    }
    return fflush(stdout) == 0;
}

/* Until it is time for the next one. False: it is not wanted any more. */
static bool rest(pinger *p, uint64_t until_ns)
{
    return interrupt_wait(&p->stop, -1, until_ns) == INTERRUPT_TIME;
}

static void ping_all(pinger *p)
{
    const uint64_t began = clock_monotonic_ns();
    while (p->sent < p->count && !interrupt_is_there(&p->stop)) {
        p->sent++;
        const uint64_t at = clock_monotonic_ns();
        const loom_status st = ask(p);
        const uint64_t took = clock_monotonic_ns() - at;
        if (st == LOOM_OK) {
            latencies_add(&p->times, took);
        }
        if (p->stop.number != 0) {
            break;
        }
        p->last = st != LOOM_OK ? st : p->last;
        if (!print_one(p, st, took)) {
            break;
        }
        if (st == LOOM_ENORESPONDERS || st == LOOM_ECLOSED || st == LOOM_EDENIED) {
            break; /* the next one would fare no better */
        }
        if (p->sent < p->count && p->interval_ns > 0 && !rest(p, began + p->sent * p->interval_ns)) {
            break;
        }
    }
}

/* What was meant by a name that nobody has: another one, or one of another kind. */
static const char *hint(const pinger *p, const char *whom, char out[BUS_HINT_SIZE])
{
    bool is_capability = false;
    const bus_name_kind kind = p->agent != NULL ? BUS_AGENTS : p->topic != NULL ? BUS_SUBSCRIBED : BUS_CAPABILITIES;
    if (p->agent != NULL) {
        (void)bus_names_hint(out, &ping, p->options, BUS_CAPABILITIES, whom, "", &is_capability);
    }
    if (is_capability) {
        snprintf(out, BUS_HINT_SIZE, "; it is no agent but a capability: --capability %.120s", whom);
        return out;
    }
    return bus_names_hint(out, &ping, p->options, kind, whom,
                          p->capability != NULL ? "; `loom caps` lists what is available" : "; `loom agents` lists who is there", NULL);
}

static int print_result(pinger *p)
{
    const char *whom = p->agent != NULL ? p->agent : p->topic != NULL ? p->topic : p->capability != NULL ? p->capability : p->client.address;
    if (options_is_on(p->options, "json")) {
        json_t *all = json_pack("{s:o, s:o, s:o}", "to", json_text(str_of(whom)), "sent", json_uint64(p->sent), "answered", json_uint64(p->times.count));
        if (p->times.count > 0) {
            json_object_set_new(all, "ns", latencies_json(&p->times));
        }
        json_print_line(all);
    } else if (p->times.count > 0) {
        printf("%s: %" PRIu64 " sent, %zu answered\n", whom, p->sent, p->times.count);
        latencies_print(&p->times, stdout);
    }
    if (options_is_on(p->options, "histogram") && !options_is_on(p->options, "json")) {
        latencies_print_histogram(&p->times, stdout);
    }
    if (p->times.count == 0 && p->sent > 0 && p->last != LOOM_OK) {
        char text[BUS_HINT_SIZE];
        return command_fail_with(&ping, p->last, "%s: %s%s", whom, loom_status_text(p->last),
                                 p->last == LOOM_ENORESPONDERS ? hint(p, whom, text) : "");
    }
    return p->stop.number != 0 && p->sent < p->count ? VERB_INTERRUPTED : VERB_OK;
}

static int run_pings(pinger *p)
{
    int exit_code;
    if (!bus_client_open(&p->client, &ping, p->options, "ping", &(loom_agent_options){.on_event = on_event, .user = p, .quiet = true}, &exit_code)) {
        return exit_code;
    }
    snprintf(p->mailbox, sizeof p->mailbox, MAILBOX_PREFIX "%s" MAILBOX_SUFFIX, p->agent != NULL ? p->agent : loom_agent_id(p->client.agent));
    interrupt_begin(&p->stop);
    p->stop.output = STDOUT_FILENO; /* a reader that has gone */
    ping_all(p);
    interrupt_end(&p->stop);
    exit_code = print_result(p);
    (void)bus_client_close(&p->client);
    return exit_code;
}

static bool read_time(const options *o, const char *name, uint64_t fallback_ns, uint64_t *ns, int *exit_code)
{
    const char *text = options_value(o, name);
    *ns = fallback_ns;
    if (text != NULL && (!duration_parse(ns, str_of(text)) || *ns > 3600ull * 1000u * NS_PER_MS)) {
        *exit_code = command_misuse(&ping, "--%s must be a duration such as 500ms or 2s, not \"%s\"", name, text);
        return false;
    }
    return true;
}

static int run(const options *o)
{
    int exit_code = VERB_FAILED;
    const char *reason;
    uint64_t timeout;
    pinger p = {.options = o, .client = {.untraced = true}, .topic = options_value(o, "topic"), .capability = options_value(o, "capability"),
                .agent = o->operand_count > 0 ? o->operands[0] : NULL};
    if ((p.topic != NULL) + (p.capability != NULL) + (p.agent != NULL) > 1) {
        return command_misuse(&ping, "use one of AGENT, --topic and --capability");
    }
    const char *named = p.topic != NULL ? p.topic : p.agent;
    if (named != NULL && (loom_topic_check(str_of(named), &reason) != LOOM_OK || strlen(named) > LOOM_AGENT_ID_MAX)) {
        return command_misuse(&ping, "\"%s\" is no %s", named, p.topic != NULL ? "topic" : "agent id");
    }
    if (!trace_options_number(&ping, o, "count", 10, &p.count, &exit_code) ||
        !read_time(o, "interval", 100 * NS_PER_MS, &p.interval_ns, &exit_code) || !read_time(o, "timeout", 2000ull * NS_PER_MS, &timeout, &exit_code)) {
        return exit_code;
    }
    if (p.count == 0 || p.count > COUNT_MAX || timeout < NS_PER_MS) {
        return command_misuse(&ping, p.count == 0 || p.count > COUNT_MAX ? "--count must be from 1 to 1000000" : "--timeout must be 1ms or more");
    }
    p.timeout_ms = timeout / NS_PER_MS;
    exit_code = latencies_init(&p.times, p.count) ? run_pings(&p) : command_fail(&ping, "out of memory");
    latencies_fini(&p.times);
    return command_finish(&ping, exit_code);
}

int verb_ping(int argc, char *const argv[])
{
    return command_run(&ping, argc, argv, run);
}
