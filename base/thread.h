/* SPDX-License-Identifier: Apache-2.0 */
/* Starting a thread of our own in somebody's program. */
#ifndef LOOM_BASE_THREAD_H
#define LOOM_BASE_THREAD_H

#include <pthread.h>

/* As pthread_create(), but all signals are blocked in the new thread: they are for the program's own threads, and a SIGPIPE of
 * ours becomes an error of write(). Returns an errno value, or 0. */
int thread_start(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *user);

#endif
