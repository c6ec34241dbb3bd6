/* SPDX-License-Identifier: Apache-2.0 */
/* A process that ends the commands of one that was killed. PR_SET_PDEATHSIG would reach a command alone, not what it has
 * started, and is lost where a program changes its user. */
#ifndef LOOM_TRACE_PROCESS_RUN_GUARD_H
#define LOOM_TRACE_PROCESS_RUN_GUARD_H

#include <sys/types.h>

enum { GUARD_GROUPS_MAX = 64, GUARD_GRACE_MS = 2000 /* between SIGTERM and SIGKILL */ };

typedef struct guard {
    int fd; /* -1: there is none */
    pid_t pid;
} guard;

/* 0, or an errno value: then nobody guards, and the other functions do nothing. */
int guard_open(guard *g);
/* A process group, at most GUARD_GROUPS_MAX at a time. Any thread, and async-signal-safe, as guard_remove(). */
void guard_add(const guard *g, pid_t group);
/* While its leader is a zombie: later its number may be somebody else's. */
void guard_remove(const guard *g, pid_t group);
/* The commands have ended. */
void guard_close(guard *g);

#endif
