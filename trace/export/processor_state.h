/* SPDX-License-Identifier: Apache-2.0 */
/* The state that processor.c (any thread) and processor_thread.c (the exporter thread) share; processor_state.c is the
 * ground of both, processor_life.c puts them together. */
#ifndef LOOM_TRACE_EXPORT_PROCESSOR_STATE_H
#define LOOM_TRACE_EXPORT_PROCESSOR_STATE_H

#include "base/rate_limit.h"
#include "trace/export/batch.h"
#include "trace/export/exporter.h"
#include "trace/export/processor.h"
#include "trace/export/self_metrics.h"
#include "trace/export/rewrite.h"

#include <pthread.h>

#define NS_PER_S 1000000000u
#define NS_PER_MS 1000000u
#define QUEUE_BYTES_MAX (64u * 1024u * 1024u) /* however few spans they are */

struct loom_span_processor {
    /* set by create, then constant */
    size_t max_queue, max_batch; /* spans */
    uint64_t delay_ns, timeout_ns, attempt_ns;
    void (*on_error)(void *user, const char *message);
    void (*on_absent)(void *user, const char *message);
    void *user;
    exporter *main; /* NULL: spans are thrown away and there is no thread */
    exporter *also[EXPORTERS_ALSO_MAX]; /* the rest is NULL */
    loom_complaints complaints;
    bool disabled;
    pthread_t thread;
    const volatile uint8_t *alive; /* a page of its own that fork() wipes: 0 in a child, which has no exporter thread */

    _Atomic(void (*)(void)) before_flush; /* NULL: nothing */
    atomic_bool guessed; /* nobody named the receiver, and it has taken nothing yet */
    atomic_uint refs;  /* users: with the last one the processor shuts down */
    atomic_uint holds; /* the memory: users together, providers, the thread */
    atomic_uint_fast64_t stop_ns;      /* deadline of the shutdown, monotonic; UINT64_MAX before one */
    atomic_uint_fast64_t forked_drops; /* spans ended in a forked child */

    pthread_mutex_t lock; /* a leaf: nothing else is locked under it */
    pthread_cond_t wake;     /* to the exporter thread */
    pthread_cond_t progress; /* to flush and shutdown */
    /* guarded by lock */
    span_queue queue;
    size_t queued;       /* spans ended and not yet taken into a batch */
    size_t queued_bytes;
    size_t in_flight;    /* spans of the batch under way */
    uint64_t accepted, done; /* spans ever queued, spans ever accounted for: in the same order */
    uint64_t flush_target;   /* export without delay until `done` reaches this */
    uint64_t flushes;        /* calls so far: a new one cuts a retry sleep short */
    bool waiting;   /* the exporter thread sleeps until there is a batch */
    bool preparing; /* the main exporter is to be made ready before there is a batch */
    bool reopening; /* files are to be opened anew */
    bool stopping;
    bool finished;  /* the exporter thread is past its last use of the exporters */
    bool joined;    /* somebody joins or detached the thread */
    bool abandoned; /* shutdown gave up on the thread and has counted its spans */
    loom_span_counts counts;
    self_metrics self; /* part of it constant */

    /* exporter thread only */
    span_chunk *staged_first, *staged_last; /* stolen, partly read */
    span_chunk *spent;                      /* read up, still referred to by the batch */
    bool absence_told;
    span_queue written;                     /* what has been written out for the batch */
    pb_buf writing;
    size_t unwritten;                       /* spans of the batch that were lost for want of memory */
    bool cut_short;                         /* the last batch was full by bytes: do not wait for the next */
    uint64_t hold_until_ns;                 /* when the receiver wants to hear of us again; 0: whenever */
    batch batch;
    span_rewriter rewriter; /* its chain is set by create */
    rate_limit reports;
};

static inline bool processor_forked(const loom_span_processor *p)
{
    return *p->alive == 0;
}

/* ---- processor_state.c ---- */

/* LOOM_ENOMEM. */
loom_status processor_init_state(loom_span_processor *p);
void processor_fini_state(loom_span_processor *p);
/* Waits on cond, with the lock held, until then or a wake-up. false: the time has come. */
bool processor_wait(loom_span_processor *p, pthread_cond_t *cond, uint64_t until_ns);

/* NULL is allowed for each. */
void processor_close_exporters(loom_span_processor *p);

/* ---- processor_thread.c ---- */

void *processor_thread_main(void *processor);

#endif
