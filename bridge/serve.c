/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/serve.h"

#include "base/url.h"
#include "bridge/spans/intake.h"
#include "host/net/inherited.h"
#include "host/ready_file.h"

/* ---- counters ---- */

static const counter link_rows[] = {
    COUNTER(link_server_stats, connections_refused, COUNTER_TOTAL, "loom_bridge_connections_refused_total",
            "Agent connections closed at once: no room for another agent."),
    COUNTER(link_server_stats, connections_displaced, COUNTER_TOTAL, "loom_bridge_connections_displaced_total",
            "Agent connections (TLS, WebSocket) closed during their handshake to make room for newer ones."),
    COUNTER(link_server_stats, connections_late, COUNTER_TOTAL, "loom_bridge_connections_late_total",
            "Agent connections (TLS, WebSocket) closed because a deadline had passed."),
    COUNTER(link_server_stats, requests_invalid, COUNTER_TOTAL, "loom_bridge_requests_invalid_total",
            "TLS handshakes, HTTP requests and WebSocket frames of agents that were refused."),
    COUNTER(link_server_stats, frames_refused, COUNTER_TOTAL, "loom_bridge_frames_refused_total",
            "Sessions ended because no memory was left for a half-received frame."),
    COUNTER(link_server_stats, kept_bytes, COUNTER_GAUGE, "loom_bridge_kept_bytes",
            "Memory for half-received frames and for bytes that wait for their session's next turn."),
};
static const counter_group link_counters = COUNTER_GROUP("links", link_server_stats, link_rows);

static void read_links(const void *owner, void *stats)
{
    const serving *s = owner;
    *(link_server_stats *)stats = s->links != NULL ? link_server_get_stats(s->links) : (link_server_stats){0};
}

/* ---- the end ---- */

enum { LOOKS_MAX = 20 }; /* some 10 ms apart */

static void on_links_closed(void *user)
{
    serving *s = user;
    s->links = NULL;
    s->phase = SERVING_OVER;
}

static void on_gateway_closed(void *user)
{
    ((serving *)user)->gateway = NULL;
}

static void hold_publishers(const serving *s, bool at_once)
{
    if (s->bus_end.hold_publishers != NULL) {
        s->bus_end.hold_publishers(s->bus_end.user, at_once);
    }
}

static void cut_off(const serving *s)
{
    if (s->bus_end.cut_off != NULL) {
        s->bus_end.cut_off(s->bus_end.user);
    }
}

static void begin_drain(void *user)
{
    serving *s = user;
    s->phase = SERVING_DRAINS;
    link_server_stop_listening(s->links);
    bridge_wind_down(s->bridge); /* or the last of them would cross those that their agents cannot take any more */
    hold_publishers(s, false);
    if (s->gateway != NULL) { /* it listens on, so that /readyz can say so */
        gateway_drain(s->gateway);
    }
}

static bool is_busy(const serving *s)
{
    return link_server_busy(s->links) > 0 || (s->gateway != NULL && gateway_busy(s->gateway));
}

static void close_servers(serving *s)
{
    link_server_close(s->links, on_links_closed, s);
    if (s->gateway != NULL) {
        gateway_close(s->gateway, on_gateway_closed, s);
    }
}

/* What agents have published with the credit that they had has been read. Who uses it slowly is not waited for. */
static bool is_quiet(serving *s)
{
    const serve_bus_end *end = &s->bus_end;
    const uint64_t published = end->published != NULL ? end->published(end->user) : bridge_get_stats(s->bridge).published;
    const bool quiet = s->looks > 0 && published == s->published;
    s->published = published;
    return ++s->looks > LOOKS_MAX || quiet;
}

static bool is_drained(const serving *s)
{
    return s->bus_end.drained == NULL || s->bus_end.drained(s->bus_end.user);
}

/* First what waits goes out, then sessions get their goodbye, then whatever is left is cut off. */
static bool drain(void *user, bool late)
{
    serving *s = user;
    if (s->phase == SERVING_DRAINS && late) {
        cut_off(s);
    }
    if (s->phase == SERVING_DRAINS && (late || (is_quiet(s) && is_drained(s)))) {
        s->phase = SERVING_ENDS;
        hold_publishers(s, true); /* their subscribers go now */
        if (s->gateway != NULL) {
            gateway_end(s->gateway);
        }
        bridge_end_sessions(s->bridge, LOOM_ECLOSED, "the process is shutting down");
        link_server_flush(s->links);
    }
    if (s->phase == SERVING_ENDS && (late || !is_busy(s))) {
        process_lost(s->process, "bytes_unsent_to_agents", link_server_unsent(s->links));
        s->phase = SERVING_OVER; /* no further step before the links are closed */
        close_servers(s);
    }
    return s->phase == SERVING_OVER && s->links == NULL && s->gateway == NULL;
}

static void give_up(void *user)
{
    serving *s = user;
    if (s->phase == SERVING_DRAINS) {
        cut_off(s);
    }
    if (s->links != NULL) {
        process_lost(s->process, "bytes_unsent_to_agents", link_server_unsent(s->links));
    }
}

static const process_drain orderly_end = {begin_drain, drain, give_up};

/* ---- other settings ---- */

static const char *or_none(const char *file)
{
    return file[0] != '\0' ? file : NULL;
}

loom_status serve_check(const serving *s, const char *tls_cert_key_file, char why[PROCESS_WHY_SIZE])
{
    const char *file = or_none(tls_cert_key_file);
    const loom_status st = link_server_check_certificate(s->links, file, why);
    return st != LOOM_OK || s->gateway == NULL ? st : gateway_check_certificate(s->gateway, file, why);
}

void serve_apply(serving *s, const char *tls_cert_key_file, uint32_t max_sessions, uint32_t drain_timeout_ms)
{
    char why[PROCESS_WHY_SIZE];
    const char *file = or_none(tls_cert_key_file);
    loom_status st = link_server_use_certificate(s->links, file, why);
    if (st == LOOM_OK && s->gateway != NULL) {
        st = gateway_use_certificate(s->gateway, file, why);
    }
    if (st != LOOM_OK) { /* it was fine a moment ago */
        log_error(s->process->log, "keeping the certificate there was: %s", why);
    }
    bridge_set_max_sessions(s->bridge, max_sessions);
    s->process->drain_timeout_ms = drain_timeout_ms;
}

void serve_set_envelope_limits(serving *s, uint32_t payload_max, uint8_t ttl)
{
    bridge_set_envelope_limits(s->bridge, payload_max, ttl);
    if (s->gateway != NULL) {
        gateway_set_envelope_limits(s->gateway, payload_max, ttl);
    }
}

enum { DUMP_SESSIONS = 50 };

typedef struct session_dump {
    const serving *serving;
    unsigned count;
} session_dump;

static bool dump_session(void *user, const session_info *i)
{
    session_dump *d = user;
    if (d->count++ < DUMP_SESSIONS) {
        log_info(d->serving->process->log, "state session agent=%.*s peer=%s session=%llu published=%llu forwarded=%llu pressed=%s",
                 (int)i->agent.len, i->agent.data, i->peer, (unsigned long long)i->id, (unsigned long long)i->published,
                 (unsigned long long)i->forwarded, i->pressed ? "true" : "false");
    }
    return true;
}

void serve_dump(const serving *s)
{
    session_dump d = {s, 0};
    bridge_visit_sessions(s->bridge, dump_session, &d);
    if (d.count > DUMP_SESSIONS) {
        log_info(s->process->log, "state sessions left out count=%u", d.count - DUMP_SESSIONS);
    }
}

void serve_close(serving *s)
{
    if (s->process == NULL) {
        return;
    }
    process_stop_metrics(s->process);
    if (s->links != NULL) { /* the loop never ran */
        close_servers(s);
        while (s->links != NULL || s->gateway != NULL) {
            uv_run(&s->process->loop, UV_RUN_ONCE);
        }
    }
    own_keeps_close(&s->keeps);
    bridge_destroy(s->bridge);
    s->bridge = NULL;
}

/* ---- the beginning ---- */

static void on_bridge_log(void *user, log_level level, const session_info *about, const char *text)
{
    const serving *s = user;
    log_write(s->process->log, level, "%s agent=%.*s peer=%s session=%llu", text,
              about->agent.len > 0 ? (int)about->agent.len : 1, about->agent.len > 0 ? about->agent.data : "-", about->peer,
              (unsigned long long)about->id);
}

static void write_metrics(void *user, FILE *out)
{
    process_write_metrics(((serving *)user)->process, out);
}

static loom_status open_gateway(serving *s, const serve_options *o)
{
    loom_status st = gateway_open(&s->gateway, &s->process->loop, &(gateway_options){
        .bus = o->bus,
        .bridge_id = o->bridge_id,
        .software = o->software,
        .tracer = process_tracer(s->process, "loom-gateway"),
        .bridge_tracer = o->tracer,
        .log = s->process->log,
        .tls_cert_key_file = or_none(o->tls_cert_key_file),
        .origins = (const char *const *)o->cors_origins->items,
        .origin_count = o->cors_origins->count,
        .payload_max = o->payload_max,
        .heartbeat_ms = o->heartbeat_ms,
        .ttl = o->ttl,
        .source = o->source,
        .counters = &s->process->counters,
        .ready = o->ready,
        .ready_user = o->ready_user,
        .draining = &s->process->draining,
        .write_metrics = write_metrics,
        .metrics_user = s,
    });
    if (st != LOOM_OK) {
        log_error(s->process->log, "cannot open the HTTP gateway: %s", loom_status_text(st));
        return st;
    }
    counter_list_add(&s->process->counters, gateway_counter_source(s->gateway));
    return LOOM_OK;
}

static bool is_web(const char *text)
{
    url u;
    char why[URL_ERROR_SIZE];
    return url_parse(&u, text, URL_WEB, why) == LOOM_OK;
}

/* It was allowed by name, but perhaps by somebody who thought of agents only. */
static void warn_of_plain_http(const serving *s, const char *bound)
{
    url u;
    char why[URL_ERROR_SIZE];
    if (url_parse(&u, bound, URL_WEB, why) == LOOM_OK && u.scheme == URL_HTTP && !url_is_loopback(&u)) {
        log_warn(s->process->log, "other machines reach the gateway without TLS, and it asks nobody who they are url=%s", bound);
    }
}

static loom_status listen_at(serving *s, const serve_options *o, const char *text, char bound[URL_MAX])
{
    char why[LINK_ERROR_SIZE];
    const bool web = is_web(text);
    loom_status st = process_prepare_url(s->process, text);
    if (st == LOOM_OK && web && s->gateway == NULL) {
        st = open_gateway(s, o);
    }
    if (st != LOOM_OK) {
        return st; /* it has been logged */
    }
    st = web ? gateway_listen(s->gateway, text, bound, URL_MAX, why) : link_server_listen(s->links, text, bound, URL_MAX, why);
    if (st != LOOM_OK) {
        log_error(s->process->log, "%s", why);
        return st;
    }
    log_info(s->process->log, "listening for %s url=%s", web ? "http" : "agents", bound);
    warn_of_plain_http(s, bound);
    return LOOM_OK;
}

static loom_status listen_all(serving *s, const serve_options *o, ready_file *ready)
{
    for (size_t i = 0; i < o->listen->count; i++) {
        char bound[URL_MAX];
        loom_status st = listen_at(s, o, o->listen->items[i], bound);
        if (st != LOOM_OK) {
            return st;
        }
        ready_file_add(ready, bound);
    }
    return LOOM_OK;
}

static loom_status open_links(serving *s, const serve_options *o)
{
    loom_status st = bridge_create(&s->bridge, &s->process->clock, &(bridge_options){
        .id = o->bridge_id,
        .software = o->software,
        .bus = o->bus,
        .tracer = o->tracer,
        .spans = o->spans,
        .payload_max = o->payload_max,
        .heartbeat_ms = o->heartbeat_ms,
        .max_sessions = o->max_sessions,
        .ttl = o->ttl,
        .log = on_bridge_log,
        .log_user = s,
    });
    if (st == LOOM_OK) {
        st = own_keeps_open(&s->keeps, &s->process->loop, s->bridge);
    }
    if (st == LOOM_OK) {
        st = link_server_open(&s->links, &s->process->loop, &s->process->clock, s->bridge, &(link_server_options){
            .tls_cert_key_file = or_none(o->tls_cert_key_file),
            .ws_origins = (const char *const *)o->ws_origins->items,
            .ws_origin_count = o->ws_origins->count,
            .http.log = s->process->log,
            .heartbeat_ms = o->heartbeat_ms,
        });
    }
    if (st != LOOM_OK) {
        log_error(s->process->log, "cannot serve agents: %s", loom_status_text(st));
    }
    return st;
}

loom_status serve_take_spans(span_intake **out, process *p, int64_t rate)
{
    *out = NULL;
    if (p->spans == NULL || rate == 0) {
        return LOOM_OK;
    }
    loom_status st = span_intake_create(out, p->spans, &p->clock, (uint32_t)rate);
    if (st == LOOM_OK) {
        counter_list_add(&p->counters, span_intake_counter_source(*out));
    } else {
        log_error(p->log, "cannot take spans of agents: %s", loom_status_text(st));
    }
    return st;
}

static void on_socket_left(void *user, int fd, const char *address)
{
    log_warn(((const serving *)user)->process->log, "the service manager passed a socket that no setting asks for fd=%d address=%s", fd,
             address);
}

loom_status serve_agents(serving *s, process *p, const serve_options *o)
{
    *s = (serving){.process = p, .bus_end = o->bus_end};
    loom_status st = open_links(s, o);
    if (st != LOOM_OK) {
        return st;
    }
    process_on_stop(p, o->drain_timeout_ms, &orderly_end, s);
    counter_list_add(&p->counters, bridge_counter_source(s->bridge));
    counter_list_add(&p->counters, (counter_source){&link_counters, s, read_links});
    const char *ready_path = options_value(&p->program->options, "ready-file");
    ready_file ready;
    ready_file_init(&ready, ready_path);
    if ((st = listen_all(s, o, &ready)) == LOOM_OK && (st = ready_file_write(&ready)) != LOOM_OK) {
        log_error(p->log, "cannot write the ready file: %s", ready_path);
    }
    ready_file_fini(&ready);
    if (st == LOOM_OK) {
        inherited_visit_left(on_socket_left, s);
    }
    return st;
}
