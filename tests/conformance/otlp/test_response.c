/* SPDX-License-Identifier: Apache-2.0 */
/* Which answers are tried again (OTLP specification, "Failures" of OTLP/gRPC and "Failures" of OTLP/HTTP). */
#include "tests/support/check.h"
#include "trace/export/response.h"

static export_result judge_grpc(const char *const *headers, loom_bytes body)
{
    otlp_response r;
    otlp_response_init(&r);
    for (; *headers != NULL; headers++) {
        otlp_response_header(&r, str_of(*headers));
    }
    otlp_response_body(&r, body);
    export_result result = {.outcome = EXPORT_FAILED};
    otlp_judge_grpc(&r, 200, 0, &result);
    otlp_response_fini(&r);
    return result;
}

static void grpc_codes_are_retried_as_the_specification_lists(void **state)
{
    (void)state;
    static const bool retryable[17] = {[1] = true, [4] = true, [10] = true, [11] = true, [14] = true, [15] = true};
    for (int code = 1; code <= 16; code++) {
        char line[32];
        (void)snprintf(line, sizeof line, "grpc-status: %d\r\n", code);
        const char *headers[] = {line, "Grpc-Message: because\r\n", NULL};
        export_result result = judge_grpc(headers, (loom_bytes){0});
        /* RESOURCE_EXHAUSTED without RetryInfo is not to be retried */
        assert_int_equal(retryable[code] ? EXPORT_RETRY : EXPORT_FAILED, result.outcome);
        assert_non_null(strstr(result.message, "because"));
    }
}

static void resource_exhausted_is_retried_when_the_receiver_says_when(void **state)
{
    (void)state;
    /* google.rpc.Status{code: 8, details: Any{type_url: "type.googleapis.com/google.rpc.RetryInfo",
     * value: RetryInfo{retry_delay: {seconds: 3, nanos: 500000000}}}}, as Python's protobuf encodes it */
    const char *headers[] = {"grpc-status: 8",
                             "grpc-status-details-bin: CAgaNgoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLlJldHJ5SW5mbxIKCggIAxCAyrXuAQ", NULL};
    export_result result = judge_grpc(headers, (loom_bytes){0});
    assert_int_equal(EXPORT_RETRY, result.outcome);
    assert_int_equal(3500, result.retry_after_ms);
}

static void bad_trailers_are_survived(void **state)
{
    (void)state;
    static const char *const vectors[] = {"grpc-status:", "grpc-status: -1", "grpc-status: 99999999999", "grpc-status: x", ":", "",
                                          "grpc-status-details-bin: !!!", "grpc-status-details-bin: //////////8"};
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        const char *headers[] = {vectors[i], NULL};
        assert_int_equal(EXPORT_FAILED, judge_grpc(headers, (loom_bytes){0}).outcome);
    }
}

static void grpc_partial_success_is_read_from_its_frame(void **state)
{
    (void)state;
    static const uint8_t body[] = {0, 0, 0, 0, 6, 0x0a, 0x04, 0x08, 0x07, 0x12, 0x00};
    static const uint8_t liar[] = {0, 0xff, 0xff, 0xff, 0xff, 0x0a};
    const char *headers[] = {"grpc-status: 0", NULL};
    export_result result = judge_grpc(headers, BYTES(body));
    assert_int_equal(EXPORT_OK, result.outcome);
    assert_int_equal(7, result.rejected);
    result = judge_grpc(headers, BYTES(liar));
    assert_int_equal(EXPORT_OK, result.outcome);
    assert_int_equal(0, result.rejected);
}

static void http_429_502_503_and_504_are_retried(void **state)
{
    (void)state;
    otlp_response r;
    otlp_response_init(&r);
    for (long status = 300; status < 600; status++) {
        export_result result = {.outcome = EXPORT_FAILED};
        otlp_judge_http(&r, status, 1500, &result);
        bool again = status == 429 || status == 502 || status == 503 || status == 504;
        assert_int_equal(again ? EXPORT_RETRY : status == 413 ? EXPORT_TOO_LARGE : EXPORT_FAILED, result.outcome);
        assert_int_equal(again ? 1500 : 0, result.retry_after_ms);
    }
    otlp_response_fini(&r);
}

static void a_body_without_end_is_bounded(void **state)
{
    (void)state;
    static const uint8_t part[16384] = {0};
    otlp_response r;
    otlp_response_init(&r);
    for (int i = 0; i < 100; i++) {
        otlp_response_body(&r, BYTES(part));
    }
    assert_in_range(r.body.cap, 0, 131072);
    otlp_response_reset(&r);
    assert_int_equal(0, r.body.len);
    otlp_response_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grpc_codes_are_retried_as_the_specification_lists),
        cmocka_unit_test(resource_exhausted_is_retried_when_the_receiver_says_when),
        cmocka_unit_test(bad_trailers_are_survived),
        cmocka_unit_test(grpc_partial_success_is_read_from_its_frame),
        cmocka_unit_test(http_429_502_503_and_504_are_retried),
        cmocka_unit_test(a_body_without_end_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
