/* SPDX-License-Identifier: Apache-2.0 */
/* What a span is made of. Only span*.c and context_stack.c look inside.
 *
 * A span that records is one object with a buffer in it: attributes, events and links are encoded as OTLP the moment
 * they are set, so that ending it is one copy into the processor's queue. A span that does not record is its first
 * part alone. Both come from free lists of the thread. */
#ifndef LOOM_TRACE_SPAN_INTERNAL_H
#define LOOM_TRACE_SPAN_INTERNAL_H

#include "trace/span/start.h"
#include "trace/span/thread.h"

#include <stdatomic.h>
#include <stdint.h>

#define SPAN_INLINE_SIZE 1536u        /* bytes: a message span with its ids and topic fits, three times over */
#define SPAN_SIZE_MAX (256u * 1024u)  /* bytes; what does not fit is dropped and counted */
#define SPAN_TAIL_SIZE 64u            /* bytes kept for what ending writes: end time and three dropped counts */
#define SPAN_HEAD_SIZE 8u             /* bytes before the Span for its tag and length inside ScopeSpans */

/* What callers hold is a handle: the address of the span, with the generation of its memory in the low bits that the
 * alignment leaves free. Ending a span starts the next generation, so a handle that was ended already is recognised, also
 * when its memory serves another span by then. Generations of a span that does not record are odd, those of one that does
 * even: <loom/trace_inline.h> tells them apart without a look at the span. */
#define SPAN_ALIGN 256u               /* bytes: the more, the more generations */
#define SPAN_GENERATION_MASK 255u
#define SPAN_GENERATION_PLAIN 1u      /* bit */
#define SPAN_GENERATION_STEP 2u

typedef enum span_home {
    SPAN_HOME_HEAP,
    SPAN_HOME_RESERVE,
    SPAN_HOME_NOWHERE /* the span of no tracer and no parent, which never ends */
} span_home;

struct loom_span {
    loom_trace_context ctx;
    bool recording;
    uint8_t lacks;        /* of a span that does not record: parts of ctx that are made when somebody asks */
    span_home home;
    loom_str tracestate;  /* own heap copy; nearly always empty */
    atomic_uchar generation; /* up to SPAN_GENERATION_MASK; atomic for a second end in another thread */
    atomic_bool ended;    /* another thread's stack may still point here */
    atomic_uint pins;     /* the owner's until end, and one for each stack entry: the last one frees */
};

typedef struct span_recording {
    loom_span base; /* first: a loom_span with `recording` set is one of these */
    loom_tracer *tracer;
    uint64_t start_ns;
    loom_span_status status;
    uint32_t events, links;
    uint32_t dropped_attributes, dropped_events, dropped_links;
    pb_buf buf; /* SPAN_HEAD_SIZE bytes, then the Span message without its tail */
    attr_index index;
    uint8_t storage[SPAN_INLINE_SIZE];
} span_recording;

static inline loom_span *span_handle(loom_span *span)
{
    const unsigned generation = atomic_load_explicit(&span->generation, memory_order_relaxed);
    return (loom_span *)((char *)span + generation);
}

/* The span of a handle. NULL for one that has ended, and for NULL. */
static inline loom_span *span_live(const loom_span *handle)
{
    if (handle == NULL) {
        return NULL;
    }
    const unsigned generation = (uintptr_t)handle & SPAN_GENERATION_MASK;
    loom_span *span = (loom_span *)(uintptr_t)((const char *)handle - generation);
    return atomic_load_explicit(&span->generation, memory_order_relaxed) == generation ? span : NULL;
}

/* NULL for a span that does not record or has ended, and for NULL. */
static inline span_recording *span_recording_of(const loom_span *handle)
{
    if (((uintptr_t)handle & SPAN_GENERATION_PLAIN) != 0) {
        return NULL;
    }
    return (span_recording *)span_live(handle);
}

#define SPAN_LACKS_SPAN_ID 1u
#define SPAN_LACKS_TRACE_ID 2u

/* span.c: makes what it lacks. By the thread that uses the span; what is on a stack lacks nothing. */
void span_complete_context(loom_span *span);

/* Flags of a Span and of a Link beside the W3C flags (SpanFlags in trace.proto). */
#define SPAN_FLAG_HAS_IS_REMOTE 0x100u
#define SPAN_FLAG_IS_REMOTE 0x200u

/* Reserved bits of a trace context are not passed on (Trace Context level 2, 3.2.2.5.3). */
static inline uint32_t span_flags(const loom_trace_context *ctx, bool remote)
{
    return (ctx->trace_flags & (LOOM_TRACE_FLAG_SAMPLED | LOOM_TRACE_FLAG_RANDOM)) | SPAN_FLAG_HAS_IS_REMOTE |
           (remote ? SPAN_FLAG_IS_REMOTE : 0);
}

/* ---- alloc.c ---- */

/* A span with one pin and no context yet; tracestate is copied (empty when there is no memory for it). NULL: no memory. */
span_recording *span_alloc_recording(span_thread *thread);
loom_span *span_alloc_plain(span_thread *thread);
void span_set_tracestate(loom_span *span, loom_str tracestate);
/* Drops one pin; with the last the span goes back to a free list of this thread. */
void span_unpin(loom_span *span);

/* ---- context_stack.c ---- */

/* The parent a span started now in this thread has. */
typedef struct context_parent {
    loom_trace_context ctx;
    loom_str tracestate; /* valid until the stack changes */
    bool remote;         /* it came with a message */
} context_parent;
bool context_stack_parent(context_stack *stack, context_parent *out);
/* Takes every entry of this span off this thread's stack. */
void context_stack_forget(loom_span *span);

/* Whether any thread ever had a current context. While none had, whoever has no tracer need not look. */
extern atomic_bool context_stack_in_use;

/* ---- record.c ---- */

/* Adds attributes with overwriting; counts what is dropped. */
void span_record_attrs(span_recording *rec, const loom_attr *attrs, size_t count);
void span_record_link(span_recording *rec, const loom_link *link);
void span_record_name(span_recording *rec, const char *name);

#endif
