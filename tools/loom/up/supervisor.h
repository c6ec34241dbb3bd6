/* SPDX-License-Identifier: Apache-2.0 */
/* `loom up` while it runs: starts broker, view and agents, in this order, keeps them running, shows what they print, and ends
 * them in the opposite order. Threads: the loop's; the question who is on the bus is asked on libuv's pool. */
#ifndef LOOM_TOOLS_UP_SUPERVISOR_H
#define LOOM_TOOLS_UP_SUPERVISOR_H

#include "tools/loom/up/plan.h"
#include "tools/loom/up/project.h"

typedef struct supervisor_options {
    const project *project; /* its lock is held */
    const settings *settings;
    const plan *plan;
    bool colour;
    /* A pipe that gets one byte once everything has started: 0 when all of it is ready, 1 when something is not; then the
     * standard streams are closed. -1: it runs in the foreground. */
    int report;
} supervisor_options;

/* Until it is told to stop. The exit code. */
int supervisor_run(const supervisor_options *options);

#endif
