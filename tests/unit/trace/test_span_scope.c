/* SPDX-License-Identifier: Apache-2.0 */
/* <loom/span.h>, as C11 sees it. */
#include "tests/unit/trace/recorded.h"

#include <loom/span.h>
#include <pthread.h>
#include <stdlib.h>

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

static int work(recorded *r, bool fail)
{
    LOOM_SPAN_SCOPE(outer, r->tracer, "outer");
    for (int i = 0; i < 2; i++) {
        LOOM_SPAN_SCOPE_WITH(inner, r->tracer, "inner", &(loom_span_options){.kind = LOOM_SPAN_CLIENT});
        assert_ptr_equal(inner, loom_span_current());
        if (i == 1 && fail) {
            loom_span_record_error(inner, "EIO", "no disk");
            return -1;
        }
    }
    assert_ptr_equal(outer, loom_span_current());
    loom_span_end(outer); /* sooner than the block: harmless */
    return 0;
}

static void a_scope_ends_its_span_however_the_block_is_left(void **state)
{
    recorded *r = *state;
    assert_int_equal(0, work(r, false));
    assert_null(loom_span_current());
    assert_int_equal(-1, work(r, true));
    assert_null(loom_span_current());
    recorded_read(r);
    assert_int_equal(6, json_array_size(r->spans));
    json_t *failed = json_array_get(r->spans, 4), *outer = json_array_get(r->spans, 5);
    assert_string_equal("inner", recorded_string(failed, "name"));
    assert_string_equal(recorded_string(outer, "spanId"), recorded_string(failed, "parentSpanId"));
    recorded_has_string(failed, "error.type", "EIO");
    assert_int_equal(LOOM_SPAN_ERROR, json_integer_value(json_object_get(json_object_get(failed, "status"), "code")));
    assert_int_equal(0, json_integer_value(json_object_get(json_object_get(outer, "status"), "code")));
}

static void check_value(recorded *r, const char *key, const char *type, const char *text)
{
    json_t *value = NULL;
    assert_int_equal(1, recorded_attr(recorded_span(r, "typed"), key, &value));
    char *found = json_dumps(json_object_get(value, type), JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(6));
    if (found == NULL || strcmp(found, text) != 0) {
        fail_msg("%s: %s, not %s %s", key, found != NULL ? found : "another type", type, text);
    }
    free(found);
}

static void one_name_sets_attributes_of_every_type(void **state)
{
    recorded *r = *state;
    {
        LOOM_SPAN_SCOPE(span, r->tracer, "typed");
        char text[] = "text";
        const bool yes = true;
        loom_span_set(span, "chars", text);
        loom_span_set(span, "literal", "text");
        loom_span_set(span, "str", STR("text"));
        loom_span_set(span, "bool", yes);
        loom_span_set(span, "int", -1);
        loom_span_set(span, "short", (short)2);
        loom_span_set(span, "size", sizeof(char));
        loom_span_set(span, "int64", INT64_MIN);
        loom_span_set(span, "uint64", UINT64_MAX);
        loom_span_set(span, "float", 0.5f);
        loom_span_set(span, "double", 0.25);
        loom_span_set_strings(span, "strings", (const char *const[]){"a", NULL, "b"}, 3);
        loom_span_set_strs(span, "strs", (const loom_str[]){STR("a")}, 1);
        loom_span_set_bools(span, "bools", (const bool[]){true, false}, 2);
        loom_span_set_ints(span, "ints", (const int64_t[]){1, -2}, 2);
        loom_span_set_doubles(span, "doubles", (const double[]){0.5}, 1);
        loom_span_set_ints(span, "none", NULL, 7);
    }
    recorded_read(r);
    check_value(r, "chars", "stringValue", "\"text\"");
    check_value(r, "literal", "stringValue", "\"text\"");
    check_value(r, "str", "stringValue", "\"text\"");
    check_value(r, "bool", "boolValue", "true");
    check_value(r, "int", "intValue", "\"-1\"");
    check_value(r, "short", "intValue", "\"2\"");
    check_value(r, "size", "intValue", "\"1\"");
    check_value(r, "int64", "intValue", "\"-9223372036854775808\"");
    check_value(r, "uint64", "stringValue", "\"18446744073709551615\"");
    check_value(r, "float", "doubleValue", "0.5");
    check_value(r, "double", "doubleValue", "0.25");
    check_value(r, "strings", "arrayValue", "{\"values\":[{\"stringValue\":\"a\"},{\"stringValue\":\"\"},{\"stringValue\":\"b\"}]}");
    check_value(r, "strs", "arrayValue", "{\"values\":[{\"stringValue\":\"a\"}]}");
    check_value(r, "bools", "arrayValue", "{\"values\":[{\"boolValue\":true},{\"boolValue\":false}]}");
    check_value(r, "ints", "arrayValue", "{\"values\":[{\"intValue\":\"1\"},{\"intValue\":\"-2\"}]}");
    check_value(r, "doubles", "arrayValue", "{\"values\":[{\"doubleValue\":0.5}]}");
    check_value(r, "none", "arrayValue", "{\"values\":[]}");
}

static void an_exception_has_type_message_and_stack_and_what_the_caller_adds(void **state)
{
    recorded *r = *state;
    loom_span *span = loom_span_start(r->tracer, "s", NULL);
    const loom_attr more[] = {{.key = "exception.message", .type = LOOM_ATTR_STRING, .value.string = STR("better")},
                              {.key = "retry", .type = LOOM_ATTR_BOOL, .value.boolean = true}};
    loom_span_record_exception(span, &(loom_exception){"std::bad_alloc", "worse", "#0 main", more, 2});
    loom_span_record_exception(span, NULL);
    loom_span_record_exception(span, &(loom_exception){.attr_count = 9});
    loom_span_add_event_at(span, "then", 1234, NULL, 3);
    loom_span_end(span);
    recorded_read(r);
    json_t *s = recorded_span(r, "s"), *event = json_array_get(json_object_get(s, "events"), 0), *value;
    recorded_has_string(s, "error.type", "std::bad_alloc");
    recorded_has_string(event, "exception.type", "std::bad_alloc");
    recorded_has_string(event, "exception.message", "better");
    recorded_has_string(event, "exception.stacktrace", "#0 main");
    assert_int_equal(1, recorded_attr(event, "retry", &value));
    assert_int_equal(3, json_array_size(json_object_get(s, "events")));
    assert_string_equal("1234", recorded_string(json_array_get(json_object_get(s, "events"), 2), "timeUnixNano"));
}

/* What a user calls an attribute is never taken for a field of the span (OTLP keeps them apart, and so do we). */
static void attributes_named_as_fields_do_not_touch_them(void **state)
{
    recorded *r = *state;
    loom_span *span = loom_span_start(r->tracer, "honest", NULL);
    char id[LOOM_TRACE_ID_HEX_SIZE];
    loom_trace_id_to_hex(id, loom_span_context(span)->trace_id);
    static const char *const fields[] = {"name", "trace_id", "traceId", "span_id", "spanId", "parentSpanId", "kind", "status",
                                         "startTimeUnixNano", "endTimeUnixNano", "service.name", "attributes", "events", "flags"};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        loom_span_set(span, fields[i], "forged");
    }
    loom_span_end(span);
    recorded_read(r);
    json_t *s = recorded_span(r, "honest");
    assert_string_equal(id, recorded_string(s, "traceId"));
    assert_int_equal(LOOM_SPAN_INTERNAL, json_integer_value(json_object_get(s, "kind")));
    assert_int_equal(sizeof fields / sizeof *fields, json_array_size(json_object_get(s, "attributes")));
}

static void *go_on(void *handed)
{
    loom_span *span = handed;
    loom_span_make_current(span);
    assert_ptr_equal(span, loom_span_current());
    loom_span_set(span, "worker", "yes");
    loom_span_end(span);
    assert_null(loom_span_current());
    return NULL;
}

static void a_detached_span_goes_on_in_another_thread(void **state)
{
    recorded *r = *state;
    LOOM_SPAN_SCOPE(outer, r->tracer, "outer");
    loom_span *span = loom_span_begin(r->tracer, "moves", NULL);
    loom_span_set(span, "first", "here");
    loom_span_detach(span);
    assert_ptr_equal(outer, loom_span_current());
    pthread_t worker;
    assert_int_equal(0, pthread_create(&worker, NULL, go_on, span));
    assert_int_equal(0, pthread_join(worker, NULL));
    loom_span_end(span); /* twice, and from elsewhere */
    loom_span_detach(span);
    loom_span_detach(NULL);
    assert_ptr_equal(outer, loom_span_current());
    recorded_read(r);
    recorded_has_string(recorded_span(r, "moves"), "first", "here");
    recorded_has_string(recorded_span(r, "moves"), "worker", "yes");
}

static void null_and_ended_spans_are_harmless(void **state)
{
    (void)state;
    LOOM_SPAN_SCOPE(none, NULL, "none");
    assert_false(loom_span_is_recording(none));
    loom_span_set(none, "a", 1);
    loom_span_set((loom_span *)NULL, "a", "b");
    loom_span_set_strings(NULL, "a", NULL, 1);
    loom_span_record_exception(NULL, &(loom_exception){0});
    loom_span_add_event_at(NULL, "e", 1, NULL, 0);
}

#define WITH_SPANS(test) cmocka_unit_test_setup_teardown(test, open_recorded, close_recorded)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SPANS(a_scope_ends_its_span_however_the_block_is_left),
        WITH_SPANS(one_name_sets_attributes_of_every_type),
        WITH_SPANS(an_exception_has_type_message_and_stack_and_what_the_caller_adds),
        WITH_SPANS(attributes_named_as_fields_do_not_touch_them),
        WITH_SPANS(a_detached_span_goes_on_in_another_thread),
        cmocka_unit_test(null_and_ended_spans_are_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
