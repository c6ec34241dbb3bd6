/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of spans that record: a short free list per thread, so that starting and ending spans allocates nothing once warm.
 *
 * A span ended by another thread than it was started by joins the list of the thread that ended it.
 *
 * A span may be ended twice by mistake, and the second end reads its generation. So memory does not go back to the heap
 * at once: what a list has no place for, and the list of a thread that exits, are parked until PARKED_MAX others have
 * followed. The parking place is the module's only process-wide state. */
#include "trace/span/internal.h"

#include <stdlib.h>
#include <string.h>

#define LIST_MAX 32u    /* spans; about 100 KiB a thread */
#define PARKED_MAX 256u /* spans, a power of two */

static struct {
    atomic_uint next;
    _Atomic(loom_span *) spans[PARKED_MAX];
} parked;

static void park(loom_span *span)
{
    unsigned at = atomic_fetch_add_explicit(&parked.next, 1, memory_order_relaxed) % PARKED_MAX;
    free(atomic_exchange_explicit(&parked.spans[at], span, memory_order_acq_rel));
}

static loom_span **next_of(loom_span *span)
{
    return (loom_span **)(void *)&span->tracestate;
}

static inline loom_span *take_free(span_list *list)
{
    loom_span *span = list->first;
    if (span != NULL) {
        list->first = *next_of(span);
        list->count--;
    }
    return span;
}

static inline void put_free(span_list *list, loom_span *span)
{
    if (list->count == LIST_MAX) {
        park(span);
        return;
    }
    *next_of(span) = list->first;
    list->first = span;
    list->count++;
}

void span_list_park(void)
{
    span_list *const list = &span_thread_here()->recording;
    for (loom_span *span; (span = take_free(list)) != NULL;) {
        park(span);
    }
}

__attribute__((cold, noinline)) static loom_span *allocate(void)
{
    loom_span *span = aligned_alloc(SPAN_ALIGN, (sizeof(span_recording) + SPAN_ALIGN - 1) / SPAN_ALIGN * SPAN_ALIGN);
    if (span != NULL) {
        atomic_init(&span->generation, 0);
        atomic_init(&span->ended, SPAN_GENERATION_PLAIN); /* of no generation it will have */
    }
    return span;
}

span_recording *span_alloc_recording(span_thread *thread)
{
    loom_span *span = take_free(&thread->recording);
    if (span == NULL && (span = allocate()) == NULL) {
        return NULL;
    }
    span->lacks = 0;
    span->tracestate = (loom_str){0};
    atomic_init(&span->pins, 1);
    return (span_recording *)span;
}

void span_set_tracestate(loom_span *span, loom_str tracestate)
{
    char *copy = tracestate.len > 0 ? malloc(tracestate.len) : NULL;
    if (copy != NULL) {
        memcpy(copy, tracestate.data, tracestate.len);
        span->tracestate = (loom_str){copy, tracestate.len};
    }
}

static inline void release(span_recording *rec)
{
    if (rec->base.tracestate.len > 0) {
        free((char *)(uintptr_t)rec->base.tracestate.data);
    }
    if (rec->buf.on_heap) {
        pb_fini(&rec->buf);
    }
    attr_index_fini(&rec->index);
    span_thread *const thread = span_thread_here();
    if (thread_exit_attach(&thread->on_exit)) {
        put_free(&thread->recording, &rec->base);
    } else {
        park(&rec->base);
    }
}

void span_unpin(loom_span *span)
{
    if (span_is_plain(span_handle(span))) {
        atomic_fetch_sub_explicit(&span->pins, 1, memory_order_release);
        return;
    }
    /* Alone with it, nobody else can add a pin: spare the locked instruction. */
    if (atomic_load_explicit(&span->pins, memory_order_acquire) == 1 ||
        atomic_fetch_sub_explicit(&span->pins, 1, memory_order_acq_rel) == 1) {
        release((span_recording *)span);
    }
}
