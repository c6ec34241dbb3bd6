/* SPDX-License-Identifier: Apache-2.0 */
/* What sessions pass on of calls: from callers up to the bus, from the bus down to providers, and back. */
#include <stdlib.h>

#include "tests/unit/bridge/fake_bus.h"

enum { PAYLOAD_MAX = 64 * 1024, CALLS_MAX = 72 * 1024 * 1024 };

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
    bridge_options options = {.id = "bridge-1", .software = "test", .bus = &f->bus.base, .payload_max = PAYLOAD_MAX, .ttl = 9};
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
    assert_int_equal(f->bus.attached, f->bus.detached);
    bridge_destroy(f->bridge);
    free(f);
    return 0;
}

static bool same_bytes(loom_bytes a, const char *text)
{
    return bytes_equal(a, bytes_of(text));
}

#define assert_call_id(f, text) assert_true(same_bytes((loom_bytes){(f)->bus.call.id, (f)->bus.call.id_len}, (text)))

static void send_call_of(fake_agent *a, const char *id, loom_bytes wire)
{
    const frame_call call = {.call_id = bytes_of(id), .capability = STR("weather.lookup"), .version = STR("2"),
                             .deadline_ms = 5000, .idle_ms = 700, .flags = FRAME_CALL_IDEMPOTENT | FRAME_CALL_STREAMS,
                             .envelope = wire};
    assert_status(LOOM_OK, frame_put_call(&a->say, &call));
    fake_agent_send(a);
}

static void send_call(fake_agent *a, const char *id, const char *sender, size_t payload)
{
    loom_envelope *env = fake_message("weather.lookup", sender, payload);
    send_call_of(a, id, loom_envelope_wire(env));
    loom_envelope_unref(env);
}

static const frame_result *hear_result(fake_agent *a)
{
    fake_agent_hear(a);
    return &fake_agent_frame(a, FRAME_RESULT)->u.result;
}

static void bring_call(fixture *f, const char *agent, const char *id, loom_bytes wire)
{
    const frame_call call = {.call_id = bytes_of(id), .capability = STR("weather.lookup"), .version = STR("2.1"),
                             .deadline_ms = 4900, .idle_ms = 700, .flags = FRAME_CALL_STREAMS};
    fake_bus_call(&f->bus, agent, &call, wire);
}

/* ---- up: providing and calling ---- */

static void what_an_agent_provides_goes_to_the_bus_and_the_answer_comes_back(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, frame_put_provide(&f->a.say, &(frame_provide){.request = 5, .name = STR("weather.lookup")}));
    fake_agent_send(&f->a);
    assert_int_equal(1, f->bus.said[FRAME_PROVIDE]);
    assert_string_equal("weather.lookup", f->bus.filter);
    fake_agent_hear(&f->a);
    const frame_outcome *ack = &fake_agent_frame(&f->a, FRAME_ACK)->u.outcome;
    assert_int_equal(5, ack->request);
    assert_int_equal(LOOM_OK, ack->status);
}

static void a_call_reaches_the_bus_with_all_that_was_said_of_it(void **state)
{
    fixture *f = *state;
    loom_envelope *env = fake_message("weather.lookup", "a", 100);
    send_call_of(&f->a, "id-1", loom_envelope_wire(env));
    assert_int_equal(1, f->bus.called);
    assert_call_id(f, "id-1");
    assert_string_equal("weather.lookup", f->bus.call.capability);
    assert_string_equal("2", f->bus.call.version);
    assert_int_equal(5000, f->bus.call.deadline_ms);
    assert_int_equal(700, f->bus.call.idle_ms);
    assert_int_equal(FRAME_CALL_IDEMPOTENT | FRAME_CALL_STREAMS, f->bus.call.flags);
    assert_int_equal(loom_envelope_wire(env).len, f->bus.wire_len);
    assert_memory_equal(loom_envelope_wire(env).data, f->bus.wire, f->bus.wire_len);
    assert_int_equal(1, bridge_get_stats(f->bridge).calls.up);
    assert_int_equal(0, bridge_get_stats(f->bridge).published);
    loom_envelope_unref(env);
}

static void a_call_may_leave_its_id_to_the_broker(void **state)
{
    fixture *f = *state;
    send_call(&f->a, "", "a", 1);
    assert_int_equal(1, f->bus.called);
    assert_int_equal(0, f->bus.call.id_len);
}

static void a_call_without_a_sender_is_stamped(void **state)
{
    fixture *f = *state;
    send_call(&f->a, "1", NULL, 10);
    loom_envelope *stamped = fake_bus_last(&f->bus);
    assert_str("a", loom_envelope_sender(stamped));
    assert_int_equal(10, loom_envelope_payload(stamped).len);
    loom_envelope_unref(stamped);
}

/* nil hop, nil sender, all that may be nil */
static void a_foreign_call_is_put_into_the_fixed_form(void **state)
{
    static const uint8_t foreign[] = {0xdc, 0, 16, 1, 0xc0, 0xa1, 't', 0xc4, 16, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
                                      15, 16, 0xc0, 0xc0, 1, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc4, 2, 'h', 'i'};
    fixture *f = *state;
    send_call_of(&f->a, "1", BYTES(foreign));
    loom_envelope *env = fake_bus_last(&f->bus);
    assert_str("a", loom_envelope_sender(env));
    assert_int_equal(9, loom_envelope_ttl(env)); /* the bridge's own */
    assert_memory_equal("hi", loom_envelope_payload(env).data, 2);
    loom_envelope_unref(env);
}

static void a_forged_sender_of_a_call_is_denied_and_the_session_goes_on(void **state)
{
    fixture *f = *state;
    send_call(&f->a, "1", "somebody-else", 1);
    const frame_result *result = hear_result(&f->a);
    assert_int_equal(FRAME_CALL_DENIED, result->outcome);
    assert_str("sender", result->code);
    assert_str("the sender is not the agent of this session", result->text);
    assert_true(same_bytes(result->call_id, "1"));
    assert_int_equal(0, f->bus.called);
    assert_int_equal(1, bridge_get_stats(f->bridge).refused);
    assert_int_equal(0, bridge_get_stats(f->bridge).calls.up);
    send_call(&f->a, "2", "a", 1);
    assert_int_equal(1, f->bus.called);
}

static void a_payload_over_the_limit_is_too_large_and_the_session_goes_on(void **state)
{
    fixture *f = *state;
    send_call(&f->a, "1", "a", PAYLOAD_MAX + 1);
    const frame_result *result = hear_result(&f->a);
    assert_int_equal(FRAME_CALL_TOO_LARGE, result->outcome);
    assert_str("call_too_large", result->code);
    assert_str("the payload is over max_payload, the limit of this bus", result->text);
    assert_true(same_bytes(result->call_id, "1"));
    send_call(&f->a, "2", "a", PAYLOAD_MAX);
    assert_int_equal(1, f->bus.called);
    assert_int_equal(0, f->a.ended);
}

static void a_refused_call_without_an_id_gets_one(void **state)
{
    fixture *f = *state;
    send_call(&f->a, "", "somebody-else", 1);
    assert_int_equal(LOOM_UUID_SIZE, hear_result(&f->a)->call_id.len);
}

static void a_malformed_envelope_in_a_call_ends_that_session_and_says_what(void **state)
{
    fixture *f = *state;
    static const uint8_t bomb[] = {0xdd, 0x04, 0x00, 0x00, 0x00};
    send_call_of(&f->a, "1", BYTES(bomb));
    assert_ended(&f->a, FRAME_ERROR, LOOM_EMALFORMED, "call frame: envelope: version is not");
    assert_int_equal(0, f->bus.called);
    assert_int_equal(LOOM_EMALFORMED, f->bus.why);
}

static void bytes_after_the_envelope_of_a_call_end_the_session(void **state)
{
    fixture *f = *state;
    loom_envelope *env = fake_message("t", "a", 1);
    loom_bytes wire = loom_envelope_wire(env);
    uint8_t longer[512];
    memcpy(longer, wire.data, wire.len);
    memset(longer + wire.len, 0xc0, 2);
    send_call_of(&f->a, "1", (loom_bytes){longer, wire.len + 2});
    assert_ended(&f->a, FRAME_ERROR, LOOM_EMALFORMED, "call frame: 2 bytes after its envelope");
    assert_int_equal(0, f->bus.called);
    loom_envelope_unref(env);
}

static void a_context_with_half_an_id_is_dropped_and_counted(void **state)
{
    fixture *f = *state;
    loom_envelope *env = fake_message("t", "a", 1);
    loom_bytes wire = loom_envelope_wire(env);
    uint8_t half[512];
    memcpy(half, wire.data, wire.len);
    half[HOP_OFFSET] = 1; /* a trace id without a span id */
    send_call_of(&f->a, "1", (loom_bytes){half, wire.len});
    assert_int_equal(1, bridge_get_stats(f->bridge).invalid_contexts);
    assert_memory_equal(wire.data, f->bus.wire, wire.len);
    loom_envelope_unref(env);
}

static void a_caller_cancels_and_grants_credit(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, frame_put_cancel(&f->a.say, bytes_of("id-1"), STR("not needed any more")));
    fake_agent_send(&f->a);
    assert_int_equal(1, f->bus.said[FRAME_CANCEL]);
    assert_call_id(f, "id-1");
    assert_string_equal("not needed any more", f->bus.call.text);
    assert_status(LOOM_OK, frame_put_call_credit(&f->a.say, bytes_of("id-2"), 10, 4096));
    fake_agent_send(&f->a);
    assert_int_equal(1, f->bus.said[FRAME_CALL_CREDIT]);
    assert_call_id(f, "id-2");
    assert_int_equal(10, f->bus.call.chunks);
    assert_int_equal(4096, f->bus.call.bytes);
    assert_int_equal(1, bridge_get_stats(f->bridge).cancels.up);
}

/* ---- up: what a provider says ---- */

static void a_provider_reports_and_answers(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, frame_put_report(&f->a.say, &(frame_report){bytes_of("at-1"), FRAME_CHUNK, 3, bytes_of("12345")}));
    fake_agent_send(&f->a);
    assert_int_equal(1, f->bus.said[FRAME_REPORT]);
    assert_call_id(f, "at-1");
    assert_int_equal(FRAME_CHUNK, f->bus.call.kind);
    assert_int_equal(3, f->bus.call.number);
    assert_int_equal(5, f->bus.call.payload_len);
    assert_status(LOOM_OK, frame_put_result(&f->a.say, &(frame_result){bytes_of("at-1"), FRAME_CALL_ERROR, STR("not_found"),
                                                                       STR("no such city"), bytes_of("{}")}));
    fake_agent_send(&f->a);
    assert_int_equal(1, f->bus.said[FRAME_RESULT]);
    assert_int_equal(FRAME_CALL_ERROR, f->bus.call.outcome);
    assert_string_equal("not_found", f->bus.call.code);
    assert_string_equal("no such city", f->bus.call.text);
    assert_int_equal(2, f->bus.call.payload_len);
    assert_int_equal(1, bridge_get_stats(f->bridge).results.up);
    assert_int_equal(1, bridge_get_stats(f->bridge).reports.up);
}

/* Which calls there are is the broker's to know. */
static void what_is_said_of_a_call_that_is_over_is_passed_on_and_harms_nobody(void **state)
{
    fixture *f = *state;
    for (unsigned i = 0; i < 2; i++) {
        assert_status(LOOM_OK, frame_put_result(&f->a.say, &(frame_result){.call_id = bytes_of("nobody's")}));
        assert_status(LOOM_OK, frame_put_report(&f->a.say, &(frame_report){.call_id = bytes_of("nobody's")}));
        assert_status(LOOM_OK, frame_put_cancel(&f->a.say, bytes_of("nobody's"), STR("")));
    }
    fake_agent_send(&f->a);
    assert_int_equal(2, f->bus.said[FRAME_RESULT]);
    assert_int_equal(2, f->bus.said[FRAME_REPORT]);
    assert_int_equal(2, f->bus.said[FRAME_CANCEL]);
    assert_int_equal(0, f->a.ended);
}

/* ---- bad frames ---- */

/* Each is one frame's body, of a field of the wrong kind or over its limit, and what the end of the session says. */
static void a_field_of_the_wrong_kind_ends_the_session_and_is_named(void **state)
{
#define BODY(...) {(const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})}
    const struct {
        struct {
            const uint8_t *data;
            size_t len;
        } body;
        const char *says;
    } bad[] = {
        {BODY(0x98, 8, 0xc0, 0xa1, 'c', 0xa0, 0, 0, 0, 0x90), "call frame: call id"},
        {BODY(0x98, 8, 0xc4, 1, 'i', 0xc0, 0xa0, 0, 0, 0, 0x90), "call frame: capability or version"},
        {BODY(0x98, 8, 0xc4, 1, 'i', 0xa1, 'c', 7, 0, 0, 0, 0x90), "call frame: capability or version"},
        {BODY(0x98, 8, 0xc4, 1, 'i', 0xa1, 'c', 0xa0, 0xa0, 0, 0, 0x90), "call frame: deadline, idle time or flags"},
        {BODY(0x98, 8, 0xc4, 1, 'i', 0xa1, 'c', 0xa0, 0, 0xff, 0, 0x90), "call frame: deadline, idle time or flags"},
        {BODY(0x98, 8, 0xc4, 1, 'i', 0xa1, 'c', 0xa0, 0, 0, 0xc0, 0x90), "call frame: deadline, idle time or flags"},
        {BODY(0x98, 8, 0xc4, 1, 'i', 0xa1, 'c', 0xa0, 0, 0, 0), "call frame: envelope"},
        {BODY(0x98, 8, 0xc4, 1, 'i', 0xa1, 'c', 0xa0, 0, 0, 0, 0xc0), "call frame: envelope: not an envelope"},
        {BODY(0x96, 9, 0xc4, 0, 0, 0xa0, 0xa0, 0xc4, 0), "result frame: call id"},
        {BODY(0x96, 9, 0xc4, 1, 'i', 0xc0, 0xa0, 0xa0, 0xc4, 0), "result frame: call id, outcome"},
        {BODY(0x96, 9, 0xc4, 1, 'i', 0, 0, 0xa0, 0xc4, 0), "result frame: call id, outcome, code"},
        {BODY(0x96, 9, 0xc4, 1, 'i', 0, 0xa0, 0, 0xc4, 0), "result frame: call id, outcome, code, text"},
        {BODY(0x96, 9, 0xc4, 1, 'i', 0, 0xa0, 0xa0, 0xc0), "result frame: call id, outcome, code, text or payload"},
        {BODY(0x95, 18, 0xc0, 0, 0, 0xc4, 0), "report frame: call id"},
        {BODY(0x95, 18, 0xc4, 1, 'i', 0xa0, 0, 0xc4, 0), "report frame: call id, kind"},
        {BODY(0x95, 18, 0xc4, 1, 'i', 0, 0xc0, 0xc4, 0), "report frame: call id, kind, number"},
        {BODY(0x95, 18, 0xc4, 1, 'i', 0, 0, 0xc4, 9), "report frame: call id, kind, number or payload"},
        {BODY(0x93, 10, 0xa1, 'i', 0xa0), "cancel frame: call id"},
        {BODY(0x93, 10, 0xc4, 1, 'i', 0xc0), "cancel frame: call id or reason"},
        {BODY(0x94, 19, 0xc4, 1, 'i', 0xc0, 0), "call_credit frame: call id, chunks"},
        {BODY(0x94, 19, 0xc4, 1, 'i', 0, 0xa0), "call_credit frame: call id, chunks or bytes"},
    };
    fixture *f = *state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint8_t wire[64] = {0, 0, 0, (uint8_t)bad[i].body.len};
        memcpy(wire + FRAME_HEADER_SIZE, bad[i].body.data, bad[i].body.len);
        fake_agent_enter(&f->b, f->bridge, "b", 0, 0);
        fake_agent_send_bytes(&f->b, (loom_bytes){wire, FRAME_HEADER_SIZE + bad[i].body.len});
        assert_ended(&f->b, FRAME_ERROR, LOOM_EMALFORMED, bad[i].says);
        fake_agent_close(&f->b);
    }
    assert_int_equal(0, f->bus.called);
    assert_int_equal(0, f->a.ended);
}

static void a_call_id_of_65_bytes_ends_the_session(void **state)
{
    fixture *f = *state;
    static const uint8_t types[] = {FRAME_CALL, FRAME_RESULT, FRAME_REPORT, FRAME_CANCEL, FRAME_CALL_CREDIT};
    static const uint8_t counts[] = {8, 6, 5, 3, 4};
    for (size_t i = 0; i < sizeof types; i++) {
        uint8_t wire[FRAME_HEADER_SIZE + 4 + FRAME_CALL_ID_MAX + 1] = {0, 0, 0, sizeof wire - FRAME_HEADER_SIZE};
        const uint8_t head[] = {(uint8_t)(0x90 | counts[i]), types[i], 0xc4, FRAME_CALL_ID_MAX + 1};
        memcpy(wire + FRAME_HEADER_SIZE, head, sizeof head);
        fake_agent_enter(&f->b, f->bridge, "b", 0, 0);
        fake_agent_send_bytes(&f->b, BYTES(wire));
        assert_ended(&f->b, FRAME_ERROR, LOOM_EMALFORMED, "call id");
        fake_agent_close(&f->b);
    }
}

/* ---- down ---- */

static void a_provider_is_asked_with_all_that_is_said_of_the_call(void **state)
{
    fixture *f = *state;
    loom_envelope *env = fake_message("weather.lookup", "planner", 20);
    bring_call(f, "a", "at-1", loom_envelope_wire(env));
    assert_int_equal(2, f->a.outputs); /* the welcome, and this */
    fake_agent_hear(&f->a);
    const frame_call *call = &fake_agent_frame(&f->a, FRAME_CALL)->u.call;
    assert_true(same_bytes(call->call_id, "at-1"));
    assert_str("weather.lookup", call->capability);
    assert_str("2.1", call->version);
    assert_int_equal(4900, call->deadline_ms);
    assert_int_equal(700, call->idle_ms);
    assert_int_equal(FRAME_CALL_STREAMS, call->flags);
    assert_int_equal(loom_envelope_wire(env).len, call->envelope.len);
    assert_memory_equal(loom_envelope_wire(env).data, call->envelope.data, call->envelope.len); /* no tracer */
    assert_int_equal(1, bridge_get_stats(f->bridge).calls.down);
    loom_envelope_unref(env);
}

static void a_call_stands_between_deliveries_in_the_order_it_came(void **state)
{
    fixture *f = *state;
    loom_envelope *env = fake_message("t", "other", 20);
    loom_bytes wire = loom_envelope_wire(env);
    fake_bus_deliver(&f->bus, "a", 1, wire);
    bring_call(f, "a", "at-1", wire);
    fake_bus_deliver(&f->bus, "a", 1, wire);
    fake_agent_hear(&f->a);
    assert_int_equal(3, f->a.count);
    assert_int_equal(FRAME_DELIVER, f->a.frames[0].type);
    assert_int_equal(FRAME_CALL, f->a.frames[1].type);
    assert_int_equal(FRAME_DELIVER, f->a.frames[2].type);
    loom_envelope_unref(env);
}

static void what_comes_down_of_a_call_is_written_through(void **state)
{
    fixture *f = *state;
    fake_bus_say(&f->bus, "a", &(frame){.type = FRAME_RESULT,
                                        .u.result = {bytes_of("1"), FRAME_CALL_TIMEOUT, STR("idle"), STR("silent"), bytes_of("x")}});
    fake_bus_say(&f->bus, "a", &(frame){.type = FRAME_REPORT, .u.report = {bytes_of("2"), FRAME_PROGRESS, 9, bytes_of("half")}});
    fake_bus_say(&f->bus, "a", &(frame){.type = FRAME_CANCEL, .u.cancel = {bytes_of("3"), STR("cancelled")}});
    fake_bus_say(&f->bus, "a", &(frame){.type = FRAME_CALL_CREDIT, .u.call_credit = {bytes_of("4"), 7, 700}});
    fake_agent_hear(&f->a);
    assert_int_equal(4, f->a.count);
    const frame_result *result = &fake_agent_frame(&f->a, FRAME_RESULT)->u.result;
    assert_true(same_bytes(result->call_id, "1"));
    assert_int_equal(FRAME_CALL_TIMEOUT, result->outcome);
    assert_str("idle", result->code);
    assert_str("silent", result->text);
    assert_true(same_bytes(result->payload, "x"));
    const frame_report *report = &fake_agent_frame(&f->a, FRAME_REPORT)->u.report;
    assert_true(same_bytes(report->call_id, "2"));
    assert_int_equal(9, report->number);
    assert_true(same_bytes(report->payload, "half"));
    assert_str("cancelled", fake_agent_frame(&f->a, FRAME_CANCEL)->u.cancel.reason);
    assert_int_equal(700, fake_agent_frame(&f->a, FRAME_CALL_CREDIT)->u.call_credit.bytes);
    bridge_stats stats = bridge_get_stats(f->bridge);
    assert_int_equal(1, stats.results.down);
    assert_int_equal(1, stats.reports.down);
    assert_int_equal(1, stats.cancels.down);
}

/* ---- bounds ---- */

static void ten_thousand_calls_may_wait_for_one_provider(void **state)
{
    fixture *f = *state;
    loom_envelope *env = fake_message("t", "planner", 20);
    char id[16];
    for (unsigned i = 0; i < 10000; i++) {
        snprintf(id, sizeof id, "at-%u", i);
        bring_call(f, "a", id, loom_envelope_wire(env));
        frame_writer_clear(session_output(f->a.session));
        session_sent(f->a.session, 0);
    }
    for (unsigned i = 10000; i-- > 0;) {
        snprintf(id, sizeof id, "at-%u", i);
        assert_status(LOOM_OK, frame_put_result(&f->a.say, &(frame_result){.call_id = bytes_of(id)}));
    }
    fake_agent_send(&f->a);
    assert_int_equal(10000, f->bus.said[FRAME_RESULT]);
    assert_int_equal(0, f->a.ended);
    loom_envelope_unref(env);
}

/* It costs what the limit says, however much the bus has for it, and it ends at the next tick. */
static void an_agent_that_does_not_read_its_results_is_ended(void **state)
{
    fixture *f = *state;
    uint8_t *payload = calloc(1, 1000 * 1000);
    assert_non_null(payload);
    for (unsigned i = 0; i < 100; i++) {
        fake_bus_say(&f->bus, "a", &(frame){.type = FRAME_RESULT, .u.result = {.call_id = bytes_of("1"), .payload = {payload, 1000 * 1000}}});
        session_sent(f->a.session, session_output(f->a.session)->len);
    }
    free(payload);
    assert_in_range(session_output(f->a.session)->len, CALLS_MAX, CALLS_MAX + 1000 * 1000 + 100);
    assert_int_equal(0, f->a.ended); /* not inside a call of the bus */
    bridge_tick(f->bridge);
    assert_ended(&f->a, FRAME_ERROR, LOOM_EFULL, "does not read its calls and their results");
    assert_int_equal(LOOM_EFULL, f->bus.why);
}

/* ---- a provider that is slow ---- */

static void say_cancel(fixture *f, const char *id)
{
    fake_bus_say(&f->bus, "a", &(frame){.type = FRAME_CANCEL, .u.cancel = {bytes_of(id), STR("deadline_exceeded")}});
}

static void bring_numbered(fixture *f, unsigned number, loom_bytes wire)
{
    char id[9];
    snprintf(id, sizeof id, "%08u", number);
    bring_call(f, "a", id, wire);
}

static void cancel_numbered(fixture *f, unsigned number)
{
    char id[9];
    snprintf(id, sizeof id, "%08u", number);
    say_cancel(f, id);
}

/* The first is with the socket; others wait behind it, and between them stands what is for the agent as well. */
static void a_call_that_ends_before_it_was_sent_is_not_sent(void **state)
{
    fixture *f = *state;
    loom_envelope *env = fake_message("t", "planner", 1000);
    loom_bytes wire = loom_envelope_wire(env);
    session_sent(f->a.session, 1);
    for (unsigned i = 1; i <= 20; i++) {
        bring_numbered(f, i, wire);
        fake_bus_deliver(&f->bus, "a", 1, wire);
    }
    for (unsigned i = 1; i <= 20; i += 2) {
        cancel_numbered(f, i);
    }
    cancel_numbered(f, 1000); /* of no call that waits: is passed on */
    session_before_send(f->a.session);
    fake_agent_hear(&f->a);
    unsigned calls = 0, events = 0, cancels = 0;
    for (size_t i = 0; i < f->a.count; i++) {
        calls += f->a.frames[i].type == FRAME_CALL;
        events += f->a.frames[i].type == FRAME_DELIVER;
        cancels += f->a.frames[i].type == FRAME_CANCEL;
        if (f->a.frames[i].type == FRAME_CALL) {
            assert_int_equal(0, (f->a.frames[i].u.call.call_id.data[7] - '0') % 2);
        }
    }
    assert_int_equal(10, calls);
    assert_int_equal(20, events);
    assert_int_equal(1, cancels);
    assert_int_equal(10, bridge_get_stats(f->bridge).calls_dropped);
    cancel_numbered(f, 2); /* is on its way now: the provider is told */
    session_before_send(f->a.session);
    fake_agent_hear(&f->a);
    assert_int_equal(1, f->a.count);
    loom_envelope_unref(env);
}

/* Whatever the broker believes about the calls that timed out, the provider's session goes on. */
static void calls_that_time_out_unsent_end_no_session(void **state)
{
    fixture *f = *state;
    loom_envelope *env = fake_message("t", "planner", 1000 * 1000);
    loom_bytes wire = loom_envelope_wire(env);
    session_sent(f->a.session, 1);
    for (unsigned i = 1; i <= 200; i++) {
        bring_numbered(f, i, wire);
        if (i > 10) {
            cancel_numbered(f, i - 10);
        }
        assert_true(session_output(f->a.session)->len < 20 * 1000 * 1000);
    }
    bridge_tick(f->bridge);
    assert_int_equal(0, f->a.ended);
    session_before_send(f->a.session);
    assert_in_range(session_output(f->a.session)->len, 10 * 1000 * 1000, 11 * 1000 * 1000);
    frame_writer_clear(session_output(f->a.session));
    loom_envelope_unref(env);
}

static void a_call_that_finds_no_room_is_refused_and_the_session_goes_on(void **state)
{
    fixture *f = *state;
    enum { MORE = 100 };
    loom_envelope *env = fake_message("t", "planner", 1000 * 1000);
    session_sent(f->a.session, 1);
    for (unsigned i = 1; i <= MORE; i++) {
        bring_numbered(f, i, loom_envelope_wire(env));
    }
    assert_int_equal(0, f->bus.said[FRAME_RESULT]); /* not from within the bus */
    bridge_new_round(f->bridge);
    assert_in_range(f->bus.said[FRAME_RESULT], MORE - CALLS_MAX / (1000 * 1000), MORE - 64);
    assert_string_equal("provider_busy", f->bus.call.code);
    assert_memory_equal("00000100", f->bus.call.id, 8);
    bridge_tick(f->bridge);
    assert_int_equal(0, f->a.ended);
    bring_numbered(f, MORE + 1, loom_envelope_wire(env));
    fake_agent_close(&f->a); /* with a refusal that has not gone up */
    bridge_new_round(f->bridge);
    loom_envelope_unref(env);
}

/* It is the provider that reports too much, and the caller that would pay for it. */
static void progress_that_is_not_read_is_dropped_and_the_result_comes(void **state)
{
    fixture *f = *state;
    enum { REPORTS = 100, SIZE = 1000 * 1000, MOST = 4 * 1024 * 1024 + SIZE + 100 };
    uint8_t *payload = calloc(1, SIZE);
    assert_non_null(payload);
    for (unsigned i = 0; i < REPORTS; i++) {
        fake_bus_say(&f->bus, "a", &(frame){.type = FRAME_REPORT, .u.report = {bytes_of("1"), FRAME_PROGRESS, i, {payload, SIZE}}});
        assert_true(session_output(f->a.session)->len <= MOST);
    }
    fake_bus_say(&f->bus, "a", &(frame){.type = FRAME_REPORT, .u.report = {bytes_of("1"), FRAME_CHUNK, 0, {payload, SIZE}}});
    fake_bus_say(&f->bus, "a", &(frame){.type = FRAME_RESULT, .u.result = {.call_id = bytes_of("1")}});
    free(payload);
    bridge_tick(f->bridge);
    assert_int_equal(0, f->a.ended);
    bridge_stats stats = bridge_get_stats(f->bridge);
    assert_int_equal(REPORTS + 1, stats.reports.down + stats.progress_dropped);
    assert_in_range(stats.reports.down, 5, 7); /* the chunk is one of them */
    fake_agent_hear(&f->a);
    assert_int_equal(stats.reports.down + 1, f->a.count);
    assert_int_equal(FRAME_CHUNK, f->a.frames[f->a.count - 2].u.report.kind);
    assert_int_equal(FRAME_RESULT, f->a.frames[f->a.count - 1].type);
}

static void an_agent_that_reads_may_be_called_for_ever(void **state)
{
    fixture *f = *state;
    loom_envelope *env = fake_message("t", "planner", 60 * 1000);
    for (unsigned i = 0; i < 1000; i++) {
        bring_call(f, "a", "1", loom_envelope_wire(env));
        size_t len = session_output(f->a.session)->len;
        frame_writer_clear(session_output(f->a.session));
        session_sent(f->a.session, len); /* the one before has been read, this one is on its way */
    }
    bridge_tick(f->bridge);
    assert_int_equal(0, f->a.ended);
    loom_envelope_unref(env);
}

/* An agent that is always far behind with its events, and reads all the same, is not ended for its few results. */
static void a_backlog_of_events_does_not_count_as_unread_results(void **state)
{
    fixture *f = *state;
    loom_envelope *env = fake_message("t", "planner", 60 * 1000);
    loom_bytes wire = loom_envelope_wire(env);
    uint8_t payload[2000] = {0};
    size_t backlog = 0;
    for (unsigned i = 0; i < 40000; i++) {
        fake_bus_deliver(&f->bus, "a", 1, wire);
        fake_bus_say(&f->bus, "a", &(frame){.type = FRAME_RESULT, .u.result = {.call_id = bytes_of("1"), .payload = BYTES(payload)}});
        frame_writer_seal(session_output(f->a.session));
        backlog += session_output(f->a.session)->len;
        frame_writer_clear(session_output(f->a.session));
        if (backlog > 7 * 1024 * 1024) {
            backlog -= 100 * 1000;
        }
        session_sent(f->a.session, backlog);
    }
    bridge_tick(f->bridge);
    assert_int_equal(0, f->a.ended);
    loom_envelope_unref(env);
}

#define with_fixture(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_fixture(what_an_agent_provides_goes_to_the_bus_and_the_answer_comes_back),
        with_fixture(a_call_reaches_the_bus_with_all_that_was_said_of_it),
        with_fixture(a_call_may_leave_its_id_to_the_broker),
        with_fixture(a_call_without_a_sender_is_stamped),
        with_fixture(a_foreign_call_is_put_into_the_fixed_form),
        with_fixture(a_forged_sender_of_a_call_is_denied_and_the_session_goes_on),
        with_fixture(a_payload_over_the_limit_is_too_large_and_the_session_goes_on),
        with_fixture(a_refused_call_without_an_id_gets_one),
        with_fixture(a_malformed_envelope_in_a_call_ends_that_session_and_says_what),
        with_fixture(bytes_after_the_envelope_of_a_call_end_the_session),
        with_fixture(a_context_with_half_an_id_is_dropped_and_counted),
        with_fixture(a_caller_cancels_and_grants_credit),
        with_fixture(a_provider_reports_and_answers),
        with_fixture(what_is_said_of_a_call_that_is_over_is_passed_on_and_harms_nobody),
        with_fixture(a_field_of_the_wrong_kind_ends_the_session_and_is_named),
        with_fixture(a_call_id_of_65_bytes_ends_the_session),
        with_fixture(a_provider_is_asked_with_all_that_is_said_of_the_call),
        with_fixture(a_call_stands_between_deliveries_in_the_order_it_came),
        with_fixture(what_comes_down_of_a_call_is_written_through),
        with_fixture(ten_thousand_calls_may_wait_for_one_provider),
        with_fixture(an_agent_that_does_not_read_its_results_is_ended),
        with_fixture(a_call_that_ends_before_it_was_sent_is_not_sent),
        with_fixture(calls_that_time_out_unsent_end_no_session),
        with_fixture(a_call_that_finds_no_room_is_refused_and_the_session_goes_on),
        with_fixture(progress_that_is_not_read_is_dropped_and_the_result_comes),
        with_fixture(an_agent_that_reads_may_be_called_for_ever),
        with_fixture(a_backlog_of_events_does_not_count_as_unread_results),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
