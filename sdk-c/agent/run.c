/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for an agent, and driving one: run, stop, poll, wait, flush. */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "sdk-c/actions/actions.h"
#include "sdk-c/agent/round.h"
#include "sdk-c/events/subscribe.h"

/* ---- poll mode ---- */

int loom_agent_fd(const loom_agent *a)
{
    return agent_check(a) == LOOM_OK && a->options.poll_mode ? a->loop.epoll_fd : -1;
}

/* By the bridge for good, or by its owner. */
static loom_status closed_status(loom_agent *a)
{
    loom_status st = LOOM_OK;
    pthread_mutex_lock(&a->loop.lock);
    if (a->loop.over) {
        bool told = a->session.state == LOOM_AGENT_CLOSED && a->session.why != LOOM_OK;
        st = told ? a->session.why : LOOM_ECLOSED;
    }
    pthread_mutex_unlock(&a->loop.lock);
    return st;
}

loom_status loom_agent_poll(loom_agent *a, int timeout_ms)
{
    loom_status st = agent_check(a);
    if (st != LOOM_OK) {
        return st;
    }
    if (!a->options.poll_mode) {
        return last_error(LOOM_EINVAL, "the agent is not in poll mode: it runs a thread of its own");
    }
    if (loop_is_this_thread(&a->loop)) {
        return LOOM_EBUSY;
    }
    loop_guest_enter(&a->loop);
    st = LOOM_EBUSY;
    if (loop_enter(&a->loop)) {
        agent_round(a, timeout_ms);
        loop_leave(&a->loop);
        st = closed_status(a);
    }
    loop_guest_leave(&a->loop);
    return st;
}

/* ---- waiting for a condition ---- */

/* Lock held. Whether there is nothing more to wait for; *st says how it ended. */
typedef bool condition(loom_agent *a, uint64_t argument, loom_status *st);

/* A thread that may drive the agent does so meanwhile; all others sleep until something changes. The caller is a guest. */
static loom_status wait_for(loom_agent *a, condition *is_over, uint64_t argument, uint32_t timeout_ms)
{
    uint64_t deadline = clock_monotonic_ns() + timeout_ms * MS_NS;
    bool drive = a->options.poll_mode && loop_enter(&a->loop), over;
    loom_status st = LOOM_OK;
    pthread_mutex_lock(&a->loop.lock);
    while (!(over = is_over(a, argument, &st))) {
        uint64_t now = clock_monotonic_ns();
        if (now >= deadline) {
            break;
        }
        if (drive) {
            pthread_mutex_unlock(&a->loop.lock);
            agent_round(a, loop_ms_until(deadline, now));
            pthread_mutex_lock(&a->loop.lock);
        } else {
            loop_wait_change(&a->loop, deadline);
        }
    }
    bool connected = a->session.state == LOOM_AGENT_CONNECTED;
    pthread_mutex_unlock(&a->loop.lock);
    if (drive) {
        loop_leave(&a->loop);
    }
    return over ? st : connected ? LOOM_ETIMEDOUT : LOOM_ENOTCONN;
}

/* Connected, and every subscription up to this number answered, and every capability. The first refusal is the answer. */
static bool is_ready(loom_agent *a, uint64_t last_number, loom_status *st)
{
    loom_status provided;
    if (a->loop.over) {
        *st = LOOM_ECLOSED;
        return true;
    }
    if (a->session.state != LOOM_AGENT_CONNECTED || !subscriptions_answer(a, last_number, st) ||
        !capabilities_answer(a, &provided)) {
        return false;
    }
    *st = *st == LOOM_OK ? provided : *st;
    return true;
}

loom_status loom_agent_wait_connected(loom_agent *a, uint32_t timeout_ms)
{
    loom_status st = agent_check(a);
    if (st != LOOM_OK || loop_is_this_thread(&a->loop)) {
        return st != LOOM_OK ? st : LOOM_EBUSY;
    }
    loop_guest_enter(&a->loop);
    st = wait_for(a, is_ready, subscriptions_last(a), timeout_ms);
    loop_guest_leave(&a->loop);
    return st == LOOM_ENOTCONN ? LOOM_ETIMEDOUT : st;
}

static bool has_left(loom_agent *a, uint64_t queued, loom_status *st)
{
    bool left = a->loop.out.handed >= queued;
    *st = left ? LOOM_OK : LOOM_ECLOSED;
    return left || a->loop.over;
}

loom_status loom_agent_flush(loom_agent *a, uint32_t timeout_ms)
{
    loom_status st = agent_check(a);
    if (st != LOOM_OK) {
        return st;
    }
    loop_guest_enter(&a->loop);
    pthread_mutex_lock(&a->loop.lock);
    uint64_t queued = a->loop.out.queued;
    loop_write(&a->loop, true);
    pthread_mutex_unlock(&a->loop.lock);
    st = wait_for(a, has_left, queued, loop_is_this_thread(&a->loop) ? 0 : timeout_ms);
    loop_guest_leave(&a->loop);
    return st;
}

/* ---- run ---- */

void loom_agent_stop(loom_agent *a)
{
    if (a != NULL && !fork_mark_is_foreign(a->loop.mark)) { /* this runs in signal handlers */
        atomic_store(&a->stopped, true);
        loop_end_runs(&a->loop);
    }
}

/* other_fd: readable means stop; -1: none. A guest: closing the agent ends it. */
static loom_status run_until(loom_agent *a, int other_fd)
{
    loom_status st = LOOM_OK;
    struct pollfd fds[] = {{.fd = a->loop.run_fd, .events = POLLIN},
                           {.fd = other_fd, .events = POLLIN},
                           {.fd = loom_agent_fd(a), .events = POLLIN}};
    while (!atomic_load(&a->stopped) && (st = closed_status(a)) == LOOM_OK) {
        if (poll(fds, 3, -1) < 0) {
            if (errno != EINTR) {
                return LOOM_EIO;
            }
            continue;
        }
        if (fds[1].revents != 0) {
            break;
        }
        if (fds[2].revents != 0 && (st = loom_agent_poll(a, 0)) == LOOM_EBUSY) {
            return st; /* another thread polls it */
        }
    }
    if (atomic_exchange(&a->stopped, false)) {
        uint64_t count;
        ssize_t got = read(a->loop.run_fd, &count, sizeof count);
        (void)got;
        return LOOM_OK;
    }
    return st;
}

static loom_status run_as_guest(loom_agent *a, int other_fd)
{
    loom_status st = agent_check(a);
    if (st != LOOM_OK || loop_is_this_thread(&a->loop)) {
        return st != LOOM_OK ? st : LOOM_EBUSY;
    }
    loop_guest_enter(&a->loop);
    st = run_until(a, other_fd);
    loop_guest_leave(&a->loop);
    return st;
}

loom_status loom_agent_run(loom_agent *a)
{
    return run_as_guest(a, -1);
}

/* ---- run until a signal ---- */

enum { STOPPING = 3 };
static const int stopping[STOPPING] = {SIGINT, SIGTERM, SIGHUP};

/* A signal's disposition belongs to the whole process, and its handler gets no argument: so this state does too. It is
 * there only while somebody is in loom_agent_run_until_signal(), and dispositions are put back by the last one. */
static struct {
    pthread_mutex_t lock;
    unsigned users;
    unsigned mark; /* of the process whose handlers these are; fixed while there are users */
    struct sigaction before[STOPPING];
} signals = {.lock = PTHREAD_MUTEX_INITIALIZER};
static atomic_int signal_event_fd = -1; /* readable once a signal has come */
static atomic_uint signal_writers;      /* handlers that may be about to write to it, on whatever threads */

/* The child of a fork() has the handler, but nobody in it who waits: there the signal does what it does without one. */
static void on_signal(int number)
{
    if (fork_mark_is_foreign(signals.mark)) {
        signal(number, SIG_DFL);
        raise(number);
        return;
    }
    atomic_fetch_add(&signal_writers, 1); /* before it looks: whoever closes the descriptor hides it, and then looks here */
    int fd = atomic_load(&signal_event_fd);
    if (fd >= 0) {
        loop_signal(fd);
    }
    atomic_fetch_sub(&signal_writers, 1);
}

/* A hangup that was ignored before stays ignored: that is how nohup says that the program goes on. */
static bool stays_ignored(int number)
{
    struct sigaction now;
    return number == SIGHUP && sigaction(number, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

static void take_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    for (int i = 0; i < STOPPING; i++) {
        if (stays_ignored(stopping[i])) {
            signals.before[i] = (struct sigaction){.sa_handler = SIG_IGN};
        } else {
            sigaction(stopping[i], &action, &signals.before[i]);
        }
    }
}

static loom_status signals_enter(int *fd)
{
    loom_status st = LOOM_OK;
    pthread_mutex_lock(&signals.lock);
    if (signals.users == 0) {
        *fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (*fd < 0) {
            st = LOOM_EIO;
        } else {
            atomic_store(&signal_event_fd, *fd);
            signals.mark = fork_mark_take();
            take_signals();
        }
    }
    if (st == LOOM_OK) {
        signals.users++;
        *fd = atomic_load(&signal_event_fd);
    }
    pthread_mutex_unlock(&signals.lock);
    return st;
}

/* The descriptor is closed when no handler has it any more: its number may soon be another file's. */
static void signals_leave(void)
{
    pthread_mutex_lock(&signals.lock);
    if (--signals.users == 0) {
        for (int i = 0; i < STOPPING; i++) {
            sigaction(stopping[i], &signals.before[i], NULL);
        }
        int fd = atomic_exchange(&signal_event_fd, -1);
        while (atomic_load(&signal_writers) > 0) {
            sched_yield();
        }
        close(fd);
    }
    pthread_mutex_unlock(&signals.lock);
}

loom_status loom_agent_run_until_signal(loom_agent *a)
{
    int fd;
    loom_status st = agent_check(a);
    if (st != LOOM_OK || (st = signals_enter(&fd)) != LOOM_OK) {
        return st;
    }
    sigset_t set, before; /* one that was blocked until here ends it, too */
    sigemptyset(&set);
    for (int i = 0; i < STOPPING; i++) {
        sigaddset(&set, stopping[i]);
    }
    pthread_sigmask(SIG_UNBLOCK, &set, &before);
    st = run_as_guest(a, fd);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    signals_leave();
    return st;
}
