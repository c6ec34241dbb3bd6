/* SPDX-License-Identifier: Apache-2.0 */
/* The bridge core: agents' sessions over the frames of the agent link, without I/O, threads or clocks of its own.
 * It makes the bridge.publish and bridge.forward spans. Whoever owns the connections feeds bytes in and takes bytes out.
 *
 * Threads: one at a time. */
#ifndef LOOM_BRIDGE_SESSION_BRIDGE_H
#define LOOM_BRIDGE_SESSION_BRIDGE_H

#include <loom/trace.h>

#include "base/clock.h"
#include "base/counters.h"
#include "base/log_level.h"
#include "bridge/bus.h"
#include "bridge/session/splice.h"

typedef struct bridge bridge;
typedef struct session session; /* one agent's connection, from its first byte to its last */

typedef struct session_info {
    loom_str agent;              /* empty before hello */
    const char *peer;
    uint64_t id;
    uint64_t last_heard_ms;
    uint64_t published, forwarded;
    bool pressed;
} session_info;
typedef struct bridge_options {
    const char *id;               /* valid while the bridge lives, as all strings here */
    const char *software;         /* such as "loom-bridge/0.1.0" */
    bus *bus;
    loom_tracer *tracer;          /* NULL: no spans */
    struct span_intake *spans;    /* of agents, over their links; NULL: none are taken. It outlives the bridge */
    uint32_t payload_max;         /* bytes; 0: LOOM_PAYLOAD_MAX */
    uint32_t heartbeat_ms;        /* 0: 15000; three intervals of silence end a session */
    uint32_t max_sessions;        /* agents; 0: 10000. Connections without hello have a limit of their own, as large */
    uint32_t publish_window;      /* bytes an agent may have on their way to us; 0: 1 MiB */
    uint8_t ttl;                  /* given to envelopes that come without; 0: LOOM_TTL_DEFAULT */
    /* What happened to a session, for the operator's log. May be NULL. */
    void (*log)(void *user, log_level level, const session_info *about, const char *text);
    void *log_user;
} bridge_options;

/* clock is borrowed and must outlive the bridge. LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status bridge_create(bridge **out, const loop_clock *clock, const bridge_options *options);
void bridge_destroy(bridge *b); /* all sessions must be closed */

/* Of what agents send from here on, as in the options. */
void bridge_set_envelope_limits(bridge *b, uint32_t payload_max, uint8_t ttl);
/* How many agents there may be from here on; those that are there stay. 0: 10000. */
void bridge_set_max_sessions(bridge *b, uint32_t max_sessions);
/* Sends pings, ends sessions that were silent too long: of some at once, of the others in the rounds that follow. Call about
 * once a second. */
void bridge_tick(bridge *b);
/* When the oldest connection without hello has had its time, by the clock; UINT64_MAX: there is none. */
uint64_t bridge_next_hello_ms(const bridge *b);
/* Whether the next round has something to do, whatever comes. */
bool bridge_goes_on(const bridge *b);
/* Whether agents wait for credit for their spans, which they may get in any round. */
bool bridge_holds_spans(const bridge *b);
/* Ends some of those whose time is over. */
void bridge_expire_strangers(bridge *b);
/* Ends the oldest connection without hello. LOOM_EFULL: there is none.  LOOM_EBUSY: it came in this round or the last,
 * so what it says may not have been read yet: ask again in the next. */
loom_status bridge_make_room(bridge *b);
/* For who accepts connections: the line about one that was not taken on. */
void bridge_log_refusal(bridge *b, const char *peer, const char *why);
/* Asks every agent that can to connect elsewhere within so long: some at once, the others in the rounds that follow. */
void bridge_ask_to_move(bridge *b, uint32_t within_ms);
/* Agents may publish what they have credit for, and no more: what they have left goes with them to another bridge. */
void bridge_wind_down(bridge *b);
/* Says bye to every session and ends it. */
void bridge_end_sessions(bridge *b, loom_status why, const char *text);

typedef struct session_io {
    /* session_output() has bytes now and had none before, or the session is doomed: call session_end_doomed() at the end of
     * the round. May run inside any call of the bridge or the bus. */
    void (*output)(void *user);
    /* The session is over: send what session_output() still holds, then call session_close(). */
    void (*ended)(void *user);
    /* Whether anybody else has sent something that waits: the session's turn ends, then. NULL: nobody ever does. */
    bool (*others)(void *user);
} session_io;

/* peer names the connection in logs. LOOM_EFULL: max_sessions.  LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status session_open(bridge *b, session **out, const session_io *io, void *user, const char *peer);
/* Ends it with an error that the agent is told. */
void session_fail(session *s, loom_status why, const char *text);
/* The connection is gone. Frees the session. */
void session_close(session *s);

/* Each session has one turn in a round: so much work, after which it waits for the next round, however much has come. The
 * turn is a tenth as long while others wait. */
void bridge_new_round(bridge *b);
/* Handles the whole frames at the start of data, at most the session's turn of them, and returns how many bytes they were;
 * give the rest again, in the next round when session_is_spent(), otherwise with more behind it. The bytes may be changed.
 * *need: how long the frame that follows is known to be (0: unknown). */
size_t session_receive(session *s, uint8_t *data, size_t len, size_t *need);
/* What sessions receive lies in this block, parts of which others may keep. NULL: nothing does any more. */
void bridge_lend(bridge *b, shared_bytes *block);
/* Whether it waits for the broker before its next turn: it has said much that a broker in another process has not come to.
 * Not for long. */
bool session_is_ahead(const session *s);
/* Bytes of a frame that is not whole yet were read: as work of its turn. False: the turn is over. */
bool session_goes_on(session *s, size_t bytes);
/* Whether its turn in this round is over. */
bool session_is_spent(const session *s);
/* Whether most of it is left. */
bool session_is_fresh(const session *s);
/* Ends the session if something that cannot be made good has happened to it. Not from inside a call of the bridge or bus. */
void session_end_doomed(session *s);
/* What is to be sent; the splices come in between. The owner of the connection calls session_before_send(), seals and empties it, and tells with
 * session_sent(). */
frame_writer *session_output(session *s);
/* Taken together: what is appended from here on is not of that backlog. */
splices session_take_splices(session *s);
/* How many bytes it is in all. */
size_t session_unsent(const session *s);
/* Takes out what need not be sent any more. */
void session_before_send(session *s);
/* The connection has broken: of these frames, which session_output() had held, sent bytes were taken by the kernel. What the
 * rest holds for members of groups goes to others. Before session_close(). */
void session_give_back(session *s, loom_bytes frames, size_t sent);
/* backlog: bytes taken from session_output() that the kernel has not taken yet. */
void session_sent(session *s, size_t backlog);

typedef struct bridge_flow {
    uint64_t up, down; /* from agents, to agents */
} bridge_flow;

typedef struct bridge_stats {
    uint64_t published, published_bytes, forwarded, forwarded_bytes;
    uint64_t refused;            /* messages answered with a notice, calls that did not reach the bus */
    bridge_flow calls, results, reports, cancels; /* a call goes up from its caller and down to a provider */
    uint64_t given_back;         /* deliveries of groups that an agent had not been sent when it ended */
    uint64_t calls_dropped;      /* calls that ended before the provider's socket took them */
    uint64_t progress_dropped;   /* reports of progress for callers that do not read them */
    uint64_t invalid_contexts;   /* trace contexts that counted as absent */
    uint64_t protocol_errors;    /* sessions ended by bytes that could not be parsed */
    uint64_t replaced, expired;  /* sessions */
    uint64_t keeps, keeps_dropped; /* traces that agents want kept; and that they were not told of, or too many of theirs */
    uint32_t sessions, agents;   /* connections now, and those of them that have said hello */
} bridge_stats;
bridge_stats bridge_get_stats(const bridge *b);
counter_source bridge_counter_source(const bridge *b);

/* A trace that this process's own recorder wants kept: all agents are told that have one, and the bus. */
void bridge_keep(bridge *b, const frame_keep *f);
/* So many others were too many to come this far. */
void bridge_keeps_dropped(bridge *b, uint64_t count);

void bridge_visit_sessions(const bridge *b, bool (*visit)(void *user, const session_info *info), void *user);

#endif
