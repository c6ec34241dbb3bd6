/* SPDX-License-Identifier: Apache-2.0 */
/* hostile_agent MODE URL ID [NUMBER]: an agent that is well-behaved and meets hard luck. What it sees it prints, a line each.
 *   party      proposes to whatever is published to work.wanted, and prints what it takes for an award
 *   reenter    on "start" invokes "outer" and, in the callback of each of its chunks, "inner"
 *   stranger   invokes "free" from outside any handler; on "start" its handler waits for "slow"; provides "own"
 *   emitter    emits NUMBER events to "flow" (0: until the connection breaks), and prints what it counts as lost */
#include <loom/loom.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static atomic_bool broken;

static void say(const char *what)
{
    puts(what);
    fflush(stdout);
}

static void emit(loom_agent *agent, const char *topic)
{
    if (loom_agent_emit_text(agent, topic, "x", NULL) != LOOM_OK) {
        say("emit failed");
    }
}

static void nap(long ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

/* ---- party ---- */

static loom_status on_award(loom_agent *agent, loom_envelope *award, void *user)
{
    (void)agent;
    (void)user;
    if (award != NULL) {
        loom_str sender = loom_envelope_sender(award), key;
        bool keyed = loom_envelope_header(award, "loom.in_reply_to", &key) == LOOM_OK;
        printf("award %.*s %s\n", (int)sender.len, sender.data, keyed ? "keyed" : "unkeyed");
        fflush(stdout);
    }
    return LOOM_OK;
}

static loom_status propose(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    if (strcmp(topic, "work.wanted") != 0) {
        return LOOM_OK;
    }
    return loom_agent_propose(agent, event, 1.0, (loom_bytes){0}, on_award, user);
}

/* ---- reenter ---- */

static void on_outcome(loom_agent *agent, loom_result *result, void *user)
{
    (void)agent;
    (void)user;
    say("outcome");
    loom_result_free(result);
}

static void on_chunk(loom_agent *agent, uint64_t number, loom_bytes payload, void *user)
{
    (void)number;
    (void)payload;
    (void)user;
    loom_result *result;
    say("chunk begins");
    loom_status st = loom_agent_invoke(agent, "inner", (loom_bytes){0}, NULL, &result);
    if (st == LOOM_OK) {
        loom_result_free(result);
    }
    emit(agent, "after");
    say("chunk ends");
}

static loom_status start_outer(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    (void)event;
    if (strcmp(topic, "start") != 0) {
        say(topic);
        return LOOM_OK;
    }
    loom_invoke_options options = {.on_chunk = on_chunk, .deadline_ms = 20000};
    return loom_agent_invoke_async(agent, "outer", (loom_bytes){0}, &options, on_outcome, user, NULL);
}

/* ---- stranger ---- */

static void on_free(loom_agent *agent, loom_result *result, void *user)
{
    (void)user;
    emit(agent, "from.callback");
    loom_result_free(result);
}

static loom_status wait_for_slow(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    (void)event;
    (void)user;
    loom_result *result;
    if (strcmp(topic, "start") == 0 && loom_agent_invoke(agent, "slow", (loom_bytes){0}, NULL, &result) == LOOM_OK) {
        loom_result_free(result);
    }
    return LOOM_OK;
}

static loom_status on_own(loom_agent *agent, loom_action *action, void *user)
{
    (void)action;
    (void)user;
    emit(agent, "from.action");
    return LOOM_OK;
}

static loom_status provide_and_ask(loom_agent *agent)
{
    loom_status st = loom_agent_provide(agent, &(loom_capability){.name = "own", .on_action = on_own});
    if (st == LOOM_OK) {
        st = loom_agent_wait_connected(agent, 10000);
    }
    return st == LOOM_OK ? loom_agent_invoke_async(agent, "free", (loom_bytes){0}, NULL, on_free, NULL, NULL) : st;
}

/* ---- emitter ---- */

static void on_state(loom_agent *agent, loom_agent_state state, loom_status why, const char *text, void *user)
{
    (void)why;
    (void)text;
    (void)user;
    if (state == LOOM_AGENT_DISCONNECTED && !atomic_exchange(&broken, true)) {
        loom_agent_stats stats = loom_agent_get_stats(agent);
        printf("sent %" PRIu64 " lost %" PRIu64 "\n", stats.sent, stats.lost);
        fflush(stdout);
    }
}

static void emit_many(loom_agent *agent, uint64_t count)
{
    for (uint64_t i = 0; (count == 0 || i < count) && !atomic_load(&broken);) {
        loom_status st = loom_agent_emit(agent, "flow", (loom_bytes){(const uint8_t *)&i, sizeof i}, NULL);
        if (st == LOOM_OK) {
            i++;
        } else {
            nap(1); /* the buffer is full */
        }
    }
    (void)loom_agent_flush(agent, 5000); /* the counts tell */
    say("emitted");
}

int main(int argc, char *argv[])
{
    static const struct {
        const char *name;
        loom_on_event on_event;
    } modes[] = {{"party", propose}, {"reenter", start_outer}, {"stranger", wait_for_slow}, {"emitter", NULL}};
    loom_agent *agent;
    size_t mode = 0;
    while (argc >= 4 && mode < sizeof modes / sizeof *modes && strcmp(argv[1], modes[mode].name) != 0) {
        mode++;
    }
    if (argc < 4 || mode == sizeof modes / sizeof *modes) {
        return 2;
    }
    loom_on_event on_event = modes[mode].on_event;
    const char *const topics[] = {"start", "noise", "work.wanted", NULL};
    loom_agent_options options = {.id = argv[3], .url = argv[2], .topics = on_event != NULL ? topics : NULL,
                                  .on_event = on_event, .on_state = on_event == NULL ? on_state : NULL};
    if (loom_agent_open(&agent, &options) != LOOM_OK || loom_agent_wait_connected(agent, 10000) != LOOM_OK ||
        (on_event == wait_for_slow && provide_and_ask(agent) != LOOM_OK)) {
        return 1;
    }
    say("ready");
    if (on_event == NULL) {
        emit_many(agent, argc > 4 ? strtoull(argv[4], NULL, 10) : 0);
    }
    loom_status st = loom_agent_run_until_signal(agent);
    (void)loom_agent_close_within(agent, 500); /* its broker may be gone */
    return st == LOOM_OK ? 0 : 1;
}
