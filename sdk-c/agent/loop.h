/* SPDX-License-Identifier: Apache-2.0 */
/* The ground an agent stands on: its lock, its outgoing bytes, and waking the threads that write or wait.
 *
 * The loop is the thread that drives the link: the agent's own, or in poll mode the caller of loom_agent_poll(). One mutex
 * guards what other threads touch. A write happens without the lock, in the one thread that has set out.writing; the loop
 * does not close the carrier before that thread is done. What a round of the loop does is in round.c, on top of
 * everything else; nothing here knows. */
#ifndef LOOM_SDK_AGENT_LOOP_H
#define LOOM_SDK_AGENT_LOOP_H

#include <loom/agent.h>

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/fork_mark.h"
#include "sdk-c/agent/timers.h"
#include "sdk-c/link/carrier.h"
#include "sdk-c/link/send_queue.h"

enum { TIMER_TAG = CARRIER_TAG + 1, WAKE_TAG }; /* epoll_event.data.u32 */

typedef struct agent_loop {
    /* fixed once open */
    unsigned mark;          /* fork_mark.h: whose process this is */
    int epoll_fd, wake_fd, timer_fd;
    int run_fd;             /* readable: loom_agent_run() has to look */
    void (*fill_spans)(struct agent_loop *loop); /* puts a frame of spans into out, or clears spans_wait; lock held. NULL: never set */

    pthread_mutex_t lock;
    pthread_cond_t changed; /* anything somebody may wait for */
    pthread_cond_t closes;  /* signalled once, with closing */

    /* guarded by lock */
    unsigned waiters;       /* on changed */
    unsigned guests;        /* threads in a function that waits: the agent is not freed before they have left */
    bool looping;           /* somebody is the loop */
    bool closing;           /* by its owner */
    bool over;              /* closing, or closed for good by the bridge: nothing more is accepted */
    bool writable;          /* link is connected */
    bool blocked;           /* the kernel takes no more: the loop goes on when it does */
    bool woken;             /* the loop has been woken to write */
    bool write_failed;
    bool spans_wait;        /* fill_spans() may have some */
    /* When the agent closes, spans leave before its goodbye: hold that back; flush, it is their turn; they are done with, or there are none. */
    enum { SPANS_DONE, SPANS_HOLD, SPANS_FLUSH } spans_end;
    carrier *link;          /* set and cleared by the loop */
    uint64_t last_write;    /* Unix ns, the clock that emit has read anyway */
    size_t collected;       /* bytes queued since the last write */
    uint64_t close_deadline; /* with closing */
    uint64_t armed;         /* what timer_fd is set to */
    binary_heap timers;     /* of agent_timer.node, by CLOCK_MONOTONIC ns */
    agent_timer inquiry;    /* set once messages have left: the session asks what has been read of them */
    send_queue out;

    atomic_bool unwritten;    /* set before somebody relies on the loop to write: it takes the lock only then */
    atomic_bool handling;     /* handlers run: nobody may rely on the loop to write */
    atomic_bool closing_seen; /* closing, without the lock: handlers are not called any more */
} agent_loop;

/* loop is zeroed. LOOM_ENOMEM.  LOOM_EIO: no descriptor, errno says why. */
LOOM_MUST_CHECK loom_status loop_init(agent_loop *loop, size_t send_limit);
/* No thread uses it any more. */
void loop_fini(agent_loop *loop);
/* In the child of a fork(): its copies of the parent's descriptors, and nothing else. What the parent's threads were about to
 * change is in no state to be freed. */
void loop_abandon(agent_loop *loop);

/* Makes the calling thread the loop. False: another one is. */
bool loop_enter(agent_loop *loop);
void loop_leave(agent_loop *loop);
/* Whether the calling thread is the loop: in a handler or another callback, or in loom_agent_poll(). */
bool loop_is_this_thread(const agent_loop *loop);

/* ---- waking and waiting; lock held ---- */

/* Wakes the loop: there is something to write. */
void loop_wake(agent_loop *loop);
/* Wakes everybody who waits for a change. */
void loop_changed(agent_loop *loop);
/* Waits for the next change. False: the deadline has passed. */
bool loop_wait_change(agent_loop *loop, uint64_t deadline_ns);
/* LOOM_ENOMEM. Setting again moves it, which needs no memory. */
LOOM_MUST_CHECK loom_status loop_timer_set(agent_loop *loop, agent_timer *timer, uint64_t at_ns);
void loop_timer_clear(agent_loop *loop, agent_timer *timer);

/* ---- closing; lock not held ---- */

/* Around a function that waits: the agent is not freed before its guests have left. */
void loop_guest_enter(agent_loop *loop);
void loop_guest_leave(agent_loop *loop);
/* Nothing more is accepted, and all waits and runs end. */
void loop_close_within(agent_loop *loop, uint64_t deadline_ns);
/* Until the guests have left. */
void loop_see_guests_off(agent_loop *loop);
/* Wakes everybody in loom_agent_run(). Async-signal-safe. */
void loop_end_runs(agent_loop *loop);
/* Makes an eventfd readable. Async-signal-safe. */
void loop_signal(int event_fd);

/* ---- writing: write.c; lock held ---- */

/* Gives up the lock while writing. Writes what kernel and credit take; all: until nothing is left, as the loop does. */
void loop_write(agent_loop *loop, bool all);
/* Something was queued. Writes it at once, unless a write is under way or the last one is only just over. */
void loop_write_soon(agent_loop *loop, uint64_t now_unix_ns);

/* ---- of the loop itself: write.c; lock not held ---- */

/* Writes what is queued. link_event: the epoll set says that there may be space again. */
void loop_write_all(agent_loop *loop, bool link_event);
bool loop_write_failed(agent_loop *loop);
/* A control frame has been queued. */
void loop_control_waits(agent_loop *loop);
/* Around callbacks that may take their time: sets `handling`, and puts back what it was. */
bool loop_handling_begin(agent_loop *loop);
void loop_handling_end(agent_loop *loop, bool before);
/* Around each handler, with `handling` set: writes what nobody else will. Whether there was anything to look at, which takes time. */
bool loop_before_handler(agent_loop *loop);
bool loop_after_handler(agent_loop *loop);

/* ---- its timers; lock not held unless it says so ---- */

/* Sets the timer descriptor for this, or for the first timer if that is earlier. Lock held. */
void loop_arm(agent_loop *loop, uint64_t at_ns);
/* The timer descriptor is readable. */
void loop_timer_expired(agent_loop *loop);
/* Fires some of what is due, the rest in the next rounds; a passes through to the timers. */
void loop_fire_timers(agent_loop *loop, loom_agent *a, uint64_t now_ns);
/* Until the deadline, rounded up, and at most a minute. */
int loop_ms_until(uint64_t deadline_ns, uint64_t now_ns);

#endif
