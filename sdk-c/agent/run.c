/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for an agent, and driving one: run, stop, poll, wait, flush. */
#include <errno.h>
#include <poll.h>
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
    return a->options.poll_mode ? a->loop.epoll_fd : -1;
}

static loom_status closed_status(loom_agent *a)
{
    pthread_mutex_lock(&a->loop.lock);
    bool closed = a->session.state == LOOM_AGENT_CLOSED;
    loom_status st = !closed ? LOOM_OK : a->session.why != LOOM_OK ? a->session.why : LOOM_ECLOSED;
    pthread_mutex_unlock(&a->loop.lock);
    return st;
}

loom_status loom_agent_poll(loom_agent *a, int timeout_ms)
{
    if (!a->options.poll_mode) {
        return LOOM_EINVAL;
    }
    if (loop_is_this_thread(&a->loop) || !loop_enter(&a->loop)) {
        return LOOM_EBUSY;
    }
    agent_round(a, timeout_ms);
    loop_leave(&a->loop);
    return closed_status(a);
}

/* ---- waiting for a condition ---- */

/* Lock held. Whether there is nothing more to wait for; *st says how it ended. */
typedef bool condition(loom_agent *a, uint64_t argument, loom_status *st);

/* A thread that may drive the agent does so meanwhile; all others sleep until something changes. */
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
    if (loop_is_this_thread(&a->loop)) {
        return LOOM_EBUSY;
    }
    loom_status st = wait_for(a, is_ready, subscriptions_last(a), timeout_ms);
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
    pthread_mutex_lock(&a->loop.lock);
    uint64_t queued = a->loop.out.queued;
    loop_write(&a->loop, true);
    pthread_mutex_unlock(&a->loop.lock);
    return wait_for(a, has_left, queued, loop_is_this_thread(&a->loop) ? 0 : timeout_ms);
}

/* ---- run ---- */

void loom_agent_stop(loom_agent *a)
{
    atomic_store(&a->stopped, true);
    loop_end_runs(&a->loop);
}

/* other_fd: readable means stop; -1: none. */
static loom_status run_until(loom_agent *a, int other_fd)
{
    if (loop_is_this_thread(&a->loop)) {
        return LOOM_EBUSY;
    }
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

loom_status loom_agent_run(loom_agent *a)
{
    return run_until(a, -1);
}

/* ---- run until a signal ---- */

/* A signal's disposition belongs to the whole process, and its handler gets no argument: so this state does too. It is
 * there only while somebody is in loom_agent_run_until_signal(), and dispositions are put back by the last one. */
static struct {
    pthread_mutex_t lock;
    unsigned users;
    struct sigaction before[2];
} signals = {.lock = PTHREAD_MUTEX_INITIALIZER};
static atomic_int signal_event_fd = -1; /* readable once a signal has come */

static const int stopping[2] = {SIGINT, SIGTERM};

static void on_signal(int number)
{
    (void)number;
    int fd = atomic_load(&signal_event_fd);
    if (fd >= 0) {
        loop_signal(fd);
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
            struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
            sigemptyset(&action.sa_mask);
            for (int i = 0; i < 2; i++) {
                sigaction(stopping[i], &action, &signals.before[i]);
            }
        }
    }
    if (st == LOOM_OK) {
        signals.users++;
        *fd = atomic_load(&signal_event_fd);
    }
    pthread_mutex_unlock(&signals.lock);
    return st;
}

static void signals_leave(void)
{
    pthread_mutex_lock(&signals.lock);
    if (--signals.users == 0) {
        for (int i = 0; i < 2; i++) {
            sigaction(stopping[i], &signals.before[i], NULL);
        }
        close(atomic_exchange(&signal_event_fd, -1));
    }
    pthread_mutex_unlock(&signals.lock);
}

loom_status loom_agent_run_until_signal(loom_agent *a)
{
    int fd;
    loom_status st = signals_enter(&fd);
    if (st != LOOM_OK) {
        return st;
    }
    st = run_until(a, fd);
    signals_leave();
    return st;
}
