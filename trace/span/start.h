/* SPDX-License-Identifier: Apache-2.0 */
/* Starting spans from inside Loom, on paths that every message takes: the decision apart from the span, so that a
 * message that is not sampled costs no more than that, and attributes whose keys are constants. */
#ifndef LOOM_TRACE_SPAN_START_H
#define LOOM_TRACE_SPAN_START_H

#include "trace/otlp/attr_encode.h"

/* What a hop's span is, for samplers that go by it. */
typedef struct span_what {
    const char *name;
    loom_span_kind kind;
} span_what;

/* Whether a span with this parent (NULL or invalid: none; remote: of another
 * process, as that is which is loom_context_current() while a message is handled) would record. If so, *ctx has its trace id and says whether it is
 * sampled, or only for the flight recorder, and the span is to be started with span_start_decided(). If not, *ctx is what goes on without it: an unsampled parent as it is, under a
 * sampled one or none the context of a span that is not sampled; with a NULL tracer, which decides nothing, the parent
 * or no context. */
bool span_decide(loom_tracer *tracer, const span_what *what, const loom_trace_context *parent, bool remote,
                 loom_trace_context *ctx);

/* Whether a parent's flag is the whole answer, so that below one that is not sampled there is nothing to ask: its context
 * goes on. */
bool span_follows_parent(const loom_tracer *tracer);

/* loom_span_start() of what was decided to record. options->attrs are not looked at. */
loom_span *span_start_decided(loom_tracer *tracer, const char *name, const loom_span_options *options,
                              const loom_trace_context *decided, const fixed_attr *attrs, size_t attr_count);

/* The same with attributes that write adds as the field; it returns how many it left out. */
typedef uint32_t span_attrs_writer(const void *user, attr_index *index, pb_buf *b, uint32_t field);
loom_span *span_start_writing(loom_tracer *tracer, const char *name, const loom_span_options *options,
                              const loom_trace_context *decided, span_attrs_writer *write, const void *user);

/* The same of a span whose context is known: it has begun before, as a record (trace/messaging/). NULL: no memory. */
loom_span *span_start_known(loom_tracer *tracer, const char *name, const loom_span_options *options, const loom_trace_context *ctx,
                            span_attrs_writer *write, const void *user);

/* Attributes of which no key is set yet. */
void span_add_fixed(loom_span *span, const fixed_attr *attrs, size_t attr_count);

/* loom_span_record_error(), unless whoever works in the span has set the status ERROR: what that says stays. */
void span_record_failure(loom_span *span, const char *type, const char *message);

/* A status ERROR that whoever works in the span has set stays as it is, whatever is set from now on. */
void span_keep_error(loom_span *span);

/* loom_context_push() of a context of this process: what is below it is no child of another one. */
uint64_t context_push_local(const loom_trace_context *ctx, loom_str tracestate);
/* Whether what is current came with a message. */
bool context_current_is_remote(void);

/* loom_context_push() of a context, and its tracestate, that both stay where they are until it is popped. */
uint64_t context_push_borrowed(const loom_trace_context *ctx, loom_str tracestate);

/* A span that is there only when somebody asks for it, by loom_span_current(). make() returns it, or NULL. Both stay where they
 * are until they are popped, and the span is ended by whoever pushed. Of this process. */
typedef struct lazy_span {
    loom_span *(*make)(void *user);
    void *user;
} lazy_span;
uint64_t context_push_lazy(const loom_trace_context *ctx, const lazy_span *lazy);

/* What is current on this thread, put aside: a callback on behalf of somebody else begins with no context. Needs no memory.
 * Nest them, and bring each back on the same thread. */
typedef struct hidden_context {
    struct stack_entry *entries;
    size_t depth, cap;
} hidden_context;
hidden_context context_hide(void);
void context_unhide(hidden_context hidden);

#endif
