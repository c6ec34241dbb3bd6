/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for an agent, and driving one: run, stop, poll, wait, flush. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "sdk-c/actions/actions.h"

/* ---- poll mode ---- */

int loom_agent_fd(const loom_agent *a)
{
    return a->options.poll_mode ? a->epoll_fd : -1;
}

static loom_status closed_status(loom_agent *a)
{
    pthread_mutex_lock(&a->lock);
    loom_status st = a->state != LOOM_AGENT_CLOSED ? LOOM_OK : a->why != LOOM_OK ? a->why : LOOM_ECLOSED;
    pthread_mutex_unlock(&a->lock);
    return st;
}

loom_status loom_agent_poll(loom_agent *a, int timeout_ms)
{
    if (!a->options.poll_mode) {
        return LOOM_EINVAL;
    }
    if (agent_on_loop(a) || !agent_loop_enter(a)) {
        return LOOM_EBUSY;
    }
    agent_round(a, timeout_ms);
    agent_loop_leave(a);
    return closed_status(a);
}

/* ---- waiting for a condition ---- */

/* Lock held. LOOM_EBUSY: not yet. */
typedef loom_status condition(loom_agent *a, uint64_t argument);

/* Whoever may drive the agent does so meanwhile; everybody else is told of changes. */
static loom_status wait_for(loom_agent *a, condition *met, uint64_t argument, uint32_t timeout_ms)
{
    uint64_t deadline = clock_monotonic_ns() + timeout_ms * MS_NS;
    bool drive = a->options.poll_mode && agent_loop_enter(a);
    loom_status st;
    pthread_mutex_lock(&a->lock);
    while ((st = met(a, argument)) == LOOM_EBUSY) {
        uint64_t now = clock_monotonic_ns();
        if (now >= deadline) {
            break;
        }
        if (drive) {
            pthread_mutex_unlock(&a->lock);
            agent_round(a, agent_ms_until(deadline, now));
            pthread_mutex_lock(&a->lock);
        } else {
            agent_wait_change(a, deadline);
        }
    }
    bool connected = a->state == LOOM_AGENT_CONNECTED;
    pthread_mutex_unlock(&a->lock);
    if (drive) {
        agent_loop_leave(a);
    }
    return st != LOOM_EBUSY ? st : connected ? LOOM_ETIMEDOUT : LOOM_ENOTCONN;
}

/* Connected, and every subscription up to this number answered, and every capability. */
static loom_status is_ready(loom_agent *a, uint64_t last_number)
{
    if (a->closing || a->state == LOOM_AGENT_CLOSED) {
        return LOOM_ECLOSED;
    }
    if (a->state != LOOM_AGENT_CONNECTED) {
        return LOOM_EBUSY;
    }
    loom_status st = LOOM_OK;
    for (size_t i = 0; i < a->subs.count && a->subs.items[i]->number <= last_number; i++) {
        const subscription *sub = a->subs.items[i];
        if (!sub->answered) {
            return LOOM_EBUSY;
        }
        if (st == LOOM_OK && !sub->internal) {
            st = sub->answer;
        }
    }
    loom_status provided = capabilities_answer(a);
    return provided == LOOM_EBUSY || st == LOOM_OK ? provided : st;
}

loom_status loom_agent_wait_connected(loom_agent *a, uint32_t timeout_ms)
{
    if (agent_on_loop(a)) {
        return LOOM_EBUSY;
    }
    pthread_mutex_lock(&a->lock);
    uint64_t last_number = a->subs.last_number;
    pthread_mutex_unlock(&a->lock);
    loom_status st = wait_for(a, is_ready, last_number, timeout_ms);
    return st == LOOM_ENOTCONN ? LOOM_ETIMEDOUT : st;
}

static loom_status has_left(loom_agent *a, uint64_t queued)
{
    if (a->out.handed >= queued) {
        return LOOM_OK;
    }
    return a->closing || a->state == LOOM_AGENT_CLOSED ? LOOM_ECLOSED : LOOM_EBUSY;
}

loom_status loom_agent_flush(loom_agent *a, uint32_t timeout_ms)
{
    pthread_mutex_lock(&a->lock);
    uint64_t queued = a->out.queued;
    agent_write(a, true);
    pthread_mutex_unlock(&a->lock);
    return wait_for(a, has_left, queued, agent_on_loop(a) ? 0 : timeout_ms);
}

/* ---- run ---- */

static void signal_fd(int fd)
{
    int saved = errno; /* this runs in signal handlers */
    uint64_t one = 1;
    ssize_t written = write(fd, &one, sizeof one);
    (void)written; /* full is readable too */
    errno = saved;
}

void agent_end_runs(loom_agent *a)
{
    signal_fd(a->run_fd);
}

void loom_agent_stop(loom_agent *a)
{
    atomic_store(&a->stopped, true);
    signal_fd(a->run_fd);
}

/* other_fd: readable means stop; -1: none. */
static loom_status run_until(loom_agent *a, int other_fd)
{
    if (agent_on_loop(a)) {
        return LOOM_EBUSY;
    }
    loom_status st = LOOM_OK;
    struct pollfd fds[] = {{.fd = a->run_fd, .events = POLLIN},
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
        ssize_t got = read(a->run_fd, &count, sizeof count);
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
        signal_fd(fd);
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
