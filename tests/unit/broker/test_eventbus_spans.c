/* SPDX-License-Identifier: Apache-2.0 */
/* The bus's part of a message's trace, read back from what was exported. */
#include <stdlib.h>

#include "tests/unit/broker/bus_fixture.h"
#include "tests/unit/trace/recorded.h"

typedef struct fixture {
    loop_clock clock;
    recorded spans;
    eventbus *bus;
    test_publisher publisher;
    test_subscriber a;
} fixture;

static const loom_trace_context sampled = {{1, 2, 3}, {4, 5, 6}, LOOM_TRACE_FLAG_SAMPLED | LOOM_TRACE_FLAG_RANDOM};
static const loom_trace_context unsampled = {{1, 2, 3}, {4, 5, 6}, LOOM_TRACE_FLAG_RANDOM};

static int open_with(void **state, const loom_sampler *sampler)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    recorded_open(&f->spans, sampler);
    assert_status(LOOM_OK, eventbus_create(&f->bus, &f->clock, &(eventbus_options){.tracer = f->spans.tracer}));
    assert_status(LOOM_OK, test_publisher_open(&f->publisher, f->bus));
    assert_status(LOOM_OK, test_subscriber_open(&f->a, f->bus, "slow-agent"));
    *state = f;
    return 0;
}

static int open_bus(void **state)
{
    return open_with(state, NULL);
}

static int open_never_sampling_bus(void **state)
{
    return open_with(state, &(loom_sampler){.kind = LOOM_SAMPLER_PARENTBASED_ALWAYS_OFF});
}

static int open_bus_that_is_off(void **state)
{
    return open_with(state, &(loom_sampler){.kind = LOOM_SAMPLER_ALWAYS_OFF});
}

static int close_bus(void **state)
{
    fixture *f = *state;
    eventbus_subscriber_close(f->a.handle);
    eventbus_publisher_close(f->publisher.handle);
    eventbus_destroy(f->bus);
    recorded_close(&f->spans);
    free(f);
    return 0;
}

static loom_status publish(fixture *f, const char *topic, loom_trace_context hop)
{
    return test_publish(f->bus, &f->publisher, &(test_message){.topic = topic, .type = "reading", .hop = hop}, NULL);
}

static size_t span_count(fixture *f)
{
    recorded_read(&f->spans);
    return json_array_size(f->spans.spans);
}

static json_t *span_named(fixture *f, const char *name)
{
    recorded_read(&f->spans);
    return recorded_span(&f->spans, name);
}

/* The loom.drop event of a span, of which there must be exactly one. */
static json_t *drop_event(json_t *span)
{
    json_t *events = json_object_get(span, "events");
    assert_int_equal(1, json_array_size(events));
    json_t *event = json_array_get(events, 0);
    assert_string_equal("loom.drop", recorded_string(event, "name"));
    return event;
}

static void assert_int_attr(json_t *span, const char *key, const char *value)
{
    json_t *found = NULL;
    assert_int_equal(1, recorded_attr(span, key, &found));
    assert_string_equal(value, recorded_string(found, "intValue"));
}

static void assert_error(json_t *span)
{
    assert_int_equal(LOOM_SPAN_ERROR, json_integer_value(json_object_get(json_object_get(span, "status"), "code")));
}

static void assert_no_error(json_t *span)
{
    assert_int_equal(LOOM_SPAN_UNSET, json_integer_value(json_object_get(json_object_get(span, "status"), "code")));
}

static void assert_context(json_t *span, const loom_trace_context *ctx)
{
    char trace_id[LOOM_TRACE_ID_HEX_SIZE], span_id[LOOM_SPAN_ID_HEX_SIZE];
    loom_trace_id_to_hex(trace_id, ctx->trace_id);
    loom_span_id_to_hex(span_id, ctx->span_id);
    assert_string_equal(trace_id, recorded_string(span, "traceId"));
    assert_string_equal(span_id, recorded_string(span, "spanId"));
}

static void assert_parent(json_t *span, const loom_trace_context *parent)
{
    char trace_id[LOOM_TRACE_ID_HEX_SIZE], span_id[LOOM_SPAN_ID_HEX_SIZE];
    loom_trace_id_to_hex(trace_id, parent->trace_id);
    loom_span_id_to_hex(span_id, parent->span_id);
    assert_string_equal(trace_id, recorded_string(span, "traceId"));
    assert_string_equal(span_id, recorded_string(span, "parentSpanId"));
}

static void sampled_message_gets_a_span_below_the_hop_that_sent_it(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, publish(f, "t", sampled));
    json_t *span = span_named(f, "eventbus.publish");
    assert_parent(span, &sampled);
    assert_int_equal(LOOM_SPAN_INTERNAL, json_integer_value(json_object_get(span, "kind")));
    assert_no_error(span);
    /* OTLP flags: the parent is known to be remote (bits 8 and 9). */
    assert_int_equal(0x300, json_integer_value(json_object_get(span, "flags")) & 0x300);
}

static void deliveries_carry_the_context_of_the_publish_span(void **state)
{
    fixture *f = *state;
    eventbus_grant(f->a.handle, 1, UINT64_MAX);
    assert_status(LOOM_OK, test_subscribe(&f->a, 1, "t"));
    assert_status(LOOM_OK, test_subscribe(&f->a, 2, "t"));
    assert_status(LOOM_OK, publish(f, "t", sampled));
    eventbus_grant(f->a.handle, UNLIMITED);
    json_t *span = span_named(f, "eventbus.publish");
    assert_int_equal(2, f->a.count);
    assert_context(span, &f->a.got[0].hop);
    assert_context(span, &f->a.got[1].hop);
    assert_int_equal(sampled.trace_flags, f->a.got[0].hop.trace_flags);
}

static void publish_span_says_what_was_published_and_what_became_of_it(void **state)
{
    fixture *f = *state;
    eventbus_grant(f->a.handle, UNLIMITED);
    assert_status(LOOM_OK, test_subscribe(&f->a, 1, "orders.*"));
    assert_status(LOOM_OK, publish(f, "orders.eu", sampled));
    json_t *span = span_named(f, "eventbus.publish");
    recorded_has_string(span, "messaging.system", "loom");
    recorded_has_string(span, "messaging.operation.type", "send");
    recorded_has_string(span, "messaging.operation.name", "publish");
    recorded_has_string(span, "messaging.destination.name", "orders.eu");
    recorded_has_string(span, "topic", "orders.eu");
    recorded_has_string(span, "agent_id", "tester");
    assert_int_attr(span, "messaging.message.body.size", "4");
    assert_int_attr(span, "loom.matched", "1");
    assert_int_attr(span, "loom.delivered", "1");
    assert_int_attr(span, "loom.dropped", "0");
    json_t *id = NULL;
    assert_int_equal(1, recorded_attr(span, "event_id", &id));
    const char *text = recorded_string(id, "stringValue");
    assert_int_equal(LOOM_UUID_TEXT_SIZE - 1, strlen(text));
    recorded_has_string(span, "messaging.message.id", text);
    recorded_has_string(span, "thread_id", text); /* by default the event's own id, and the same for the correlation id */
    recorded_has_string(span, "correlation_id", text);
    recorded_has_string(span, "messaging.message.conversation_id", text);
}

static void tracestate_is_passed_on_to_the_span(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_publish(f->bus, NULL, &(test_message){.topic = "t", .hop = sampled, .tracestate = "vendor=1"}, NULL));
    assert_string_equal("vendor=1", recorded_string(span_named(f, "eventbus.publish"), "traceState"));
}

static void unsampled_message_passes_without_a_span_or_a_patch(void **state)
{
    fixture *f = *state;
    eventbus_grant(f->a.handle, UNLIMITED);
    assert_status(LOOM_OK, test_subscribe(&f->a, 1, "t"));
    assert_status(LOOM_OK, publish(f, "t", unsampled));
    assert_int_equal(0, span_count(f));
    assert_memory_equal(&unsampled, &f->a.got[0].hop, sizeof unsampled);
}

static void message_without_a_context_becomes_the_root_of_a_trace(void **state)
{
    fixture *f = *state;
    eventbus_grant(f->a.handle, UNLIMITED);
    assert_status(LOOM_OK, test_subscribe(&f->a, 1, "t"));
    assert_status(LOOM_OK, publish(f, "t", (loom_trace_context){0}));
    json_t *span = span_named(f, "eventbus.publish");
    assert_string_equal("", recorded_string(span, "parentSpanId"));
    assert_context(span, &f->a.got[0].hop);
}

static void root_is_not_a_child_of_what_is_current_in_the_thread(void **state)
{
    fixture *f = *state;
    const uint64_t token = loom_context_push(&sampled, (loom_str){0});
    assert_status(LOOM_OK, publish(f, "t", (loom_trace_context){0}));
    loom_context_pop(token);
    assert_string_equal("", recorded_string(span_named(f, "eventbus.publish"), "parentSpanId"));
}

static void message_without_a_context_stays_so_when_the_tracer_does_not_sample_it(void **state)
{
    fixture *f = *state;
    eventbus_grant(f->a.handle, UNLIMITED);
    assert_status(LOOM_OK, test_subscribe(&f->a, 1, "t"));
    assert_status(LOOM_OK, publish(f, "t", (loom_trace_context){0}));
    assert_int_equal(0, span_count(f));
    assert_false(loom_trace_context_valid(&f->a.got[0].hop));
}

/* The flag that goes on is this hop's decision, not the producer's. */
static void sampled_message_carries_the_decision_against_it(void **state)
{
    fixture *f = *state;
    eventbus_grant(f->a.handle, UNLIMITED);
    assert_status(LOOM_OK, test_subscribe(&f->a, 1, "t"));
    assert_status(LOOM_OK, publish(f, "t", sampled));
    const loom_trace_context *hop = &f->a.got[0].hop;
    assert_memory_equal(sampled.trace_id, hop->trace_id, sizeof hop->trace_id);
    assert_memory_not_equal(sampled.span_id, hop->span_id, sizeof hop->span_id);
    assert_int_equal(0, hop->trace_flags & LOOM_TRACE_FLAG_SAMPLED);
    assert_int_equal(0, span_count(f));
}

static void used_up_ttl_is_an_error_on_the_publish_span(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_ETIMEDOUT, test_publish(f->bus, NULL, &(test_message){.topic = "t", .hop = sampled, .expired = true}, NULL));
    json_t *span = span_named(f, "eventbus.publish");
    assert_error(span);
    recorded_has_string(drop_event(span), "loom.drop.reason", "ttl_expired");
    assert_int_attr(span, "loom.dropped", "1");
}

static void message_that_finds_no_place_shows_on_its_own_publish_span(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_subscribe_with(&f->a, 1, "t.*", LOOM_QOS_BATCHED, 1, 0));
    test_publish_range(f->bus, NULL, "t.x", 1, 1); /* has no context: a root of its own */
    assert_status(LOOM_OK, test_publish(f->bus, NULL, &(test_message){.topic = "t.y", .hop = sampled}, NULL));
    recorded_read(&f->spans);
    assert_int_equal(2, json_array_size(f->spans.spans));
    json_t *span = json_array_get(f->spans.spans, 1);
    assert_parent(span, &sampled);
    assert_error(span);
    recorded_has_string(drop_event(span), "loom.drop.reason", "queue_full_deadline");
    recorded_has_string(drop_event(span), "loom.drop.filter", "t.*");
    recorded_has_string(drop_event(span), "loom.drop.subscriber", "slow-agent");
    recorded_has_string(span, "error.type", "queue_full_deadline");
    assert_int_attr(span, "loom.matched", "1");
    assert_int_attr(span, "loom.delivered", "0");
    assert_int_attr(span, "loom.dropped", "1");
}

static void loss_of_an_older_message_shows_on_the_trace_of_the_message_lost(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_subscribe_with(&f->a, 1, "*", LOOM_QOS_REALTIME, 1, 0));
    assert_status(LOOM_OK, publish(f, "old", sampled));
    assert_status(LOOM_OK, publish(f, "new", unsampled));
    recorded_read(&f->spans);
    assert_int_equal(2, json_array_size(f->spans.spans));
    json_t *published = recorded_span(&f->spans, "eventbus.publish");
    json_t *lost = recorded_span(&f->spans, "eventbus.drop");
    assert_string_equal(recorded_string(published, "spanId"), recorded_string(lost, "parentSpanId"));
    assert_string_equal(recorded_string(published, "traceId"), recorded_string(lost, "traceId"));
    assert_no_error(published);
    assert_error(lost);
    recorded_has_string(drop_event(lost), "loom.drop.reason", "queue_full_oldest");
    recorded_has_string(lost, "topic", "old");
    recorded_has_string(lost, "messaging.operation.name", "drop");
}

static void what_an_ended_subscription_held_shows_on_its_traces(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_subscribe(&f->a, 1, "t"));
    assert_status(LOOM_OK, publish(f, "t", sampled));
    assert_status(LOOM_OK, publish(f, "t", unsampled));
    assert_status(LOOM_OK, eventbus_unsubscribe(f->a.handle, 1));
    assert_int_equal(2, span_count(f));
    json_t *lost = recorded_span(&f->spans, "eventbus.drop");
    recorded_has_string(drop_event(lost), "loom.drop.reason", "subscription_ended");
}

static void loss_of_what_waited_for_a_group_names_the_group(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, eventbus_subscribe(f->a.handle, 1, &(eventbus_subscription_options){
        .filter = STR("t"), .group = STR("workers")}));
    assert_status(LOOM_OK, publish(f, "t", sampled));
    assert_status(LOOM_OK, eventbus_unsubscribe(f->a.handle, 1));
    assert_int_equal(2, span_count(f));
    json_t *lost = recorded_span(&f->spans, "eventbus.drop");
    recorded_has_string(drop_event(lost), "messaging.consumer.group.name", "workers");
}

int main(void)
{
#define BUS_TEST(name) cmocka_unit_test_setup_teardown(name, open_bus, close_bus)
    const struct CMUnitTest tests[] = {
        BUS_TEST(sampled_message_gets_a_span_below_the_hop_that_sent_it),
        BUS_TEST(deliveries_carry_the_context_of_the_publish_span),
        BUS_TEST(publish_span_says_what_was_published_and_what_became_of_it),
        BUS_TEST(tracestate_is_passed_on_to_the_span),
        BUS_TEST(unsampled_message_passes_without_a_span_or_a_patch),
        BUS_TEST(message_without_a_context_becomes_the_root_of_a_trace),
        BUS_TEST(root_is_not_a_child_of_what_is_current_in_the_thread),
        cmocka_unit_test_setup_teardown(message_without_a_context_stays_so_when_the_tracer_does_not_sample_it,
                                        open_never_sampling_bus, close_bus),
        cmocka_unit_test_setup_teardown(sampled_message_carries_the_decision_against_it, open_bus_that_is_off, close_bus),
        BUS_TEST(used_up_ttl_is_an_error_on_the_publish_span),
        BUS_TEST(message_that_finds_no_place_shows_on_its_own_publish_span),
        BUS_TEST(loss_of_an_older_message_shows_on_the_trace_of_the_message_lost),
        BUS_TEST(what_an_ended_subscription_held_shows_on_its_traces),
        BUS_TEST(loss_of_what_waited_for_a_group_names_the_group),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
