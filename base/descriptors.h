/* SPDX-License-Identifier: Apache-2.0 */
/* How a process shares out the descriptors it may open, so that no kind of peer can take them all: an operator has to be
 * able to ask what is wrong while agents or subscribers fill the rest.
 *
 * The kernel hands out the lowest free number, so a connection whose number reaches the limit of its kind has come when only
 * the reserve of the others is left. Threads: any. */
#ifndef LOOM_BASE_DESCRIPTORS_H
#define LOOM_BASE_DESCRIPTORS_H

#include <stdbool.h>
#include <stdint.h>

enum { DESCRIPTORS_FOR_A_LOOP = 8 }; /* what uv_loop_init() opens, and one to spare */

typedef enum descriptor_use {
    DESCRIPTORS_AGENTS,  /* sessions, and subscribers and publishers of the open bus */
    DESCRIPTORS_BRIDGES,
    DESCRIPTORS_CONTROL,
    DESCRIPTORS_METRICS, /* only the last few are kept from it: to accept, and to refuse */
} descriptor_use;

/* As many as the process may open. INT_MAX: it has no limit. */
int descriptors_all(void);
/* A connection for this gets no descriptor from here on. INT_MAX when the process has no limit. */
int descriptors_limit(descriptor_use use);
/* Gives *fd the lowest free number, if that is below the limit; what it had is free then. False: nothing was done. */
bool descriptors_move_below(int *fd, int limit);
/* At most this many of one kind: wanted, or 1/part of what the process may open, but four in any case. */
uint32_t descriptors_share(uint32_t wanted, uint32_t part);
/* Whether so many (16 at most) could be opened now. uv_loop_init() is asked for only after this: without a descriptor
 * libuv aborts the program. */
bool descriptors_free(unsigned count);
/* Closes all from first on but these two, which may be below first: for a forked child, since others wait for the end of what it
 * has inherited. Async-signal-safe. */
void descriptors_close_others(int first, int a, int b);

#endif
