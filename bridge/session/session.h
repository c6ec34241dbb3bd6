/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a session: what the verbs (on_*.c) work on. */
#ifndef LOOM_BRIDGE_SESSION_SESSION_H
#define LOOM_BRIDGE_SESSION_SESSION_H

#include "base/list.h"
#include "base/number_table.h"
#include "base/rate_limit.h"
#include "bridge/session/ahead.h"
#include "bridge/session/bridge.h"
#include "bridge/spans/intake.h"

enum {
    SESSION_BACKLOG_MAX = 8 * 1024 * 1024, /* bytes on their way to one agent, whatever credit it granted */
    SESSION_GRANT_STEP = 64 * 1024,        /* of a backlog that was read, worth telling in one process */
    SESSION_GRANT_SLICE = 256 * 1024,      /* that a grant may set free at once there, */
    SESSION_GRANT_MESSAGES = 2048,         /* and so many messages: some 0.2 ms */
    SESSION_REPLIES_MAX = 1024 * 1024,     /* unread acks, notices and pongs that end a session */
    SESSION_CALLS_MAX = 72 * 1024 * 1024,  /* the same of calls, results and reports, which may be large: more than a
                                              broker lets one provider have unanswered, 64 MiB by default */
    SESSION_WAITING_IN_ALL = 512 * 1024 * 1024, /* for all agents, before the one for which the most waits is ended */
    SESSION_LOOK_BYTES = 1024 * 1024,      /* how much more waits for one before all are looked at */
    SESSION_PROGRESS_MAX = 4 * 1024 * 1024, /* unread bytes of calls from which on progress is left out; nothing is lost by
                                                    it but news, and no credit bounds it */
    SESSION_HELLO_MAX = 4096,              /* bytes of the first frame */
    SESSION_HELLO_MS = 10000,              /* how long a connection may take to say hello */
    SESSION_STRANGERS_MIN = 64,            /* as many without hello there may always be; and as many as agents */
    SESSION_SILENT_INTERVALS = 3,
    SESSIONS_A_ROUND = 64,                 /* are seen to when all are, before others have a turn: some 0.1 ms */
    SESSION_TURN = 256 * 1024,             /* what one session may use of a round, in bytes of frames */
    SESSION_SLICE = 32 * 1024,             /* of a turn: after each, others are looked for. Some 40 µs of work */
    SESSION_SLICE_BESIDE = 8 * 1024,       /* the same when there were some, one of the last so many times; */
    SESSION_SLICE_FAR = 4 * 1024,          /* with the broker in another process, whose slices others wait behind as well */
    SESSION_BESIDE = 4,
    SESSION_SLICE_ALONE = 64 * 1024,       /* the same when there were none so many times: looking is a system call */
    SESSION_ALONE = 16,
    SESSION_TURN_FRAME = 2048,             /* what any frame but a publish costs besides: it is work, however short it is */
    SESSION_AHEAD_MAX = 16 * 1024,         /* work that a broker in another process has not come to: that of others is behind it */
    SESSION_AHEAD_ALONE = 512 * 1024,      /* the same while no other session says anything */
    SESSION_AHEAD_MS = 10,                 /* how long a session waits for it at most */
    SESSION_GOODBYES = 8,                  /* in a round: some 10 µs each */
    SESSION_ALONE_MS = 100                 /* after another one's last word */
};

/* Log lines, by who could cause them at will: each kind has its limit. */
typedef enum session_lines {
    LINES_SESSIONS,  /* agents that come and go */
    LINES_TAKEOVERS, /* sessions of one agent that end each other */
    LINES_FAULTS,    /* sessions that end because of what an agent did */
    LINES_STRANGERS, /* connections without hello */
    LINES_REFUSALS,
    SESSION_LINES
} session_lines;

struct bridge {
    bridge_options options;
    linked_list strangers;  /* sessions without hello, in the order in which they came */
    uint32_t stranger_count;
    rate_limit lines[SESSION_LINES];
    session *sessions;      /* all of them, newest first */
    session *to_tick, *to_move; /* those that come next in a walk over all of them; NULL: there is none under way */
    uint64_t move_by_ms;
    void *agents;           /* tsearch tree of sessions by agent id */
    uint64_t next_session;
    bool winding_down;      /* nobody gets more credit to publish */
    uint64_t round;
    uint64_t hello_cost;    /* of the news of agents that have come in this round */
    unsigned goodbyes;      /* of agents that have gone in this round */
    linked_list gone_attempts; /* of sessions that have ended: spans that have not (attempts.c) */
    uint64_t speaker;       /* the session that said something last, by its id */
    uint64_t speaker_ms;    /* when it was another one */
    const loop_clock *clock;
    uint64_t ticked_ms;     /* when bridge_tick() ran last; 0: never */
    shared_bytes *lent;     /* what is being received lies in it; NULL: in memory of which nobody may keep anything */
    uint8_t *scratch[2];    /* for envelopes that must be rewritten; made when first needed */
    linked_list owed;       /* sessions that are owed credit, in the order of their turns */
    linked_list refusals;   /* of calls that found no room (unsent.c), to be sent up in the next round */
    linked_list keeps_due;  /* traces that agents are told of in later rounds, and how many (on_keep.c) */
    uint32_t keeps_due_count;
    uint64_t keep_visits;   /* sessions that were looked at for that, in this round */
    uint64_t keeps_left, keeps_ms; /* on_keep.c: how many traces agents may want kept, since then */
    bridge_stats stats;
};

typedef enum session_state { SESSION_NEW, SESSION_OPEN, SESSION_ENDED } session_state;

/* Upper bound on the unread bytes of one kind of frame, never an underestimate: those appended since the mark, and those
 * between the mark before it and this one. At most what was appended with about two backlogs. */
typedef struct session_unread {
    uint64_t older, newer;
    uint64_t mark;            /* in bytes appended */
} session_unread;

struct session {
    bridge *bridge;
    session *prev, *next;
    list_node stranger;       /* of the bridge's strangers, while it is new */
    const session_io *io;
    void *io_user;
    session_state state;
    loom_status doom;         /* not LOOM_OK: ends at the next frame or tick, and until then takes nothing more */
    const char *doom_text;
    char broker_text[96];     /* why the broker has ended it */
    bool pressed;             /* the bus asked us to stop granting */
    bool waits;               /* and this, to take nothing more from the agent */
    bool pinged;              /* our ping is not answered yet */
    uint8_t recorder;         /* the agent is to be told of traces to be kept: what its hello says, at most 2 */
    bool quiet;               /* its coming and going is logged for debugging only */
    bool moves;               /* the agent can connect elsewhere */
    uint64_t round;           /* the round that turn_left is of */
    int64_t turn_left;
    int64_t slice_end;        /* the turn_left at which others are looked for; never below 0 */
    uint8_t alone;            /* how often in a row there were none, at most SESSION_ALONE */
    uint32_t batch_done;      /* envelopes of a publish frame that earlier turns have handled; 0: it begins */
    size_t batch_at;          /* and their bytes */
    uint64_t fan_out;         /* what the publishes of a frame have cost besides their bytes, and its turn has not paid yet */
    session_ahead ahead;
    uint64_t ahead_until_ms;  /* it waits for the broker no longer than that, which may be away; 0: it does not */
    uint64_t id;
    char *peer;
    char agent[LOOM_AGENT_ID_MAX + 1];
    size_t agent_len;
    bus_port *port;           /* NULL before hello and after the end */
    span_sender *spans;       /* NULL: it has no leave to send any */
    struct message_pass *publishing; /* bridge.publish of the message that is being handed to the bus; NULL: none */
    frame_writer out;
    splices spliced;          /* into out */
    number_table groups;      /* names of the groups that its subscriptions are in (groups.h) */
    void *attempts;           /* tsearch tree of spans by call id (attempts.h) */
    uint64_t opened_ms, heard_ms;
    uint64_t opened_round;
    uint64_t told_ms;         /* the heard_ms that the bus was told last */
    uint64_t appended;        /* bytes that were ever in out */
    session_unread replies, calls, keeps;
    number_table unsent;      /* calls that wait in out behind a backlog, by their number: their places in it, plus 1 */
    size_t dead_bytes;        /* of frames in out that will not be sent */
    size_t backlog;           /* taken from out, not yet by the kernel */
    uint64_t credit_messages, credit_bytes; /* granted by the agent, totals; UINT64_MAX: it does not count */
    uint64_t granted_messages, granted_bytes; /* what the bus was told */
    bool owed;                /* more, which it is told in rounds that follow */
    list_node owed_node;
    uint64_t forwarded, forwarded_bytes;
    uint64_t flying;          /* forwarded when out was last taken */
    uint64_t published, published_bytes;
    uint64_t refused;         /* envelopes read, but not published */
    uint64_t publish_granted; /* total bytes the agent may publish */
};

static inline loom_str session_agent(const session *s)
{
    return (loom_str){s->agent, s->agent_len};
}

/* Ends the session: takes it off the bus and the table, tells the agent why, tells the owner of the connection. Once. */
void session_end(session *s, frame_type how, loom_status why, const char *text);
/* Something that cannot be made good happened where a session cannot be ended: it ends soon. The first one counts. */
void session_doom(session *s, loom_status why, const char *text);
session_info session_describe(const session *s);
void session_log(const session *s, session_lines kind, log_level level, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* It is no stranger any more. */
void session_leave_strangers(session *s);
/* Tells the bus how much may be delivered now: the agent's credit, held down by what it has not read yet.
 * granted: the agent has just given more. */
void session_apply_credit(session *s, bool granted);
/* It is owed nothing any more. */
void session_forget_owed(session *s);
/* A slice for the session whose turn it is. */
void bridge_pay_owed(bridge *b);
/* Grants publish credit when half of it is used and nothing presses. */
void session_grant_publish(session *s);
/* How much it may do until it looks for others again. */
static inline uint32_t session_slice(const session *s)
{
    if (s->alone < SESSION_BESIDE) {
        return s->bridge->options.bus->mark != 0 ? SESSION_SLICE_FAR : SESSION_SLICE_BESIDE;
    }
    return s->alone < SESSION_ALONE ? SESSION_SLICE : SESSION_SLICE_ALONE;
}

/* Whether its turn ends early, for others that wait. */
static inline bool session_yields(session *s)
{
    const bool others = s->io->others != NULL && s->io->others(s->io_user);
    s->alone = others ? 0 : (uint8_t)(s->alone + (s->alone < SESSION_ALONE));
    return others;
}
/* Nothing more is read of it in this round. */
void session_end_turn(session *s);
/* Hands a frame up to the bus as it is. */
void session_pass_up(session *s, const frame *f);

/* One verb, or a few of a kind, each; publish stops between two envelopes when others wait, and has batch_done then. A status other than LOOM_OK ends the session with it and reason. */
loom_status on_hello(session *s, const frame_hello *f, char reason[FRAME_REASON_SIZE]);
loom_status on_publish(session *s, const frame_batch *batch, char reason[FRAME_REASON_SIZE]);
void on_credit(session *s, uint64_t messages, uint64_t bytes);
loom_status on_call(session *s, const frame_call *f, char reason[FRAME_REASON_SIZE]);
void on_cancel(session *s, const frame *f);
void on_result(session *s, const frame *f);
void on_report(session *s, const frame *f);
void on_spans(session *s, const frame_spans *f);
/* What it has recorded, since it leaves. */
void on_recorded(session *s, const frame_spans *f);
void on_keep(session *s, const frame_keep *f);
/* The agent has just come: it is told which traces are kept now, since something may still come of them here. */
void session_tell_kept(session *s);
/* One of another process: told to the agents here. */
void bridge_told_to_keep(bridge *b, const frame_keep *f);
/* A round begins: of those that agents are to be told of, some. */
void bridge_tell_keeps_due(bridge *b);
void bridge_drop_keeps_due(bridge *b);
/* There is a broker, again: it hears which traces are kept now. */
void bridge_bus_is_up(bridge *b);
/* Whether it may send spans, from what its hello says; returns the credit for welcome. */
uint64_t session_open_spans(session *s, const frame_hello *f);

/* Frames for the agent, by the limit on how many bytes of them it may leave unread. */
typedef enum session_kind {
    SESSION_OTHER, /* credit bounds them, or they are few */
    SESSION_REPLY,
    SESSION_CALL
} session_kind;

/* The two below, when there is something to do. */
void session_append_failed(session *s, loom_status st);
void session_count_unread(session *s, session_kind kind, size_t bytes);

/* Of lines about its coming and going. */
static inline log_level session_level(const session *s)
{
    return s->quiet ? LOG_DEBUG : LOG_INFO;
}

/* Bytes that the agent's socket has not taken. */
static inline size_t session_waiting(const session *s)
{
    return s->backlog + s->out.len + s->spliced.bytes;
}

/* Whatever is written to out is written between these two; without the second, nobody would send it. */
static inline size_t session_begin(const session *s)
{
    return s->out.len;
}

/* st: how the writing went; anything but LOOM_OK dooms the session. */
static inline void session_commit(session *s, size_t mark, session_kind kind, loom_status st)
{
    const size_t bytes = s->out.len - mark;
    if (st != LOOM_OK) {
        session_append_failed(s, st);
    }
    s->appended += bytes;
    if (kind != SESSION_OTHER) {
        session_count_unread(s, kind, bytes);
    }
    if (mark == 0 && bytes > 0) {
        s->io->output(s->io_user);
    }
}

/* Handlers of the port: what the bus brings. */
extern const bus_handlers session_bus_handlers;
/* One of them: frames without an envelope. Verbs that answer for the bus use it too. */
void session_answer(void *user, const frame *f);

#endif
