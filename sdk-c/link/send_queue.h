/* SPDX-License-Identifier: Apache-2.0 */
/* What an agent has to send: control frames, published envelopes in order, and after these a frame of spans.
 *
 * Envelopes are encoded straight into chunks; a chunk becomes one publish frame the moment it is taken into the flight,
 * the write under way. Credit may cut a chunk: its rest gets a frame header of its own later, over bytes that have left.
 * So whole messages are told apart without a list of them, and a broken connection gives back exactly those of which
 * the bridge cannot have seen a whole frame.
 *
 * Guard: the agent's lock, for everything. Only the iovecs of the flight are read without it, by the thread that set
 * `writing`; meanwhile nobody touches the flight. */
#ifndef LOOM_SDK_LINK_SEND_QUEUE_H
#define LOOM_SDK_LINK_SEND_QUEUE_H

#include <sys/uio.h>

#include "envelope/frame/frame.h"

enum {
    FLIGHT_CHUNKS = 8,  /* frames of one write */
    SENT_MARKS = 1024,
    CHUNKS_KEPT = 8     /* empty chunks kept for reuse */
};

typedef struct send_chunk send_chunk;

/* Frames sent whole that the bridge is not known to have read yet. */
typedef struct sent_mark {
    uint64_t end;      /* envelope bytes of the session up to here */
    uint64_t messages;
} sent_mark;

typedef struct flight_part {
    send_chunk *chunk;
    uint32_t begin, end, count; /* of the envelopes in it that fly */
} flight_part;

typedef struct send_queue {
    send_chunk *head, *tail;  /* waiting, in order; the tail is being filled */
    send_chunk *spare;        /* empty ones */
    unsigned spares;
    size_t bytes;             /* envelope bytes not handed over yet, the flight's among them */
    size_t limit;             /* of bytes */
    uint64_t queued, handed;  /* messages since the agent opened: accepted, handed to the kernel */
    uint64_t lost;            /* messages handed over that a broken connection may have lost */

    frame_writer control;     /* to go before any envelope */
    frame_writer control_out; /* in the flight */
    frame_writer spans;       /* to go behind the envelopes of a flight: one frame at a time */
    frame_writer spans_out;
    flight_part part[FLIGHT_CHUNKS];
    unsigned parts;
    struct iovec iov[FLIGHT_CHUNKS + 2];
    unsigned parts_end;         /* of the envelopes in iov */
    unsigned iov_at, iov_count; /* what is left of the flight; at == count: there is none */
    bool writing;

    bool up;                  /* the session takes envelopes */
    uint64_t window;          /* credit the session began with */
    uint64_t credit, taken;   /* envelope bytes granted, and taken into flights, since it began */
    sent_mark mark[SENT_MARKS];
    unsigned first_mark, marks;
    uint64_t marked;          /* messages of the session that have left */
    uint64_t read;            /* of those, as the bridge said when it ended the session; 0: it has not said */
} send_queue;

void send_queue_init(send_queue *q, size_t limit);
void send_queue_fini(send_queue *q);

/* Room for an envelope of at most size bytes. LOOM_EFULL, LOOM_ETOOBIG (over the whole limit), LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status send_queue_room(send_queue *q, size_t size, uint8_t **room);
/* The envelope is in that room. */
void send_queue_add(send_queue *q, size_t size);

static inline bool send_queue_in_flight(const send_queue *q)
{
    return q->iov_at < q->iov_count;
}
/* Neither a message nor a frame of another kind is left. */
static inline bool send_queue_empty(const send_queue *q)
{
    return q->bytes == 0 && q->control.len == 0 && q->spans.len == 0 && !send_queue_in_flight(q);
}
/* Whether a flight could be made, or goes on. */
static inline bool send_queue_ready(const send_queue *q)
{
    return send_queue_in_flight(q) || q->control.len > 0 || (q->up && q->head != NULL && q->credit > q->taken);
}
/* Makes the next flight of what there is and credit allows; false: nothing. Only when there is none. */
bool send_queue_take(send_queue *q);
/* sent bytes of the flight have left. True when they were its last. */
bool send_queue_sent(send_queue *q, size_t sent);

/* A session begins. credit: envelope bytes granted at once. */
void send_queue_begin(send_queue *q, uint64_t credit);
/* The bridge has granted more, as a total; and so has read all but a window of it. */
void send_queue_grant(send_queue *q, uint64_t credit);
/* The bridge has read everything up to this value of q->taken. */
void send_queue_read_up_to(send_queue *q, uint64_t taken);
/* The bridge ends the session, and says how many messages of it it has read. */
void send_queue_read_in_all(send_queue *q, uint64_t messages);
/* The connection is gone: control frames with it; what cannot have arrived waits again; the rest counts as lost. */
void send_queue_broken(send_queue *q);

#endif
