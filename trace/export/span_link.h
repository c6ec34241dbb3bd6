/* SPDX-License-Identifier: Apache-2.0 */
/* The exporter `loom`: spans leave by a link that the program has anyway, of an agent to its bridge or of a bridge to its
 * broker. It knows nothing of links: who has one attaches a carrier, and takes requests that are small enough to be sent
 * between two messages, as far as the other side has granted credit.
 *
 * A processor has one exporter and may have several carriers (agents that share a provider). The first of them whose session
 * is up carries; when that ends, the next one does, beginning with what was not answered. Nothing is counted as exported
 * before the other side has answered it.
 *
 * Threads: the exporter thread; the carriers' loops. The lock in here is a leaf: a loop may hold its own when it calls. */
#ifndef LOOM_TRACE_EXPORT_SPAN_LINK_H
#define LOOM_TRACE_EXPORT_SPAN_LINK_H

#include <loom/status.h>
#include <loom/trace.h>

typedef struct span_link span_link;

typedef struct span_carrier span_carrier;
struct span_carrier {
    /* Something can be taken now. From the exporter thread, with no lock held. */
    void (*wake)(span_carrier *self);
    /* those below are span_link's, guarded by its lock */
    enum { CARRIER_DOWN, CARRIER_UP, CARRIER_REFUSED } state;
    uint64_t credit, taken;          /* bytes of the session */
    uint64_t sent, answered, refused; /* spans of the session */
    span_carrier *next;
};

/* That of a processor; NULL: it exports elsewhere. It lives as long as anybody holds the processor. */
span_link *processor_span_link(loom_span_processor *processor);

void span_link_attach(span_link *link, span_carrier *carrier);
/* After it the carrier is not woken any more. The carrier's own lock must not be held. */
void span_link_detach(span_link *link, span_carrier *carrier);

/* A session begins: credit in bytes; 0: the other side takes no spans. */
void span_link_up(span_link *link, span_carrier *carrier, uint64_t credit);
void span_link_down(span_link *link, span_carrier *carrier);
/* An answer, all totals of the session: bytes granted, spans read, of those refused. */
void span_link_answered(span_link *link, span_carrier *carrier, uint64_t credit, uint64_t spans, uint64_t refused);

/* Whether a request can be taken. */
bool span_link_has(span_link *link, span_carrier *carrier);
/* Takes the next request, an OTLP ExportTraceServiceRequest that is borrowed during put, which is called with the lock held.
 * False: there is none, or put has failed; it is then not taken. */
bool span_link_take(span_link *link, span_carrier *carrier, loom_status (*put)(void *user, uint64_t spans, loom_bytes request),
                    void *user);

#endif
