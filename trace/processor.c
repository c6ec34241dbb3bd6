/* SPDX-License-Identifier: Apache-2.0 */
/* The batch span processor as its callers see it: create, submit, flush, shut down. Any thread.
 *
 * Ending a span copies its bytes into the queue under the lock and wakes the exporter thread only when it sleeps and a
 * batch is full; less than a batch waits for the exporter thread's own timer. */
#include "trace/processor_internal.h"

#include "trace/provider.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_QUEUE_SIZE 2048u
#define DEFAULT_BATCH_SIZE 512u
#define DEFAULT_DELAY_MS 5000u
#define DEFAULT_EXPORT_TIMEOUT_MS 30000u
#define DEFAULT_OTLP_TIMEOUT_MS 10000u
#define LAST_UNREF_TIMEOUT_MS 5000u
#define STUCK_GRACE_MS 250u /* after the deadline, for the exporter thread to count and leave */

uint64_t exporter_clock_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

bool processor_wait(loom_span_processor *p, pthread_cond_t *cond, uint64_t until_ns)
{
    struct timespec until = {.tv_sec = (time_t)(until_ns / 1000000000u), .tv_nsec = (long)(until_ns % 1000000000u)};
    return pthread_cond_timedwait(cond, &p->lock, &until) == 0;
}

static size_t or_default(size_t value, size_t fallback)
{
    return value != 0 ? value : fallback;
}

static void configure(loom_span_processor *p, const loom_span_processor_options *o)
{
    p->max_queue = or_default(o->max_queue_size, DEFAULT_QUEUE_SIZE);
    p->max_batch = or_default(o->max_export_batch_size, DEFAULT_BATCH_SIZE);
    if (p->max_batch > p->max_queue) { /* else the queue would fill without ever making a batch */
        p->max_batch = p->max_queue;
    }
    p->delay_ns = or_default(o->schedule_delay_ms, DEFAULT_DELAY_MS) * (uint64_t)NS_PER_MS;
    p->timeout_ns = or_default(o->export_timeout_ms, DEFAULT_EXPORT_TIMEOUT_MS) * (uint64_t)NS_PER_MS;
    p->attempt_ns = or_default(o->otlp_timeout_ms, DEFAULT_OTLP_TIMEOUT_MS) * (uint64_t)NS_PER_MS;
    p->on_error = o->on_error;
    p->user = o->user;
    atomic_init(&p->refs, 1);
    atomic_init(&p->holds, 1);
    atomic_init(&p->stop_ns, UINT64_MAX);
    atomic_init(&p->forked_drops, 0);
}

static loom_status open_main(loom_span_processor *p, const loom_span_processor_options *o)
{
    switch (o->exporter) {
    case LOOM_EXPORTER_NONE:
        return LOOM_OK;
    case LOOM_EXPORTER_OTLP_GRPC:
    case LOOM_EXPORTER_OTLP_HTTP:
        return otlp_exporter_open(&p->main, o);
    case LOOM_EXPORTER_CONSOLE:
        return console_exporter_open(&p->main);
    case LOOM_EXPORTER_FILE:
        return file_exporter_open(&p->main, o->endpoint != NULL ? o->endpoint : LOOM_SPANS_FILE_DEFAULT);
    }
    return LOOM_EINVAL;
}

static void close_exporter(exporter *e)
{
    if (e != NULL) {
        e->ops->close(e);
    }
}

static loom_status open_exporters(loom_span_processor *p, const loom_span_processor_options *o)
{
    loom_status st = open_main(p, o);
    if (st != LOOM_OK || o->also_file == NULL) {
        return st;
    }
    st = file_exporter_open(p->main != NULL ? &p->also : &p->main, o->also_file);
    if (st != LOOM_OK) {
        close_exporter(p->main);
    }
    return st;
}

static loom_status init_sync(loom_span_processor *p)
{
    pthread_condattr_t monotonic;
    if (pthread_condattr_init(&monotonic) != 0) {
        return LOOM_ENOMEM;
    }
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    loom_status st = LOOM_ENOMEM;
    if (pthread_mutex_init(&p->lock, NULL) != 0) {
        goto destroy_attr;
    }
    if (pthread_cond_init(&p->wake, &monotonic) != 0) {
        goto destroy_lock;
    }
    if (pthread_cond_init(&p->progress, &monotonic) != 0) {
        goto destroy_wake;
    }
    pthread_condattr_destroy(&monotonic);
    return LOOM_OK;

destroy_wake:
    pthread_cond_destroy(&p->wake);
destroy_lock:
    pthread_mutex_destroy(&p->lock);
destroy_attr:
    pthread_condattr_destroy(&monotonic);
    return st;
}

static void fini_sync(loom_span_processor *p)
{
    pthread_cond_destroy(&p->progress);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
}

static size_t page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static loom_status map_alive(loom_span_processor *p)
{
    uint8_t *page = mmap(NULL, page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) {
        return LOOM_ENOMEM;
    }
    (void)madvise(page, page_size(), MADV_WIPEONFORK); /* where there is none, a child just must not end spans */
    page[0] = 1;
    p->alive = page;
    return LOOM_OK;
}

static void unmap_alive(loom_span_processor *p)
{
    (void)munmap((void *)(uintptr_t)p->alive, page_size());
}

/* No signal handler of the program may run on the exporter thread, and no SIGPIPE may come from its sockets. */
static loom_status start_thread(loom_span_processor *p)
{
    sigset_t all, before;
    sigfillset(&all);
    atomic_fetch_add(&p->holds, 1);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&p->thread, NULL, processor_thread_main, p);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
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
    loom_status st = map_alive(p);
    if (st != LOOM_OK) {
        goto free_processor;
    }
    if ((st = init_sync(p)) != LOOM_OK) {
        goto unmap;
    }
    if ((st = open_exporters(p, options)) != LOOM_OK) {
        goto fini;
    }
    if (p->main != NULL && ((st = batch_init(&p->batch, p->max_batch)) != LOOM_OK || (st = start_thread(p)) != LOOM_OK)) {
        goto close_all;
    }
    *out = p;
    return LOOM_OK;

close_all:
    batch_fini(&p->batch);
    close_exporter(p->also);
    close_exporter(p->main);
fini:
    fini_sync(p);
unmap:
    unmap_alive(p);
free_processor:
    free(p);
    return st;
}

loom_status loom_span_processor_create(loom_span_processor **out, const loom_span_processor_options *options)
{
    *out = NULL;
    loom_span_processor_options from_env;
    if (options == NULL) {
        loom_span_processor_options_from_env(&from_env, NULL);
        options = &from_env;
    }
    return processor_create(out, options);
}

loom_span_processor *loom_span_processor_ref(loom_span_processor *processor)
{
    atomic_fetch_add_explicit(&processor->refs, 1, memory_order_relaxed);
    return processor;
}

void loom_span_processor_unref(loom_span_processor *processor)
{
    if (processor != NULL && atomic_fetch_sub_explicit(&processor->refs, 1, memory_order_acq_rel) == 1) {
        (void)loom_span_processor_shutdown(processor, LAST_UNREF_TIMEOUT_MS);
        processor_unhold(processor);
    }
}

void processor_hold(loom_span_processor *processor)
{
    atomic_fetch_add_explicit(&processor->holds, 1, memory_order_relaxed);
}

void processor_unhold(loom_span_processor *processor)
{
    if (atomic_fetch_sub_explicit(&processor->holds, 1, memory_order_acq_rel) != 1 || processor_forked(processor)) {
        return; /* in a forked child the lock may be held by a thread that is not there: leave all as it is */
    }
    span_queue_fini(&processor->queue);
    if (processor->main != NULL) {
        batch_fini(&processor->batch);
    }
    close_exporter(processor->also);
    close_exporter(processor->main);
    fini_sync(processor);
    unmap_alive(processor);
    free(processor);
}

/* With the lock held. true: the queue has taken the span and its use of the provider. */
static bool accept_span(loom_span_processor *p, loom_tracer *tracer, loom_bytes span)
{
    p->counts.ended++;
    if (p->stopping) {
        p->counts.dropped_shutdown++;
        return false;
    }
    if (p->main == NULL) {
        p->counts.exported++;
        return false;
    }
    if (p->queued >= p->max_queue || p->queued_bytes + span.len > QUEUE_BYTES_MAX ||
        !span_queue_push(&p->queue, tracer, span)) {
        p->counts.dropped_full++;
        return false;
    }
    p->queued++;
    p->queued_bytes += span.len;
    p->accepted++;
    return true;
}

void processor_submit(loom_span_processor *p, loom_tracer *tracer, loom_bytes span)
{
    if (processor_forked(p)) {
        atomic_fetch_add_explicit(&p->forked_drops, 1, memory_order_relaxed);
        provider_release(tracer->provider, 1);
        return;
    }
    pthread_mutex_lock(&p->lock);
    bool accepted = accept_span(p, tracer, span);
    bool wake = p->waiting && p->queued >= p->max_batch;
    if (wake) {
        p->waiting = false; /* once is enough */
    }
    /* Signalled with the lock held: once it is open and the queue has the span, nothing keeps p alive for us. */
    if (wake) {
        pthread_cond_signal(&p->wake);
    }
    pthread_mutex_unlock(&p->lock);
    if (!accepted) {
        provider_release(tracer->provider, 1);
    }
}

/* With the lock held, after waiting: what became of the spans since `before`. */
static loom_status verdict(const loom_span_processor *p, const loom_span_counts *before)
{
    if (p->counts.dropped_shutdown > before->dropped_shutdown) {
        return LOOM_ETIMEDOUT;
    }
    return p->counts.dropped_failed > before->dropped_failed ? LOOM_EIO : LOOM_OK;
}

loom_status loom_span_processor_flush(loom_span_processor *processor, uint32_t timeout_ms)
{
    loom_span_processor *p = processor;
    if (p == NULL || processor_forked(p)) {
        return p == NULL ? LOOM_EINVAL : LOOM_ECLOSED;
    }
    uint64_t until = exporter_clock_ns() + (uint64_t)timeout_ms * NS_PER_MS;
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
        return p == NULL ? LOOM_EINVAL : LOOM_ECLOSED;
    }
    uint64_t until = exporter_clock_ns() + (uint64_t)timeout_ms * NS_PER_MS;
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
