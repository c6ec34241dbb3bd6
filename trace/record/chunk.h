/* SPDX-License-Identifier: Apache-2.0 */
/* How records lie in memory. The ring is made of chunks. A chunk is filled by one thread, which takes no lock for a record, and
 * stands for itself: what records have in common (the tracer, the agent, the topic) is said in the chunk by a definition, once, and
 * each record names its definition. So a chunk that is overwritten takes all with it that its records need, and nothing is counted
 * or freed record by record.
 *
 * A record is found by its trace: `heads` are chains of records by their trace id. The writer publishes a record by storing its
 * place in the chain's head; whoever reads holds the recorder's lock, under which alone a chunk changes hands, or has named the chunk
 * in recorder.reading, so that it does not. Beside the place a head has a bit for each trace of its chain, by another part of the
 * hash: a trace is looked for in hundreds of chunks and is in one or two, and each record that is looked at in the others is a line
 * of memory to wait for.
 *
 * A record may go on from another one, its base, and then says only what differs: it has no trace id, and follows its base in the
 * chain, in front of the next record that stands for itself.
 *
 * Places are in units of 8 bytes from the start of the chunk, so that they take 16 bits; 0 is none. */
#ifndef LOOM_TRACE_RECORD_CHUNK_H
#define LOOM_TRACE_RECORD_CHUNK_H

#include "base/list.h"
#include "trace/record/clock.h"

#include <loom/context.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

enum {
    CHUNK_SIZE = 64 * 1024, /* bytes */
    CHUNK_UNIT = 8,         /* bytes */
    CHUNK_UNITS = CHUNK_SIZE / CHUNK_UNIT,
    CHUNK_HEADS = 512,      /* a full chunk has about as many records */
    CHUNK_KNOWN = 64,       /* definitions that are found by their hash, */
    CHUNK_RECENT = 16,      /* and those that were used last, by the writer's own numbers */
};

typedef struct record_form record_form;

/* What has become of a record. */
enum { RECORD_EXPORTED = 1, RECORD_HANDED_OVER = 2 /* to another process, which exports it when it is asked for */ };

/* What follows is the definition's or the record's own. */
typedef struct record_head {
    uint16_t units;      /* of the whole */
    _Atomic uint16_t next; /* the one behind it in the chain; of a definition: itself */
    uint16_t definition; /* of a record */
    uint8_t flags;       /* the form's */
    _Atomic uint8_t kept;  /* the exporting reader's: RECORD_EXPORTED and the like; 0: nothing yet */
} record_head;

typedef struct record_definition {
    record_head head;
    const record_form *form; /* NULL: its records are bytes of a ScopeSpans.spans field */
    uint64_t slow_ns;        /* a span that takes longer is kept */
    uint32_t tracer;         /* its number (tracers.h) */
    uint32_t key;            /* the form's: tells apart what the bytes don't */
    uint32_t len;            /* bytes that follow */
    uint32_t name;           /* the number of its span's name (rules.h) */
    uint32_t kind;           /* the writer's: the kind that its records are of (kinds.h), 0: none; */
    uint32_t kinds_seen;     /* and when that was so: kept_filter.kinds */
    uint8_t bytes[];
} record_definition;

/* What every record begins with that stands for itself. */
typedef struct ring_record {
    record_head head;
    uint8_t trace_id[LOOM_TRACE_ID_SIZE];
} ring_record;

/* One that was found, and the one that it goes on from: itself, if it stands for itself. */
typedef struct found_record {
    record_head *rec;
    const record_definition *definition;
    const ring_record *base;
    const record_definition *base_definition;
} found_record;

struct pb_buf;
struct span_scope;
struct loom_span_processor;
/* How records of one kind, which are much alike, become spans. Static. */
struct record_form {
    bool goes_on; /* from a base */
    /* Appends the fields of one Span of a tracer with this scope, without a tag and a length around them. */
    void (*write)(const struct span_scope *scope, const found_record *found, struct pb_buf *out);
    uint64_t (*duration_ns)(const record_head *rec);
    uint64_t (*start_ns)(const found_record *found); /* since 1970 */
    loom_str (*name)(const record_definition *definition); /* of the span */
    /* Of spans that another process has made: their scope, with one use of its resource, for this processor. NULL, the result: no memory
     * now. NULL, the function: the tracer's scope is theirs. */
    const struct span_scope *(*open_scope)(const found_record *found, struct loom_span_processor *processor);
};

/* Whether records of this definition are nobody's continuation. */
static inline bool record_stands_alone(const record_definition *d)
{
    return d->form == NULL || !d->form->goes_on;
}

/* Of spans that are no form's. */
typedef struct record_bytes {
    ring_record base;
    uint64_t duration_ns;
    uint32_t len;
    uint8_t bytes[];
} record_bytes;

typedef struct record_chunk {
    list_node given_back;       /* in the recorder's list; guarded by its lock */
    bool in_hand;               /* some thread fills it; guarded by its lock */
    uint64_t number;            /* of those given back, which this was; guarded by its lock */
    uint64_t given_back_ns;     /* and when, monotonic; the same */
    /* the writer's, while it is in hand */
    uint32_t used;              /* units */
    atomic_uint records;
    uint16_t known[CHUNK_KNOWN];   /* definitions */
    uint16_t recent[CHUNK_RECENT]; /* the same */
    uint16_t base;                 /* what a record of the same thing may go on from, */
    const void *base_of;           /* and of what it is; NULL: there is none */
    /* published to readers */
    _Atomic uint32_t heads[CHUNK_HEADS]; /* HEAD_PLACE_BITS of place, and the bits of the traces above */
} record_chunk;

enum { CHUNK_FIRST = (sizeof(record_chunk) + CHUNK_UNIT - 1) / CHUNK_UNIT };

static inline void *chunk_at(record_chunk *chunk, uint32_t place)
{
    return (uint8_t *)chunk + (size_t)place * CHUNK_UNIT;
}

/* The next one of a chain: its base is the last before it that stands for itself. */
static inline void found_record_step(found_record *f, record_chunk *chunk, uint16_t at)
{
    f->rec = chunk_at(chunk, at);
    f->definition = chunk_at(chunk, f->rec->definition);
    if (record_stands_alone(f->definition)) {
        f->base = (const ring_record *)f->rec;
        f->base_definition = f->definition;
    }
}

static inline uint32_t units_of(size_t bytes)
{
    return (uint32_t)((bytes + CHUNK_UNIT - 1) / CHUNK_UNIT);
}

/* The end of a trace id is random (Trace Context level 2); of one that is not, the chains are long. */
static inline uint32_t trace_hash(const uint8_t trace_id[LOOM_TRACE_ID_SIZE])
{
    uint64_t words[2];
    memcpy(words, trace_id, sizeof words);
    return (uint32_t)((words[0] ^ words[1] * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xff51afd7ed558ccd) >> 32);
}

static inline _Atomic uint32_t *chunk_head(record_chunk *chunk, uint32_t hash)
{
    return &chunk->heads[hash % CHUNK_HEADS];
}

enum { HEAD_PLACE_BITS = 16 };

static inline uint32_t head_bit(uint32_t hash)
{
    return UINT32_C(1) << (HEAD_PLACE_BITS + (hash >> 28));
}

/* The first record of a chain; 0: it has none. */
static inline uint16_t chain_first(const _Atomic uint32_t *head)
{
    return (uint16_t)atomic_load_explicit(head, memory_order_acquire);
}

/* Where a record of this trace may be; 0: nowhere in this chunk. */
static inline uint16_t chunk_find(record_chunk *chunk, uint32_t hash)
{
    const uint32_t head = atomic_load_explicit(chunk_head(chunk, hash), memory_order_acquire);
    return (head & head_bit(hash)) != 0 ? (uint16_t)head : 0;
}

/* The writer's: a record is there from here on, in front of its chain. */
static inline void chain_put(record_chunk *chunk, uint32_t hash, record_head *rec, uint16_t place)
{
    _Atomic uint32_t *const head = chunk_head(chunk, hash);
    const uint32_t before = atomic_load_explicit(head, memory_order_relaxed);
    atomic_store_explicit(&rec->next, (uint16_t)before, memory_order_relaxed);
    atomic_store_explicit(head, (before >> HEAD_PLACE_BITS << HEAD_PLACE_BITS) | head_bit(hash) | place, memory_order_release);
}

static inline void chunk_empty(record_chunk *chunk)
{
    chunk->used = CHUNK_FIRST;
    atomic_store_explicit(&chunk->records, 0, memory_order_relaxed);
    memset(chunk->known, 0, sizeof chunk->known);
    memset(chunk->recent, 0, sizeof chunk->recent);
    chunk->base_of = NULL;
    for (unsigned i = 0; i < CHUNK_HEADS; i++) {
        atomic_store_explicit(&chunk->heads[i], 0, memory_order_relaxed);
    }
}

#endif
