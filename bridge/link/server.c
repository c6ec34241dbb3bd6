/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/link/server.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/descriptors.h"
#include "base/url.h"
#include "bridge/link/link.h"

enum { HANDLES = 6 };

static const link_carrier *const carriers[] = {&link_uv_carrier, &link_http_carrier};
enum { CARRIERS = sizeof carriers / sizeof carriers[0] };

/* An idle link keeps little memory: what a burst needed goes back. */
static void shrink_idle(link_t *l)
{
    if (l->active) {
        l->active = false;
        return;
    }
    frame_writer *out = session_output(l->session);
    if (!l->sending && l->flight.cap > LINK_KEEP_SIZE) {
        frame_writer_fini(&l->flight);
    }
    if (out->len == 0 && out->cap > LINK_KEEP_SIZE) {
        frame_writer_fini(out);
    }
    if (l->partial_len == 0) {
        link_release(l);
    }
}

void link_server_tick_some(link_server *server)
{
    for (int left = LINK_TICK_LINKS; left > 0 && server->to_tick != NULL; left--) {
        link_t *l = server->to_tick;
        server->to_tick = l->next;
        shrink_idle(l);
        link_check_delay(l);
        link_expire(l, server->clock->now_ms);
    }
}

static void retry_listeners(link_server *server, listener_wait which)
{
    for (listener *ls = server->listeners; ls != NULL; ls = ls->next) {
        if (ls->waits == which && !ls->closing) {
            ls->waits = LISTENER_ACCEPTS;
            ls->ops->retry(ls);
        }
    }
}

static void on_tick(uv_timer_t *timer)
{
    link_server *server = timer->data;
    link_server_woke(server);
    bridge_tick(server->bridge);
    retry_listeners(server, LISTENER_WAITS_A_TICK);
    server->to_tick = server->to_tick != NULL ? server->to_tick : server->links;
    link_server_tick_some(server);
    shared_pool_tidy(server->blocks);
    link_server_flush_some(server);
}

static void on_hello_late(uv_timer_t *timer)
{
    link_server *server = timer->data;
    link_server_woke(server);
    bridge_expire_strangers(server->bridge);
    link_server_await_hello(server);
    link_server_flush_some(server);
}

void link_server_await_hello(link_server *server)
{
    const uint64_t at_ms = bridge_next_hello_ms(server->bridge), now_ms = server->clock->now_ms;
    if (at_ms != UINT64_MAX && !uv_is_active((uv_handle_t *)&server->hello)) {
        uv_timer_start(&server->hello, on_hello_late, at_ms > now_ms ? at_ms - now_ms : 1, 0); /* 0 would be in this round */
    }
}

static void on_before_poll(uv_prepare_t *prepare)
{
    link_server *server = prepare->data;
    if (server->listener_waits) {
        server->listener_waits = false;
        link_server_flush_some(server); /* who had to make room in this round closes */
        retry_listeners(server, LISTENER_WAITS_A_ROUND);
    }
    if (server->held.first != NULL || server->ahead.first != NULL || bridge_goes_on(server->bridge)) {
        link_server_woke(server);
    }
    link_server_new_round(server);
    link_server_flush_some(server);
    link_server_set_alarm(server);
}

static void on_after_poll(uv_check_t *check)
{
    link_server *server = check->data;
    if (server->held.first != NULL || server->ahead.first != NULL || server->flying.first != NULL) {
        link_server_woke(server);
        link_server_take_turns(server);
        link_server_fly_on(server);
        link_server_flush_some(server);
    }
}

static uint64_t tick_ms(uint32_t heartbeat_ms)
{
    uint64_t part = heartbeat_ms / LINK_TICKS_PER_HEARTBEAT;
    return heartbeat_ms == 0 || part > LINK_TICK_MS ? LINK_TICK_MS : part > 0 ? part : 1;
}

loom_status link_server_open(link_server **out, uv_loop_t *loop, loop_clock *clock, bridge *b,
                             const link_server_options *options)
{
    *out = NULL;
    link_server *server = calloc(1, sizeof *server);
    if (server == NULL) {
        return LOOM_ENOMEM;
    }
    server->loop = loop;
    server->clock = clock;
    server->bridge = b;
    server->descriptor_limit = descriptors_limit(DESCRIPTORS_AGENTS);
    if (options != NULL) {
        server->options = *options;
    }
    if (server->options.linger_ms == 0) {
        server->options.linger_ms = LINK_LINGER_MS;
    }
    server->blocks = shared_pool_create();
    if (server->blocks == NULL || (server->read_buffer = malloc(LINK_READ_SIZE)) == NULL) {
        shared_pool_close(server->blocks);
        free(server);
        return LOOM_ENOMEM;
    }
    /* these cannot fail */
    uv_timer_init(loop, &server->tick);
    uv_prepare_init(loop, &server->before_poll);
    uv_check_init(loop, &server->after_poll);
    uv_idle_init(loop, &server->spin);
    uv_timer_init(loop, &server->late);
    uv_timer_init(loop, &server->hello);
    server->tick.data = server->before_poll.data = server->after_poll.data = server->spin.data = server->late.data =
        server->hello.data = server;
    server->handles_open = HANDLES;
    link_server_woke(server);
    bridge_tick(b);
    uint64_t interval = tick_ms(server->options.heartbeat_ms);
    uv_timer_start(&server->tick, on_tick, interval, interval);
    uv_prepare_start(&server->before_poll, on_before_poll);
    uv_check_start(&server->after_poll, on_after_poll);
    *out = server;
    return LOOM_OK;
}

loom_status link_server_listen(link_server *server, const char *text, char *bound, size_t bound_size, char why[LINK_ERROR_SIZE])
{
    url u;
    char fault[LINK_ERROR_SIZE];
    loom_status st = url_parse(&u, text, URL_LINKS, fault);
    for (size_t i = 0; i < CARRIERS && st == LOOM_OK; i++) {
        if ((carriers[i]->schemes & u.scheme) != 0) {
            st = carriers[i]->listen(server, &u, bound, bound_size, fault);
        }
    }
    if (st != LOOM_OK) {
        snprintf(why, LINK_ERROR_SIZE, "cannot listen on %.100s: %.380s", text, fault);
    }
    return st;
}

void listener_init(listener *ls, link_server *server, const listener_ops *ops)
{
    ls->ops = ops;
    ls->server = server;
    ls->next = server->listeners;
    server->listeners = ls;
}

void listener_delay(listener *ls, listener_wait until)
{
    ls->waits = until;
    ls->server->listener_waits |= until == LISTENER_WAITS_A_ROUND;
}

void listener_close(listener *ls)
{
    if (!ls->closing) {
        ls->closing = true;
        ls->ops->close(ls);
    }
}

void listener_gone(listener *ls)
{
    link_server *server = ls->server;
    for (listener **at = &server->listeners; *at != NULL; at = &(*at)->next) {
        if (*at == ls) {
            *at = ls->next;
            break;
        }
    }
    link_server_left(server);
}

void link_server_stop_listening(link_server *server)
{
    for (listener *ls = server->listeners, *next; ls != NULL; ls = next) {
        next = ls->next;
        listener_close(ls);
    }
    server->stopping = true;
    for (size_t i = 0; i < CARRIERS; i++) {
        if (carriers[i]->stop != NULL) {
            carriers[i]->stop(server);
        }
    }
}

size_t link_server_busy(const link_server *server)
{
    size_t busy = 0;
    for (const link_t *l = server->links; l != NULL; l = l->next) {
        busy += l->sending || l->ended || l->closing || session_output(l->session)->len > 0;
    }
    return busy;
}

uint64_t link_server_unsent(const link_server *server)
{
    uint64_t bytes = 0;
    for (const link_t *l = server->links; l != NULL; l = l->next) {
        bytes += session_unsent(l->session) + link_flight_left(l) + l->piece;
    }
    return bytes;
}

link_server_stats link_server_get_stats(const link_server *server)
{
    http_server_counts http = link_http_counts(server);
    link_server_stats stats = server->stats;
    stats.connections_refused += http.refused;
    stats.connections_displaced = http.displaced;
    stats.connections_late = http.late;
    stats.requests_invalid = http.invalid;
    stats.kept_bytes = server->kept_bytes;
    return stats;
}

static void on_handle_closed(uv_handle_t *handle)
{
    link_server *server = handle->data;
    server->handles_open--;
    link_server_left(server);
}

void link_server_left(link_server *server)
{
    if (!server->closing || server->links != NULL || server->listeners != NULL || server->http != NULL) {
        return;
    }
    if (server->handles_open == HANDLES && !uv_is_closing((uv_handle_t *)&server->tick)) {
        uv_close((uv_handle_t *)&server->tick, on_handle_closed);
        uv_close((uv_handle_t *)&server->before_poll, on_handle_closed);
        uv_close((uv_handle_t *)&server->after_poll, on_handle_closed);
        uv_close((uv_handle_t *)&server->spin, on_handle_closed);
        uv_close((uv_handle_t *)&server->late, on_handle_closed);
        uv_close((uv_handle_t *)&server->hello, on_handle_closed);
    } else if (server->handles_open == 0) {
        void (*done)(void *user) = server->done;
        void *user = server->done_user;
        free(server->read_buffer);
        shared_pool_close(server->blocks);
        free(server);
        if (done != NULL) {
            done(user);
        }
    }
}

void link_server_close(link_server *server, void (*done)(void *user), void *user)
{
    server->done = done;
    server->done_user = user;
    server->closing = true;
    link_server_stop_listening(server);
    for (link_t *l = server->links, *next; l != NULL; l = next) {
        next = l->next;
        link_broken(l);
    }
    for (size_t i = 0; i < CARRIERS; i++) {
        if (carriers[i]->fini != NULL) {
            carriers[i]->fini(server);
        }
    }
    link_server_left(server);
}
