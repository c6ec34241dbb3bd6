/* SPDX-License-Identifier: Apache-2.0 */
/* What there is at which path, and who may ask for it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/gateway/internal.h"

/* ---- who may ---- */

/* host[:port] without the port, and without brackets; empty where it has another form. */
static loom_str bare_host(loom_str text)
{
    const bool bracketed = text.len > 0 && text.data[0] == '[';
    const char *end = text.len > 0 ? memchr(text.data, bracketed ? ']' : ':', text.len) : NULL;
    const size_t len = end != NULL ? (size_t)(end - text.data) : text.len;
    loom_str host = bracketed ? (loom_str){text.data + 1, len - 1} : (loom_str){text.data, len};
    loom_str port = str_tail(text, len + (bracketed && end != NULL));
    bool sound = !bracketed || end != NULL;
    if (port.len > 0) {
        sound = sound && port.data[0] == ':';
        for (size_t i = 1; i < port.len; i++) {
            sound = sound && port.data[i] >= '0' && port.data[i] <= '9';
        }
    }
    return sound ? host : (loom_str){"", 0};
}

static bool is_local_name(loom_str host)
{
    char text[URL_HOST_SIZE];
    url u = {.scheme = URL_HTTP};
    if (host.len == 0 || host.len >= sizeof text) {
        return false;
    }
    memcpy(u.host, host.data, host.len);
    return url_is_loopback(&u);
}

/* A page anywhere may have its own name lead to 127.0.0.1 (DNS rebinding) and would then be of the same origin as we are.
 * Its name is in Host: only this machine's own names lead to a listener that only this machine reaches, and the hosts of
 * origins that were named. */
static bool is_our_host(const gateway_address *at, const http_request *r)
{
    const loom_str *host = http_request_field(r, "Host");
    if (!at->loopback || host == NULL) {
        return true;
    }
    const loom_str bare = bare_host(*host);
    if (is_local_name(bare)) {
        return true;
    }
    const gateway_options *o = &at->gateway->options;
    for (size_t i = 0; i < o->origin_count; i++) {
        const char *name = strstr(o->origins[i], "://");
        if (name != NULL && str_equal_any_case(bare_host(str_of(name + 3)), bare)) {
            return true;
        }
    }
    return false;
}

/* What can have one value only; with two, this gateway and whatever is in front of it might each look at another. */
static bool is_said_once(const http_request *r, const char **why)
{
    static const struct {
        const char *name, *why;
    } fields[] = {{"Origin", "a request has at most one Origin"},
                  {"Content-Type", "a request has at most one Content-Type"},
                  {"Idempotency-Key", "a request has at most one Idempotency-Key"},
                  {"Last-Event-ID", "a request has at most one Last-Event-ID"}};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (http_request_fields(r, fields[i].name, NULL, 0) > 1) {
            *why = fields[i].why;
            return false;
        }
    }
    return true;
}

uint16_t gateway_admit(void *user, const http_request *r, const char **why)
{
    const gateway_address *at = user;
    const loom_str *origin = http_request_field(r, "Origin");
    if (!is_our_host(at, r)) {
        *why = "only this machine reaches this address, and Host names another: name its origin (--cors-origins) if that is right";
        return 421;
    }
    if (origin != NULL && !http_request_is_same_origin(r) && !gateway_allows_origin(at->gateway, *origin)) {
        *why = "pages of this origin may not use the gateway: it has to be named (--cors-origins)";
        return 403;
    }
    return is_said_once(r, why) ? 0 : 400;
}

/* ---- what the server refuses ---- */

static const char *code_of(uint16_t status)
{
    switch (status) {
    case 403: return "origin_not_allowed";
    case 404: return "not_found";
    case 405: return "method_not_allowed";
    case 408: return "timeout";
    case 413: return "too_large";
    case 414: return "target_too_long";
    case 417: return "expectation_failed";
    case 421: return "wrong_host";
    case 431: return "head_too_large";
    case 501: return "not_implemented";
    case 503: return "busy";
    case 505: return "version_not_supported";
    default: return "bad_request";
    }
}

void gateway_refuse(void *user, http_request *r, uint16_t status, const char *why)
{
    exchange x;
    exchange_begin(&x, user, r, NULL);
    exchange_fail(&x, status, code_of(status), "%s", why);
}

/* CORS, "CORS-preflight request"; for anybody else just what there is. */
void gateway_answer_options(void *user, http_request *r)
{
    exchange x;
    exchange_begin(&x, user, r, NULL);
    x.gateway->stats.requests++;
    const loom_str allow = str_of(http_request_allow(r));
    const http_field fields[] = {
        {"Allow", allow},
        {"Access-Control-Allow-Methods", allow},
        {"Access-Control-Allow-Headers", str_of("Content-Type, Accept, Idempotency-Key, Last-Event-ID, traceparent, tracestate, "
                                                "baggage, b3, X-B3-TraceId, X-B3-SpanId, X-B3-ParentSpanId, X-B3-Sampled, X-B3-Flags, X-Trace-ID, X-Span-ID")},
        {"Access-Control-Max-Age", str_of("600")},
    };
    exchange_answer(&x, 204, &(exchange_body){.fields = fields, .field_count = x.cors ? 4 : 1});
}

/* ---- routes ---- */

static void run(void *user, http_request *r, const char *route, void (*handler)(exchange *x))
{
    exchange x;
    exchange_begin(&x, user, r, route);
    x.gateway->stats.requests++;
    handler(&x);
}

/* Work for the bus: not any more while the process comes to its end. */
static void work(void *user, http_request *r, const char *route, void (*handler)(exchange *x))
{
    exchange x;
    exchange_begin(&x, user, r, route);
    x.gateway->stats.requests++;
    if (x.gateway->draining) {
        exchange_fail(&x, 503, "shutting_down", "the gateway is shutting down");
    } else {
        handler(&x);
    }
}

#define ROUTE(name, how, template, handler)                                                                                \
    static void name(void *user, http_request *r)                                                                         \
    {                                                                                                                      \
        how(user, r, template, handler);                                                                                   \
    }
ROUTE(on_publish, work, "/v1/events/{topic}", publish_post)
ROUTE(on_events, work, "/v1/events/{filter}", events_get)
ROUTE(on_request, work, "/v1/requests/{topic}", request_post)
ROUTE(on_action, work, "/v1/actions/{capability}", action_post)
ROUTE(on_agents, run, "/v1/agents", agents_get)
ROUTE(on_capabilities, run, "/v1/capabilities", capabilities_get)
ROUTE(on_topics, run, "/v1/topics", topics_get)
ROUTE(on_stats, run, "/v1/stats", stats_get)
ROUTE(on_openapi, run, "/openapi.json", openapi_get)
ROUTE(on_health, run, "/healthz", healthz_get)
ROUTE(on_ready, run, "/readyz", readyz_get)
ROUTE(on_metrics, run, "/metrics", metrics_get)

const http_route gateway_routes[] = {
    {.method = "POST", .path = "/v1/events/", .below = true, .handle = on_publish},
    {.method = "GET", .path = "/v1/events/", .below = true, .handle = on_events},
    {.method = "POST", .path = "/v1/requests/", .below = true, .handle = on_request},
    {.method = "POST", .path = "/v1/actions/", .below = true, .handle = on_action},
    {.method = "GET", .path = "/v1/agents", .handle = on_agents},
    {.method = "GET", .path = "/v1/capabilities", .handle = on_capabilities},
    {.method = "GET", .path = "/v1/topics", .handle = on_topics},
    {.method = "GET", .path = "/v1/stats", .handle = on_stats},
    {.method = "GET", .path = "/openapi.json", .handle = on_openapi},
    {.method = "GET", .path = "/healthz", .handle = on_health},
    {.method = "GET", .path = "/readyz", .handle = on_ready},
    {.method = "GET", .path = "/metrics", .handle = on_metrics},
};
const size_t gateway_route_count = sizeof gateway_routes / sizeof *gateway_routes;

/* ---- how it is ---- */

static void answer_text(exchange *x, const char *json)
{
    exchange_answer(x, 200, &(exchange_body){.type = "application/json", .bytes = bytes_of(json)});
}

void healthz_get(exchange *x)
{
    answer_text(x, "{\"status\":\"ok\"}\n");
}

void readyz_get(exchange *x)
{
    const gateway *g = x->gateway;
    if (g->draining) {
        exchange_fail(x, 503, "draining", "the process is shutting down");
    } else if (g->options.draining != NULL && *g->options.draining) {
        exchange_fail(x, 503, "draining", "the broker is being drained and takes no new agents");
    } else if (g->port == NULL || (g->options.ready != NULL && !g->options.ready(g->options.ready_user))) {
        exchange_fail(x, 503, "not_connected", "the broker cannot be reached");
    } else {
        answer_text(x, "{\"status\":\"ready\"}\n");
    }
}

void metrics_get(exchange *x)
{
    const gateway_options *o = &x->gateway->options;
    char *text = NULL;
    size_t len = 0;
    FILE *out = o->write_metrics != NULL ? open_memstream(&text, &len) : NULL;
    if (out != NULL) {
        o->write_metrics(o->metrics_user, out);
    }
    if (out != NULL && fclose(out) == 0) {
        exchange_answer(x, 200, &(exchange_body){.type = "text/plain; version=0.0.4; charset=utf-8",
                                                 .bytes = {(const uint8_t *)text, len}});
    } else {
        exchange_fail_memory(x);
    }
    free(text);
}
