/* SPDX-License-Identifier: Apache-2.0 */
/* What a receiver's answer means (OTLP specification, "OTLP/HTTP Response", "Failures", "Partial Success"). */
#include "base/str.h"
#include "tests/support/check.h"
#include "trace/export/response.h"
#include "trace/export/response_json.h"

#include <stdlib.h>

static void a_partial_success_is_found_in_json(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        uint64_t rejected;
        const char *message;
    } vectors[] = {
        {"{\"partialSuccess\":{\"rejectedSpans\":\"3\",\"errorMessage\":\"no\"}}", 3, "no"},
        {"{ \"partialSuccess\" : { \"errorMessage\" : \"n\\\"o\" , \"rejectedSpans\" : 12 } }", 12, "n\\\"o"},
        {"{\"partial_success\":{\"rejected_spans\":\"1\"}}", 1, ""},
        {"{\"other\":[1,{\"a\":\"]}\"},[]],\"partialSuccess\":{\"x\":{\"y\":null},\"rejectedSpans\":\"2\"},\"z\":true}", 2, ""},
        {"{\"partialSuccess\":{}}", 0, ""},
        {"{\"partialSuccess\":null}", 0, ""},
        {"{\"partialSuccess\":{\"rejectedSpans\":\"-1\"}}", 0, ""},
        {"{\"partialSuccess\":{\"rejectedSpans\":\"99999999999999999999\"}}", 0, ""},
        {"{\"partialSuccess\":{\"errorMessage\":7,\"rejectedSpans\":4}}", 4, ""},
        {"{\"x\":{\"rejectedSpans\":\"3\"}}", 0, ""},
        {"{}", 0, ""},
        {"", 0, ""},
        {"[]", 0, ""},
        {"nonsense", 0, ""},
        {"{\"partialSuccess\":{\"rejectedSpans\":\"3\"}", 0, ""}, /* cut off: not to be trusted */
        {"{\"a\":[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]],\"partialSuccess\":{\"rejectedSpans\":\"3\"}}", 0, ""}, /* too deep */
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        partial_success found = response_json_partial((loom_bytes){(const uint8_t *)vectors[i].body, strlen(vectors[i].body)});
        assert_int_equal(vectors[i].rejected, found.rejected);
        assert_int_equal(strlen(vectors[i].message), found.message.len);
        assert_memory_equal(vectors[i].message, found.message.len > 0 ? found.message.data : "", found.message.len);
    }
}

/* Each prefix in memory of its own, so that a sanitizer sees a read beyond it. */
static void json_that_ends_anywhere_ends_there(void **state)
{
    (void)state;
    static const char body[] = "{\"a\":[1,\"\\\"\",{\"b\":true}],\"partialSuccess\":{\"rejectedSpans\":\"3\",\"errorMessage\":\"n\\\"o\"}}";
    for (size_t len = 0; len < sizeof body - 1; len++) {
        uint8_t *copy = malloc(len + 1);
        assert_non_null(copy);
        uint8_t *exact = realloc(copy, len > 0 ? len : 1);
        memcpy(exact, body, len);
        assert_int_equal(0, response_json_partial((loom_bytes){exact, len}).rejected);
        free(exact);
    }
}

static export_result judge(const char *head, const char *body, size_t len, long status, bool grpc)
{
    otlp_response r;
    export_result result = {.outcome = EXPORT_FAILED};
    otlp_response_init(&r);
    loom_str rest = {head, strlen(head)}, line;
    while (str_next_item(&rest, '\n', &line)) {
        otlp_response_header(&r, line);
    }
    assert_true(otlp_response_body(&r, (loom_bytes){(const uint8_t *)body, len}));
    (grpc ? otlp_judge_grpc : otlp_judge_http)(&r, status, 0, &result);
    otlp_response_fini(&r);
    return result;
}

static void the_content_type_says_how_to_read_a_success(void **state)
{
    (void)state;
    static const char json[] = "{\"partialSuccess\":{\"rejectedSpans\":\"2\"}}", protobuf[] = "\x0a\x06\x08\x02\x12\x02no";
    assert_int_equal(2, judge("Content-Type: application/json\r\n", json, sizeof json - 1, 200, false).rejected);
    assert_int_equal(2, judge("content-type:Application/JSON; charset=utf-8", json, sizeof json - 1, 200, false).rejected);
    assert_int_equal(2, judge("Content-Type: application/x-protobuf", protobuf, sizeof protobuf - 1, 200, false).rejected);
    assert_int_equal(2, judge("", protobuf, sizeof protobuf - 1, 200, false).rejected);
    assert_int_equal(0, judge("Content-Type: application/x-protobuf", json, sizeof json - 1, 200, false).rejected);
}

/* "the server MAY also use it to convey warnings/suggestions to clients even when the request was fully accepted" */
static void a_message_without_rejected_spans_is_a_warning(void **state)
{
    (void)state;
    export_result result = judge("", "\x0a\x06\x12\x04slow", 8, 200, false);
    assert_int_equal(EXPORT_OK, result.outcome);
    assert_int_equal(0, result.rejected);
    assert_string_equal("the receiver warns: slow", result.message);
}

static void an_exhausted_receiver_is_asked_for_halves_only_when_it_is_the_size(void **state)
{
    (void)state;
    static const struct {
        const char *head;
        export_outcome outcome;
    } vectors[] = {
        {"grpc-status: 8\ngrpc-message: grpc: received message larger than max (5000000 vs. 4194304)", EXPORT_TOO_LARGE},
        {"grpc-status: 8\ngrpc-message: gRPC message exceeds maximum size 4194304: 5000000", EXPORT_TOO_LARGE},
        {"grpc-status: 8\ngrpc-message: Received message exceeds the maximum configured message size.", EXPORT_TOO_LARGE},
        {"grpc-status: 11\ngrpc-message: Error, decoded message length too large: found 5 bytes", EXPORT_TOO_LARGE},
        {"grpc-status: 8\ngrpc-message: received%20message%20larger%20than%20max", EXPORT_TOO_LARGE},
        {"grpc-status: 11\ngrpc-message: gone", EXPORT_RETRY},
        {"grpc-status: 8\ngrpc-message: too many requests", EXPORT_FAILED},
        {"grpc-status: 8", EXPORT_FAILED},
        {"grpc-status: 3\ngrpc-message: larger than max", EXPORT_FAILED},
        {"grpc-status: 14", EXPORT_RETRY},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        assert_int_equal(vectors[i].outcome, judge(vectors[i].head, "", 0, 200, true).outcome);
    }
}

static void a_message_of_grpc_is_percent_encoded(void **state)
{
    (void)state;
    const export_result result = judge("grpc-status: 8\ngrpc-message: 100%25 of it%0ais gone%zz%2", "", 0, 200, true);
    assert_string_equal("the receiver answered gRPC status 8: 100% of it?is gone%zz%2", result.message);
}

/* google.protobuf.Duration has signed seconds; a receiver that asks for days is not asked again at once. */
static void a_delay_is_kept_within_a_day(void **state)
{
    (void)state;
    static const struct {
        const char *details; /* google.rpc.Status: details { RetryInfo { retry_delay } } */
        uint64_t delay_ms;
    } vectors[] = {
        {"GjMKKHR5cGUuZ29vZ2xlYXBpcy5jb20vZ29vZ2xlLnJwYy5SZXRyeUluZm8SBwoFCJDOpQE", 86400000},       /* 2,713,360 s */
        {"GjkKKHR5cGUuZ29vZ2xlYXBpcy5jb20vZ29vZ2xlLnJwYy5SZXRyeUluZm8SDQoLCP///////////wE", 0},     /* -1 s */
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        char head[300];
        (void)snprintf(head, sizeof head, "grpc-status: 14\ngrpc-status-details-bin: %s", vectors[i].details);
        const export_result result = judge(head, "", 0, 200, true);
        assert_int_equal(EXPORT_RETRY, result.outcome);
        assert_int_equal(vectors[i].delay_ms, result.retry_after_ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_partial_success_is_found_in_json),
        cmocka_unit_test(json_that_ends_anywhere_ends_there),
        cmocka_unit_test(the_content_type_says_how_to_read_a_success),
        cmocka_unit_test(a_message_without_rejected_spans_is_a_warning),
        cmocka_unit_test(an_exhausted_receiver_is_asked_for_halves_only_when_it_is_the_size),
        cmocka_unit_test(a_message_of_grpc_is_percent_encoded),
        cmocka_unit_test(a_delay_is_kept_within_a_day),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
