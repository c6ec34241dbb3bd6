/* SPDX-License-Identifier: Apache-2.0 */
#include "base/thread.h"

#include "base/clock.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int thread_start(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *user)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(thread, attributes, run, user);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

/* sched_setattr(2), which the C library has only since 2.41. */
typedef struct {
    uint32_t size;
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime; /* of SCHED_OTHER and SCHED_BATCH: the slice in ns, from 0.1 to 100 ms; older kernels read nothing into it */
    uint64_t deadline;
    uint64_t period;
} sched_attributes;

enum { LONGEST_SLICE_NS = 100000000, LOWEST_NICE = 19, WORK_NS = 100000, REST_NS = 20000 };

static _Thread_local struct {
    bool stepped_back, hurries;
    uint64_t rested_ns;
} background;

void thread_step_back(int nice)
{
    background.stepped_back = true;
    sched_attributes thread = {.size = sizeof thread};
    if (syscall(SYS_sched_getattr, 0, &thread, (unsigned)sizeof thread, 0u) != 0 ||
        (thread.policy != SCHED_OTHER && thread.policy != SCHED_BATCH)) {
        return; /* the program's owner has chosen, or the machine does not let us */
    }
    thread.policy = SCHED_BATCH;
    thread.nice = thread.nice + nice < LOWEST_NICE ? thread.nice + nice : LOWEST_NICE;
    thread.runtime = LONGEST_SLICE_NS;
    (void)syscall(SYS_sched_setattr, 0, &thread, 0u);
}

void thread_rest(void)
{
    if (background.stepped_back && !background.hurries && clock_monotonic_ns() - background.rested_ns > WORK_NS) {
        (void)nanosleep(&(struct timespec){.tv_nsec = REST_NS}, NULL);
        background.rested_ns = clock_monotonic_ns();
    }
}

void thread_hurry(bool hurry)
{
    background.hurries = hurry;
}

bool cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    if (pthread_condattr_init(&attr) != 0) {
        return false;
    }
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    const bool made = pthread_cond_init(cond, &attr) == 0;
    pthread_condattr_destroy(&attr);
    return made;
}

bool cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t deadline_ns)
{
    const struct timespec until = {(time_t)(deadline_ns / 1000000000u), (long)(deadline_ns % 1000000000u)};
    return pthread_cond_timedwait(cond, lock, &until) != ETIMEDOUT;
}
