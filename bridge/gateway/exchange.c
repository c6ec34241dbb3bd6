/* SPDX-License-Identifier: Apache-2.0 */
/* One request: its SERVER span, which continues what the client sent, and its answer, which says where to look. */
#include <loom/http.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/gateway/internal.h"
#include "host/http/status.h"

enum { ECHO_SIZE = 64 };

/* ---- the beginning ---- */

static size_t get_field(void *user, const char *name, loom_str *values, size_t max)
{
    return http_request_fields(user, name, values, max);
}

static loom_str field(const http_request *r, const char *name)
{
    const loom_str *value = http_request_field(r, name);
    return value != NULL ? *value : (loom_str){0};
}

/* "http:127.0.0.1:4711", "https:[::1]:4711" */
static loom_str split_peer(const char *peer, uint16_t *port)
{
    const char *host = strchr(peer, ':'), *end = strrchr(peer, ':');
    *port = 0;
    if (host == NULL || end == host) {
        return (loom_str){0};
    }
    host++;
    *port = (uint16_t)strtoul(end + 1, NULL, 10);
    loom_str address = {host, (size_t)(end - host)};
    if (address.len > 1 && address.data[0] == '[') {
        address = (loom_str){address.data + 1, address.len - 2};
    }
    return address;
}

static loom_span *start_span(const exchange *x, const gateway_address *at, const char *route)
{
    const http_request *r = x->request;
    loom_http_request about = {
        .method = http_request_method(r),
        .route = route,
        .path = http_request_path(r),
        .query = http_request_query(r),
        .scheme = str_of(at->secure ? "https" : "http"),
        .host = field(r, "Host"),
        .user_agent = field(r, "User-Agent"),
        .protocol_version = str_of(http_request_is_http2(r) ? "2" : http_request_minor(r) == 0 ? "1.0" : "1.1"),
    };
    about.peer_address = split_peer(http_request_peer(r), &about.peer_port);
    /* what is no request, but bytes of somebody who looks what is here, leaves no trace */
    loom_tracer *tracer = about.path.len > 0 ? x->gateway->options.tracer : NULL;
    return loom_http_server_span(tracer, &about, &x->from);
}

bool gateway_allows_origin(const gateway *g, loom_str origin)
{
    for (size_t i = 0; i < g->options.origin_count; i++) {
        if (strcmp(g->options.origins[i], "*") == 0 || str_is_any_case(origin, g->options.origins[i])) {
            return true;
        }
    }
    return false;
}

void exchange_begin(exchange *x, const gateway_address *at, http_request *r, const char *route)
{
    const loom_carrier fields = {.get = get_field, .user = r};
    const loom_str origin = field(r, "Origin");
    *x = (exchange){.gateway = at->gateway, .request = r};
    x->cors = origin.len > 0 && origin.len < sizeof x->origin && gateway_allows_origin(at->gateway, origin);
    if (x->cors) {
        memcpy(x->origin, origin.data, origin.len);
    }
    (void)loom_propagation_extract(&x->from, &fields, at->gateway->propagators, NULL); /* without memory: less of it */
    x->span = start_span(x, at, route);
    x->context = *loom_span_context(x->span);
}

/* ---- the end ---- */

typedef struct head {
    http_field fields[EXCHANGE_FIELDS_MAX + 8];
    size_t count;
    char timing[LOOM_SERVER_TIMING_SIZE];
    char echo[2][ECHO_SIZE];
    size_t echoed;
} head;

static void add(head *h, const char *name, loom_str value)
{
    h->fields[h->count++] = (http_field){name, value};
}

static loom_status set_echo(void *user, const char *name, loom_str value)
{
    head *h = user;
    if (value.len < ECHO_SIZE && h->echoed < sizeof h->echo / sizeof *h->echo) {
        memcpy(h->echo[h->echoed], value.data, value.len);
        add(h, str_is_any_case(str_of(name), "x-trace-id") ? "X-Trace-ID" : "X-Span-ID",
            (loom_str){h->echo[h->echoed++], value.len});
    }
    return LOOM_OK;
}

/* What every answer has: where its trace is, and who may read it. */
static void write_head(head *h, const exchange *x)
{
    h->count = h->echoed = 0;
    if (loom_trace_context_valid(&x->context)) {
        const loom_carrier to = {.set = set_echo, .user = h};
        loom_http_server_timing(h->timing, &x->context);
        add(h, "Server-Timing", str_of(h->timing));
        (void)loom_propagation_echo(&to, &x->context);
    }
    if (x->gateway->options.origin_count > 0) {
        add(h, "Vary", str_of("Origin"));
    }
    if (x->cors) {
        add(h, "Access-Control-Allow-Origin", str_of(x->origin));
        add(h, "Access-Control-Expose-Headers", str_of("Server-Timing, X-Trace-ID, X-Span-ID, Loom-Event-ID, Allow, Retry-After"));
    }
    add(h, "X-Content-Type-Options", str_of("nosniff")); /* payloads are whatever their publisher made them */
}

static void count(gateway *g, uint16_t status)
{
    g->stats.failed_client += status >= 400 && status < 500;
    g->stats.failed_server += status >= 500;
}

void exchange_end(exchange *x, uint16_t status, const char *error)
{
    if (status != 0) {
        count(x->gateway, status);
    }
    if (status != 0 || error != NULL) {
        loom_http_server_status(x->span, status, error);
    }
    loom_span_end(x->span);
    loom_propagation_fini(&x->from);
    x->span = NULL;
}

static void respond(exchange *x, uint16_t status, const exchange_body *body, const char *error)
{
    head h;
    http_request *r = x->request;
    x->request = NULL;
    write_head(&h, x);
    for (size_t i = 0; body != NULL && i < body->field_count && i < EXCHANGE_FIELDS_MAX; i++) {
        h.fields[h.count++] = body->fields[i];
    }
    exchange_end(x, status, error);
    http_request_answer(r, &(http_answer){.status = status,
                                          .content_type = body != NULL ? body->type : NULL,
                                          .body = body != NULL ? body->bytes : (loom_bytes){0},
                                          .fields = h.fields,
                                          .field_count = h.count});
}

void exchange_answer(exchange *x, uint16_t status, const exchange_body *body)
{
    respond(x, status, body, NULL);
}

void exchange_left(exchange *x)
{
    http_request *r = x->request;
    x->request = NULL;
    x->gateway->stats.left++;
    exchange_end(x, 499, NULL);
    http_request_answer(r, &(http_answer){.status = 499}); /* only lets it go: nobody hears it */
}

http_stream *exchange_stream(exchange *x, const http_stream_events *events, void *user)
{
    head h;
    http_request *r = x->request;
    x->request = NULL;
    write_head(&h, x);
    add(&h, "Cache-Control", str_of("no-store"));
    add(&h, "X-Accel-Buffering", str_of("no")); /* a proxy that gathers would hold events back */
    loom_http_server_status(x->span, 200, NULL);
    return http_request_answer_stream(r, &(http_answer){.status = 200, .content_type = "text/event-stream",
                                                        .fields = h.fields, .field_count = h.count}, events, user);
}

/* ---- problems (RFC 9457) ---- */

size_t problem_json(char out[PROBLEM_JSON_SIZE], uint16_t status, const char *code, const char *detail)
{
    text_buffer b = {0};
    text_printf(&b, "{\"type\":\"about:blank\",\"title\":");
    text_put_quoted(&b, str_of(http_status_name(status)));
    text_printf(&b, ",\"status\":%u,\"code\":", (unsigned)status);
    text_put_quoted(&b, str_of(code));
    text_puts(&b, ",\"detail\":");
    text_put_quoted(&b, str_of(detail));
    text_puts(&b, "}");
    const bool whole = !b.failed && b.bytes.len < PROBLEM_JSON_SIZE;
    const int len = whole ? snprintf(out, PROBLEM_JSON_SIZE, "%.*s", (int)b.bytes.len, text_buffer_str(&b).data)
                          : snprintf(out, PROBLEM_JSON_SIZE, "{\"status\":%u}", (unsigned)status);
    text_fini(&b);
    return (size_t)len;
}

static void fail(exchange *x, uint16_t status, const char *code, const char *detail)
{
    char json[PROBLEM_JSON_SIZE];
    const size_t len = problem_json(json, status, code, detail);
    const http_field retry = {"Retry-After", str_of("1")};
    respond(x, status, &(exchange_body){.type = "application/problem+json",
                                        .bytes = {(const uint8_t *)json, len},
                                        .fields = &retry,
                                        .field_count = status == 429 ? 1 : 0}, code);
}

void exchange_fail(exchange *x, uint16_t status, const char *code, const char *format, ...)
{
    char detail[FRAME_TEXT_MAX + 1];
    va_list args;
    va_start(args, format);
    vsnprintf(detail, sizeof detail, format, args);
    va_end(args);
    fail(x, status, code, detail);
}

void exchange_fail_memory(exchange *x)
{
    exchange_fail(x, 503, "out_of_memory", "the gateway has no memory for the answer");
}
