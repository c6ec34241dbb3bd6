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

static const session_io io = {nothing, note_end};

typedef struct scenario {
    frame_writer hello, work; /* what the agent sends */
    loom_envelope *delivery;
} scenario;

static loom_status create_and_open(void *user)
{
    (void)user;
    fake_bus fake;
    fake_bus_init(&fake);
    bridge *b;
    bool ended = false;
    loom_status st = bridge_create(&b, &(bridge_options){.id = "b", .software = "s", .bus = &fake.base});
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
    bridge *b;
    session *s;
    bool ended = false;
    loom_status st = bridge_create(&b, &(bridge_options){.id = "b", .software = "s", .bus = &fake.base});
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
        bridge_tick(b, 20000); /* time for a ping */
        bridge_tick(b, 20001);
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
    assert_status(LOOM_OK, frame_put_number(&sc.work, FRAME_PING, 1));
    sc.delivery = fake_message("t", "other", 3000); /* makes the outgoing bytes grow */
    assert_in_range(alloc_fault_each(whole_session, &sc), 6, 100);
    loom_envelope_unref(sc.delivery);
    loom_envelope_unref(env);
    frame_writer_fini(&sc.hello);
    frame_writer_fini(&sc.work);
}

/* From the read buffer to the bus, and from there into outgoing bytes that have room. */
static void an_unsampled_message_passes_without_an_allocation(void **state)
{
    (void)state;
    fake_bus fake;
    fake_bus_init(&fake);
    loom_span_processor *processor;
    loom_tracer_provider *provider;
    assert_status(LOOM_OK, loom_span_processor_create(&processor, &(loom_span_processor_options){
                                                                      .exporter = LOOM_EXPORTER_NONE}));
    assert_status(LOOM_OK, loom_tracer_provider_create(&provider, &(loom_tracer_provider_options){.service_name = "test",
                                                                                                 .processor = processor}));
    bridge *b;
    assert_status(LOOM_OK, bridge_create(&b, &(bridge_options){.id = "b", .software = "s", .bus = &fake.base,
                                                               .tracer = loom_tracer_get(provider, "tests", "1")}));
    fake_agent a;
    fake_agent_enter(&a, b, "a", 0, 0);
    loom_envelope *env;
    assert_status(LOOM_OK, loom_envelope_create(&env, &(loom_envelope_fields){.topic = STR("t"), .sender = STR("a"),
                                                                              .context = {{1}, {2}, 0}}));
    fake_agent_publish(&a, loom_envelope_wire(env));
    frame_writer_seal(&a.say);

    alloc_fault_arm(0);
    receive(a.session, &a.say);
    fake_bus_deliver(&fake, "a", 1, loom_envelope_wire(env));
    assert_false(alloc_fault_disarm());
    assert_int_equal(1, fake.published);
    assert_int_equal(1, bridge_get_stats(b).forwarded);

    loom_envelope_unref(env);
    fake_agent_close(&a);
    bridge_destroy(b);
    loom_tracer_provider_unref(provider);
    loom_span_processor_unref(processor);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opening_survives_every_failed_allocation),
        cmocka_unit_test(a_session_that_misses_memory_ends_and_leaves_nothing),
        cmocka_unit_test(an_unsampled_message_passes_without_an_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
