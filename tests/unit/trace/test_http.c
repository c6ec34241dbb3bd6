/* SPDX-License-Identifier: Apache-2.0 */
/* <loom/http.h>: the spans of requests, by OpenTelemetry's HTTP conventions (semconv 1.27, "HTTP Spans"). */
#include <loom/http.h>

#include "base/str.h"
#include "tests/unit/trace/recorded.h"

static void has_none(json_t *span, const char *key)
{
    json_t *found = NULL;
    assert_int_equal(0, recorded_attr(span, key, &found));
}

static int status_of(json_t *span)
{
    return (int)json_integer_value(json_object_get(json_object_get(span, "status"), "code"));
}

static void serve(recorded *r, const loom_http_request *request, unsigned status, const char *error)
{
    loom_span *span = loom_http_server_span(r->tracer, request, NULL);
    loom_http_server_status(span, status, error);
    loom_span_end(span);
}

static void a_server_span_says_what_was_asked_and_answered(void **state)
{
    (void)state;
    recorded r;
    recorded_open(&r, NULL);
    serve(&r, &(loom_http_request){.method = str_of("GET"), .route = "/users/{id}", .path = str_of("/users/7"),
                                   .query = str_of("a=b"), .scheme = str_of("https"), .host = str_of("api.example:8443"),
                                   .peer_address = str_of("10.0.0.9"), .peer_port = 4711, .user_agent = str_of("me/1"),
                                   .protocol_version = str_of("1.1")}, 200, NULL);
    recorded_read(&r);
    json_t *span = recorded_span(&r, "GET /users/{id}");
    assert_int_equal(LOOM_SPAN_SERVER, json_integer_value(json_object_get(span, "kind")));
    recorded_has_string(span, "http.request.method", "GET");
    recorded_has_string(span, "http.route", "/users/{id}");
    recorded_has_string(span, "url.path", "/users/7");
    recorded_has_string(span, "url.query", "a=b");
    recorded_has_string(span, "url.scheme", "https");
    recorded_has_string(span, "server.address", "api.example");
    recorded_has_int(span, "server.port", "8443");
    recorded_has_string(span, "client.address", "10.0.0.9");
    recorded_has_string(span, "network.peer.address", "10.0.0.9");
    recorded_has_int(span, "network.peer.port", "4711");
    recorded_has_string(span, "user_agent.original", "me/1");
    recorded_has_string(span, "network.protocol.version", "1.1");
    recorded_has_int(span, "http.response.status_code", "200");
    has_none(span, "error.type");
    assert_int_equal(LOOM_SPAN_UNSET, status_of(span));
    recorded_close(&r);
}

static void only_what_is_the_servers_fault_is_an_error_of_it(void **state)
{
    (void)state;
    recorded r;
    recorded_open(&r, NULL);
    serve(&r, &(loom_http_request){.method = str_of("GET"), .route = "/404"}, 404, "not_found");
    serve(&r, &(loom_http_request){.method = str_of("GET"), .route = "/500"}, 500, NULL);
    serve(&r, &(loom_http_request){.method = str_of("GET"), .route = "/504"}, 504, "timeout");
    recorded_read(&r);
    has_none(recorded_span(&r, "GET /404"), "error.type");
    assert_int_equal(LOOM_SPAN_UNSET, status_of(recorded_span(&r, "GET /404")));
    recorded_has_string(recorded_span(&r, "GET /500"), "error.type", "500");
    recorded_has_string(recorded_span(&r, "GET /504"), "error.type", "timeout");
    assert_int_equal(LOOM_SPAN_ERROR, status_of(recorded_span(&r, "GET /504")));
    recorded_close(&r);
}

static void a_method_that_nobody_knows_makes_no_name(void **state)
{
    (void)state;
    recorded r;
    recorded_open(&r, NULL);
    serve(&r, &(loom_http_request){.method = str_of("BREW"), .path = str_of("/pot")}, 405, NULL);
    recorded_read(&r);
    recorded_has_string(recorded_span(&r, "HTTP"), "http.request.method", "_OTHER");
    recorded_has_string(recorded_span(&r, "HTTP"), "http.request.method_original", "BREW");
    has_none(recorded_span(&r, "HTTP"), "http.route");
    recorded_close(&r);
}

static void hosts_are_taken_apart(void **state)
{
    static const struct {
        const char *host, *scheme, *address, *port;
    } cases[] = {
        {"a.example", "http", "a.example", "80"},     {"a.example", "https", "a.example", "443"},
        {"a.example:8080", "http", "a.example", "8080"}, {"[::1]:8080", "http", "::1", "8080"},
        {"[::1]", "https", "::1", "443"},             {"a.example:", "http", "a.example:", "80"},
        {"a.example:99999", "http", "a.example", "80"}, {"7", "http", "7", "80"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        recorded r;
        recorded_open(&r, NULL);
        serve(&r, &(loom_http_request){.method = str_of("GET"), .scheme = str_of(cases[i].scheme), .host = str_of(cases[i].host)}, 200,
              NULL);
        recorded_read(&r);
        recorded_has_string(recorded_span(&r, "GET"), "server.address", cases[i].address);
        recorded_has_int(recorded_span(&r, "GET"), "server.port", cases[i].port);
        recorded_close(&r);
    }
}

static void a_server_span_continues_what_the_client_sent(void **state)
{
    static const loom_header fields[] = {{{"traceparent", 11}, {"00-11111111111111111111111111111111-2222222222222222-01", 55}}};
    (void)state;
    recorded r;
    loom_headers headers = {.items = fields, .count = 1};
    const loom_carrier carrier = loom_headers_carrier(&headers);
    loom_propagation from;
    recorded_open(&r, NULL);
    assert_status(LOOM_OK, loom_propagation_extract(&from, &carrier, LOOM_PROPAGATORS_DEFAULT, NULL));
    loom_span *span = loom_http_server_span(r.tracer, &(loom_http_request){.method = str_of("GET")}, &from);
    char timing[LOOM_SERVER_TIMING_SIZE];
    loom_http_server_timing(timing, loom_span_context(span));
    assert_memory_equal("trace;desc=\"00-11111111111111111111111111111111-", timing, 48);
    assert_int_equal(68, strlen(timing));
    loom_span_end(span);
    loom_propagation_fini(&from);
    recorded_read(&r);
    assert_string_equal("2222222222222222", recorded_string(recorded_span(&r, "GET"), "parentSpanId"));
    recorded_close(&r);
}

/* "HTTP Spans", url.query and url.full: values of these are to be replaced with REDACTED. */
static void signatures_are_redacted(void **state)
{
    (void)state;
    recorded r;
    recorded_open(&r, NULL);
    serve(&r, &(loom_http_request){.method = str_of("GET"), .route = "/q", .query = str_of(
        "AWSAccessKeyId=AKIA&a=1&Signature=x=y&sig=&SIG=z&X-Goog-Signature=0f&design=b")}, 200, NULL);
    loom_span_end(loom_http_client_span(r.tracer, "PUT", "https://h.example/p?b=sig&AWSAccessKeyId=abc", 0));
    recorded_read(&r);
    recorded_has_string(recorded_span(&r, "GET /q"), "url.query",
                        "AWSAccessKeyId=REDACTED&a=1&Signature=REDACTED&sig=REDACTED&SIG=REDACTED&X-Goog-Signature=REDACTED&design=b");
    recorded_has_string(recorded_span(&r, "PUT"), "url.full", "https://h.example/p?b=sig&AWSAccessKeyId=REDACTED");
    recorded_close(&r);
}

static void secrets_are_masked(void **state)
{
    static char large[10000];
    json_t *value = NULL;
    (void)state;
    recorded r;
    recorded_open(&r, NULL);
    serve(&r, &(loom_http_request){.method = str_of("GET"), .route = "/q", .query = str_of("token=abc&mail=me@example.org&page=2")}, 200, NULL);
    memset(large, 'a', sizeof large - 1);
    serve(&r, &(loom_http_request){.method = str_of("GET"), .route = "/large", .query = str_of(large)}, 200, NULL);
    loom_span_end(loom_http_client_span(r.tracer, "PUT", "https://me:hunter2@api.example/x?api_key=abc&page=2", 1));
    recorded_read(&r);
    recorded_has_string(recorded_span(&r, "GET /q"), "url.query", "token=[masked]&mail=[mail]&page=2");
    assert_int_equal(1, recorded_attr(recorded_span(&r, "GET /large"), "url.query", &value));
    assert_int_equal(2048, strlen(recorded_string(value, "stringValue")));
    json_t *span = recorded_span(&r, "PUT");
    recorded_has_string(span, "url.full", "https://me:[masked]@api.example/x?api_key=[masked]&page=2");
    recorded_has_string(span, "server.address", "api.example");
    recorded_has_int(span, "server.port", "443");
    recorded_has_int(span, "http.request.resend_count", "1");
    recorded_close(&r);
}

static void a_client_span_fails_with_its_answer_or_without_one(void **state)
{
    static const struct {
        const char *name;
        unsigned status;
        const char *error, *type;
        int span_status;
    } cases[] = {{"GET", 200, NULL, NULL, LOOM_SPAN_UNSET}, {"PUT", 404, NULL, "404", LOOM_SPAN_ERROR},
                 {"POST", 0, "refused", "refused", LOOM_SPAN_ERROR}, {"HEAD", 0, NULL, NULL, LOOM_SPAN_UNSET}};
    (void)state;
    recorded r;
    recorded_open(&r, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        loom_span *span = loom_http_client_span(r.tracer, cases[i].name, "http://a/", 0);
        loom_http_client_status(span, cases[i].status, cases[i].error);
        loom_span_end(span);
    }
    recorded_read(&r);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *span = recorded_span(&r, cases[i].name);
        assert_int_equal(cases[i].span_status, status_of(span));
        if (cases[i].type != NULL) {
            recorded_has_string(span, "error.type", cases[i].type);
        } else {
            has_none(span, "error.type");
        }
        has_none(span, "http.request.resend_count");
    }
    recorded_close(&r);
}

static void nothing_known_and_no_tracer_do_no_harm(void **state)
{
    (void)state;
    loom_span *span = loom_http_server_span(NULL, &(loom_http_request){.route = NULL}, NULL);
    loom_http_server_status(span, 200, NULL);
    loom_span_end(span);
    span = loom_http_client_span(NULL, NULL, NULL, 0);
    loom_http_client_status(span, 500, NULL);
    loom_span_end(span);
    loom_http_server_status(NULL, 500, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_span_says_what_was_asked_and_answered),
        cmocka_unit_test(only_what_is_the_servers_fault_is_an_error_of_it),
        cmocka_unit_test(a_method_that_nobody_knows_makes_no_name),
        cmocka_unit_test(hosts_are_taken_apart),
        cmocka_unit_test(a_server_span_continues_what_the_client_sent),
        cmocka_unit_test(signatures_are_redacted),
        cmocka_unit_test(secrets_are_masked),
        cmocka_unit_test(a_client_span_fails_with_its_answer_or_without_one),
        cmocka_unit_test(nothing_known_and_no_tracer_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
