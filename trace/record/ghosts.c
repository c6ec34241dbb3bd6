/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/record/ghosts.h"

#include <stdlib.h>

enum { RING_BYTES_EACH = 32, PLACES_MIN = 1024, PLACES_MAX = 1 << 24 };

loom_status ghosts_init(ghosts *g, size_t ring_bytes)
{
    uint32_t count = PLACES_MIN;
    while (count < ring_bytes / RING_BYTES_EACH && count < PLACES_MAX) {
        count *= 2;
    }
    if (g->tags != NULL && count <= g->mask + 1) {
        return LOOM_OK;
    }
    uint16_t *tags = calloc(count, sizeof *tags);
    if (tags == NULL) {
        return LOOM_ENOMEM;
    }
    free(g->tags);
    g->tags = tags;
    g->mask = count - 1;
    return LOOM_OK;
}

void ghosts_fini(ghosts *g)
{
    free(g->tags);
    *g = (ghosts){.tags = NULL};
}

/* Of the end of the id, which is random. 0 is for a place that is free. */
static uint16_t tag_of(const uint8_t *trace_id)
{
    const uint16_t tag = (uint16_t)(trace_id[LOOM_TRACE_ID_SIZE - 2] << 8 | trace_id[LOOM_TRACE_ID_SIZE - 1]);
    return tag != 0 ? tag : 1;
}

static uint16_t *place_of(const ghosts *g, const uint8_t *trace_id)
{
    return &g->tags[trace_hash(trace_id) & g->mask];
}

/* Each record that has no trace id follows the one that it goes on from. */
static void add_chain(ghosts *g, record_chunk *chunk, uint16_t at)
{
    const ring_record *base = NULL;
    while (at != 0) {
        const record_head *rec = chunk_at(chunk, at);
        if (record_stands_alone(chunk_at(chunk, rec->definition))) {
            base = (const ring_record *)rec;
        }
        if (rec->kept == 0) {
            *place_of(g, base->trace_id) = tag_of(base->trace_id);
        }
        at = atomic_load_explicit(&rec->next, memory_order_acquire);
    }
}

void ghosts_add(ghosts *g, record_chunk *chunk)
{
    if (g->tags == NULL) {
        return;
    }
    for (unsigned i = 0; i < CHUNK_HEADS; i++) {
        add_chain(g, chunk, atomic_load_explicit(&chunk->heads[i], memory_order_acquire));
    }
}

void ghosts_add_trace(ghosts *g, const uint8_t trace_id[LOOM_TRACE_ID_SIZE])
{
    if (g->tags != NULL) {
        *place_of(g, trace_id) = tag_of(trace_id);
    }
}

bool ghosts_has(const ghosts *g, const uint8_t trace_id[LOOM_TRACE_ID_SIZE])
{
    return g->tags != NULL && *place_of(g, trace_id) == tag_of(trace_id);
}
