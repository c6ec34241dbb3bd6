/* SPDX-License-Identifier: Apache-2.0 */
/* Marks in the stream to the broker, which sends each back when it has come to it, behind all that came of what was before
 * it. Sessions that are far ahead wait for that. One is on its way at a time, and none while nobody waits. */
#include <stdio.h>

#include "bridge/bus/remote/internal.h"

void remote_mark_up(bus_remote *b)
{
    b->mark_out = b->base.mark_wanted = false;
    b->base.mark_done = b->last_mark;
    b->base.mark = ++b->last_mark;
}

void remote_mark_down(bus_remote *b)
{
    b->base.mark = 0; /* what is kept for a broker that is away has bounds of its own */
}

void remote_mark_send(bus_remote *b)
{
    frame_writer *w = b->base.mark_wanted && !b->mark_out ? remote_last_writer(b) : NULL;
    if (w == NULL || bus_put_mark(w, b->base.mark) != LOOM_OK) {
        return; /* without memory, in another round */
    }
    b->mark_out = true;
    b->base.mark_wanted = false;
    b->base.mark = ++b->last_mark;
}

loom_status remote_mark_returned(bus_remote *b, uint64_t number, char reason[FRAME_REASON_SIZE])
{
    if (!b->mark_out || number + 1 != b->base.mark) {
        snprintf(reason, FRAME_REASON_SIZE, "the broker sends a mark that was not made");
        return LOOM_EPROTO;
    }
    b->mark_out = false;
    b->base.mark_done = number;
    return LOOM_OK;
}
