/* SPDX-License-Identifier: Apache-2.0 */
/* An agent's session with its bridge: connecting, hello and welcome, heartbeats, the end, the next attempt.
 *
 * It stands on the loop and knows nothing of what is said in it: what events and actions have to do with a session comes
 * through session_ops. Everything runs on the loop; what other threads read is guarded by the loop's lock. */
#ifndef LOOM_SDK_AGENT_SESSION_H
#define LOOM_SDK_AGENT_SESSION_H

#include "envelope/frame/frame.h"
#include "sdk-c/agent/loop.h"
#include "sdk-c/link/receive_buffer.h"
#include "sdk-c/link/url.h"

enum { SESSION_TEXT_SIZE = 320 };
#define SESSION_FRAMES ((unsigned)FRAME_KEEP_LAST + 1) /* types of frames up to the last one */

typedef enum session_phase {
    SESSION_WAITING, /* for the next attempt */
    SESSION_DIALING,
    SESSION_HELLO,   /* sent; waiting for welcome */
    SESSION_UP,
    SESSION_ENDED    /* for good */
} session_phase;

/* Handles one frame. Anything but LOOM_OK ends the connection, for the reason given to session_fail(). */
typedef loom_status frame_handler(loom_agent *a, const frame *f);

/* What the layers above do with a session: one table, in agent/wiring.c. On the loop; lock not held unless it says so. */
typedef struct session_ops {
    /* Queues what a new session starts with: subscriptions, capabilities, calls. Lock held. */
    loom_status (*begun)(loom_agent *a, const frame_welcome *f);
    /* The connection has ended. Lock held. */
    void (*broken)(loom_agent *a);
    /* Then: calls back those whom it concerns. They may wait, and the next session may be up by the time they return. */
    void (*tell_broken)(loom_agent *a);
    /* Between two frames: handles what earlier handlers have left. */
    loom_status (*between_frames)(loom_agent *a);
    /* The bridge has refused one message. */
    void (*refused)(loom_agent *a, loom_status why, const char *text);
    void (*state_changed)(loom_agent *a, loom_agent_state state, loom_status why, const char *text);
    /* By type, for a session that is up. NULL: the session's own, or none that a bridge may send. */
    frame_handler *frames[SESSION_FRAMES];
    /* Everything has left, and the goodbye is next: queues what is to be said before it. */
    void (*parting)(loom_agent *a);
    /* Whether it works on calls, or waits for the outcome of some. Lock held. */
    bool (*busy)(const loom_agent *a);
} session_ops;

/* Times are CLOCK_MONOTONIC nanoseconds. */
typedef struct session {
    /* fixed once open */
    loom_agent *agent; /* for ops, which alone know what it is */
    agent_loop *loop;
    const session_ops *ops;
    const loom_agent_options *options;
    loom_str id;
    uint8_t instance[LOOM_UUID_SIZE];
    url *urls;          /* in the order in which they are tried */
    unsigned url_count;
    bool has_recorder;  /* and wants to hear of traces to be kept */
    loom_str service, service_instance, tenant; /* of spans that are to go over the link; empty: none are */

    /* guarded by the loop's lock */
    loom_agent_state state;
    loom_status why;          /* with CLOSED */
    uint32_t max_payload;     /* of the bridge */
    bool asks;                /* the bridge says how many subscriptions a message matched */
    uint64_t keep_ns;         /* a handler that takes longer keeps the session from ending: the heartbeat */

    _Atomic uint64_t reconnects; /* written by the loop */

    /* the loop's */
    uint64_t connection;      /* its number: grows when one ends */
    session_phase phase;
    uint64_t deadline;        /* of the phase: next attempt, or giving up */
    uint64_t up_since;
    unsigned attempts;        /* in a row */
    unsigned url_at;          /* the url of this session, or of the next attempt; changed by the loop, under its lock */
    uint64_t move_from, move_by; /* asked to connect elsewhere: not before, not later; 0: it was not */
    bool leaving;             /* for elsewhere: goodbye is said, and nothing is written behind it */
    bool ever_up;
    uint64_t heartbeat_ns, next_heartbeat;
    uint64_t ping;            /* number of the last one */
    uint64_t ping_mark;       /* out.taken when it was queued */
    uint64_t last_number;     /* of a ping or an inquiry */
    uint64_t inquiry, inquiry_mark; /* the same of a ping that only asks what has been read; 0: none is unanswered */
    bool pinged, heard;       /* a ping is unanswered; something has come since the last tick */
    unsigned missed;
    uint64_t handled_messages, handled_bytes; /* deliveries of this session that are dealt with */
    uint64_t half_messages, half_bytes;       /* half of the credit is used: it is time to grant more */
    uint64_t review_messages; /* at the latest half of it: whether it is time is looked at anew */
    uint32_t review_step;     /* messages from one look to the next */
    uint64_t reviewed_ns, busy_since_ns, granted_ns; /* the last look, the first of this read, the last grant */
    uint64_t reads, reviewed_read; /* reads of the link, and the one of the last look */
    bool parted;              /* closing: what is said before the goodbye is queued, */
    bool bye_said;            /* and the goodbye itself */
    uint64_t bye_deadline;    /* when all else has left: until then the peer may end its side. 0: not yet */
    receive_buffer in;
    char text[SESSION_TEXT_SIZE]; /* why it ended */
} session;

/* The fields that are fixed have been set, and all others are zero. */
void session_start(session *s);
void session_fini(session *s);
/* Where it is, or tries next. */
static inline const url *session_url(const session *s)
{
    return &s->urls[s->url_at];
}
/* The bridge asks it to connect elsewhere within so long. */
void session_ask_to_move(session *s, uint64_t within_ms);
/* Deadlines. */
void session_tick(session *s, uint64_t now);
uint64_t session_next_deadline(const session *s);
/* Dialing: the carrier has something to go on with. */
void session_connect(session *s);
/* Ends the connection; text is why. LOOM_EREPLACED ends the session for good. */
void session_break(session *s, loom_status status, const char *text);
/* Sets the text with which the connection is about to be broken; returns st. */
loom_status session_fail(session *s, loom_status st, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* closing: true when there is nothing more to wait for. */
bool session_closed(session *s, uint64_t now);
void session_set_state(session *s, loom_agent_state state, loom_status why, const char *text);
/* As this version knows it: one that is unknown becomes otherwise. */
loom_status session_status_of(uint64_t value, loom_status otherwise);

#endif
