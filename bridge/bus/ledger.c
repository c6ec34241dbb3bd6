/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/bus/ledger.h"

#include <stdio.h>

enum { REPORT_EVERY = 64 /* messages, when there is nothing else to send */ };

void bus_ledger_received(bus_ledger *l)
{
    l->heard = true;
    l->unanswered++;
}

loom_status bus_ledger_confirm(bus_ledger *l, const bus_frame *f, char reason[FRAME_REASON_SIZE])
{
    if (f->number < l->confirmed || f->number > l->sent) {
        snprintf(reason, FRAME_REASON_SIZE, "the other side confirms what was never sent");
        return LOOM_EPROTO;
    }
    l->confirmed = f->number;
    l->asked = l->asked || f->answer;
    return LOOM_OK;
}

bool bus_ledger_report_due(const bus_ledger *l, bool more)
{
    return l->asked || (l->taken != l->reported && (more || l->unanswered >= REPORT_EVERY));
}

loom_status bus_ledger_report(bus_ledger *l, frame_writer *w, bool ask, uint64_t queued)
{
    loom_status st = bus_put_taken(w, l->taken, ask, queued);
    if (st == LOOM_OK) {
        l->reported = l->taken;
        l->unanswered = 0;
        l->asked = false;
    }
    return st;
}

bus_life bus_ledger_tick(bus_ledger *l, uint32_t ping_ms, uint32_t silence_ms)
{
    l->silent = l->heard ? 0 : l->silent + 1;
    l->heard = false;
    return (uint64_t)l->silent * ping_ms >= silence_ms ? BUS_LIFE_GONE : l->silent > 0 ? BUS_LIFE_QUIET : BUS_LIFE_HEARD;
}
