/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of spans: two short free lists per thread, so that starting and ending spans allocates nothing once warm.
 *
 * A span ended by another thread than it was started by joins the list of the thread that ended it. When even malloc has
 * nothing, a span that does not record comes from a small reserve of the process: a message must not lose its context
 * because memory is short. The reserve is the module's only process-wide state. */
#include "trace/span/internal.h"
#include "trace/span/thread_exit.h"

#include <stdlib.h>
#include <string.h>

#define FREE_RECORDING_MAX 32u /* spans; about 100 KiB a thread */
#define FREE_PLAIN_MAX 64u     /* spans */
#define RESERVE_SIZE 64u       /* spans */

typedef struct free_list {
    loom_span *first;
    unsigned count;
} free_list;

typedef struct thread_lists {
    free_list recording, plain;
    thread_exit_hook on_exit;
} thread_lists;

static void free_lists(void);
static _Thread_local thread_lists lists = {.on_exit = {.run = free_lists}};

static struct {
    loom_span span;
    atomic_bool taken;
} reserve[RESERVE_SIZE];

static void free_all(free_list *list)
{
    while (list->first != NULL) {
        loom_span *span = list->first;
        list->first = span->next_free;
        free(span);
    }
    list->count = 0;
}

static void free_lists(void)
{
    free_all(&lists.recording);
    free_all(&lists.plain);
}

static loom_span *take_free(free_list *list)
{
    loom_span *span = list->first;
    if (span != NULL) {
        list->first = span->next_free;
        list->count--;
    }
    return span;
}

static void init_span(loom_span *span, bool recording, span_home home)
{
    memset(&span->ctx, 0, sizeof span->ctx);
    span->recording = recording;
    span->home = home;
    span->tracestate = (loom_str){0};
    span->next_free = NULL;
    atomic_init(&span->ended, false);
    atomic_init(&span->pins, 1);
}

span_recording *span_alloc_recording(void)
{
    span_recording *span = (span_recording *)take_free(&lists.recording);
    if (span == NULL && (span = malloc(sizeof *span)) == NULL) {
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
    loom_span *span = take_free(&lists.plain);
    if (span == NULL && (span = malloc(sizeof *span)) == NULL) {
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

static void put_free(loom_span *span)
{
    free_list *list = span->recording ? &lists.recording : &lists.plain;
    unsigned max = span->recording ? FREE_RECORDING_MAX : FREE_PLAIN_MAX;
    if (list->count >= max || !thread_exit_attach(&lists.on_exit)) {
        free(span);
        return;
    }
    span->next_free = list->first;
    list->first = span;
    list->count++;
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
    put_free(span);
}

void span_unpin(loom_span *span)
{
    /* Alone with it, nobody else can add a pin: spare the locked instruction. */
    if (atomic_load_explicit(&span->pins, memory_order_acquire) == 1 ||
        atomic_fetch_sub_explicit(&span->pins, 1, memory_order_acq_rel) == 1) {
        release(span);
    }
}
