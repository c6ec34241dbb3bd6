/* SPDX-License-Identifier: Apache-2.0 */
/* The way from the tracer to the reader: a ring of records in shared memory, one writer and one reader in two processes.
 * Records are whole and lie in one piece. A writer that finds no room counts the record as lost and goes on.
 *
 * The reader sleeps on an eventfd. It says so in `sleeping` first, and the writer rings only then, and only for what is worth
 * it: most records wait until the reader looks by itself. */
#ifndef LOOM_TRACE_PROCESS_RING_H
#define LOOM_TRACE_PROCESS_RING_H

#include <stdatomic.h>

#include "trace/process/syscalls/event.h"

enum { RING_SIZE = 16 * 1024 * 1024, RING_RESERVE = 1024 * 1024 }; /* bytes; the reserve is for processes, without which calls have no parent */

typedef struct ring {
    _Alignas(64) _Atomic uint64_t written; /* bytes ever; the writer's */
    uint64_t read_seen;                    /* the writer's own: what it last saw of `read` */
    _Atomic uint64_t lost;                 /* the writer's */
    _Alignas(64) _Atomic uint64_t read;    /* bytes ever; the reader's */
    _Atomic uint32_t sleeping;             /* the reader's; taken back by a writer that rings */
    _Alignas(64) uint8_t bytes[RING_SIZE];
} ring; /* all zero: empty */

typedef enum ring_urgency { RING_MAY_WAIT, RING_MUST_BE_HEARD } ring_urgency;

/* Writer. bell: the reader's eventfd. RING_MUST_BE_HEARD may use the reserve, and wakes the reader. False: no room. */
bool ring_write(ring *r, const event *e, ring_urgency urgency, int bell);

/* Reader. The oldest record, valid until ring_consume(); NULL: none. */
const event *ring_peek(ring *r);
void ring_consume(ring *r, const event *e);
/* Says that it is going to wait for the bell. False: there is something to read. */
bool ring_may_sleep(ring *r);

#endif
