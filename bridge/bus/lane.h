/* SPDX-License-Identifier: Apache-2.0 */
/* The slow lane of a bridge bus connection: large frames, which leave in parts between everybody else's messages, and what
 * their sessions say after them. A session that has something in the lane goes on in it, so that its order holds; all others
 * pass by. One frame is under way at a time, so the other end keeps one unfinished frame and no more (parts.h).
 *
 * A large envelope in shared memory is not copied: its head is in the frame, with the context of its hop, and the rest stays
 * where it lies.
 * Threads: the loop's. */
#ifndef LOOM_BRIDGE_BUS_LANE_H
#define LOOM_BRIDGE_BUS_LANE_H

#include "base/shared_bytes.h"
#include "envelope/frame/bus_message.h"

enum {
    BUS_PART_SIZE = 64 * 1024,
    BUS_PARTS_MS = 100,        /* so long after others have said something: later than that, large frames leave whole */
    BUS_LANE_SLICES = 4
};

/* One large frame, or none, and frames that come after it. */
typedef struct lane_item {
    struct lane_item *next;
    uint64_t session;      /* of the large frame */
    uint64_t behind;       /* the caller's count of messages that have to leave before it */
    frame_writer frame;    /* the large one, without what is shared; sealed when its first part leaves */
    size_t split;          /* where what is shared belongs in it */
    shared_bytes *block;   /* NULL: nothing is shared */
    loom_bytes rest;       /* of the block */
    bus_fanout fanout;     /* of a delivery */
    size_t sent;           /* of the large frame */
    uint64_t envelopes;    /* published ones in the large frame */
    bus_outgoing after;
    uint64_t after_envelopes;
} lane_item;

/* All zero: empty. */
typedef struct bus_lane {
    lane_item *first, *last;
    uint64_t gone;   /* items that have left */
    uint64_t added;
    size_t bytes;    /* of all but the last */
    size_t taken;    /* of the first: given out by bus_lane_next() */
    uint8_t head[64];
} bus_lane;

/* Whether a session that has last said something in this item (0: none) has to go on in the lane. */
static inline bool bus_lane_holds(const bus_lane *l, uint64_t item)
{
    return item > l->gone;
}
/* Whether a part may leave: the connection has little to send, or much has passed the lane since the last one. One leaves in
 * each round, so that others of the loop have their turns. */
static inline bool bus_lane_takes_part(size_t unsent, size_t passed)
{
    return unsent < BUS_PART_SIZE || passed >= BUS_PART_SIZE;
}
size_t bus_lane_bytes(const bus_lane *l);
uint64_t bus_lane_envelopes(const bus_lane *l);

/* A new item at the end, number l->added, in whose frame one large frame of this session is to be written. If that fails the
 * frame is cleared. NULL: out of memory. */
lane_item *bus_lane_add(bus_lane *l, uint64_t session, uint64_t behind);
/* Writes a publish frame of this envelope into it. LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status lane_item_publish(lane_item *item, const envelope_view *view);
/* Where frames of sessions in the lane go: behind all that is in it. The item is number l->added. NULL: out of memory. */
lane_item *bus_lane_end(bus_lane *l);
/* A large delivery, in item l->added: only its target, when the envelope is the one added last. pool: for a copy of one that
 * is not shared; may be NULL. LOOM_ENOMEM: nothing was appended. */
LOOM_MUST_CHECK loom_status bus_lane_deliver(bus_lane *l, shared_pool *pool, uint64_t session, uint64_t subscription,
                                             const envelope_view *view);

/* What leaves next, as one message. most: bytes of a part; a frame that is not larger goes whole. sent: messages that have
 * left beside the lane. Returns how many slices; 0: nothing, or nothing yet. They are valid until the lane is used again. */
size_t bus_lane_next(bus_lane *l, size_t most, uint64_t sent, loom_bytes slices[BUS_LANE_SLICES]);
/* It has left. Returns how many published envelopes are complete with it. */
uint64_t bus_lane_sent(bus_lane *l);
/* Its first frame is to leave from its beginning again: what has left of it went over a connection that has ended. */
void bus_lane_restart(bus_lane *l);
/* Removes all. What is added later has numbers behind theirs. */
void bus_lane_clear(bus_lane *l);

/* Bytes of a frame that may be large, about. */
static inline size_t bus_frame_weight(const frame *f)
{
    return f->type == FRAME_RESULT ? f->u.result.payload.len : f->type == FRAME_REPORT ? f->u.report.payload.len : 0;
}

#endif
