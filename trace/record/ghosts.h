/* SPDX-License-Identifier: Apache-2.0 */
/* Traces of which something has been overwritten, so that a trace that is kept can say that a part of it is gone. A table of tags:
 * each trace has one place, and a later one takes it, so that what was overwritten several rings ago is forgotten. One whole trace in
 * 65,536 is taken for another.
 *
 * Under the recorder's lock. */
#ifndef LOOM_TRACE_RECORD_GHOSTS_H
#define LOOM_TRACE_RECORD_GHOSTS_H

#include "trace/record/chunk.h"

#include <loom/status.h>

typedef struct ghosts {
    uint16_t *tags; /* NULL: none are remembered */
    uint32_t mask;  /* their count, a power of two, less 1 */
} ghosts;

/* For a ring of so many bytes: takes a sixteenth of that. Of one that has been initialised: larger if need be, and what it knew is
 * forgotten. LOOM_ENOMEM: it is as it was. */
LOOM_MUST_CHECK loom_status ghosts_init(ghosts *g, size_t ring_bytes);
void ghosts_fini(ghosts *g);
/* All traces of which the chunk holds a record that has not been exported. */
void ghosts_add(ghosts *g, record_chunk *chunk);
/* One of which something could not be recorded. */
void ghosts_add_trace(ghosts *g, const uint8_t trace_id[LOOM_TRACE_ID_SIZE]);
bool ghosts_has(const ghosts *g, const uint8_t trace_id[LOOM_TRACE_ID_SIZE]);

#endif
