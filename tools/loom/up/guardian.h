/* SPDX-License-Identifier: Apache-2.0 */
/* The process that ends what an `up` has started, should somebody kill the `up`. It holds the project's lock meanwhile, so that
 * the next `up` begins when nothing of the last one runs any more. */
#ifndef LOOM_TOOLS_UP_GUARDIAN_H
#define LOOM_TOOLS_UP_GUARDIAN_H

#include <sys/types.h>

#include "tools/loom/up/project.h"

typedef struct guardian {
    pid_t pid; /* -1: none */
    int fd;    /* closed by our death, or by guardian_dismiss() */
} guardian;

/* With the lock held, and before there is any other thread. wait_ms: how long it waits before SIGKILL. False: errno tells. */
bool guardian_start(guardian *g, const project *p, unsigned wait_ms);
/* Nothing runs any more, and the state has been removed. */
void guardian_dismiss(guardian *g);

#endif
