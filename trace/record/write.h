/* SPDX-License-Identifier: Apache-2.0 */
/* Writing records: the path of every span, without a lock. */
#ifndef LOOM_TRACE_RECORD_WRITE_H
#define LOOM_TRACE_RECORD_WRITE_H

#include "base/str.h"
#include "trace/record/recorder.h"

/* A thread's time. */
typedef struct record_time {
    record_clock clock;
    uint64_t last_ns; /* the last reading of it */
    bool in_hop;      /* that is recent enough for what happens now */
} record_time;

/* What a thread has of the ring: in its thread-local storage. */
typedef struct record_hand {
    record_chunk *chunk; /* NULL: none */
    record_time time;
} record_hand;

/* What records of one kind have in common. Texts are borrowed. */
typedef struct record_what {
    const record_form *form;
    uint32_t tracer, key;
    const char *name;  /* of the span; static, or NULL */
    loom_str texts[2]; /* of at most RECORD_TEXT_MAX bytes each */
} record_what;

enum { RECORD_TEXT_MAX = 1024, RECORD_DEFINITION_MAX = sizeof(record_definition) + 4 + 2 * RECORD_TEXT_MAX };

/* Which traces are kept just now: two bits of a word for each, by the trace's hash. A record of one that may be has to be looked at;
 * with a thousand kept that is one in five thousand of the others. */
enum { KEPT_WORDS = 2048 };
typedef struct kept_filter {
    atomic_bool any;
    atomic_uint kinds; /* 0: there are none; else another number after each change of them (kinds.h) */
    atomic_uint_fast64_t words[KEPT_WORDS];
} kept_filter;
extern kept_filter recorder_kept;

static inline uint64_t kept_bits(uint32_t hash)
{
    return UINT64_C(1) << (hash >> 20 & 63) | UINT64_C(1) << (hash >> 26);
}

static inline bool recorder_may_keep(uint32_t hash)
{
    if (!atomic_load_explicit(&recorder_kept.any, memory_order_relaxed)) {
        return false;
    }
    const uint64_t bits = kept_bits(hash);
    return (atomic_load_explicit(&recorder_kept.words[hash % KEPT_WORDS], memory_order_relaxed) & bits) == bits;
}

/* An empty chunk for this thread, which gives back the one it has. NULL: there is none for it; counted, and of this trace a part is gone. */
record_chunk *record_next_chunk(record_hand *hand, recorder *r, const uint8_t trace_id[LOOM_TRACE_ID_SIZE]);
/* A record of this trace does not fit a chunk: counted, and of the trace a part is gone. */
void record_lost(recorder *r, const uint8_t trace_id[LOOM_TRACE_ID_SIZE]);
/* What the thread has goes back: when it exits. */
void record_hand_give_back(record_hand *hand);
/* A record of a trace that may be kept is there. */
void recorder_late(recorder *r, const uint8_t trace_id[LOOM_TRACE_ID_SIZE]);
/* While there are kinds: a record, or a span of no form, is there that may be of one. */
void recorder_look_at_record(recorder *r, record_definition *d, uint32_t kinds, const uint8_t trace_id[LOOM_TRACE_ID_SIZE]);
void recorder_look_at_span(recorder *r, loom_bytes span, const uint8_t trace_id[LOOM_TRACE_ID_SIZE]);
/* In this chunk; written at its end if it is not there, where RECORD_DEFINITION_MAX bytes are free. */
record_definition *record_define(record_chunk *chunk, recorder *r, const record_what *what);

/* Whether an empty chunk has room for a record of so many bytes and its definition. */
static inline bool record_fits_chunk(size_t bytes)
{
    return bytes <= (size_t)(CHUNK_UNITS - CHUNK_FIRST) * CHUNK_UNIT - RECORD_DEFINITION_MAX;
}

/* Whether there is room for a definition and so many bytes. */
static inline bool record_has_room(const record_chunk *chunk, size_t bytes)
{
    return chunk != NULL && chunk->used + units_of(bytes) + units_of(RECORD_DEFINITION_MAX) <= CHUNK_UNITS;
}

/* This thread's chunk with that room. NULL: counted as lost. */
static inline record_chunk *record_room(record_hand *hand, recorder *r, size_t bytes, const uint8_t trace_id[LOOM_TRACE_ID_SIZE])
{
    return record_has_room(hand->chunk, bytes) ? hand->chunk : record_next_chunk(hand, r, trace_id);
}

static inline loom_str definition_text(const record_definition *d, unsigned i)
{
    uint16_t len[2];
    memcpy(len, d->bytes, sizeof len);
    return (loom_str){(const char *)d->bytes + sizeof len + (i > 0 ? len[0] : 0), len[i]};
}

/* Of the span. */
static inline loom_str definition_name(const record_definition *d)
{
    return d->form != NULL ? d->form->name(d) : definition_text(d, 0);
}

/* str_same() of names of common lengths in a few instructions. */
static inline bool text_same(const char *a, const char *b, size_t len)
{
    return len - 8 <= 8 ? str_same_8(a, b) && str_same_8(a + len - 8, b + len - 8) : str_same(a, b, len);
}

static inline bool definition_says(const record_definition *d, loom_str first, loom_str second)
{
    const char *texts = (const char *)d->bytes + 2 * sizeof(uint16_t);
    uint16_t len[2];
    memcpy(len, d->bytes, sizeof len);
    return len[0] == first.len && len[1] == second.len && text_same(texts, first.data, first.len) &&
           text_same(texts + first.len, second.data, second.len);
}

static inline unsigned what_hash(const record_what *what)
{
    uint64_t hash = (uint64_t)what->key << 32 | what->tracer;
    for (unsigned i = 0; i < 2; i++) {
        const loom_str text = what->texts[i];
        uint64_t tail = 0;
        if (text.len >= sizeof tail) {
            memcpy(&tail, text.data + text.len - sizeof tail, sizeof tail);
        } else if (text.len > 0) {
            memcpy(&tail, text.data, text.len);
        }
        hash = (hash ^ tail ^ text.len << 56) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 32;
    }
    return (unsigned)(hash * UINT64_C(0x9e3779b97f4a7c15) >> 58);
}

/* The one that the writer has put under this number, NULL if there is none. */
static inline record_definition *record_recent(record_chunk *chunk, unsigned number)
{
    const uint16_t place = chunk->recent[number];
    return place != 0 ? chunk_at(chunk, place) : NULL;
}

static inline uint16_t definition_place(const record_definition *d)
{
    return atomic_load_explicit(&d->head.next, memory_order_relaxed);
}

/* Where the next record goes: room for it has been found. What lies further on is fetched meanwhile, or each new line would be waited
 * for. */
static inline void *record_here(record_chunk *chunk)
{
    uint8_t *at = chunk_at(chunk, chunk->used);
    __builtin_prefetch(at + 4 * 64, 1);
    __builtin_prefetch(at + 5 * 64, 1);
    return at;
}

/* It counts from here on. */
static inline void record_count(record_chunk *chunk, recorder *r, const ring_record *base, const record_definition *d, uint32_t units,
                                uint64_t duration_ns)
{
    chunk->used += units;
    atomic_store_explicit(&chunk->records, atomic_load_explicit(&chunk->records, memory_order_relaxed) + 1, memory_order_relaxed);
    if (duration_ns >= d->slow_ns) {
        recorder_trigger(r, base->trace_id, (loom_str){"slow", 4});
    } else if (atomic_load_explicit(&recorder_kept.any, memory_order_relaxed) && recorder_may_keep(trace_hash(base->trace_id))) {
        recorder_late(r, base->trace_id);
    }
    const uint32_t kinds = atomic_load_explicit(&recorder_kept.kinds, memory_order_relaxed);
    if (kinds != 0 && d->form != NULL) {
        recorder_look_at_record(r, chunk_at(chunk, definition_place(d)), kinds, base->trace_id);
    }
}

static inline void record_set_head(record_head *head, const record_definition *d, uint32_t units, uint8_t flags)
{
    head->units = (uint16_t)units;
    head->definition = definition_place(d);
    head->flags = flags;
    atomic_store_explicit(&head->kept, 0, memory_order_relaxed);
}

/* All but its head is written, where record_here() says. From here on it can be found. duration_ns: of the span. */
static inline void record_publish(record_chunk *chunk, recorder *r, ring_record *rec, const record_definition *d, size_t bytes,
                                  uint8_t flags, uint64_t duration_ns)
{
    const uint32_t units = units_of(bytes);
    record_set_head(&rec->head, d, units, flags);
    chain_put(chunk, trace_hash(rec->trace_id), &rec->head, (uint16_t)chunk->used);
    record_count(chunk, r, rec, d, units, duration_ns);
}

/* The same of one that goes on from the chunk's base. */
static inline void record_publish_behind(record_chunk *chunk, recorder *r, record_head *rec, const record_definition *d, size_t bytes,
                                         uint8_t flags, uint64_t duration_ns)
{
    ring_record *const base = chunk_at(chunk, chunk->base);
    const uint32_t units = units_of(bytes);
    record_set_head(rec, d, units, flags);
    atomic_store_explicit(&rec->next, atomic_load_explicit(&base->head.next, memory_order_relaxed), memory_order_relaxed);
    atomic_store_explicit(&base->head.next, (uint16_t)chunk->used, memory_order_release);
    record_count(chunk, r, base, d, units, duration_ns);
}

/* A span that is no form's: the bytes of a ScopeSpans.spans field. tracer: its number. name: of the span, for the rules. What does
 * not fit a chunk is lost, and counted. */
void record_span(record_hand *hand, recorder *r, uint32_t tracer, loom_str name, const uint8_t trace_id[LOOM_TRACE_ID_SIZE],
                 loom_bytes span, uint64_t duration_ns);

#endif
