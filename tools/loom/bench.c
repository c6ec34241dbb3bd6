/* SPDX-License-Identifier: Apache-2.0 */
/* loom bench: how much one's own broker carries. loom-bench, next to it, measures brokers of its own against other buses. Safe
 * by default: a topic that nobody else uses, an end after some seconds, nothing traced. */
#include <inttypes.h>
#include <loom/agent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/duration.h"
#include "base/str.h"
#include "base/thread.h"
#include "tools/loom/bus_client.h"
#include "tools/loom/event_json.h"
#include "tools/loom/interrupt.h"
#include "tools/loom/latencies.h"
#include "tools/loom/pace.h"
#include "tools/loom/trace_options.h"
#include "tools/loom/verbs.h"

#define NS_PER_S 1e9
enum { AGENTS_MAX = 64, SAMPLES_MAX = 100000, SIZE_LEAST = sizeof(uint64_t), QUIET_MS = 2000, NAME_SIZE = 160 };

static const option_spec specs[] = {
    {.name = "count", .letter = 'n', .kind = OPTION_VALUE, .value = "N", .fallback = "100000", .group = "Load", .help = "Messages of each publisher"},
    {.name = "size", .letter = 's', .kind = OPTION_VALUE, .value = "BYTES", .fallback = "128", .group = "Load", .help = "Size of a payload"},
    {.name = "publishers", .letter = 'p', .kind = OPTION_VALUE, .value = "N", .fallback = "1", .group = "Load", .help = "Number of agents that publish, 64 at most"},
    {.name = "subscribers", .letter = 'S', .kind = OPTION_VALUE, .value = "N", .fallback = "1", .group = "Load", .help = "Number of agents that get every message, 64 at most"},
    {.name = "rate", .kind = OPTION_VALUE, .value = "N", .group = "Load", .help = "At most so many messages a second of each publisher; then latencies are those of the bus, not of its queues"},
    {.name = "max-time", .kind = OPTION_VALUE, .value = "TIME", .fallback = "10s", .group = "Load", .help = "Stop publishing after this time"},
    {.name = "json", .kind = OPTION_FLAG, .group = "Output", .help = "Print the result as one JSON object"},
    {.name = "histogram", .kind = OPTION_FLAG, .group = "Output", .help = "Show how latencies are distributed"},
    OPTIONS_BUS,
    OPTION_HELP,
};

static const command bench = {
    .manual = {.program = "loom bench",
               .synopsis = "[OPTION]…",
               .summary = "Publishes messages to a topic of its own as fast as the broker takes them, receives them again, and tells "
                          "rates, latencies and losses. Nothing of it is traced, and nobody else gets it, but for who subscribes "
                          "to everything; other agents of the broker share its processor meanwhile.",
               .specs = specs,
               .spec_count = sizeof specs / sizeof specs[0],
               .trailer = "Examples:\n"
                          "  loom bench\n"
                          "  loom bench --subscribers 4 --size 1024\n"
                          "  loom bench --rate 1000 -n 5000 --histogram   latencies of a bus that is not full\n"},
};

typedef struct bench_run bench_run;

typedef struct bench_agent {
    bench_run *run;
    loom_agent *agent;
    pthread_t thread;         /* of a publisher */
    bool started;
    atomic_uint_least64_t count; /* sent, or received */
    latencies times;          /* a subscriber's: its agent's thread, read when that has ended */
    uint64_t ended_ns;        /* the same; of the last message */
} bench_agent;

struct bench_run {
    const options *options;
    bus_client client;        /* watches over the others, which share its telemetry */
    interrupt stop;
    pace pace;
    char topic[NAME_SIZE];
    uint64_t count, size, publishers, subscribers, max_ns;
    uint64_t began_ns, published_ns;
    bench_agent publisher[AGENTS_MAX], subscriber[AGENTS_MAX];
    atomic_bool over;         /* publishers end */
    atomic_uint_least64_t failed;
};

static loom_status on_event(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    (void)agent;
    (void)topic;
    bench_agent *a = user;
    const loom_bytes payload = loom_envelope_payload(event);
    uint64_t sent;
    if (payload.len < SIZE_LEAST) {
        return LOOM_OK;
    }
    memcpy(&sent, payload.data, sizeof sent);
    a->ended_ns = clock_monotonic_ns();
    const uint64_t number = atomic_fetch_add(&a->count, 1), all = a->run->count * a->run->publishers;
    if (all <= SAMPLES_MAX || number % (all / SAMPLES_MAX + 1) == 0) {
        latencies_add(&a->times, a->ended_ns - sent);
    }
    return LOOM_OK;
}

static void *publish(void *user)
{
    bench_agent *a = user;
    bench_run *r = a->run;
    uint8_t *payload = calloc(1, r->size);
    pace own = r->pace;
    interrupt none = {.fd = -1, .output = -1};
    for (uint64_t i = 0; payload != NULL && i < r->count && !atomic_load_explicit(&r->over, memory_order_relaxed); i++) {
        (void)pace_wait(&own, &none);
        const uint64_t now = clock_monotonic_ns();
        memcpy(payload, &now, sizeof now);
        const loom_status st = loom_agent_emit(a->agent, r->topic, (loom_bytes){payload, r->size}, NULL);
        if (st == LOOM_OK) {
            atomic_fetch_add_explicit(&a->count, 1, memory_order_relaxed);
        } else {
            atomic_fetch_add(&r->failed, 1);
        }
    }
    (void)loom_agent_flush(a->agent, 5000);
    free(payload);
    return NULL;
}

static void on_state(loom_agent *agent, loom_agent_state state, loom_status why, const char *text, void *user)
{
    (void)agent;
    (void)state;
    (void)why;
    (void)text;
    (void)user; /* the client's own agent tells */
}

static loom_status open_agent(bench_run *r, bench_agent *a, const char *kind, uint64_t number, bool subscribes)
{
    char id[NAME_SIZE];
    const char *const topics[] = {r->topic, NULL};
    snprintf(id, sizeof id, "%s-%s-%" PRIu64, loom_agent_id(r->client.agent), kind, number);
    a->run = r;
    loom_status st = loom_agent_open(&a->agent, &(loom_agent_options){.id = id, .quiet = true, .url = options_value(r->options, "url"), .user = a,
                                     .topics = subscribes ? topics : NULL, .on_event = subscribes ? on_event : NULL, .on_state = on_state,
                                     .emit_timeout_ms = 10000, .telemetry = r->client.tracing.provider});
    return st == LOOM_OK ? loom_agent_wait_connected(a->agent, 5000) : st;
}

static loom_status open_agents(bench_run *r)
{
    loom_status st = LOOM_OK;
    for (uint64_t i = 0; i < r->subscribers && st == LOOM_OK; i++) {
        st = latencies_init(&r->subscriber[i].times, SAMPLES_MAX) ? open_agent(r, &r->subscriber[i], "sub", i, true) : LOOM_ENOMEM;
    }
    for (uint64_t i = 0; i < r->publishers && st == LOOM_OK; i++) {
        st = open_agent(r, &r->publisher[i], "pub", i, false);
    }
    return st;
}

static uint64_t total(const bench_agent *agents, uint64_t count)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < count; i++) {
        sum += atomic_load(&agents[i].count);
    }
    return sum;
}

/* Until all has come, or nothing comes any more. False: interrupted. */
static bool wait_for_all(bench_run *r)
{
    enum { LOOK_MS = 20 };
    uint64_t before = 0, quiet_since = clock_monotonic_ns();
    for (;;) {
        const uint64_t now = clock_monotonic_ns(), sent = total(r->publisher, r->publishers), got = total(r->subscriber, r->subscribers);
        const bool over = atomic_load(&r->over) || sent + atomic_load(&r->failed) >= r->count * r->publishers;
        if (now - r->began_ns >= r->max_ns) {
            atomic_store(&r->over, true);
        }
        quiet_since = got + sent != before ? now : quiet_since;
        before = got + sent;
        if (over && (got >= sent * r->subscribers || now - quiet_since >= QUIET_MS * 1000000u)) {
            return true;
        }
        if (interrupt_wait(&r->stop, -1, now + LOOK_MS * 1000000u) == INTERRUPT_SIGNAL) {
            return false;
        }
    }
}

/* False: interrupted. */
static bool run_load(bench_run *r)
{
    r->began_ns = clock_monotonic_ns();
    for (uint64_t i = 0; i < r->publishers; i++) {
        r->publisher[i].started = thread_start(&r->publisher[i].thread, NULL, publish, &r->publisher[i]) == 0;
    }
    const bool whole = wait_for_all(r);
    atomic_store(&r->over, true);
    for (uint64_t i = 0; i < r->publishers; i++) {
        if (r->publisher[i].started) {
            pthread_join(r->publisher[i].thread, NULL);
        }
    }
    return whole;
}

static void close_agents(bench_run *r)
{
    for (uint64_t i = 0; i < AGENTS_MAX; i++) {
        (void)loom_agent_close_within(r->publisher[i].agent, 2000);
        (void)loom_agent_close_within(r->subscriber[i].agent, 1000);
    }
}

/* Of all subscribers in one; the first one's memory. */
static latencies gather(bench_run *r)
{
    latencies all;
    if (!latencies_init(&all, SAMPLES_MAX * r->subscribers)) {
        return (latencies){0};
    }
    for (uint64_t i = 0; i < r->subscribers; i++) {
        const latencies *one = &r->subscriber[i].times;
        for (size_t k = 0; k < one->count; k++) {
            latencies_add(&all, one->ns[k]);
        }
    }
    return all;
}

static void print_result(bench_run *r)
{
    uint64_t ended = r->began_ns;
    for (uint64_t i = 0; i < r->subscribers; i++) {
        ended = r->subscriber[i].ended_ns > ended ? r->subscriber[i].ended_ns : ended;
    }
    const uint64_t sent = total(r->publisher, r->publishers), got = total(r->subscriber, r->subscribers), due = sent * r->subscribers;
    const double seconds = ended > r->began_ns ? (double)(ended - r->began_ns) / NS_PER_S : 1;
    latencies all = gather(r);
    char rate[PACE_SIZE_SIZE];
    pace_size(rate, (double)(got * r->size) / seconds);
    if (options_is_on(r->options, "json")) {
        json_t *out = json_pack("{s:o, s:o, s:o, s:f, s:f, s:f}", "published", json_uint64(sent), "delivered", json_uint64(got), "lost",
                                json_uint64(due > got ? due - got : 0), "seconds", seconds, "published_per_second", (double)sent / seconds,
                                "delivered_per_second", (double)got / seconds);
        if (all.count > 0) {
            json_object_set_new(out, "latency_ns", latencies_json(&all));
        }
        json_print_line(out);
    } else {
        printf("published  %12" PRIu64 "  %12.0f/s\ndelivered  %12" PRIu64 "  %12.0f/s  %s/s\nlost       %12" PRIu64 "\nlatency    ", sent,
               (double)sent / seconds, got, (double)got / seconds, rate, due > got ? due - got : 0);
        latencies_print(&all, stdout);
        if (options_is_on(r->options, "histogram")) {
            latencies_print_histogram(&all, stdout);
        }
    }
    latencies_fini(&all);
}

static int measure(bench_run *r)
{
    int exit_code;
    if (!bus_client_open(&r->client, &bench, r->options, "bench", &(loom_agent_options){.quiet = true}, &exit_code)) {
        return exit_code;
    }
    snprintf(r->topic, sizeof r->topic, "loom.bench.%s", loom_agent_id(r->client.agent));
    interrupt_begin(&r->stop);
    const loom_status st = open_agents(r);
    const bool whole = st == LOOM_OK && run_load(r);
    interrupt_end(&r->stop);
    close_agents(r); /* and with them the threads that count */
    if (st == LOOM_OK) {
        print_result(r);
        exit_code = whole ? VERB_OK : VERB_INTERRUPTED;
    } else {
        exit_code = command_fail_with(&bench, st, "cannot open an agent: %s", loom_status_text(st));
    }
    if (atomic_load(&r->failed) > 0) {
        exit_code = command_fail(&bench, "%" PRIu64 " messages could not be published", (uint64_t)atomic_load(&r->failed));
    }
    (void)bus_client_close(&r->client);
    for (uint64_t i = 0; i < r->subscribers; i++) {
        latencies_fini(&r->subscriber[i].times);
    }
    return exit_code;
}

static bool read_number(const options *o, const char *name, uint64_t fallback, uint64_t from, uint64_t to, uint64_t *out, int *exit_code)
{
    if (!trace_options_number(&bench, o, name, fallback, out, exit_code)) {
        return false;
    }
    if (*out < from || *out > to) {
        *exit_code = command_misuse(&bench, "--%s must be from %" PRIu64 " to %" PRIu64, name, from, to);
        return false;
    }
    return true;
}

static int run(const options *o)
{
    int exit_code = VERB_FAILED;
    const char *max_time = options_value(o, "max-time");
    bench_run *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return command_fail(&bench, "out of memory");
    }
    r->options = o;
    r->client.untraced = true;
    r->max_ns = 10000000000u;
    if (max_time != NULL && (!duration_parse(&r->max_ns, str_of(max_time)) || r->max_ns == 0)) {
        exit_code = command_misuse(&bench, "--max-time must be a duration such as 10s, not \"%s\"", max_time);
    } else if (read_number(o, "count", 100000, 1, 1000000000, &r->count, &exit_code) &&
               read_number(o, "size", 128, SIZE_LEAST, LOOM_PAYLOAD_MAX, &r->size, &exit_code) &&
               read_number(o, "publishers", 1, 1, AGENTS_MAX, &r->publishers, &exit_code) &&
               read_number(o, "subscribers", 1, 1, AGENTS_MAX, &r->subscribers, &exit_code) && pace_read(&r->pace, &bench, o, &exit_code)) {
        exit_code = measure(r);
    }
    free(r);
    return command_finish(&bench, exit_code);
}

int verb_bench(int argc, char *const argv[])
{
    return command_run(&bench, argc, argv, run);
}
