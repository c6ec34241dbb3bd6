/* SPDX-License-Identifier: Apache-2.0 */
/* Signals for a command in a container, and its end: an engine's client passes no signals into a container that ran before,
 * and when it is killed it leaves the command behind. So a process stands by that outlives us, and ends the command if both of us are
 * killed.
 *
 * Threads: one. */
#ifndef LOOM_TRACE_PROCESS_CONTAINER_WATCH_H
#define LOOM_TRACE_PROCESS_CONTAINER_WATCH_H

#include "trace/process/container/engine.h"
#include "trace/process/run/run.h"

enum { WATCH_SIGNALS_MAX = 8 };

typedef struct container_watch {
    engine *engine; /* NULL: it has not started */
    int fd;         /* to the process that stands by; -1: there is none */
    pid_t pid;
    process sending[WATCH_SIGNALS_MAX];
    unsigned sending_count;
} container_watch;

/* While no other thread runs that uses the engine. */
void container_watch_start(container_watch *w, engine *e, const process *client);
/* False: it cannot be sent so (engine_signal_argv()), or WATCH_SIGNALS_MAX are on their way already. */
bool container_watch_signal(container_watch *w, int signal);
/* The client has ended. told: somebody wanted the command to end, so that what is left of it is ended, which may take some
 * seconds. */
void container_watch_stop(container_watch *w, bool told);

#endif
