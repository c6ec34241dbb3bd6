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
#include "trace/span/thread_exit.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#define FREE_MAX 32u     /* spans of a list, a power of two; about 100 KiB a thread */
#define PARKED_MAX 256u  /* spans, a power of two */
#define RESERVE_SIZE 64u /* spans */

/* The span freed last is taken first, since it is in the cache; the oldest makes room. */
typedef struct free_list {
    loom_span *spans[FREE_MAX];
    unsigned next, count;
} free_list;

typedef struct thread_lists {
    free_list recording, plain;
    thread_exit_hook on_exit;
} thread_lists;

static void park_lists(void);
static _Thread_local thread_lists lists = {.on_exit = {.run = park_lists}};

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

static loom_span *take_free(free_list *list)
{
    if (list->count == 0) {
        return NULL;
    }
    list->count--;
    list->next = (list->next - 1) % FREE_MAX;
    return list->spans[list->next];
}

static void put_free(free_list *list, loom_span *span)
{
    if (list->count == FREE_MAX) {
        park(list->spans[list->next]);
    } else {
        list->count++;
    }
    list->spans[list->next] = span;
    list->next = (list->next + 1) % FREE_MAX;
}

static void park_all(free_list *list)
{
    for (loom_span *span; (span = take_free(list)) != NULL;) {
        park(span);
    }
}

static void park_lists(void)
{
    park_all(&lists.recording);
    park_all(&lists.plain);
}

/* From the free list, or new. NULL: no memory. */
static void *take_or_allocate(free_list *list, size_t size)
{
    loom_span *span = take_free(list);
    if (span == NULL && (span = aligned_alloc(SPAN_ALIGN, (size + SPAN_ALIGN - 1) / SPAN_ALIGN * SPAN_ALIGN)) != NULL) {
        atomic_init(&span->generation, 0);
    }
    return span;
}

static void init_span(loom_span *span, bool recording, span_home home)
{
    memset(&span->ctx, 0, sizeof span->ctx);
    span->recording = recording;
    span->home = home;
    span->tracestate = (loom_str){0};
    atomic_init(&span->ended, false);
    atomic_init(&span->pins, 1);
}

span_recording *span_alloc_recording(void)
{
    span_recording *span = take_or_allocate(&lists.recording, sizeof *span);
    if (span == NULL) {
        return NULL;
    }
    init_span(&span->base, true, SPAN_HOME_HEAP);
    return span;
}

static loom_span *take_reserve(void)
{
    for (size_t i = 0; i < RESERVE_SIZE; i++) {
        if (!atomic_exchange(&reserve[i].taken, true)) {
            init_span(&reserve[i].span, false, SPAN_HOME_RESERVE);
            return &reserve[i].span;
        }
    }
    return NULL;
}

loom_span *span_alloc_plain(void)
{
    loom_span *span = take_or_allocate(&lists.plain, sizeof *span);
    if (span == NULL) {
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

static void release(loom_span *span)
{
    if (span->tracestate.len > 0) {
        free((char *)(uintptr_t)span->tracestate.data);
    }
    if (span->recording) {
        pb_fini(&((span_recording *)span)->buf);
    }
    if (span->home == SPAN_HOME_RESERVE) {
        size_t stride = sizeof reserve[0];
        size_t i = (size_t)((const char *)span - (const char *)reserve) / stride;
        atomic_store(&reserve[i].taken, false);
        return;
    }
    if (thread_exit_attach(&lists.on_exit)) {
        put_free(span->recording ? &lists.recording : &lists.plain, span);
    } else {
        park(span);
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
