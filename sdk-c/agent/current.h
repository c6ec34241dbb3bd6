/* SPDX-License-Identifier: Apache-2.0 */
/* The message that this thread is handling, for the defaults of what it sends meanwhile; and where something was asked for,
 * so that what it leads to later goes on there. */
#ifndef LOOM_SDK_AGENT_CURRENT_H
#define LOOM_SDK_AGENT_CURRENT_H

#include <loom/trace.h>

#include "sdk-c/agent/loop.h"
#include "trace/span/start.h"

typedef struct current_message {
    loom_envelope *envelope; /* an event, or the envelope of a call; NULL: none */
    uint64_t deadline_ns;    /* of a call; 0: none */
} current_message;

extern _Thread_local current_message current_of_thread; /* for the two below: they are on every message's way */

static inline current_message current_get(void)
{
    return current_of_thread;
}

/* Makes it another one; returns what it was. */
static inline current_message current_set(current_message message)
{
    current_message before = current_of_thread;
    current_of_thread = message;
    return before;
}

/* Around rounds of the loop on a thread that has a message or a span of its own, in a handler that waits or in poll mode:
 * what they handle belongs to neither. */
typedef struct set_aside {
    hidden_context context;
    current_message message;
} set_aside;

static inline set_aside current_set_aside(void)
{
    return (set_aside){context_hide(), current_set((current_message){0})};
}

static inline void current_take_back(set_aside aside)
{
    (void)current_set(aside.message);
    context_unhide(aside.context);
}

/* ---- callbacks ---- */

/* Where the thread was that asked. Zeroed: nowhere. */
typedef struct origin {
    loom_envelope *message;     /* that it was handling; NULL: none */
    loom_trace_context context; /* that was current; invalid: none */
    char *tracestate;           /* that goes with it; NULL: none */
    bool remote;                /* it came with a message */
} origin;

/* Of the calling thread, now. LOOM_ENOMEM: it stays zeroed. */
LOOM_MUST_CHECK loom_status origin_take(origin *o);
void origin_fini(origin *o);

/* Around a callback on the loop, which goes on where it was asked for. */
typedef struct callback_scope {
    uint64_t token;
    current_message outer;
    bool handling;
} callback_scope;

callback_scope callback_begin(agent_loop *loop, const origin *o);
void callback_end(agent_loop *loop, callback_scope scope);

#endif
