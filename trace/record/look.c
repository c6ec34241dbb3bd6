/* SPDX-License-Identifier: Apache-2.0 */
/* What the ring holds of one trace, and since when it is whole: for people who ask for it. Chunk by chunk, each with the lock held for a
 * glance. */
#include "trace/record/internal.h"

#include "base/clock.h"
#include "base/str.h"

enum { SPAN_BYTES = 512 * 1024 }; /* of one */

typedef struct looking {
    recorder *r;
    const uint8_t *trace_id;
    pb_buf span;
    recorder_visit visit;
    void *user;
    recorder_trace found;
} looking;

/* Lock held. */
static void tell(looking *l, const found_record *what)
{
    const record_definition *d = what->definition;
    const known_tracer *tracer = recorder_tracer(l->r, d->tracer);
    l->found.spans++;
    if (l->visit == NULL || tracer == NULL) {
        return;
    }
    pb_rollback(&l->span, 0);
    recorder_write_span(tracer->scope, what, &l->span);
    if (!l->span.failed) {
        l->visit(l->user, definition_name(what->definition), (loom_bytes){l->span.data, l->span.len});
    }
}

/* Lock held: it does not change hands. */
static void look_at_chunk(looking *l, record_chunk *chunk)
{
    found_record what = {.rec = NULL};
    for (uint16_t at = chunk_find(chunk, trace_hash(l->trace_id)); at != 0;) {
        found_record_step(&what, chunk, at);
        if (what.base != NULL && memcmp(what.base->trace_id, l->trace_id, LOOM_TRACE_ID_SIZE) == 0) {
            tell(l, &what);
        }
        at = atomic_load_explicit(&what.rec->next, memory_order_acquire);
    }
}

/* false: there are no more. */
static bool look_at(looking *l, size_t at)
{
    pthread_mutex_lock(&l->r->lock);
    const bool there = at < l->r->chunk_count;
    if (there) {
        look_at_chunk(l, l->r->chunks[at]);
    }
    pthread_mutex_unlock(&l->r->lock);
    return there;
}

recorder_trace recorder_look_for(const uint8_t trace_id[LOOM_TRACE_ID_SIZE], recorder_visit visit, void *user)
{
    recorder *r = &recorder_of_process;
    looking l = {.r = r, .trace_id = trace_id, .visit = visit, .user = user};
    if (!recorder_is_running()) {
        return l.found;
    }
    pb_init(&l.span, NULL, 0, SPAN_BYTES);
    pthread_mutex_lock(&r->lock);
    l.found.cut = ghosts_has(&r->ghosts, trace_id);
    pthread_mutex_unlock(&r->lock);
    for (size_t at = 0; look_at(&l, at); at++) {
    }
    pb_fini(&l.span);
    return l.found;
}

uint64_t recorder_reach_ns(void)
{
    recorder *r = &recorder_of_process;
    uint64_t reach = 0;
    if (recorder_is_running()) {
        pthread_mutex_lock(&r->lock);
        reach = clock_monotonic_ns() - r->whole_since_ns;
        pthread_mutex_unlock(&r->lock);
    }
    return reach;
}
