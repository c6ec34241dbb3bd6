/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of the bridge bus (WIRE.md, "The bridge bus"): frames of the agent link of many sessions, and a few of its own.
 *
 * Reading allocates nothing: everything is a slice of the message. Every byte is checked before it is used. */
#ifndef LOOM_ENVELOPE_FRAME_BUS_MESSAGE_H
#define LOOM_ENVELOPE_FRAME_BUS_MESSAGE_H

#include "envelope/frame/frame.h"
#include "envelope/view.h"

enum {
    BUS_PROTOCOL = 1,
    BUS_BRIDGE_ID_MAX = LOOM_AGENT_ID_MAX,
    BUS_SOFTWARE_MAX = 128,            /* bytes; what is longer is cut by its writer */
    BUS_PEER_MAX = 128,
    BUS_MESSAGE_TARGET = 64 * 1024,    /* a message is complete when it is larger */
    BUS_MESSAGE_MAX = 4 * 1024 * 1024, /* of one SP message, what sockets accept */
    BUS_FANOUT_TARGETS = 1024          /* of one copy of an envelope; more take another copy */
};

/* Types of the bus, beside those of the agent link (frame_type). */
enum {
    BUS_FRAME_SESSION = 64,  /* [64, session]: the frames after it, in this message, are this session's; 0: the bridge's own */
    BUS_FRAME_PRESSURE = 65, /* [65, bus_pressure]: broker → bridge */
    BUS_FRAME_FANOUT = 66,   /* [66, [envelope, [session, subscription, …], …]]: broker → bridge */
    BUS_FRAME_GREETING = 67, /* [67, protocol, id, software, hold ms, span credit, parts, payload max, ttl]: first in each
                                direction; the bridge's begins. The last five may be left out when 0. All but parts are the
                                broker's: publishes are to wait for so long; so many bytes of spans may be sent; its limit of a
                                payload, and the ttl of envelopes that come without. parts: 1, this side takes frames in parts */
    BUS_FRAME_TAKEN = 68,    /* [68, envelopes, 1 or 0, queued]: read so far on this connection; 1: answer with yours.
                                queued (may be left out when 0): bytes that this side keeps until the other has credit */
    BUS_FRAME_ATTACH = 69,   /* [69, agent, software, instance, heartbeat ms, peer, age ms]: bridge → broker, begins a session.
                                age ms (may be left out when 0): since the agent opened it at the bridge */
    BUS_FRAME_MARK = 70,     /* [70, number]: bridge → broker, which sends it back behind all that came of what was before it */
    BUS_FRAME_PART = 72,     /* [72, left, bytes]: bytes of a frame of this session; left: so many are still to come */
    BUS_FRAME_GIVE_BACK = 71 /* [71, subscription, envelope]: bridge → broker, a delivery that a member of a group was not sent */
};

typedef enum bus_pressure {
    BUS_GO_ON = 0,
    BUS_STOP = 1, /* a queue that the session publishes to is full: no publish credit for its agent */
    BUS_WAIT = 2  /* what it has sent is much work, of which some waits: nothing more of it but credit. A bridge of before takes
                     it for BUS_STOP */
} bus_pressure;

/* 1 to BUS_BRIDGE_ID_MAX bytes, printable ASCII without spaces. */
bool bus_bridge_id_valid(loom_str id);

typedef struct bus_greeting {
    uint64_t protocol;
    loom_str id;       /* of the bridge; "broker" */
    loom_str software;
    uint64_t hold_ms, span_credit; /* 0 when they were left out */
    bool parts;        /* it takes them */
    uint32_t payload_max, ttl; /* 0 when they were left out */
} bus_greeting;

enum { BUS_ATTACH_QUIET = 1, BUS_ATTACH_OWN = 2, BUS_ATTACH_UNRECORDED = 4 }; /* flags of an attach frame */

typedef struct bus_attach {
    loom_str agent, software;
    loom_bytes instance; /* 16 bytes or none */
    uint64_t heartbeat_ms;
    loom_str peer;       /* the agent's connection, for people */
    uint64_t age_ms;     /* since the session was opened; 0 when it was left out */
    bool quiet;          /* its coming and going is no news */
    bool own;            /* it is the bridge's own, which a drain neither counts nor refuses */
    bool unrecorded;     /* it has no flight recorder; bridges of earlier versions do not say */
} bus_attach;

/* ---- reading ---- */

typedef struct bus_frame {
    unsigned type;       /* BUS_FRAME_* or frame_type */
    loom_bytes whole;    /* all of it, its length in front */
    uint64_t number;     /* session, pressure, taken, mark, part */
    bool answer;         /* taken */
    uint64_t queued;     /* taken; 0 when it was left out */
    frame_batch fanout;  /* count: envelopes */
    bus_greeting greeting;
    bus_attach attach;
    loom_bytes envelope; /* give_back: still to be scanned; number is the subscription */
    loom_bytes part;     /* part */
    frame link;          /* the others */
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

/* Texts over their limits are cut. */
LOOM_MUST_CHECK loom_status bus_put_greeting(frame_writer *w, const bus_greeting *f);
LOOM_MUST_CHECK loom_status bus_put_attach(frame_writer *w, const bus_attach *f);
/* Writes another age into a frame that bus_put_attach() wrote, for a session that is attached again. */
void bus_attach_set_age(uint8_t *written, size_t len, uint64_t age_ms);
LOOM_MUST_CHECK loom_status bus_put_taken(frame_writer *w, uint64_t envelopes, bool answer, uint64_t queued);
LOOM_MUST_CHECK loom_status bus_put_pressure(frame_writer *w, bus_pressure how);
LOOM_MUST_CHECK loom_status bus_put_mark(frame_writer *w, uint64_t number);
LOOM_MUST_CHECK loom_status bus_put_give_back(frame_writer *w, uint64_t subscription, const envelope_view *view);
LOOM_MUST_CHECK loom_status bus_put_session(frame_writer *w, uint64_t session);
/* A part without its bytes, len of them, which are to be sent next. */
LOOM_MUST_CHECK loom_status bus_put_part_head(frame_writer *w, uint64_t left, size_t len);
/* Any frame of a session but those that carry envelopes. LOOM_EPROTO: it is not one. */
LOOM_MUST_CHECK loom_status bus_put_frame(frame_writer *w, const frame *f);
/* Whole frames as they are. */
LOOM_MUST_CHECK loom_status bus_put_raw(frame_writer *w, loom_bytes frames);

/* Where the last envelope of an open fanout batch is; of no meaning when the writer's open batch is another. */
typedef struct bus_fanout {
    size_t envelope_at;
    uint32_t envelope_len;
    size_t targets_at; /* of its array32 header */
    uint32_t targets;
} bus_fanout;

/* One message in the making. All zero: empty. */
typedef struct bus_outgoing {
    frame_writer w;
    uint64_t session; /* that the next frame would be of */
    bus_fanout fanout;
} bus_outgoing;

/* Where frames of this session go. NULL: out of memory. */
frame_writer *bus_outgoing_to(bus_outgoing *out, uint64_t session);
/* Empties it and keeps its memory, unless a large message has blown it up. */
void bus_outgoing_clear(bus_outgoing *out);
/* Appends one delivery: only its target when the envelope is the one written last. LOOM_ENOMEM: nothing was appended. */
LOOM_MUST_CHECK loom_status bus_put_delivery(bus_outgoing *out, uint64_t session, uint64_t subscription,
                                             const envelope_view *view);

/* A fanout batch of one large envelope, of size bytes, in a writer of its own: of the envelope only the head is written. */
LOOM_MUST_CHECK loom_status bus_put_fanout_head(frame_writer *w, bus_fanout *f, loom_bytes head, size_t size);
/* Another target of the envelope written last. LOOM_ENOMEM: nothing was appended. */
LOOM_MUST_CHECK loom_status bus_put_target(frame_writer *w, bus_fanout *f, uint64_t session, uint64_t subscription);

#endif
