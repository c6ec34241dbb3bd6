/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and closing. The uv handles live inside the object, which is freed when the last of them is closed. */
#include "bridge/bus/bus_nng.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/bus/bus_nng_internal.h"

enum { BUFFER_BYTES = 4 * 1024 * 1024, PING_MS = 2000, ANSWER_MS = 3000, TICK_FAST_MS = 50 };

void bus_nng_log(const bus_nng *b, int level, const char *format, ...)
{
    char text[512];
    va_list args;
    if (b->options.log == NULL) {
        return;
    }
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    b->options.log(b->options.user, level, text);
}

static void free_all(bus_nng *b)
{
    bus_link_fini(&b->link);
    number_table_fini(&b->ports);
    free(b->control_url);
    free(b->software);
    free(b);
}

static void on_handle_closed(uv_handle_t *handle)
{
    bus_nng *b = handle->data;
    if (--b->handles > 0) {
        return;
    }
    void (*closed)(void *user) = b->closed;
    void *user = b->closed_user;
    free_all(b);
    if (closed != NULL) {
        closed(user);
    }
}

static void close_handles(bus_nng *b)
{
    nng_closings_close(b->closings);
    uv_handle_t *all[] = {(uv_handle_t *)&b->wake, (uv_handle_t *)&b->prepare, (uv_handle_t *)&b->check,
                          (uv_handle_t *)&b->timer};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        uv_close(all[i], on_handle_closed);
    }
}

static void finish(bus_nng *b)
{
    b->state = BUS_NNG_CLOSED;
    bus_nng_close_sockets(b);
    control_client_close(b->control, b->closings);
    b->control = NULL;
    b->close_until_ms = uv_now(b->loop) + NNG_CLOSING_MAX_MS;
    void *port;
    for (size_t at = 0; number_table_next(&b->ports, &at, &port);) {
        bus_port_free(port);
    }
    number_table_fini(&b->ports);
}

static void finish_closing(bus_nng *b)
{
    unsigned left = nng_closings_left(b->closings);
    if (uv_is_closing((uv_handle_t *)&b->wake) || (left > 0 && uv_now(b->loop) < b->close_until_ms)) {
        return;
    }
    if (left > 0) {
        bus_nng_log(b, 1, "sockets are abandoned, nng does not close them count=%u", left);
    }
    close_handles(b);
}

/* Everything written must have been acknowledged, so that nothing dies with the sockets. */
static void drain(bus_nng *b)
{
    if (b->state != BUS_NNG_UP || bus_link_drained(&b->link) || uv_now(b->loop) >= b->drain_until_ms) {
        finish(b);
        return;
    }
    uint8_t probe[BUS_TOPIC_MAX + BUS_HEADER_MAX];
    size_t len;
    bus_link_probe(&b->link, probe, &len);
    (void)!nng_send_copy(b->push, (loom_bytes){probe, len});
}

static void turn(bus_nng *b)
{
    if (b->state == BUS_NNG_CLOSED) {
        return;
    }
    bus_nng_turn(b);
    bus_nng_flush(b);
}

static void on_wake(uv_async_t *wake)
{
    bus_nng *b = wake->data;
    turn(b);
    if (b->closing && b->state != BUS_NNG_CLOSED && (b->state != BUS_NNG_UP || bus_link_drained(&b->link))) {
        finish(b);
    }
    if (b->state == BUS_NNG_CLOSED) {
        finish_closing(b);
    }
}

static void on_timer(uv_timer_t *timer)
{
    bus_nng *b = timer->data;
    turn(b);
    if (b->closing && b->state != BUS_NNG_CLOSED) {
        drain(b);
    }
    if (b->state == BUS_NNG_CLOSED) {
        finish_closing(b);
    }
}

static void on_prepare(uv_prepare_t *prepare)
{
    bus_nng_flush(prepare->data);
}

static void on_check(uv_check_t *check)
{
    bus_nng_flush(check->data);
}

static loom_status open_handles(bus_nng *b)
{
    if (uv_async_init(b->loop, &b->wake, on_wake) != 0) {
        return LOOM_EIO;
    }
    uv_prepare_init(b->loop, &b->prepare); /* these three cannot fail */
    uv_check_init(b->loop, &b->check);
    uv_timer_init(b->loop, &b->timer);
    b->wake.data = b->prepare.data = b->check.data = b->timer.data = b;
    b->handles = 4;
    uv_prepare_start(&b->prepare, on_prepare);
    uv_check_start(&b->check, on_check);
    uv_timer_start(&b->timer, on_timer, 0, TICK_FAST_MS);
    return LOOM_OK;
}

static loom_status set_options(bus_nng *b, const bus_nng_options *options)
{
    b->options = *options;
    b->options.buffer_bytes = options->buffer_bytes > 0 ? options->buffer_bytes : BUFFER_BYTES;
    b->options.ping_ms = options->ping_ms > 0 ? options->ping_ms : PING_MS;
    b->options.answer_ms = options->answer_ms > 0 ? options->answer_ms : ANSWER_MS;
    b->control_url = strdup(options->control);
    b->software = strdup(options->software != NULL ? options->software : "");
    strcpy(b->bridge_id, options->bridge_id); /* its length was checked */
    return b->control_url != NULL && b->software != NULL ? LOOM_OK : LOOM_ENOMEM;
}

loom_status bus_nng_open(bus_nng **out, uv_loop_t *loop, const bus_nng_options *options)
{
    *out = NULL;
    loom_str id = {options->bridge_id, options->bridge_id != NULL ? strlen(options->bridge_id) : 0};
    if (options->control == NULL || !bus_bridge_id_valid(id)) {
        return LOOM_EINVAL;
    }
    bus_nng *b = calloc(1, sizeof *b);
    if (b == NULL) {
        return LOOM_ENOMEM;
    }
    b->base.ops = &bus_nng_ops;
    b->loop = loop;
    b->next_session = b->next_request = 1;
    bus_link_init(&b->link, (loom_bytes){NULL, 0}, id);
    loom_status st = set_options(b, options);
    if (st != LOOM_OK || (st = open_handles(b)) != LOOM_OK) {
        free_all(b);
        return st;
    }
    if ((st = nng_closings_open(&b->closings, &b->wake)) != LOOM_OK ||
        (st = control_client_open(&b->control, b->control_url, b->options.answer_ms, &b->wake)) != LOOM_OK) {
        b->state = BUS_NNG_CLOSED;
        close_handles(b);
        return st;
    }
    *out = b;
    return LOOM_OK;
}

bus *bus_nng_bus(bus_nng *b)
{
    return &b->base;
}

void bus_nng_close(bus_nng *b, uint32_t drain_ms, void (*closed)(void *user), void *user)
{
    b->closing = true;
    b->closed = closed;
    b->closed_user = user;
    b->drain_until_ms = uv_now(b->loop) + drain_ms;
    bus_nng_flush(b);
    uv_timer_start(&b->timer, on_timer, 0, TICK_FAST_MS);
}

bus_nng_stats bus_nng_get_stats(const bus_nng *b)
{
    bus_nng_stats s = b->stats;
    s.sent = b->link.stats.sent;
    s.received = b->link.stats.received;
    s.gaps = b->link.stats.gaps;
    s.resent = b->link.stats.resent;
    s.unsent_bytes = bus_link_unsent(&b->link);
    s.ports = (uint32_t)b->ports.count;
    s.connected = b->state == BUS_NNG_UP;
    return s;
}
