/* SPDX-License-Identifier: Apache-2.0 */
/* What sessions pass on: subscriptions, publishes, deliveries; and the credit both ways. */
#include <stdlib.h>

#include "envelope/msgpack_bytes.h"
#include "tests/unit/bridge/fake_bus.h"

enum { WINDOW = 64 * 1024, BACKLOG_MAX = 8 * 1024 * 1024 };

typedef struct fixture {
    loop_clock clock;
    fake_bus bus;
    bridge *bridge;
    fake_agent a, b;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    fake_bus_init(&f->bus);
    bridge_options options = {.id = "bridge-1", .software = "test", .bus = &f->bus.base, .publish_window = WINDOW, .ttl = 9};
    assert_status(LOOM_OK, bridge_create(&f->bridge, &f->clock, &options));
    fake_agent_enter(&f->a, f->bridge, "a", 0, 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    fake_agent_close(&f->a);
    fake_agent_close(&f->b);
    bridge_destroy(f->bridge);
    free(f);
    return 0;
}

/* Sends one message of so many bytes of payload. */
static void publish(fake_agent *a, const char *sender, size_t payload)
{
    loom_envelope *env = fake_message("t", sender, payload);
    fake_agent_publish(a, loom_envelope_wire(env));
    fake_agent_send(a);
    loom_envelope_unref(env);
}

/* ---- subscriptions ---- */

static void a_subscription_goes_to_the_bus_and_its_answer_comes_back(void **state)
{
    fixture *f = *state;
    const frame_subscribe request = {.request = 7, .subscription = 3, .filter = STR("orders.>")};
    assert_status(LOOM_OK, frame_put_subscribe(&f->a.say, &request));
    fake_agent_send(&f->a);
    assert_int_equal(1, f->bus.said[FRAME_SUBSCRIBE]);
    assert_string_equal("orders.>", f->bus.filter);
    fake_agent_hear(&f->a);
    const frame_outcome *ack = &fake_agent_frame(&f->a, FRAME_ACK)->u.outcome;
    assert_int_equal(7, ack->request);
    assert_int_equal(LOOM_OK, ack->status);

    assert_status(LOOM_OK, frame_put_unsubscribe(&f->a.say, &(frame_unsubscribe){8, 3}));
    fake_agent_send(&f->a);
    assert_int_equal(1, f->bus.said[FRAME_UNSUBSCRIBE]);
    assert_int_equal(3, f->bus.subscription);
    fake_agent_hear(&f->a);
    ack = &fake_agent_frame(&f->a, FRAME_ACK)->u.outcome;
    assert_int_equal(8, ack->request);
    assert_int_equal(LOOM_ENOTFOUND, ack->status);
    assert_str("no such subscription", ack->text);
}

/* ---- members of groups ---- */

static void join(fixture *f)
{
    assert_status(LOOM_OK, frame_put_subscribe(&f->a.say, &(frame_subscribe){
        .request = 1, .subscription = 3, .filter = STR("t"), .group = STR("workers")}));
    assert_status(LOOM_OK, frame_put_subscribe(&f->a.say, &(frame_subscribe){.request = 2, .subscription = 4, .filter = STR("t")}));
    fake_agent_send(&f->a);
    fake_agent_hear(&f->a);
}

static void deliver_both(fixture *f, unsigned times)
{
    loom_envelope *env = fake_message("t", "b", 4);
    for (unsigned i = 0; i < times; i++) {
        fake_bus_deliver(&f->bus, "a", 3, loom_envelope_wire(env));
        fake_bus_deliver(&f->bus, "a", 4, loom_envelope_wire(env));
    }
    loom_envelope_unref(env);
}

static void what_a_member_was_not_sent_is_given_back_when_its_connection_breaks(void **state)
{
    fixture *f = *state;
    join(f);
    deliver_both(f, 5);
    fake_agent_close(&f->a);
    assert_int_equal(5, f->bus.given_back);
    assert_int_equal(5, bridge_get_stats(f->bridge).given_back);
}

static void what_was_taken_whole_by_the_kernel_is_not_given_back(void **state)
{
    fixture *f = *state;
    join(f);
    deliver_both(f, 5);
    frame_writer *out = session_output(f->a.session);
    frame_writer_seal(out);
    const loom_bytes flight = {out->data, out->len};
    session_give_back(f->a.session, flight, flight.len);
    assert_int_equal(0, f->bus.given_back);
    session_give_back(f->a.session, flight, flight.len - 1); /* a frame that is cut is none */
    assert_int_equal(5, f->bus.given_back);
    frame_writer_clear(out);
}

static void a_goodbye_gives_back_what_is_the_groups_and_sends_the_rest(void **state)
{
    fixture *f = *state;
    join(f);
    deliver_both(f, 5);
    assert_status(LOOM_OK, frame_put_number(&f->a.say, FRAME_PING, 77));
    assert_status(LOOM_OK, frame_put_outcome(&f->a.say, FRAME_BYE, &(frame_outcome){0}));
    fake_agent_send(&f->a);
    assert_int_equal(5, f->bus.given_back);
    fake_agent_hear(&f->a);
    assert_int_equal(77, fake_agent_frame(&f->a, FRAME_PONG)->u.number);
    const frame_batch *batch = &fake_agent_frame(&f->a, FRAME_DELIVER)->u.batch;
    assert_int_equal(5, batch->count);
    assert_int_equal(4, batch->items.data[0]); /* of the subscription that is its own */
}

static void who_is_in_no_group_gives_nothing_back(void **state)
{
    fixture *f = *state;
    join(f);
    assert_status(LOOM_OK, frame_put_unsubscribe(&f->a.say, &(frame_unsubscribe){8, 3}));
    fake_agent_send(&f->a);
    deliver_both(f, 2);
    fake_agent_close(&f->a);
    assert_int_equal(0, f->bus.given_back);
}

static void an_answer_may_come_later(void **state)
{
    fixture *f = *state;
    f->bus.defers = true;
    assert_status(LOOM_OK, frame_put_subscribe(&f->a.say, &(frame_subscribe){.request = 7, .filter = STR("t")}));
    fake_agent_send(&f->a);
    fake_agent_hear(&f->a);
    assert_int_equal(0, f->a.count);
    fake_bus_say(&f->bus, "a", &(frame){.type = FRAME_ACK,
                                        .u.outcome = {.request = 7, .status = LOOM_EDENIED, .text = STR("not for you")}});
    fake_agent_hear(&f->a);
    assert_int_equal(LOOM_EDENIED, fake_agent_frame(&f->a, FRAME_ACK)->u.outcome.status);
}

/* ---- publishing ---- */

static void a_message_reaches_the_bus_unchanged(void **state)
{
    fixture *f = *state;
    loom_envelope *env = fake_message("t", "a", 100);
    fake_agent_publish(&f->a, loom_envelope_wire(env));
    fake_agent_send(&f->a);
    assert_int_equal(1, f->bus.published);
    assert_int_equal(loom_envelope_wire(env).len, f->bus.wire_len);
    assert_memory_equal(loom_envelope_wire(env).data, f->bus.wire, f->bus.wire_len);
    assert_int_equal(f->bus.wire_len, bridge_get_stats(f->bridge).published_bytes);
    loom_envelope_unref(env);
}

static void every_message_of_a_batch_is_published_in_order(void **state)
{
    fixture *f = *state;
    for (size_t i = 0; i < 5; i++) {
        loom_envelope *env = fake_message("t", "a", i);
        fake_agent_publish(&f->a, loom_envelope_wire(env));
        loom_envelope_unref(env);
    }
    fake_agent_send(&f->a);
    assert_int_equal(5, f->bus.published);
    loom_envelope *last = fake_bus_last(&f->bus);
    assert_int_equal(4, loom_envelope_payload(last).len);
    loom_envelope_unref(last);
}

/* One frame, larger than libloom ever makes one. Payloads grow by a byte each. */
static loom_bytes one_batch(uint32_t count, uint8_t **made)
{
    enum { HEADER = FRAME_HEADER_SIZE + 7 };
    size_t len = HEADER;
    uint8_t *bytes = NULL;
    for (uint32_t i = 0; i < count; i++) {
        loom_envelope *env = fake_message("t", "a", i);
        const loom_bytes wire = loom_envelope_wire(env);
        bytes = realloc(bytes, len + wire.len);
        assert_non_null(bytes);
        memcpy(bytes + len, wire.data, wire.len);
        len += wire.len;
        loom_envelope_unref(env);
    }
    const uint32_t body = (uint32_t)len - FRAME_HEADER_SIZE;
    const uint8_t header[HEADER] = {(uint8_t)(body >> 24), (uint8_t)(body >> 16), (uint8_t)(body >> 8), (uint8_t)body, 0x92, FRAME_PUBLISH,
                                    0xdd, 0, 0, (uint8_t)(count >> 8), (uint8_t)count};
    memcpy(bytes, header, sizeof header);
    *made = bytes;
    return (loom_bytes){bytes, len};
}

/* Each of the turns is a slice of 8 to 32 KiB, and no message is published twice. */
static void a_large_batch_takes_several_turns_when_others_wait(void **state)
{
    fixture *f = *state;
    enum { MESSAGES = 600, MOST = 2 * 32 * 1024 / 100 };
    uint8_t *made;
    const loom_bytes all = one_batch(MESSAGES, &made);
    f->a.others = true;
    unsigned turns = 0;
    for (size_t used = 0, need; used < all.len; turns++) {
        const unsigned before = f->bus.published;
        bridge_new_round(f->bridge);
        used += session_receive(f->a.session, made + used, all.len - used, &need);
        assert_in_range(f->bus.published - before, 1, MOST);
        assert_true(used == all.len || session_is_spent(f->a.session));
        loom_envelope *last = fake_bus_last(&f->bus);
        assert_int_equal(f->bus.published - 1, loom_envelope_payload(last).len);
        loom_envelope_unref(last);
    }
    assert_int_equal(MESSAGES, f->bus.published);
    assert_in_range(turns, all.len / (2 * 32 * 1024), 2 * all.len / (8 * 1024));
    assert_int_equal(0, f->a.ended);
    free(made);
}

static void a_message_without_a_sender_is_stamped(void **state)
{
    fixture *f = *state;
    loom_envelope *env = fake_message("t", NULL, 10);
    fake_agent_publish(&f->a, loom_envelope_wire(env));
    fake_agent_send(&f->a);
    loom_envelope *stamped = fake_bus_last(&f->bus);
    assert_str("a", loom_envelope_sender(stamped));
    assert_memory_equal(loom_envelope_id(env), loom_envelope_id(stamped), LOOM_UUID_SIZE);
    assert_int_equal(10, loom_envelope_payload(stamped).len);
    loom_envelope_unref(stamped);
    loom_envelope_unref(env);
}

/* The shortest envelope a program in another language can write: nil hop, nil sender, all that may be nil. */
static void a_foreign_message_is_put_into_the_fixed_form(void **state)
{
    static const uint8_t foreign[] = {0xdc, 0, 16, 1, 0xc0, 0xa1, 't', 0xc4, 16, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
                                      15, 16, 0xc0, 0xc0, 1, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc4, 2, 'h', 'i'};
    fixture *f = *state;
    fake_agent_publish(&f->a, BYTES(foreign));
    fake_agent_send(&f->a);
    loom_envelope *env = fake_bus_last(&f->bus);
    assert_str("a", loom_envelope_sender(env));
    assert_str("t", loom_envelope_topic(env));
    assert_int_equal(9, loom_envelope_ttl(env)); /* the bridge's own */
    assert_memory_equal("hi", loom_envelope_payload(env).data, 2);
    assert_int_equal(0, bridge_get_stats(f->bridge).invalid_contexts);
    loom_envelope_unref(env);
}

/* The same, and as large as an envelope may be before the bridge adds what is missing. */
static void a_message_that_its_stamp_makes_too_large_is_refused_and_the_session_goes_on(void **state)
{
    static const uint8_t head[] = {0xdc, 0, 17, 1, 0xc0, 0xa1, 't', 0xc4, 16, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
                                   15, 16, 0xc0, 0xc0, 1, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc6};
    fixture *f = *state;
    uint8_t *wire = calloc(1, LOOM_ENVELOPE_MAX), *at = wire + sizeof head;
    assert_non_null(wire);
    memcpy(wire, head, sizeof head);
    mp_store32(at, LOOM_PAYLOAD_MAX);
    at += 4 + LOOM_PAYLOAD_MAX;
    *at++ = 0xc6; /* a field of a later version */
    mp_store32(at, (uint32_t)(wire + LOOM_ENVELOPE_MAX - at - 4));
    fake_agent_publish(&f->a, (loom_bytes){wire, LOOM_ENVELOPE_MAX});
    fake_agent_send(&f->a);
    fake_agent_hear(&f->a);
    const frame_outcome *notice = &fake_agent_frame(&f->a, FRAME_NOTICE)->u.outcome;
    assert_int_equal(LOOM_ETOOBIG, notice->status);
    assert_int_equal(LOOM_UUID_SIZE, notice->message_id.len);
    assert_memory_equal(head + 9, notice->message_id.data, LOOM_UUID_SIZE);
    assert_int_equal(0, f->bus.published);
    assert_int_equal(0, f->a.ended);
    free(wire);
}

static void a_forged_sender_is_refused_by_a_notice_and_the_session_goes_on(void **state)
{
    fixture *f = *state;
    loom_envelope *forged = fake_message("t", "somebody-else", 1), *own = fake_message("t", "a", 2);
    fake_agent_publish(&f->a, loom_envelope_wire(forged));
    fake_agent_publish(&f->a, loom_envelope_wire(own));
    fake_agent_send(&f->a);
    fake_agent_hear(&f->a);
    const frame_outcome *notice = &fake_agent_frame(&f->a, FRAME_NOTICE)->u.outcome;
    assert_int_equal(LOOM_EDENIED, notice->status);
    assert_int_equal(LOOM_UUID_SIZE, notice->message_id.len);
    assert_memory_equal(loom_envelope_id(forged), notice->message_id.data, LOOM_UUID_SIZE);
    assert_int_equal(1, f->bus.published);
    assert_int_equal(1, bridge_get_stats(f->bridge).refused);
    assert_int_equal(0, f->a.ended);
    loom_envelope_unref(forged);
    loom_envelope_unref(own);
}

static void a_malformed_envelope_ends_that_session_alone_and_says_which(void **state)
{
    fixture *f = *state;
    fake_agent_enter(&f->b, f->bridge, "b", 0, 0);
    loom_envelope *good = fake_message("t", "a", 1);
    static const uint8_t bad[] = {0xdd, 0x04, 0x00, 0x00, 0x00};
    fake_agent_publish(&f->a, loom_envelope_wire(good));
    fake_agent_publish(&f->a, BYTES(bad));
    fake_agent_send(&f->a);
    assert_ended(&f->a, FRAME_ERROR, LOOM_EMALFORMED, "publish frame: envelope 2 of 2: version is not");
    assert_int_equal(1, f->bus.published); /* what came before it counts */
    assert_int_equal(0, f->b.ended);
    publish(&f->b, "b", 1);
    assert_int_equal(2, f->bus.published);
    loom_envelope_unref(good);
}

static void bytes_after_the_last_envelope_end_the_session(void **state)
{
    fixture *f = *state;
    loom_envelope *env = fake_message("t", "a", 1);
    fake_agent_publish(&f->a, loom_envelope_wire(env));
    fake_agent_publish(&f->a, loom_envelope_wire(env));
    f->a.say.batch_count = 1;
    fake_agent_send(&f->a);
    assert_ended(&f->a, FRAME_ERROR, LOOM_EMALFORMED, "after its 1 envelopes");
    loom_envelope_unref(env);
}

static void a_context_with_half_an_id_is_dropped_and_counted(void **state)
{
    fixture *f = *state;
    loom_envelope *env = fake_message("t", "a", 1);
    uint8_t wire[512];
    loom_bytes bytes = loom_envelope_wire(env);
    memcpy(wire, bytes.data, bytes.len);
    wire[HOP_OFFSET] = 1; /* a trace id without a span id */
    wire[HOP_FLAGS_OFFSET] = 1;
    fake_agent_publish(&f->a, (loom_bytes){wire, bytes.len});
    fake_agent_send(&f->a);
    assert_int_equal(1, bridge_get_stats(f->bridge).invalid_contexts);
    assert_memory_equal(bytes.data, f->bus.wire, bytes.len); /* as if it had never been there */
    loom_envelope_unref(env);
}

/* ---- credit of the bridge for the agent ---- */

static void publish_credit_is_renewed_at_half_a_window(void **state)
{
    fixture *f = *state;
    publish(&f->a, "a", WINDOW / 4);
    fake_agent_hear(&f->a);
    assert_int_equal(0, f->a.count);
    publish(&f->a, "a", WINDOW / 4);
    fake_agent_hear(&f->a);
    uint64_t used = bridge_get_stats(f->bridge).published_bytes;
    assert_int_equal(used + WINDOW, fake_agent_frame(&f->a, FRAME_CREDIT)->u.credit.bytes);
}

static void publish_credit_is_withheld_under_pressure(void **state)
{
    fixture *f = *state;
    bus_port *port = fake_bus_port(&f->bus, "a");
    port->handlers->pressure(port->user, true);
    publish(&f->a, "a", WINDOW / 2);
    fake_agent_hear(&f->a);
    assert_int_equal(0, f->a.count);
    port->handlers->pressure(port->user, false);
    fake_agent_hear(&f->a);
    assert_true(fake_agent_frame(&f->a, FRAME_CREDIT)->u.credit.bytes > WINDOW);
}

/* A message larger than the window overdraws it once; the credit after it counts from where the agent is. */
static void an_overdrawn_credit_is_renewed_after_pressure(void **state)
{
    fixture *f = *state;
    bus_port *port = fake_bus_port(&f->bus, "a");
    port->handlers->pressure(port->user, true);
    publish(&f->a, "a", 2 * WINDOW);
    assert_int_equal(0, f->a.ended);
    port->handlers->pressure(port->user, false);
    fake_agent_hear(&f->a);
    uint64_t used = bridge_get_stats(f->bridge).published_bytes;
    assert_int_equal(used + WINDOW, fake_agent_frame(&f->a, FRAME_CREDIT)->u.credit.bytes);
}

static void publishing_past_the_credit_ends_the_session(void **state)
{
    fixture *f = *state;
    bus_port *port = fake_bus_port(&f->bus, "a");
    port->handlers->pressure(port->user, true);
    while (f->a.ended == 0 && f->bus.published < 1000) {
        publish(&f->a, "a", WINDOW);
    }
    assert_ended(&f->a, FRAME_ERROR, LOOM_EPROTO, "published past its credit");
    assert_in_range(f->bus.published, 2, 1 + FRAME_MAX / WINDOW + 1);
}

/* ---- credit of the agent for the bridge ---- */

static void what_the_bus_brings_is_delivered_and_nothing_else(void **state)
{
    fixture *f = *state;
    loom_envelope *env = fake_message("t", "other", 20);
    loom_bytes wire = loom_envelope_wire(env);
    fake_bus_deliver(&f->bus, "a", 300, wire);
    fake_bus_deliver(&f->bus, "a", 2, wire);
    fake_agent_hear(&f->a);
    assert_int_equal(1, f->a.count);
    const frame_batch *batch = &fake_agent_frame(&f->a, FRAME_DELIVER)->u.batch;
    assert_int_equal(2, batch->count);
    mp_reader r = {batch->items.data, batch->items.data + batch->items.len};
    uint64_t subscription;
    assert_true(mp_read_uint(&r, &subscription));
    assert_int_equal(300, subscription);
    assert_memory_equal(wire.data, r.at, wire.len); /* no tracer: byte for byte */
    r.at += wire.len;
    assert_true(mp_read_uint(&r, &subscription));
    assert_int_equal(2, subscription);
    assert_ptr_equal(r.end, r.at + wire.len);
    assert_int_equal(2, bridge_get_stats(f->bridge).forwarded);
    loom_envelope_unref(env);
}

static void an_agent_without_credit_keys_gets_the_bridges_own_window(void **state)
{
    fixture *f = *state;
    const bus_port *port = fake_bus_port(&f->bus, "a");
    assert_true(port->granted_messages == UINT64_MAX);
    /* what was on its way to the agent when it was granted counts: the welcome */
    assert_in_range(port->granted_bytes, BACKLOG_MAX - 1024, BACKLOG_MAX);
}

static void credit_is_passed_on_and_smaller_totals_are_ignored(void **state)
{
    fixture *f = *state;
    fake_agent_enter(&f->b, f->bridge, "b", 10, 1000);
    const bus_port *port = fake_bus_port(&f->bus, "b");
    assert_int_equal(10, port->granted_messages);
    assert_int_equal(1000, port->granted_bytes);
    assert_status(LOOM_OK, frame_put_credit(&f->b.say, 20, 5000));
    assert_status(LOOM_OK, frame_put_credit(&f->b.say, 15, 4000));
    fake_agent_send(&f->b);
    assert_int_equal(20, port->granted_messages);
    assert_int_equal(5000, port->granted_bytes);
}

static void credit_is_held_down_by_what_the_agent_has_not_read(void **state)
{
    fixture *f = *state;
    fake_agent_enter(&f->b, f->bridge, "b", 1000000, 64 * 1024 * 1024);
    const bus_port *port = fake_bus_port(&f->bus, "b");
    uint64_t before = port->granted_bytes;
    assert_true(before <= BACKLOG_MAX);
    session_sent(f->b.session, BACKLOG_MAX / 2);
    assert_int_equal(before, port->granted_bytes); /* totals never shrink */
    assert_status(LOOM_OK, frame_put_credit(&f->b.say, 2000000, 128 * 1024 * 1024));
    fake_agent_send(&f->b);
    assert_int_equal(before, port->granted_bytes);
}

/* In one process that is the work of the loop's, inside the grant. */
static void what_a_grant_sets_free_comes_in_slices(void **state)
{
    fixture *f = *state;
    enum { WAITING = 20000 };
    f->bus.base.in_process = true;
    fake_agent_enter(&f->b, f->bridge, "b", 1, 64 * 1024 * 1024);
    bus_port *port = fake_bus_port(&f->bus, "b");
    loom_envelope *env = fake_message("t", "other", 0);
    port->waiting = loom_envelope_wire(env);
    port->waits = WAITING;
    assert_status(LOOM_OK, frame_put_credit(&f->b.say, 1000000, 0));
    assert_status(LOOM_OK, frame_put_credit(&f->b.say, 1000001, 0)); /* buys no other turn in this round */
    fake_agent_send(&f->b);
    assert_in_range(port->waits, WAITING - 3000, WAITING - 1);
    while (bridge_goes_on(f->bridge)) {
        const unsigned before = port->waits;
        bridge_new_round(f->bridge);
        assert_true(before - port->waits <= 3000);
    }
    assert_int_equal(0, port->waits);
    assert_int_equal(1000001, port->granted_messages);
    loom_envelope_unref(env);
}

/* All of an agent's credit reaches the bus as its backlog drains, also the last bit of it. */
static void the_last_of_an_agents_credit_is_passed_on_without_another_credit_frame(void **state)
{
    fixture *f = *state;
    const uint64_t total = BACKLOG_MAX + 1024 * 1024;
    fake_agent_enter(&f->b, f->bridge, "b", 1000000, total);
    const bus_port *port = fake_bus_port(&f->bus, "b");
    loom_envelope *env = fake_message("t", "other", 1000 * 1000);
    loom_bytes wire = loom_envelope_wire(env);
    uint64_t sent = 0;
    while (sent + wire.len <= total && sent + wire.len <= port->granted_bytes) {
        fake_bus_deliver(&f->bus, "b", 1, wire);
        fake_agent_hear(&f->b);
        sent += wire.len;
    }
    assert_true(port->granted_bytes == total);
    loom_envelope_unref(env);
}

static void an_agent_that_does_not_read_its_answers_is_ended(void **state)
{
    fixture *f = *state;
    for (unsigned round = 0; f->a.ended == 0 && round < 1000; round++) {
        for (uint64_t i = 0; i < 1000; i++) {
            assert_status(LOOM_OK, frame_put_number(&f->a.say, FRAME_PING, UINT64_MAX));
        }
        fake_agent_send(&f->a);
        session_sent(f->a.session, session_output(f->a.session)->len);
    }
    assert_int_equal(1, f->a.ended);
    assert_in_range(session_output(f->a.session)->len, 1024 * 1024, 1024 * 1024 + 256);
}

static void an_agent_that_reads_may_ask_for_ever(void **state)
{
    fixture *f = *state;
    for (unsigned round = 0; round < 4000; round++) {
        for (uint64_t i = 0; i < 50; i++) {
            assert_status(LOOM_OK, frame_put_number(&f->a.say, FRAME_PING, UINT64_MAX));
        }
        fake_agent_send(&f->a);
        frame_writer_clear(session_output(f->a.session));
        session_sent(f->a.session, 700); /* something is always on its way */
    }
    assert_int_equal(0, f->a.ended);
}

#define with_fixture(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_fixture(a_subscription_goes_to_the_bus_and_its_answer_comes_back),
        with_fixture(what_a_member_was_not_sent_is_given_back_when_its_connection_breaks),
        with_fixture(what_was_taken_whole_by_the_kernel_is_not_given_back),
        with_fixture(a_goodbye_gives_back_what_is_the_groups_and_sends_the_rest),
        with_fixture(who_is_in_no_group_gives_nothing_back),
        with_fixture(an_answer_may_come_later),
        with_fixture(a_message_reaches_the_bus_unchanged),
        with_fixture(every_message_of_a_batch_is_published_in_order),
        with_fixture(a_large_batch_takes_several_turns_when_others_wait),
        with_fixture(a_message_without_a_sender_is_stamped),
        with_fixture(a_foreign_message_is_put_into_the_fixed_form),
        with_fixture(a_message_that_its_stamp_makes_too_large_is_refused_and_the_session_goes_on),
        with_fixture(a_forged_sender_is_refused_by_a_notice_and_the_session_goes_on),
        with_fixture(a_malformed_envelope_ends_that_session_alone_and_says_which),
        with_fixture(bytes_after_the_last_envelope_end_the_session),
        with_fixture(a_context_with_half_an_id_is_dropped_and_counted),
        with_fixture(publish_credit_is_renewed_at_half_a_window),
        with_fixture(publish_credit_is_withheld_under_pressure),
        with_fixture(an_overdrawn_credit_is_renewed_after_pressure),
        with_fixture(publishing_past_the_credit_ends_the_session),
        with_fixture(what_the_bus_brings_is_delivered_and_nothing_else),
        with_fixture(an_agent_without_credit_keys_gets_the_bridges_own_window),
        with_fixture(credit_is_passed_on_and_smaller_totals_are_ignored),
        with_fixture(credit_is_held_down_by_what_the_agent_has_not_read),
        with_fixture(what_a_grant_sets_free_comes_in_slices),
        with_fixture(the_last_of_an_agents_credit_is_passed_on_without_another_credit_frame),
        with_fixture(an_agent_that_does_not_read_its_answers_is_ended),
        with_fixture(an_agent_that_reads_may_ask_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
