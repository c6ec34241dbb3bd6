/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/receiver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/descriptors.h"
#include "base/str.h"
#include "base/url.h"
#include "host/http/http2.h"
#include "host/http/http_server.h"
#include "host/net/listen.h"
#include "tools/loom/receiver_grpc.h"
#include "tools/loom/refusal.h"
#include "trace/collect/gunzip.h"
#include "trace/collect/otlp_answer.h"

#define ADDRESS_SIZE (URL_HOST_SIZE + 16)

enum {
    CLOSE_MS = 250, /* a stop waits no longer for clients */
    TIDY_MS = 10000, TIDY_FIRST_MS = 200, TIDY_MORE_MS = 50
};

struct receiver {
    http_server *http;
    receiver_options options;
    char address[ADDRESS_SIZE];
    uint16_t port;
    char grpc_address[ADDRESS_SIZE]; /* "": none of its own */
    receiver_counts counts;
    uv_timer_t tidying;
    bool closing, closed;            /* the timer's end and the server's bring that of the whole */
    rate_limit told;                 /* of refusals */
    uint64_t lost;                   /* requests refused since storing began to fail; 0: it does not */
};

/* ---- answers ---- */

static body_type type_of(const http_request *r)
{
    char text[64] = "";
    const loom_str *field = http_request_field(r, "Content-Type");
    if (receiver_is_grpc(r)) {
        return BODY_PROTOBUF;
    }
    if (field != NULL) {
        snprintf(text, sizeof text, "%.*s", (int)(field->len < sizeof text ? field->len : sizeof text - 1), field->data);
    }
    return otlp_body_type(text);
}

static void respond(http_request *r, otlp_answer *answer)
{
    if (answer->body.failed) {
        http_request_answer_text(r, 503, "out of memory");
    } else if (receiver_is_grpc(r)) {
        receiver_grpc_answer(r, answer);
    } else {
        http_request_answer(r, &(http_answer){.status = answer->status,
                                              .content_type = answer->content_type,
                                              .body = {answer->body.data, answer->body.len}});
    }
    pb_fini(&answer->body);
}

static void tell(receiver *v, const char *message)
{
    if (v->options.on_error != NULL) {
        v->options.on_error(v->options.user, message);
    }
}

static void tell_refused(receiver *v, const http_request *r, uint16_t status, const char *why)
{
    char line[REFUSAL_SIZE];
    if (refusal_line(line, &v->told, uv_now(v->tidying.loop), r, status, why)) {
        tell(v, line);
    }
}

static void refuse(receiver *v, http_request *r, uint16_t status, const char *why)
{
    otlp_answer answer;
    otlp_answer_error(&answer, type_of(r), status, why);
    v->counts.refused++;
    tell_refused(v, r, status, why);
    respond(r, &answer);
}

/* The server's own refusals, in the words of this service. OTLP clients read google.rpc.Status, whatever the status. */
static void on_fail(void *user, http_request *r, uint16_t status, const char *why)
{
    loom_str path = http_request_path(r);
    bool health = str_is(path, "/health");
    switch (status) {
    case 404:
        why = receiver_is_grpc(r) ? "of calls there are only " RECEIVER_GRPC_PATH " and " RECEIVER_GRPC_LOGS
                                : "traces are sent to /v1/traces, and logs to /v1/logs";
        break;
    case 405:
        why = health ? "/health is read with GET" : "traces and logs are sent here with POST";
        break;
    case 413:
        why = "a request may have at most 16 MiB: send less at once";
        break;
    default:
        break;
    }
    refuse(user, r, status, why);
}

/* ---- requests ---- */

/* Unpacks body in its place; *unpacked is the caller's. False: refused. */
static bool unpack(receiver *v, http_request *r, loom_bytes *body, uint8_t **unpacked)
{
    size_t len;
    loom_status st = gunzip(unpacked, &len, *body, RECEIVER_BODY_MAX);
    if (st == LOOM_OK) {
        *body = (loom_bytes){*unpacked, len};
        return true;
    }
    refuse(v, r, st == LOOM_ETOOBIG ? 413 : st == LOOM_ENOMEM ? 503 : 400,
           st == LOOM_ETOOBIG ? "a request may have at most 16 MiB unpacked: send less at once"
           : st == LOOM_ENOMEM ? "out of memory" : "the body is not gzip");
    return false;
}

/* The body without its Content-Encoding. False: refused. */
static bool take_body(receiver *v, http_request *r, loom_bytes *body, uint8_t **unpacked)
{
    const loom_str *encoding = http_request_field(r, "Content-Encoding");
    *body = http_request_body(r);
    if (encoding == NULL || str_is_any_case(*encoding, "identity")) {
        return true;
    }
    if (!str_is_any_case(*encoding, "gzip") && !str_is_any_case(*encoding, "x-gzip")) { /* RFC 9110, 8.4.1.3: they are the same */
        refuse(v, r, 415, "of compressions only gzip is supported: set the exporter's compression to gzip or none");
        return false;
    }
    return unpack(v, r, body, unpacked);
}

/* The message of a call. False: refused. */
static bool take_message(receiver *v, http_request *r, loom_bytes *body, uint8_t **unpacked)
{
    bool gzipped;
    const char *why;
    uint16_t status = receiver_grpc_message(r, body, &gzipped, &why);
    if (status != 0) {
        refuse(v, r, status, why);
        return false;
    }
    return !gzipped || unpack(v, r, body, unpacked);
}

/* A full disk is told when it begins and when it ends, not for each request between. */
static void tell_storing(receiver *v, bool stored, const char *problem)
{
    char message[STORE_PROBLEM_SIZE + 128];
    if (problem[0] != '\0' && v->lost++ == 0) {
        snprintf(message, sizeof message, "%s; exporters are told to try again", problem);
        tell(v, message);
    } else if (stored && v->lost > 0) {
        snprintf(message, sizeof message, "spans are stored again; requests refused meanwhile: %llu", (unsigned long long)v->lost);
        v->lost = 0;
        tell(v, message);
    }
}

static void store_request(receiver *v, http_request *r, otlp_signal signal, body_type type)
{
    otlp_answer answer;
    store_receipt receipt;
    char problem[STORE_PROBLEM_SIZE];
    loom_bytes body;
    uint8_t *unpacked = NULL;
    if (!(receiver_is_grpc(r) ? take_message(v, r, &body, &unpacked) : take_body(v, r, &body, &unpacked))) {
        return;
    }
    otlp_answer_export(&answer, signal, type, body, v->options.db, &receipt, problem);
    free(unpacked);
    v->counts.requests += answer.status == 200;
    v->counts.refused += answer.status != 200;
    *(signal == OTLP_LOGS ? &v->counts.logs : &v->counts.spans) += receipt.stored;
    if (answer.status != 200 && answer.status < 500) {
        tell_refused(v, r, answer.status, problem);
    } else {
        tell_storing(v, answer.status == 200, problem);
    }
    respond(r, &answer);
}

static void take_post(receiver *v, http_request *r, otlp_signal signal)
{
    body_type type = type_of(r);
    if (!http_request_has_length(r)) {
        refuse(v, r, 411, "send a Content-Length");
    } else if (type == BODY_UNKNOWN) {
        refuse(v, r, 415, "Content-Type has to be application/x-protobuf or application/json");
    } else {
        store_request(v, r, signal, type);
    }
}

static void on_traces(void *user, http_request *r)
{
    take_post(user, r, OTLP_TRACES);
}

static void on_logs(void *user, http_request *r)
{
    take_post(user, r, OTLP_LOGS);
}

static void take_call(receiver *v, http_request *r, otlp_signal signal)
{
    if (receiver_is_grpc(r)) {
        store_request(v, r, signal, BODY_PROTOBUF);
    } else {
        refuse(v, r, 415, "a gRPC call needs HTTP/2 and the Content-Type application/grpc");
    }
}

static void on_traces_call(void *user, http_request *r)
{
    take_call(user, r, OTLP_TRACES);
}

static void on_logs_call(void *user, http_request *r)
{
    take_call(user, r, OTLP_LOGS);
}

static void on_health(void *user, http_request *r)
{
    (void)user;
    http_request_answer_text(r, 200, "ok");
}

static const http_route routes[] = {
    {.method = "POST", .path = "/v1/traces", .handle = on_traces},
    {.method = "POST", .path = "/v1/logs", .handle = on_logs},
    {.method = "POST", .path = RECEIVER_GRPC_PATH, .handle = on_traces_call},
    {.method = "POST", .path = RECEIVER_GRPC_LOGS, .handle = on_logs_call},
    {.method = "GET", .path = "/health", .handle = on_health},
};

/* ---- its life ---- */

static void on_tidy(uv_timer_t *timer)
{
    receiver *r = timer->data;
    bool more = false;
    if (store_tidy(r->options.db, &more) != LOOM_OK && r->lost == 0) { /* storing tells of the same */
        char message[STORE_PROBLEM_SIZE + 64];
        snprintf(message, sizeof message, "cannot drop old traces: %s", store_problem(r->options.db));
        tell(r, message);
    }
    uv_timer_start(timer, on_tidy, more ? TIDY_MORE_MS : TIDY_MS, 0);
}

static void free_when_closed(receiver *r)
{
    if (r->closed && r->closing) {
        free(r);
    }
}

static void on_timer_closed(uv_handle_t *handle)
{
    receiver *r = handle->data;
    r->closing = true;
    free_when_closed(r);
}

static void on_closed(void *user)
{
    receiver *r = user;
    r->closed = true;
    free_when_closed(r);
}

static loom_status listen_at(receiver *r, const char *address, char text[ADDRESS_SIZE], uint16_t *port,
                             char problem[RECEIVER_PROBLEM_SIZE])
{
    url u;
    if (!listening_parse(&u, address)) {
        snprintf(problem, RECEIVER_PROBLEM_SIZE, "\"%.100s\" is not HOST:PORT, such as 127.0.0.1:4318", address);
        return LOOM_EINVAL;
    }
    const http_listen_options listen = {.routes = routes, .route_count = sizeof routes / sizeof routes[0],
                                        .body_max = RECEIVER_BODY_MAX, .http2 = &http2_protocol, .fail = on_fail, .user = r};
    char why[HTTP_ERROR_SIZE];
    loom_status st = http_server_listen(r->http, &u, &listen, why);
    if (st != LOOM_OK) {
        snprintf(problem, RECEIVER_PROBLEM_SIZE, "cannot listen on %.100s: %.120s", address, why);
        return st;
    }
    *port = u.port;
    snprintf(text, ADDRESS_SIZE, u.host_is_ipv6 ? "[%s]:%u" : "%s:%u", u.host, (unsigned)u.port);
    return LOOM_OK;
}

static loom_status listen_for_grpc(receiver *r, char problem[RECEIVER_PROBLEM_SIZE])
{
    uint16_t port;
    loom_status st = listen_at(r, r->options.grpc_listen, r->grpc_address, &port, problem);
    if (st == LOOM_OK || !r->options.grpc_optional) {
        return st;
    }
    char message[RECEIVER_PROBLEM_SIZE + ADDRESS_SIZE + 64];
    snprintf(message, sizeof message, "%s; gRPC is received on %s alone", problem, r->address);
    tell(r, message);
    return LOOM_OK;
}

loom_status receiver_open(receiver **out, uv_loop_t *loop, const receiver_options *options, char problem[RECEIVER_PROBLEM_SIZE])
{
    *out = NULL;
    receiver *r = calloc(1, sizeof *r);
    const http_server_options server = {.bodies_max = RECEIVER_BODIES_MAX, .close_ms = CLOSE_MS,
                                        .descriptor_limit = descriptors_limit(DESCRIPTORS_AGENTS)};
    if (r == NULL || http_server_open(&r->http, loop, &server) != LOOM_OK) {
        snprintf(problem, RECEIVER_PROBLEM_SIZE, "out of memory");
        free(r);
        return LOOM_ENOMEM;
    }
    r->options = *options;
    uv_timer_init(loop, &r->tidying);
    r->tidying.data = r;
    uv_timer_start(&r->tidying, on_tidy, TIDY_FIRST_MS, 0);
    loom_status st = listen_at(r, options->listen, r->address, &r->port, problem);
    if (st == LOOM_OK && options->grpc_listen != NULL) {
        st = listen_for_grpc(r, problem);
    }
    if (st != LOOM_OK) {
        receiver_close(r);
        return st;
    }
    *out = r;
    return LOOM_OK;
}

const char *receiver_grpc_address(const receiver *r)
{
    return r->grpc_address[0] != '\0' ? r->grpc_address : r->address;
}

const char *receiver_address(const receiver *r)
{
    return r->address;
}

uint16_t receiver_port(const receiver *r)
{
    return r->port;
}

receiver_counts receiver_read_counts(const receiver *r)
{
    return r->counts;
}

void receiver_close(receiver *r)
{
    if (r != NULL) {
        uv_close((uv_handle_t *)&r->tidying, on_timer_closed);
        http_server_close(r->http, on_closed, r);
    }
}
