/* SPDX-License-Identifier: Apache-2.0 */
/* A message of the bridge bus, read the way both ends read it: every frame to its last target, and frames in parts. */
#include <stdlib.h>

#include "bridge/bus/parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_frame(bus_frame *f)
{
    envelope_view view;
    bus_targets targets;
    const char *reason;
    uint64_t session, subscription;
    if (f->type == BUS_FRAME_FANOUT) {
        while (bus_fanout_next(&f->fanout, &view, &targets, &reason) == LOOM_OK) {
            while (bus_target_next(&targets, &session, &subscription)) {
            }
            if (targets.count != 0 || targets.items.len != 0) {
                abort(); /* what bus_fanout_next() has accepted can be read to the end */
            }
        }
    } else if (f->type == FRAME_PUBLISH) {
        while (bus_publish_next(&f->link.u.batch, &view, &reason) == LOOM_OK) {
        }
    } else if (f->type == FRAME_CALL) {
        (void)!envelope_scan(&view, f->link.u.call.envelope, NULL, &reason);
    }
}

/* What was read is written, and read as the same bytes again. */
static void write_again(const bus_frame *f)
{
    frame_writer w = {0}, again = {0};
    char reason[FRAME_REASON_SIZE];
    bus_frame back;
    for (frame_writer *to = &w; to != NULL; to = to == &w ? &again : NULL) {
        const bus_frame *from = to == &w ? f : &back;
        loom_status st = from->type == BUS_FRAME_GREETING ? bus_put_greeting(to, &from->greeting)
                         : from->type == BUS_FRAME_ATTACH ? bus_put_attach(to, &from->attach)
                                                          : bus_put_taken(to, from->number, from->answer, from->queued);
        loom_bytes rest = {to->data, to->len};
        if (st != LOOM_OK || (to == &w && bus_frame_next(&rest, &back, reason) != LOOM_OK)) {
            abort();
        }
    }
    if (w.len != again.len || memcmp(w.data, again.data, w.len) != 0) {
        abort();
    }
    frame_writer_fini(&w);
    frame_writer_fini(&again);
}

/* False: the connection would end. */
static bool take_part(bus_parts *parts, uint64_t session, const bus_frame *part)
{
    loom_bytes whole;
    char text[FRAME_REASON_SIZE];
    bus_frame f;
    const size_t had = parts->block != NULL ? parts->have : 0;
    loom_status st = bus_parts_take(parts, NULL, session, part, &whole, text);
    if (st == LOOM_OK && (parts->have != had + part->part.len || parts->have + parts->left > parts->block->size)) {
        abort();
    }
    if (st == LOOM_OK && whole.len > 0) {
        st = bus_parts_read(whole, &f, text);
        if (st == LOOM_OK) {
            read_frame(&f);
        }
        bus_parts_clear(parts);
    }
    return st == LOOM_OK || st == LOOM_EVERSION;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    loom_bytes frames = {data, size};
    char text[FRAME_REASON_SIZE];
    bus_parts parts = {0};
    uint64_t session = 0;
    bus_frame f;
    loom_status st;
    while ((st = bus_frame_next(&frames, &f, text)) == LOOM_OK || st == LOOM_EVERSION) {
        if (st != LOOM_OK) {
            continue;
        }
        read_frame(&f);
        session = f.type == BUS_FRAME_SESSION ? f.number : session;
        if (f.type == BUS_FRAME_PART && !take_part(&parts, session, &f)) {
            break;
        }
        if (f.type == BUS_FRAME_GREETING || f.type == BUS_FRAME_ATTACH || f.type == BUS_FRAME_TAKEN) {
            write_again(&f);
        }
    }
    bus_parts_clear(&parts);
    return 0;
}
