/* SPDX-License-Identifier: Apache-2.0 */
/* The loop of an agent, and how bytes leave it.
 *
 * Whoever queues a message on an idle link writes it at once, in its own thread. When the last write is only just over,
 * more is likely to follow, and a system call for each message would be most of its cost: the message is then left to the
 * loop, which is woken once and takes along whatever has collected by then. When much has collected before the loop comes,
 * whoever queued last writes it: the processor has it at hand, and the loop has waited for its turn long enough. A stream
 * so finds its own batch size, and no timer ever holds a message back.
 *
 * What the kernel does not take at once is left to the loop, too: the epoll set says when there is room. It is asked to
 * under the lock, which the loop takes next, and not while somebody writes: the loop would be told of room that is his.
 *
 * While handlers run, the loop cannot be relied on: others then write themselves. Who leaves a message to the loop first
 * sets `unwritten` and then looks at `handling`; the loop sets `handling` before it looks at `unwritten`. So one of the two
 * sees the other, and the loop needs the lock only when there is something to write. */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "sdk-c/actions/actions.h"

/* About what waking a thread costs: a message that follows another more closely does not lose by waiting for that. */
#define BURST_NS 20000u
/* A write this large costs little more for each of its bytes than a larger one, and still lies in the cache. */
#define COLLECTED_ENOUGH (64u * 1024u)

/* The agents whose loop this thread is: one, unless a handler polls another agent. */
static _Thread_local struct {
    const loom_agent *agents[8];
    unsigned depth;
} loops;

bool agent_on_loop(const loom_agent *a)
{
    for (unsigned i = loops.depth; i-- > 0;) {
        if (loops.agents[i] == a) {
            return true;
        }
    }
    return false;
}

bool agent_loop_enter(loom_agent *a)
{
    pthread_mutex_lock(&a->lock);
    bool free = !a->looping && loops.depth < sizeof loops.agents / sizeof *loops.agents;
    if (free) {
        a->looping = true;
        loops.agents[loops.depth++] = a;
    }
    pthread_mutex_unlock(&a->lock);
    return free;
}

void agent_loop_leave(loom_agent *a)
{
    pthread_mutex_lock(&a->lock);
    a->looping = false;
    loops.depth--;
    agent_changed(a);
    pthread_mutex_unlock(&a->lock);
}

void agent_changed(loom_agent *a)
{
    if (a->waiters > 0) {
        pthread_cond_broadcast(&a->changed);
    }
}

int agent_ms_until(uint64_t deadline_ns, uint64_t now_ns)
{
    uint64_t ms = deadline_ns > now_ns ? (deadline_ns - now_ns + MS_NS - 1) / MS_NS : 0;
    return ms < 60000 ? (int)ms : 60000;
}

void agent_guest_enter(loom_agent *a)
{
    a->guests++;
}

void agent_guest_leave(loom_agent *a)
{
    a->guests--;
    agent_changed(a);
}

bool agent_wait_change(loom_agent *a, uint64_t deadline_ns)
{
    int result;
    a->waiters++;
    if (deadline_ns == NEVER) {
        result = pthread_cond_wait(&a->changed, &a->lock);
    } else {
        struct timespec until = {(time_t)(deadline_ns / 1000000000u), (long)(deadline_ns % 1000000000u)};
        result = pthread_cond_timedwait(&a->changed, &a->lock, &until);
    }
    a->waiters--;
    return result != ETIMEDOUT;
}

/* ---- writing ---- */

void agent_wake(loom_agent *a)
{
    if (!a->woken) {
        uint64_t one = 1;
        a->woken = true;
        ssize_t written = write(a->wake_fd, &one, sizeof one);
        (void)written; /* an eventfd that is full is readable already */
    }
}

void agent_write(loom_agent *a, bool all)
{
    send_queue *q = &a->out;
    a->collected = 0;
    while (a->writable && !q->writing && !a->write_failed && (send_queue_in_flight(q) || send_queue_take(q))) {
        size_t sent;
        carrier *link = a->link;
        q->writing = true;
        pthread_mutex_unlock(&a->lock);
        loom_status st = link->ops->send(link, q->iov + q->iov_at, q->iov_count - q->iov_at, &sent);
        pthread_mutex_lock(&a->lock);
        q->writing = false;
        a->last_write = clock_unix_ns();
        bool complete = st == LOOM_OK && send_queue_sent(q, sent);
        agent_changed(a);
        if (st != LOOM_OK && st != LOOM_EBUSY) {
            a->write_failed = true;
            agent_wake(a);
        }
        a->blocked = !complete;
        link->ops->watch_room(link, a->blocked && !a->write_failed);
        if (!complete) {
            return;
        }
        if (!all && !atomic_load(&a->handling)) {
            break;
        }
    }
    bool ready = send_queue_ready(q);
    if (!ready && !q->writing) {
        atomic_store_explicit(&a->unwritten, false, memory_order_relaxed);
    } else if (!all && a->writable && !q->writing) {
        agent_wake(a); /* somebody queued more meanwhile, and relied on this write */
    }
}

/* Lock held. */
static void leave_to_loop(loom_agent *a)
{
    if (!atomic_load_explicit(&a->unwritten, memory_order_relaxed)) {
        atomic_store(&a->unwritten, true);
    }
}

void agent_write_soon(loom_agent *a, uint64_t now_unix_ns)
{
    leave_to_loop(a);
    if (!a->writable || a->out.writing) {
        return;
    }
    bool handling = atomic_load(&a->handling);
    bool enough = a->collected >= COLLECTED_ENOUGH;
    if ((a->blocked || (a->woken && !enough)) && !handling) {
        return; /* the loop will */
    }
    /* A clock set back makes the difference huge: a write too many. */
    if (enough || now_unix_ns - a->last_write >= BURST_NS) {
        agent_write(a, false);
    } else if (!agent_on_loop(a)) { /* the loop itself writes when the handler is through */
        if (handling) {
            agent_write(a, false);
        } else {
            agent_wake(a);
        }
    }
}

/* ---- around handlers ---- */

bool agent_handling_begin(loom_agent *a)
{
    bool before = atomic_load_explicit(&a->handling, memory_order_relaxed);
    if (!before) {
        atomic_store(&a->handling, true);
    }
    return before;
}

void agent_handling_end(loom_agent *a, bool before)
{
    if (!before) {
        atomic_store(&a->handling, false);
    }
}

void agent_control_waits(loom_agent *a)
{
    atomic_store_explicit(&a->unwritten, true, memory_order_relaxed);
}

void agent_before_handler(loom_agent *a)
{
    if (!atomic_load(&a->unwritten)) {
        return;
    }
    pthread_mutex_lock(&a->lock);
    if (a->woken || a->out.control.len > 0) {
        agent_write(a, true);
    }
    pthread_mutex_unlock(&a->lock);
}

void agent_after_handler(loom_agent *a)
{
    if (!atomic_load_explicit(&a->unwritten, memory_order_relaxed)) {
        return;
    }
    pthread_mutex_lock(&a->lock);
    if (a->writable && !a->out.writing && send_queue_ready(&a->out) && clock_unix_ns() - a->last_write >= BURST_NS) {
        agent_write(a, true);
    }
    pthread_mutex_unlock(&a->lock);
}

/* ---- rounds ---- */

/* Lock held. A timer that is set too early stays: calls that end before their deadline would otherwise set it twice each,
 * and a round too many once in a while costs less. */
static void arm_timer_locked(loom_agent *a)
{
    uint64_t at = session_next_deadline(a), timer = timers_next(a);
    at = timer < at ? timer : at;
    if (at >= a->armed && a->armed > 0) { /* 0: not set yet, or for at once */
        return;
    }
    a->armed = at;
    struct itimerspec spec = {.it_value = {(time_t)(at / 1000000000u), (long)(at % 1000000000u)}};
    if (at == 0) {
        spec.it_value.tv_nsec = 1; /* 0 would be never */
    }
    timerfd_settime(a->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

static void arm_timer(loom_agent *a)
{
    pthread_mutex_lock(&a->lock);
    arm_timer_locked(a);
    pthread_mutex_unlock(&a->lock);
}

/* It has fired: to be set again. */
static void timer_fired(loom_agent *a)
{
    uint64_t expirations;
    pthread_mutex_lock(&a->lock);
    ssize_t got = read(a->timer_fd, &expirations, sizeof expirations);
    (void)got; /* a timer set anew meanwhile has nothing to read */
    a->armed = NEVER;
    pthread_mutex_unlock(&a->lock);
}

bool agent_write_failed(loom_agent *a)
{
    pthread_mutex_lock(&a->lock);
    bool failed = a->write_failed;
    pthread_mutex_unlock(&a->lock);
    return failed;
}

static void write_all(loom_agent *a, bool link_event)
{
    pthread_mutex_lock(&a->lock);
    if (link_event || a->woken) {
        a->blocked = false;
    }
    a->woken = false;
    if (a->writable && a->out.writing) {
        a->link->ops->watch_room(a->link, false); /* it would keep the loop from sleeping until that write is over */
    } else if (!a->blocked) {
        agent_write(a, true);
    }
    pthread_mutex_unlock(&a->lock);
}

void agent_write_left(loom_agent *a)
{
    write_all(a, false);
}

/* Handlers that waited have left deliveries and calls to be handled. */
static void handle_kept(loom_agent *a)
{
    actions_run_waiting(a);
    loom_status st = dispatch_kept_immediate(a);
    if (st == LOOM_OK) {
        st = dispatch_kept(a);
    }
    if (st != LOOM_OK) {
        session_break(a, st, a->session.text);
    }
}

/* Who polls and has read something queues next what belongs to it, a request or an answer: no burst, and nobody else
 * would write it. */
static void end_round(loom_agent *a, bool link_event)
{
    pthread_mutex_lock(&a->lock);
    if (a->options.poll_mode && link_event) {
        a->last_write = 0;
    }
    arm_timer_locked(a);
    pthread_mutex_unlock(&a->lock);
}

void agent_round(loom_agent *a, int timeout_ms)
{
    struct epoll_event events[4];
    arm_timer(a);
    int count = epoll_wait(a->epoll_fd, events, 4, timeout_ms);
    bool link_event = false;
    for (int i = 0; i < count; i++) {
        if (events[i].data.u32 == CARRIER_TAG) {
            link_event = true;
        } else if (events[i].data.u32 == TIMER_TAG) {
            timer_fired(a);
        }
    }
    write_all(a, link_event);
    if (link_event || agent_write_failed(a)) {
        session_event(a); /* after a failed write too: the bridge may have said why */
    }
    uint64_t now = clock_monotonic_ns();
    session_tick(a, now);
    timers_fire(a, now);
    handle_kept(a);
    write_all(a, link_event); /* reading may have cleared the sign that there is room again */
    end_round(a, link_event);
}
