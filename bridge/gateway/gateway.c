/* SPDX-License-Identifier: Apache-2.0 */
/* The life of the gateway: its port on the bus, its listeners, its clock. */
#include "bridge/gateway/gateway.h"

#include <loom/topic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/descriptors.h"
#include "bridge/gateway/internal.h"
#include "envelope/mailbox_name.h"
#include "host/http/http2.h"
#include "host/net/listen.h"

enum { HANDLES = 2, CLOSE_MS = 1000, LOG_INTERVAL_MS = 10000 };

#define ALL_PROPAGATORS                                                                                                    \
    ((unsigned)LOOM_PROPAGATOR_TRACECONTEXT | (unsigned)LOOM_PROPAGATOR_BAGGAGE | (unsigned)LOOM_PROPAGATOR_B3 |           \
     (unsigned)LOOM_PROPAGATOR_B3MULTI | (unsigned)LOOM_PROPAGATOR_X_TRACE_ID)

/* ---- the port ---- */

static void on_deliver(void *user, uint64_t subscription, const envelope_view *view)
{
    if (subscription == GATEWAY_MAILBOX) {
        request_deliver(user, view);
    }
}

static void on_call(void *user, const frame_call *f, const envelope_view *view)
{
    (void)user; /* it provides nothing */
    (void)f;
    (void)view;
}

static void on_pressure(void *user, bool on)
{
    gateway *g = user;
    g->pressed = on;
    if (!on) {
        publish_go_on(g);
    }
}

/* Of the event that is being published, or of one that was accepted before: then nobody waits for the word. */
static void on_notice(gateway *g, const frame_outcome *f)
{
    uint64_t suppressed;
    if (g->publishing) {
        g->refused = f->status != LOOM_OK ? (loom_status)f->status : LOOM_EPROTO;
        snprintf(g->refusal, sizeof g->refusal, "%.*s", (int)f->text.len, f->text.len > 0 ? f->text.data : "");
        return;
    }
    g->stats.notices++;
    if (rate_limit_pass(&g->told, uv_now(g->loop), LOG_INTERVAL_MS, 1, &suppressed)) {
        log_warn(g->options.log, "the bus refused an event that the gateway had accepted reason=%.*s suppressed=%llu",
                 (int)f->text.len, f->text.len > 0 ? f->text.data : "", (unsigned long long)suppressed);
    }
}

static void on_frame(void *user, const frame *f)
{
    gateway *g = user;
    switch (f->type) {
    case FRAME_NOTICE: on_notice(g, &f->u.outcome); break;
    case FRAME_RESULT:
    case FRAME_REPORT: action_frame(g, f); break;
    case FRAME_ERROR:
        g->lost = true;
        log_warn(g->options.log, "the broker ended the gateway's session reason=%s", loom_status_name((loom_status)f->u.outcome.status));
        break;
    default: break; /* acks: of the mailbox, which is the gateway's own */
    }
}

static void drop_port(gateway *g, loom_status why)
{
    bus_port *port = g->port;
    g->port = NULL;
    g->mailbox_open = g->pressed = g->lost = false;
    g->options.bus->ops->detach(g->options.bus, port, why);
    pending_lose(&g->waiting, &g->by_call);
    pending_lose(&g->waiting, &g->by_correlation);
    publish_go_on(g);
}

static void ended(void *user, loom_status why)
{
    if (why == LOOM_EREPLACED) {
        drop_port(user, why); /* another gateway of the same name: a tick tries again */
    }
}

static const bus_handlers handlers = {.deliver = on_deliver, .pressure = on_pressure, .call = on_call, .frame = on_frame,
                                      .ended = ended};

static loom_status attach(gateway *g)
{
    const bus_agent about = {.id = gateway_agent(g), .software = str_of(g->options.software),
                             .heartbeat_ms = g->options.heartbeat_ms, .peer = "http", .own = true};
    bus *b = g->options.bus;
    loom_status st = b->ops->attach(b, &g->port, &about, &handlers, g);
    if (st == LOOM_OK) {
        b->ops->grant(b, g->port, UINT64_MAX, UINT64_MAX); /* replies: each has somebody who waits */
    }
    return st;
}

/* ---- the clock ---- */

void gateway_on_tick(uv_timer_t *timer)
{
    gateway *g = timer->data;
    const uint64_t now_ms = uv_now(g->loop);
    const bool heartbeat = now_ms >= g->next_heartbeat_ms;
    uv_timer_start(&g->tick, gateway_on_tick, GATEWAY_TICK_MS, 0);
    g->tick_at_ms = now_ms + GATEWAY_TICK_MS;
    if (g->lost) {
        drop_port(g, LOOM_ECLOSED);
    }
    if (heartbeat) {
        g->next_heartbeat_ms = now_ms + g->options.heartbeat_ms;
        if (g->port == NULL && !g->ended) {
            (void)!attach(g);
        } else if (g->port != NULL) {
            g->options.bus->ops->frame(g->options.bus, g->port, &(frame){.type = FRAME_PING});
        }
    }
    pending_tick(&g->held, now_ms);
    pending_tick(&g->waiting, now_ms);
    events_tick(g, now_ms, heartbeat);
}

/* ---- the beginning ---- */

/* An agent id is one segment of a topic, so the dots of a host name become dashes. */
static void make_names(gateway *g)
{
    snprintf(g->agent, sizeof g->agent, "gateway-%.100s", g->options.bridge_id);
    for (char *c = g->agent; *c != '\0'; c++) {
        *c = *c == '.' || *c == ' ' || *c == '*' || *c == '>' ? '-' : *c;
    }
    snprintf(g->mailbox, sizeof g->mailbox, MAILBOX_PREFIX "%s" MAILBOX_SUFFIX, g->agent);
}

void gateway_set_envelope_limits(gateway *g, uint32_t payload_max, uint8_t ttl)
{
    g->options.payload_max = payload_max != 0 && payload_max < LOOM_PAYLOAD_MAX ? payload_max : LOOM_PAYLOAD_MAX;
    g->options.ttl = ttl != 0 ? ttl : LOOM_TTL_DEFAULT;
}

static void set_options(gateway *g, const gateway_options *o)
{
    g->options = *o;
    gateway_set_envelope_limits(g, o->payload_max, o->ttl);
    g->options.heartbeat_ms = o->heartbeat_ms != 0 ? o->heartbeat_ms : 15000;
    const char *chosen = getenv("OTEL_PROPAGATORS");
    g->propagators = chosen != NULL && chosen[0] != '\0' ? loom_propagators_from_env() : ALL_PROPAGATORS;
}

loom_status gateway_open(gateway **out, uv_loop_t *loop, const gateway_options *options)
{
    *out = NULL;
    gateway *g = calloc(1, sizeof *g);
    if (g == NULL) {
        return LOOM_ENOMEM;
    }
    g->loop = loop;
    set_options(g, options);
    make_names(g);
    loom_status st = http_server_open(&g->http, loop, &(http_server_options){
        .log = options->log, .close_ms = CLOSE_MS, .descriptor_limit = descriptors_limit(DESCRIPTORS_AGENTS)});
    if (st != LOOM_OK) {
        free(g);
        return st;
    }
    bytes_table_init(&g->by_call);
    bytes_table_init(&g->by_correlation);
    uv_timer_init(loop, &g->tick); /* these cannot fail */
    uv_idle_init(loop, &g->soon);
    g->tick.data = g->soon.data = g;
    g->handles_open = HANDLES;
    g->tick_at_ms = uv_now(loop) + GATEWAY_TICK_MS;
    uv_timer_start(&g->tick, gateway_on_tick, GATEWAY_TICK_MS, 0);
    *out = g;
    return attach(g);
}

static loom_status listen_at(gateway *g, gateway_address *a, url *u, char *bound, size_t bound_size, char why[HTTP_ERROR_SIZE])
{
    a->gateway = g;
    a->loopback = url_is_loopback(u);
    a->secure = u->scheme == URL_HTTPS;
    if (strcmp(u->path, "/") != 0) {
        snprintf(why, HTTP_ERROR_SIZE, "the gateway is at / and takes no path in its URL");
        return LOOM_EINVAL;
    }
    const http_listen_options listen = {
        .routes = gateway_routes,
        .route_count = gateway_route_count,
        .tls_cert_key_file = g->options.tls_cert_key_file,
        .body_max = GATEWAY_BODY_MAX,
        .http2 = &http2_protocol,
        .fail = gateway_refuse,
        .admit = gateway_admit,
        .options = gateway_answer_options,
        .user = a,
    };
    loom_status st = http_server_listen(g->http, u, &listen, why);
    if (st == LOOM_EBUSY) {
        snprintf(why, HTTP_ERROR_SIZE, "%s", LISTENING_TWICE);
    }
    u->path[0] = '\0'; /* http://127.0.0.1:7780 is what people type */
    return st == LOOM_OK ? url_format(bound, bound_size, u) : st;
}

loom_status gateway_listen(gateway *g, const char *text, char *bound, size_t bound_size, char why[GATEWAY_ERROR_SIZE])
{
    url u;
    char fault[HTTP_ERROR_SIZE] = "out of memory";
    gateway_address *a = calloc(1, sizeof *a);
    loom_status st = a == NULL ? LOOM_ENOMEM : url_parse(&u, text, URL_WEB, fault);
    if (st == LOOM_OK) {
        st = listen_at(g, a, &u, bound, bound_size, fault);
    }
    if (st != LOOM_OK) {
        snprintf(why, GATEWAY_ERROR_SIZE, "cannot listen on %.100s: %.380s", text, fault);
        free(a);
        return st;
    }
    a->next = g->addresses;
    g->addresses = a;
    return LOOM_OK;
}

loom_status gateway_check_certificate(const gateway *g, const char *file, char why[GATEWAY_ERROR_SIZE])
{
    return http_server_check_certificate(g->http, file, why);
}

loom_status gateway_use_certificate(gateway *g, const char *file, char why[GATEWAY_ERROR_SIZE])
{
    g->options.tls_cert_key_file = file;
    return http_server_use_certificate(g->http, file, why);
}

/* ---- the end ---- */

void gateway_drain(gateway *g)
{
    g->draining = true;
}

void gateway_end(gateway *g)
{
    g->draining = g->ended = true;
    pending_end(&g->held);
    pending_end(&g->waiting);
    events_end(g);
}

bool gateway_busy(const gateway *g)
{
    return g->stats.waiting > 0 || g->stats.streams > 0;
}

static void finish(gateway *g)
{
    for (gateway_address *a = g->addresses, *next; a != NULL; a = next) {
        next = a->next;
        free(a);
    }
    bytes_table_fini(&g->by_call);
    bytes_table_fini(&g->by_correlation);
    free(g->scratch);
    void (*done)(void *user) = g->done;
    void *user = g->done_user;
    free(g);
    done(user);
}

static void on_handle_closed(uv_handle_t *handle)
{
    gateway *g = handle->data;
    if (--g->handles_open == 0) {
        finish(g);
    }
}

/* Requests of clients that are gone still have to be let go of. */
static void on_http_closed(void *user)
{
    gateway *g = user;
    pending_abandon(&g->held);
    pending_abandon(&g->waiting);
    if (g->port != NULL) {
        drop_port(g, LOOM_OK);
    }
    uv_close((uv_handle_t *)&g->tick, on_handle_closed);
    uv_close((uv_handle_t *)&g->soon, on_handle_closed);
}

void gateway_close(gateway *g, void (*done)(void *user), void *user)
{
    g->done = done;
    g->done_user = user;
    gateway_end(g);
    g->closing = true;
    http_server_close(g->http, on_http_closed, g);
}

/* ---- counters ---- */

gateway_stats gateway_get_stats(const gateway *g)
{
    const http_server_counts http = http_server_get_counts(g->http);
    gateway_stats stats = g->stats;
    stats.connections_refused = http.refused;
    stats.connections_displaced = http.displaced;
    stats.connections_late = http.late;
    stats.answers_crowded = http.crowded;
    stats.connections = (uint32_t)http.connections;
    return stats;
}

#define ROW(field, kind, name, text) COUNTER(gateway_stats, field, kind, "loom_gateway_" name, text)
static const counter rows[] = {
    ROW(requests, COUNTER_TOTAL, "requests_total", "HTTP requests that were handled."),
    ROW(failed_client, COUNTER_TOTAL, "client_errors_total", "HTTP requests answered with a status from 400 to 499."),
    ROW(failed_server, COUNTER_TOTAL, "server_errors_total", "HTTP requests answered with a status from 500 on."),
    ROW(left, COUNTER_TOTAL, "left_total", "HTTP clients that left before their answer."),
    ROW(published, COUNTER_TOTAL, "published_total", "Events published over HTTP."),
    ROW(notices, COUNTER_TOTAL, "notices_total", "Events that the bus refused after they had been accepted."),
    ROW(calls, COUNTER_TOTAL, "calls_total", "Actions invoked over HTTP."),
    ROW(requests_sent, COUNTER_TOTAL, "requests_sent_total", "Events sent over HTTP for a reply."),
    ROW(replies_late, COUNTER_TOTAL, "replies_late_total", "Replies that nobody waited for any more."),
    ROW(streamed, COUNTER_TOTAL, "streamed_total", "Events sent to listening HTTP clients."),
    ROW(connections_refused, COUNTER_TOTAL, "connections_refused_total", "HTTP connections closed at once: no room, no descriptor."),
    ROW(connections_displaced, COUNTER_TOTAL, "connections_displaced_total", "Idle HTTP connections closed to make room for newer ones."),
    ROW(connections_late, COUNTER_TOTAL, "connections_late_total", "HTTP connections closed because a deadline had passed."),
    ROW(answers_crowded, COUNTER_TOTAL, "answers_crowded_total", "HTTP answers that were a 503 instead: too many bytes were on their way to others."),
    ROW(connections, COUNTER_GAUGE, "connections", "HTTP connections."),
    ROW(waiting, COUNTER_GAUGE, "waiting", "HTTP requests without an answer."),
    ROW(streams, COUNTER_GAUGE, "streams", "HTTP clients that listen to events."),
};
static const counter_group counters = COUNTER_GROUP("gateway", gateway_stats, rows);

static void read_stats(const void *owner, void *stats)
{
    *(gateway_stats *)stats = gateway_get_stats(owner);
}

counter_source gateway_counter_source(const gateway *g)
{
    return (counter_source){&counters, g, read_stats};
}
