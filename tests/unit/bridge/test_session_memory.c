/* SPDX-License-Identifier: Apache-2.0 */
/* The bridge when memory runs out: a session that cannot go on says so or closes, the others live, nothing leaks. */
#include <stdlib.h>

#include "tests/support/alloc_fault.h"
#include "tests/unit/bridge/fake_bus.h"

static void nothing(void *user)
{
    (void)user;
}

static void note_end(void *user)
{
    *(bool *)user = true;
}

static const session_io io = {nothing, note_end, NULL};

typedef struct scenario {
    frame_writer hello, work; /* what the agent sends */
    loom_envelope *delivery;
} scenario;

static loom_status create_and_open(void *user)
{
    (void)user;
    fake_bus fake;
    fake_bus_init(&fake);
    loop_clock clock = {0};
    bridge *b;
    bool ended = false;
    loom_status st = bridge_create(&b, &clock, &(bridge_options){.id = "b", .software = "s", .bus = &fake.base});
    if (st != LOOM_OK) {
        return st;
    }
    session *s;
    st = session_open(b, &s, &io, &ended, "test");
    assert_true((s != NULL) == (st == LOOM_OK));
    if (st == LOOM_OK) {
        session_close(s);
    }
    bridge_destroy(b);
    return st;
}

static void receive(session *s, const frame_writer *from)
{
    static uint8_t copy[8192]; /* the bytes may be changed */
    size_t need;
    assert_true(from->len <= sizeof copy);
    memcpy(copy, from->data, from->len);
    assert_int_equal(from->len, session_receive(s, copy, from->len, &need));
}

/* LOOM_ENOMEM: the session was ended. LOOM_OK: it did all of its work. */
static loom_status whole_session(void *user)
{
    scenario *sc = user;
    fake_bus fake;
    fake_bus_init(&fake);
    loop_clock clock = {0};
    bridge *b;
    session *s;
    bool ended = false;
    loom_status st = bridge_create(&b, &clock, &(bridge_options){.id = "b", .software = "s", .bus = &fake.base});
    if (st != LOOM_OK) {
        return st;
    }
    if ((st = session_open(b, &s, &io, &ended, "test")) != LOOM_OK) {
        goto destroy;
    }
    receive(s, &sc->hello);
    receive(s, &sc->work);
    if (!ended) {
        fake_bus_deliver(&fake, "a", 1, loom_envelope_wire(sc->delivery));
        fake_bus_call(&fake, "a", &(frame_call){.call_id = BYTES("id"), .capability = STR("c")},
                      loom_envelope_wire(sc->delivery));
        fake_bus_say(&fake, "a", &(frame){.type = FRAME_RESULT, .u.result = {.call_id = BYTES("id")}});
        clock.now_ms = 20000;
        bridge_tick(b); /* time for a ping */
        clock.now_ms++;
        bridge_tick(b);
    }
    assert_int_equal(ended, fake.attached == fake.detached); /* an ended session has left the bus at once */
    st = ended ? LOOM_ENOMEM : LOOM_OK;
    session_close(s);
    assert_int_equal(fake.attached, fake.detached);
destroy:
    bridge_destroy(b);
    return st;
}

static void opening_survives_every_failed_allocation(void **state)
{
    (void)state;
    assert_int_equal(3, alloc_fault_each(create_and_open, NULL));
}

static void a_session_that_misses_memory_ends_and_leaves_nothing(void **state)
{
    (void)state;
    scenario sc = {0};
    loom_envelope *env = fake_message("t", NULL, 10); /* without a sender: it is rewritten in scratch memory */
    assert_status(LOOM_OK, frame_put_hello(&sc.hello, &(frame_hello){.protocol = 1, .agent = STR("a")}));
    assert_status(LOOM_OK, frame_put_subscribe(&sc.work, &(frame_subscribe){.request = 1, .filter = STR("t")}));
    uint8_t *room = frame_publish_begin(&sc.work, loom_envelope_wire(env).len);
    assert_non_null(room);
    memcpy(room, loom_envelope_wire(env).data, loom_envelope_wire(env).len);
    frame_batch_commit(&sc.work, loom_envelope_wire(env).len);
    assert_status(LOOM_OK, frame_put_call(&sc.work, &(frame_call){.capability = STR("c"), .envelope = loom_envelope_wire(env)}));
    assert_status(LOOM_OK, frame_put_number(&sc.work, FRAME_PING, 1));
    sc.delivery = fake_message("t", "other", 3000); /* makes the outgoing bytes grow */
    assert_in_range(alloc_fault_each(whole_session, &sc), 6, 100);
    loom_envelope_unref(sc.delivery);
    loom_envelope_unref(env);
    frame_writer_fini(&sc.hello);
    frame_writer_fini(&sc.work);
}

/* A bridge that makes spans, and an agent on it. */
typedef struct traced {
    fake_bus bus;
    loom_span_processor *processor;
    loom_tracer_provider *provider;
    loop_clock clock;
    bridge *bridge;
    fake_agent a;
} traced;

static void traced_open(traced *t)
{
    fake_bus_init(&t->bus);
    assert_status(LOOM_OK, loom_span_processor_create(&t->processor, &(loom_span_processor_options){
                                                                         .exporter = LOOM_EXPORTER_NONE}));
    assert_status(LOOM_OK, loom_tracer_provider_create(&t->provider, &(loom_tracer_provider_options){.service_name = "test",
                                                                                                    .processor = t->processor}));
    assert_status(LOOM_OK, bridge_create(&t->bridge, &t->clock, &(bridge_options){
        .id = "b", .software = "s", .bus = &t->bus.base, .tracer = loom_tracer_get(t->provider, "tests", "1")}));
    fake_agent_enter(&t->a, t->bridge, "a", 0, 0);
}

static void traced_close(traced *t)
{
    fake_agent_close(&t->a);
    bridge_destroy(t->bridge);
    loom_tracer_provider_unref(t->provider);
    loom_span_processor_unref(t->processor);
}

static loom_envelope *message_in(loom_trace_context context)
{
    loom_envelope *env;
    assert_status(LOOM_OK, loom_envelope_create(&env, &(loom_envelope_fields){.topic = STR("t"), .sender = STR("a"),
                                                                              .context = context}));
    return env;
}

/* From the read buffer to the bus, and from there into outgoing bytes that have room. */
static void an_unsampled_message_passes_without_an_allocation(void **state)
{
    (void)state;
    traced t;
    traced_open(&t);
    loom_envelope *env = message_in((loom_trace_context){{1}, {2}, 0});
    fake_agent_publish(&t.a, loom_envelope_wire(env));
    frame_writer_seal(&t.a.say);

    alloc_fault_arm(0);
    receive(t.a.session, &t.a.say);
    fake_bus_deliver(&t.bus, "a", 1, loom_envelope_wire(env));
    assert_false(alloc_fault_disarm());
    assert_int_equal(1, t.bus.published);
    assert_int_equal(1, bridge_get_stats(t.bridge).forwarded);

    loom_envelope_unref(env);
    traced_close(&t);
}

static void an_unsampled_call_passes_without_an_allocation(void **state)
{
    (void)state;
    traced t;
    traced_open(&t);
    loom_envelope *env = message_in((loom_trace_context){{1}, {2}, 0});
    frame_writer result;
    frame_writer_init(&result);
    assert_status(LOOM_OK, frame_put_call(&t.a.say, &(frame_call){.capability = STR("c"), .envelope = loom_envelope_wire(env)}));
    assert_status(LOOM_OK, frame_put_result(&result, &(frame_result){.call_id = BYTES("id")}));
    assert_true(frame_writer_reserve(session_output(t.a.session), 8192));

    alloc_fault_arm(0);
    receive(t.a.session, &t.a.say);
    fake_bus_call(&t.bus, "a", &(frame_call){.call_id = BYTES("id"), .capability = STR("c")}, loom_envelope_wire(env));
    receive(t.a.session, &result);
    fake_bus_say(&t.bus, "a", &(frame){.type = FRAME_RESULT, .u.result = {.call_id = BYTES("id")}});
    assert_false(alloc_fault_disarm());
    assert_int_equal(1, t.bus.called);
    assert_int_equal(1, t.bus.said[FRAME_RESULT]);
    assert_int_equal(1, bridge_get_stats(t.bridge).calls.down);

    frame_writer_fini(&result);
    loom_envelope_unref(env);
    traced_close(&t);
}

/* Tracing never fails the bus: what is missing is the span, or its outcome. */
static void a_sampled_call_passes_when_there_is_no_memory_for_its_span(void **state)
{
    (void)state;
    traced t;
    traced_open(&t);
    loom_envelope *env = message_in((loom_trace_context){{1}, {2}, LOOM_TRACE_FLAG_SAMPLED});
    unsigned calls = 0;
    for (bool faulted = true; faulted; calls++) {
        assert_in_range(calls, 0, 50);
        assert_true(frame_writer_reserve(session_output(t.a.session), 8192));
        alloc_fault_arm(calls);
        fake_bus_call(&t.bus, "a", &(frame_call){.call_id = BYTES("id"), .capability = STR("c")}, loom_envelope_wire(env));
        faulted = alloc_fault_disarm();
        fake_agent_hear(&t.a);
        (void)fake_agent_frame(&t.a, FRAME_CALL);
        assert_status(LOOM_OK, frame_put_result(&t.a.say, &(frame_result){.call_id = BYTES("id")}));
        fake_agent_send(&t.a);
    }
    assert_int_equal(calls, t.bus.said[FRAME_RESULT]);
    assert_int_equal(0, t.a.ended);
    assert_true(calls > 1);
    loom_envelope_unref(env);
    traced_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opening_survives_every_failed_allocation),
        cmocka_unit_test(a_session_that_misses_memory_ends_and_leaves_nothing),
        cmocka_unit_test(an_unsampled_message_passes_without_an_allocation),
        cmocka_unit_test(an_unsampled_call_passes_without_an_allocation),
        cmocka_unit_test(a_sampled_call_passes_when_there_is_no_memory_for_its_span),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
