/* SPDX-License-Identifier: Apache-2.0 */
/* The recorder's life, its settings, its tracers, and who has which chunk. */
#include "trace/record/internal.h"

#include "base/clock.h"
#include "base/last_error.h"
#include "base/thread.h"
#include "trace/export/processor.h"

#include <stdlib.h>

recorder recorder_of_process = {.lock = PTHREAD_MUTEX_INITIALIZER,
                                .keeping = PTHREAD_MUTEX_INITIALIZER,
                                .carriers_lock = PTHREAD_MUTEX_INITIALIZER,
                                .inbox = {.lock = PTHREAD_MUTEX_INITIALIZER}};

kept_filter recorder_kept;

/* ---- settings ---- */

/* Lock held. */
static loom_status set(recorder *r, size_t bytes, loom_str slow, const char **fault)
{
    slow_rules rules = {.count = 0};
    loom_status st = slow_rules_parse(&rules, slow, fault);
    if (st == LOOM_OK) {
        slow_rules_fini(&r->slow);
        r->slow = rules;
        r->bytes = bytes;
    }
    return st;
}

loom_status loom_recorder_configure(size_t bytes, const char *slow)
{
    recorder *r = &recorder_of_process;
    const char *fault;
    if (bytes != 0 && bytes < LOOM_RECORDER_BYTES_MIN) {
        return last_error(LOOM_EINVAL, "the recorder needs %zu bytes at least, or 0", (size_t)LOOM_RECORDER_BYTES_MIN);
    }
    pthread_mutex_lock(&r->lock);
    loom_status st = r->tracer_count > 0 ? LOOM_EBUSY : set(r, bytes, str_of(slow), &fault);
    r->configured |= st == LOOM_OK;
    pthread_mutex_unlock(&r->lock);
    if (st == LOOM_EBUSY) {
        return last_error(st, "the recorder is configured before there is a tracer");
    }
    return st == LOOM_EINVAL ? last_error(st, "the recorder's rules: %s", fault) : st;
}

/* Lock held. What makes no sense in the environment is reported by whoever checks that. */
static void look_at_env(recorder *r)
{
    if (!r->configured && r->tracer_count == 0) {
        const recorder_settings settings = recorder_settings_from_env(NULL);
        const char *fault;
        r->bytes = set(r, settings.bytes, str_of(settings.slow), &fault) == LOOM_OK ? settings.bytes : 0;
    }
}

bool recorder_is_on(void)
{
    recorder *r = &recorder_of_process;
    pthread_mutex_lock(&r->lock);
    look_at_env(r);
    const bool on = r->bytes > 0;
    pthread_mutex_unlock(&r->lock);
    return on;
}

/* ---- tracers ---- */

const known_tracer *recorder_tracer(const recorder *r, uint32_t number)
{
    const known_tracer *t = &r->tracers[number % TRACERS_MAX];
    return t->scope != NULL && t->generation == number / TRACERS_MAX ? t : NULL;
}

/* Lock held. */
static bool start(recorder *r)
{
    if (recorder_is_forked(r)) {
        recorder_leave_to_parent(r);
    }
    const size_t chunk_max = r->bytes / CHUNK_SIZE;
    if (chunk_max > r->chunk_room) {
        record_chunk **chunks = realloc(r->chunks, chunk_max * sizeof *chunks);
        if (chunks == NULL) {
            return false;
        }
        r->chunks = chunks;
        r->chunk_room = chunk_max;
    }
    if (ghosts_init(&r->ghosts, r->bytes) != LOOM_OK) {
        return false;
    }
    r->chunk_max = chunk_max;
    if (r->tracer_count == 0) {
        r->whole_since_ns = clock_monotonic_ns(); /* there is nothing yet, or not any more */
    }
    if (atomic_load(&r->on)) {
        return true;
    }
    if (r->kept == NULL && (r->kept = calloc(KEPT_MAX, sizeof *r->kept)) == NULL) {
        return false;
    }
    const bool made = cond_init(&r->inbox.wake);
    r->mark = fork_mark_take();
    atomic_store(&r->on, made);
    return made;
}

static uint32_t add_tracer(recorder *r, const span_scope *scope, loom_span_processor *processor)
{
    for (uint32_t i = 0; i < TRACERS_MAX; i++) {
        known_tracer *t = &r->tracers[i];
        if (t->scope == NULL) {
            t->generation = t->generation % (UINT32_MAX / TRACERS_MAX - 1) + 1;
            t->scope = scope;
            t->processor = processor;
            r->tracer_count++;
            return t->generation * TRACERS_MAX + i;
        }
    }
    return 0;
}

recorder *recorder_attach(const span_scope *scope, loom_span_processor *processor, uint32_t *number)
{
    recorder *r = &recorder_of_process;
    *number = 0;
    pthread_mutex_lock(&r->lock);
    look_at_env(r);
    if (r->bytes > 0 && start(r)) {
        *number = add_tracer(r, scope, processor);
        processor_set_before_flush(processor, recorder_drain);
    }
    pthread_mutex_unlock(&r->lock);
    return *number != 0 ? r : NULL;
}

recorder *recorder_for(loom_span_processor *processor, uint32_t *number)
{
    recorder *r = &recorder_of_process;
    *number = 0;
    if (!recorder_is_running()) {
        return NULL;
    }
    pthread_mutex_lock(&r->lock);
    for (uint32_t i = 0, seen = 0; seen < r->tracer_count && *number == 0; i++) {
        const known_tracer *t = &r->tracers[i];
        seen += t->scope != NULL;
        *number = t->scope != NULL && t->processor == processor ? t->generation * TRACERS_MAX + i : 0;
    }
    pthread_mutex_unlock(&r->lock);
    return *number != 0 ? r : NULL;
}

/* Lock held. Those in hand are left; they come back when their thread takes another one, or exits. So is one that is being read. */
static void free_chunks(recorder *r)
{
    size_t left = 0;
    r->given_back = (linked_list){0};
    for (size_t i = 0; i < r->chunk_count; i++) {
        record_chunk *chunk = r->chunks[i];
        if (chunk->in_hand || chunk == r->reading) {
            r->chunks[left++] = chunk;
            if (!chunk->in_hand) {
                list_append(&r->given_back, &chunk->given_back);
            }
        } else {
            free(chunk);
        }
    }
    r->chunk_count = left;
    ghosts_fini(&r->ghosts);
}

void recorder_detach(recorder *r, uint32_t number)
{
    if (recorder_is_forked(r)) {
        return;
    }
    pthread_mutex_lock(&r->lock);
    known_tracer *t = &r->tracers[number % TRACERS_MAX];
    const bool known = recorder_tracer(r, number) != NULL;
    if (known) {
        t->scope = NULL;
        t->processor = NULL;
    }
    if (known && --r->tracer_count == 0) {
        recorder_stop_thread(r);
        recorder_forget_kinds(r);
        free_chunks(r);
    }
    pthread_mutex_unlock(&r->lock);
}

/* ---- chunks ---- */

/* What a full chunk tells of how long spans take: once a name is known of every eighth span, since this is on their way. */
static void learn(recorder *r, record_chunk *chunk)
{
    if (r->slow.slowest <= 0) {
        return;
    }
    for (uint32_t at = CHUNK_FIRST; at < chunk->used;) {
        const record_head *rec = chunk_at(chunk, at);
        at += rec->units;
        const record_definition *d = rec->definition != 0 ? chunk_at(chunk, rec->definition) : NULL;
        if (d == NULL || (slow_rules_know(&r->slow, d->name) && r->learning++ % 8 != 0)) {
            continue;
        }
        slow_rules_learn(&r->slow, d->name,
                         d->form != NULL ? d->form->duration_ns(rec) : ((const record_bytes *)(const void *)rec)->duration_ns);
    }
}

static record_chunk *new_chunk(recorder *r)
{
    record_chunk *chunk = aligned_alloc(CHUNK_UNIT * 8, CHUNK_SIZE);
    if (chunk != NULL) {
        memset(chunk, 0, sizeof *chunk);
        r->chunks[r->chunk_count++] = chunk;
    }
    return chunk;
}

/* Lock held. NULL: all are in hand, or being read. */
static record_chunk *take_oldest(recorder *r)
{
    list_node *oldest = r->given_back.first;
    if (oldest != NULL && list_item(oldest, record_chunk, given_back) == r->reading) {
        oldest = oldest->next;
    }
    if (oldest == NULL) {
        return NULL;
    }
    list_remove(&r->given_back, oldest);
    return list_item(oldest, record_chunk, given_back);
}

/* Lock held. */
static record_chunk *take_chunk(recorder *r)
{
    recorder_expire_kinds(r);
    record_chunk *chunk = r->chunk_count < r->chunk_max ? new_chunk(r) : NULL; /* while there is room, nothing is overwritten */
    if (chunk == NULL && (chunk = take_oldest(r)) != NULL) {
        r->counts.overwritten += chunk->records;
        r->whole_since_ns = chunk->given_back_ns;
        ghosts_add(&r->ghosts, chunk);
    }
    if (chunk != NULL) {
        chunk_empty(chunk);
        chunk->in_hand = true;
    }
    return chunk;
}

/* Lock held. */
static void give_back(recorder *r, record_hand *hand)
{
    record_chunk *chunk = hand->chunk;
    hand->chunk = NULL;
    if (chunk == NULL) {
        return;
    }
    r->counts.recorded += chunk->records;
    learn(r, chunk);
    chunk->in_hand = false;
    chunk->number = ++r->given_back_count;
    chunk->given_back_ns = clock_monotonic_ns();
    list_append(&r->given_back, &chunk->given_back);
}

void record_hand_give_back(record_hand *hand)
{
    recorder *r = &recorder_of_process;
    if (hand->chunk == NULL || recorder_is_forked(r)) {
        return;
    }
    pthread_mutex_lock(&r->lock);
    give_back(r, hand);
    pthread_mutex_unlock(&r->lock);
}

record_chunk *record_next_chunk(record_hand *hand, recorder *r, const uint8_t trace_id[LOOM_TRACE_ID_SIZE])
{
    if (recorder_is_forked(r)) {
        return NULL;
    }
    pthread_mutex_lock(&r->lock);
    give_back(r, hand);
    record_chunk *chunk = take_chunk(r);
    if (chunk != NULL) {
        hand->chunk = chunk;
    } else {
        r->counts.lost++;
        ghosts_add_trace(&r->ghosts, trace_id);
    }
    pthread_mutex_unlock(&r->lock);
    return chunk;
}

/* ---- records ---- */

record_definition *record_define(record_chunk *chunk, recorder *r, const record_what *what)
{
    uint16_t *const known = &chunk->known[what_hash(what)];
    record_definition *at_hash = chunk_at(chunk, *known);
    if (*known != 0 && at_hash->form == what->form && at_hash->tracer == what->tracer && at_hash->key == what->key &&
        definition_says(at_hash, what->texts[0], what->texts[1])) {
        return at_hash;
    }
    const uint16_t len[2] = {(uint16_t)what->texts[0].len, (uint16_t)what->texts[1].len};
    record_definition *d = record_here(chunk);
    const loom_str name = what->name != NULL ? str_of(what->name) : what->texts[0];
    d->form = what->form;
    d->tracer = what->tracer;
    d->key = what->key;
    d->len = (uint32_t)sizeof len + len[0] + len[1];
    memcpy(d->bytes, len, sizeof len);
    memcpy(d->bytes + sizeof len, what->texts[0].data, len[0]);
    if (len[1] > 0) {
        memcpy(d->bytes + sizeof len + len[0], what->texts[1].data, len[1]);
    }
    pthread_mutex_lock(&r->lock);
    d->kind = d->kinds_seen = 0;
    d->name = slow_rules_name(&r->slow, name);
    d->slow_ns = slow_rules_limit(&r->slow, name, d->name);
    pthread_mutex_unlock(&r->lock);
    d->head.units = (uint16_t)units_of(sizeof *d + d->len);
    d->head.definition = 0;
    *known = (uint16_t)chunk->used;
    atomic_store_explicit(&d->head.next, *known, memory_order_relaxed);
    chunk->used += d->head.units;
    return d;
}

void record_lost(recorder *r, const uint8_t trace_id[LOOM_TRACE_ID_SIZE])
{
    pthread_mutex_lock(&r->lock);
    r->counts.lost++;
    ghosts_add_trace(&r->ghosts, trace_id);
    pthread_mutex_unlock(&r->lock);
}

void record_span(record_hand *hand, recorder *r, uint32_t tracer, loom_str name, const uint8_t trace_id[LOOM_TRACE_ID_SIZE],
                 loom_bytes span, uint64_t duration_ns)
{
    const size_t bytes = sizeof(record_bytes) + span.len;
    if (!record_fits_chunk(bytes)) {
        record_lost(r, trace_id);
        return;
    }
    record_chunk *chunk = record_room(hand, r, bytes, trace_id);
    if (chunk == NULL) {
        return;
    }
    name.len = name.len < RECORD_TEXT_MAX ? name.len : RECORD_TEXT_MAX;
    const record_definition *d = record_define(chunk, r, &(record_what){.tracer = tracer, .texts = {name}});
    record_bytes *rec = record_here(chunk);
    memcpy(rec->base.trace_id, trace_id, sizeof rec->base.trace_id);
    rec->duration_ns = duration_ns;
    rec->len = (uint32_t)span.len;
    memcpy(rec->bytes, span.data, span.len);
    record_publish(chunk, r, &rec->base, d, bytes, 0, duration_ns);
    if (atomic_load_explicit(&recorder_kept.kinds, memory_order_relaxed) != 0) {
        recorder_look_at_span(r, span, trace_id);
    }
}

loom_recorder_counts loom_recorder_counts_now(void)
{
    recorder *r = &recorder_of_process;
    pthread_mutex_lock(&r->lock);
    loom_recorder_counts counts = r->counts;
    pthread_mutex_lock(&r->inbox.lock);
    counts.triggers = r->inbox.triggers;
    counts.triggers_limited = r->inbox.limited;
    counts.triggers_heard = r->inbox.heard;
    counts.triggers_untold = r->inbox.untold;
    pthread_mutex_unlock(&r->inbox.lock);
    for (size_t i = 0; i < r->chunk_count && !recorder_is_forked(r); i++) {
        counts.recorded += r->chunks[i]->in_hand ? atomic_load_explicit(&r->chunks[i]->records, memory_order_relaxed) : 0;
    }
    pthread_mutex_unlock(&r->lock);
    return counts;
}
