/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/record/ghosts.h"

#include <assert.h>
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

/* Tags on their way into the table, which is larger than a processor keeps at hand: a place is asked for some tags before it is
 * written, or each would be waited for, by a thread that is handling a message. */
enum { TAGS_WAIT = 16 };
typedef struct tag_line {
    struct {
        uint16_t *place, tag;
    } waits[TAGS_WAIT];
    unsigned count; /* ever */
} tag_line;

static void line_put_oldest(const tag_line *line)
{
    const unsigned at = line->count % TAGS_WAIT;
    *line->waits[at].place = line->waits[at].tag;
}

static void line_add(tag_line *line, const ghosts *g, const uint8_t *trace_id)
{
    uint16_t *const place = place_of(g, trace_id);
    __builtin_prefetch(place, 1);
    if (line->count >= TAGS_WAIT) {
        line_put_oldest(line);
    }
    line->waits[line->count % TAGS_WAIT].place = place;
    line->waits[line->count++ % TAGS_WAIT].tag = tag_of(trace_id);
}

static void line_end(tag_line *line)
{
    const unsigned left = line->count < TAGS_WAIT ? line->count : TAGS_WAIT;
    line->count = line->count < TAGS_WAIT ? 0 : line->count; /* where the oldest is */
    for (unsigned i = 0; i < left; i++, line->count++) {
        line_put_oldest(line);
    }
}

/* A record that goes on from another one has that one's trace: the last one of a form that stands alone. */
void ghosts_add(ghosts *g, record_chunk *chunk)
{
    if (g->tags == NULL) {
        return;
    }
    tag_line line;
    line.count = 0;
    const ring_record *base = NULL, *added = NULL;
    for (uint32_t at = CHUNK_FIRST; at < chunk->used;) {
        const record_head *rec = chunk_at(chunk, at);
        at += rec->units;
        if (rec->definition == 0) {
            continue;
        }
        const record_definition *d = chunk_at(chunk, rec->definition);
        const ring_record *whose = record_stands_alone(d) ? (const ring_record *)rec : base;
        if (d->form != NULL) {
            base = whose;
        }
        assert(whose != NULL); /* the first of a trace in a chunk stands alone */
        if (atomic_load_explicit(&rec->kept, memory_order_relaxed) == 0 && whose != added) {
            line_add(&line, g, whose->trace_id);
            added = whose;
        }
    }
    line_end(&line);
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
