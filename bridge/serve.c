/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/serve.h"

#include "base/url.h"
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

static void on_links_closed(void *user)
{
    serving *s = user;
    s->links = NULL;
    s->phase = SERVING_OVER;
}

static void begin_drain(void *user)
{
    serving *s = user;
    s->phase = SERVING_DRAINS;
    link_server_stop_listening(s->links);
}

/* First what waits goes out, then sessions get their goodbye, then whatever is left is cut off. */
static bool drain(void *user, bool late)
{
    serving *s = user;
    if (s->phase == SERVING_DRAINS && late && s->cut_off != NULL) {
        s->cut_off(s->drained_user);
    }
    if (s->phase == SERVING_DRAINS && (late || s->drained == NULL || s->drained(s->drained_user))) {
        s->phase = SERVING_ENDS;
        bridge_end_sessions(s->bridge, LOOM_ECLOSED, "the process is shutting down");
        link_server_flush(s->links);
    }
    if (s->phase == SERVING_ENDS && (late || link_server_busy(s->links) == 0)) {
        process_lost(s->process, "bytes_unsent_to_agents", link_server_unsent(s->links));
        s->phase = SERVING_OVER; /* no further step before the links are closed */
        link_server_close(s->links, on_links_closed, s);
    }
    return s->phase == SERVING_OVER && s->links == NULL;
}

static const process_drain orderly_end = {begin_drain, drain};

void serve_close(serving *s)
{
    if (s->process == NULL) {
        return;
    }
    process_stop_metrics(s->process);
    if (s->links != NULL) { /* the loop never ran */
        link_server_close(s->links, on_links_closed, s);
        while (s->links != NULL) {
            uv_run(&s->process->loop, UV_RUN_ONCE);
        }
    }
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

static loom_status listen_all(serving *s, const config_strings *urls, ready_file *ready)
{
    logger *log = s->process->log;
    for (size_t i = 0; i < urls->count; i++) {
        char bound[URL_MAX], why[LINK_ERROR_SIZE];
        loom_status st = process_prepare_url(s->process, urls->items[i]);
        if (st != LOOM_OK) {
            return st;
        }
        st = link_server_listen(s->links, urls->items[i], bound, sizeof bound, why);
        if (st != LOOM_OK) {
            log_error(log, "%s", why);
            return st;
        }
        log_info(log, "listening for agents url=%s", bound);
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
        .payload_max = o->payload_max,
        .heartbeat_ms = o->heartbeat_ms,
        .max_sessions = o->max_sessions,
        .ttl = o->ttl,
        .log = on_bridge_log,
        .log_user = s,
    });
    if (st == LOOM_OK) {
        st = link_server_open(&s->links, &s->process->loop, &s->process->clock, s->bridge, &(link_server_options){
            .tls_cert_key_file = o->tls_cert_key_file[0] != '\0' ? o->tls_cert_key_file : NULL,
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

loom_status serve_agents(serving *s, process *p, const serve_options *o)
{
    *s = (serving){.process = p, .drained = o->drained, .cut_off = o->cut_off, .drained_user = o->drained_user};
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
    if ((st = listen_all(s, o->listen, &ready)) == LOOM_OK && (st = ready_file_write(&ready)) != LOOM_OK) {
        log_error(p->log, "cannot write the ready file: %s", ready_path);
    }
    ready_file_fini(&ready);
    return st;
}
