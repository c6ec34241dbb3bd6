/* SPDX-License-Identifier: Apache-2.0 */
/* Starting a thread of our own in somebody's program, and waiting by the monotonic clock. */
#ifndef LOOM_BASE_THREAD_H
#define LOOM_BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* As pthread_create(), but all signals are blocked in the new thread: they are for the program's own threads, and a SIGPIPE of
 * ours becomes an error of write(). Returns an errno value, or 0. */
int thread_start(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *user);

/* This thread gives way to those that handle messages: it is `nice` by so much more than the program, and no further back, or a busy
 * machine would never let it work. It does not take the processor from a thread that wakes it, which is in the middle of something
 * (SCHED_BATCH); and one that wakes beside it need not wait for the end of its slice (the longest there is: since Linux 6.12 the
 * shorter slice goes first). */
void thread_step_back(int nice);

/* A condition whose waits have deadlines of the monotonic clock. False: no memory. */
bool cond_init(pthread_cond_t *cond);
/* As pthread_cond_wait(), but no longer than until then. False: the time has come. */
bool cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t deadline_ns);

#endif
