/* SPDX-License-Identifier: Apache-2.0 */
/* A message of the bridge bus, read the way both ends read it: header, then every frame to its last target. */
#include <stdlib.h>

#include "envelope/bus_link.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_frame(bus_frame *f)
{
    envelope_view view;
    bus_targets targets;
    const char *reason;
    uint64_t session, subscription;
    if (f->type == BUS_FRAME_FANOUT) {
        while (bus_fanout_next(&f->fanout, &view, &targets, &reason) == LOOM_OK) {
            uint32_t count = 0;
            while (bus_target_next(&targets, &session, &subscription)) {
                count++;
            }
            if (targets.count != 0 || targets.items.len != 0) {
                abort(); /* what bus_fanout_next() has accepted can be read to the end */
            }
        }
    } else if (f->type == FRAME_PUBLISH) {
        while (bus_publish_next(&f->link.u.batch, &view, &reason) == LOOM_OK) {
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bus_header header;
    loom_bytes frames;
    const char *reason;
    char text[FRAME_REASON_SIZE];
    if (bus_header_read(&header, (loom_bytes){data, size}, &frames, &reason) != LOOM_OK) {
        return 0;
    }
    uint8_t again[BUS_HEADER_MAX];
    size_t len = bus_header_write(again, &header);
    if (len > size || memcmp(again, data, len) != 0) {
        abort();
    }
    bus_link link;
    bus_link_init(&link, (loom_bytes){NULL, 0}, header.bridge);
    (void)!bus_link_accept(&link, &header, 0);
    bus_link_fini(&link);
    bus_frame f;
    loom_status st;
    while ((st = bus_frame_next(&frames, &f, text)) == LOOM_OK || st == LOOM_EVERSION) {
        if (st == LOOM_OK) {
            read_frame(&f);
        }
    }
    return 0;
}
