/* SPDX-License-Identifier: Apache-2.0 */
/* A large frame that comes in parts over a bridge bus connection (lane.h sends them). One at a time, so that a connection
 * costs the memory of one frame at most.
 * Threads: the loop's. */
#ifndef LOOM_BRIDGE_BUS_PARTS_H
#define LOOM_BRIDGE_BUS_PARTS_H

#include "base/shared_bytes.h"
#include "envelope/frame/bus_message.h"

/* All zero: none. */
typedef struct bus_parts {
    shared_bytes *block; /* what has come of the frame; NULL: none is under way */
    size_t have, left;
    uint64_t session;
    shared_bytes *whole; /* the block, while the frame in it is being taken; else NULL */
} bus_parts;

typedef loom_status (*bus_frame_taker)(void *user, bus_frame *f, uint64_t *session, char reason[FRAME_REASON_SIZE]);
/* Takes a part. What came in parts is one frame, as if it stood where its last part does: with that one, take() gets it. Its
 * status, or that of the two below; a frame of an unknown type is stepped over. */
LOOM_MUST_CHECK loom_status bus_parts_pass(bus_parts *p, shared_pool *pool, uint64_t session, const bus_frame *part,
                                           bus_frame_taker take, void *user, char reason[FRAME_REASON_SIZE]);

/* Takes a part of a frame of this session. *whole: the frame, once this was its last part; in p->block until
 * bus_parts_clear(), which is to be called then. LOOM_OK without one: more have to come. LOOM_EPROTO, LOOM_ETOOBIG: it does
 * not continue what came, or is no part of any frame; reason says so. LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status bus_parts_take(bus_parts *p, shared_pool *pool, uint64_t session, const bus_frame *part,
                                           loom_bytes *whole, char reason[FRAME_REASON_SIZE]);
/* Reads it: one frame, and nothing else, that may come in parts. */
LOOM_MUST_CHECK loom_status bus_parts_read(loom_bytes whole, bus_frame *f, char reason[FRAME_REASON_SIZE]);
void bus_parts_clear(bus_parts *p);

#endif
