/* SPDX-License-Identifier: Apache-2.0 */
/* Ctrl-C and its kin, taken where a verb waits: what it has done by then is told, and what it holds is given back. One thread,
 * which is the only one that has not blocked the signals. */
#ifndef LOOM_TOOLS_INTERRUPT_H
#define LOOM_TOOLS_INTERRUPT_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct interrupt {
    int fd;     /* -1: the signals kill, as without all this */
    int number; /* of the first signal that came; 0 */
    int output; /* whose reader may go, which ends a command that has nothing to write for a while; -1: nobody looks */
    sigset_t before;
} interrupt;

typedef enum interrupt_news { INTERRUPT_TIME, INTERRUPT_READABLE, INTERRUPT_READER_GONE, INTERRUPT_SIGNAL } interrupt_news;

/* SIGINT, SIGTERM, and SIGHUP unless it is ignored, are ours until interrupt_end(). */
void interrupt_begin(interrupt *i);
void interrupt_end(interrupt *i);
/* Until a signal has come, output has no reader any more, fd can be read (-1: there is none), or the monotonic clock says deadline_ns (UINT64_MAX: never). */
interrupt_news interrupt_wait(interrupt *i, int fd, uint64_t deadline_ns);
/* Whether one has come. */
bool interrupt_is_there(interrupt *i);

#endif
