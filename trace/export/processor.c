/* SPDX-License-Identifier: Apache-2.0 */
/* The batch span processor as its callers see it: submit, flush, shut down. Any thread.
 *
 * Ending a span copies its bytes into the queue under the lock and wakes the exporter thread only when it sleeps and a
 * batch is full; less than a batch waits for the exporter thread's own timer. */
#include "trace/export/processor_state.h"

#include "base/clock.h"
#include "base/last_error.h"

#define STUCK_GRACE_MS 250u /* after the deadline, for the exporter thread to count and leave */

/* With the lock held. true: the queue has taken the span and its use of the resource. */
static bool accept_span(loom_span_processor *p, const span_scope *scope, const span_form *form, loom_bytes span)
{
    p->counts.ended++;
    if (p->stopping) {
        p->counts.dropped_shutdown++;
        p->self.after_shutdown++;
        return false;
    }
    if (p->main == NULL) {
        p->counts.exported++;
        return false;
    }
    if (p->queued >= p->max_queue || p->queued_bytes + span.len > QUEUE_BYTES_MAX ||
        span_queue_push(&p->queue, scope, form, span) == NULL) {
        p->counts.dropped_full++;
        return false;
    }
    p->queued++;
    p->queued_bytes += span.len;
    p->accepted++;
    return true;
}

const void *processor_submit(loom_span_processor *p, const span_scope *scope, loom_bytes span)
{
    return processor_submit_form(p, scope, NULL, span);
}

const void *processor_submit_form(loom_span_processor *p, const span_scope *scope, const span_form *form, loom_bytes span)
{
    if (processor_forked(p)) {
        atomic_fetch_add_explicit(&p->forked_drops, 1, memory_order_relaxed);
        scope->resource->release(scope->resource, 1);
        return NULL;
    }
    pthread_mutex_lock(&p->lock);
    bool accepted = accept_span(p, scope, form, span);
    bool wake = p->waiting && p->queued >= p->max_batch;
    if (wake) {
        p->waiting = false; /* once is enough */
    }
    /* Signalled with the lock held: once it is open and the queue has the span, nothing keeps p alive for us. */
    if (wake) {
        pthread_cond_signal(&p->wake);
    }
    const void *next = span_queue_next(&p->queue);
    pthread_mutex_unlock(&p->lock);
    if (!accepted) {
        scope->resource->release(scope->resource, 1);
    }
    return next;
}

bool processor_has_room(const loom_span_processor *processor)
{
    loom_span_processor *p = (loom_span_processor *)(uintptr_t)processor; /* only the lock changes */
    pthread_mutex_lock(&p->lock);
    const bool room = p->queued < p->max_queue / 2 && p->queued_bytes < QUEUE_BYTES_MAX / 2;
    pthread_mutex_unlock(&p->lock);
    return room;
}

/* With the lock held, after waiting: what became of the spans since `before`. */
static loom_status verdict(const loom_span_processor *p, const loom_span_counts *before)
{
    if (p->counts.dropped_shutdown > before->dropped_shutdown) {
        return LOOM_ETIMEDOUT;
    }
    return p->counts.dropped_failed > before->dropped_failed ? LOOM_EIO : LOOM_OK;
}

loom_status processor_share_stages(const loom_span_processor *p, span_chain *out)
{
    return span_chain_add(out, p->rewriter.chain.stages, p->rewriter.chain.count);
}

void processor_set_before_flush(loom_span_processor *p, void (*before_flush)(void))
{
    atomic_store(&p->before_flush, before_flush);
}

static void call_before_flush(loom_span_processor *p)
{
    void (*before_flush)(void) = atomic_load(&p->before_flush);
    if (before_flush != NULL) {
        before_flush();
    }
}

loom_status loom_span_processor_flush(loom_span_processor *processor, uint32_t timeout_ms)
{
    loom_span_processor *p = processor;
    if (p == NULL || processor_forked(p)) {
        return p == NULL ? last_error_null("the processor") : LOOM_ECLOSED;
    }
    uint64_t until = clock_monotonic_ns() + (uint64_t)timeout_ms * NS_PER_MS;
    call_before_flush(p);
    pthread_mutex_lock(&p->lock);
    loom_span_counts before = p->counts;
    uint64_t target = p->accepted;
    if (p->flush_target < target) {
        p->flush_target = target;
    }
    p->flushes++;
    p->waiting = false;
    pthread_cond_signal(&p->wake);
    loom_status st = p->stopping ? LOOM_ECLOSED : LOOM_OK;
    while (p->done < target && st == LOOM_OK) {
        if (!processor_wait(p, &p->progress, until) && p->done < target) {
            st = LOOM_ETIMEDOUT;
        }
    }
    if (st == LOOM_OK) {
        st = verdict(p, &before);
    }
    pthread_mutex_unlock(&p->lock);
    return st;
}

/* With the lock held: the thread sits in a write that does not return. Its spans count as lost; it will notice. */
static void abandon_thread(loom_span_processor *p)
{
    p->abandoned = true;
    p->counts.dropped_shutdown += p->queued + p->in_flight;
    p->done = p->accepted;
    p->queued = p->in_flight = 0;
    pthread_cond_broadcast(&p->progress);
}

/* wish: one of the processor's that the exporter thread looks at when it wakes. */
static void wake_for(loom_span_processor *p, bool *wish)
{
    if (p->main == NULL || processor_forked(p)) {
        return;
    }
    pthread_mutex_lock(&p->lock);
    *wish = true;
    p->waiting = false;
    pthread_cond_signal(&p->wake);
    pthread_mutex_unlock(&p->lock);
}

void processor_prepare_exporter(loom_span_processor *p)
{
    wake_for(p, &p->preparing);
}

void processor_reopen_files(loom_span_processor *p)
{
    wake_for(p, &p->reopening);
}

static void interrupt_exporter(exporter *e)
{
    if (e != NULL && e->ops->interrupt != NULL) {
        e->ops->interrupt(e);
    }
}

loom_status loom_span_processor_shutdown(loom_span_processor *processor, uint32_t timeout_ms)
{
    loom_span_processor *p = processor;
    if (p == NULL || processor_forked(p)) {
        return p == NULL ? last_error_null("the processor") : LOOM_ECLOSED;
    }
    uint64_t until = clock_monotonic_ns() + (uint64_t)timeout_ms * NS_PER_MS;
    call_before_flush(p);
    pthread_mutex_lock(&p->lock);
    bool first = !p->stopping;
    loom_span_counts before = p->counts;
    p->stopping = true;
    if (p->main == NULL) {
        p->finished = p->joined = true;
    }
    if (until < atomic_load(&p->stop_ns)) {
        atomic_store(&p->stop_ns, until);
    }
    pthread_cond_broadcast(&p->wake);
    interrupt_exporter(p->main);
    while (!p->finished && !p->abandoned &&
           (processor_wait(p, &p->progress, until + STUCK_GRACE_MS * (uint64_t)NS_PER_MS) || p->finished)) {
    }
    if (!p->finished && !p->abandoned) {
        abandon_thread(p);
    }
    loom_status st = first ? verdict(p, &before) : LOOM_OK;
    bool settle = !p->joined;
    bool finished = p->finished;
    p->joined = true;
    pthread_mutex_unlock(&p->lock);
    if (settle) {
        (void)(finished ? pthread_join(p->thread, NULL) : pthread_detach(p->thread));
    }
    return st;
}

loom_span_counts loom_span_processor_counts(const loom_span_processor *processor)
{
    if (processor == NULL) {
        return (loom_span_counts){0};
    }
    if (processor_forked(processor)) {
        uint64_t drops = atomic_load(&((loom_span_processor *)(uintptr_t)processor)->forked_drops);
        return (loom_span_counts){.ended = drops, .dropped_shutdown = drops};
    }
    pthread_mutex_t *lock = (pthread_mutex_t *)(uintptr_t)&processor->lock;
    pthread_mutex_lock(lock);
    loom_span_counts counts = processor->counts;
    pthread_mutex_unlock(lock);
    return counts;
}
