/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of spans: two short free lists per thread, so that starting and ending spans allocates nothing once warm.
 *
 * A span ended by another thread than it was started by joins the list of the thread that ended it. When even malloc has
 * nothing, a span that does not record comes from a small reserve of the process: a message must not lose its context
 * because memory is short.
 *
 * A span may be ended twice by mistake, and the second end reads its generation. So memory does not go back to the heap
 * at once: what a list has no place for, and the lists of a thread that exits, are parked until PARKED_MAX others have
 * followed. The reserve and the parking place are the module's only process-wide state. */
#include "trace/span/internal.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#define PARKED_MAX 256u  /* spans, a power of two */
#define RESERVE_SIZE 64u /* spans */

static struct {
    alignas(SPAN_ALIGN) loom_span span;
    atomic_bool taken;
} reserve[RESERVE_SIZE];

static struct {
    atomic_uint next;
    _Atomic(loom_span *) spans[PARKED_MAX];
} parked;

static void park(loom_span *span)
{
    unsigned at = atomic_fetch_add_explicit(&parked.next, 1, memory_order_relaxed) % PARKED_MAX;
    free(atomic_exchange_explicit(&parked.spans[at], span, memory_order_acq_rel));
}

static inline loom_span *take_free(span_list *list)
{
    if (list->count == 0) {
        return NULL;
    }
    list->count--;
    list->next = (list->next - 1) % SPAN_LIST_SIZE;
    return list->spans[list->next];
}

static inline void put_free(span_list *list, loom_span *span)
{
    if (list->count == SPAN_LIST_SIZE) {
        park(list->spans[list->next]);
    } else {
        list->count++;
    }
    list->spans[list->next] = span;
    list->next = (list->next + 1) % SPAN_LIST_SIZE;
}

static void park_all(span_list *list)
{
    for (loom_span *span; (span = take_free(list)) != NULL;) {
        park(span);
    }
}

void span_lists_park(void)
{
    park_all(&span_this_thread.lists.recording);
    park_all(&span_this_thread.lists.plain);
}

__attribute__((cold, noinline)) static void *allocate(size_t size, unsigned char generation)
{
    loom_span *span = aligned_alloc(SPAN_ALIGN, (size + SPAN_ALIGN - 1) / SPAN_ALIGN * SPAN_ALIGN);
    if (span != NULL) {
        atomic_init(&span->generation, generation);
    }
    return span;
}

static inline void init_span(loom_span *span, bool recording, span_home home)
{
    span->recording = recording;
    span->lacks = 0;
    span->home = home;
    span->tracestate = (loom_str){0};
    atomic_init(&span->ended, false);
    atomic_init(&span->pins, 1);
}

span_recording *span_alloc_recording(span_thread *thread)
{
    loom_span *span = take_free(&thread->lists.recording);
    if (span == NULL && (span = allocate(sizeof(span_recording), 0)) == NULL) {
        return NULL;
    }
    init_span(span, true, SPAN_HOME_HEAP);
    return (span_recording *)span;
}

static loom_span *take_reserve(void)
{
    for (size_t i = 0; i < RESERVE_SIZE; i++) {
        loom_span *span = &reserve[i].span;
        if (!atomic_exchange(&reserve[i].taken, true)) {
            init_span(span, false, SPAN_HOME_RESERVE);
            atomic_store(&span->generation, atomic_load(&span->generation) | SPAN_GENERATION_PLAIN);
            return span;
        }
    }
    return NULL;
}

loom_span *span_alloc_plain(span_thread *thread)
{
    loom_span *span = take_free(&thread->lists.plain);
    if (span == NULL && (span = allocate(sizeof *span, SPAN_GENERATION_PLAIN)) == NULL) {
        return take_reserve();
    }
    init_span(span, false, SPAN_HOME_HEAP);
    return span;
}

void span_set_tracestate(loom_span *span, loom_str tracestate)
{
    char *copy = tracestate.len > 0 ? malloc(tracestate.len) : NULL;
    if (copy != NULL) {
        memcpy(copy, tracestate.data, tracestate.len);
        span->tracestate = (loom_str){copy, tracestate.len};
    }
}

/* Back to the reserve, or to the parking place. */
__attribute__((cold, noinline)) static void release_unusual(loom_span *span)
{
    if (span->home == SPAN_HOME_RESERVE) {
        size_t i = (size_t)((const char *)span - (const char *)reserve) / sizeof reserve[0];
        atomic_store(&reserve[i].taken, false);
    } else {
        park(span);
    }
}

static inline void release(loom_span *span)
{
    if (span->tracestate.len > 0) {
        free((char *)(uintptr_t)span->tracestate.data);
    }
    if (span->recording) {
        pb_fini(&((span_recording *)span)->buf);
        attr_index_fini(&((span_recording *)span)->index);
    }
    span_lists *const lists = &span_this_thread.lists;
    if (span->home != SPAN_HOME_HEAP || !thread_exit_attach(&lists->on_exit)) {
        release_unusual(span);
    } else {
        put_free(span->recording ? &lists->recording : &lists->plain, span);
    }
}

void span_unpin(loom_span *span)
{
    /* Alone with it, nobody else can add a pin: spare the locked instruction. */
    if (atomic_load_explicit(&span->pins, memory_order_acquire) == 1 ||
        atomic_fetch_sub_explicit(&span->pins, 1, memory_order_acq_rel) == 1) {
        release(span);
    }
}
