/* SPDX-License-Identifier: Apache-2.0 */
/* Writing records: the path of every span, without a lock. */
#ifndef LOOM_TRACE_RECORD_WRITE_H
#define LOOM_TRACE_RECORD_WRITE_H

#include "base/str.h"
#include "trace/record/recorder.h"

/* What a thread has of the ring: in its thread-local storage. */
typedef struct record_hand {
    record_chunk *chunk; /* NULL: none */
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
 * with a thousand kept that is one in two hundred of the others. */
enum { KEPT_WORDS = 512 };
typedef struct kept_filter {
    atomic_bool any;
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

/* An empty chunk for this thread, which gives back the one it has. NULL: there is none for it; counted. */
record_chunk *record_next_chunk(record_hand *hand, recorder *r);
/* What the thread has goes back: when it exits. */
void record_hand_give_back(record_hand *hand);
/* A record of a trace that may be kept is there. */
void recorder_late(recorder *r, const uint8_t trace_id[LOOM_TRACE_ID_SIZE]);
/* Writes one at the end of the chunk, where RECORD_DEFINITION_MAX bytes are free. */
record_definition *record_define(record_chunk *chunk, recorder *r, const record_what *what);

/* This thread's chunk with room for a definition and so many bytes. NULL: counted as lost. */
static inline record_chunk *record_room(record_hand *hand, recorder *r, size_t bytes)
{
    record_chunk *chunk = hand->chunk;
    return chunk != NULL && chunk->used + units_of(bytes) + units_of(RECORD_DEFINITION_MAX) <= CHUNK_UNITS
               ? chunk
               : record_next_chunk(hand, r);
}

static inline uint64_t text_tail(loom_str text)
{
    uint64_t word;
    uint32_t first, last;
    if (text.len >= sizeof word) {
        memcpy(&word, text.data + text.len - sizeof word, sizeof word);
        return word ^ text.len;
    }
    if (text.len >= sizeof last) {
        memcpy(&first, text.data, sizeof first);
        memcpy(&last, text.data + text.len - sizeof last, sizeof last);
        return ((uint64_t)first << 32 | last) ^ text.len;
    }
    return text.len > 0 ? (uint64_t)(uint8_t)text.data[0] << 16 ^ (uint64_t)(uint8_t)text.data[text.len / 2] << 8 ^
                              (uint8_t)text.data[text.len - 1] ^ text.len
                        : 0;
}

/* Two of 16 bits, as they lie in memory. */
static inline uint32_t text_lens(const loom_str texts[2])
{
    const uint16_t len[2] = {(uint16_t)texts[0].len, (uint16_t)texts[1].len};
    uint32_t both;
    memcpy(&both, len, sizeof both);
    return both;
}

static inline loom_str definition_text(const record_definition *d, unsigned i)
{
    uint16_t len[2];
    memcpy(len, d->bytes, sizeof len);
    return (loom_str){(const char *)d->bytes + sizeof len + (i > 0 ? len[0] : 0), len[i]};
}

static inline bool definition_says(const record_definition *d, const record_what *what)
{
    const char *texts = (const char *)d->bytes + 2 * sizeof(uint16_t);
    uint32_t lens;
    memcpy(&lens, d->bytes, sizeof lens);
    return d->form == what->form && d->tracer == what->tracer && d->key == what->key &&
           lens == text_lens(what->texts) && str_same(texts, what->texts[0].data, what->texts[0].len) &&
           str_same(texts + what->texts[0].len, what->texts[1].data, what->texts[1].len);
}

/* In this chunk; written if it is not there. */
static inline record_definition *record_definition_of(record_chunk *chunk, recorder *r, const record_what *what)
{
    const uint64_t hash = text_tail(what->texts[0]) * 31 + text_tail(what->texts[1]) + ((uint64_t)what->key << 20) + what->tracer;
    uint16_t *const known = &chunk->known[hash * UINT64_C(0x9e3779b97f4a7c15) >> 58];
    record_definition *d = chunk_at(chunk, *known);
    if (*known != 0 && definition_says(d, what)) {
        return d;
    }
    d = record_define(chunk, r, what);
    *known = chunk_place(chunk, d);
    return d;
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

/* All but its head is written. From here on it can be found. duration_ns: of the span. */
static inline void record_publish(record_chunk *chunk, recorder *r, ring_record *rec, const record_definition *d, size_t bytes,
                                  uint8_t flags, uint64_t duration_ns)
{
    const uint32_t hash = trace_hash(rec->trace_id), units = units_of(bytes);
    _Atomic uint16_t *const head = &chunk->heads[chunk_bucket(hash)];
    rec->head = (record_head){.units = (uint16_t)units,
                              .next = atomic_load_explicit(head, memory_order_relaxed),
                              .definition = chunk_place(chunk, d),
                              .flags = flags};
    chunk->used += units;
    atomic_store_explicit(&chunk->records, atomic_load_explicit(&chunk->records, memory_order_relaxed) + 1, memory_order_relaxed);
    atomic_store_explicit(head, chunk_place(chunk, rec), memory_order_release);
    if (duration_ns >= d->slow_ns) {
        recorder_trigger(r, rec->trace_id, (loom_str){"slow", 4});
    } else if (recorder_may_keep(hash)) {
        recorder_late(r, rec->trace_id);
    }
}

/* A span that is no form's: the bytes of a ScopeSpans.spans field. tracer: its number. name: of the span, for the rules. What does
 * not fit a chunk is lost, and counted. */
void record_span(record_hand *hand, recorder *r, uint32_t tracer, loom_str name, const uint8_t trace_id[LOOM_TRACE_ID_SIZE],
                 loom_bytes span, uint64_t duration_ns);

#endif
