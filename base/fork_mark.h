/* SPDX-License-Identifier: Apache-2.0 */
/* Tells whether an object was made by this process, or came over in a fork(). What it owns then belongs to the parent: its
 * threads do not exist here, its locks may be held by one of them for ever, and its descriptors are the parent's voice.
 * Asking costs a load and a comparison. */
#ifndef LOOM_BASE_FORK_MARK_H
#define LOOM_BASE_FORK_MARK_H

#include <stdbool.h>

/* How many forks lie between this process and the one that first took a mark. Written by a fork's child before it runs
 * anything else, when it has one thread. For fork_mark_is_foreign() alone. */
extern unsigned fork_mark_now;

/* The mark of what this process makes. Any thread. */
unsigned fork_mark_take(void);

static inline bool fork_mark_is_foreign(unsigned mark)
{
    return mark != fork_mark_now;
}

#endif
