/* SPDX-License-Identifier: Apache-2.0 */
/* What the ring holds now, by trace: for people who look for one. */
#include "trace/record/internal.h"

#include "base/str.h"
#include "trace/otlp/fields.h"
#include "trace/otlp/protobuf_read.h"

#include <assert.h>
#include <stdlib.h>

enum {
    SEEN_MAX = 4096,   /* traces looked at, */
    PLACES = 2 * SEEN_MAX,
    CHUNKS_LOOKED_AT = 16 /* and chunks, for how long the lock may be held */
};

typedef struct seen_traces {
    recorder_held items[SEEN_MAX];
    size_t count;
    uint16_t places[PLACES]; /* an item's place by its hash, plus 1 */
} seen_traces;

static uint64_t start_of_bytes(const record_bytes *rec)
{
    pb_cursor all = pb_cursor_on((loom_bytes){rec->bytes, rec->len});
    pb_field span, field;
    if (pb_next(&all, &span)) {
        for (pb_cursor c = pb_cursor_on(span.bytes); pb_next(&c, &field);) {
            if (pb_is(&field, SPAN_START_TIME, PB_FIXED64)) {
                return field.value;
            }
        }
    }
    return 0;
}

static void copy_text(char *out, size_t size, loom_str text)
{
    size_t len = text.len < size ? text.len : size - 1;
    while (len < text.len && len > 0 && ((uint8_t)text.data[len] & 0xc0u) == 0x80u) {
        len--; /* no half of a character */
    }
    memcpy(out, text.data, len);
    out[len] = '\0';
}

/* NULL: there is no room for it. */
static recorder_held *item_of(seen_traces *seen, const uint8_t *trace_id)
{
    uint32_t at = trace_hash(trace_id) % PLACES;
    while (seen->places[at] != 0) {
        recorder_held *item = &seen->items[seen->places[at] - 1];
        if (memcmp(item->trace_id, trace_id, LOOM_TRACE_ID_SIZE) == 0) {
            return item;
        }
        at = (at + 1) % PLACES;
    }
    if (seen->count == SEEN_MAX) {
        return NULL;
    }
    recorder_held *item = &seen->items[seen->count++];
    *item = (recorder_held){.start_unix_ns = UINT64_MAX};
    memcpy(item->trace_id, trace_id, LOOM_TRACE_ID_SIZE);
    seen->places[at] = (uint16_t)seen->count;
    return item;
}

static void add_record(seen_traces *seen, const found_record *f)
{
    recorder_held *item = item_of(seen, f->base->trace_id);
    if (item == NULL) {
        return;
    }
    const record_form *form = f->definition->form;
    const record_bytes *bytes = (const record_bytes *)f->base;
    const uint64_t start_ns = form != NULL ? form->start_ns(f) : start_of_bytes(bytes);
    const uint64_t end_ns = start_ns + (form != NULL ? form->duration_ns(f->rec) : bytes->duration_ns);
    item->spans++;
    item->kept |= atomic_load_explicit(&f->rec->kept, memory_order_relaxed) == RECORD_EXPORTED;
    item->end_unix_ns = end_ns > item->end_unix_ns ? end_ns : item->end_unix_ns;
    if (start_ns < item->start_unix_ns) {
        item->start_unix_ns = start_ns;
        copy_text(item->name, sizeof item->name, definition_name(f->definition));
        copy_text(item->about, sizeof item->about, form != NULL ? definition_text(f->base_definition, 1) : (loom_str){"", 0});
    }
}

/* Lock held. Only what has been published is looked at: somebody may be filling it. */
static void add_chunk(seen_traces *seen, record_chunk *chunk)
{
    for (unsigned i = 0; i < CHUNK_HEADS; i++) {
        found_record f = {.rec = NULL};
        for (uint16_t at = chain_first(&chunk->heads[i]); at != 0;) {
            found_record_step(&f, chunk, at);
            assert(f.base != NULL); /* the first of a trace in a chunk stands alone */
            add_record(seen, &f);
            at = atomic_load_explicit(&f.rec->next, memory_order_acquire);
        }
    }
}

/* The newest chunks: those that are being filled, and then the last that were given back. */
static void look(recorder *r, seen_traces *seen)
{
    size_t looked = 0;
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < r->chunk_count && looked < CHUNKS_LOOKED_AT; i++) {
        if (r->chunks[i]->in_hand) {
            add_chunk(seen, r->chunks[i]);
            looked++;
        }
    }
    for (list_node *n = r->given_back.last; n != NULL && looked < CHUNKS_LOOKED_AT && seen->count < SEEN_MAX; n = n->prev, looked++) {
        add_chunk(seen, list_item(n, record_chunk, given_back));
    }
    pthread_mutex_unlock(&r->lock);
}

static int newest_first(const void *a, const void *b)
{
    const uint64_t x = ((const recorder_held *)a)->start_unix_ns, y = ((const recorder_held *)b)->start_unix_ns;
    return (x < y) - (x > y);
}

size_t recorder_list_held(recorder_held *out, size_t max)
{
    recorder *r = &recorder_of_process;
    seen_traces *seen = atomic_load(&r->on) && !recorder_is_forked(r) ? calloc(1, sizeof *seen) : NULL;
    if (seen == NULL) {
        return 0;
    }
    look(r, seen);
    qsort(seen->items, seen->count, sizeof *seen->items, newest_first);
    const size_t count = seen->count < max ? seen->count : max;
    memcpy(out, seen->items, count * sizeof *out);
    free(seen);
    return count;
}
