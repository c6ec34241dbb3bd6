/* SPDX-License-Identifier: Apache-2.0 */
/* Spans of HTTP, for servers and clients of one's own, whatever library moves the bytes. Names and attributes are those of
 * OpenTelemetry's stable HTTP conventions (semconv 1.27, "HTTP Spans").
 *
 *     loom_propagation from;                          // traceparent and the others, from the request's fields
 *     (void)loom_propagation_extract(&from, &fields, loom_propagators_from_env(), NULL);
 *     loom_span *span = loom_http_server_span(tracer, &request, &from);
 *     ...
 *     loom_http_server_status(span, 200, NULL);
 *     loom_span_end(span);
 *     loom_propagation_fini(&from);
 *
 * A client starts loom_http_client_span() and writes its context into the request with loom_propagation_inject();
 * examples/http_client/get.c does so with libcurl. Threads: any. Nothing blocks. */
#ifndef LOOM_HTTP_H
#define LOOM_HTTP_H

#include <loom/propagation.h>

LOOM_BEGIN_DECLS

/* What is known of a request; empty is unknown. Borrowed for the call. */
typedef struct loom_http_request {
    loom_str method;           /* as it stands there; one that RFC 9110 and 5789 do not know is reported as _OTHER */
    const char *route;         /* the template that it matched, such as "/users/{id}"; NULL: none */
    loom_str path;             /* without the query */
    loom_str query;            /* without its '?'; what looks like a secret or like personal data is masked, and the values
                                * of AWSAccessKeyId, Signature, sig, X-Goog-Signature and X-Amz-Signature are REDACTED */
    loom_str scheme;           /* "http", "https" */
    loom_str host;             /* the Host field, or :authority: name or address, and perhaps a port */
    loom_str peer_address;     /* the other end of the connection */
    uint16_t peer_port;
    loom_str client_address;   /* from X-Forwarded-For, where that can be trusted; else the peer's is used */
    loom_str user_agent;
    loom_str protocol_version; /* "1.1", "2" */
} loom_http_request;

/* A SERVER span "GET /users/{id}", or "GET" without a route: a child of what the client sent, which may be NULL. Never NULL. */
LOOM_API loom_span *loom_http_server_span(loom_tracer *tracer, const loom_http_request *request, const loom_propagation *from);
/* http.response.status_code. From 500 on the span has failed: error.type is error or, when that is NULL, the status. Below,
 * error is left out: it is the client's. */
LOOM_API void loom_http_server_status(loom_span *span, unsigned status, const char *error);

/* The value of a Server-Timing field that tells the client where to look: trace;desc="00-…-…-01". Browsers show it. */
#define LOOM_SERVER_TIMING_SIZE 72u
LOOM_API void loom_http_server_timing(char out[LOOM_SERVER_TIMING_SIZE], const loom_trace_context *context);

/* A CLIENT span "GET" under the current one. url: of the request; its password and what looks like a secret in its query are
 * masked, as in a server's query. attempt: 0, or which retry it is. Never NULL. */
LOOM_API loom_span *loom_http_client_span(loom_tracer *tracer, const char *method, const char *url, unsigned attempt);
/* http.response.status_code. From 400 on the span has failed. status 0: there was no answer, and error says why. */
LOOM_API void loom_http_client_status(loom_span *span, unsigned status, const char *error);

LOOM_END_DECLS
#endif
