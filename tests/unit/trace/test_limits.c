/* SPDX-License-Identifier: Apache-2.0 */
/* OpenTelemetry, common, "Attribute Limits"; trace SDK, "Span Limits". */
#include "tests/unit/trace/recorded.h"
#include "trace/otlp/attr_encode.h"
#include "trace/span/start.h"

static void open_limited(recorded *r, const loom_span_limits *limits)
{
    const loom_sampler always = {.kind = LOOM_SAMPLER_ALWAYS_ON};
    recorded_open(r, NULL);
    loom_tracer_provider_unref(r->provider);
    assert_status(LOOM_OK, loom_tracer_provider_create(&r->provider, &(loom_tracer_provider_options){
                                                                         .service_name = "test", .sampler = &always,
                                                                         .processor = r->processor, .limits = limits}));
    r->tracer = loom_tracer_get(r->provider, "limits", NULL);
}

static const char *string_of(json_t *object, const char *key)
{
    json_t *value = NULL;
    assert_int_equal(1, recorded_attr(object, key, &value));
    return recorded_string(value, "stringValue");
}

/* "counting any character in it as 1" */
static void strings_are_cut_after_so_many_characters(void **state)
{
    (void)state;
    static const char *const vectors[][2] = {
        {"", ""},
        {"abc", "abc"},
        {"abcd", "abc"},
        {"äöü", "äöü"},
        {"äöü€", "äöü"},
        {"😀😁😂😃", "😀😁😂"},
        {"\xff\xfe\xfd\xfc", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* each becomes a U+FFFD, which is a character */
        {"ab\xe2\x82z", "ab\xef\xbf\xbd"},
        {"ab\xe2\x82", "ab\xef\xbf\xbd"},
    };
    const loom_span_limits limits = {128, 3, 128, 128, 128, 128};
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        recorded r;
        open_limited(&r, &limits);
        loom_span *span = loom_span_start(r.tracer, "a name is no attribute", NULL);
        loom_span_set_string(span, "k", vectors[i][0]);
        loom_span_set_int(span, "n", 123456);
        loom_span_end(span);
        recorded_read(&r);
        json_t *found = recorded_span(&r, "a name is no attribute"), *number;
        assert_string_equal(vectors[i][1], string_of(found, "k"));
        assert_int_equal(1, recorded_attr(found, "n", &number));
        assert_string_equal("123456", recorded_string(number, "intValue"));
        recorded_close(&r);
    }
}

static void each_string_of_an_array_is_cut(void **state)
{
    (void)state;
    const loom_span_limits limits = {128, 2, 128, 128, 128, 128};
    const loom_str items[] = {STR("a"), STR("äöü"), STR("")};
    const loom_attr attrs[] = {
        {.key = "texts", .type = LOOM_ATTR_STRINGS, .value.array = {items, 3}},
        {.key = "none", .type = LOOM_ATTR_STRINGS, .value.array = {NULL, 0}},
    };
    recorded r;
    open_limited(&r, &limits);
    loom_span *span = loom_span_start(r.tracer, "s", &(loom_span_options){.attrs = attrs, .attr_count = 2});
    loom_span_add_event(span, "e", attrs, 2);
    loom_span_end(span);
    recorded_read(&r);
    json_t *found = recorded_span(&r, "s"), *value;
    json_t *const parts[] = {found, json_array_get(json_object_get(found, "events"), 0)};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(1, recorded_attr(parts[i], "texts", &value));
        json_t *values = json_object_get(json_object_get(value, "arrayValue"), "values");
        assert_int_equal(3, json_array_size(values));
        assert_string_equal("a", recorded_string(json_array_get(values, 0), "stringValue"));
        assert_string_equal("äö", recorded_string(json_array_get(values, 1), "stringValue"));
    }
    recorded_close(&r);
}

/* The bus adds its attributes in bulk. */
static void attributes_of_constant_keys_keep_the_limits_too(void **state)
{
    (void)state;
    static const attr_key topic = ATTR_STRING_KEY("topic"), kind = ATTR_STRING_KEY("kind"), size = ATTR_INT_KEY("size");
    const fixed_attr attrs[] = {{.key = &topic, .string = STR("a long topic"), .is_utf8 = true},
                                {.key = &size, .integer = 7},
                                {.key = &kind, .string = STR("kind"), .is_utf8 = true}};
    for (uint32_t count = 0; count <= 4; count++) {
        for (int cut = 0; cut < 2; cut++) {
            const loom_span_limits limits = {count, cut ? 6 : UINT32_MAX, 128, 128, 128, 128};
            const uint32_t kept = count < 3 ? count : 3;
            recorded r;
            open_limited(&r, &limits);
            loom_span *span = loom_span_start(r.tracer, "s", NULL);
            span_add_fixed(span, attrs, 3);
            loom_span_end(span);
            recorded_read(&r);
            json_t *found = recorded_span(&r, "s");
            assert_int_equal(kept, json_array_size(json_object_get(found, "attributes")));
            assert_int_equal(3 - kept, json_integer_value(json_object_get(found, "droppedAttributesCount")));
            if (count > 0) {
                assert_string_equal(cut ? "a long" : "a long topic", string_of(found, "topic"));
            }
            recorded_close(&r);
        }
    }
}

/* A full span still takes a new value for a key that it has. */
static void a_key_that_is_there_may_be_set_again_at_the_limit(void **state)
{
    (void)state;
    const loom_span_limits limits = {1, UINT32_MAX, 128, 128, 128, 128};
    recorded r;
    open_limited(&r, &limits);
    loom_span *span = loom_span_start(r.tracer, "s", NULL);
    loom_span_set_string(span, "a", "1");
    loom_span_set_string(span, "b", "2");
    loom_span_set_string(span, "a", "3");
    loom_span_end(span);
    recorded_read(&r);
    json_t *found = recorded_span(&r, "s");
    assert_string_equal("3", string_of(found, "a"));
    assert_int_equal(1, json_integer_value(json_object_get(found, "droppedAttributesCount")));
    recorded_close(&r);
}

/* Beyond what a span has room for by itself: kept, found again, and counted when it is too much. */
static void a_span_keeps_as_many_attributes_as_its_limit_says(void **state)
{
    (void)state;
    enum { LIMIT = 300, SET = 310 };
    const loom_span_limits limits = {LIMIT, UINT32_MAX, 128, 128, LIMIT, 128};
    char keys[SET][8];
    loom_attr attrs[SET];
    for (int i = 0; i < SET; i++) {
        (void)snprintf(keys[i], sizeof keys[i], "k%d", i);
        attrs[i] = (loom_attr){.key = keys[i], .type = LOOM_ATTR_INT, .value.integer = i};
    }
    recorded r;
    open_limited(&r, &limits);
    loom_span *span = loom_span_start(r.tracer, "s", NULL);
    for (int i = 0; i < SET; i++) {
        loom_span_set_int(span, keys[i], i);
    }
    for (int i = 0; i < LIMIT; i += 7) {
        loom_span_set_string(span, keys[i], keys[i]);
    }
    loom_span_set_name(span, "renamed");
    loom_span_add_event(span, "e", attrs, SET);
    loom_span_end(span);
    recorded_read(&r);
    json_t *found = recorded_span(&r, "renamed"), *event = json_array_get(json_object_get(found, "events"), 0), *value;
    assert_int_equal(LIMIT, json_array_size(json_object_get(found, "attributes")));
    assert_int_equal(SET - LIMIT, json_integer_value(json_object_get(found, "droppedAttributesCount")));
    assert_int_equal(LIMIT, json_array_size(json_object_get(event, "attributes")));
    assert_int_equal(SET - LIMIT, json_integer_value(json_object_get(event, "droppedAttributesCount")));
    for (int i = 0; i < LIMIT; i++) {
        assert_int_equal(1, recorded_attr(found, keys[i], &value));
        assert_string_equal(i % 7 == 0 ? keys[i] : keys[i] + 1, recorded_string(value, i % 7 == 0 ? "stringValue" : "intValue"));
    }
    recorded_close(&r);
}

/* OpenTelemetry, common, "Attribute Collections": keys are unique, and the last value counts. */
static void a_key_of_an_event_or_link_has_its_last_value(void **state)
{
    (void)state;
    const loom_attr attrs[] = {
        {.key = "a", .type = LOOM_ATTR_INT, .value.integer = 1},
        {.key = "b", .type = LOOM_ATTR_INT, .value.integer = 2},
        {.key = "a", .type = LOOM_ATTR_STRING, .value.string = STR("last")},
        {.key = "c", .type = LOOM_ATTR_INT, .value.integer = 3},
    };
    const loom_span_limits limits = {128, UINT32_MAX, 128, 128, 2, 2};
    recorded r;
    open_limited(&r, &limits);
    loom_span *span = loom_span_start(r.tracer, "s", NULL);
    loom_link link = {.attrs = attrs, .attr_count = 4};
    loom_trace_id_generate(link.context.trace_id);
    loom_span_id_generate(link.context.span_id);
    loom_span_add_event(span, "e", attrs, 4);
    loom_span_add_link(span, &link);
    loom_span_end(span);
    recorded_read(&r);
    json_t *found = recorded_span(&r, "s"), *value;
    json_t *const parts[] = {json_array_get(json_object_get(found, "events"), 0), json_array_get(json_object_get(found, "links"), 0)};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(2, json_array_size(json_object_get(parts[i], "attributes")));
        assert_int_equal(1, json_integer_value(json_object_get(parts[i], "droppedAttributesCount")));
        assert_string_equal("last", string_of(parts[i], "a"));
        assert_int_equal(1, recorded_attr(parts[i], "b", &value));
    }
    recorded_close(&r);
}

static void a_limit_beyond_what_a_span_can_keep_is_refused(void **state)
{
    (void)state;
    const loom_span_limits limits = {LOOM_SPAN_ATTRIBUTES_MAX + 1, UINT32_MAX, 128, 128, 128, 128};
    recorded r;
    recorded_open(&r, NULL);
    loom_tracer_provider *provider;
    assert_status(LOOM_EINVAL, loom_tracer_provider_create(
                                   &provider, &(loom_tracer_provider_options){.processor = r.processor, .limits = &limits}));
    assert_null(provider);
    recorded_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_are_cut_after_so_many_characters),
        cmocka_unit_test(each_string_of_an_array_is_cut),
        cmocka_unit_test(attributes_of_constant_keys_keep_the_limits_too),
        cmocka_unit_test(a_key_that_is_there_may_be_set_again_at_the_limit),
        cmocka_unit_test(a_span_keeps_as_many_attributes_as_its_limit_says),
        cmocka_unit_test(a_key_of_an_event_or_link_has_its_last_value),
        cmocka_unit_test(a_limit_beyond_what_a_span_can_keep_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
