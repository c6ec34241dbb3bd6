/* SPDX-License-Identifier: Apache-2.0 */
/* What each end of the bridge bus keeps of one connection: how many envelopes went each way and which of them were confirmed,
 * and whether the other end is alive. Both ends count alike: a bridge publishes and the broker delivers; the end
 * that takes envelopes reports how many, so that the loss with a broken connection is known.
 *
 * Silence is counted in ticks, not in time: a process that was stopped itself has not been waiting for anybody.
 * Threads: the loop's. */
#ifndef LOOM_BRIDGE_BUS_LEDGER_H
#define LOOM_BRIDGE_BUS_LEDGER_H

#include "envelope/frame/bus_message.h"

/* All zero: a connection that has just begun. */
typedef struct bus_ledger {
    uint64_t sent, confirmed;  /* envelopes to the other end, and how many of them it has reported as taken */
    uint64_t taken, reported;  /* envelopes from the other end, and how many of them were reported */
    unsigned unanswered;       /* messages received since the last report */
    bool asked;                /* the other end wants a report */
    bool heard;                /* a message came since the last tick */
    unsigned silent;           /* ticks without a message */
} bus_ledger;

static inline uint64_t bus_ledger_unconfirmed(const bus_ledger *l)
{
    return l->sent - l->confirmed;
}

/* A message came, with whatever in it. */
void bus_ledger_received(bus_ledger *l);
/* Its report. LOOM_EPROTO: it confirms what was never sent; reason says so. */
LOOM_MUST_CHECK loom_status bus_ledger_confirm(bus_ledger *l, const bus_frame *f, char reason[FRAME_REASON_SIZE]);
/* Whether this end should report now. more: something else leaves anyway. */
bool bus_ledger_report_due(const bus_ledger *l, bool more);
/* Writes the report. ask: the other end is to send one, too, and so to show that it is alive. queued: bytes that this end
 * keeps for the other. LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status bus_ledger_report(bus_ledger *l, frame_writer *w, bool ask, uint64_t queued);

typedef enum bus_life {
    BUS_LIFE_HEARD,
    BUS_LIFE_QUIET, /* ask for a report */
    BUS_LIFE_GONE   /* silent for too long */
} bus_life;

/* Once every ping_ms. */
bus_life bus_ledger_tick(bus_ledger *l, uint32_t ping_ms, uint32_t silence_ms);

#endif
