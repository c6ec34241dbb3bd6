/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, the rounds, and closing. The uv handles live inside the object, which is freed when the last is closed. */
#include "broker/bus/bus_server.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nng/transport/ipc/ipc.h>

#include "broker/bus/bus_internal.h"

enum { TICK_MS = 100, BRIDGE_EXPIRY_MS = 10000, SESSIONS_MAX = 65536, LOG_EVERY_MS = 1000 };

static void log_text(const bus_server *s, int level, const char *format, va_list args)
{
    char text[512];
    vsnprintf(text, sizeof text, format, args);
    s->options.log(s->options.user, level, text);
}

void bus_log(const bus_server *s, int level, const char *format, ...)
{
    va_list args;
    if (s->options.log == NULL) {
        return;
    }
    va_start(args, format);
    log_text(s, level, format, args);
    va_end(args);
}

void bus_log_limited(bus_server *s, log_limit *limit, int level, const char *format, ...)
{
    uint64_t now = uv_now(s->loop);
    va_list args;
    if (s->options.log == NULL) {
        return;
    }
    if (now < limit->next_ms) {
        limit->suppressed++;
        return;
    }
    limit->next_ms = now + LOG_EVERY_MS;
    va_start(args, format);
    log_text(s, level, format, args);
    va_end(args);
    if (limit->suppressed > 0) {
        bus_log(s, level, "the same happened before without a line count=%llu", (unsigned long long)limit->suppressed);
        limit->suppressed = 0;
    }
}

/* ---- listening ---- */

/* The port that the system chose for port 0. */
static void real_url(nng_listener listener, const char *url, char out[BUS_URL_SIZE])
{
    nng_sockaddr address;
    const char *port = strrchr(url, ':');
    snprintf(out, BUS_URL_SIZE, "%s", url);
    if (strncmp(url, "tcp", 3) != 0 || port == NULL || strcmp(port, ":0") != 0 ||
        nng_listener_get_addr(listener, NNG_OPT_LOCADDR, &address) != 0) {
        return;
    }
    uint16_t number = address.s_family == NNG_AF_INET6 ? address.s_in6.sa_port : address.s_in.sa_port;
    snprintf(out, BUS_URL_SIZE, "%.*s:%u", (int)(port - url), url, (unsigned)(uint16_t)(number >> 8 | number << 8));
}

loom_status bus_listen(bus_server *s, nng_socket socket, bus_server_url which, const char *url)
{
    nng_listener listener;
    int error = strlen(url) < BUS_URL_SIZE ? nng_listener_create(&listener, socket, url) : NNG_EADDRINVAL;
    if (error == 0) {
        if (strncmp(url, "ipc://", 6) == 0) {
            (void)nng_listener_set_int(listener, NNG_OPT_IPC_PERMISSIONS, (int)s->options.ipc_mode);
        }
        error = nng_listener_start(listener, 0);
    }
    if (error != 0) {
        bus_log(s, 0, "cannot listen url=%s reason=\"%s\"", url, nng_strerror(error));
        return nng_status(error);
    }
    real_url(listener, url, s->urls[which]);
    bus_log(s, 2, "listening url=%s", s->urls[which]);
    return LOOM_OK;
}

const char *bus_server_url_of(const bus_server *s, bus_server_url which)
{
    return s->urls[which];
}

/* ---- rounds ---- */

static void on_timer(uv_timer_t *timer)
{
    bus_server *s = timer->data;
    bridge_bus_tick(s);
    bus_server_round_end(s);
}

void bus_server_round_end(bus_server *s)
{
    if (s->closing) {
        return;
    }
    open_bus_flush(s);
    bridge_bus_flush(s, false);
    bool ticking = uv_is_active((uv_handle_t *)&s->timer) != 0;
    if (s->bridges.count > 0 && !ticking) {
        uv_timer_start(&s->timer, on_timer, TICK_MS, TICK_MS);
    } else if (s->bridges.count == 0 && ticking) {
        uv_timer_stop(&s->timer); /* nobody to watch: the loop may sleep */
    }
}

static void free_all(bus_server *s)
{
    uv_mutex_destroy(&s->control.lock);
    free(s->software);
    free(s);
}

static void on_handle_closed(uv_handle_t *handle)
{
    bus_server *s = handle->data;
    if (--s->handles > 0) {
        return;
    }
    void (*closed)(void *user) = s->closed;
    void *user = s->closed_user;
    free_all(s);
    if (closed != NULL) {
        closed(user);
    }
}

static void close_handles(bus_server *s)
{
    uv_handle_t *all[] = {(uv_handle_t *)&s->wake, (uv_handle_t *)&s->prepare, (uv_handle_t *)&s->check,
                          (uv_handle_t *)&s->timer};
    if (uv_is_closing(all[0])) {
        return;
    }
    nng_closings_close(s->closings);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        uv_close(all[i], on_handle_closed);
    }
}

static void on_wake(uv_async_t *wake)
{
    bus_server *s = wake->data;
    if (s->closing) {
        if (nng_closings_left(s->closings) == 0) {
            close_handles(s);
        }
        return;
    }
    eventbus_set_time(s->core, uv_now(s->loop));
    control_bus_turn(s);
    bridge_bus_turn(s);
    open_bus_turn(s);
    bus_server_round_end(s);
}

static void on_prepare(uv_prepare_t *prepare)
{
    bus_server_round_end(prepare->data);
}

static void on_check(uv_check_t *check)
{
    bus_server_round_end(check->data);
}

/* ---- life ---- */

static void on_closing_too_long(uv_timer_t *timer)
{
    bus_server *s = timer->data;
    bus_log(s, 1, "sockets are abandoned, nng does not close them count=%u", nng_closings_left(s->closings));
    close_handles(s);
}

void bus_server_close(bus_server *s, void (*closed)(void *user), void *user)
{
    bus_server_round_end(s);
    s->closing = true;
    s->closed = closed;
    s->closed_user = user;
    control_bus_close(s);
    bridge_bus_close(s);
    open_bus_close(s);
    if (nng_closings_left(s->closings) == 0) {
        close_handles(s);
    } else {
        uv_timer_start(&s->timer, on_closing_too_long, NNG_CLOSING_MAX_MS, 0);
    }
}

static loom_status open_handles(bus_server *s)
{
    loom_status st = nng_closings_open(&s->closings, &s->wake);
    if (st != LOOM_OK) {
        return st;
    }
    if (uv_async_init(s->loop, &s->wake, on_wake) != 0) {
        nng_closings_close(s->closings);
        return LOOM_EIO;
    }
    uv_prepare_init(s->loop, &s->prepare); /* these three cannot fail */
    uv_check_init(s->loop, &s->check);
    uv_timer_init(s->loop, &s->timer);
    s->wake.data = s->prepare.data = s->check.data = s->timer.data = s;
    s->handles = 4;
    uv_prepare_start(&s->prepare, on_prepare);
    uv_check_start(&s->check, on_check);
    return LOOM_OK;
}

static void set_options(bus_server *s, const bus_server_options *options)
{
    s->options = *options;
    if (options->bridge_expiry_ms == 0) {
        s->options.bridge_expiry_ms = BRIDGE_EXPIRY_MS;
    }
    if (options->max_bridges == 0 || options->max_bridges > BUS_BRIDGES_MAX) {
        s->options.max_bridges = BUS_BRIDGES_MAX;
    }
    if (options->max_sessions == 0) {
        s->options.max_sessions = SESSIONS_MAX;
    }
    if (options->ttl == 0) {
        s->options.ttl = LOOM_TTL_DEFAULT;
    }
    if (options->ipc_mode == 0) {
        s->options.ipc_mode = 0600;
    }
    s->options.software = s->software;
}

loom_status bus_server_open(bus_server **out, uv_loop_t *loop, eventbus *core, const bus_server_options *options)
{
    *out = NULL;
    bus_server *s = calloc(1, sizeof *s);
    char *software = strdup(options->software != NULL ? options->software : "");
    if (s == NULL || software == NULL || uv_mutex_init(&s->control.lock) != 0) {
        free(software);
        free(s);
        return LOOM_ENOMEM;
    }
    s->loop = loop;
    s->core = core;
    s->software = software;
    s->started_ms = uv_now(loop);
    set_options(s, options);
    loom_status st = open_handles(s);
    if (st != LOOM_OK) {
        free_all(s);
        return st;
    }
    if ((st = open_bus_open(s)) != LOOM_OK || (st = bridge_bus_open(s)) != LOOM_OK ||
        (st = control_bus_open(s)) != LOOM_OK) {
        bus_server_close(s, NULL, NULL);
        return st;
    }
    *out = s;
    return LOOM_OK;
}

bus_server_stats bus_server_get_stats(const bus_server *s)
{
    bus_server_stats stats = s->stats;
    stats.bridges = s->bridges.count;
    for (const bus_bridge *b = s->bridges.first; b != NULL; b = b->next) {
        stats.sessions += (uint32_t)b->sessions.count;
        stats.gaps += b->link.stats.gaps;
        stats.resent += b->link.stats.resent;
        stats.bridge_received += b->link.stats.received;
        stats.bridge_sent += b->link.stats.sent;
    }
    stats.open_peers = s->open.peers != NULL ? pipe_watch_count(s->open.peers) : 0;
    stats.open_waiting = s->open.pressing;
    return stats;
}
