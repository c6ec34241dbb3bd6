/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and closing. The uv handles live inside the object, which is freed when the last of them is closed. */
#include "bridge/bus/remote/remote.h"

#include <stdlib.h>
#include <string.h>

#include "bridge/bus/remote/internal.h"

enum { BUFFER_BYTES = 4 * 1024 * 1024, PING_MS = 2000, SILENCE_MS = 10000, DRAIN_TICK_MS = 20 };

static void free_all(bus_remote *b)
{
    remote_queue_fini(&b->queue);
    remote_queue_fini(&b->held);
    bus_lane_clear(&b->lane);
    bus_parts_clear(&b->parts);
    shared_pool_close(b->blocks);
    frame_writer_fini(&b->scratch);
    number_table_fini(&b->ports);
    hash_index_fini(&b->standing);
    free(b->url);
    free(b->software);
    free(b);
}

static void on_handle_closed(uv_handle_t *handle)
{
    bus_remote *b = handle->data;
    if (--b->handles > 0) {
        return;
    }
    void (*closed)(void *user, const bus_remote_losses *lost) = b->closed;
    void *user = b->closed_user;
    const bus_remote_losses lost = b->lost;
    free_all(b);
    if (closed != NULL) {
        closed(user, &lost);
    }
}

static void finish(bus_remote *b)
{
    void *port;
    if (b->state == REMOTE_CLOSED) {
        return;
    }
    const uint64_t queued = remote_queue_envelopes(&b->queue) + remote_queue_envelopes(&b->held);
    b->lost = (bus_remote_losses){queued + bus_lane_envelopes(&b->lane), b->state == REMOTE_UP ? bus_ledger_unconfirmed(&b->ledger) : 0};
    b->state = REMOTE_CLOSED;
    sp_peer_close(b->peer);
    b->peer = NULL;
    for (size_t at = 0; number_table_next(&b->ports, &at, &port);) {
        remote_port_end(port);
    }
    remote_ended_finish(b);
    number_table_fini(&b->ports);
    uv_close((uv_handle_t *)&b->prepare, on_handle_closed);
    uv_close((uv_handle_t *)&b->check, on_handle_closed);
    uv_close((uv_handle_t *)&b->timer, on_handle_closed);
    uv_close((uv_handle_t *)&b->turns, on_handle_closed);
    remote_spans_close(b, on_handle_closed);
}

static void round_end(bus_remote *b)
{
    remote_flush(b);
    if (b->closing && remote_drained(b)) {
        finish(b);
    }
}

/* In the next round, whether or not something happens until then. What the kernel did not take it tells of when it can. */
static bool goes_on(const bus_remote *b)
{
    return b->ended.first != NULL || b->lane_goes_on ||
           (b->state == REMOTE_UP && (b->must_reattach || remote_spans_are_due(b) || (b->due.first != NULL && !remote_is_behind(b))));
}

static void on_turns(uv_idle_t *turns)
{
    remote_ended_take_turn(turns->data);
}

static void on_prepare(uv_prepare_t *prepare)
{
    bus_remote *b = prepare->data;
    round_end(b);
    if (!goes_on(b)) {
        uv_idle_stop(&b->turns);
    } else if (b->state != REMOTE_CLOSED) {
        uv_idle_start(&b->turns, on_turns);
    }
}

static void on_check(uv_check_t *check)
{
    round_end(check->data);
}

static loom_status set_options(bus_remote *b, const bus_remote_options *options)
{
    b->options = *options;
    b->log = (log_sink){options->log, options->user};
    b->options.buffer_bytes = options->buffer_bytes > 0 ? options->buffer_bytes : BUFFER_BYTES;
    b->options.ping_ms = options->ping_ms > 0 ? options->ping_ms : PING_MS;
    b->options.parts_ms = options->parts_ms > 0 ? options->parts_ms : BUS_PARTS_MS;
    b->options.silence_ms = options->silence_ms > 0 ? options->silence_ms : SILENCE_MS;
    b->url = strdup(options->url);
    b->software = strdup(options->software != NULL ? options->software : "");
    memcpy(b->bridge_id, options->bridge_id, strlen(options->bridge_id) + 1); /* bus_bridge_id_valid() saw that it fits */
    b->blocks = shared_pool_create();
    return b->url != NULL && b->software != NULL && b->blocks != NULL ? LOOM_OK : LOOM_ENOMEM;
}

loom_status bus_remote_open(bus_remote **out, uv_loop_t *loop, const bus_remote_options *options)
{
    *out = NULL;
    if (options->url == NULL || options->bridge_id == NULL ||
        !bus_bridge_id_valid((loom_str){options->bridge_id, strlen(options->bridge_id)})) {
        return LOOM_EINVAL;
    }
    bus_remote *b = calloc(1, sizeof *b);
    if (b == NULL) {
        return LOOM_ENOMEM;
    }
    b->base.ops = &remote_ops;
    b->loop = loop;
    b->next_session = b->next_request = 1;
    crypto_shorthash_keygen(b->key);
    hash_index_init(&b->standing);
    loom_status st = set_options(b, options);
    if (st == LOOM_OK) {
        st = remote_dial(b);
    }
    if (st != LOOM_OK) {
        free_all(b);
        return st;
    }
    uv_prepare_init(loop, &b->prepare); /* these four cannot fail */
    uv_check_init(loop, &b->check);
    uv_timer_init(loop, &b->timer);
    uv_idle_init(loop, &b->turns);
    b->prepare.data = b->check.data = b->timer.data = b->turns.data = b;
    b->handles = 4;
    remote_spans_open(b);
    uv_prepare_start(&b->prepare, on_prepare);
    uv_check_start(&b->check, on_check);
    *out = b;
    return LOOM_OK;
}

bus *bus_remote_bus(bus_remote *b)
{
    return &b->base;
}

static void on_drain_timer(uv_timer_t *timer)
{
    bus_remote *b = timer->data;
    if (uv_now(b->loop) >= b->drain_until_ms) {
        finish(b);
        return;
    }
    remote_tick(b); /* asks the broker for what it has taken */
}

void bus_remote_close(bus_remote *b, uint32_t drain_ms, void (*closed)(void *user, const bus_remote_losses *lost),
                      void *user)
{
    b->closing = true;
    b->closed = closed;
    b->closed_user = user;
    b->drain_until_ms = uv_now(b->loop) + drain_ms;
    b->options.silence_ms = UINT32_MAX; /* the deadline is the drain's */
    uv_timer_start(&b->timer, on_drain_timer, 0, DRAIN_TICK_MS);
}

bus_remote_stats bus_remote_get_stats(const bus_remote *b)
{
    bus_remote_stats s = b->stats;
    s.unsent_bytes = remote_unsent(b);
    s.ports = (uint32_t)b->ports.count;
    s.connected = b->state == REMOTE_UP;
    s.draining = b->draining;
    return s;
}
