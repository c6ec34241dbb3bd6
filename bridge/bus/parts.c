/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/bus/parts.h"

#include <stdio.h>
#include <string.h>

static loom_status refuse(loom_status st, const char *why, char reason[FRAME_REASON_SIZE])
{
    snprintf(reason, FRAME_REASON_SIZE, "%s", why);
    return st;
}

loom_status bus_parts_take(bus_parts *p, shared_pool *pool, uint64_t session, const bus_frame *part, loom_bytes *whole,
                           char reason[FRAME_REASON_SIZE])
{
    const loom_bytes bytes = part->part;
    *whole = (loom_bytes){NULL, 0};
    if (bytes.len == 0) {
        return refuse(LOOM_EPROTO, "a part of a frame is empty", reason);
    }
    if (p->block == NULL) {
        if (part->number > FRAME_HEADER_SIZE + FRAME_MAX - bytes.len) {
            return refuse(LOOM_ETOOBIG, "a frame in parts is over the limit", reason);
        }
        p->block = shared_bytes_create(pool, bytes.len + (size_t)part->number);
        if (p->block == NULL) {
            return refuse(LOOM_ENOMEM, "out of memory", reason);
        }
        p->have = 0;
        p->left = bytes.len + (size_t)part->number;
        p->session = session;
    } else if (session != p->session) {
        return refuse(LOOM_EPROTO, "a part is of another session than the frame that is under way", reason);
    }
    if (bytes.len > p->left || part->number != p->left - bytes.len) {
        return refuse(LOOM_EPROTO, "a part does not continue the frame that is under way", reason);
    }
    memcpy(p->block->data + p->have, bytes.data, bytes.len);
    p->have += bytes.len;
    p->left -= bytes.len;
    if (p->left == 0) {
        *whole = (loom_bytes){p->block->data, p->have};
    }
    return LOOM_OK;
}

/* What concerns the connection is never large. */
static bool may_be_in_parts(unsigned type)
{
    return type == BUS_FRAME_FANOUT || type == BUS_FRAME_GIVE_BACK || type < BUS_FRAME_SESSION;
}

loom_status bus_parts_read(loom_bytes whole, bus_frame *f, char reason[FRAME_REASON_SIZE])
{
    loom_status st = bus_frame_next(&whole, f, reason);
    if (st == LOOM_OK && whole.len > 0) {
        return refuse(LOOM_EMALFORMED, "bytes after a frame that came in parts", reason);
    }
    if (st == LOOM_OK && !may_be_in_parts(f->type)) {
        snprintf(reason, FRAME_REASON_SIZE, "frame of type %u does not come in parts", f->type);
        return LOOM_EPROTO;
    }
    return st;
}

void bus_parts_clear(bus_parts *p)
{
    shared_bytes_unref(p->block);
    *p = (bus_parts){0};
}

loom_status bus_parts_pass(bus_parts *p, shared_pool *pool, uint64_t session, const bus_frame *part, bus_frame_taker take, void *user,
                           char reason[FRAME_REASON_SIZE])
{
    loom_bytes whole;
    bus_frame f;
    loom_status st = bus_parts_take(p, pool, session, part, &whole, reason);
    if (st != LOOM_OK || whole.len == 0) {
        return st;
    }
    st = bus_parts_read(whole, &f, reason);
    if (st == LOOM_OK) {
        p->whole = p->block;
        st = take(user, &f, &session, reason);
    }
    bus_parts_clear(p);
    return st == LOOM_EVERSION ? LOOM_OK : st;
}
