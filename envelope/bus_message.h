/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of the bridge bus (WIRE.md, "The bridge bus"): a fixed header, then frames of the agent link of many sessions.
 *
 * Reading allocates nothing: everything is a slice of the message. Every byte is checked before it is used. */
#ifndef LOOM_ENVELOPE_BUS_MESSAGE_H
#define LOOM_ENVELOPE_BUS_MESSAGE_H

#include "envelope/frame.h"
#include "envelope/view.h"

#define BUS_TOPIC_PREFIX "bridge."

enum {
    BUS_PROTOCOL = 1,
    BUS_BRIDGE_ID_MAX = LOOM_AGENT_ID_MAX,
    BUS_HEADER_FIXED = 29,                                       /* bytes without the bridge id */
    BUS_HEADER_MAX = BUS_HEADER_FIXED + BUS_BRIDGE_ID_MAX,
    BUS_TOPIC_MAX = sizeof BUS_TOPIC_PREFIX + BUS_BRIDGE_ID_MAX, /* with its NUL */
    BUS_MESSAGE_TARGET = 64 * 1024,                              /* a message is complete when it is larger */
    BUS_MESSAGE_MAX = 4 * 1024 * 1024,                           /* of one SP message, what sockets accept */
    BUS_FANOUT_TARGETS = 1024                                    /* of one copy of an envelope; more take another copy */
};

enum { BUS_FLAG_ACK_NOW = 1, BUS_FLAG_RESEND = 2 };

/* Types of the bus, beside those of the agent link (frame_type). */
enum {
    BUS_FRAME_SESSION = 64,  /* [64, session]: the frames after it are this session's */
    BUS_FRAME_PRESSURE = 65, /* [65, 1 or 0]: broker → bridge, stop or go on publishing */
    BUS_FRAME_FANOUT = 66    /* [66, [envelope, [session, subscription, …], …]]: broker → bridge */
};

typedef struct bus_header {
    uint8_t flags;   /* BUS_FLAG_* */
    uint64_t epoch;  /* of the attachment, from hello */
    uint64_t seq;    /* from 1 in each direction; 0: carries no frames and is not counted */
    uint64_t ack;    /* the highest number received in order from the other side */
    loom_str bridge; /* upwards only; downwards the topic says it */
} bus_header;

/* 1 to BUS_BRIDGE_ID_MAX bytes, printable ASCII without spaces. */
bool bus_bridge_id_valid(loom_str id);
/* "bridge.<id>" and NUL; returns its length with the NUL. */
size_t bus_topic_write(uint8_t out[BUS_TOPIC_MAX], loom_str id);
/* Returns the bytes written. The length depends on the bridge id only, so a header may be written over an older one. */
size_t bus_header_write(uint8_t *out, const bus_header *header);
/* LOOM_EMALFORMED, LOOM_EVERSION; *reason is static text. *frames is what follows the header. */
LOOM_MUST_CHECK loom_status bus_header_read(bus_header *out, loom_bytes message, loom_bytes *frames, const char **reason);

/* ---- frames ---- */

typedef struct bus_frame {
    unsigned type;      /* BUS_FRAME_* or frame_type */
    uint64_t number;    /* session, pressure */
    frame_batch fanout; /* count: envelopes */
    frame link;         /* the others */
} bus_frame;

/* Takes the next frame off *rest. LOOM_ENOTFOUND: none is left. LOOM_EMALFORMED, LOOM_ETOOBIG: *rest cannot be read on.
 * LOOM_EVERSION: a type that is not known, stepped over. */
LOOM_MUST_CHECK loom_status bus_frame_next(loom_bytes *rest, bus_frame *out, char reason[FRAME_REASON_SIZE]);

/* The pairs of numbers that one envelope goes to. */
typedef struct bus_targets {
    uint32_t count;
    loom_bytes items;
} bus_targets;

/* Takes the next envelope off a publish batch. LOOM_ENOTFOUND: none is left. */
LOOM_MUST_CHECK loom_status bus_publish_next(frame_batch *batch, envelope_view *view, const char **reason);
/* The same with its targets off a fanout batch. */
LOOM_MUST_CHECK loom_status bus_fanout_next(frame_batch *batch, envelope_view *view, bus_targets *targets,
                                            const char **reason);
/* False: none is left. */
bool bus_target_next(bus_targets *targets, uint64_t *session, uint64_t *subscription);

/* ---- writing, into a frame_writer like the frames of the link ---- */

LOOM_MUST_CHECK loom_status bus_put_session(frame_writer *w, uint64_t session);
LOOM_MUST_CHECK loom_status bus_put_pressure(frame_writer *w, bool on);
/* Whole frames as they are. */
LOOM_MUST_CHECK loom_status bus_put_raw(frame_writer *w, loom_bytes frames);

/* Where the last envelope of an open fanout batch is; of no meaning when the writer's open batch is another. */
typedef struct bus_fanout {
    size_t envelope_at;
    uint32_t envelope_len;
    size_t targets_at; /* of its array32 header */
    uint32_t targets;
} bus_fanout;

/* Appends one delivery: only its target when the envelope is the one written last. LOOM_ENOMEM: nothing was appended. */
LOOM_MUST_CHECK loom_status bus_put_delivery(frame_writer *w, bus_fanout *last, uint64_t session, uint64_t subscription,
                                             const envelope_view *view);

#endif
