/* SPDX-License-Identifier: Apache-2.0 */
/* How a processor comes and goes: options, exporters, thread; references of users, holds on the memory. */
#include "trace/export/processor_internal.h"

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
