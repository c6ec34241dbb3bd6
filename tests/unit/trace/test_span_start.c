/* SPDX-License-Identifier: Apache-2.0 */
/* The decision apart from the span, and attributes of constant keys. */
#include "tests/unit/trace/recorded.h"

#include "trace/span/start.h"

static const span_what what = {"hop", LOOM_SPAN_INTERNAL};

static const attr_key NUMBER = ATTR_INT_KEY("number");
static const attr_key TEXT = ATTR_STRING_KEY("text");
static const attr_key LONGEST = ATTR_STRING_KEY("a.key.that.takes.all.the.room.of.a.constant.key"); /* 47 */

static int open_recorded(void **state)
{
    static recorded r;
    recorded_open(&r, NULL);
    *state = &r;
    return 0;
}

static int open_never(void **state)
{
    static recorded r;
    recorded_open(&r, &(loom_sampler){.kind = LOOM_SAMPLER_PARENTBASED_ALWAYS_OFF});
    *state = &r;
    return 0;
}

static int open_half(void **state)
{
    static recorded r;
    recorded_open(&r, &(loom_sampler){.kind = LOOM_SAMPLER_PARENTBASED_RATIO, .ratio = 0.5});
    *state = &r;
    return 0;
}

static int close_recorded(void **state)
{
    recorded_close(*state);
    return 0;
}

static loom_trace_context parent_with(uint8_t flags)
{
    loom_trace_context parent = {.trace_flags = flags};
    loom_trace_id_generate(parent.trace_id);
    loom_span_id_generate(parent.span_id);
    return parent;
}

static loom_span *start(recorded *r, const char *name, const fixed_attr *attrs, size_t count)
{
    loom_trace_context decided;
    assert_true(span_decide(r->tracer, &what, NULL, false, &decided));
    return span_start_decided(r->tracer, name, &(loom_span_options){.root = true}, &decided, attrs, count);
}

static void a_sampled_parent_is_followed(void **state)
{
    recorded *r = *state;
    loom_trace_context parent = parent_with(LOOM_TRACE_FLAG_SAMPLED), decided;
    assert_true(span_decide(r->tracer, &what, &parent, false, &decided));
    assert_memory_equal(parent.trace_id, decided.trace_id, sizeof decided.trace_id);
}

static void an_unsampled_parent_goes_on_as_it_is(void **state)
{
    recorded *r = *state;
    loom_trace_context parent = parent_with(LOOM_TRACE_FLAG_RANDOM), decided;
    assert_false(span_decide(r->tracer, &what, &parent, false, &decided));
    assert_memory_equal(&parent, &decided, sizeof decided);
}

static void a_root_that_is_not_sampled_has_a_context_of_its_own(void **state)
{
    recorded *r = *state;
    const loom_trace_context invalid = {.trace_id = {1}};
    loom_trace_context decided;
    assert_false(span_decide(r->tracer, &what, &invalid, false, &decided));
    assert_true(loom_trace_context_valid(&decided));
    assert_int_equal(LOOM_TRACE_FLAG_RANDOM, decided.trace_flags);
}

static void without_a_tracer_nothing_is_decided_and_a_parent_goes_on(void **state)
{
    (void)state;
    loom_trace_context parent = parent_with(LOOM_TRACE_FLAG_SAMPLED), decided;
    assert_false(span_decide(NULL, &what, NULL, false, &decided));
    assert_false(loom_trace_context_valid(&decided));
    assert_false(span_decide(NULL, &what, &parent, false, &decided));
    assert_memory_equal(&parent, &decided, sizeof decided);
}

static void a_root_keeps_the_trace_id_that_was_decided_on(void **state)
{
    recorded *r = *state;
    for (int i = 0; i < 64; i++) {
        loom_trace_context decided;
        if (span_decide(r->tracer, &what, NULL, false, &decided)) {
            loom_span *span =
                span_start_decided(r->tracer, "root", &(loom_span_options){.root = true}, &decided, NULL, 0);
            assert_true(loom_span_is_recording(span));
            assert_memory_equal(decided.trace_id, loom_span_context(span)->trace_id, LOOM_TRACE_ID_SIZE);
            loom_span_end(span);
        }
    }
}

static void constant_keys_arrive_like_others(void **state)
{
    recorded *r = *state;
    static char wide[300];
    memset(wide, 'w', sizeof wide - 1);
    const fixed_attr attrs[] = {{.key = &NUMBER, .integer = -3},
                                {.key = &TEXT, .string = STR("")},
                                {.key = &LONGEST, .string = {wide, sizeof wide - 1}}};
    loom_span_end(start(r, "fixed", attrs, 3));
    recorded_read(r);
    json_t *span = recorded_span(r, "fixed"), *value = NULL;
    assert_int_equal(3, json_array_size(json_object_get(span, "attributes")));
    assert_int_equal(1, recorded_attr(span, "number", &value));
    assert_string_equal("-3", recorded_string(value, "intValue"));
    recorded_has_string(span, "text", "");
    recorded_has_string(span, LONGEST.text, wide);
}

static void a_constant_key_can_be_set_again_by_its_name(void **state)
{
    recorded *r = *state;
    const fixed_attr attrs[] = {{.key = &NUMBER, .integer = 1}, {.key = &TEXT, .string = STR("first")}};
    const fixed_attr later = {.key = &LONGEST, .string = STR("later")};
    loom_span *span = start(r, "again", attrs, 2);
    loom_span_set_string(span, "other", "o");
    loom_span_set_string(span, "text", "second");
    span_add_fixed(span, &later, 1);
    loom_span_set_int(span, "number", 2);
    loom_span_set_string(span, LONGEST.text, "last");
    loom_span_end(span);
    recorded_read(r);
    json_t *s = recorded_span(r, "again"), *value = NULL;
    assert_int_equal(4, json_array_size(json_object_get(s, "attributes")));
    recorded_has_string(s, "text", "second");
    recorded_has_string(s, "other", "o");
    recorded_has_string(s, LONGEST.text, "last");
    assert_int_equal(1, recorded_attr(s, "number", &value));
    assert_string_equal("2", recorded_string(value, "intValue"));
}

static void ill_formed_text_of_a_constant_key_is_repaired(void **state)
{
    recorded *r = *state;
    const fixed_attr attr = {.key = &TEXT, .string = STR("eight by\xff")};
    loom_span_end(start(r, "repaired", &attr, 1));
    recorded_read(r);
    recorded_has_string(recorded_span(r, "repaired"), "text", "eight by\xef\xbf\xbd");
}

static void constant_keys_over_the_limit_are_counted(void **state)
{
    recorded *r = *state;
    fixed_attr attrs[ATTR_COUNT_MAX + 2];
    for (size_t i = 0; i < sizeof attrs / sizeof *attrs; i++) {
        attrs[i] = (fixed_attr){.key = &NUMBER, .integer = 1};
    }
    loom_span_end(start(r, "many", attrs, sizeof attrs / sizeof *attrs));
    recorded_read(r);
    json_t *span = recorded_span(r, "many");
    assert_int_equal(ATTR_COUNT_MAX, json_array_size(json_object_get(span, "attributes")));
    assert_int_equal(2, json_integer_value(json_object_get(span, "droppedAttributesCount")));
}

static void the_same_key_twice_in_the_options_keeps_the_last(void **state)
{
    recorded *r = *state;
    const loom_attr attrs[] = {{.key = "a", .type = LOOM_ATTR_STRING, .value.string = STR("first")},
                               {.key = "b", .type = LOOM_ATTR_INT, .value.integer = 1},
                               {.key = "a", .type = LOOM_ATTR_STRING, .value.string = STR("last")}};
    loom_span_end(loom_span_start(r->tracer, "twice", &(loom_span_options){.attrs = attrs, .attr_count = 3}));
    recorded_read(r);
    json_t *span = recorded_span(r, "twice");
    assert_int_equal(2, json_array_size(json_object_get(span, "attributes")));
    recorded_has_string(span, "a", "last");
}

int main(void)
{
#define RECORDED(test) cmocka_unit_test_setup_teardown(test, open_recorded, close_recorded)
    const struct CMUnitTest tests[] = {
        RECORDED(a_sampled_parent_is_followed),
        RECORDED(an_unsampled_parent_goes_on_as_it_is),
        cmocka_unit_test_setup_teardown(a_root_that_is_not_sampled_has_a_context_of_its_own, open_never, close_recorded),
        cmocka_unit_test(without_a_tracer_nothing_is_decided_and_a_parent_goes_on),
        cmocka_unit_test_setup_teardown(a_root_keeps_the_trace_id_that_was_decided_on, open_half, close_recorded),
        RECORDED(constant_keys_arrive_like_others),
        RECORDED(a_constant_key_can_be_set_again_by_its_name),
        RECORDED(ill_formed_text_of_a_constant_key_is_repaired),
        RECORDED(constant_keys_over_the_limit_are_counted),
        RECORDED(the_same_key_twice_in_the_options_keeps_the_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
