/* SPDX-License-Identifier: Apache-2.0 */
/* The exporter thread: waits for a batch, its timer, a flush or the end; sends; retries; accounts for every span. */
#include "trace/export/processor_state.h"

#include "base/backoff.h"
#include "base/clock.h"
#include "base/thread.h"
#include "trace/otlp/fields.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BACKOFF_FIRST_NS 500000000u
#define BACKOFF_MAX_NS 10000000000u
#define NICENESS 5 /* added to the program's */
#define REPORT_EVERY_NS 10000000000u
#define HOLD_MAX_NS 300000000000u /* a receiver that asks for more is asked again after five minutes */
/* Bytes of spans after which a batch is full: half of what a gRPC server takes in one message by default, 4 MiB, since
 * the last span may have another 256 KiB, and the resource comes on top. */
#define BATCH_BYTES_MAX (2u * 1024u * 1024u)

static bool stop_deadline_passed(const loom_span_processor *p)
{
    return clock_monotonic_ns() >= atomic_load(&p->stop_ns);
}

/* The first error at once, then at most one every ten seconds. loss: it costs spans. */
static void report(loom_span_processor *p, const char *message, bool loss)
{
    const loom_complaints least = loss ? LOOM_COMPLAINTS_LOSSES : LOOM_COMPLAINTS_ALL;
    uint64_t suppressed;
    if (p->on_error == NULL || message[0] == '\0' || p->complaints > least ||
        !rate_limit_pass(&p->reports, clock_monotonic_ns(), REPORT_EVERY_NS, 1, &suppressed)) {
        return;
    }
    char text[320];
    if (suppressed > 0) {
        (void)snprintf(text, sizeof text, "%s; suppressed similar messages count=%" PRIu64, message, suppressed);
    } else {
        (void)snprintf(text, sizeof text, "%s", message);
    }
    p->on_error(p->user, text);
}

/* Where nobody has said where spans are to go, most often there is nowhere. */
static void report_absence(loom_span_processor *p, const char *message)
{
    char text[512];
    if (!p->absence_told && p->on_absent != NULL && p->complaints == LOOM_COMPLAINTS_ALL) {
        (void)snprintf(text, sizeof text, "%s; `loom trace collect` takes traces in on this machine, OTEL_EXPORTER_OTLP_ENDPOINT names "
                       "another receiver, OTEL_TRACES_EXPORTER=none turns tracing off", message);
        p->on_absent(p->user, text);
    }
    p->absence_told = true;
}

static void report_result(loom_span_processor *p, const export_result *result, bool loss)
{
    if (result->outcome == EXPORT_UNREACHABLE && atomic_load_explicit(&p->guessed, memory_order_relaxed)) {
        report_absence(p, result->message);
        return;
    }
    if (result->outcome == EXPORT_OK) {
        atomic_store_explicit(&p->guessed, false, memory_order_relaxed); /* there is one: when it goes, that is a failure */
    }
    report(p, result->message, loss);
}

/* ---- taking spans ---- */

/* With the lock held. */
static void stage(loom_span_processor *p)
{
    span_chunk *chunks = span_queue_steal(&p->queue);
    if (chunks == NULL) {
        return;
    }
    if (p->staged_last == NULL) {
        p->staged_first = chunks;
    } else {
        p->staged_last->next = chunks;
    }
    while (chunks->next != NULL) {
        chunks = chunks->next;
    }
    p->staged_last = chunks;
}

/* A span that was queued as what differs. NULL: no memory. */
static span_record *write_out(loom_span_processor *p, const span_record *record)
{
    pb_buf *b = &p->writing;
    pb_rollback(b, 0);
    const size_t span = pb_open(b, SCOPE_SPANS_SPANS);
    record->form->write(record->scope, (loom_bytes){span_record_bytes(record), record->len}, b);
    pb_close(b, span);
    return b->failed ? NULL : span_queue_push(&p->written, record->scope, NULL, (loom_bytes){b->data, b->len});
}

/* As it goes into the batch. NULL: it is lost, and counted. */
static span_record *make_ready(loom_span_processor *p, span_record *record)
{
    if (record->form != NULL) {
        span_record *written = write_out(p, record);
        if (written == NULL) {
            p->unwritten++;
            record->scope->resource->release(record->scope->resource, 1);
            return NULL;
        }
        record = written;
    }
    return rewriter_is_empty(&p->rewriter) ? record : rewriter_run(&p->rewriter, record);
}

/* Fills the batch from what is staged, through the pipeline; returns the bytes taken from the queue. */
static size_t fill_batch(loom_span_processor *p)
{
    size_t taken = 0, bytes = 0;
    p->unwritten = 0;
    while (p->batch.spans + p->unwritten < p->max_batch && bytes < BATCH_BYTES_MAX && p->staged_first != NULL) {
        span_record *record = span_chunk_next(p->staged_first);
        if (p->batch.spans % 16 == 0) {
            thread_rest();
        }
        if (record != NULL) {
            taken += record->len;
            record = make_ready(p, record);
            if (record != NULL) {
                batch_add(&p->batch, record);
                bytes += record->len;
            }
            continue;
        }
        span_chunk *chunk = p->staged_first;
        p->staged_first = chunk->next;
        if (p->staged_first == NULL) {
            p->staged_last = NULL;
        }
        chunk->next = p->spent;
        p->spent = chunk;
    }
    p->cut_short = bytes >= BATCH_BYTES_MAX;
    return taken;
}

/* With the lock held, which others have meanwhile. */
static void prepare(loom_span_processor *p)
{
    p->preparing = false;
    if (p->main->ops->prepare != NULL) {
        pthread_mutex_unlock(&p->lock);
        p->main->ops->prepare(p->main);
        pthread_mutex_lock(&p->lock);
    }
}

/* With the lock held, which others have meanwhile. */
static void reopen(loom_span_processor *p)
{
    p->reopening = false;
    pthread_mutex_unlock(&p->lock);
    for (size_t i = 0; i <= EXPORTERS_ALSO_MAX; i++) {
        exporter *e = i < EXPORTERS_ALSO_MAX ? p->also[i] : p->main;
        if (e != NULL && e->ops->reopen != NULL) {
            e->ops->reopen(e);
        }
    }
    pthread_mutex_lock(&p->lock);
}

/* Sleeps until there is something to do. false: there never will be again. Then spans are in the batch. */
static bool take_batch(loom_span_processor *p)
{
    pthread_mutex_lock(&p->lock);
    do {
        if (p->preparing && !p->stopping) {
            prepare(p);
        }
        if (p->reopening) {
            reopen(p);
        }
        uint64_t until = clock_monotonic_ns() + p->delay_ns;
        bool in_time = true;
        while (in_time && !p->stopping && !p->preparing && !p->reopening && !(p->cut_short && p->queued > 0) && p->queued < p->max_batch && p->flush_target <= p->done) {
            p->waiting = true;
            in_time = processor_wait(p, &p->wake, until);
            p->waiting = false;
        }
    } while (p->queued == 0 && !p->stopping && !p->abandoned);
    bool more = p->queued > 0 && !p->abandoned;
    thread_hurry(p->queued > p->max_queue / 2 || p->flush_target > p->done || p->stopping);
    stage(p);
    pthread_mutex_unlock(&p->lock);
    if (!more) {
        return false;
    }
    size_t bytes = fill_batch(p);
    pthread_mutex_lock(&p->lock);
    if (!p->abandoned) {
        p->queued -= p->batch.spans + p->unwritten;
        p->queued_bytes -= bytes;
        p->counts.dropped_failed += p->unwritten;
        p->done += p->unwritten;
        p->in_flight = p->batch.spans;
    }
    pthread_mutex_unlock(&p->lock);
    return true;
}

/* ---- sending ---- */

/* What callers had asked for when an attempt began: a flush or a shutdown that comes later makes the next one due. */
typedef struct requests_seen {
    uint64_t flushes;
    bool stopping;
} requests_seen;

static requests_seen look_at_requests(loom_span_processor *p)
{
    pthread_mutex_lock(&p->lock);
    requests_seen seen = {p->flushes, p->stopping};
    pthread_mutex_unlock(&p->lock);
    return seen;
}

static void retry_sleep(loom_span_processor *p, uint64_t until_ns, requests_seen seen)
{
    pthread_mutex_lock(&p->lock);
    bool in_time = true;
    while (in_time && p->flushes == seen.flushes && p->stopping == seen.stopping) {
        in_time = processor_wait(p, &p->wake, until_ns);
    }
    pthread_mutex_unlock(&p->lock);
}

/* Whether to try again after this result, and when. */
static bool wants_retry(loom_span_processor *p, const export_result *result, unsigned attempt, uint64_t deadline_ns,
                        requests_seen seen, uint64_t *next_ns)
{
    if (result->outcome == EXPORT_OK || result->outcome == EXPORT_FAILED || result->outcome == EXPORT_TOO_LARGE) {
        return false;
    }
    requests_seen now = look_at_requests(p);
    if (now.stopping && result->outcome == EXPORT_UNREACHABLE) {
        return false; /* nobody listens: a program without a collector should still end at once */
    }
    uint64_t delay = backoff_delay(BACKOFF_FIRST_NS, BACKOFF_MAX_NS, attempt);
    if (result->retry_after_ms > 0) {
        delay = result->retry_after_ms < HOLD_MAX_NS / NS_PER_MS ? result->retry_after_ms * NS_PER_MS : HOLD_MAX_NS;
        p->hold_until_ns = clock_monotonic_ns() + delay;
    }
    if (now.flushes != seen.flushes || now.stopping != seen.stopping) {
        delay = 0;
    }
    *next_ns = clock_monotonic_ns() + delay;
    uint64_t stop = atomic_load(&p->stop_ns);
    return *next_ns < (stop < deadline_ns ? stop : deadline_ns);
}

/* A receiver that has asked for time gets it, also when the batch it refused could not wait that long. Spans pile up in the
 * queue meanwhile; a flush and a shutdown do not wait. */
static void hold(loom_span_processor *p)
{
    pthread_mutex_lock(&p->lock);
    bool in_time = p->hold_until_ns > clock_monotonic_ns();
    while (in_time && !p->stopping && p->flush_target <= p->done) {
        in_time = processor_wait(p, &p->wake, p->hold_until_ns);
    }
    pthread_mutex_unlock(&p->lock);
    p->hold_until_ns = 0;
}

/* alone: the request has one span, and what is too large is lost. */
static export_result send_request(loom_span_processor *p, loom_bytes request, bool alone, uint64_t deadline)
{
    for (unsigned attempt = 0;; attempt++) {
        uint64_t attempt_end = clock_monotonic_ns() + p->attempt_ns, next;
        export_deadline until = {attempt_end < deadline ? attempt_end : deadline, &p->stop_ns};
        export_result result = {.outcome = EXPORT_FAILED};
        const requests_seen seen = look_at_requests(p);
        p->main->ops->send(p->main, request, until, &result);
        const bool again = wants_retry(p, &result, attempt, deadline, seen, &next);
        const bool lost = result.outcome == EXPORT_TOO_LARGE ? alone : result.outcome != EXPORT_OK || result.rejected > 0;
        report_result(p, &result, !again && lost);
        if (!again) {
            return result;
        }
        retry_sleep(p, next, seen);
    }
}

static export_result send_measured(loom_span_processor *p, loom_bytes request, bool alone, uint64_t deadline)
{
    const uint64_t begin = clock_monotonic_ns();
    const export_result result = send_request(p, request, alone, deadline);
    pthread_mutex_lock(&p->lock);
    self_metrics_count(&p->self, begin, &result);
    pthread_mutex_unlock(&p->lock);
    return result;
}

/* What a receiver refuses for its size goes again in halves; the rest of the batch then in pieces of the size that did.
 * The result is OK when any of it was taken, and counts what was not as rejected. request: the whole batch. */
static export_result send_batch(loom_span_processor *p, loom_bytes request)
{
    const uint64_t deadline = clock_monotonic_ns() + p->timeout_ns;
    const size_t spans = p->batch.spans;
    size_t piece = spans, failed = 0;
    export_result all = {.outcome = EXPORT_FAILED};
    for (size_t first = 0; first < spans;) {
        const size_t count = piece < spans - first ? piece : spans - first;
        export_result result = {.outcome = EXPORT_FAILED};
        if (count == spans || batch_encode(&p->batch, first, count, &request)) {
            result = send_measured(p, request, count == 1, deadline);
        }
        if (result.outcome == EXPORT_TOO_LARGE && count > 1) {
            piece = (count + 1) / 2;
            continue;
        }
        if (result.outcome == EXPORT_OK) {
            all.outcome = EXPORT_OK;
            all.rejected += result.rejected < count ? result.rejected : count;
        } else {
            const bool out_of_time = result.outcome == EXPORT_RETRY || result.outcome == EXPORT_UNREACHABLE;
            failed += out_of_time ? spans - first : count;
            all.outcome = all.outcome == EXPORT_OK ? EXPORT_OK : result.outcome;
            if (out_of_time) {
                break;
            }
        }
        first += count;
    }
    all.rejected += failed;
    return all;
}

static export_result export_batch(loom_span_processor *p)
{
    loom_bytes request;
    thread_rest();
    if (!batch_encode(&p->batch, 0, p->batch.spans, &request)) {
        report(p, "no memory to encode a batch of spans", true);
        return (export_result){.outcome = EXPORT_FAILED};
    }
    for (size_t i = 0; i < EXPORTERS_ALSO_MAX && p->also[i] != NULL; i++) {
        export_deadline until = {clock_monotonic_ns() + p->timeout_ns, &p->stop_ns};
        export_result result = {.outcome = EXPORT_FAILED};
        p->also[i]->ops->send(p->also[i], request, until, &result);
        report(p, result.message, true);
    }
    hold(p);
    thread_rest();
    return send_batch(p, request);
}

/* ---- accounting ---- */

static void account(loom_span_processor *p, const export_result *result)
{
    bool late = stop_deadline_passed(p);
    pthread_mutex_lock(&p->lock);
    late = late || (p->stopping && result->outcome == EXPORT_RETRY); /* it might have worked, given time */
    if (!p->abandoned) {
        uint64_t spans = p->in_flight;
        uint64_t rejected = result->rejected < spans ? result->rejected : spans;
        if (result->outcome == EXPORT_OK) {
            p->counts.exported += spans - rejected;
            p->counts.dropped_failed += rejected;
        } else if (late) {
            p->counts.dropped_shutdown += spans;
        } else {
            p->counts.dropped_failed += spans;
        }
        p->done += spans;
        p->in_flight = 0;
        p->self.releasing = spans;
    } else if (result->outcome == EXPORT_OK) { /* shutdown has counted them as lost, and some have come through after all */
        const uint64_t came = p->batch.spans > result->rejected ? p->batch.spans - result->rejected : 0;
        p->counts.dropped_shutdown -= came;
        p->counts.exported += came;
    }
    while (p->spent != NULL) {
        span_chunk *chunk = p->spent;
        p->spent = chunk->next;
        span_queue_recycle(&p->queue, chunk);
    }
    pthread_cond_broadcast(&p->progress);
    pthread_mutex_unlock(&p->lock);
    batch_clear(&p->batch);
    pthread_mutex_lock(&p->lock);
    p->self.releasing = 0;
    pthread_mutex_unlock(&p->lock);
    rewriter_clear(&p->rewriter);
}

/* The batch has gone: so may what was written out for it. */
static void recycle_written(loom_span_processor *p)
{
    for (span_chunk *chunk = span_queue_steal(&p->written), *next; chunk != NULL; chunk = next) {
        next = chunk->next;
        span_queue_recycle(&p->written, chunk);
    }
}

/* What is left when the thread was given up: counted by shutdown, the resources still need their uses back. */
static void discard_staged(loom_span_processor *p)
{
    do {
        batch_clear(&p->batch);
        rewriter_clear(&p->rewriter);
        recycle_written(p);
        (void)fill_batch(p);
    } while (p->batch.spans + p->unwritten > 0);
    while (p->spent != NULL) {
        span_chunk *chunk = p->spent;
        p->spent = chunk->next;
        free(chunk);
    }
}

static void tell_lost(loom_span_processor *p)
{
    const loom_span_counts counts = loom_span_processor_counts(p);
    const uint64_t lost = counts.dropped_full + counts.dropped_failed + counts.dropped_shutdown;
    if (lost > 0 && p->main->ops->lost != NULL) {
        p->main->ops->lost(p->main, lost);
    }
}

void *processor_thread_main(void *processor)
{
    loom_span_processor *p = processor;
    thread_step_back(NICENESS); /* a batch keeps a processor busy for some tenths of a millisecond */
    while (take_batch(p)) {
        export_result result = {.outcome = EXPORT_FAILED};
        if (p->batch.spans > 0 && !stop_deadline_passed(p)) {
            result = export_batch(p);
        }
        account(p, &result);
        recycle_written(p);
        thread_rest();
    }
    discard_staged(p);
    tell_lost(p);
    pthread_mutex_lock(&p->lock);
    p->finished = true;
    pthread_cond_broadcast(&p->progress);
    pthread_mutex_unlock(&p->lock);
    processor_unhold(p);
    return NULL;
}
