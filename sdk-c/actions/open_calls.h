/* SPDX-License-Identifier: Apache-2.0 */
/* The calls that an agent has made and that have no outcome yet. Guard: the lock of the agent's loop, for everything that
 * does not say otherwise. */
#ifndef LOOM_SDK_OPEN_CALLS_H
#define LOOM_SDK_OPEN_CALLS_H

#include "envelope/encode.h"
#include "sdk-c/actions/actions_state.h"
#include "sdk-c/actions/call_end.h"
#include "sdk-c/actions/result.h"
#include "sdk-c/agent/current.h"

/* A caller that waits; on its stack. Guarded by the agent's lock. */
typedef struct call_waiter {
    bool done, never_sent;
    loom_result *result;
} call_waiter;

enum { OPEN_CALLS_MAX = 10000, OWN_CALL_ID_SIZE = 16 };

typedef struct open_call {
    call_id by_id;                 /* first */
    hash_node by_number;
    list_node node;                /* of all open ones, or of the ended ones */
    uint64_t number, *number_out;  /* written before anybody else can know the call; NULL: not asked for */
    agent_timer timer;
    uint64_t deadline_ns;
    char *capability, *version;    /* in this block */
    uint32_t idle_ms;
    bool idempotent, sent, ever_sent, cancelled;
    bool over;                     /* out of the tables, with its outcome in result */
    unsigned holds;                /* callbacks of it that run, one inside the other: it is not freed meanwhile */
    call_end end;                  /* of one that ended without an answer */
    uint8_t *envelope;             /* NULL: it need not be sent again */
    size_t envelope_len;
    loom_span *span;               /* the caller's until the call is open, then the loop's */

    call_waiter *waiter;           /* NULL: nobody waits (any more) */
    loom_on_result on_result;
    void *user;
    loom_on_part on_progress, on_chunk; /* NULL: not asked for, or the waiter has given up */
    void *part_user;
    uint64_t window, window_bytes;
    uint64_t chunks, chunk_bytes;  /* handed over */
    uint64_t granted, granted_bytes;

    origin from;                   /* where it was invoked */
    loom_result *result;           /* made before it is needed */
} open_call;

open_call *open_call_create(const char *name, const loom_invoke_options *options);
void open_call_free(open_call *call);
/* Sends it, or keeps it until a session is up. fields have been checked; size: envelope_encode_check().
 * LOOM_ECLOSED, LOOM_EFULL, LOOM_ETOOBIG, LOOM_ENOMEM: it still is the caller's. Lock not held. */
LOOM_MUST_CHECK loom_status open_calls_add(loom_agent *a, open_call *call, const loom_envelope_fields *fields, size_t size,
                                           loom_bytes id);
/* A session begins: sends what waits. Lock held. */
LOOM_MUST_CHECK loom_status open_calls_send(loom_agent *a);
void open_calls_on_result(loom_agent *a, const frame_result *f);
LOOM_MUST_CHECK loom_status open_calls_on_report(loom_agent *a, const frame_report *f);
/* Lock held. LOOM_ENOTFOUND, LOOM_ENOMEM. */
loom_status open_calls_cancel(loom_agent *a, uint64_t number, loom_str reason);
/* The connection has ended (closing: the agent does). Lock held; open_calls_tell_ended() then, without. */
void open_calls_end(loom_agent *a, bool closing);
void open_calls_tell_ended(loom_agent *a);

#endif
