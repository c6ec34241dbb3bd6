/* SPDX-License-Identifier: Apache-2.0 */
#include "sdk-c/agent/loop.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/thread.h"
#include "sdk-c/agent/current.h"

enum { TIMERS_FIRST = 16 };

enum { LOOPS_MAX = 8 };

/* The loops that this thread drives: one, unless a handler polls another agent. */
static _Thread_local struct {
    const agent_loop *items[LOOPS_MAX];
    set_aside asides[LOOPS_MAX]; /* what was current outside of each */
    unsigned depth;
} loops;

/* ---- init and fini ---- */

static loom_status open_descriptors(agent_loop *loop)
{
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    loop->run_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    loop->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (loop->epoll_fd < 0 || loop->wake_fd < 0 || loop->run_fd < 0 || loop->timer_fd < 0) {
        return LOOM_EIO;
    }
    /* Each write to an eventfd is an edge: nobody has to read it. */
    struct epoll_event wake = {.events = EPOLLIN | EPOLLET, .data.u32 = WAKE_TAG};
    struct epoll_event timer = {.events = EPOLLIN, .data.u32 = TIMER_TAG};
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->wake_fd, &wake) != 0 ||
        epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->timer_fd, &timer) != 0) {
        return LOOM_EIO;
    }
    /* Due at once, so that a poll-mode descriptor is readable from the beginning. */
    struct itimerspec now = {.it_value.tv_nsec = 1};
    timerfd_settime(loop->timer_fd, TFD_TIMER_ABSTIME, &now, NULL);
    return LOOM_OK;
}

static void close_descriptors(agent_loop *loop)
{
    const int saved = errno; /* why they could not all be opened */
    const int fds[] = {loop->timer_fd, loop->run_fd, loop->wake_fd, loop->epoll_fd};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
    errno = saved;
}

/* Held for less time than it takes to put a thread to sleep and wake it, so a thread that finds it taken spins a little
 * first. Without that, a fast emitter and the loop that writes for it wake each other for every batch. */
static bool init_mutex(pthread_mutex_t *lock)
{
    pthread_mutexattr_t attr;
    if (pthread_mutexattr_init(&attr) != 0) {
        return false;
    }
#ifdef PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP /* of glibc */
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ADAPTIVE_NP);
#endif
    const bool made = pthread_mutex_init(lock, &attr) == 0;
    pthread_mutexattr_destroy(&attr);
    return made;
}

loom_status loop_init(agent_loop *loop, size_t send_limit)
{
    if (!cond_init(&loop->changed)) {
        return LOOM_ENOMEM;
    }
    if (!cond_init(&loop->closes)) {
        goto destroy_changed;
    }
    if (!init_mutex(&loop->lock)) {
        goto destroy_closes;
    }
    loop->epoll_fd = loop->wake_fd = loop->timer_fd = loop->run_fd = -1;
    loop->mark = fork_mark_take();
    send_queue_init(&loop->out, send_limit);
    loom_status st = open_descriptors(loop);
    if (st != LOOM_OK) {
        loop_fini(loop);
    }
    return st;

destroy_closes:
    pthread_cond_destroy(&loop->closes);
destroy_changed:
    pthread_cond_destroy(&loop->changed);
    return LOOM_ENOMEM;
}

void loop_fini(agent_loop *loop)
{
    if (loop->link != NULL) {
        loop->link->ops->close(loop->link);
    }
    send_queue_fini(&loop->out);
    heap_fini(&loop->timers);
    close_descriptors(loop);
    pthread_mutex_destroy(&loop->lock);
    pthread_cond_destroy(&loop->closes);
    pthread_cond_destroy(&loop->changed);
}

void loop_abandon(agent_loop *loop)
{
    close_descriptors(loop);
    loop->timer_fd = loop->run_fd = loop->wake_fd = loop->epoll_fd = -1;
}

/* ---- who is the loop ---- */

bool loop_is_this_thread(const agent_loop *loop)
{
    for (unsigned i = loops.depth; i-- > 0;) {
        if (loops.items[i] == loop) {
            return true;
        }
    }
    return false;
}

bool loop_enter(agent_loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    bool free = !loop->looping && loops.depth < LOOPS_MAX;
    if (free) {
        loop->looping = true;
        loops.items[loops.depth] = loop;
        loops.asides[loops.depth++] = current_set_aside();
    }
    pthread_mutex_unlock(&loop->lock);
    return free;
}

void loop_leave(agent_loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    loop->looping = false;
    set_aside outside = loops.asides[--loops.depth];
    loop_changed(loop);
    pthread_mutex_unlock(&loop->lock);
    current_take_back(outside);
}

/* ---- waking and waiting ---- */

void loop_signal(int event_fd)
{
    int saved = errno; /* this runs in signal handlers */
    uint64_t one = 1;
    ssize_t written = write(event_fd, &one, sizeof one);
    (void)written; /* an eventfd that is full is readable already */
    errno = saved;
}

void loop_wake(agent_loop *loop)
{
    if (!loop->woken) {
        loop->woken = true;
        loop_signal(loop->wake_fd);
    }
}

void loop_changed(agent_loop *loop)
{
    if (loop->waiters > 0) {
        pthread_cond_broadcast(&loop->changed);
    }
}

bool loop_wait_change(agent_loop *loop, uint64_t deadline_ns)
{
    bool in_time = true;
    loop->waiters++;
    if (deadline_ns == NEVER) {
        (void)pthread_cond_wait(&loop->changed, &loop->lock);
    } else {
        in_time = cond_wait_until(&loop->changed, &loop->lock, deadline_ns);
    }
    loop->waiters--;
    return in_time;
}

void loop_guest_enter(agent_loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    loop->guests++;
    pthread_mutex_unlock(&loop->lock);
}

void loop_guest_leave(agent_loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    loop->guests--;
    loop_changed(loop);
    pthread_mutex_unlock(&loop->lock);
}

void loop_see_guests_off(agent_loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    while (loop->guests > 0) {
        loop_wait_change(loop, NEVER);
    }
    pthread_mutex_unlock(&loop->lock);
}

void loop_close_within(agent_loop *loop, uint64_t deadline_ns)
{
    pthread_mutex_lock(&loop->lock);
    loop->closing = loop->over = true;
    loop->close_deadline = deadline_ns;
    atomic_store_explicit(&loop->closing_seen, true, memory_order_release);
    pthread_cond_signal(&loop->closes);
    loop_changed(loop);
    loop_wake(loop);
    loop_end_runs(loop);
    pthread_mutex_unlock(&loop->lock);
}

int loop_ms_until(uint64_t deadline_ns, uint64_t now_ns)
{
    uint64_t ms = deadline_ns > now_ns ? (deadline_ns - now_ns + MS_NS - 1) / MS_NS : 0;
    return ms < 60000 ? (int)ms : 60000;
}

void loop_end_runs(agent_loop *loop)
{
    loop_signal(loop->run_fd);
}

/* ---- timers ---- */

loom_status loop_timer_set(agent_loop *loop, agent_timer *timer, uint64_t at_ns)
{
    binary_heap *heap = &loop->timers;
    if (agent_timer_is_set(timer)) {
        heap_move(heap, &timer->node, at_ns);
    } else {
        if (heap->count == heap->capacity && !heap_reserve(heap, heap->capacity > 0 ? heap->capacity * 2 : TIMERS_FIRST)) {
            return LOOM_ENOMEM;
        }
        heap_add(heap, &timer->node, at_ns);
    }
    if (at_ns < loop->armed && !loop_is_this_thread(loop)) {
        loop_wake(loop); /* to be armed; the loop itself does so before it sleeps */
    }
    return LOOM_OK;
}

void loop_timer_clear(agent_loop *loop, agent_timer *timer)
{
    heap_remove(&loop->timers, &timer->node);
}

/* NEVER: none is set. */
static uint64_t first_timer(const agent_loop *loop)
{
    const heap_node *first = heap_first(&loop->timers);
    return first != NULL ? first->key : NEVER;
}

/* A timer that is set too early stays: calls that end before their deadline would otherwise set it twice each, and one
 * round too many once in a while costs less. */
void loop_arm(agent_loop *loop, uint64_t at)
{
    uint64_t first = first_timer(loop);
    at = first < at ? first : at;
    if (at >= loop->armed && loop->armed > 0) { /* 0: not set yet, or for at once */
        return;
    }
    loop->armed = at;
    struct itimerspec spec = {.it_value = {(time_t)(at / 1000000000u), (long)(at % 1000000000u)}};
    if (at == 0) {
        spec.it_value.tv_nsec = 1; /* 0 would be never */
    }
    timerfd_settime(loop->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

void loop_timer_expired(agent_loop *loop)
{
    uint64_t expirations;
    pthread_mutex_lock(&loop->lock);
    ssize_t got = read(loop->timer_fd, &expirations, sizeof expirations);
    (void)got; /* a timer set anew meanwhile has nothing to read */
    loop->armed = NEVER;
    pthread_mutex_unlock(&loop->lock);
}

void loop_fire_timers(agent_loop *loop, loom_agent *a, uint64_t now)
{
    enum { TIMERS_A_ROUND = 64 }; /* of many calls that end together: what has been received is handled in between */
    pthread_mutex_lock(&loop->lock);
    /* Not for ever: one that is set again for now has its turn in the next round. */
    for (size_t left = loop->timers.count < TIMERS_A_ROUND ? loop->timers.count : TIMERS_A_ROUND; left > 0 && first_timer(loop) <= now;
         left--) {
        agent_timer *timer = (agent_timer *)heap_first(&loop->timers);
        loop_timer_clear(loop, timer);
        pthread_mutex_unlock(&loop->lock);
        timer->fire(a, timer);
        pthread_mutex_lock(&loop->lock);
    }
    pthread_mutex_unlock(&loop->lock);
}
