/* SPDX-License-Identifier: Apache-2.0 */
/* What keeps a processor usable by several threads: its lock and conditions, the page that tells a forked child, and the
 * holds on its memory. */
#include "trace/export/processor_state.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

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

loom_status processor_init_state(loom_span_processor *p)
{
    loom_status st = map_alive(p);
    if (st == LOOM_OK && (st = init_sync(p)) != LOOM_OK) {
        unmap_alive(p);
    }
    return st;
}

void processor_fini_state(loom_span_processor *p)
{
    fini_sync(p);
    unmap_alive(p);
}

bool processor_wait(loom_span_processor *p, pthread_cond_t *cond, uint64_t until_ns)
{
    struct timespec until = {.tv_sec = (time_t)(until_ns / NS_PER_S), .tv_nsec = (long)(until_ns % NS_PER_S)};
    return pthread_cond_timedwait(cond, &p->lock, &until) == 0;
}

void processor_close_exporters(loom_span_processor *p)
{
    for (size_t i = 0; i < EXPORTERS_ALSO_MAX; i++) {
        exporter_close(p->also[i]);
    }
    exporter_close(p->main);
}

bool processor_is_forked(const loom_span_processor *processor)
{
    return processor_forked(processor);
}

bool processor_is_unheard(const loom_span_processor *p)
{
    return atomic_load_explicit(&p->guessed, memory_order_relaxed);
}

bool processor_is_disabled(const loom_span_processor *processor)
{
    return processor->disabled;
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
    span_queue_fini(&processor->written);
    pb_fini(&processor->writing);
    rewriter_fini(&processor->rewriter);
    if (processor->main != NULL) {
        batch_fini(&processor->batch);
    }
    processor_close_exporters(processor);
    processor_fini_state(processor);
    free(processor);
}
