/* SPDX-License-Identifier: Apache-2.0 */
/* bridge.publish and bridge.forward: what they hang on, and what of a message they touch. */
#include <stdlib.h>

#include "tests/unit/bridge/fake_bus.h"
#include "tests/unit/trace/recorded.h"

static const loom_trace_context producer = {{0x11, 1}, {0x22, 2}, LOOM_TRACE_FLAG_SAMPLED | LOOM_TRACE_FLAG_RANDOM};

typedef struct fixture {
    loop_clock clock;
    recorded recorded;
    fake_bus bus;
    bridge *bridge;
    fake_agent a, b;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    recorded_open(&f->recorded, NULL);
    fake_bus_init(&f->bus);
    bridge_options options = {.id = "bridge-1", .software = "test", .bus = &f->bus.base, .tracer = f->recorded.tracer};
    assert_status(LOOM_OK, bridge_create(&f->bridge, &f->clock, &options));
    fake_agent_enter(&f->a, f->bridge, "a", 0, 0);
    fake_agent_enter(&f->b, f->bridge, "b", 0, 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    fake_agent_close(&f->a);
    fake_agent_close(&f->b);
    bridge_destroy(f->bridge);
    recorded_close(&f->recorded);
    free(f);
    return 0;
}

static loom_envelope *message(const loom_trace_context *ctx)
{
    loom_envelope_fields fields = {.topic = STR("t.u"), .sender = STR("a"), .type = STR("x"), .thread_id = STR("thread-1"),
                                   .correlation_id = STR("corr-1"), .tracestate = STR("k=v"), .payload = BYTES("12345")};
    loom_envelope_inject(&fields, ctx);
    loom_envelope *env;
    assert_status(LOOM_OK, loom_envelope_create(&env, &fields));
    return env;
}

static void publish(fixture *f, const loom_envelope *env)
{
    fake_agent_publish(&f->a, loom_envelope_wire(env));
    fake_agent_send(&f->a);
}

/* The context an envelope carries, as a span's ids in JSON. */
static void same_span(json_t *span, const char *trace_key, const char *span_key, const loom_trace_context *ctx)
{
    char trace_id[LOOM_TRACE_ID_HEX_SIZE], span_id[LOOM_SPAN_ID_HEX_SIZE];
    loom_trace_id_to_hex(trace_id, ctx->trace_id);
    loom_span_id_to_hex(span_id, ctx->span_id);
    assert_string_equal(trace_id, recorded_string(span, trace_key));
    assert_string_equal(span_id, recorded_string(span, span_key));
}

static loom_trace_context published_context(const fixture *f)
{
    loom_trace_context ctx;
    hop_read(f->bus.wire, &ctx);
    return ctx;
}

static loom_trace_context delivered_context(fake_agent *a, size_t at)
{
    fake_agent_hear(a);
    const frame_batch *batch = &fake_agent_frame(a, FRAME_DELIVER)->u.batch;
    loom_trace_context ctx;
    hop_read(batch->items.data + at, &ctx);
    return ctx;
}

static void each_hop_is_the_child_of_the_one_before(void **state)
{
    fixture *f = *state;
    loom_envelope *env = message(&producer);
    publish(f, env);
    const loom_trace_context published = published_context(f);
    fake_bus_deliver(&f->bus, "b", 1, (loom_bytes){f->bus.wire, f->bus.wire_len});
    const loom_trace_context delivered = delivered_context(&f->b, 1);
    loom_envelope_unref(env);

    recorded_read(&f->recorded);
    assert_int_equal(2, json_array_size(f->recorded.spans));
    json_t *publish_span = recorded_span(&f->recorded, "bridge.publish");
    json_t *forward_span = recorded_span(&f->recorded, "bridge.forward");
    same_span(publish_span, "traceId", "parentSpanId", &producer);
    same_span(publish_span, "traceId", "spanId", &published);
    same_span(forward_span, "traceId", "parentSpanId", &published);
    same_span(forward_span, "traceId", "spanId", &delivered);
    assert_int_equal(LOOM_SPAN_CONSUMER, json_integer_value(json_object_get(publish_span, "kind")));
    assert_int_equal(LOOM_SPAN_PRODUCER, json_integer_value(json_object_get(forward_span, "kind")));
    assert_int_equal(producer.trace_flags, delivered.trace_flags); /* sampled, and random */
    assert_string_equal("k=v", recorded_string(publish_span, "traceState"));
}

static void a_span_says_whose_message_it_was(void **state)
{
    fixture *f = *state;
    loom_envelope *env = message(&producer);
    publish(f, env);
    recorded_read(&f->recorded);
    json_t *span = recorded_span(&f->recorded, "bridge.publish");
    char id[LOOM_UUID_TEXT_SIZE];
    loom_envelope_id_text(env, id);
    recorded_has_string(span, "messaging.system", "loom");
    recorded_has_string(span, "messaging.operation.type", "receive");
    recorded_has_string(span, "messaging.destination.name", "t.u");
    recorded_has_string(span, "messaging.message.id", id);
    recorded_has_string(span, "messaging.message.conversation_id", "corr-1");
    recorded_has_string(span, "agent_id", "a");
    recorded_has_string(span, "topic", "t.u");
    recorded_has_string(span, "event_id", id);
    recorded_has_string(span, "thread_id", "thread-1");
    recorded_has_string(span, "correlation_id", "corr-1");
    loom_envelope_unref(env);
}

static void a_refused_message_shows_why_on_its_span(void **state)
{
    fixture *f = *state;
    loom_envelope_fields fields = {.topic = STR("t.u"), .sender = STR("somebody-else")};
    loom_envelope *env;
    loom_envelope_inject(&fields, &producer);
    assert_status(LOOM_OK, loom_envelope_create(&env, &fields));
    publish(f, env);
    recorded_read(&f->recorded);
    json_t *status = json_object_get(recorded_span(&f->recorded, "bridge.publish"), "status");
    assert_int_equal(LOOM_SPAN_ERROR, json_integer_value(json_object_get(status, "code")));
    assert_string_equal("the sender is not the agent of this session", recorded_string(status, "message"));
    loom_envelope_unref(env);
}

static void a_hop_changes_nothing_of_a_message_but_its_context(void **state)
{
    fixture *f = *state;
    loom_envelope *env = message(&producer);
    publish(f, env);
    loom_bytes wire = loom_envelope_wire(env);
    assert_int_equal(wire.len, f->bus.wire_len);
    assert_memory_equal(wire.data, f->bus.wire, HOP_SPAN_ID_OFFSET); /* the trace id included */
    assert_memory_not_equal(wire.data + HOP_SPAN_ID_OFFSET, f->bus.wire + HOP_SPAN_ID_OFFSET, LOOM_SPAN_ID_SIZE);
    assert_memory_equal(wire.data + HOP_FLAGS_OFFSET, f->bus.wire + HOP_FLAGS_OFFSET, wire.len - HOP_FLAGS_OFFSET);
    loom_envelope_unref(env);
}

static void an_unsampled_message_passes_byte_for_byte_and_makes_no_span(void **state)
{
    fixture *f = *state;
    loom_trace_context unsampled = producer;
    unsampled.trace_flags = LOOM_TRACE_FLAG_RANDOM;
    loom_envelope *env = message(&unsampled);
    loom_bytes wire = loom_envelope_wire(env);
    publish(f, env);
    assert_memory_equal(wire.data, f->bus.wire, wire.len);
    fake_bus_deliver(&f->bus, "b", 1, (loom_bytes){f->bus.wire, f->bus.wire_len});
    fake_agent_hear(&f->b);
    assert_memory_equal(wire.data, fake_agent_frame(&f->b, FRAME_DELIVER)->u.batch.items.data + 1, wire.len);
    recorded_read(&f->recorded);
    assert_int_equal(0, json_array_size(f->recorded.spans));
    loom_envelope_unref(env);
}

static void a_message_without_a_context_gets_a_root(void **state)
{
    fixture *f = *state;
    loom_envelope *env = message(NULL);
    publish(f, env);
    const loom_trace_context published = published_context(f);
    assert_true(loom_trace_context_valid(&published));
    assert_int_equal(0, bridge_get_stats(f->bridge).invalid_contexts);
    recorded_read(&f->recorded);
    json_t *span = recorded_span(&f->recorded, "bridge.publish");
    assert_string_equal("", recorded_string(span, "parentSpanId"));
    assert_string_equal("", recorded_string(span, "traceState")); /* it belongs to a parent (Trace Context 3.3) */
    same_span(span, "traceId", "spanId", &published);
    loom_envelope_unref(env);
}

/* W3C Trace Context, 3.3: what comes with an invalid traceparent goes with it, so that no later hop finds it. */
static void the_tracestate_of_an_invalid_context_goes_no_further(void **state)
{
    fixture *f = *state;
    loom_envelope *env = message(&producer);
    uint8_t *wire = (uint8_t *)(uintptr_t)loom_envelope_wire(env).data; /* nobody else has a reference */
    memset(wire + HOP_SPAN_ID_OFFSET, 0, LOOM_SPAN_ID_SIZE);
    publish(f, env);
    loom_envelope *published = fake_bus_last(&f->bus);
    assert_str("", loom_envelope_tracestate(published));
    assert_int_equal(1, bridge_get_stats(f->bridge).invalid_contexts);
    fake_bus_deliver(&f->bus, "b", 1, (loom_bytes){f->bus.wire, f->bus.wire_len});
    recorded_read(&f->recorded);
    assert_string_equal("", recorded_string(recorded_span(&f->recorded, "bridge.forward"), "traceState"));
    loom_envelope_unref(published);
    loom_envelope_unref(env);
}

static void a_root_is_not_the_child_of_what_the_thread_happens_to_do(void **state)
{
    fixture *f = *state;
    loom_span *other = loom_span_start(f->recorded.tracer, "other", NULL);
    loom_span_make_current(other);
    loom_envelope *env = message(NULL);
    publish(f, env);
    loom_span_end(other);
    recorded_read(&f->recorded);
    assert_string_equal("", recorded_string(recorded_span(&f->recorded, "bridge.publish"), "parentSpanId"));
    loom_envelope_unref(env);
}

static void an_invalid_context_counts_and_gets_a_root(void **state)
{
    fixture *f = *state;
    loom_envelope *env = message(&producer);
    loom_bytes wire = loom_envelope_wire(env);
    uint8_t *bad = malloc(wire.len);
    assert_non_null(bad);
    memcpy(bad, wire.data, wire.len);
    memset(bad + HOP_SPAN_ID_OFFSET, 0, LOOM_SPAN_ID_SIZE);
    fake_agent_publish(&f->a, (loom_bytes){bad, wire.len});
    fake_agent_send(&f->a);
    assert_int_equal(1, f->bus.published);
    assert_int_equal(1, bridge_get_stats(f->bridge).invalid_contexts);
    const loom_trace_context published = published_context(f);
    assert_memory_not_equal(producer.trace_id, published.trace_id, LOOM_TRACE_ID_SIZE);
    recorded_read(&f->recorded);
    assert_string_equal("", recorded_string(recorded_span(&f->recorded, "bridge.publish"), "parentSpanId"));
    free(bad);
    loom_envelope_unref(env);
}

static void each_copy_of_a_message_has_a_forward_span_of_its_own(void **state)
{
    fixture *f = *state;
    loom_envelope *env = message(&producer);
    loom_bytes wire = loom_envelope_wire(env);
    fake_bus_deliver(&f->bus, "b", 1, wire);
    fake_bus_deliver(&f->bus, "b", 2, wire);
    const loom_trace_context first = delivered_context(&f->b, 1);
    loom_trace_context second, kept;
    hop_read(f->b.frames[0].u.batch.items.data + 1 + wire.len + 1, &second);
    assert_memory_not_equal(first.span_id, second.span_id, LOOM_SPAN_ID_SIZE);
    hop_read(wire.data, &kept); /* the shared bytes are left alone */
    assert_memory_equal(&producer, &kept, sizeof kept);
    recorded_read(&f->recorded);
    assert_int_equal(2, json_array_size(f->recorded.spans));
    loom_envelope_unref(env);
}

#define with_fixture(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_fixture(each_hop_is_the_child_of_the_one_before),
        with_fixture(a_span_says_whose_message_it_was),
        with_fixture(a_refused_message_shows_why_on_its_span),
        with_fixture(a_hop_changes_nothing_of_a_message_but_its_context),
        with_fixture(an_unsampled_message_passes_byte_for_byte_and_makes_no_span),
        with_fixture(a_message_without_a_context_gets_a_root),
        with_fixture(the_tracestate_of_an_invalid_context_goes_no_further),
        with_fixture(a_root_is_not_the_child_of_what_the_thread_happens_to_do),
        with_fixture(an_invalid_context_counts_and_gets_a_root),
        with_fixture(each_copy_of_a_message_has_a_forward_span_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
