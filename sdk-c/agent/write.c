/* SPDX-License-Identifier: Apache-2.0 */
/* How bytes leave an agent, and who writes them.
 *
 * A thread that queues a message on an idle link writes it at once. When the last write is only just over, more is likely
 * to follow, and a system call for each message would be most of its cost: the message is then left to the loop, which is
 * woken once and takes whatever has collected by then. When a lot has collected before the loop gets there, the thread that
 * queued last writes it: its processor has the bytes at hand, and the loop has waited for its turn long enough. So a stream
 * finds its own batch size, and no timer ever holds a message back.
 *
 * What the kernel does not take at once is left to the loop, too: the epoll set says when there is space. The loop arms
 * EPOLLOUT under the lock, never while another thread writes; otherwise it would wake for space that thread is about to
 * use.
 *
 * While handlers run, nobody can rely on the loop: other threads then write themselves. A thread that leaves a message to
 * the loop first sets `unwritten` and then looks at `handling`; the loop sets `handling` before it looks at `unwritten`. So
 * one of the two sees the other, and the loop needs the lock only when there is something to write. */
#include "sdk-c/agent/loop.h"

/* About what waking a thread costs: a message that follows another more closely than this loses nothing by waiting. */
#define BURST_NS 20000u
/* A write of this size costs little more per byte than a larger one, and still lies in the cache. */
#define COLLECTED_ENOUGH (64u * 1024u)
/* A wake of the loop and a ping per so much time, at most. */
#define INQUIRY_NS (100 * MS_NS)

/* Lock held. Without memory for it, the next write tries again, and the heartbeat asks in any case. */
static void inquire_later(agent_loop *loop)
{
    loom_status st = loop_timer_set(loop, &loop->inquiry, clock_monotonic_ns() + INQUIRY_NS);
    (void)st;
}

/* Spans go along when the loop itself writes, behind whatever else there is. */
static bool take_flight(agent_loop *loop, bool all)
{
    if (loop->spans_wait && all) {
        loop->fill_spans(loop);
    }
    return send_queue_take(&loop->out);
}

void loop_write(agent_loop *loop, bool all)
{
    send_queue *q = &loop->out;
    loop->collected = 0;
    while (loop->writable && !q->writing && !loop->write_failed && (send_queue_in_flight(q) || take_flight(loop, all))) {
        size_t sent;
        carrier *link = loop->link;
        q->writing = true;
        pthread_mutex_unlock(&loop->lock);
        loom_status st = link->ops->send(link, q->iov + q->iov_at, q->iov_count - q->iov_at, &sent);
        pthread_mutex_lock(&loop->lock);
        q->writing = false;
        loop->last_write = clock_unix_ns();
        bool complete = st == LOOM_OK && send_queue_sent(q, sent);
        if (q->marks > 0 && !agent_timer_is_set(&loop->inquiry)) {
            inquire_later(loop);
        }
        loop_changed(loop);
        if (st != LOOM_OK && st != LOOM_EBUSY) {
            loop->write_failed = true;
            loop_wake(loop);
        }
        loop->blocked = !complete;
        link->ops->watch_room(link, loop->blocked && !loop->write_failed);
        if (!complete) {
            return;
        }
        if (!all && !atomic_load(&loop->handling)) {
            break;
        }
    }
    bool ready = send_queue_ready(q);
    if (!ready && !q->writing) {
        atomic_store_explicit(&loop->unwritten, false, memory_order_relaxed);
    }
    if (!all && loop->writable && !q->writing && (ready || loop->spans_wait)) {
        loop_wake(loop); /* somebody queued more meanwhile, or had spans for the loop, and relied on this write */
    }
}

/* Lock held. */
static void leave_to_loop(agent_loop *loop)
{
    if (!atomic_load_explicit(&loop->unwritten, memory_order_relaxed)) {
        atomic_store(&loop->unwritten, true);
    }
}

/* A message that was on its way here while another thread wrote is a little older than that write, by another clock perhaps: it does
 * not make a burst any less. A clock set back makes the difference huge: a write too many. */
static bool is_burst(const agent_loop *loop, uint64_t now_unix_ns)
{
    return now_unix_ns + MS_NS - loop->last_write < BURST_NS + MS_NS;
}

void loop_write_soon(agent_loop *loop, uint64_t now_unix_ns)
{
    leave_to_loop(loop);
    if (!loop->writable || loop->out.writing) {
        return;
    }
    bool handling = atomic_load(&loop->handling);
    bool enough = loop->collected >= COLLECTED_ENOUGH;
    if ((loop->blocked || (loop->woken && !enough)) && !handling) {
        return; /* the loop will */
    }
    if (enough || !is_burst(loop, now_unix_ns)) {
        loop_write(loop, false);
    } else if (!loop_is_this_thread(loop)) { /* the loop itself writes when the handler is through */
        if (handling) {
            loop_write(loop, false);
        } else {
            loop_wake(loop);
        }
    }
}

bool loop_write_failed(agent_loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    bool failed = loop->write_failed;
    pthread_mutex_unlock(&loop->lock);
    return failed;
}

void loop_write_all(agent_loop *loop, bool link_event)
{
    pthread_mutex_lock(&loop->lock);
    if (link_event || loop->woken) {
        loop->blocked = false;
    }
    loop->woken = false;
    if (loop->writable && loop->out.writing) {
        loop->link->ops->watch_room(loop->link, false); /* it would keep the loop awake until that write is over */
    } else if (!loop->blocked) {
        loop_write(loop, true);
    }
    pthread_mutex_unlock(&loop->lock);
}

/* ---- around handlers ---- */

bool loop_handling_begin(agent_loop *loop)
{
    bool before = atomic_load_explicit(&loop->handling, memory_order_relaxed);
    if (!before) {
        atomic_store(&loop->handling, true);
    }
    return before;
}

void loop_handling_end(agent_loop *loop, bool before)
{
    if (!before) {
        atomic_store(&loop->handling, false);
    }
}

void loop_control_waits(agent_loop *loop)
{
    atomic_store_explicit(&loop->unwritten, true, memory_order_relaxed);
}

bool loop_before_handler(agent_loop *loop)
{
    if (!atomic_load(&loop->unwritten)) {
        return false;
    }
    pthread_mutex_lock(&loop->lock);
    if (loop->woken || loop->out.control.len > 0) {
        loop_write(loop, true);
    }
    pthread_mutex_unlock(&loop->lock);
    return true;
}

bool loop_after_handler(agent_loop *loop)
{
    if (!atomic_load_explicit(&loop->unwritten, memory_order_relaxed)) {
        return false;
    }
    pthread_mutex_lock(&loop->lock);
    if (loop->writable && !loop->out.writing && send_queue_ready(&loop->out) &&
        !is_burst(loop, clock_unix_ns())) {
        loop_write(loop, true);
    }
    pthread_mutex_unlock(&loop->lock);
    return true;
}
