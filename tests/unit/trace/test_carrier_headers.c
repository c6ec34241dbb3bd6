/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/trace/carried.h"

#include <stdlib.h>

#define ALL (LOOM_PROPAGATORS_DEFAULT | LOOM_PROPAGATOR_B3 | LOOM_PROPAGATOR_B3MULTI | LOOM_PROPAGATOR_X_TRACE_ID)
#define LIST(array) {.items = (array), .count = sizeof(array) / sizeof(array)[0]}

static loom_str header_of(const loom_headers *list, const char *name)
{
    loom_str value = {0};
    const loom_carrier carrier = loom_headers_carrier((loom_headers *)(uintptr_t)list);
    return carrier.get(carrier.user, name, &value, 1) == 1 ? value : (loom_str){0};
}

static loom_propagation extract(const loom_header *headers, size_t count, unsigned propagators, heard *report)
{
    loom_headers list = {.items = headers, .count = count};
    const loom_carrier from = loom_headers_carrier(&list);
    loom_propagation out;
    assert_status(LOOM_OK, loom_propagation_extract(&out, &from, propagators, &(loom_propagation_report){hear, report}));
    return out;
}

static void the_first_propagator_of_the_set_that_has_a_context_answers(void **state)
{
    (void)state;
    static const loom_header headers[] = {
        HEADER("X-Trace-ID", "550e8400-e29b-41d4-a716-446655440000"), HEADER("X-Span-ID", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
        HEADER("b3", "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1"), HEADER("traceparent", PARENT),
    };
    static const struct {
        unsigned set;
        loom_propagator answered;
        const char *field, *context;
    } rows[] = {
        {ALL, LOOM_PROPAGATOR_TRACECONTEXT, "traceparent", PARENT},
        {LOOM_PROPAGATOR_B3MULTI | LOOM_PROPAGATOR_X_TRACE_ID, LOOM_PROPAGATOR_B3, "b3",
         "00-80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-01"},
        {LOOM_PROPAGATOR_X_TRACE_ID, LOOM_PROPAGATOR_X_TRACE_ID, "x-trace-id", "00-550e8400e29b41d4a716446655440000-6ba7b8109dad11d1-01"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        heard none = {.count = 0};
        loom_propagation in = extract(headers, 4, rows[i].set, &none);
        assert_int_equal(rows[i].answered, in.answered);
        assert_string_equal(rows[i].field, in.field);
        assert_context(rows[i].context, &in.context);
        assert_int_equal(0, none.count);
        loom_propagation_fini(&in);
    }
    heard none = {.count = 0};
    loom_propagation in = extract(headers, 4, 0, &none);
    assert_int_equal(0, in.answered);
    assert_null(in.field);
}

static void what_is_not_valid_is_named_with_what_is_wrong_and_the_next_is_asked(void **state)
{
    (void)state;
    static const struct {
        loom_header header;
        const char *told;
    } rows[] = {
        {HEADER("traceparent", "nonsense"), "traceparent: \"nonsense\" is shorter than the 55 characters of a traceparent; ignored"},
        {HEADER("traceparent", ""), "traceparent: \"\" is shorter"},
        {HEADER("traceparent", "ff-" TRACE_ID "-" SPAN_ID "-01"), "does not begin with a version from 00 to fe"},
        {HEADER("traceparent", "0x-" TRACE_ID "-" SPAN_ID "-01"), "does not begin with a version from 00 to fe"},
        {HEADER("traceparent", "00_" TRACE_ID "-" SPAN_ID "-01"), "has not the form version-traceid-parentid-flags"},
        {HEADER("traceparent", "00-4BF92F3577B34DA6A3CE929D0E0E4736-" SPAN_ID "-01"), "has a trace id that is not 32 lower-case hex digits"},
        {HEADER("traceparent", "00-00000000000000000000000000000000-" SPAN_ID "-01"), "or all zeros; ignored"},
        {HEADER("traceparent", "00-" TRACE_ID "-0000000000000000-01"), "has a parent id that is not 16 lower-case hex digits"},
        {HEADER("traceparent", "00-" TRACE_ID "-" SPAN_ID "-0G"), "has flags that are not two lower-case hex digits"},
        {HEADER("traceparent", "00-" TRACE_ID "-" SPAN_ID "-01-x"), "is longer than its version allows"},
        {HEADER("traceparent", "a\x1b[31m\nb\xff"), "traceparent: \"a\xc2\xb7[31m\xc2\xb7"},
        {HEADER("b3", "80f198ee56343ba864fe8b2a57d3eff7"), "b3: \"80f198ee56343ba864fe8b2a57d3eff7\" has not the form traceid-spanid-sampling-parentspanid"},
        {HEADER("b3", "0-1-1"), "b3: \"0-1-1\" has a trace id that is not 16 or 32 lower-case hex digits"},
        {HEADER("x-b3-traceid", TRACE_ID), "x-b3-traceid: \"" TRACE_ID "\" comes without a span id"},
        {HEADER("x-b3-spanid", SPAN_ID), "x-b3-spanid: \"" SPAN_ID "\" comes without a trace id"},
        {HEADER("x-b3-sampled", "maybe"), "x-b3-sampled: \"maybe\" is neither 1 nor 0"},
        {HEADER("baggage", "a=1,b,c=\"q\""), "baggage: \"a=1,b,c=\"q\"\" has 2 invalid or excess members (at most 64, in 8192 bytes); left out"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const loom_header headers[] = {rows[i].header, HEADER("X-Trace-Id", TRACE_ID), HEADER("X-SPAN-ID", SPAN_ID)};
        heard told = {.count = 0};
        loom_propagation in = extract(headers, 3, ALL, &told);
        assert_int_equal(1, told.count);
        if (strstr(told.text, rows[i].told) == NULL) {
            fail_msg("told: %s\nand not: %s", told.text, rows[i].told);
        }
        assert_context(PARENT, &in.context);
        assert_int_equal(LOOM_PROPAGATOR_X_TRACE_ID, in.answered);
        loom_propagation_fini(&in);
    }
}

static void an_id_of_its_own_may_be_hex_or_a_uuid_and_a_span_is_the_front_of_one(void **state)
{
    (void)state;
    static const struct {
        const char *trace, *span, *context; /* NULL: refused */
    } rows[] = {
        {TRACE_ID, SPAN_ID, PARENT},
        {"4BF92F35-77B3-4DA6-A3CE-929D0E0E4736", "00F067AA-0BA9-02B7-0000-000000000000", PARENT},
        {TRACE_ID, "00f067aa0ba902b7ffffffffffffffff", PARENT},
        {"4bf92f3577b34da6-a3ce929d0e0e4736", SPAN_ID, NULL},
        {"4bf92f35-77b3-4da6-a3ce-929d0e0e473", SPAN_ID, NULL},
        {"4bf92f35_77b3_4da6_a3ce_929d0e0e4736", SPAN_ID, NULL},
        {"00000000-0000-0000-0000-000000000000", SPAN_ID, NULL},
        {"test-trace-123", SPAN_ID, NULL},
        {TRACE_ID, "00000000-0000-0000-80b4-00c04fd430c8", NULL},
        {TRACE_ID, "00f067aa0ba902b", NULL},
        {TRACE_ID, "", NULL},
        {"", "", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const loom_header headers[] = {{STR("x-trace-id"), str_of(rows[i].trace)}, {STR("x-span-id"), str_of(rows[i].span)}};
        heard told = {.count = 0};
        loom_propagation in = extract(headers, 2, ALL, &told);
        assert_int_equal(rows[i].context == NULL, told.count);
        if (rows[i].context != NULL) {
            assert_context(rows[i].context, &in.context);
            assert_int_equal(LOOM_SAMPLING_DEFERRED, in.sampling);
        } else {
            assert_int_equal(0, in.answered);
        }
    }
}

static void two_trace_ids_are_none(void **state)
{
    (void)state;
    static const loom_header headers[] = {HEADER("x-trace-id", TRACE_ID), HEADER("X-TRACE-ID", TRACE_ID), HEADER("x-span-id", SPAN_ID)};
    heard told = {.count = 0};
    assert_int_equal(0, extract(headers, 3, ALL, &told).answered);
    assert_non_null(strstr(told.text, "is one of several"));
}

static void a_response_says_where_to_look_in_the_form_that_is_read_back(void **state)
{
    (void)state;
    loom_headers response = {0};
    const loom_carrier carrier = loom_headers_carrier(&response);
    loom_trace_context ctx;
    assert_status(LOOM_OK, loom_traceparent_parse(&ctx, STR(PARENT)));
    assert_status(LOOM_OK, loom_propagation_echo(&carrier, &ctx));
    assert_str("4bf92f35-77b3-4da6-a3ce-929d0e0e4736", header_of(&response, "X-Trace-ID"));
    assert_str("00f067aa-0ba9-02b7-0000-000000000000", header_of(&response, "X-Span-ID"));
    heard none = {.count = 0};
    loom_propagation in = extract(response.items, response.count, LOOM_PROPAGATOR_X_TRACE_ID, &none);
    assert_context(PARENT, &in.context);
    loom_headers_fini(&response);
    assert_status(LOOM_OK, loom_propagation_echo(&carrier, &(loom_trace_context){.trace_flags = 1}));
    assert_int_equal(0, response.count);
}

static void everything_is_injected_as_each_propagator_has_it(void **state)
{
    (void)state;
    loom_headers sent = {0};
    const loom_carrier to = loom_headers_carrier(&sent);
    loom_propagation what = {.tracestate = STR("a=1, b=2"), .baggage = STR(" k = v ;p, bad\r\nX: y ,l=2")};
    assert_status(LOOM_OK, loom_traceparent_parse(&what.context, STR(PARENT)));
    assert_status(LOOM_OK, loom_propagation_inject(&to, &what, ALL));
    assert_str(PARENT, header_of(&sent, "traceparent"));
    assert_str("a=1,b=2", header_of(&sent, "tracestate"));
    assert_str("k=v;p,l=2", header_of(&sent, "baggage"));
    assert_str(TRACE_ID "-" SPAN_ID "-1", header_of(&sent, "b3"));
    assert_str(TRACE_ID, header_of(&sent, "x-b3-traceid"));
    assert_str(SPAN_ID, header_of(&sent, "x-b3-spanid"));
    assert_str("1", header_of(&sent, "x-b3-sampled"));
    assert_str("4bf92f35-77b3-4da6-a3ce-929d0e0e4736", header_of(&sent, "x-trace-id"));
    assert_int_equal(9, sent.count);
    for (size_t i = 0; i < sent.count; i++) { /* what is written ends with NUL, and gRPC wants no capitals */
        assert_int_equal(sent.items[i].value.len, strlen(sent.items[i].value.data));
        for (size_t c = 0; c < sent.items[i].key.len; c++) {
            assert_false(sent.items[i].key.data[c] >= 'A' && sent.items[i].key.data[c] <= 'Z');
        }
    }
    loom_headers_fini(&sent);
}

static void no_value_that_is_not_valid_is_written(void **state)
{
    (void)state;
    loom_headers sent = {0};
    const loom_carrier to = loom_headers_carrier(&sent);
    loom_propagation what = {.tracestate = STR("a=1\r\nEvil: yes"), .baggage = STR("a=1\r\nEvil: yes")};
    assert_status(LOOM_OK, loom_traceparent_parse(&what.context, STR(PARENT)));
    assert_status(LOOM_OK, loom_propagation_inject(&to, &what, LOOM_PROPAGATORS_DEFAULT));
    assert_int_equal(1, sent.count);
    assert_str("traceparent", sent.items[0].key);
    loom_headers_fini(&sent);
}

static void what_came_is_replaced_in_what_is_forwarded_and_the_array_stays(void **state)
{
    (void)state;
    static const loom_header incoming[] = {HEADER("Host", "example.org"), HEADER("TraceParent", PARENT), HEADER("tracestate", "a=1"),
                                           HEADER("Tracestate", "b=2"), HEADER("Baggage", "k=v"), HEADER("Accept", "")};
    loom_headers list = LIST(incoming);
    const loom_carrier carrier = loom_headers_carrier(&list);
    loom_propagation what = {.baggage = {0}};
    assert_status(LOOM_OK, loom_traceparent_parse(&what.context, STR("00-80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-01")));
    assert_status(LOOM_OK, loom_propagation_inject(&carrier, &what, LOOM_PROPAGATORS_DEFAULT));
    assert_int_equal(3, list.count);
    assert_str("example.org", header_of(&list, "host"));
    assert_str("", header_of(&list, "accept"));
    assert_str("00-80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-01", header_of(&list, "traceparent"));
    assert_str(PARENT, incoming[1].value);
    loom_headers_fini(&list);
    assert_int_equal(0, list.count + list.capacity);
}

static void the_current_span_is_injected_and_without_one_nothing_changes(void **state)
{
    (void)state;
    static const loom_header incoming[] = {HEADER("traceparent", PARENT), HEADER("tracestate", "a=1"), HEADER("baggage", "k=v")};
    loom_headers list = LIST(incoming);
    const loom_carrier carrier = loom_headers_carrier(&list);
    assert_status(LOOM_OK, loom_propagation_inject(&carrier, NULL, ALL));
    assert_ptr_equal(incoming, list.items);
    loom_trace_context ctx;
    assert_status(LOOM_OK, loom_traceparent_parse(&ctx, STR("00-80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-00")));
    uint64_t token = loom_context_push(&ctx, STR("c=3"));
    assert_status(LOOM_OK, loom_propagation_inject(&carrier, NULL, LOOM_PROPAGATORS_DEFAULT));
    loom_context_pop(token);
    assert_str("00-80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-00", header_of(&list, "traceparent"));
    assert_str("c=3", header_of(&list, "tracestate"));
    assert_str("k=v", header_of(&list, "baggage"));
    loom_headers_fini(&list);
}

static bool collect(void *to, loom_str name)
{
    char *text = to;
    size_t len = strlen(text);
    snprintf(text + len, 128 - len, "%.*s ", (int)name.len, name.data);
    return strchr(text, '!') == NULL;
}

static void keys_are_visited_until_the_visitor_has_enough(void **state)
{
    (void)state;
    static const loom_header headers[] = {HEADER("A", "1"), HEADER("stop!", "2"), HEADER("b", "3")};
    loom_headers list = LIST(headers);
    const loom_carrier carrier = loom_headers_carrier(&list);
    char names[128] = "";
    carrier.keys(carrier.user, collect, names);
    assert_string_equal("A stop! ", names);
}

static void the_headers_of_a_message_are_a_carrier(void **state)
{
    (void)state;
    static const loom_header headers[] = {HEADER("TraceParent", PARENT), HEADER("tracestate", "a=1"), HEADER("tracestate", "b=2"),
                                          HEADER("baggage", "k=v")};
    loom_envelope *env;
    assert_status(LOOM_OK, loom_envelope_create(&env, &(loom_envelope_fields){.topic = STR("t"), .headers = headers, .header_count = 4}));
    const loom_carrier carrier = loom_envelope_carrier(env);
    loom_propagation in;
    assert_status(LOOM_OK, loom_propagation_extract(&in, &carrier, LOOM_PROPAGATORS_DEFAULT, NULL));
    assert_context(PARENT, &in.context);
    assert_str("a=1,b=2", in.tracestate);
    assert_str("k=v", in.baggage);
    char names[128] = "";
    carrier.keys(carrier.user, collect, names);
    assert_string_equal("TraceParent tracestate tracestate baggage ", names);
    assert_status(LOOM_EINVAL, loom_propagation_inject(&carrier, &in, LOOM_PROPAGATORS_DEFAULT));
    assert_status(LOOM_EINVAL, loom_propagation_echo(&carrier, &in.context));
    loom_propagation_fini(&in);
    loom_envelope_unref(env);
}

/* A carrier of somebody else, which has only what is needed, and fails. */
static loom_status full(void *user, const char *name, loom_str value)
{
    (void)value;
    unsigned *calls = user;
    ++*calls;
    return strcmp(name, "b3") == 0 ? LOOM_EFULL : LOOM_OK;
}

static void an_error_of_the_carrier_is_passed_on_and_the_rest_is_written(void **state)
{
    (void)state;
    unsigned calls = 0;
    const loom_carrier carrier = {.set = full, .user = &calls};
    loom_propagation what = {.baggage = STR("a=1")};
    assert_status(LOOM_OK, loom_traceparent_parse(&what.context, STR(PARENT)));
    assert_status(LOOM_EFULL, loom_propagation_inject(&carrier, &what, ALL));
    assert_int_equal(2 + 1 + 5 + 2 + 1, calls);
    loom_propagation in; /* and a carrier that cannot be read has nothing */
    assert_status(LOOM_OK, loom_propagation_extract(&in, &carrier, ALL, NULL));
    assert_int_equal(0, in.answered);
}

static void fields_without_end_are_refused(void **state)
{
    (void)state;
    static loom_header headers[70] = {HEADER("traceparent", PARENT)};
    static char large[70 * 1024];
    memset(large, 'x', sizeof large);
    memcpy(large, "a=", 2);
    for (size_t i = 1; i < 70; i++) {
        headers[i] = (loom_header){STR("tracestate"), STR("a=1")};
    }
    heard told = {.count = 0};
    loom_propagation in = extract(headers, 70, LOOM_PROPAGATORS_DEFAULT, &told);
    assert_context(PARENT, &in.context);
    assert_str("", in.tracestate);
    assert_non_null(strstr(told.text, "are too many"));
    headers[1] = (loom_header){STR("baggage"), {large, sizeof large}};
    told = (heard){.count = 0};
    in = extract(headers, 2, LOOM_PROPAGATORS_DEFAULT, &told);
    assert_str("", in.baggage);
    assert_int_equal(1, told.count);
}

static void the_set_comes_from_the_environment(void **state)
{
    (void)state;
    unsetenv("OTEL_PROPAGATORS");
    assert_int_equal(LOOM_PROPAGATORS_DEFAULT, loom_propagators_from_env());
    setenv("OTEL_PROPAGATORS", "B3multi, x-trace-id", 1);
    assert_int_equal(LOOM_PROPAGATOR_B3MULTI | LOOM_PROPAGATOR_X_TRACE_ID, loom_propagators_from_env());
    setenv("OTEL_PROPAGATORS", "none", 1);
    assert_int_equal(0, loom_propagators_from_env());
    unsetenv("OTEL_PROPAGATORS");
}

static void a_carrier_that_is_null_has_nothing_and_takes_nothing(void **state)
{
    (void)state;
    loom_propagation in;
    assert_status(LOOM_OK, loom_propagation_extract(&in, NULL, ~0u, NULL));
    assert_int_equal(0, in.answered);
    loom_propagation_fini(&in);
    loom_propagation_fini(NULL);
    assert_status(LOOM_EINVAL, loom_propagation_inject(NULL, NULL, ~0u));
    assert_status(LOOM_EINVAL, loom_propagation_echo(NULL, NULL));
    loom_headers list = {0};
    const loom_carrier to = loom_headers_carrier(&list);
    assert_status(LOOM_OK, loom_propagation_echo(&to, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_propagator_of_the_set_that_has_a_context_answers),
        cmocka_unit_test(what_is_not_valid_is_named_with_what_is_wrong_and_the_next_is_asked),
        cmocka_unit_test(an_id_of_its_own_may_be_hex_or_a_uuid_and_a_span_is_the_front_of_one),
        cmocka_unit_test(two_trace_ids_are_none),
        cmocka_unit_test(a_response_says_where_to_look_in_the_form_that_is_read_back),
        cmocka_unit_test(everything_is_injected_as_each_propagator_has_it),
        cmocka_unit_test(no_value_that_is_not_valid_is_written),
        cmocka_unit_test(what_came_is_replaced_in_what_is_forwarded_and_the_array_stays),
        cmocka_unit_test(the_current_span_is_injected_and_without_one_nothing_changes),
        cmocka_unit_test(keys_are_visited_until_the_visitor_has_enough),
        cmocka_unit_test(the_headers_of_a_message_are_a_carrier),
        cmocka_unit_test(an_error_of_the_carrier_is_passed_on_and_the_rest_is_written),
        cmocka_unit_test(fields_without_end_are_refused),
        cmocka_unit_test(a_carrier_that_is_null_has_nothing_and_takes_nothing),
        cmocka_unit_test(the_set_comes_from_the_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
