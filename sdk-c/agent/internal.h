/* SPDX-License-Identifier: Apache-2.0 */
/* What an agent is made of. Shared by the agent_*.c files, session*.c, dispatch.c and emit.c.
 *
 * The loop is whoever drives the link: the agent's thread, or in poll mode the caller of loom_agent_poll(). One mutex
 * guards what other threads touch; the loop alone owns the session, the bytes received and the carrier's receiving
 * side. Callbacks run on the loop with no lock held. A write is done without the lock by the one thread that has set
 * out.writing; the loop does not close the carrier before that thread is through. */
#ifndef LOOM_SDK_AGENT_INTERNAL_H
#define LOOM_SDK_AGENT_INTERNAL_H

#include <loom/agent.h>

#include <pthread.h>
#include <stdatomic.h>

#include "sdk-c/actions/actions_state.h"
#include "sdk-c/link/carrier.h"
#include "sdk-c/link/send_queue.h"
#include "sdk-c/events/kept.h"
#include "sdk-c/events/subscriptions.h"

enum { SESSION_TEXT_SIZE = 320 };
enum { TIMER_TAG = CARRIER_TAG + 1, WAKE_TAG }; /* epoll_event.data.u32 */

#define MS_NS 1000000ull /* nanoseconds of a millisecond */
#define NEVER UINT64_MAX

typedef enum session_phase {
    SESSION_WAITING, /* for the next attempt */
    SESSION_DIALING,
    SESSION_HELLO,   /* said; welcome is awaited */
    SESSION_UP,
    SESSION_ENDED    /* for good */
} session_phase;

/* The loop's own. Times are CLOCK_MONOTONIC nanoseconds. */
typedef struct session {
    session_phase phase;
    uint64_t deadline;        /* of the phase: next attempt, or giving up */
    uint64_t up_since;
    unsigned attempts;        /* in a row */
    bool ever_up;
    bool announced;           /* this outage has been told */
    char text[SESSION_TEXT_SIZE]; /* why it ended */

    uint64_t heartbeat_ns, next_heartbeat;
    uint64_t ping;            /* number of the last one */
    uint64_t ping_mark;       /* out.taken when it was queued */
    bool pinged, heard;       /* a ping is unanswered; something came since the last tick */
    unsigned missed;

    uint64_t handled_messages, handled_bytes; /* deliveries of this session that are dealt with */
    uint64_t granted_messages, granted_bytes; /* totals told to the bridge */
    bool bye_said;            /* closing */
    uint64_t bye_deadline;    /* after that and all else has left: give up waiting for the peer's end. 0: not yet */
} session;

typedef struct receive_buffer {
    uint8_t *data;
    size_t capacity, begin, end;
    bool parsing; /* a frame in it is being handled: it stays where it is */
} receive_buffer;

/* Who handles a subscription, as it was when so many had been removed. */
typedef struct known_handler {
    uint64_t number, removals;
    loom_on_event on_event; /* NULL: an empty place */
    void *user;
    bool immediate;
} known_handler;
enum { KNOWN_HANDLERS = 16 };

typedef struct agent_counters {
    _Atomic uint64_t received, failed, reconnects, invalid_context, calls_handled;
} agent_counters;

/* A binary heap, the earliest first. Guard: the agent's lock. */
typedef struct timer_heap {
    struct agent_timer **items;
    size_t count, capacity;
} timer_heap;

struct loom_agent {
    /* fixed once open */
    char *id;
    size_t id_len;
    url url;
    char *tls_ca_file;
    loom_agent_options options; /* its strings are not kept */
    uint8_t instance[LOOM_UUID_SIZE];
    loom_tracer_provider *provider;   /* NULL: telemetry is off */
    loom_span_processor *processor;   /* our own, or NULL */
    loom_tracer *tracer;
    int epoll_fd, wake_fd, timer_fd, run_fd;
    pthread_t thread;
    pthread_t keeper;
    bool has_thread, has_keeper;

    pthread_mutex_t lock;
    pthread_cond_t changed; /* anything a waiter may wait for */
    unsigned waiters;       /* of changed; guarded by lock */
    unsigned guests;        /* in a function that waits: the agent is not freed before they have left; guarded by lock */
    pthread_cond_t keeper_wakes; /* early, to end */

    /* guarded by lock */
    send_queue out;
    subscriptions subs;
    carrier *link;          /* set and cleared by the loop under lock */
    bool writable;          /* link is connected */
    loom_agent_state state;
    loom_status why;        /* with CLOSED */
    uint32_t max_payload;   /* of the bridge */
    uint64_t emitted, refused;
    uint64_t last_write;    /* Unix ns, the clock that emit has read anyway */
    size_t collected;       /* bytes queued since somebody last wrote */
    bool blocked;           /* the kernel takes no more: the loop goes on when it does */
    bool woken;             /* the loop has been told to write */
    bool write_failed;
    bool closing;
    uint64_t close_deadline;
    bool looping;           /* somebody is the loop */
    uint64_t keep_ns;       /* a handler that takes longer keeps the session from ending: the heartbeat */
    char topic[LOOM_TOPIC_MAX]; /* the last one that was found valid */
    size_t topic_len;
    actions_state actions;
    timer_heap timers;
    uint64_t armed;         /* what timer_fd is set to */
    struct collaboration *collaboration; /* NULL: not used yet */

    atomic_bool unwritten;   /* set before somebody relies on the loop to write: it takes the lock only then */
    atomic_bool handling;    /* handlers run: nobody may rely on the loop to write */
    atomic_bool stopped;     /* by loom_agent_stop() */
    atomic_bool closing_seen; /* closing, without the lock: handlers are not called any more */
    _Atomic uint64_t last_call; /* number of a call */
    _Atomic uint64_t removals; /* of subscriptions: what the loop remembers of handlers is void */
    agent_counters counters;
    atomic_flag exporter_told; /* an exporter's failure has been written to standard error */

    /* the loop's */
    session session;
    receive_buffer in;
    known_handler handlers[KNOWN_HANDLERS];
    loom_envelope *event;    /* reused while nobody kept it */
    size_t event_capacity;
    unsigned nested;         /* handlers that wait, one inside the other */
    struct waiting_handler {
        struct waiting_handler *outer;
        loom_envelope *message; /* NULL: of no message */
    } *waiting;              /* the innermost; on their stacks */
    uint64_t links;          /* connections that have ended */
    held_buffer *held;       /* receive buffers with frames that outer handlers are called from */
    batch_cursor *batch;     /* the innermost deliver frame being handled */
    kept_list kept;          /* deliveries for when the outermost handler has returned */
    kept_list kept_immediate; /* deliveries for the next nested round */
    uint64_t notices, notice_told_at; /* refusals: since last told, and when that was */
};

/* ---- loop.c ---- */

uint64_t monotonic_ns(void);
/* One round: waits up to timeout_ms for something to do (-1: for ever) and does it. */
void agent_round(loom_agent *a, int timeout_ms);
/* Makes the calling thread the loop. False: another one is. */
bool agent_loop_enter(loom_agent *a);
void agent_loop_leave(loom_agent *a);
/* Whether this thread is the loop of a: in a handler or another callback, or in loom_agent_poll(). */
bool agent_on_loop(const loom_agent *a);
/* Lock held: tells the loop that there is something to write. */
void agent_wake(loom_agent *a);
/* Lock held; gives it up while writing. Writes what kernel and credit take. all: until there is no more, as the loop does. */
void agent_write(loom_agent *a, bool all);
/* Lock held: something was queued. Writes it at once, unless a write is under way or the last one is just over. */
void agent_write_soon(loom_agent *a, uint64_t now_unix_ns);
/* Lock held. */
void agent_changed(loom_agent *a);
/* Lock held: waits for the next change. False: the deadline has passed. */
bool agent_wait_change(loom_agent *a, uint64_t deadline_ns);
bool agent_write_failed(loom_agent *a);
/* Wakes everybody in loom_agent_run(). */
void agent_end_runs(loom_agent *a);
/* The loop, with `handling` set, before a handler that may take its time: writes what nobody else will. */
void agent_before_handler(loom_agent *a);
/* The loop, after a handler. */
void agent_after_handler(loom_agent *a);
/* The loop has put a control frame into the queue. */
void agent_control_waits(loom_agent *a);
/* The loop: writes what waits, before it sleeps outside of a round. */
void agent_write_left(loom_agent *a);
/* The loop, around callbacks that may take their time: sets `handling`, and puts back what it was. */
bool agent_handling_begin(loom_agent *a);
void agent_handling_end(loom_agent *a, bool before);
/* Until the deadline, rounded up, and at most a minute. */
int agent_ms_until(uint64_t deadline_ns, uint64_t now_ns);
/* Lock held. Whoever waits inside a function of the agent is its guest; closing waits until all have left. */
void agent_guest_enter(loom_agent *a);
void agent_guest_leave(loom_agent *a);

/* ---- timers.c ---- */

/* Lock held. NEVER: there is none. */
uint64_t timers_next(const loom_agent *a);
/* The loop: fires what is due. */
void timers_fire(loom_agent *a, uint64_t now);

/* ---- keeper.c ---- */

/* With every signal blocked. It ends when the agent is closing. */
LOOM_MUST_CHECK loom_status agent_keeper_start(loom_agent *a);

/* ---- session.c ---- */

void session_start(loom_agent *a);
/* Deadlines. */
void session_tick(loom_agent *a, uint64_t now);
uint64_t session_next_deadline(const loom_agent *a);
/* The carrier has something: goes on connecting, or reads. */
void session_event(loom_agent *a);
/* Handles frames that have been read already. */
void session_read_on(loom_agent *a);
/* Ends the connection; text is why. status LOOM_EREPLACED ends the session for good. */
void session_break(loom_agent *a, loom_status status, const char *text);
/* closing: true when there is nothing more to wait for. */
bool session_closed(loom_agent *a, uint64_t now);
/* Lock held, session up: the subscription goes to the bridge. */
LOOM_MUST_CHECK loom_status session_subscribe(loom_agent *a, const subscription *sub);
LOOM_MUST_CHECK loom_status session_unsubscribe(loom_agent *a, uint64_t number);
void session_set_state(loom_agent *a, loom_agent_state state, loom_status why, const char *text);

/* ---- session_frames.c ---- */

/* Handles the whole frames received. Anything but LOOM_OK ends the connection, session.text being why. */
LOOM_MUST_CHECK loom_status session_frames(loom_agent *a);
/* Grants credit again when half of it is used. */
LOOM_MUST_CHECK loom_status session_renew_credit(loom_agent *a, bool now);

/* ---- dispatch.c ---- */

/* The items of one deliver frame. LOOM_EMALFORMED: session.text says which. */
LOOM_MUST_CHECK loom_status dispatch_batch(loom_agent *a, const frame_batch *batch);
/* Keeps what is left of the deliver frame being handled: a handler waits. */
void dispatch_set_aside(loom_agent *a);
/* What was kept: all of it when no handler waits any more; or only what is immediate. */
LOOM_MUST_CHECK loom_status dispatch_kept(loom_agent *a);
LOOM_MUST_CHECK loom_status dispatch_kept_immediate(loom_agent *a);
/* The message this thread is handling, for the defaults of what it sends meanwhile. */
typedef struct current_message {
    loom_envelope *envelope; /* an event, or the envelope of a call; NULL: none */
    uint64_t deadline_ns;    /* of a call; 0: none */
} current_message;
current_message dispatch_current(void);
/* Makes it another one; returns what it was. */
current_message dispatch_set_current(current_message message);
const loom_envelope *dispatch_current_event(void);

/* ---- telemetry.c ---- */

LOOM_MUST_CHECK loom_status telemetry_open(loom_agent *a);
/* Flushes within timeout_ms. */
void telemetry_close(loom_agent *a, uint32_t timeout_ms);

/* ---- report.c ---- */

/* One message or the exporter has failed: on_error, or standard error at most once a second. The loop's. */
void report_refusal(loom_agent *a, loom_status why, const char *text);
/* The state has changed: on_state, or standard error once per outage. The loop's. */
void report_state(loom_agent *a, loom_agent_state state, loom_status why, const char *text);

#endif
