/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting inside handlers: the agent goes on meanwhile, and nothing is out of order afterwards. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "sdk-c/agent/current.h"
#include "sdk-c/agent/waiting.h"
#include "tests/support/alloc_fault.h"
#include "tests/unit/sdk/agent_site.h"

#define TEXT(literal) ((loom_bytes){(const uint8_t *)literal, sizeof literal - 1})

typedef struct fixture {
    agent_site site; /* first */
    bool polled;
    atomic_uint handled;
    atomic_bool failed;
    char log[16384]; /* of the loop, until handled has been read */
    size_t logged;
} fixture;

static void note(fixture *f, const char *text)
{
    int n = snprintf(f->log + f->logged, sizeof f->log - f->logged, "%s,", text);
    f->logged += (size_t)n < sizeof f->log - f->logged ? (size_t)n : 0;
}

static void note_payload(fixture *f, loom_bytes payload)
{
    char text[32];
    snprintf(text, sizeof text, "%.*s", (int)payload.len, (const char *)payload.data);
    note(f, text);
}

static bool calls(fixture *f, const char *capability, const char *argument, const char *expected)
{
    loom_result *result;
    loom_bytes payload = {(const uint8_t *)argument, strlen(argument)};
    loom_status st = loom_agent_invoke(f->site.agent, capability, payload, NULL, &result);
    bool ok = st == LOOM_OK && loom_result_payload(result).len == strlen(expected) &&
              memcmp(loom_result_payload(result).data, expected, strlen(expected)) == 0;
    loom_result_free(result);
    return ok;
}

/* ---- handlers ---- */

static loom_status echo(loom_agent *agent, loom_action *action, void *user)
{
    (void)agent;
    (void)user;
    return loom_action_reply(action, loom_action_payload(action));
}

/* Calls itself with one less, until nothing is left; the depth reached is the answer. */
static loom_status descend(loom_agent *agent, loom_action *action, void *user)
{
    (void)user;
    char text[16] = "";
    loom_bytes payload = loom_action_payload(action);
    memcpy(text, payload.data, payload.len);
    int left = atoi(text);
    if (left == 0) {
        return loom_action_reply(action, TEXT("bottom"));
    }
    loom_result *result;
    int len = snprintf(text, sizeof text, "%d", left - 1);
    loom_status st = loom_agent_invoke(agent, "descend", (loom_bytes){(uint8_t *)text, (size_t)len}, NULL, &result);
    if (st == LOOM_OK) {
        st = loom_action_reply(action, loom_result_payload(result));
    }
    loom_result_free(result);
    return st;
}

/* Waits for an answer, and looks whether its own event is still what it was. */
static loom_status on_event(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    (void)agent;
    fixture *f = user;
    char before[64], after[64];
    loom_bytes payload = loom_envelope_payload(event);
    snprintf(before, sizeof before, "%s %.*s", topic, (int)payload.len, (const char *)payload.data);
    bool ok = calls(f, "echo", "hello", "hello");
    payload = loom_envelope_payload(event);
    snprintf(after, sizeof after, "%s %.*s", topic, (int)payload.len, (const char *)payload.data);
    if (!ok || strcmp(before, after) != 0 || current_get().envelope != event) {
        atomic_store(&f->failed, true);
    }
    note_payload(f, payload);
    atomic_fetch_add(&f->handled, 1);
    return LOOM_OK;
}

/* ---- set-up ---- */

static void open_agent_with(fixture *f, bool polled, uint32_t receive_messages)
{
    static const char *const topics[] = {"in", NULL};
    static const struct {
        const char *name;
        loom_on_action on_action;
    } provided[] = {{"echo", echo}, {"descend", descend}};
    loom_agent_options options = {.id = "waiter",
                                  .url = f->site.bridge.url,
                                  .topics = topics,
                                  .on_event = on_event,
                                  .user = f,
                                  .poll_mode = polled,
                                  .receive_messages = receive_messages};
    f->polled = polled;
    assert_status(LOOM_OK, loom_agent_open(&f->site.agent, &options));
    for (size_t i = 0; i < 2; i++) {
        loom_capability c = {.name = provided[i].name, .on_action = provided[i].on_action, .user = f};
        assert_status(LOOM_OK, loom_agent_provide(f->site.agent, &c));
    }
    site_relay(&f->site);
}

static void open_agent(fixture *f, bool polled)
{
    open_agent_with(f, polled, 0);
}

static int set_up(void **state)
{
    site_set_up(state, sizeof(fixture));
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    site_tear_down(&f->site);
    return 0;
}

static void emit_numbers(fixture *f, int count)
{
    for (int i = 0; i < count; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        assert_status(LOOM_OK, loom_agent_emit_text(f->site.agent, "in", text, NULL));
    }
}

static void expect_numbers(fixture *f, int count)
{
    char expected[sizeof f->log] = "";
    size_t used = 0;
    for (int i = 0; i < count; i++) {
        used += (size_t)snprintf(expected + used, sizeof expected - used, "%d,", i);
    }
    assert_string_equal(expected, f->log);
    assert_false(atomic_load(&f->failed));
}

static bool progressed(fixture *f, unsigned count)
{
    if (f->polled) {
        (void)loom_agent_poll(f->site.agent, 1);
    }
    return atomic_load(&f->handled) == count;
}

/* ---- tests ---- */

static void a_handler_may_wait_for_an_outcome(void **state)
{
    fixture *f = *state;
    open_agent(f, false);
    emit_numbers(f, 1);
    wait_until(progressed(f, 1), FAKE_DEADLINE_MS);
    expect_numbers(f, 1);
}

static void events_that_come_meanwhile_are_handled_in_order(void **state)
{
    fixture *f = *state;
    open_agent(f, false);
    emit_numbers(f, 1000);
    wait_until(progressed(f, 1000), FAKE_DEADLINE_MS);
    expect_numbers(f, 1000);
}

static void credit_goes_on_for_events_that_were_kept(void **state)
{
    fixture *f = *state;
    open_agent_with(f, false, 4);
    /* the relay does not count credit: what matters is that all of them are granted again */
    emit_numbers(f, 100);
    wait_until(progressed(f, 100), FAKE_DEADLINE_MS);
    expect_numbers(f, 100);
    wait_until(atomic_load(&f->site.relay.credit_messages) >= 102, FAKE_DEADLINE_MS); /* at most half a window is not renewed */
}

static void the_same_in_poll_mode(void **state)
{
    fixture *f = *state;
    open_agent(f, true);
    assert_true(calls(f, "echo", "from outside", "from outside"));
    emit_numbers(f, 200);
    wait_until(progressed(f, 200), FAKE_DEADLINE_MS);
    expect_numbers(f, 200);
}

static void a_provider_may_invoke_itself(void **state)
{
    fixture *f = *state;
    open_agent(f, false);
    assert_true(calls(f, "descend", "1", "bottom"));
    assert_true(calls(f, "descend", "10", "bottom"));
}

static void handlers_wait_sixteen_deep_and_no_deeper(void **state)
{
    fixture *f = *state;
    open_agent(f, false);
    assert_true(calls(f, "descend", "15", "bottom"));
    loom_result *result;
    loom_invoke_options options = {.deadline_ms = 300};
    /* the sixteenth waits for one that waits for it to return */
    assert_status(LOOM_ETIMEDOUT, loom_agent_invoke(f->site.agent, "descend", TEXT("17"), &options, &result));
    assert_non_null(result);
    loom_result_free(result);
    assert_true(calls(f, "echo", "alive", "alive"));
}

enum { THREADS = 6, CALLS_EACH = 100 };

static void *call_often(void *user)
{
    fixture *f = user;
    for (int i = 0; i < CALLS_EACH; i++) {
        char text[32];
        snprintf(text, sizeof text, "%d %p", i, (void *)text);
        if (!calls(f, i % 10 == 0 ? "descend" : "echo", i % 10 == 0 ? "3" : text, i % 10 == 0 ? "bottom" : text)) {
            atomic_store(&f->failed, true);
        }
    }
    return NULL;
}

static void threads_and_handlers_invoke_at_once(void **state)
{
    fixture *f = *state;
    pthread_t threads[THREADS];
    open_agent(f, false);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(0, pthread_create(&threads[i], NULL, call_often, f));
    }
    emit_numbers(f, 200);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    wait_until(progressed(f, 200), FAKE_DEADLINE_MS);
    expect_numbers(f, 200);
}

/* ---- what the loop's own users see ---- */

typedef struct timed {
    agent_timer timer;
    atomic_uint fired;
    unsigned place;
} timed;

static atomic_uint places;

static void on_timer(loom_agent *a, agent_timer *timer)
{
    (void)a;
    timed *t = (timed *)timer;
    t->place = atomic_fetch_add(&places, 1);
    atomic_fetch_add(&t->fired, 1);
}

static void timers_fire_in_their_order(void **state)
{
    fixture *f = *state;
    enum { TIMERS = 50 };
    static timed timers[TIMERS];
    open_agent(f, false);
    uint64_t base = clock_monotonic_ns() + 20 * MS_NS;
    pthread_mutex_lock(&f->site.agent->loop.lock);
    for (unsigned i = 0; i < TIMERS; i++) {
        timers[i].timer.fire = on_timer;
        assert_status(LOOM_OK, loop_timer_set(&f->site.agent->loop, &timers[i].timer, NEVER - 1));
        assert_status(LOOM_OK, loop_timer_set(&f->site.agent->loop, &timers[i].timer, base + (i * 7 % TIMERS) * 1000));
    }
    loop_timer_clear(&f->site.agent->loop, &timers[0].timer);
    loop_timer_clear(&f->site.agent->loop, &timers[0].timer); /* not set: nothing */
    pthread_mutex_unlock(&f->site.agent->loop.lock);
    for (unsigned i = 1; i < TIMERS; i++) {
        wait_until(atomic_load(&timers[i].fired) == 1, FAKE_DEADLINE_MS);
        assert_int_equal(i * 7 % TIMERS - 1, timers[i].place);
    }
    assert_int_equal(0, atomic_load(&timers[0].fired));
}

static bool never(void *user)
{
    (void)user;
    return false;
}

static void waiting_ends_at_its_deadline(void **state)
{
    fixture *f = *state;
    open_agent(f, false);
    assert_status(LOOM_ETIMEDOUT, agent_wait_for(f->site.agent, never, NULL, clock_monotonic_ns() + 10 * MS_NS));
}

static void *wait_long(void *user)
{
    loom_status *st = user;
    fixture *f = *(fixture **)(st + 2);
    *st = agent_wait_for(f->site.agent, never, NULL, NEVER);
    return NULL;
}

static void waiting_ends_when_the_agent_closes(void **state)
{
    fixture *f = *state;
    struct {
        loom_status st, unused;
        fixture *f;
    } waiter = {.f = f};
    pthread_t thread;
    open_agent(f, false);
    assert_int_equal(0, pthread_create(&thread, NULL, wait_long, &waiter));
    bool waits = false;
    while (!waits) {
        pthread_mutex_lock(&f->site.agent->loop.lock);
        waits = f->site.agent->loop.guests > 0;
        pthread_mutex_unlock(&f->site.agent->loop.lock);
    }
    loom_agent_close_within(f->site.agent, 100);
    f->site.agent = NULL;
    pthread_join(thread, NULL);
    assert_status(LOOM_ECLOSED, waiter.st);
}

/* ---- without memory ---- */

/* The agent is polled by this thread: so it is the loop that lacks memory. Calls may be lost, but each ends. */
static loom_status live_hungry(void *user)
{
    fixture *f = user;
    loom_result *result = NULL;
    loom_invoke_options options = {.deadline_ms = 50};
    unsigned handled = atomic_load(&f->handled);
    loom_status st = loom_agent_invoke(f->site.agent, "descend", TEXT("2"), &options, &result);
    loom_result_free(result);
    if (st == LOOM_OK && (st = loom_agent_emit_text(f->site.agent, "in", "0", NULL)) == LOOM_OK) {
        for (int i = 0; i < 100 && atomic_load(&f->handled) == handled; i++) {
            (void)loom_agent_poll(f->site.agent, 1);
        }
    }
    return st;
}

static void nested_handlers_survive_missing_memory(void **state)
{
    fixture *f = *state;
    open_agent(f, true);
    assert_in_range(alloc_fault_each_survived(live_hungry, f), 20, 2000);
    atomic_store(&f->failed, false);
    assert_status(LOOM_OK, loom_agent_wait_connected(f->site.agent, FAKE_DEADLINE_MS));
    assert_true(calls(f, "descend", "3", "bottom"));
}

/* ---- a session that ends while a handler waits ---- */

static atomic_uint waits_begun, lost;

static loom_status wait_through_the_end(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    (void)topic;
    (void)event;
    loom_result *result;
    atomic_fetch_add(&waits_begun, 1);
    loom_status st = loom_agent_invoke(agent, "elsewhere", TEXT("x"), user, &result);
    if (st == LOOM_EREMOTE && strcmp(loom_result_code(result), "disconnected") == 0) {
        atomic_fetch_add(&lost, 1);
    }
    loom_result_free(result);
    return st;
}

static void the_session_may_end_and_begin_again_meanwhile(void **state)
{
    fixture *f = *state;
    static const char *const topics[] = {"in", NULL};
    loom_invoke_options idempotent = {.idempotent = true};
    for (int again = 0; again < 2; again++) {
        heard_call heard;
        loom_agent_options options = {.id = "waiter",
                                      .url = f->site.bridge.url,
                                      .topics = topics,
                                      .on_event = wait_through_the_end,
                                      .user = again ? &idempotent : NULL};
        atomic_store(&waits_begun, 0);
        atomic_store(&lost, 0);
        assert_status(LOOM_OK, loom_agent_open(&f->site.agent, &options));
        uint64_t number = fake_bridge_session(&f->site.bridge, 2);
        loom_envelope_fields fields = {.topic = STR("in"), .sender = STR("somebody")};
        fake_bridge_deliver(&f->site.bridge, number, &fields);
        fake_bridge_expect_call(&f->site.bridge, &heard, "elsewhere");
        fake_bridge_deliver(&f->site.bridge, number, &fields); /* kept */
        fake_bridge_drop(&f->site.bridge);
        fake_bridge_session(&f->site.bridge, 2);
        fake_bridge_expect_call(&f->site.bridge, &heard, "elsewhere"); /* the same, or that of the second event */
        fake_bridge_result(&f->site.bridge, heard.id, FRAME_CALL_OK, "", "");
        if (again) {
            fake_bridge_expect_call(&f->site.bridge, &heard, "elsewhere");
            fake_bridge_result(&f->site.bridge, heard.id, FRAME_CALL_OK, "", "");
        }
        wait_until(loom_agent_get_stats(f->site.agent).received == 2, FAKE_DEADLINE_MS);
        assert_int_equal(again ? 0 : 1, atomic_load(&lost));
        fake_bridge_deliver(&f->site.bridge, number, &fields); /* and it goes on */
        fake_bridge_expect_call(&f->site.bridge, &heard, "elsewhere");
        fake_bridge_result(&f->site.bridge, heard.id, FRAME_CALL_OK, "", "");
        wait_until(loom_agent_get_stats(f->site.agent).received == 3, FAKE_DEADLINE_MS);
        fake_bridge_drop(&f->site.bridge);
        loom_agent_close_within(f->site.agent, 100);
        f->site.agent = NULL;
    }
}

static void closing_ends_a_wait_inside_a_handler(void **state)
{
    fixture *f = *state;
    static const char *const topics[] = {"in", NULL};
    heard_call heard;
    loom_agent_options options = {
        .id = "waiter", .url = f->site.bridge.url, .topics = topics, .on_event = wait_through_the_end};
    assert_status(LOOM_OK, loom_agent_open(&f->site.agent, &options));
    uint64_t number = fake_bridge_session(&f->site.bridge, 2);
    fake_bridge_deliver_text(&f->site.bridge, number, "in", "x");
    fake_bridge_expect_call(&f->site.bridge, &heard, "elsewhere");
    loom_agent_close_within(f->site.agent, 50);
    f->site.agent = NULL;
}

#define WITH_SITE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SITE(a_handler_may_wait_for_an_outcome),
        WITH_SITE(events_that_come_meanwhile_are_handled_in_order),
        WITH_SITE(credit_goes_on_for_events_that_were_kept),
        WITH_SITE(the_same_in_poll_mode),
        WITH_SITE(a_provider_may_invoke_itself),
        WITH_SITE(handlers_wait_sixteen_deep_and_no_deeper),
        WITH_SITE(threads_and_handlers_invoke_at_once),
        WITH_SITE(timers_fire_in_their_order),
        WITH_SITE(nested_handlers_survive_missing_memory),
        WITH_SITE(waiting_ends_at_its_deadline),
        WITH_SITE(waiting_ends_when_the_agent_closes),
        WITH_SITE(the_session_may_end_and_begin_again_meanwhile),
        WITH_SITE(closing_ends_a_wait_inside_a_handler),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
