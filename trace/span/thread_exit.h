/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that a thread keeps for itself, freed when the thread exits. */
#ifndef LOOM_TRACE_SPAN_THREAD_EXIT_H
#define LOOM_TRACE_SPAN_THREAD_EXIT_H

#include <stdbool.h>
#include <stddef.h>

/* One for each thread and purpose, in thread-local storage; all zero but for run. */
typedef struct thread_exit_hook {
    void (*run)(void); /* may attach hooks again, its own too */
    struct thread_exit_hook *next;
    bool attached;
} thread_exit_hook;

/* thread_exit.c: the first time in this thread, and after a run. */
bool thread_exit_attach_first(thread_exit_hook *hook);

/* Arranges for hook->run() when this thread exits. False: no memory, so the thread may keep nothing. */
static inline bool thread_exit_attach(thread_exit_hook *hook)
{
    return hook->attached || thread_exit_attach_first(hook);
}

#endif
