/* SPDX-License-Identifier: Apache-2.0 */
/* What a span is made of. Only span*.c and context_stack.c look inside.
 *
 * A span that records is one object with a buffer in it: attributes, events and links are encoded as OTLP the moment
 * they are set, so that ending it is one copy into the processor's queue (alloc.c keeps the memory). A span that does not
 * record is its first part alone (plain.h). */
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
 * alignment leaves free. A span that records ends by starting the next generation, one that does not by the mark `ended`
 * (plain.h). So a handle that was ended already is recognised, also when its memory serves another span by then.
 * Generations of a span that does not record are odd, those of one that does even: <loom/trace_inline.h> tells them apart
 * without a look at the span. */
#define SPAN_ALIGN 256u               /* bytes: the more, the more generations */
#define SPAN_GENERATION_MASK 255u
#define SPAN_GENERATION_PLAIN 1u      /* bit */
#define SPAN_GENERATION_STEP 2u

/* The span of no tracer and no parent, which never ends, has no memory: its handle is LOOM_SPAN_NOWHERE_, and NULL and it are
 * the handles below SPAN_ALIGN. */

struct loom_span {
    atomic_uint generation; /* its low bits are in the handle */
    atomic_uint ended;      /* of one that does not record: the last generation that has ended */
    atomic_uint pins;       /* of stack entries; of one that records the owner's until end, too: the last one frees */
    uint8_t lacks;          /* of a span that does not record: parts of ctx that are made when somebody asks */
    loom_trace_context ctx;
    loom_str tracestate;    /* own heap copy; nearly always empty */
};

typedef struct span_recording {
    loom_span base; /* first: a loom_span with an even generation is one of these */
    loom_tracer *tracer;
    uint64_t start_ns;
    loom_span_status status;
    bool status_stays;
    uint32_t events, links;
    uint32_t dropped_attributes, dropped_events, dropped_links;
    pb_buf buf; /* SPAN_HEAD_SIZE bytes, then the Span message without its tail */
    attr_index index;
    uint8_t storage[SPAN_INLINE_SIZE];
} span_recording;

static inline loom_span *span_handle_of(const loom_span *span, unsigned generation)
{
    return (loom_span *)((uintptr_t)span + (generation & SPAN_GENERATION_MASK));
}

static inline loom_span *span_handle(const loom_span *span)
{
    return span_handle_of(span, atomic_load_explicit(&span->generation, memory_order_relaxed));
}

static inline bool span_is_plain(const loom_span *handle)
{
    return ((uintptr_t)handle & SPAN_GENERATION_PLAIN) != 0;
}

/* Where a span is or was. Memory of spans stays readable when they have ended, for long. */
static inline loom_span *span_memory(const loom_span *handle)
{
    return (loom_span *)((uintptr_t)handle & ~(uintptr_t)SPAN_GENERATION_MASK);
}

/* The span of a handle. NULL for one that has ended or has no memory, and for NULL. */
static inline loom_span *span_live(const loom_span *handle)
{
    loom_span *span = span_memory(handle);
    if (span == NULL) {
        return NULL;
    }
    const unsigned generation = atomic_load_explicit(&span->generation, memory_order_relaxed);
    return span_handle_of(span, generation) == handle &&
                   generation != atomic_load_explicit(&span->ended, memory_order_relaxed)
               ? span
               : NULL;
}

/* NULL for a span that does not record or has ended, and for NULL. */
static inline span_recording *span_recording_of(const loom_span *handle)
{
    loom_span *span = span_memory(handle);
    return !span_is_plain(handle) && span != NULL && span_handle(span) == handle ? (span_recording *)span : NULL;
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

/* A span with one pin and no context yet. NULL: no memory. */
span_recording *span_alloc_recording(span_thread *thread);
/* Copies it; empty when there is no memory for it. */
void span_set_tracestate(loom_span *span, loom_str tracestate);
/* Drops one pin; with the last a span that records goes back to the free list of this thread. */
void span_unpin(loom_span *span);

/* ---- context_stack.c ---- */

/* The parent a span started now in this thread has. */
typedef struct context_parent {
    const loom_trace_context *ctx; /* this and tracestate: valid until the stack changes */
    loom_str tracestate;
    bool remote;                   /* it came with a message */
} context_parent;
/* false: nothing is current. */
bool context_stack_top(context_stack *stack, context_parent *out);
static inline bool context_stack_parent(context_stack *stack, context_parent *out)
{
    return stack->depth > 0 && context_stack_top(stack, out);
}
/* Takes every entry of this span off the stack. */
void context_stack_forget(context_stack *stack, const loom_span *handle);

/* ---- record.c ---- */

/* The fields of an event and of a status, as a span has them. Whoever calls looks at b->failed. */
void span_put_event(pb_buf *b, const char *name, uint64_t unix_ns, const loom_attr *attrs, size_t attr_count,
                    const loom_span_limits *limits);
void span_put_status(pb_buf *b, loom_span_status status, const char *description);

/* Adds attributes with overwriting; counts what is dropped. */
void span_record_attrs(span_recording *rec, const loom_attr *attrs, size_t count);
void span_record_link(span_recording *rec, const loom_link *link);
/* Of a span that has none yet. */
void span_record_first_name(span_recording *rec, const char *name);

#endif
