/* SPDX-License-Identifier: Apache-2.0 */
/* Large frames for the broker, which leave in parts beside everybody else's (../lane.h), and where a port's frames go because
 * of them. Not in the first moments of a broker, when publishes are held, nor to one that does not take parts. */
#include <string.h>

#include "bridge/bus/remote/internal.h"

static bool in_parts(const bus_remote *b, size_t size)
{
    return size >= SHARED_BYTES_MIN && b->broker_takes_parts && b->state == REMOTE_UP && b->hold_until_ms == 0;
}

/* What is in the queue now has to leave first. */
static uint64_t behind_queue(const bus_remote *b)
{
    const remote_queue *q = &b->queue;
    return q->added - (q->last != NULL && q->last->out.w.len == 0);
}

static lane_item *begin(bus_port *port)
{
    bus_remote *b = port->owner;
    lane_item *item = bus_lane_add(&b->lane, port->session, behind_queue(b));
    if (item != NULL) {
        port->lane_item = b->lane.added;
    }
    return item;
}

/* NULL: out of memory. */
static lane_item *go_on(bus_port *port)
{
    bus_remote *b = port->owner;
    lane_item *item = bus_lane_end(&b->lane);
    if (item != NULL) {
        port->lane_item = b->lane.added;
    }
    return item;
}

frame_writer *remote_stream_writer(bus_port *port, size_t size)
{
    bus_remote *b = port->owner;
    if (in_parts(b, size)) {
        lane_item *item = begin(port);
        return item != NULL ? &item->frame : NULL;
    }
    if (bus_lane_holds(&b->lane, port->lane_item)) {
        lane_item *item = go_on(port);
        return item != NULL ? bus_outgoing_to(&item->after, port->session) : NULL;
    }
    return remote_queue_writer(&b->queue, port->session);
}

static loom_status put(frame_writer *w, const envelope_view *view, uint64_t *count)
{
    uint8_t *room = w != NULL ? frame_publish_begin(w, view->len) : NULL;
    if (room == NULL) {
        return LOOM_ENOMEM;
    }
    memcpy(room, view->data, view->len);
    frame_batch_commit(w, view->len);
    ++*count;
    return LOOM_OK;
}

loom_status remote_publish(bus_port *port, const envelope_view *view)
{
    bus_remote *b = port->owner;
    remote_queue *queue = b->hold_until_ms == 0 ? &b->queue : &b->held;
    if (in_parts(b, view->len)) {
        lane_item *item = begin(port);
        return item != NULL ? lane_item_publish(item, view) : LOOM_ENOMEM;
    }
    if (queue == &b->queue && bus_lane_holds(&b->lane, port->lane_item)) {
        lane_item *item = go_on(port);
        return item != NULL ? put(bus_outgoing_to(&item->after, port->session), view, &item->after_envelopes) : LOOM_ENOMEM;
    }
    remote_chunk *chunk = remote_queue_open(queue);
    return chunk != NULL ? put(bus_outgoing_to(&chunk->out, port->session), view, &chunk->envelopes) : LOOM_ENOMEM;
}

frame_writer *remote_last_writer(bus_remote *b)
{
    if (b->lane.first == NULL) {
        remote_chunk *chunk = remote_queue_open(&b->queue);
        return chunk != NULL ? &chunk->out.w : NULL;
    }
    lane_item *item = bus_lane_end(&b->lane);
    if (item == NULL) {
        return NULL;
    }
    item->behind = behind_queue(b);
    return &item->after.w;
}

void remote_port_speaks(bus_port *port)
{
    bus_remote *b = port->owner;
    if (b->speaker != port->session) {
        b->speaker = port->session;
        b->speaker_ms = uv_now(b->loop);
    }
}

/* Alone, it is in nobody's way. */
static size_t part_size(const bus_remote *b)
{
    return uv_now(b->loop) - b->speaker_ms > b->options.parts_ms ? SIZE_MAX : BUS_PART_SIZE;
}

static bool takes_part(const bus_remote *b)
{
    return b->lane.first != NULL && bus_lane_takes_part(sp_peer_unsent(b->peer), b->lane_passed);
}

loom_status remote_lane_send(bus_remote *b)
{
    bus_lane *l = &b->lane;
    loom_bytes slices[BUS_LANE_SLICES];
    b->lane_goes_on = false;
    sp_peer_limit(b->peer, l->first != NULL && part_size(b) == BUS_PART_SIZE ? BUS_PART_SIZE : 0);
    if (!takes_part(b)) {
        return LOOM_OK;
    }
    const size_t count = bus_lane_next(l, part_size(b), b->queue.gone, slices);
    const loom_status st = count > 0 ? sp_peer_send(b->peer, slices, count) : LOOM_ENOTCONN;
    if (st != LOOM_OK) {
        return st == LOOM_ENOTCONN ? LOOM_OK : st; /* its end is about to be told */
    }
    b->ledger.sent += bus_lane_sent(l);
    b->stats.sent++;
    b->lane_passed -= b->lane_passed < BUS_PART_SIZE ? b->lane_passed : BUS_PART_SIZE;
    sp_peer_flush(b->peer); /* what the kernel does not take now it tells of when it can: the lane goes on then */
    b->lane_goes_on = takes_part(b);
    return LOOM_OK;
}

uint64_t remote_lane_carry(bus_remote *b, remote_queue *to, bus_lane *old)
{
    loom_bytes slices[BUS_LANE_SLICES];
    uint64_t lost = 0;
    bus_lane_restart(old);
    for (size_t count; (count = bus_lane_next(old, SIZE_MAX, UINT64_MAX, slices)) > 0;) {
        frame_writer flat = {0};
        loom_status st = LOOM_OK;
        for (size_t i = 0; i < count && st == LOOM_OK; i++) {
            st = bus_put_raw(&flat, slices[i]);
        }
        const uint64_t envelopes = bus_lane_sent(old);
        lost += st == LOOM_OK ? remote_frames_carry(b, to, (loom_bytes){flat.data, flat.len}, false) : envelopes;
        frame_writer_fini(&flat);
    }
    return lost;
}
