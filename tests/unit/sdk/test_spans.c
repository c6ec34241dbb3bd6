/* SPDX-License-Identifier: Apache-2.0 */
/* The spans of an agent, asserted on what is exported; and what travels in the envelopes. */
#include <loom/loom.h>

#include <jansson.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "envelope/id.h"
#include "envelope/view.h"
#include "tests/unit/sdk/fake_bridge.h"

static const loom_trace_context HOP = {{0xaa, 1}, {0xbb, 2}, LOOM_TRACE_FLAG_SAMPLED};
static const uint8_t CREATION[LOOM_SPAN_ID_SIZE] = {0xcc, 3};

typedef struct fixture {
    fake_bridge bridge;
    char file[96];
    loom_span_processor *processor;
    loom_tracer_provider *provider;
    loom_agent *agent;
    json_t *spans; /* array, after read_spans() */
    uint64_t subscription;
    atomic_uint handled;
    loom_status answer;
    const char *failure; /* that the handler puts on its span; NULL: none */
    bool emits;
    loom_emit_options emit_options;
    loom_trace_context current; /* inside the handler */
} fixture;

static loom_status on_event(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    (void)topic;
    (void)event;
    fixture *f = user;
    const loom_trace_context *current = loom_context_current();
    f->current = current != NULL ? *current : (loom_trace_context){.trace_flags = 0};
    loom_status st = f->emits ? loom_agent_emit_text(agent, "next", "n", &f->emit_options) : LOOM_OK;
    if (f->failure != NULL) {
        loom_span_set_status(loom_span_current(), LOOM_SPAN_ERROR, f->failure);
    }
    atomic_fetch_add(&f->handled, 1);
    return st == LOOM_OK ? f->answer : st;
}

static void open_telemetry(fixture *f, loom_sampler_kind sampler)
{
    loom_span_processor_options options = {
        .exporter = LOOM_EXPORTER_FILE, .endpoint = f->file, .schedule_delay_ms = 10};
    loom_sampler chosen = {.kind = sampler, .ratio = 1.0};
    assert_status(LOOM_OK, loom_span_processor_create(&f->processor, &options));
    assert_status(LOOM_OK, loom_tracer_provider_create(
                               &f->provider, &(loom_tracer_provider_options){
                                                 .service_name = "t", .sampler = &chosen, .processor = f->processor}));
}

static void open_agent(fixture *f, loom_sampler_kind sampler)
{
    static const char *const topics[] = {"in", NULL};
    open_telemetry(f, sampler);
    loom_agent_options options = {.id = "tester",
                                  .url = f->bridge.url,
                                  .topics = topics,
                                  .on_event = on_event,
                                  .user = f,
                                  .telemetry = f->provider};
    assert_status(LOOM_OK, loom_agent_open(&f->agent, &options));
    f->subscription = fake_bridge_session(&f->bridge, 2);
    assert_status(LOOM_OK, loom_agent_wait_connected(f->agent, FAKE_DEADLINE_MS));
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    fake_bridge_open(&f->bridge);
    snprintf(f->file, sizeof f->file, "%s/spans", f->bridge.folder);
    setenv("LOOM_TELEMETRY_AUTO", "0", 1);
    *state = f;
    return 0;
}

static void close_agent(fixture *f)
{
    fake_bridge_drop(&f->bridge);
    loom_agent_close_within(f->agent, 100);
    f->agent = NULL;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    close_agent(f);
    loom_tracer_provider_unref(f->provider);
    loom_span_processor_unref(f->processor);
    json_decref(f->spans);
    unlink(f->file);
    fake_bridge_close(&f->bridge);
    free(f);
    return 0;
}

/* Everything exported, once the agent is through. */
static size_t read_spans(fixture *f)
{
    char *line = NULL;
    size_t size = 0, i, j, k;
    json_t *resource, *scope, *span;
    close_agent(f);
    assert_status(LOOM_OK, loom_span_processor_shutdown(f->processor, FAKE_DEADLINE_MS));
    f->spans = json_array();
    FILE *file = fopen(f->file, "r");
    assert_non_null(file);
    while (getline(&line, &size, file) > 0) {
        json_t *request = json_loads(line, 0, NULL);
        assert_non_null(request);
        json_array_foreach(json_object_get(request, "resourceSpans"), i, resource) {
            json_array_foreach(json_object_get(resource, "scopeSpans"), j, scope) {
                json_array_foreach(json_object_get(scope, "spans"), k, span) {
                    json_array_append(f->spans, span);
                }
            }
        }
        json_decref(request);
    }
    free(line);
    fclose(file);
    return json_array_size(f->spans);
}

static json_t *span_named(fixture *f, const char *name)
{
    size_t i;
    json_t *span, *found = NULL;
    json_array_foreach(f->spans, i, span) {
        if (strcmp(json_string_value(json_object_get(span, "name")), name) == 0) {
            assert_null(found);
            found = span;
        }
    }
    assert_non_null(found);
    return found;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static const char *attribute(const json_t *span, const char *key)
{
    size_t i;
    json_t *attr;
    json_array_foreach(json_object_get(span, "attributes"), i, attr) {
        if (strcmp(text_of(attr, "key"), key) == 0) {
            return text_of(json_object_get(attr, "value"), "stringValue");
        }
    }
    return NULL;
}

static void assert_span_id(const uint8_t id[LOOM_SPAN_ID_SIZE], const char *hex)
{
    char expected[LOOM_SPAN_ID_HEX_SIZE];
    loom_span_id_to_hex(expected, id);
    assert_string_equal(expected, hex);
}

static void assert_trace_id(const uint8_t id[LOOM_TRACE_ID_SIZE], const char *hex)
{
    char expected[LOOM_TRACE_ID_HEX_SIZE];
    loom_trace_id_to_hex(expected, id);
    assert_string_equal(expected, hex);
}

static loom_envelope_fields event_fields(void)
{
    loom_envelope_fields fields = {.topic = STR("in"),
                                   .sender = STR("somebody"),
                                   .thread_id = STR("thread-1"),
                                   .correlation_id = STR("correlation-1"),
                                   .baggage = STR("k=v"),
                                   .tracestate = STR("vendor=1"),
                                   .context = HOP,
                                   .ttl = 5};
    memcpy(fields.creation_span_id, CREATION, sizeof CREATION);
    return fields;
}

static void deliver(fixture *f, const loom_envelope_fields *fields)
{
    fake_bridge_deliver(&f->bridge, f->subscription, fields);
    wait_until(atomic_load(&f->handled) == 1, FAKE_DEADLINE_MS);
}

/* The one envelope of the next publish frame; its bytes stay until the next frame. */
static envelope_view published(fixture *f)
{
    envelope_view view;
    const char *reason;
    frame got = fake_bridge_expect(&f->bridge, FRAME_PUBLISH);
    assert_int_equal(1, got.u.batch.count);
    assert_status(LOOM_OK, envelope_scan(&view, got.u.batch.items, NULL, &reason));
    return view;
}

static void an_event_makes_one_consumer_span_below_its_hop(void **state)
{
    fixture *f = *state;
    open_agent(f, LOOM_SAMPLER_PARENTBASED_ALWAYS_ON);
    loom_envelope_fields fields = event_fields();
    deliver(f, &fields);
    assert_int_equal(1, read_spans(f));
    json_t *span = span_named(f, "agent.on_event");
    assert_int_equal(LOOM_SPAN_CONSUMER, json_integer_value(json_object_get(span, "kind")));
    assert_trace_id(HOP.trace_id, text_of(span, "traceId"));
    assert_span_id(HOP.span_id, text_of(span, "parentSpanId"));
    assert_string_equal("vendor=1", text_of(span, "traceState"));
    assert_span_id(f->current.span_id, text_of(span, "spanId"));
    assert_string_equal("loom", attribute(span, "messaging.system"));
    assert_string_equal("process", attribute(span, "messaging.operation.type"));
    assert_string_equal("on_event", attribute(span, "messaging.operation.name"));
    assert_string_equal("in", attribute(span, "messaging.destination.name"));
    assert_string_equal("tester", attribute(span, "messaging.client.id"));
    assert_string_equal("correlation-1", attribute(span, "messaging.message.conversation_id"));
    assert_string_equal("tester", attribute(span, "agent_id"));
    assert_string_equal("in", attribute(span, "topic"));
    assert_string_equal("thread-1", attribute(span, "thread_id"));
    assert_string_equal("correlation-1", attribute(span, "correlation_id"));
    assert_int_equal(LOOM_UUID_TEXT_SIZE - 1, strlen(attribute(span, "event_id")));
    assert_string_equal(attribute(span, "event_id"), attribute(span, "messaging.message.id"));
}

static void an_event_links_to_its_creation(void **state)
{
    fixture *f = *state;
    open_agent(f, LOOM_SAMPLER_PARENTBASED_ALWAYS_ON);
    loom_envelope_fields fields = event_fields();
    deliver(f, &fields);
    read_spans(f);
    json_t *links = json_object_get(span_named(f, "agent.on_event"), "links");
    assert_int_equal(1, json_array_size(links));
    assert_trace_id(HOP.trace_id, text_of(json_array_get(links, 0), "traceId"));
    assert_span_id(CREATION, text_of(json_array_get(links, 0), "spanId"));
}

static void an_emit_in_a_handler_continues_the_trace_and_the_thread(void **state)
{
    fixture *f = *state;
    f->emits = true;
    open_agent(f, LOOM_SAMPLER_PARENTBASED_ALWAYS_ON);
    loom_envelope_fields fields = event_fields();
    deliver(f, &fields);
    envelope_view view = published(f);
    loom_trace_context hop;
    uint8_t creation[LOOM_SPAN_ID_SIZE];
    assert_true(envelope_view_context(&view, &hop));
    assert_memory_equal(HOP.trace_id, hop.trace_id, sizeof hop.trace_id);
    memcpy(creation, envelope_view_bytes(&view, ENV_CREATION).data, sizeof creation);
    assert_memory_equal(hop.span_id, creation, sizeof creation);
    assert_str("thread-1", envelope_view_str(&view, ENV_THREAD_ID));
    assert_str("correlation-1", envelope_view_str(&view, ENV_CORRELATION_ID));
    assert_str("k=v", envelope_view_str(&view, ENV_BAGGAGE));
    assert_str("vendor=1", envelope_view_str(&view, ENV_TRACESTATE));
    assert_str("tester", envelope_view_str(&view, ENV_SENDER));
    assert_int_equal(5, hop_ttl(view.data));

    assert_int_equal(2, read_spans(f));
    json_t *span = span_named(f, "agent.emit");
    assert_int_equal(LOOM_SPAN_PRODUCER, json_integer_value(json_object_get(span, "kind")));
    assert_string_equal(text_of(span_named(f, "agent.on_event"), "spanId"), text_of(span, "parentSpanId"));
    assert_span_id(hop.span_id, text_of(span, "spanId"));
    assert_string_equal("send", attribute(span, "messaging.operation.type"));
    assert_string_equal("emit", attribute(span, "messaging.operation.name"));
    assert_string_equal("next", attribute(span, "topic"));
    assert_string_equal("thread-1", attribute(span, "thread_id"));
}

static void options_win_over_what_the_event_gives(void **state)
{
    fixture *f = *state;
    f->emits = true;
    f->emit_options = (loom_emit_options){.thread_id = "mine", .baggage = "a=b", .ttl = 2, .type = "kind"};
    open_agent(f, LOOM_SAMPLER_PARENTBASED_ALWAYS_ON);
    loom_envelope_fields fields = event_fields();
    deliver(f, &fields);
    envelope_view view = published(f);
    assert_str("mine", envelope_view_str(&view, ENV_THREAD_ID));
    assert_str("mine", envelope_view_str(&view, ENV_CORRELATION_ID));
    assert_str("a=b", envelope_view_str(&view, ENV_BAGGAGE));
    assert_str("kind", envelope_view_str(&view, ENV_TYPE));
    assert_int_equal(2, hop_ttl(view.data));
}

static void an_unsampled_event_makes_no_span_and_its_trace_goes_on_unsampled(void **state)
{
    fixture *f = *state;
    f->emits = true;
    open_agent(f, LOOM_SAMPLER_PARENTBASED_ALWAYS_ON);
    loom_envelope_fields fields = event_fields();
    fields.context.trace_flags = 0;
    deliver(f, &fields);
    envelope_view view = published(f);
    loom_trace_context hop;
    assert_true(envelope_view_context(&view, &hop));
    assert_memory_equal(HOP.trace_id, hop.trace_id, sizeof hop.trace_id);
    assert_memory_equal(HOP.span_id, hop.span_id, sizeof hop.span_id);
    assert_int_equal(0, hop.trace_flags);
    assert_str("vendor=1", envelope_view_str(&view, ENV_TRACESTATE));
    assert_int_equal(0, read_spans(f));
}

static void an_event_without_context_starts_a_trace(void **state)
{
    fixture *f = *state;
    open_agent(f, LOOM_SAMPLER_PARENTBASED_ALWAYS_ON);
    loom_envelope_fields fields = event_fields();
    fields.context = (loom_trace_context){.trace_flags = 0};
    deliver(f, &fields);
    assert_int_equal(0, loom_agent_get_stats(f->agent).invalid_context);
    assert_int_equal(1, read_spans(f));
    assert_string_equal("", text_of(span_named(f, "agent.on_event"), "parentSpanId"));
    assert_null(json_object_get(span_named(f, "agent.on_event"), "links"));
}

static void a_context_half_there_is_counted_and_counts_as_absent(void **state)
{
    fixture *f = *state;
    open_agent(f, LOOM_SAMPLER_PARENTBASED_ALWAYS_ON);
    loom_envelope_fields fields = event_fields();
    loom_envelope *env;
    uint8_t wire[512];
    assert_status(LOOM_OK, loom_envelope_create(&env, &fields));
    loom_bytes bytes = loom_envelope_wire(env);
    memcpy(wire, bytes.data, bytes.len);
    memset(wire + HOP_SPAN_ID_OFFSET, 0, LOOM_SPAN_ID_SIZE);
    memcpy(frame_deliver_begin(&f->bridge.out, f->subscription, bytes.len), wire, bytes.len);
    frame_batch_commit(&f->bridge.out, bytes.len);
    loom_envelope_unref(env);
    fake_bridge_flush(&f->bridge);
    wait_until(atomic_load(&f->handled) == 1, FAKE_DEADLINE_MS);
    assert_int_equal(1, loom_agent_get_stats(f->agent).invalid_context);
    assert_int_equal(1, read_spans(f));
    assert_string_equal("", text_of(span_named(f, "agent.on_event"), "parentSpanId"));
}

static void a_failing_handler_is_an_error_on_its_span(void **state)
{
    fixture *f = *state;
    f->answer = LOOM_EDENIED;
    open_agent(f, LOOM_SAMPLER_PARENTBASED_ALWAYS_ON);
    loom_envelope_fields fields = event_fields();
    deliver(f, &fields);
    read_spans(f);
    json_t *span = span_named(f, "agent.on_event");
    assert_int_equal(LOOM_SPAN_ERROR, json_integer_value(json_object_get(json_object_get(span, "status"), "code")));
    json_t *event = json_array_get(json_object_get(span, "events"), 0);
    assert_string_equal("exception", text_of(event, "name"));
    assert_string_equal("EDENIED", attribute(event, "exception.type"));
}

static void what_a_failing_handler_says_itself_stays(void **state)
{
    fixture *f = *state;
    f->answer = LOOM_EDENIED;
    f->failure = "the oven is cold";
    open_agent(f, LOOM_SAMPLER_PARENTBASED_ALWAYS_ON);
    loom_envelope_fields fields = event_fields();
    deliver(f, &fields);
    read_spans(f);
    json_t *status = json_object_get(span_named(f, "agent.on_event"), "status");
    assert_int_equal(LOOM_SPAN_ERROR, json_integer_value(json_object_get(status, "code")));
    assert_string_equal("the oven is cold", text_of(status, "message"));
}

static void an_emit_outside_of_any_span_is_a_root(void **state)
{
    fixture *f = *state;
    uint8_t id[LOOM_UUID_SIZE];
    open_agent(f, LOOM_SAMPLER_PARENTBASED_ALWAYS_ON);
    assert_status(LOOM_OK, loom_agent_emit_text(f->agent, "out", "x", &(loom_emit_options){.id_out = id}));
    envelope_view view = published(f);
    assert_memory_equal(id, envelope_view_bytes(&view, ENV_ID).data, sizeof id);
    assert_int_equal(loom_uuid7_unix_ms(id), envelope_view_timestamp(&view) / 1000000); /* one look at the clock */
    assert_int_equal(LOOM_TTL_DEFAULT, hop_ttl(view.data));
    assert_int_equal(1, read_spans(f));
    assert_string_equal("", text_of(span_named(f, "agent.emit"), "parentSpanId"));
}

static void an_emit_inside_a_span_is_its_child(void **state)
{
    fixture *f = *state;
    open_agent(f, LOOM_SAMPLER_PARENTBASED_ALWAYS_ON);
    loom_span *span = loom_span_start(loom_agent_tracer(f->agent), "mine", NULL);
    loom_span_make_current(span);
    assert_status(LOOM_OK, loom_agent_emit_text(f->agent, "out", "x", NULL));
    loom_span_end(span);
    assert_int_equal(2, read_spans(f));
    assert_string_equal(text_of(span_named(f, "mine"), "spanId"), text_of(span_named(f, "agent.emit"), "parentSpanId"));
}

static void an_emit_that_is_refused_is_an_error_on_its_span(void **state)
{
    fixture *f = *state;
    open_agent(f, LOOM_SAMPLER_PARENTBASED_ALWAYS_ON);
    assert_status(LOOM_EINVAL, loom_agent_emit_text(f->agent, "a..b", "x", NULL));
    assert_int_equal(1, read_spans(f));
    json_t *status = json_object_get(span_named(f, "agent.emit"), "status");
    assert_int_equal(LOOM_SPAN_ERROR, json_integer_value(json_object_get(status, "code")));
}

static void a_sampler_that_is_off_still_decides_for_the_whole_trace(void **state)
{
    fixture *f = *state;
    open_agent(f, LOOM_SAMPLER_PARENTBASED_ALWAYS_OFF);
    assert_status(LOOM_OK, loom_agent_emit_text(f->agent, "out", "x", NULL));
    envelope_view view = published(f);
    loom_trace_context hop;
    assert_true(envelope_view_context(&view, &hop));
    assert_int_equal(0, hop.trace_flags & LOOM_TRACE_FLAG_SAMPLED);
    assert_int_equal(0, read_spans(f));
}

static void telemetry_is_turned_off_in_any_letter_case(void **state)
{
    fixture *f = *state;
    setenv("LOOM_TELEMETRY_AUTO", "False", 1);
    setenv("OTEL_TRACES_EXPORTER", "console", 1);
    loom_agent_options options = {.id = "tester", .url = f->bridge.url};
    assert_status(LOOM_OK, loom_agent_open(&f->agent, &options));
    unsetenv("OTEL_TRACES_EXPORTER");
    assert_null(loom_agent_tracer(f->agent));
}

/* An agent whose telemetry is what the environment says; what one emit of it carries. */
static bool emit_under(fixture *f, const char *exporter, const char *sampler, loom_trace_context *hop)
{
    setenv("LOOM_TELEMETRY_AUTO", "1", 1);
    setenv("OTEL_TRACES_EXPORTER", exporter, 1);
    setenv("OTEL_TRACES_SAMPLER", sampler, 1);
    loom_agent_options options = {.id = "tester", .url = f->bridge.url};
    assert_status(LOOM_OK, loom_agent_open(&f->agent, &options));
    unsetenv("OTEL_TRACES_EXPORTER");
    unsetenv("OTEL_TRACES_SAMPLER");
    (void)fake_bridge_session(&f->bridge, 1);
    assert_status(LOOM_OK, loom_agent_emit_text(f->agent, "out", "x", NULL));
    envelope_view view = published(f);
    return envelope_view_context(&view, hop);
}

static void without_an_exporter_there_is_no_telemetry(void **state)
{
    fixture *f = *state;
    loom_trace_context hop;
    assert_false(emit_under(f, "none", "parentbased_always_on", &hop));
    assert_null(loom_agent_tracer(f->agent));
}

static void with_the_sdk_disabled_there_is_no_telemetry(void **state)
{
    fixture *f = *state;
    loom_trace_context hop;
    setenv("OTEL_SDK_DISABLED", "true", 1);
    bool has_context = emit_under(f, "otlp", "always_off", &hop);
    unsetenv("OTEL_SDK_DISABLED");
    assert_false(has_context);
    assert_null(loom_agent_tracer(f->agent));
}

static void without_an_exporter_a_sampler_that_is_off_still_decides(void **state)
{
    fixture *f = *state;
    loom_trace_context hop;
    assert_true(emit_under(f, "none", "always_off", &hop));
    assert_int_equal(0, hop.trace_flags & LOOM_TRACE_FLAG_SAMPLED);
}

static void without_telemetry_the_current_context_still_goes_on(void **state)
{
    fixture *f = *state;
    loom_agent_options options = {.id = "tester", .url = f->bridge.url};
    assert_status(LOOM_OK, loom_agent_open(&f->agent, &options));
    assert_null(loom_agent_tracer(f->agent));
    (void)fake_bridge_session(&f->bridge, 1);
    assert_status(LOOM_OK, loom_agent_emit_text(f->agent, "out", "x", NULL));
    envelope_view view = published(f);
    loom_trace_context hop;
    assert_false(envelope_view_context(&view, &hop));
    uint64_t token = loom_context_push(&HOP, STR("v=1"));
    assert_status(LOOM_OK, loom_agent_emit_text(f->agent, "out", "x", NULL));
    loom_context_pop(token);
    view = published(f);
    assert_true(envelope_view_context(&view, &hop));
    assert_memory_equal(&HOP, &hop, sizeof hop);
    assert_str("v=1", envelope_view_str(&view, ENV_TRACESTATE));
}

static void a_tracestate_too_long_for_an_envelope_loses_members(void **state)
{
    fixture *f = *state;
    char long_state[900];
    snprintf(long_state, sizeof long_state, "a=1,b=%0200d,c=%0200d,d=%0200d", 0, 0, 0);
    loom_agent_options options = {.id = "tester", .url = f->bridge.url};
    assert_status(LOOM_OK, loom_agent_open(&f->agent, &options));
    (void)fake_bridge_session(&f->bridge, 1);
    uint64_t token = loom_context_push(&HOP, str_of(long_state));
    assert_status(LOOM_OK, loom_agent_emit_text(f->agent, "out", "x", NULL));
    loom_context_pop(token);
    envelope_view view = published(f);
    loom_str kept = envelope_view_str(&view, ENV_TRACESTATE);
    assert_in_range(kept.len, 3, LOOM_TRACESTATE_MAX);
    assert_memory_equal("a=1", kept.data, 3);
}

#define WITH_BRIDGE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BRIDGE(an_event_makes_one_consumer_span_below_its_hop),
        WITH_BRIDGE(an_event_links_to_its_creation),
        WITH_BRIDGE(an_emit_in_a_handler_continues_the_trace_and_the_thread),
        WITH_BRIDGE(options_win_over_what_the_event_gives),
        WITH_BRIDGE(an_unsampled_event_makes_no_span_and_its_trace_goes_on_unsampled),
        WITH_BRIDGE(an_event_without_context_starts_a_trace),
        WITH_BRIDGE(a_context_half_there_is_counted_and_counts_as_absent),
        WITH_BRIDGE(a_failing_handler_is_an_error_on_its_span),
        WITH_BRIDGE(what_a_failing_handler_says_itself_stays),
        WITH_BRIDGE(an_emit_outside_of_any_span_is_a_root),
        WITH_BRIDGE(an_emit_inside_a_span_is_its_child),
        WITH_BRIDGE(an_emit_that_is_refused_is_an_error_on_its_span),
        WITH_BRIDGE(a_sampler_that_is_off_still_decides_for_the_whole_trace),
        WITH_BRIDGE(without_an_exporter_there_is_no_telemetry),
        WITH_BRIDGE(with_the_sdk_disabled_there_is_no_telemetry),
        WITH_BRIDGE(without_an_exporter_a_sampler_that_is_off_still_decides),
        WITH_BRIDGE(telemetry_is_turned_off_in_any_letter_case),
        WITH_BRIDGE(without_telemetry_the_current_context_still_goes_on),
        WITH_BRIDGE(a_tracestate_too_long_for_an_envelope_loses_members),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
