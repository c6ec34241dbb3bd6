/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/bus/lane.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static size_t frame_len(const lane_item *item)
{
    return item->frame.len + item->rest.len;
}

static size_t item_bytes(const lane_item *item)
{
    return frame_len(item) - item->sent + item->after.w.len;
}

size_t bus_lane_bytes(const bus_lane *l)
{
    return l->bytes + (l->last != NULL ? item_bytes(l->last) : 0);
}

uint64_t bus_lane_envelopes(const bus_lane *l)
{
    uint64_t count = 0;
    for (const lane_item *item = l->first; item != NULL; item = item->next) {
        count += item->envelopes + item->after_envelopes;
    }
    return count;
}

static void item_free(lane_item *item)
{
    shared_bytes_unref(item->block);
    frame_writer_fini(&item->frame);
    frame_writer_fini(&item->after.w);
    free(item);
}

static void remove_first(bus_lane *l)
{
    lane_item *item = l->first;
    l->bytes -= item != l->last ? item_bytes(item) : 0;
    l->first = item->next;
    l->last = l->first != NULL ? l->last : NULL;
    l->gone++;
    item_free(item);
}

/* ---- in ---- */

lane_item *bus_lane_add(bus_lane *l, uint64_t session, uint64_t behind)
{
    lane_item *item = calloc(1, sizeof *item);
    if (item == NULL) {
        return NULL;
    }
    item->session = session;
    item->behind = behind;
    if (l->last != NULL) {
        l->bytes += item_bytes(l->last);
        l->last->next = item;
    } else {
        l->first = item;
    }
    l->last = item;
    l->added++;
    return item;
}

static void share(lane_item *item, shared_bytes *block, const envelope_view *view)
{
    item->split = item->frame.len;
    item->block = shared_bytes_ref(block);
    item->rest = (loom_bytes){block->data + (size_t)(view->data - block->data) + ENVELOPE_HEAD, view->len - ENVELOPE_HEAD};
}

loom_status lane_item_publish(lane_item *item, const envelope_view *view)
{
    const size_t head = view->shared != NULL ? ENVELOPE_HEAD : view->len;
    uint8_t *room = frame_publish_begin(&item->frame, head);
    if (room == NULL) {
        return LOOM_ENOMEM;
    }
    memcpy(room, view->data, head);
    frame_batch_commit(&item->frame, head);
    if (view->shared != NULL) {
        share(item, view->shared, view);
    }
    item->envelopes = 1;
    return LOOM_OK;
}

lane_item *bus_lane_end(bus_lane *l)
{
    assert(l->last != NULL);
    return l->last->after.w.len <= BUS_MESSAGE_TARGET ? l->last : bus_lane_add(l, 0, l->last->behind);
}

/* Equal bytes are one envelope, as for small ones. */
static bool is_same(const lane_item *item, const envelope_view *view)
{
    const bus_fanout *f = &item->fanout;
    return item->block != NULL && item->sent == 0 && item->after.w.len == 0 && f->envelope_len == view->len && f->targets > 0 &&
           f->targets < BUS_FANOUT_TARGETS && memcmp(item->frame.data + f->envelope_at, view->data, ENVELOPE_HEAD) == 0 &&
           (item->rest.data == view->data + ENVELOPE_HEAD || memcmp(item->rest.data, view->data + ENVELOPE_HEAD, item->rest.len) == 0);
}

loom_status bus_lane_deliver(bus_lane *l, shared_pool *pool, uint64_t session, uint64_t subscription, const envelope_view *view)
{
    if (l->last != NULL && is_same(l->last, view)) {
        return bus_put_target(&l->last->frame, &l->last->fanout, session, subscription);
    }
    shared_bytes *block = view->shared != NULL ? shared_bytes_ref(view->shared) : shared_bytes_create(pool, view->len);
    envelope_view where = *view;
    if (block != NULL && view->shared == NULL) {
        where.data = memcpy(block->data, view->data, view->len);
    }
    lane_item *item = block != NULL ? bus_lane_add(l, 0, 0) : NULL;
    const loom_bytes head = {where.data, ENVELOPE_HEAD};
    loom_status st = item != NULL ? bus_put_fanout_head(&item->frame, &item->fanout, head, view->len) : LOOM_ENOMEM;
    if (st == LOOM_OK) {
        st = bus_put_target(&item->frame, &item->fanout, session, subscription);
    }
    if (st == LOOM_OK) {
        share(item, block, &where);
        item->split = item->fanout.envelope_at + ENVELOPE_HEAD;
    } else if (item != NULL) {
        frame_writer_clear(&item->frame);
    }
    shared_bytes_unref(block);
    return st;
}

/* ---- out ---- */

/* Its length counts what is shared. */
static void seal(lane_item *item)
{
    if (item->block == NULL) {
        frame_writer_seal(&item->frame);
        item->split = item->frame.len;
    } else if (item->sent == 0) {
        item->frame.len += item->rest.len;
        frame_writer_seal(&item->frame);
        item->frame.len -= item->rest.len;
    }
}

/* Its bytes from..to of the frame, which is three pieces: up to what is shared, that, and what is behind it. */
static size_t cut(const lane_item *item, size_t from, size_t to, loom_bytes *slices)
{
    const loom_bytes pieces[] = {
        {item->frame.data, item->split}, item->rest, {item->frame.data + item->split, item->frame.len - item->split}};
    size_t count = 0, at = 0;
    for (unsigned i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        const size_t end = at + pieces[i].len, low = from > at ? from : at, high = to < end ? to : end;
        if (low < high) {
            slices[count++] = (loom_bytes){pieces[i].data + (low - at), high - low};
        }
        at = end;
    }
    return count;
}

size_t bus_lane_next(bus_lane *l, size_t most, uint64_t sent, loom_bytes slices[BUS_LANE_SLICES])
{
    while (l->first != NULL && item_bytes(l->first) == 0) { /* what could not be written */
        remove_first(l);
    }
    lane_item *item = l->first;
    l->taken = 0;
    if (item == NULL || item->behind > sent) {
        return 0;
    }
    const size_t len = frame_len(item), left = len - item->sent, some = left < most ? left : most;
    if (left == 0) {
        frame_writer_seal(&item->after.w);
        slices[0] = (loom_bytes){item->after.w.data, item->after.w.len};
        return 1;
    }
    seal(item);
    frame_writer head = {.data = l->head, .cap = sizeof l->head}; /* there is room for both: nothing is allocated */
    loom_status st = bus_put_session(&head, item->session);
    if (st == LOOM_OK && some < len) {
        st = bus_put_part_head(&head, left - some, some);
    }
    assert(st == LOOM_OK);
    slices[0] = (loom_bytes){head.data, head.len};
    l->taken = some;
    return 1 + cut(item, item->sent, item->sent + some, slices + 1);
}

uint64_t bus_lane_sent(bus_lane *l)
{
    lane_item *item = l->first;
    uint64_t envelopes = 0;
    if (l->taken > 0) {
        item->sent += l->taken;
        l->bytes -= item != l->last ? l->taken : 0;
        if (item->sent < frame_len(item)) {
            return 0;
        }
        envelopes = item->envelopes;
        item->envelopes = 0;
        if (item->after.w.len > 0) {
            return envelopes;
        }
    } else {
        envelopes = item->after_envelopes;
    }
    remove_first(l);
    return envelopes;
}

void bus_lane_restart(bus_lane *l)
{
    lane_item *item = l->first;
    if (item != NULL && item->sent < frame_len(item)) {
        l->bytes += item != l->last ? item->sent : 0;
        item->sent = 0;
    }
}

void bus_lane_clear(bus_lane *l)
{
    while (l->first != NULL) {
        remove_first(l);
    }
}
