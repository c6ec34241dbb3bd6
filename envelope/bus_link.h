/* SPDX-License-Identifier: Apache-2.0 */
/* One end of the link between a bridge and the broker: outgoing messages with their window, numbers and acks.
 * Pure: it holds bytes and decides what may leave; whoever owns it does the sending.
 *
 * Outgoing frames collect in an open chunk. A chunk larger than BUS_MESSAGE_TARGET is complete, and a new one opens.
 * Chunks leave in order, at most BUS_WINDOW unacknowledged. An open one leaves while fewer than BUS_EAGER are
 * unacknowledged, or once for each ack that arrives: so batches grow with the load, without a timer.
 * A sent chunk is kept until it is acknowledged, and sent again when the other side reports a gap. Without any ack for a
 * while the oldest is sent again alone; when exactly that one is then acknowledged, those after it are missing too.
 *
 * Threads: one at a time. */
#ifndef LOOM_ENVELOPE_BUS_LINK_H
#define LOOM_ENVELOPE_BUS_LINK_H

#include "envelope/bus_message.h"

enum {
    BUS_WINDOW = 64,      /* messages */
    BUS_EAGER = 4,        /* messages */
    BUS_ACK_EVERY = 2,    /* messages received, before an ack leaves by itself at the end of a round */
    BUS_RESEND_MS = 1000, /* without any ack, before the oldest message is sent again */
    BUS_ACK_DELAY_MS = 150 /* an ack that nothing carried leaves at the next tick after this */
};

typedef struct bus_chunk {
    struct bus_chunk *next;
    uint64_t seq;      /* once sent */
    uint64_t session;  /* stated last; 0: none */
    frame_writer w;    /* topic, header, frames */
    bus_fanout fanout;
} bus_chunk;

typedef struct bus_chunk_list {
    bus_chunk *first, *last;
} bus_chunk_list;

typedef struct bus_link_stats {
    uint64_t sent, received; /* numbered messages */
    uint64_t gaps;           /* times a number did not follow the one before */
    uint64_t duplicates;
    uint64_t resent;
    uint64_t acks;           /* messages that carried nothing else */
} bus_link_stats;

typedef struct bus_link {
    uint64_t epoch;
    uint8_t topic[BUS_TOPIC_MAX]; /* before the header; downwards only */
    size_t topic_len;
    char bridge[BUS_BRIDGE_ID_MAX]; /* in the header; upwards only */
    size_t bridge_len;
    bus_chunk_list unacked, waiting; /* sent; complete and not sent */
    bus_chunk *open;                 /* NULL: none */
    bus_chunk *spare;
    unsigned spares;
    bus_chunk *resend;               /* next to be sent again; NULL: none */
    bool resend_one;
    uint64_t resent_alone;           /* number of the one sent again for want of acks; 0: none */
    uint64_t sent, acked, received, ack_sent;
    size_t waiting_bytes;            /* complete chunks not sent */
    uint64_t progress_ms, ack_since_ms;
    bool ack_arrived, ack_wanted, nack_wanted, nacked;
    bus_link_stats stats;
} bus_link;

/* topic: with its NUL, or empty. bridge: for the header, or empty. */
void bus_link_init(bus_link *link, loom_bytes topic, loom_str bridge);
void bus_link_fini(bus_link *link);
/* Empties both directions and starts again at 1, under another epoch. What was not sent is gone. */
void bus_link_reset(bus_link *link, uint64_t epoch);

/* Where to write the next frame about this session (0: about none): states the session when it is not the last one.
 * NULL: out of memory. */
bus_chunk *bus_link_chunk(bus_link *link, uint64_t session);

/* What may leave now, oldest first, its header written; NULL: nothing. complete_only: within a round of work.
 * Send it, then call bus_link_sent(); or do not, and ask again later. */
const bus_chunk *bus_link_next(bus_link *link, bool complete_only);
void bus_link_sent(bus_link *link, uint64_t now_ms);
/* What is to be sent again; each is returned once. */
const bus_chunk *bus_link_next_resend(bus_link *link);

/* Whether a message without frames should go now; ends a round of work. Writes it to out (topic and header). */
bool bus_link_next_ack(bus_link *link, uint8_t out[BUS_TOPIC_MAX + BUS_HEADER_MAX], size_t *len);
/* A message without frames that asks for an ack at once; written to out. */
void bus_link_probe(const bus_link *link, uint8_t out[BUS_TOPIC_MAX + BUS_HEADER_MAX], size_t *len);
/* Makes the next bus_link_next_ack() true. */
void bus_link_want_ack(bus_link *link);

/* LOOM_OK: next in order, read its frames.  LOOM_EEXIST: had before, or without frames; skip.
 * LOOM_ENOTFOUND: some before it are missing, skip; they were asked for again.
 * LOOM_EPROTO: acknowledges what was never sent. */
LOOM_MUST_CHECK loom_status bus_link_accept(bus_link *link, const bus_header *header, uint64_t now_ms);
/* To be called now and then while bus_link_idle() is false. */
void bus_link_tick(bus_link *link, uint64_t now_ms);
/* Nothing unsent, unacknowledged or to be acknowledged. */
bool bus_link_idle(const bus_link *link);
/* Everything written was sent and acknowledged. */
bool bus_link_drained(const bus_link *link);
/* Bytes that have not been sent. */
size_t bus_link_unsent(const bus_link *link);

/* Visits the frames of every chunk not sent (unsent) or sent and not acknowledged. */
void bus_link_visit(const bus_link *link, bool unsent, void (*visit)(void *user, loom_bytes frames), void *user);

#endif
