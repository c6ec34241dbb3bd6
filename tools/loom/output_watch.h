/* SPDX-License-Identifier: Apache-2.0 */
/* Ends a command whose reader has gone. A command that writes learns of it by EPIPE; one that has nothing to write for a
 * while would never end. */
#ifndef LOOM_TOOLS_OUTPUT_WATCH_H
#define LOOM_TOOLS_OUTPUT_WATCH_H

#include <loom/agent.h>

#include <pthread.h>

typedef struct output_watch {
    loom_agent *agent;
    int end_fd; /* readable: stop watching */
    pthread_t thread;
    bool running;
} output_watch;

/* Stops the agent once nobody reads standard output any more. w stays where it is until output_watch_end(). Without a thread
 * or a descriptor for it there is no watch, and no failure. */
void output_watch_start(output_watch *w, loom_agent *agent);
/* Before the agent is closed. */
void output_watch_end(output_watch *w);

#endif
