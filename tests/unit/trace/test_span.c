/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/trace/recorded.h"
#include "trace/span/start.h"

#include <loom/span.h>

#include <pthread.h>

static int open_recorded(void **state)
{
    static recorded r;
    recorded_open(&r, NULL);
    *state = &r;
    return 0;
}

static int close_recorded(void **state)
{
    recorded_close(*state);
    return 0;
}

static void children_carry_the_trace_and_their_parents_id(void **state)
{
    recorded *r = *state;
    loom_span *parent = loom_span_start(r->tracer, "parent", NULL);
    loom_span *child = loom_span_start(r->tracer, "child",
                                       &(loom_span_options){.kind = LOOM_SPAN_PRODUCER, .parent = loom_span_context(parent)});
    char trace_id[LOOM_TRACE_ID_HEX_SIZE], parent_id[LOOM_SPAN_ID_HEX_SIZE];
    loom_trace_id_to_hex(trace_id, loom_span_context(parent)->trace_id);
    loom_span_id_to_hex(parent_id, loom_span_context(parent)->span_id);
    loom_span_end(child);
    loom_span_end(parent);
    recorded_read(r);
    json_t *p = recorded_span(r, "parent"), *c = recorded_span(r, "child");
    assert_string_equal(trace_id, recorded_string(p, "traceId"));
    assert_string_equal(trace_id, recorded_string(c, "traceId"));
    assert_string_equal(parent_id, recorded_string(p, "spanId"));
    assert_string_equal(parent_id, recorded_string(c, "parentSpanId"));
    assert_null(json_object_get(p, "parentSpanId"));
    assert_int_equal(4, json_integer_value(json_object_get(c, "kind")));
    assert_int_equal(1, json_integer_value(json_object_get(p, "kind")));
}

static void a_remote_parent_shows_in_the_flags(void **state)
{
    recorded *r = *state;
    loom_trace_context remote = {.trace_flags = LOOM_TRACE_FLAG_SAMPLED};
    loom_trace_id_generate(remote.trace_id);
    loom_span_id_generate(remote.span_id);
    loom_span_end(loom_span_start(r->tracer, "far", &(loom_span_options){.parent = &remote, .parent_is_remote = true,
                                                                         .tracestate = STR("a=1,b=2")}));
    loom_span_end(loom_span_start(r->tracer, "near", &(loom_span_options){.parent = &remote}));
    loom_span_end(loom_span_start(r->tracer, "new", NULL));
    recorded_read(r);
    assert_int_equal(0x301, json_integer_value(json_object_get(recorded_span(r, "far"), "flags")));
    assert_int_equal(0x101, json_integer_value(json_object_get(recorded_span(r, "near"), "flags")));
    assert_int_equal(0x103, json_integer_value(json_object_get(recorded_span(r, "new"), "flags")));
    assert_string_equal("a=1,b=2", recorded_string(recorded_span(r, "far"), "traceState"));
}

static void an_invalid_parent_starts_a_new_trace(void **state)
{
    recorded *r = *state;
    loom_trace_context invalid = {.span_id = {1}};
    loom_span *span = loom_span_start(r->tracer, "root", &(loom_span_options){.parent = &invalid});
    assert_true(loom_trace_context_valid(loom_span_context(span)));
    loom_span_end(span);
    recorded_read(r);
    assert_null(json_object_get(recorded_span(r, "root"), "parentSpanId"));
}

static void every_attribute_type_arrives(void **state)
{
    recorded *r = *state;
    loom_span *span = loom_span_start(r->tracer, "types", NULL);
    loom_span_set_string(span, "s", "text");
    loom_span_set_bool(span, "b", true);
    loom_span_set_int(span, "i", INT64_MIN);
    loom_span_set_double(span, "d", 0.1);
    const loom_str strings[] = {STR("x"), STR("y")};
    loom_span_set_attr(span, &(loom_attr){.key = "ss", .type = LOOM_ATTR_STRINGS, .value.array = {strings, 2}});
    const int64_t ints[] = {-1, 2};
    loom_span_set_attr(span, &(loom_attr){.key = "is", .type = LOOM_ATTR_INTS, .value.array = {ints, 2}});
    loom_span_set_attr(span, &(loom_attr){.key = "none", .type = LOOM_ATTR_DOUBLES, .value.array = {NULL, 0}});
    loom_span_end(span);
    recorded_read(r);
    json_t *s = recorded_span(r, "types"), *v = NULL;
    recorded_has_string(s, "s", "text");
    assert_int_equal(1, recorded_attr(s, "b", &v));
    assert_true(json_is_true(json_object_get(v, "boolValue")));
    assert_int_equal(1, recorded_attr(s, "i", &v));
    assert_string_equal("-9223372036854775808", recorded_string(v, "intValue"));
    assert_int_equal(1, recorded_attr(s, "d", &v));
    assert_true(json_real_value(json_object_get(v, "doubleValue")) == 0.1);
    assert_int_equal(1, recorded_attr(s, "ss", &v));
    json_t *values = json_object_get(json_object_get(v, "arrayValue"), "values");
    assert_string_equal("y", recorded_string(json_array_get(values, 1), "stringValue"));
    assert_int_equal(1, recorded_attr(s, "is", &v));
    values = json_object_get(json_object_get(v, "arrayValue"), "values");
    assert_string_equal("-1", recorded_string(json_array_get(values, 0), "intValue"));
    assert_int_equal(1, recorded_attr(s, "none", &v));
    assert_int_equal(0, json_array_size(json_object_get(json_object_get(v, "arrayValue"), "values")));
}

static void setting_a_key_again_overwrites_whatever_the_length(void **state)
{
    recorded *r = *state;
    char longer[400];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    loom_span *span = loom_span_start(r->tracer, "before", NULL);
    loom_span_set_string(span, "a", "first");
    loom_span_set_string(span, "b", "stays");
    loom_span_set_status(span, LOOM_SPAN_ERROR, "bad");
    loom_span_set_string(span, "a", longer);
    loom_span_set_name(span, "a name that is longer than the first one");
    loom_span_set_string(span, "c", "last");
    loom_span_set_int(span, "a", 7);
    loom_span_set_name(span, "after");
    loom_span_set_string(span, "b", "moved");
    loom_span_set_status(span, LOOM_SPAN_OK, NULL);
    loom_span_end(span);
    recorded_read(r);
    json_t *s = recorded_span(r, "after"), *v = NULL;
    assert_int_equal(3, json_array_size(json_object_get(s, "attributes")));
    assert_int_equal(1, recorded_attr(s, "a", &v));
    assert_string_equal("7", recorded_string(v, "intValue"));
    recorded_has_string(s, "b", "moved");
    recorded_has_string(s, "c", "last");
    assert_int_equal(1, json_integer_value(json_object_get(json_object_get(s, "status"), "code")));
    assert_string_equal("", recorded_string(json_object_get(s, "status"), "message"));
}

static void limits_drop_and_count(void **state)
{
    recorded *r = *state;
    loom_span *span = loom_span_start(r->tracer, "limits", NULL);
    loom_link link = {.context = *loom_span_context(span)};
    for (int i = 0; i < 130; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "key%d", i);
        loom_span_set_int(span, key, i);
        loom_span_add_event(span, key, NULL, 0);
        loom_span_add_link(span, &link);
    }
    loom_span_set_int(span, "key5", 55); /* overwriting still works when all places are taken */
    loom_span_set_int(span, "", 1);
    loom_span_end(span);
    recorded_read(r);
    json_t *s = recorded_span(r, "limits"), *v = NULL;
    assert_int_equal(128, json_array_size(json_object_get(s, "attributes")));
    assert_int_equal(128, json_array_size(json_object_get(s, "events")));
    assert_int_equal(128, json_array_size(json_object_get(s, "links")));
    assert_int_equal(3, json_integer_value(json_object_get(s, "droppedAttributesCount")));
    assert_int_equal(2, json_integer_value(json_object_get(s, "droppedEventsCount")));
    assert_int_equal(2, json_integer_value(json_object_get(s, "droppedLinksCount")));
    assert_int_equal(1, recorded_attr(s, "key5", &v));
    assert_string_equal("55", recorded_string(v, "intValue"));
}

static void what_exceeds_the_size_of_a_span_is_dropped_and_the_span_arrives(void **state)
{
    recorded *r = *state;
    static char huge[200 * 1024];
    loom_span *span = loom_span_start(r->tracer, "huge", NULL);
    memset(huge, 'h', sizeof huge);
    loom_span_set_str(span, "one", (loom_str){huge, sizeof huge});
    loom_span_set_str(span, "two", (loom_str){huge, sizeof huge});
    loom_span_set_str(span, "three", STR("fits"));
    memset(huge, 0xff, sizeof huge);
    loom_span_set_str(span, "four", (loom_str){huge, sizeof huge});
    loom_span_end(span);
    recorded_read(r);
    json_t *s = recorded_span(r, "huge");
    assert_int_equal(2, json_array_size(json_object_get(s, "attributes")));
    assert_int_equal(2, json_integer_value(json_object_get(s, "droppedAttributesCount")));
    recorded_has_string(s, "three", "fits");
}

static void bytes_that_are_no_utf8_become_replacement_characters(void **state)
{
    recorded *r = *state;
    loom_span *span = loom_span_start(r->tracer, "utf8", NULL);
    loom_span_set_str(span, "bad", STR("a\xff" "b\xc3"));
    loom_span_set_str(span, "good", STR("gr\xc3\xbc\xc3\x9f" "e aus K\xc3\xb6ln"));
    loom_span_set_str(span, "bad\xff", STR("key")); /* a key cannot be repaired: it might hide another one */
    loom_span_end(span);
    recorded_read(r);
    json_t *s = recorded_span(r, "utf8");
    recorded_has_string(s, "bad", "a\xef\xbf\xbd" "b\xef\xbf\xbd");
    recorded_has_string(s, "good", "gr\xc3\xbc\xc3\x9f" "e aus K\xc3\xb6ln");
    assert_int_equal(1, json_integer_value(json_object_get(s, "droppedAttributesCount")));
}

static void status_ok_is_final_and_of_errors_the_last_counts(void **state)
{
    recorded *r = *state;
    loom_span *span = loom_span_start(r->tracer, "ok", NULL);
    loom_span_set_status(span, LOOM_SPAN_OK, "ignored");
    loom_span_set_status(span, LOOM_SPAN_ERROR, "too late");
    loom_span_end(span);
    span = loom_span_start(r->tracer, "error", NULL);
    loom_span_set_status(span, LOOM_SPAN_ERROR, "first");
    loom_span_set_status(span, LOOM_SPAN_ERROR, "second");
    loom_span_set_status(span, LOOM_SPAN_UNSET, NULL);
    loom_span_end(span);
    recorded_read(r);
    json_t *ok = json_object_get(recorded_span(r, "ok"), "status");
    json_t *error = json_object_get(recorded_span(r, "error"), "status");
    assert_int_equal(1, json_integer_value(json_object_get(ok, "code")));
    assert_int_equal(2, json_integer_value(json_object_get(error, "code")));
    assert_string_equal("second", recorded_string(error, "message"));
}

/* OpenTelemetry, trace API, "Link": kept without a context, as long as there is something else to say. */
static void a_link_without_a_context_is_kept_for_its_attributes(void **state)
{
    recorded *r = *state;
    const loom_attr attr = {.key = "batch", .type = LOOM_ATTR_INT, .value.integer = 7};
    loom_span *span = loom_span_start(r->tracer, "linked", NULL);
    loom_span_add_link(span, &(loom_link){0});
    loom_span_add_link(span, &(loom_link){.attrs = &attr, .attr_count = 1});
    loom_span_end(span);
    recorded_read(r);
    json_t *s = recorded_span(r, "linked"), *value;
    assert_int_equal(1, json_array_size(json_object_get(s, "links")));
    assert_int_equal(1, recorded_attr(json_array_get(json_object_get(s, "links"), 0), "batch", &value));
    assert_int_equal(1, json_integer_value(json_object_get(s, "droppedLinksCount")));
}

static void an_exception_keeps_all_its_attributes(void **state)
{
    recorded *r = *state;
    enum { COUNT = 120 };
    loom_attr attrs[COUNT];
    char keys[COUNT][8];
    for (int i = 0; i < COUNT; i++) {
        (void)snprintf(keys[i], sizeof keys[i], "k%d", i);
        attrs[i] = (loom_attr){.key = keys[i], .type = LOOM_ATTR_INT, .value.integer = i};
    }
    loom_span *span = loom_span_start(r->tracer, "thrown", NULL);
    loom_span_record_exception(span, &(loom_exception){.type = "T", .message = "m", .attrs = attrs, .attr_count = COUNT});
    loom_span_end(span);
    recorded_read(r);
    json_t *event = json_array_get(json_object_get(recorded_span(r, "thrown"), "events"), 0);
    assert_int_equal(COUNT + 2, json_array_size(json_object_get(event, "attributes")));
}

static void an_error_is_an_exception_event_and_a_status(void **state)
{
    recorded *r = *state;
    loom_span *span = loom_span_start(r->tracer, "failing", NULL);
    loom_span_record_error(span, "LOOM_EFULL", "queue is full");
    loom_span_end(span);
    recorded_read(r);
    json_t *s = recorded_span(r, "failing");
    json_t *event = json_array_get(json_object_get(s, "events"), 0);
    assert_string_equal("exception", recorded_string(event, "name"));
    recorded_has_string(event, "exception.type", "LOOM_EFULL");
    recorded_has_string(event, "exception.message", "queue is full");
    recorded_has_string(s, "error.type", "LOOM_EFULL");
    assert_string_equal("queue is full", recorded_string(json_object_get(s, "status"), "message"));
}

static void links_carry_context_and_attributes(void **state)
{
    recorded *r = *state;
    loom_trace_context other = {.trace_flags = LOOM_TRACE_FLAG_SAMPLED};
    loom_trace_id_generate(other.trace_id);
    loom_span_id_generate(other.span_id);
    loom_attr attr = {.key = "why", .type = LOOM_ATTR_STRING, .value.string = STR("creation")};
    loom_link links[] = {{.context = other, .attrs = &attr, .attr_count = 1}, {.context = {.trace_id = {0}}}};
    loom_span_end(loom_span_start(r->tracer, "linked", &(loom_span_options){.links = links, .link_count = 2}));
    recorded_read(r);
    json_t *s = recorded_span(r, "linked");
    json_t *link = json_array_get(json_object_get(s, "links"), 0);
    char hex[LOOM_SPAN_ID_HEX_SIZE];
    loom_span_id_to_hex(hex, other.span_id);
    assert_string_equal(hex, recorded_string(link, "spanId"));
    recorded_has_string(link, "why", "creation");
    assert_int_equal(1, json_integer_value(json_object_get(s, "droppedLinksCount"))); /* the one without a context */
}

/* trace.proto: Link.trace_state, Link.flags with bits 8 and 9; W3C: reserved flag bits go out as zero. */
static void links_carry_tracestate_and_flags_without_reserved_bits(void **state)
{
    recorded *r = *state;
    const loom_trace_context other = {{1}, {2}, 0xff};
    const loom_link links[] = {{.context = other, .tracestate = STR("a=1"), .context_is_remote = true}, {.context = other}};
    loom_span_end(loom_span_start(r->tracer, "linked", &(loom_span_options){.links = links, .link_count = 2}));
    loom_span_end(loom_span_start(r->tracer, "child", &(loom_span_options){.parent = &other}));
    recorded_read(r);
    json_t *read = json_object_get(recorded_span(r, "linked"), "links");
    assert_string_equal("a=1", recorded_string(json_array_get(read, 0), "traceState"));
    assert_int_equal(0x303, json_integer_value(json_object_get(json_array_get(read, 0), "flags")));
    assert_int_equal(0x103, json_integer_value(json_object_get(json_array_get(read, 1), "flags")));
    assert_int_equal(0x103, json_integer_value(json_object_get(recorded_span(r, "child"), "flags")));
    char text[LOOM_TRACEPARENT_SIZE];
    loom_traceparent_format(text, &other);
    assert_string_equal("03", text + 53);
}

static void a_context_of_this_process_is_no_remote_parent(void **state)
{
    recorded *r = *state;
    const loom_trace_context ctx = {{1}, {2}, LOOM_TRACE_FLAG_SAMPLED};
    uint64_t token = context_push_local(&ctx, (loom_str){0});
    assert_false(context_current_is_remote());
    loom_span_end(loom_span_start(r->tracer, "near", NULL));
    loom_context_pop(token);
    token = loom_context_push(&ctx, (loom_str){0});
    assert_true(context_current_is_remote());
    loom_span_end(loom_span_start(r->tracer, "far", NULL));
    loom_context_pop(token);
    recorded_read(r);
    assert_int_equal(0x101, json_integer_value(json_object_get(recorded_span(r, "near"), "flags")));
    assert_int_equal(0x301, json_integer_value(json_object_get(recorded_span(r, "far"), "flags")));
}

static void a_span_never_ends_before_it_starts(void **state)
{
    recorded *r = *state;
    loom_span *span = loom_span_start(r->tracer, "clock", &(loom_span_options){.start_unix_ns = 2000});
    loom_span_end_at(span, 1000);
    recorded_read(r);
    assert_string_equal("2000", recorded_string(recorded_span(r, "clock"), "startTimeUnixNano"));
    assert_string_equal("2000", recorded_string(recorded_span(r, "clock"), "endTimeUnixNano"));
}

/* OpenTelemetry, trace SDK, "Span creation": a span has a new id whatever the sampling decision. */
static void an_unsampled_span_has_an_id_of_its_own(void **state)
{
    recorded *r = *state;
    loom_trace_context parent = {.trace_flags = 0};
    loom_trace_id_generate(parent.trace_id);
    loom_span_id_generate(parent.span_id);
    loom_span *span = loom_span_start(r->tracer, "unsampled", &(loom_span_options){.parent = &parent, .tracestate = STR("v=1")});
    assert_false(loom_span_is_recording(span));
    const loom_trace_context *ctx = loom_span_context(span);
    assert_memory_equal(parent.trace_id, ctx->trace_id, sizeof parent.trace_id);
    assert_memory_not_equal(parent.span_id, ctx->span_id, sizeof parent.span_id);
    assert_int_equal(0, ctx->trace_flags);
    assert_str("v=1", loom_span_tracestate(span));
    loom_span_set_string(span, "k", "v");
    loom_span_add_event(span, "e", NULL, 0);
    loom_span_end(span);
    recorded_read(r);
    assert_int_equal(0, json_array_size(r->spans));
    assert_int_equal(0, loom_span_processor_counts(r->processor).ended);
}

/* OpenTelemetry, trace SDK, "Sampling": the sampled flag is what the sampler decided, not what the parent had. */
static void the_flag_of_a_span_is_the_decision_not_the_parents(void **state)
{
    recorded *r = *state;
    loom_tracer_provider *provider;
    assert_status(LOOM_OK, loom_tracer_provider_create(
                               &provider, &(loom_tracer_provider_options){.processor = r->processor,
                                                                          .sampler = &(loom_sampler){.kind = LOOM_SAMPLER_ALWAYS_OFF}}));
    loom_trace_context parent = {.trace_flags = LOOM_TRACE_FLAG_SAMPLED | LOOM_TRACE_FLAG_RANDOM};
    loom_trace_id_generate(parent.trace_id);
    loom_span_id_generate(parent.span_id);
    loom_span *span = loom_span_start(loom_tracer_get(provider, "off", NULL), "off", &(loom_span_options){.parent = &parent});
    assert_memory_not_equal(parent.span_id, loom_span_context(span)->span_id, sizeof parent.span_id);
    assert_int_equal(LOOM_TRACE_FLAG_RANDOM, loom_span_context(span)->trace_flags);
    loom_span_end(span);
    loom_tracer_provider_unref(provider);
}

/* X-Trace-ID alone, LOOM_TRACE_ID alone. */
static void a_trace_without_a_span_gets_a_root(void **state)
{
    recorded *r = *state;
    loom_trace_context named = {.trace_flags = LOOM_TRACE_FLAG_SAMPLED | LOOM_TRACE_FLAG_RANDOM};
    const loom_attr attr = {.key = "k", .type = LOOM_ATTR_STRING, .value.string = STR("v")};
    loom_trace_id_generate(named.trace_id);
    const loom_span_options options = {.parent = &named, .parent_is_remote = true, .attrs = &attr, .attr_count = 1};
    loom_span *span = loom_span_start(r->tracer, "root", &options);
    assert_memory_equal(named.trace_id, loom_span_context(span)->trace_id, sizeof named.trace_id);
    assert_int_equal(LOOM_TRACE_FLAG_SAMPLED, loom_span_context(span)->trace_flags);
    loom_span_end(span);
    span = loom_span_start(r->tracer, "new", &(loom_span_options){.parent = &named, .root = true});
    assert_memory_not_equal(named.trace_id, loom_span_context(span)->trace_id, sizeof named.trace_id);
    loom_span_end(span);
    span = loom_span_start(NULL, "no SDK", &options);
    assert_false(loom_trace_context_valid(loom_span_context(span)));
    loom_span_end(span);
    recorded_read(r);
    assert_string_equal("", recorded_string(recorded_span(r, "root"), "parentSpanId"));
    recorded_has_string(recorded_span(r, "root"), "k", "v");
}

static void a_trace_without_a_span_is_sampled_as_a_root_is(void **state)
{
    (void)state;
    recorded r;
    recorded_open(&r, &(loom_sampler){.kind = LOOM_SAMPLER_PARENTBASED_RATIO});
    loom_trace_context named = {.trace_flags = LOOM_TRACE_FLAG_SAMPLED};
    loom_trace_id_generate(named.trace_id);
    loom_span *span = loom_span_start(r.tracer, "off", &(loom_span_options){.parent = &named});
    assert_memory_equal(named.trace_id, loom_span_context(span)->trace_id, sizeof named.trace_id);
    assert_int_equal(0, loom_span_context(span)->trace_flags);
    assert_true(loom_trace_context_valid(loom_span_context(span)));
    loom_span_end(span);
    recorded_close(&r);
}

/* OpenTelemetry, trace API, "Behavior of the API in the absence of an installed SDK". */
static void without_a_tracer_there_is_the_parents_context_or_none(void **state)
{
    (void)state;
    loom_span *span = loom_span_start(NULL, "none", NULL);
    assert_false(loom_trace_context_valid(loom_span_context(span)));
    assert_false(loom_span_is_recording(span));
    loom_span_end(span);
    loom_trace_context parent = {.trace_flags = LOOM_TRACE_FLAG_SAMPLED};
    loom_trace_id_generate(parent.trace_id);
    loom_span_id_generate(parent.span_id);
    span = loom_span_start(NULL, "passed", &(loom_span_options){.parent = &parent, .tracestate = STR("v=1")});
    assert_memory_equal(&parent, loom_span_context(span), sizeof parent);
    assert_str("v=1", loom_span_tracestate(span));
    loom_span_end(span);
}

/* OpenTelemetry, trace API, "End": calls after the first are ignored. */
static void ending_twice_is_harmless_also_when_the_memory_serves_another_span(void **state)
{
    recorded *r = *state;
    loom_span *first = loom_span_start(r->tracer, "first", NULL);
    loom_span_end(first);
    loom_span_end(first);
    loom_span_end_at(first, 1);
    loom_span *second = loom_span_start(r->tracer, "second", NULL);
    assert_true(first != second);
    loom_span_set_string(first, "late", "x");
    loom_span_make_current(first);
    assert_null(loom_span_current());
    loom_span_end(first);
    assert_false(loom_span_is_recording(first));
    assert_false(loom_trace_context_valid(loom_span_context(first)));
    assert_true(loom_span_is_recording(second));
    loom_span_make_current(second);
    assert_ptr_equal(second, loom_span_current());
    loom_span_end(second);
    loom_span_end(second);
    recorded_read(r);
    assert_int_equal(2, loom_span_processor_counts(r->processor).ended);
    json_t *value = NULL;
    assert_int_equal(0, recorded_attr(recorded_span(r, "second"), "late", &value));
}

/* Short ones are copied in words that overlap: every length has to come out whole, and what is no ASCII repaired or kept. */
static void keys_and_values_of_every_length_arrive(void **state)
{
    recorded *r = *state;
    enum { LONGEST = 140 };
    char text[LONGEST + 1];
    for (size_t i = 0; i < LONGEST; i++) {
        text[i] = (char)('!' + i % 90);
    }
    text[LONGEST] = '\0';
    for (size_t len = 1; len <= LONGEST; len++) {
        char name[16];
        (void)snprintf(name, sizeof name, "length %zu", len);
        loom_span *span = loom_span_start(r->tracer, name, NULL);
        loom_span_put_str(span, (loom_str){text, len}, (loom_str){text + LONGEST - len, len});
        loom_span_put_str(span, STR("wide"), (loom_str){"\u00e9\u00e9", 1 + len % 4});
        loom_span_put_str(span, STR("empty"), (loom_str){NULL, 0});
        loom_span_put_str(span, (loom_str){text, 0}, STR("without a key"));
        loom_span_end(span);
    }
    recorded_read(r);
    const char *const repaired[] = {"\ufffd", "\u00e9", "\u00e9\ufffd", "\u00e9\u00e9"};
    for (size_t len = 1; len <= LONGEST; len++) {
        char name[16], key[LONGEST + 1];
        (void)snprintf(name, sizeof name, "length %zu", len);
        (void)snprintf(key, sizeof key, "%.*s", (int)len, text);
        json_t *span = recorded_span(r, name);
        recorded_has_string(span, key, text + LONGEST - len);
        recorded_has_string(span, "wide", repaired[len % 4]);
        recorded_has_string(span, "empty", "");
        assert_int_equal(1, json_integer_value(json_object_get(span, "droppedAttributesCount")));
    }
}

/* More keys than the filter of their hashes has bits. */
static void of_many_keys_each_is_there_once(void **state)
{
    recorded *r = *state;
    loom_span *span = loom_span_start(r->tracer, "many keys", NULL);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 100; i++) {
            char key[8];
            const int len = snprintf(key, sizeof key, "k%d", i);
            switch (i % 4) {
            case 0: loom_span_put_int(span, (loom_str){key, (size_t)len}, round - i); break;
            case 1: loom_span_put_double(span, (loom_str){key, (size_t)len}, round + 0.5); break;
            case 2: loom_span_put_bool(span, (loom_str){key, (size_t)len}, round == 1); break;
            default: loom_span_set_string(span, key, round == 1 ? "second" : "first"); break;
            }
        }
    }
    loom_span_end(span);
    recorded_read(r);
    json_t *s = recorded_span(r, "many keys"), *value = NULL;
    assert_int_equal(100, json_array_size(json_object_get(s, "attributes")));
    assert_int_equal(1, recorded_attr(s, "k96", &value));
    assert_string_equal("-95", recorded_string(value, "intValue"));
    assert_int_equal(1, recorded_attr(s, "k97", &value));
    assert_true(json_real_value(json_object_get(value, "doubleValue")) == 1.5);
    assert_int_equal(1, recorded_attr(s, "k98", &value));
    assert_true(json_is_true(json_object_get(value, "boolValue")));
    recorded_has_string(s, "k99", "second");
}

/* <loom/trace_inline.h> and bindings go by it. */
static void the_lowest_bit_of_a_span_tells_whether_it_records(void **state)
{
    recorded *r = *state;
    for (int i = 0; i < 200; i++) { /* more than there are generations */
        loom_span *recording = loom_span_start(r->tracer, "x", NULL), *plain = loom_span_start(NULL, "x", NULL);
        assert_int_equal(0, (uintptr_t)recording & 1u);
        assert_int_equal(1, (uintptr_t)plain & 1u);
        assert_true((loom_span_is_recording)(recording));
        assert_false((loom_span_is_recording)(plain));
        (loom_span_set_int)(plain, "n", i);
        (loom_span_set_int)(recording, "n", i);
        loom_span_end(plain);
        loom_span_end(recording);
    }
}

static void *end_it(void *span)
{
    loom_span_end(span);
    return NULL;
}

static void a_span_of_a_thread_that_has_exited_can_be_ended_again(void **state)
{
    recorded *r = *state;
    loom_span *recording = loom_span_start(r->tracer, "once", NULL), *plain = loom_span_start(NULL, "plain", NULL);
    loom_span *spans[] = {recording, plain};
    for (size_t i = 0; i < 2; i++) {
        pthread_t thread;
        assert_int_equal(0, pthread_create(&thread, NULL, end_it, spans[i]));
        assert_int_equal(0, pthread_join(thread, NULL));
        loom_span_end(spans[i]);
    }
    loom_span *many[100];
    for (size_t i = 0; i < 100; i++) {
        many[i] = loom_span_start(r->tracer, "many", NULL);
    }
    for (size_t i = 0; i < 100; i++) {
        loom_span_end(many[i]);
    }
    for (size_t i = 0; i < 100; i++) {
        loom_span_end(many[i]);
    }
    assert_int_equal(101, loom_span_processor_counts(r->processor).ended);
}

static void null_is_a_span_that_does_nothing(void **state)
{
    (void)state;
    loom_span_set_string(NULL, "k", "v");
    loom_span_set_name(NULL, "n");
    loom_span_add_event(NULL, "e", NULL, 0);
    loom_span_record_error(NULL, "t", "m");
    loom_span_make_current(NULL);
    assert_null(loom_span_current());
    assert_false(loom_trace_context_valid(loom_span_context(NULL)));
    loom_span_end(NULL);
}

/* What could not be created is NULL, and a program that goes on all the same is only not traced. */
static void null_is_a_provider_and_a_processor_that_do_nothing(void **state)
{
    (void)state;
    assert_null(loom_tracer_provider_ref(NULL));
    assert_null(loom_span_processor_ref(NULL));
    assert_null(loom_tracer_get(NULL, "tests", NULL));
    assert_true(loom_tracer_provider_is_disabled(NULL));
    assert_string_equal("", loom_tracer_provider_service_name(NULL));
    assert_int_equal(0, loom_span_processor_counts(NULL).ended);
    assert_status(LOOM_EINVAL, loom_span_processor_flush(NULL, 0));
    assert_status(LOOM_EINVAL, loom_span_processor_shutdown(NULL, 0));
    loom_tracer_provider_unref(NULL);
    loom_span_processor_unref(NULL);
}

static void a_list_that_is_null_is_empty_whatever_its_count(void **state)
{
    recorded *r = *state;
    loom_span *span = loom_span_start(r->tracer, "bare", &(loom_span_options){.attr_count = 3, .link_count = 3});
    loom_span_add_event(span, "event", NULL, 3);
    loom_span_set_strs(span, "none", NULL, 3);
    loom_span_record_exception(span, &(loom_exception){.type = "T", .attr_count = 3});
    loom_span_add_link(span, &(loom_link){.context = *loom_span_context(span), .attr_count = 3});
    loom_span_end(span);
    recorded_read(r);
    json_t *bare = recorded_span(r, "bare");
    assert_int_equal(2, json_array_size(json_object_get(bare, "attributes"))); /* none, error.type */
    assert_int_equal(1, json_array_size(json_object_get(bare, "links")));
    assert_null(json_object_get(bare, "droppedAttributesCount"));
    assert_null(json_object_get(bare, "droppedLinksCount"));
}

static void spans_of_two_providers_are_grouped_by_resource_and_scope(void **state)
{
    recorded *r = *state;
    loom_tracer_provider *other;
    assert_status(LOOM_OK, loom_tracer_provider_create(&other, &(loom_tracer_provider_options){
                                                                   .service_name = "other", .processor = r->processor}));
    loom_tracer *second = loom_tracer_get(r->provider, "second", NULL);
    loom_tracer *foreign = loom_tracer_get(other, "tests", "1");
    assert_ptr_equal(second, loom_tracer_get(r->provider, "second", NULL));
    for (int i = 0; i < 3; i++) {
        loom_span_end(loom_span_start(r->tracer, "a", NULL));
        loom_span_end(loom_span_start(foreign, "b", NULL));
        loom_span_end(loom_span_start(second, "c", NULL));
    }
    loom_tracer_provider_unref(other); /* its spans are still on their way */
    recorded_read(r);
    assert_int_equal(9, json_array_size(r->spans));
    json_t *resources = json_object_get(json_array_get(r->lines, 0), "resourceSpans");
    assert_int_equal(2, json_array_size(resources));
    json_t *scopes = json_object_get(json_array_get(resources, 0), "scopeSpans");
    assert_int_equal(2, json_array_size(scopes));
    assert_string_equal("second", recorded_string(json_object_get(json_array_get(scopes, 1), "scope"), "name"));
    recorded_has_string(json_object_get(json_array_get(resources, 1), "resource"), "service.name", "other");
}

/* OpenTelemetry, trace API, "Get a Tracer"; OTLP, InstrumentationScope and ScopeSpans.schema_url. */
static void all_of_a_scope_is_exported_and_tells_tracers_apart(void **state)
{
    recorded *r = *state;
    const loom_attr attributes[] = {{.key = "team", .type = LOOM_ATTR_STRING, .value.string = STR("payments")},
                                    {.key = "shard", .type = LOOM_ATTR_INT, .value.integer = 7},
                                    {.key = "team", .type = LOOM_ATTR_STRING, .value.string = STR("orders")}};
    const loom_scope whole = {.name = "shop", .version = "2", .schema_url = "https://opentelemetry.io/schemas/1.30.0",
                              .attributes = attributes, .attribute_count = 3};
    const loom_scope plain = {.name = "shop", .version = "2"}, other = {.name = "shop", .version = "2", .schema_url = "urn:x"};
    loom_tracer *tracer = loom_tracer_get_scope(r->provider, &whole);
    assert_non_null(tracer);
    assert_ptr_equal(tracer, loom_tracer_get_scope(r->provider, &whole));
    assert_ptr_equal(loom_tracer_get(r->provider, "shop", "2"), loom_tracer_get_scope(r->provider, &plain));
    assert_ptr_not_equal(tracer, loom_tracer_get(r->provider, "shop", "2"));
    assert_ptr_not_equal(tracer, loom_tracer_get_scope(r->provider, &other));
    assert_null(loom_tracer_get_scope(r->provider, NULL));
    loom_span_end(loom_span_start(tracer, "sale", NULL));
    recorded_read(r);
    json_t *spans = json_object_get(json_array_get(json_object_get(json_array_get(r->lines, 0), "resourceSpans"), 0), "scopeSpans");
    json_t *scope = json_object_get(json_array_get(spans, 0), "scope"), *value;
    assert_string_equal("shop", recorded_string(scope, "name"));
    assert_string_equal("2", recorded_string(scope, "version"));
    assert_int_equal(1, recorded_attr(scope, "team", &value)); /* the last one counts */
    recorded_has_string(scope, "team", "orders");
    recorded_has_int(scope, "shard", "7");
    assert_string_equal(whole.schema_url, recorded_string(json_array_get(spans, 0), "schemaUrl"));
}

static void a_span_may_outlive_provider_and_processor(void **state)
{
    (void)state;
    recorded r;
    recorded_open(&r, NULL);
    loom_span *span = loom_span_start(r.tracer, "late", NULL);
    recorded_close(&r);
    loom_span_set_string(span, "k", "v");
    loom_span_end(span);
}

int main(void)
{
#define RECORDED(test) cmocka_unit_test_setup_teardown(test, open_recorded, close_recorded)
    const struct CMUnitTest tests[] = {
        RECORDED(keys_and_values_of_every_length_arrive),
        RECORDED(of_many_keys_each_is_there_once),
        RECORDED(the_lowest_bit_of_a_span_tells_whether_it_records),
        RECORDED(children_carry_the_trace_and_their_parents_id),
        RECORDED(a_remote_parent_shows_in_the_flags),
        RECORDED(an_invalid_parent_starts_a_new_trace),
        RECORDED(every_attribute_type_arrives),
        RECORDED(setting_a_key_again_overwrites_whatever_the_length),
        RECORDED(limits_drop_and_count),
        RECORDED(what_exceeds_the_size_of_a_span_is_dropped_and_the_span_arrives),
        RECORDED(bytes_that_are_no_utf8_become_replacement_characters),
        RECORDED(status_ok_is_final_and_of_errors_the_last_counts),
        RECORDED(a_link_without_a_context_is_kept_for_its_attributes),
        RECORDED(an_exception_keeps_all_its_attributes),
        RECORDED(an_error_is_an_exception_event_and_a_status),
        RECORDED(links_carry_context_and_attributes),
        RECORDED(links_carry_tracestate_and_flags_without_reserved_bits),
        RECORDED(a_context_of_this_process_is_no_remote_parent),
        RECORDED(a_span_never_ends_before_it_starts),
        RECORDED(an_unsampled_span_has_an_id_of_its_own),
        RECORDED(the_flag_of_a_span_is_the_decision_not_the_parents),
        RECORDED(spans_of_two_providers_are_grouped_by_resource_and_scope),
        RECORDED(all_of_a_scope_is_exported_and_tells_tracers_apart),
        RECORDED(a_trace_without_a_span_gets_a_root),
        cmocka_unit_test(a_trace_without_a_span_is_sampled_as_a_root_is),
        cmocka_unit_test(without_a_tracer_there_is_the_parents_context_or_none),
        RECORDED(ending_twice_is_harmless_also_when_the_memory_serves_another_span),
        RECORDED(a_span_of_a_thread_that_has_exited_can_be_ended_again),
        cmocka_unit_test(null_is_a_span_that_does_nothing),
        cmocka_unit_test(null_is_a_provider_and_a_processor_that_do_nothing),
        RECORDED(a_list_that_is_null_is_empty_whatever_its_count),
        cmocka_unit_test(a_span_may_outlive_provider_and_processor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
