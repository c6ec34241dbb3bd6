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

/* At each step of long work: a thread that has stepped back sleeps for a moment once it has worked for a tenth of a millisecond, unless
 * it is in a hurry. Others do nothing here. Linux looks at slices within a group of tasks (a session, a service) only: one that wakes
 * in another group waits until the thread sleeps or has used up its turn, milliseconds later. */
void thread_rest(void);
/* Whether somebody waits for what this thread does. */
void thread_hurry(bool hurry);

/* A condition whose waits have deadlines of the monotonic clock. False: no memory. */
bool cond_init(pthread_cond_t *cond);
/* As pthread_cond_wait(), but no longer than until then. False: the time has come. */
bool cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t deadline_ns);

#endif
