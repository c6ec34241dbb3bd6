/* SPDX-License-Identifier: Apache-2.0 */
/* Agents of an incident, with tests/integration/test_recorder.py:
 *   recorded_agents URL source COUNT RATE SEED   publishes COUNT events, RATE a second, to work.N; says how many of them will fail
 *                                                and how many will be slow
 *   recorded_agents URL steps RATE SEED          the same, as many as each line of its input says; event N has the correlation id N
 *   recorded_agents URL worker                   takes work.>: fails, is slow, or publishes to results.N
 *   recorded_agents URL watcher|victim           takes work.>, too
 *   recorded_agents URL last                     takes one of work.>, fails, and leaves
 *   recorded_agents URL failer                   takes work.>, and always fails
 *   recorded_agents URL waiter                   takes work.>, waits for a line of its input, and fails
 *   recorded_agents URL pair                     publishes one event to work.0 and leaves; another agent of the process stays until its
 *                                                input ends
 *   recorded_agents URL sink                     takes results.>
 * What becomes of an event is in its payload. */
#include <errno.h>
#include <loom/loom.h>
#include <loom/recorder.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FAILS = 0, SLOW = 1, OF = 1000, SLOW_MS = 30, TOPICS = 8 };

static unsigned fate(uint64_t n, uint64_t seed)
{
    uint64_t x = (n + 1) * UINT64_C(0x9e3779b97f4a7c15) + seed;
    x ^= x >> 31;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 29;
    return (unsigned)(x % OF);
}

static uint64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void sleep_ns(uint64_t ns)
{
    struct timespec left = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

static void publish(loom_agent *agent, uint64_t from, uint64_t count, uint64_t rate, uint64_t seed, bool named)
{
    static const char *const words[] = {[FAILS] = "fail", [SLOW] = "slow"};
    const uint64_t begun = now_ns();
    unsigned failed = 0, slow = 0, refused = 0;
    for (uint64_t n = from; n < from + count; n++) {
        char topic[32], id[32];
        const unsigned f = fate(n, seed);
        (void)snprintf(topic, sizeof topic, "work.%llu", (unsigned long long)(n % TOPICS));
        (void)snprintf(id, sizeof id, "%llu", (unsigned long long)n);
        const uint64_t due = begun + (n - from) * 1000000000u / rate, now = now_ns();
        if (due > now) {
            sleep_ns(due - now);
        }
        const loom_emit_options options = {.correlation_id = named ? id : NULL};
        refused += loom_agent_emit_text(agent, topic, f <= SLOW ? words[f] : "fine", &options) != LOOM_OK;
        failed += f == FAILS;
        slow += f == SLOW;
    }
    printf("failed=%u slow=%u refused=%u\n", failed, slow, refused);
    (void)fflush(stdout);
}

static int source(loom_agent *agent, uint64_t count, uint64_t rate, uint64_t seed)
{
    publish(agent, 0, count, rate, seed, false);
    return loom_agent_run_until_signal(agent) == LOOM_OK ? 0 : 1; /* what it has recorded may be wanted yet */
}

static int steps(loom_agent *agent, uint64_t rate, uint64_t seed)
{
    char line[32];
    for (uint64_t n = 0, count; fgets(line, sizeof line, stdin) != NULL; n += count) {
        count = strtoull(line, NULL, 10);
        publish(agent, n, count, rate, seed, true);
    }
    return 0;
}

static loom_status work(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    (void)user;
    const loom_bytes payload = loom_envelope_payload(event);
    if (payload.len == 4 && memcmp(payload.data, "fail", 4) == 0) {
        return LOOM_EIO;
    }
    if (payload.len == 4 && memcmp(payload.data, "slow", 4) == 0) {
        sleep_ns(SLOW_MS * UINT64_C(1000000));
    }
    char to[64];
    (void)snprintf(to, sizeof to, "results.%s", topic + sizeof "work." - 1);
    return loom_agent_emit(agent, to, payload, NULL);
}

static loom_status take(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    (void)agent;
    (void)topic;
    (void)event;
    (void)user;
    return LOOM_OK;
}

static loom_status fail(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    (void)agent;
    (void)topic;
    (void)event;
    (void)user;
    return LOOM_EIO;
}

static loom_status wait_and_fail(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    char line[32];
    printf("handling\n");
    (void)fflush(stdout);
    (void)!fgets(line, sizeof line, stdin);
    return fail(agent, topic, event, user);
}

static loom_status fail_and_leave(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    (void)topic;
    (void)event;
    (void)user;
    loom_agent_stop(agent);
    return LOOM_EIO;
}

static int serve(loom_agent *agent, const char *filter, loom_on_event handler)
{
    if (loom_agent_subscribe(agent, filter, &(loom_subscribe_options){.on_event = handler}, NULL) != LOOM_OK ||
        loom_agent_wait_connected(agent, 10000) != LOOM_OK) {
        return 1;
    }
    printf("ready\n");
    (void)fflush(stdout);
    const int st = loom_agent_run_until_signal(agent) == LOOM_OK ? 0 : 1;
    const loom_recorder_counts c = loom_recorder_counts_now();
    printf("recorded=%llu triggers=%llu limited=%llu kept=%llu\n", (unsigned long long)c.recorded, (unsigned long long)c.triggers,
           (unsigned long long)c.triggers_limited, (unsigned long long)c.kept);
    return st;
}

static int run(loom_agent *agent, int argc, char *argv[])
{
    uint64_t number[3] = {0};
    for (int i = 3; i < argc && i < 6; i++) {
        number[i - 3] = strtoull(argv[i], NULL, 10);
    }
    if (strcmp(argv[2], "source") == 0) {
        return source(agent, number[0], number[1], number[2]);
    }
    if (strcmp(argv[2], "steps") == 0) {
        return steps(agent, number[0], number[1]);
    }
    return strcmp(argv[2], "worker") == 0 ? serve(agent, "work.>", work)
           : strcmp(argv[2], "sink") == 0 ? serve(agent, "results.>", take)
           : strcmp(argv[2], "failer") == 0 ? serve(agent, "work.>", fail)
           : strcmp(argv[2], "waiter") == 0 ? serve(agent, "work.>", wait_and_fail)
           : strcmp(argv[2], "last") == 0 ? serve(agent, "work.>", fail_and_leave)
                                          : serve(agent, "work.>", take);
}

static int pair(const char *url)
{
    loom_agent *leaves, *stays;
    if (loom_agent_open(&leaves, &(loom_agent_options){.url = url, .id = "leaves"}) != LOOM_OK ||
        loom_agent_open(&stays, &(loom_agent_options){.url = url, .id = "stays"}) != LOOM_OK ||
        loom_agent_wait_connected(stays, 10000) != LOOM_OK ||
        loom_agent_emit_text(leaves, "work.0", "fine", NULL) != LOOM_OK || loom_agent_close_within(leaves, 10000) != LOOM_OK) {
        return 1;
    }
    printf("left\n");
    (void)fflush(stdout);
    (void)getchar();
    return loom_agent_close_within(stays, 10000) == LOOM_OK ? 0 : 1;
}

int main(int argc, char *argv[])
{
    loom_agent *agent;
    if (argc < 3 || (strcmp(argv[2], "source") == 0 && argc != 6) || (strcmp(argv[2], "steps") == 0 && argc != 5)) {
        return 2;
    }
    if (strcmp(argv[2], "pair") == 0) {
        return pair(argv[1]);
    }
    if (loom_agent_open(&agent, &(loom_agent_options){.url = argv[1], .id = argv[2]}) != LOOM_OK) {
        return 1;
    }
    int code = run(agent, argc, argv);
    if (loom_agent_close_within(agent, 10000) != LOOM_OK) {
        code = 1;
    }
    return code;
}
