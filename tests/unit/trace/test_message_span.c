/* SPDX-License-Identifier: Apache-2.0 */
/* The span of a message's hop: what it is called, and every attribute in its order. */
#include "tests/unit/trace/recorded.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/str.h"
#include "envelope/encode.h"
#include "trace/export/processor.h"
#include "trace/messaging/message_span.h"

typedef struct fixture {
    recorded spans;
    uint8_t wire[512];
    envelope_view view;
} fixture;

static int set_up(void **state)
{
    static fixture f;
    recorded_open(&f.spans, NULL);
    *state = &f;
    return 0;
}

static int set_up_never(void **state)
{
    static fixture f;
    recorded_open(&f.spans, &(loom_sampler){.kind = LOOM_SAMPLER_PARENTBASED_ALWAYS_OFF});
    *state = &f;
    return 0;
}

static int set_up_off(void **state)
{
    static fixture f;
    recorded_open(&f.spans, &(loom_sampler){.kind = LOOM_SAMPLER_ALWAYS_OFF});
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    recorded_close(&f->spans);
    return 0;
}

static const uint8_t ID[LOOM_UUID_SIZE] = {0x01, 0x89, 0x0a, 0x5d, 0xac, 0x96, 0x77, 0x4b,
                                           0xbc, 0xce, 0xb3, 0x02, 0x09, 0x9a, 0x80, 0x57};
#define ID_TEXT "01890a5d-ac96-774b-bcce-b302099a8057"

static void make_message(fixture *f, const loom_trace_context *context, loom_str correlation)
{
    loom_envelope_fields fields = {.topic = STR("readings.raw"), .sender = STR("sensor"), .payload = {ID, 5},
                                   .correlation_id = correlation};
    uint8_t id[LOOM_UUID_SIZE];
    size_t size;
    const char *reason;
    memcpy(fields.id, ID, sizeof ID);
    loom_envelope_inject(&fields, context);
    assert_status(LOOM_OK, envelope_encode_check(&fields, &size));
    assert_in_range(size, 1, sizeof f->wire);
    size = envelope_encode(f->wire, &fields, id);
    assert_status(LOOM_OK, envelope_scan(&f->view, (loom_bytes){f->wire, size}, NULL, &reason));
}

/* Whether the hop was traced. */
static bool pass(fixture *f, message_hop hop, loom_trace_context *ctx, bool *patch)
{
    message_pass p;
    message_pass_begin(&p, f->spans.tracer, hop, &f->view, STR("agent"), true, NULL);
    *ctx = p.ctx;
    *patch = p.has_ctx;
    const bool traced = message_pass_is_traced(&p);
    message_pass_end(&p, NULL);
    return traced;
}

static const loom_trace_context SAMPLED = {{0xaa, 1}, {0xbb, 2}, LOOM_TRACE_FLAG_SAMPLED};
static const loom_trace_context UNSAMPLED = {{0xaa, 1}, {0xbb, 2}, 0};

static void every_attribute_is_there_in_its_order(void **state)
{
    fixture *f = *state;
    static const char *const expected[][2] = {
        {"messaging.system", "loom"},
        {"messaging.operation.type", "send"},
        {"messaging.operation.name", "forward"},
        {"messaging.destination.name", "readings.raw"},
        {"messaging.message.id", ID_TEXT},
        {"messaging.message.conversation_id", "order-7"},
        {"messaging.client.id", "agent"},
        {"messaging.message.body.size", NULL},
        {"agent_id", "agent"},
        {"topic", "readings.raw"},
        {"event_id", ID_TEXT},
        {"thread_id", ID_TEXT},
        {"correlation_id", "order-7"},
    };
    loom_trace_context ctx;
    bool patch;
    make_message(f, &SAMPLED, STR("order-7"));
    assert_true(pass(f, HOP_BRIDGE_FORWARD, &ctx, &patch));
    recorded_read(&f->spans);
    json_t *span = recorded_span(&f->spans, "bridge.forward"), *size = NULL;
    json_t *attributes = json_object_get(span, "attributes");
    assert_int_equal(LOOM_SPAN_PRODUCER, json_integer_value(json_object_get(span, "kind")));
    assert_int_equal(sizeof expected / sizeof *expected, json_array_size(attributes));
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        assert_string_equal(expected[i][0], recorded_string(json_array_get(attributes, i), "key"));
        if (expected[i][1] != NULL) {
            recorded_has_string(span, expected[i][0], expected[i][1]);
        }
    }
    assert_int_equal(1, recorded_attr(span, "messaging.message.body.size", &size));
    assert_string_equal("5", recorded_string(size, "intValue"));
}

static void each_hop_has_its_name_and_kind(void **state)
{
    fixture *f = *state;
    static const struct {
        message_hop hop;
        const char *name;
        loom_span_kind kind;
    } hops[] = {
        {HOP_AGENT_EMIT, "agent.emit", LOOM_SPAN_PRODUCER},
        {HOP_BRIDGE_PUBLISH, "bridge.publish", LOOM_SPAN_CONSUMER},
        {HOP_EVENTBUS_PUBLISH, "eventbus.publish", LOOM_SPAN_INTERNAL},
        {HOP_EVENTBUS_DROP, "eventbus.drop", LOOM_SPAN_INTERNAL},
        {HOP_BRIDGE_FORWARD, "bridge.forward", LOOM_SPAN_PRODUCER},
        {HOP_AGENT_ON_EVENT, "agent.on_event", LOOM_SPAN_CONSUMER},
    };
    loom_trace_context ctx;
    bool patch;
    make_message(f, &SAMPLED, (loom_str){0});
    for (size_t i = 0; i < sizeof hops / sizeof *hops; i++) {
        assert_true(pass(f, hops[i].hop, &ctx, &patch));
    }
    recorded_read(&f->spans);
    for (size_t i = 0; i < sizeof hops / sizeof *hops; i++) {
        json_t *span = recorded_span(&f->spans, hops[i].name), *type = NULL;
        assert_int_equal(hops[i].kind, json_integer_value(json_object_get(span, "kind")));
        assert_int_equal(hops[i].hop == HOP_EVENTBUS_DROP ? 0 : 1, recorded_attr(span, "messaging.operation.type", &type));
        recorded_has_string(span, "correlation_id", ID_TEXT);
    }
}

static void a_sampled_message_is_to_carry_the_context_of_its_span(void **state)
{
    fixture *f = *state;
    message_pass p;
    make_message(f, &SAMPLED, (loom_str){0});
    message_pass_begin(&p, f->spans.tracer, HOP_BRIDGE_PUBLISH, &f->view, STR("agent"), true, f->wire);
    assert_true(p.has_ctx);
    assert_memory_equal(loom_span_context(message_pass_span(&p)), &p.ctx, sizeof p.ctx);
    assert_memory_equal(f->wire + HOP_SPAN_ID_OFFSET, p.ctx.span_id, sizeof p.ctx.span_id);
    assert_memory_equal(SAMPLED.trace_id, p.ctx.trace_id, sizeof p.ctx.trace_id);
    assert_memory_not_equal(SAMPLED.span_id, p.ctx.span_id, sizeof p.ctx.span_id);
    message_pass_end(&p, NULL);
}

static void an_unsampled_message_is_left_alone(void **state)
{
    fixture *f = *state;
    loom_trace_context ctx;
    bool patch;
    make_message(f, &UNSAMPLED, (loom_str){0});
    assert_false(pass(f, HOP_BRIDGE_PUBLISH, &ctx, &patch));
    assert_false(patch);
}

static void a_message_without_context_is_to_carry_the_decision_against_it(void **state)
{
    fixture *f = *state;
    loom_trace_context ctx;
    bool patch;
    make_message(f, NULL, (loom_str){0});
    assert_false(pass(f, HOP_BRIDGE_PUBLISH, &ctx, &patch));
    assert_true(patch);
    assert_true(loom_trace_context_valid(&ctx));
    assert_int_equal(0, ctx.trace_flags & LOOM_TRACE_FLAG_SAMPLED);
}

static void a_sampled_message_is_to_carry_the_decision_against_it(void **state)
{
    fixture *f = *state;
    loom_trace_context ctx;
    bool patch = false;
    make_message(f, &SAMPLED, (loom_str){0});
    assert_false(pass(f, HOP_BRIDGE_PUBLISH, &ctx, &patch));
    assert_true(patch);
    assert_memory_equal(SAMPLED.trace_id, ctx.trace_id, sizeof ctx.trace_id);
    assert_memory_not_equal(SAMPLED.span_id, ctx.span_id, sizeof ctx.span_id);
    assert_int_equal(0, ctx.trace_flags & LOOM_TRACE_FLAG_SAMPLED);
}

static void without_a_tracer_no_message_is_touched(void **state)
{
    fixture *f = *state;
    const loom_trace_context *contexts[] = {NULL, &SAMPLED, &UNSAMPLED};
    for (size_t i = 0; i < 3; i++) {
        message_pass p;
        make_message(f, contexts[i], (loom_str){0});
        message_pass_begin(&p, NULL, HOP_BRIDGE_PUBLISH, &f->view, STR("agent"), true, f->wire);
        assert_null(p.span);
        assert_false(p.has_ctx);
    }
}

/* ---- a tracer that remembers ---- */

#define LONG_TOPIC "a.topic.that.is.so.long.that.its.attribute.does.not.fit.into.one.byte.of.length.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

/* Each is passed twice, so that the second time there may be something to remember. */
static const struct {
    const char *agent, *topic, *thread, *correlation;
    uint8_t id; /* its last byte */
    uint32_t payload;
} passed[] = {
    {"agent", "readings.raw", NULL, NULL, 1, 5},
    {"agent", "readings.raw", NULL, NULL, 2, 5},
    {"agent", "readings.raw", NULL, NULL, 3, 100},
    {"agent", "readings.raw", NULL, NULL, 4, 300},
    {"agent", "readings.raw", "thread", NULL, 5, 300},
    {"agent", "readings.raw", NULL, "order-7", 6, 300},
    {"other", "readings.raw", NULL, NULL, 7, 300},
    {"agent", "readings.new", NULL, NULL, 8, 300},
    {"agent", "readings.raw", NULL, NULL, 9, 0},
    {"agent\xff", "readings.raw", NULL, NULL, 10, 5},
    {NULL, "t", NULL, NULL, 11, 5},
    {"a", "t", NULL, NULL, 12, 5},
    {"agent", LONG_TOPIC, NULL, NULL, 13, 5},
    {"agent", LONG_TOPIC, NULL, NULL, 14, 6},
};

static message_facts facts_of(size_t i, const uint8_t id[LOOM_UUID_SIZE])
{
    return (message_facts){.agent = str_of(passed[i].agent),
                           .topic = str_of(passed[i].topic),
                           .thread_id = str_of(passed[i].thread),
                           .correlation_id = str_of(passed[i].correlation),
                           .id = id,
                           .payload_len = passed[i].payload};
}

static void pass_all(loom_tracer *tracer)
{
    static const message_hop hops[] = {HOP_BRIDGE_PUBLISH, HOP_EVENTBUS_PUBLISH, HOP_EVENTBUS_DROP, HOP_BRIDGE_FORWARD};
    for (size_t i = 0; i < 2 * sizeof passed / sizeof *passed; i++) {
        uint8_t id[LOOM_UUID_SIZE];
        memcpy(id, ID, sizeof id);
        id[LOOM_UUID_SIZE - 1] = passed[i / 2].id;
        const message_facts facts = facts_of(i / 2, id);
        for (size_t k = 0; k < sizeof hops / sizeof *hops; k++) {
            loom_span *span = message_span_start(tracer, hops[k], &facts, &(loom_span_options){.parent = &SAMPLED}, &SAMPLED);
            loom_span_set_str(span, "topic", STR("said again"));
            loom_span_set_str(span, "more", STR("of it"));
            loom_span_end(span);
        }
    }
}

static void what_is_remembered_changes_no_attribute(void **state)
{
    fixture *f = *state;
    recorded remembering;
    recorded_open(&remembering, NULL);
    message_span_remember(remembering.tracer);
    pass_all(f->spans.tracer);
    pass_all(remembering.tracer);
    recorded_read(&f->spans);
    recorded_read(&remembering);
    const size_t count = json_array_size(f->spans.spans);
    assert_int_equal(8 * sizeof passed / sizeof *passed, count);
    assert_int_equal(count, json_array_size(remembering.spans));
    for (size_t i = 0; i < count; i++) {
        json_t *plain = json_array_get(f->spans.spans, i), *other = json_array_get(remembering.spans, i);
        assert_string_equal(recorded_string(plain, "name"), recorded_string(other, "name"));
        assert_true(json_equal(json_object_get(plain, "attributes"), json_object_get(other, "attributes")));
    }
    recorded_close(&remembering);
}

static void more_topics_than_are_remembered_change_no_attribute(void **state)
{
    fixture *f = *state;
    message_span_remember(f->spans.tracer);
    char topic[16];
    for (unsigned i = 0; i < 400; i++) {
        snprintf(topic, sizeof topic, "t.%u", i % 200);
        const message_facts facts = {.agent = STR("agent"), .topic = {topic, strlen(topic)}, .id = ID, .payload_len = i};
        loom_span_end(message_span_start(f->spans.tracer, HOP_BRIDGE_FORWARD, &facts,
                                         &(loom_span_options){.parent = &SAMPLED}, &SAMPLED));
    }
    recorded_read(&f->spans);
    assert_int_equal(400, json_array_size(f->spans.spans));
    for (unsigned i = 0; i < 400; i++) {
        json_t *span = json_array_get(f->spans.spans, i), *size = NULL;
        char number[16];
        snprintf(topic, sizeof topic, "t.%u", i % 200);
        snprintf(number, sizeof number, "%u", i);
        recorded_has_string(span, "topic", topic);
        recorded_has_string(span, "messaging.destination.name", topic);
        assert_int_equal(1, recorded_attr(span, "messaging.message.body.size", &size));
        assert_string_equal(number, recorded_string(size, "intValue"));
    }
}

/* ---- a hop that the exporter thread writes out, and a span ---- */

static void end_each(loom_tracer *tracer, bool as_span)
{
    static const message_hop hops[] = {HOP_AGENT_EMIT, HOP_BRIDGE_FORWARD, HOP_AGENT_ON_EVENT};
    static const loom_trace_context others[] = {{{0xaa, 1}, {0xcc, 3}, LOOM_TRACE_FLAG_SAMPLED | LOOM_TRACE_FLAG_RANDOM},
                                                {{0xee, 1}, {0xcc, 3}, LOOM_TRACE_FLAG_SAMPLED}};
    for (size_t i = 0; i < 3 * sizeof passed / sizeof *passed; i++) {
        const uint8_t id[LOOM_UUID_SIZE] = {passed[i / 3].id};
        message_facts facts = facts_of(i / 3, id);
        const loom_link link = {.context = others[i % 2], .context_is_remote = true};
        const loom_trace_context *parent = i % 4 > 0 ? &SAMPLED : NULL;
        message_pass p;
        message_pass_begin_record(&p, tracer, hops[i % 3], parent, i % 5 > 0, &SAMPLED, 1000 + i);
        message_pass_set_group(&p, str_of(i % 7 == 0 ? "workers" : NULL));
        if (as_span) {
            assert_non_null(message_pass_promote(&p, &facts, i % 3 == 2 ? &link : NULL));
        }
        facts.failure = i % 4 == 1 ? LOOM_EIO : LOOM_OK;
        message_pass_end_record(&p, &facts, i % 3 == 2 ? &link : NULL);
    }
}

/* What differs from run to run is made the same. */
static json_t *comparable(json_t *span)
{
    json_object_del(span, "spanId");
    json_object_del(span, "endTimeUnixNano");
    json_object_del(json_array_get(json_object_get(span, "events"), 0), "timeUnixNano");
    return span;
}

static void compare_with_spans(fixture *f)
{
    recorded whole;
    recorded_open(&whole, NULL);
    end_each(f->spans.tracer, false);
    end_each(whole.tracer, true);
    recorded_read(&f->spans);
    recorded_read(&whole);
    const size_t count = json_array_size(whole.spans);
    assert_int_equal(3 * sizeof passed / sizeof *passed, count);
    assert_int_equal(count, json_array_size(f->spans.spans));
    for (size_t i = 0; i < count; i++) {
        json_t *span = comparable(json_array_get(whole.spans, i)), *hop = comparable(json_array_get(f->spans.spans, i));
        if (!json_equal(span, hop)) {
            char *one = json_dumps(span, JSON_SORT_KEYS), *other = json_dumps(hop, JSON_SORT_KEYS);
            fail_msg("span %zu is\n%s\nand was written out as\n%s", i, one, other);
        }
    }
    const loom_span_counts counts = loom_span_processor_counts(f->spans.processor);
    assert_int_equal(count, counts.ended);
    assert_int_equal(count, counts.exported);
    recorded_close(&whole);
}

static void a_hop_is_exported_as_its_span_would_be(void **state)
{
    compare_with_spans(*state);
}

/* Every other one finds no memory. */
static void write_some(const span_scope *scope, loom_bytes record, pb_buf *out)
{
    (void)scope;
    pb_string_field(out, 5, STR("written")); /* Span.name */
    out->failed = out->failed || record.data[0] % 2 == 1;
}

static const span_form some = {write_some};

static void submit(fixture *f, uint8_t from, uint8_t to, uint8_t step)
{
    for (uint8_t i = from; i < to; i = (uint8_t)(i + step)) {
        provider_use(f->spans.provider);
        (void)processor_submit_form(f->spans.processor, &f->spans.tracer->scope, &some, (loom_bytes){&i, 1});
    }
}

static void what_cannot_be_written_out_is_counted(void **state)
{
    fixture *f = *state;
    submit(f, 0, 20, 1);
    assert_status(LOOM_EIO, loom_span_processor_flush(f->spans.processor, 10000));
    submit(f, 1, 21, 2); /* none of a batch */
    assert_status(LOOM_EIO, loom_span_processor_flush(f->spans.processor, 10000));
    submit(f, 0, 20, 2);
    assert_status(LOOM_OK, loom_span_processor_flush(f->spans.processor, 10000));
    const loom_span_counts counts = loom_span_processor_counts(f->spans.processor);
    assert_int_equal(40, counts.ended);
    assert_int_equal(20, counts.exported);
    assert_int_equal(20, counts.dropped_failed);
    recorded_read(&f->spans);
    assert_int_equal(20, json_array_size(f->spans.spans));
}

static int set_up_limited(void **state)
{
    setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "9", 1);
    setenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "10", 1);
    setenv("OTEL_SPAN_LINK_COUNT_LIMIT", "0", 1);
    return set_up(state);
}

static void limits_are_those_of_a_span(void **state)
{
    compare_with_spans(*state);
}

int main(void)
{
#define RECORDED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        RECORDED(every_attribute_is_there_in_its_order),
        RECORDED(each_hop_has_its_name_and_kind),
        RECORDED(a_sampled_message_is_to_carry_the_context_of_its_span),
        RECORDED(an_unsampled_message_is_left_alone),
        cmocka_unit_test_setup_teardown(a_message_without_context_is_to_carry_the_decision_against_it, set_up_never,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_sampled_message_is_to_carry_the_decision_against_it, set_up_off, tear_down),
        RECORDED(without_a_tracer_no_message_is_touched),
        RECORDED(what_is_remembered_changes_no_attribute),
        RECORDED(more_topics_than_are_remembered_change_no_attribute),
        RECORDED(a_hop_is_exported_as_its_span_would_be),
        RECORDED(what_cannot_be_written_out_is_counted),
        cmocka_unit_test_setup_teardown(limits_are_those_of_a_span, set_up_limited, tear_down), /* the last, since they stay */
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
