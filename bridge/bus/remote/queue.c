/* SPDX-License-Identifier: Apache-2.0 */
/* What waits for the broker, in messages ready to be sent. The connection is given only a little ahead: what it has when it
 * breaks may be lost, what is still here is not. */
#include <stdlib.h>

#include "bridge/bus/remote/internal.h"

enum { AHEAD_BYTES = 256 * 1024 };

remote_chunk *remote_queue_open(remote_queue *q)
{
    if (q->last != NULL && q->last->out.w.len <= BUS_MESSAGE_TARGET) {
        return q->last;
    }
    remote_chunk *chunk = q->spare != NULL ? q->spare : calloc(1, sizeof *chunk);
    if (chunk == NULL) {
        return NULL;
    }
    q->spare = NULL;
    if (q->last != NULL) {
        q->bytes += q->last->out.w.len;
        q->last->next = chunk;
    } else {
        q->first = chunk;
    }
    q->last = chunk;
    q->added++;
    return chunk;
}

frame_writer *remote_queue_writer(remote_queue *q, uint64_t session)
{
    remote_chunk *chunk = remote_queue_open(q);
    return chunk != NULL ? bus_outgoing_to(&chunk->out, session) : NULL;
}

static frame_writer *writer(bus_port *port, size_t size, bool last)
{
    bus_remote *b = port->owner;
    if (b->state != REMOTE_UP) {
        return NULL;
    }
    const bool hold = last && b->hold_until_ms != 0 && b->held.first != NULL;
    frame_writer *w = hold ? remote_queue_writer(&b->held, port->session) : remote_stream_writer(port, size);
    b->must_reattach = b->must_reattach || w == NULL;
    return w;
}

frame_writer *remote_port_writer(bus_port *port)
{
    return writer(port, 0, false);
}

frame_writer *remote_port_large_writer(bus_port *port, size_t size)
{
    return writer(port, size, false);
}

frame_writer *remote_port_last_writer(bus_port *port, size_t size)
{
    return writer(port, size, true);
}

void remote_port_wrote(bus_port *port, loom_status st)
{
    bus_remote *b = port->owner;
    b->must_reattach = b->must_reattach || st != LOOM_OK; /* the broker and this side differ now */
}

static void chunk_free(remote_chunk *chunk)
{
    if (chunk != NULL) {
        frame_writer_fini(&chunk->out.w);
        free(chunk);
    }
}

/* The first one, which then belongs to the caller. */
static remote_chunk *take(remote_queue *q)
{
    remote_chunk *chunk = q->first;
    q->gone++;
    if (chunk == q->last) {
        q->first = q->last = NULL;
    } else {
        q->first = chunk->next;
        q->bytes -= chunk->out.w.len;
    }
    return chunk;
}

/* One is kept with its memory for the next round. */
static void drop(remote_queue *q, remote_chunk *chunk)
{
    if (q->spare != NULL) {
        chunk_free(chunk);
        return;
    }
    bus_outgoing_clear(&chunk->out);
    chunk->envelopes = 0;
    chunk->next = NULL;
    q->spare = chunk;
}

void remote_queue_fini(remote_queue *q)
{
    while (q->first != NULL) {
        chunk_free(take(q));
    }
    chunk_free(q->spare);
    *q = (remote_queue){0};
}

uint64_t remote_queue_envelopes(const remote_queue *q)
{
    uint64_t count = 0;
    for (const remote_chunk *chunk = q->first; chunk != NULL; chunk = chunk->next) {
        count += chunk->envelopes;
    }
    return count;
}

loom_status remote_queue_send(bus_remote *b)
{
    remote_queue *q = &b->queue;
    b->lane_goes_on = false; /* while the kernel takes nothing, it tells when it does */
    while (q->first != NULL && q->first->out.w.len > 0) {
        if (sp_peer_unsent(b->peer) >= AHEAD_BYTES) {
            sp_peer_flush(b->peer);
            if (sp_peer_unsent(b->peer) >= AHEAD_BYTES) {
                return LOOM_OK; /* goes on when the kernel has taken some */
            }
        }
        frame_writer *w = &q->first->out.w;
        frame_writer_seal(w);
        loom_status st = sp_peer_send(b->peer, &(loom_bytes){w->data, w->len}, 1);
        if (st != LOOM_OK) {
            return st == LOOM_ENOTCONN ? LOOM_OK : st; /* its end is about to be told */
        }
        b->ledger.sent += q->first->envelopes;
        b->stats.sent++;
        b->lane_passed = b->lane.first != NULL ? b->lane_passed + w->len : 0;
        drop(q, take(q));
        if (b->lane_passed >= BUS_PART_SIZE && (st = remote_lane_send(b)) != LOOM_OK) {
            return st;
        }
    }
    sp_peer_flush(b->peer);
    return remote_lane_send(b);
}

/* On a new connection what else was written has been said again by the replay, and a session that has left is unknown. */
uint64_t remote_frames_carry(bus_remote *b, remote_queue *queue, loom_bytes frames, bool same_connection)
{
    char reason[FRAME_REASON_SIZE];
    uint64_t session = 0, lost = 0;
    bus_frame f;
    for (;;) {
        loom_bytes bytes = {frames.data, 0};
        loom_status st = bus_frame_next(&frames, &f, reason);
        if (st == LOOM_ENOTFOUND) {
            return lost;
        }
        bytes.len = (size_t)(frames.data - bytes.data);
        if (st == LOOM_OK && f.type == BUS_FRAME_SESSION) {
            session = f.number;
        } else if (st == LOOM_OK && (f.type == FRAME_PUBLISH || same_connection)) {
            const uint64_t envelopes = f.type == FRAME_PUBLISH ? f.link.u.batch.count : 0;
            const bool known = same_connection || number_table_get(&b->ports, session) != NULL;
            frame_writer *w = known ? remote_queue_writer(queue, session) : NULL;
            if (w == NULL || bus_put_raw(w, bytes) != LOOM_OK) {
                lost += envelopes;
                b->must_reattach = b->must_reattach || envelopes == 0; /* the broker waits for a goodbye that does not come */
            } else {
                queue->last->envelopes += envelopes;
            }
        }
    }
}

uint64_t remote_queue_carry(bus_remote *b, remote_queue *to, remote_queue *old, bool same_connection)
{
    uint64_t lost = 0;
    while (old->first != NULL) {
        remote_chunk *chunk = take(old);
        frame_writer_seal(&chunk->out.w);
        lost += remote_frames_carry(b, to, (loom_bytes){chunk->out.w.data, chunk->out.w.len}, same_connection);
        chunk_free(chunk);
    }
    remote_queue_fini(old);
    return lost;
}
