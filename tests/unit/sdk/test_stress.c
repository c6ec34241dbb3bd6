/* SPDX-License-Identifier: Apache-2.0 */
/* Several threads emit while the bridge breaks the connection again and again: nothing arrives twice, nothing out of
 * order, and nothing is missing that does not count as lost. */
#include <loom/loom.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "envelope/view.h"
#include "tests/unit/sdk/fake_bridge.h"

enum { THREADS = 3, BREAKS = 5, SMALL = 20 };

/* What is emitted by each thread: every seventh message is a large one. */
typedef struct load {
    unsigned messages;
    size_t large;
    uint64_t window; /* credit */
} load;

static const load many = {.messages = 4000, .large = 200, .window = 20000};
/* The kernel takes no whole message at once. */
static const load huge = {.messages = 400, .large = 500000, .window = 1 << 20};

typedef struct stress {
    load load;
    fake_bridge bridge;
    loom_agent *agent;
    atomic_bool done;
    /* of the bridge's thread */
    long last[THREADS]; /* number of the last message of each */
    uint64_t arrived, out_of_order;
    unsigned sessions;
    bool breaks;
} stress;

typedef struct emitter {
    stress *s;
    int number;
    pthread_t thread;
    uint64_t failed;
} emitter;

static void *emit_all(void *arg)
{
    emitter *e = arg;
    const load *l = &e->s->load;
    char *text = malloc(l->large);
    assert_non_null(text);
    memset(text, '.', l->large);
    for (unsigned i = 1; i <= l->messages; i++) {
        int n = snprintf(text, SMALL, "%d %u", e->number, i);
        text[n] = ' ';
        loom_bytes payload = {(const uint8_t *)text, i % 7 == 0 ? l->large : SMALL};
        e->failed += loom_agent_emit(e->s->agent, "out", payload, NULL) != LOOM_OK;
    }
    free(text);
    return NULL;
}

static void take(stress *s, const frame_batch *batch, uint64_t *bytes)
{
    loom_bytes left = batch->items;
    for (uint32_t i = 0; i < batch->count; i++) {
        envelope_view view;
        const char *reason;
        int thread;
        long number;
        assert_status(LOOM_OK, envelope_scan(&view, left, NULL, &reason));
        loom_bytes payload = envelope_view_bytes(&view, ENV_PAYLOAD);
        char text[32];
        snprintf(text, sizeof text, "%.20s", (const char *)payload.data);
        assert_int_equal(2, sscanf(text, "%d %ld", &thread, &number));
        s->out_of_order += number <= s->last[thread];
        s->last[thread] = number;
        s->arrived++;
        left.data += view.len;
        left.len -= view.len;
        *bytes += view.len;
    }
}

/* One session; ended from this side after so many frames (0: when all is done). */
static void serve(stress *s, unsigned frames)
{
    fake_bridge *b = &s->bridge;
    uint64_t bytes = 0, granted = s->load.window;
    fake_bridge_session(b, 1);
    s->sessions++;
    for (unsigned i = 0; frames == 0 || i < frames;) {
        if (!fake_bridge_hears_something(b, 20)) {
            if (atomic_load(&s->done)) {
                return;
            }
            continue;
        }
        frame f = fake_bridge_next(b);
        if (f.type == FRAME_PUBLISH) {
            take(s, &f.u.batch, &bytes);
            i++;
        }
        if (granted - bytes < s->load.window / 2) {
            granted = bytes + s->load.window;
            assert_status(LOOM_OK, frame_put_credit(&b->out, 0, granted));
            fake_bridge_flush(b);
        }
    }
}

static void *bridge_thread(void *arg)
{
    stress *s = arg;
    for (unsigned i = 0; s->breaks && i < BREAKS; i++) {
        serve(s, 3 + i * 5);
        fake_bridge_drop(&s->bridge);
    }
    serve(s, 0);
    return NULL;
}

static void be_quiet(loom_agent *agent, loom_agent_state state, loom_status why, const char *text, void *user)
{
    (void)agent;
    (void)state;
    (void)why;
    (void)text;
    (void)user;
}

static void run(stress *s)
{
    pthread_t bridge;
    emitter emitters[THREADS];
    setenv("LOOM_TELEMETRY_AUTO", "0", 1);
    fake_bridge_open(&s->bridge);
    s->bridge.credit_bytes = s->load.window;
    loom_agent_options options = {.id = "stress", .url = s->bridge.url, .emit_timeout_ms = 30000, .on_state = be_quiet};
    assert_status(LOOM_OK, loom_agent_open(&s->agent, &options));
    assert_int_equal(0, pthread_create(&bridge, NULL, bridge_thread, s));
    assert_status(LOOM_OK, loom_agent_wait_connected(s->agent, 30000)); /* before, emit does not wait for room */
    for (int i = 0; i < THREADS; i++) {
        emitters[i] = (emitter){.s = s, .number = i};
        assert_int_equal(0, pthread_create(&emitters[i].thread, NULL, emit_all, &emitters[i]));
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(emitters[i].thread, NULL);
        assert_int_equal(0, emitters[i].failed);
    }
    assert_status(LOOM_OK, loom_agent_flush(s->agent, 30000));
    /* a session that broke after the flush has to be there again before the bridge may end */
    assert_status(LOOM_OK, loom_agent_wait_connected(s->agent, 30000));
    atomic_store(&s->done, true);
    pthread_join(bridge, NULL);
}

static void end(stress *s)
{
    fake_bridge_drop(&s->bridge);
    loom_agent_close_within(s->agent, 0);
    fake_bridge_close(&s->bridge);
}

static void all_arrives(load of_each)
{
    stress s = {.load = of_each};
    run(&s);
    assert_int_equal(THREADS * of_each.messages, s.arrived);
    assert_int_equal(0, s.out_of_order);
    assert_int_equal(0, loom_agent_get_stats(s.agent).lost);
    end(&s);
}

static void messages_of_many_threads_arrive_once_and_in_order(void **state)
{
    (void)state;
    all_arrives(many);
}

static void messages_that_the_kernel_takes_in_parts_do_too(void **state)
{
    (void)state;
    all_arrives(huge);
}

static void broken_connections_lose_nothing_that_is_not_counted(void **state)
{
    (void)state;
    stress s = {.load = many, .breaks = true};
    run(&s);
    loom_agent_stats stats = loom_agent_get_stats(s.agent);
    assert_int_equal(THREADS * many.messages, stats.sent);
    assert_int_equal(0, s.out_of_order); /* and so none twice */
    assert_true(s.arrived + stats.lost >= THREADS * many.messages);
    assert_int_equal(BREAKS, stats.reconnects);
    assert_int_equal(BREAKS + 1, s.sessions);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_of_many_threads_arrive_once_and_in_order),
        cmocka_unit_test(messages_that_the_kernel_takes_in_parts_do_too),
        cmocka_unit_test(broken_connections_lose_nothing_that_is_not_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
