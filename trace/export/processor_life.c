/* SPDX-License-Identifier: Apache-2.0 */
/* How a processor comes and goes: options, exporters, thread, references of its users. */
#include "trace/export/processor_state.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/last_error.h"
#include "base/thread.h"

#define DEFAULT_QUEUE_SIZE 2048u
#define DEFAULT_BATCH_SIZE 512u
#define DEFAULT_DELAY_MS 5000u
#define LINK_DELAY_MS 1000u /* a bridge, and perhaps a broker, wait once more */
#define DEFAULT_EXPORT_TIMEOUT_MS 30000u
#define DEFAULT_OTLP_TIMEOUT_MS 10000u
#define LAST_UNREF_TIMEOUT_MS 5000u

static size_t or_default(size_t value, size_t fallback)
{
    return value != 0 ? value : fallback;
}

/* What the environment says wrong has been reported; of a default nobody else knows. */
static void report_batch(const loom_span_processor *p, const loom_span_processor_options *o)
{
    char text[160];
    if (o->max_export_batch_size != 0 && o->on_error != NULL && o->complaints == LOOM_COMPLAINTS_ALL) {
        (void)snprintf(text, sizeof text,
                       "a batch of %zu spans is more than may wait (OTEL_BSP_MAX_QUEUE_SIZE); batches have at most %zu",
                       p->max_batch, p->max_queue);
        o->on_error(o->user, text);
    }
}

static void configure(loom_span_processor *p, const loom_span_processor_options *o)
{
    p->max_queue = or_default(o->max_queue_size, DEFAULT_QUEUE_SIZE);
    p->max_batch = or_default(o->max_export_batch_size, DEFAULT_BATCH_SIZE);
    if (p->max_batch > p->max_queue) { /* else the queue would fill without ever making a batch */
        report_batch(p, o);
        p->max_batch = p->max_queue;
    }
    p->delay_ns = or_default(o->schedule_delay_ms, o->exporter == LOOM_EXPORTER_LINK ? LINK_DELAY_MS : DEFAULT_DELAY_MS) * (uint64_t)NS_PER_MS;
    p->timeout_ns = or_default(o->export_timeout_ms, DEFAULT_EXPORT_TIMEOUT_MS) * (uint64_t)NS_PER_MS;
    p->attempt_ns = or_default(o->otlp_timeout_ms, DEFAULT_OTLP_TIMEOUT_MS) * (uint64_t)NS_PER_MS;
    p->on_error = o->on_error;
    p->on_absent = o->on_absent != NULL ? o->on_absent : o->on_error;
    p->user = o->user;
    atomic_init(&p->guessed, o->guessed);
    self_metrics_init(&p->self, o);
    p->complaints = o->complaints;
    p->disabled = o->disabled;
    atomic_init(&p->refs, 1);
    atomic_init(&p->holds, 1);
    atomic_init(&p->stop_ns, UINT64_MAX);
    atomic_init(&p->forked_drops, 0);
}

static loom_status start_thread(loom_span_processor *p)
{
    atomic_fetch_add(&p->holds, 1);
    if (thread_start(&p->thread, NULL, processor_thread_main, p) != 0) {
        atomic_fetch_sub(&p->holds, 1);
        return LOOM_ENOMEM;
    }
    (void)pthread_setname_np(p->thread, "loom-export");
    return LOOM_OK;
}

static loom_status processor_create(loom_span_processor **out, const loom_span_processor_options *options)
{
    loom_span_processor *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return LOOM_ENOMEM;
    }
    configure(p, options);
    span_queue_init(&p->queue);
    span_queue_init(&p->written);
    pb_init(&p->writing, NULL, 0, SIZE_MAX / 8);
    loom_status st = processor_init_state(p);
    if (st != LOOM_OK) {
        goto free_processor;
    }
    if ((st = rewriter_init(&p->rewriter, options)) != LOOM_OK) {
        goto fini_state;
    }
    if ((st = exporters_open(&p->main, p->also, options)) != LOOM_OK) {
        goto fini_rewriter;
    }
    if (p->main != NULL && ((st = batch_init(&p->batch, p->max_batch)) != LOOM_OK || (st = start_thread(p)) != LOOM_OK)) {
        goto close_all;
    }
    *out = p;
    return LOOM_OK;

close_all:
    batch_fini(&p->batch);
    processor_close_exporters(p);
fini_rewriter:
    rewriter_fini(&p->rewriter);
fini_state:
    processor_fini_state(p);
free_processor:
    free(p);
    return st;
}

static void tell(void *user, const char *text)
{
    (void)user;
    fprintf(stderr, "loom: tracing: %s\n", text);
}

loom_status loom_span_processor_create(loom_span_processor **out, const loom_span_processor_options *options)
{
    if (out == NULL) {
        return last_error_null("the place for the processor");
    }
    *out = NULL;
    loom_span_processor_options from_env;
    if (options == NULL) {
        loom_telemetry_check_env(NULL, NULL);
        loom_span_processor_options_from_env(&from_env, NULL);
        from_env.on_error = tell;
        options = &from_env;
    }
    const loom_status st = processor_create(out, options);
    return st == LOOM_EINVAL ? last_error(st, "the exporter's endpoint, kind, stages or log_spans make no sense") : st;
}

loom_span_processor *loom_span_processor_ref(loom_span_processor *processor)
{
    if (processor != NULL) {
        atomic_fetch_add_explicit(&processor->refs, 1, memory_order_relaxed);
    }
    return processor;
}

void loom_span_processor_unref(loom_span_processor *processor)
{
    if (processor != NULL && atomic_fetch_sub_explicit(&processor->refs, 1, memory_order_acq_rel) == 1) {
        (void)loom_span_processor_shutdown(processor, LAST_UNREF_TIMEOUT_MS);
        processor_unhold(processor);
    }
}
