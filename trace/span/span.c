/* SPDX-License-Identifier: Apache-2.0 */
/* The beginning of a span: who its parent is, whether it is kept, its first bytes. end.c has the rest of its life. */
#define LOOM_TRACE_NO_INLINE /* the functions are defined here */
#include "trace/span/internal.h"

#include "base/clock.h"
#include "trace/export/processor.h"
#include "trace/otlp/fields.h"
#include "trace/span/plain.h"
#include "trace/span/provider.h"
#include "trace/span/sampler.h"

#include <stdlib.h>
#include <string.h>

uint64_t loom_time_unix_ns(void)
{
    return clock_unix_ns();
}

static const loom_span_options default_options = {.kind = LOOM_SPAN_INTERNAL};

/* NULL: the span starts a trace. */
static inline const context_parent *find_parent(context_stack *stack, context_parent *out, const loom_span_options *options)
{
    if (options->root) {
        return NULL;
    }
    if (options->parent == NULL) {
        if (!context_stack_parent(stack, out)) {
            return NULL;
        }
        if (options->tracestate.len > 0) {
            out->tracestate = options->tracestate;
        }
    } else {
        *out = (context_parent){options->parent, options->tracestate, options->parent_is_remote};
    }
    return loom_trace_context_valid(out->ctx) ? out : NULL;
}

static inline void draw_trace_id(random_words *words, uint8_t id[LOOM_TRACE_ID_SIZE])
{
    uint64_t drawn[2];
    do {
        drawn[0] = random_next(words);
        drawn[1] = random_next(words);
    } while ((drawn[0] | drawn[1]) == 0);
    memcpy(id, drawn, sizeof drawn);
}

/* No SDK, no decision: the parent goes on, and without one there is no context (OpenTelemetry, trace API, "Behavior of
 * the API in the absence of an installed SDK"). */
static bool pass_parent(const loom_trace_context *parent, loom_trace_context *ctx)
{
    *ctx = parent != NULL ? *parent : (loom_trace_context){0};
    return false;
}

/* The context of a span that is not sampled, of the trace id in ctx: an id of its own, and the decision as its flag. */
static void make_unsampled(loom_trace_context *ctx, const loom_trace_context *parent)
{
    span_draw_id(span_thread_words(span_thread_here()), ctx->span_id);
    ctx->trace_flags = parent != NULL ? parent->trace_flags & LOOM_TRACE_FLAG_RANDOM : LOOM_TRACE_FLAG_RANDOM;
}

/* parent: NULL or valid. ctx becomes it, or has a new trace id and no more, and with SAMPLER_NEVER not even that.
 * SAMPLER_ASKS: the sampler has to see what the span is. */
static inline sampler_answer sampled_at_once(const span_sampler *s, const loom_trace_context *parent, loom_trace_context *ctx)
{
    if (parent == NULL) {
        if (s->answer != SAMPLER_NEVER) {
            draw_trace_id(span_thread_words(span_thread_here()), ctx->trace_id);
        }
        return s->answer;
    }
    *ctx = *parent;
    if (!s->follows_parent) {
        return s->answer;
    }
    return (parent->trace_flags & LOOM_TRACE_FLAG_SAMPLED) != 0 ? SAMPLER_ALWAYS : SAMPLER_NEVER;
}

/* Out of the way of those whose sampler need not be asked. */
__attribute__((noinline, cold)) static bool ask_for_hop(span_sampler *s, const span_what *what, const loom_trace_context *parent,
                                                        bool remote, const loom_trace_context *ctx)
{
    const bool handled = parent != NULL && parent == loom_context_current() && context_current_is_remote();
    loom_sampler_result decision; /* is all that a hop takes of it */
    return sampler_ask(s, &(loom_sampler_question){.parent = parent,
                                                   .parent_is_remote = remote || handled,
                                                   .trace_id = ctx->trace_id,
                                                   .name = what->name,
                                                   .kind = what->kind},
                       &decision);
}

bool span_follows_parent(const loom_tracer *tracer)
{
    return tracer == NULL || tracer->passes_unsampled;
}

bool span_decide(loom_tracer *tracer, const span_what *what, const loom_trace_context *parent, bool remote,
                 loom_trace_context *ctx)
{
    if (parent != NULL && !loom_trace_context_valid(parent)) {
        parent = NULL;
    }
    if (tracer == NULL) {
        return pass_parent(parent, ctx);
    }
    span_sampler *s = &tracer->provider->sampler;
    const sampler_answer sampled = sampled_at_once(s, parent, ctx);
    if (sampled != SAMPLER_ASKS           ? sampled == SAMPLER_ALWAYS
        : s->kind == LOOM_SAMPLER_RATIO ? sampler_ratio_keeps(s, ctx->trace_id)
                                        : ask_for_hop(s, what, parent, remote, ctx)) {
        ctx->trace_flags = LOOM_TRACE_FLAG_SAMPLED;
        return true;
    }
    if (parent == NULL && s->answer == SAMPLER_NEVER) {
        draw_trace_id(span_thread_words(span_thread_here()), ctx->trace_id);
    }
    if (parent == NULL || (parent->trace_flags & LOOM_TRACE_FLAG_SAMPLED) != 0) {
        make_unsampled(ctx, parent);
        plain_count_without(span_thread_here(), tracer->provider->unsampled);
    }
    return tracer->recorder != NULL; /* which then has a span of its own for it, not sampled */
}

/* A span that does not record, without a context yet. */
static inline loom_span *take_plain(span_thread *thread, loom_str tracestate)
{
    loom_span *span = plain_take(thread);
    if (span == NULL) {
        return NULL;
    }
    if (span->tracestate.len > 0) { /* of the one before */
        free((char *)(uintptr_t)span->tracestate.data);
        span->tracestate = (loom_str){0};
    }
    if (tracestate.len > 0) {
        span_set_tracestate(span, tracestate);
    }
    return span;
}

static inline loom_str tracestate_of(const context_parent *parent)
{
    return parent != NULL ? parent->tracestate : (loom_str){0};
}

static loom_span *start_plain(span_thread *thread, const loom_trace_context *ctx, loom_str tracestate)
{
    loom_span *span = take_plain(thread, tracestate);
    if (span == NULL) {
        return NULL;
    }
    span->ctx = *ctx;
    span->lacks = 0;
    return span_handle(span);
}

/* The flag goes on with its trace id, and those we make are random (Trace Context level 2, 3.2.2.5.2). */
static uint8_t random_flag(const context_parent *parent)
{
    return parent != NULL ? parent->ctx->trace_flags & LOOM_TRACE_FLAG_RANDOM : LOOM_TRACE_FLAG_RANDOM;
}

void span_complete_context(loom_span *span)
{
    if ((span->lacks & SPAN_LACKS_TRACE_ID) != 0) {
        loom_trace_id_generate(span->ctx.trace_id);
    }
    loom_span_id_generate(span->ctx.span_id);
    span->lacks = 0;
}

/* Of a span that the sampler refused: ids that nobody has asked for yet are not made. trace_id: NULL if there is none yet. */
static inline loom_span *init_unsampled(loom_span *span, unsigned counter, const uint8_t *trace_id, uint8_t random)
{
    plain_count(span, counter);
    span->ctx.trace_flags = random;
    if (trace_id != NULL) {
        memcpy(span->ctx.trace_id, trace_id, sizeof span->ctx.trace_id);
    }
    span->lacks = trace_id != NULL ? SPAN_LACKS_SPAN_ID : SPAN_LACKS_SPAN_ID | SPAN_LACKS_TRACE_ID;
    return span_handle(span);
}

static inline loom_span *start_unsampled(span_thread *thread, unsigned counter, const uint8_t *trace_id,
                                         const context_parent *parent, loom_str tracestate)
{
    loom_span *span = take_plain(thread, tracestate);
    return span != NULL ? init_unsampled(span, counter, trace_id, random_flag(parent)) : NULL;
}

static void write_first_fields(span_recording *rec, const char *name, const loom_span_options *options,
                               const context_parent *parent)
{
    pb_buf *b = &rec->buf;
    const loom_trace_context *ctx = &rec->base.ctx;
    uint8_t *to = b->data + b->len; /* of the inline storage, where all of these fit */
    to += pb_put_bytes(to, SPAN_TRACE_ID, ctx->trace_id, sizeof ctx->trace_id);
    to += pb_put_bytes(to, SPAN_SPAN_ID, ctx->span_id, sizeof ctx->span_id);
    if (parent != NULL) {
        to += pb_put_bytes(to, SPAN_PARENT_SPAN_ID, parent->ctx->span_id, sizeof parent->ctx->span_id);
    }
    bool known_kind = options->kind >= LOOM_SPAN_INTERNAL && options->kind <= LOOM_SPAN_CONSUMER;
    to += pb_put_tag(to, SPAN_KIND, PB_VARINT);
    *to++ = (uint8_t)(known_kind ? options->kind : LOOM_SPAN_INTERNAL);
    to += pb_put_tag(to, SPAN_FLAGS, PB_FIXED32);
    to += pb_put_fixed32(to, span_flags(ctx, parent != NULL && parent->remote));
    to += pb_put_tag(to, SPAN_START_TIME, PB_FIXED64);
    to += pb_put_fixed64(to, rec->start_ns);
    b->len = (size_t)(to - b->data);
    if (rec->base.tracestate.len > 0) {
        size_t mark = b->len;
        pb_string_field(b, SPAN_TRACE_STATE, rec->base.tracestate);
        if (b->failed) {
            pb_rollback(b, mark);
        }
    }
    span_record_first_name(rec, name);
}

static void init_recording(span_recording *rec, loom_tracer *tracer, uint64_t start_ns)
{
    rec->tracer = tracer;
    rec->start_ns = start_ns;
    rec->status = LOOM_SPAN_UNSET;
    rec->status_stays = false;
    rec->events = rec->links = 0;
    rec->dropped_attributes = rec->dropped_events = rec->dropped_links = 0;
    pb_init(&rec->buf, rec->storage, sizeof rec->storage, SPAN_SIZE_MAX);
    rec->buf.len = SPAN_HEAD_SIZE;
    rec->buf.slack = SPAN_TAIL_SIZE;
    attr_index_init(&rec->index, tracer->provider->attr_limits);
}

/* Everything but the attributes and links. trace_id and span_id: NULL to make one. flags: of its context; one that is not sampled is
 * for the flight recorder. NULL: no memory. */
static inline span_recording *start_with_id(span_thread *thread, loom_tracer *tracer, const uint8_t *trace_id,
                                            const uint8_t *span_id, uint8_t flags, const char *name, const loom_span_options *options,
                                              const context_parent *parent, loom_str tracestate)
{
    processor_prepare(thread->next_place);
    span_recording *rec = span_alloc_recording(thread);
    if (rec == NULL) {
        return NULL;
    }
    loom_span *span = &rec->base;
    random_words *const words = span_thread_words(thread);
    if (trace_id != NULL) {
        memcpy(span->ctx.trace_id, trace_id, sizeof span->ctx.trace_id);
    } else {
        draw_trace_id(words, span->ctx.trace_id);
    }
    if (span_id != NULL) {
        memcpy(span->ctx.span_id, span_id, sizeof span->ctx.span_id);
    } else {
        span_draw_id(words, span->ctx.span_id);
    }
    span->ctx.trace_flags = flags;
    span_set_tracestate(span, tracestate);
    init_recording(rec, tracer, options->start_unix_ns != 0 ? options->start_unix_ns : clock_unix_ns());
    provider_use(tracer->provider);
    write_first_fields(rec, name, options, parent);
    return rec;
}

static inline span_recording *start_recording(span_thread *thread, loom_tracer *tracer, const uint8_t *trace_id, uint8_t flags,
                                              const char *name, const loom_span_options *options,
                                              const context_parent *parent, loom_str tracestate)
{
    return start_with_id(thread, tracer, trace_id, NULL, flags, name, options, parent, tracestate);
}

static void record_links(span_recording *rec, const loom_span_options *options)
{
    for (size_t i = 0; options->links != NULL && i < options->link_count; i++) {
        span_record_link(rec, &options->links[i]);
    }
}

/* No memory for a span that records. It counts as none that the sampler refused. trace_id: NULL to make one. */
__attribute__((noinline, cold)) static loom_span *start_unrecorded(span_thread *thread, const uint8_t *trace_id,
                                                                   const context_parent *parent)
{
    if (parent != NULL) {
        return start_plain(thread, parent->ctx, parent->tracestate);
    }
    return start_unsampled(thread, PLAIN_COUNTER_NONE, trace_id, NULL, (loom_str){0});
}

loom_span *span_start_known(loom_tracer *tracer, const char *name, const loom_span_options *options, const loom_trace_context *ctx,
                            span_attrs_writer *write, const void *user)
{
    span_thread *const thread = span_thread_here();
    context_parent found;
    const context_parent *parent = find_parent(&thread->stack, &found, options);
    span_recording *rec = start_with_id(thread, tracer, ctx->trace_id, ctx->span_id, ctx->trace_flags, name, options, parent,
                                        tracestate_of(parent));
    if (rec == NULL) {
        return NULL;
    }
    rec->dropped_attributes += write(user, &rec->index, &rec->buf, SPAN_ATTRIBUTES);
    record_links(rec, options);
    return span_handle(&rec->base);
}

loom_span *span_start_writing(loom_tracer *tracer, const char *name, const loom_span_options *options,
                              const loom_trace_context *decided, span_attrs_writer *write, const void *user)
{
    span_thread *const thread = span_thread_here();
    context_parent found;
    const context_parent *parent = find_parent(&thread->stack, &found, options);
    const uint8_t flags = (uint8_t)((decided->trace_flags & LOOM_TRACE_FLAG_SAMPLED) | random_flag(parent));
    span_recording *rec = start_recording(thread, tracer, decided->trace_id, flags, name, options, parent, tracestate_of(parent));
    if (rec == NULL) {
        return start_unrecorded(thread, decided->trace_id, parent);
    }
    rec->dropped_attributes += write(user, &rec->index, &rec->buf, SPAN_ATTRIBUTES);
    record_links(rec, options);
    return span_handle(&rec->base);
}

typedef struct fixed_list {
    const fixed_attr *attrs;
    size_t count;
} fixed_list;

static uint32_t write_fixed(const void *user, attr_index *index, pb_buf *b, uint32_t field)
{
    const fixed_list *list = user;
    return attr_index_add_fixed(index, b, field, list->attrs, list->count);
}

loom_span *span_start_decided(loom_tracer *tracer, const char *name, const loom_span_options *options,
                              const loom_trace_context *decided, const fixed_attr *attrs, size_t attr_count)
{
    return span_start_writing(tracer, name, options, decided, write_fixed, &(fixed_list){attrs, attr_count});
}

/* What a sampler that asks makes of the span. */
__attribute__((noinline, cold)) static bool ask_sampler(loom_tracer *tracer, const context_parent *parent,
                                                        const uint8_t *trace_id, const char *name,
                                                        const loom_span_options *options, loom_sampler_result *result)
{
    return sampler_ask(&tracer->provider->sampler,
                       &(loom_sampler_question){.parent = parent != NULL ? parent->ctx : NULL,
                                                .parent_is_remote = parent != NULL && parent->remote,
                                                .trace_id = trace_id,
                                                .name = name,
                                                .kind = options->kind != 0 ? options->kind : LOOM_SPAN_INTERNAL,
                                                .attrs = options->attrs,
                                                .attr_count = options->attrs != NULL ? options->attr_count : 0,
                                                .links = options->links,
                                                .link_count = options->links != NULL ? options->link_count : 0,
                                                .tracestate = tracestate_of(parent)},
                       result);
}

static inline loom_span *add_options(span_recording *rec, const loom_span_options *options)
{
    if (options->attrs != NULL && options->attr_count > 0) {
        span_record_attrs(rec, options->attrs, options->attr_count);
    }
    record_links(rec, options);
    return span_handle(&rec->base);
}

/* A span that the sampler wants. trace_id: NULL to make one. */
__attribute__((noinline)) static loom_span *start_sampled(span_thread *thread, loom_tracer *tracer, const uint8_t *trace_id, const char *name,
                                const loom_span_options *options, const context_parent *parent)
{
    span_recording *rec = start_recording(thread, tracer, trace_id, LOOM_TRACE_FLAG_SAMPLED | random_flag(parent), name, options,
                                          parent, tracestate_of(parent));
    return rec != NULL ? add_options(rec, options) : start_unrecorded(thread, trace_id, parent);
}

/* A span that the sampler does not want, with a flight recorder that does. trace_id: NULL to make one. random: the flag of this
 * trace. */
__attribute__((noinline)) static loom_span *start_for_recorder(span_thread *thread, loom_tracer *tracer, const uint8_t *trace_id,
                                                               uint8_t random, const char *name, const loom_span_options *options,
                                                               const context_parent *parent, loom_str tracestate)
{
    span_recording *rec = start_recording(thread, tracer, trace_id, random, name, options, parent, tracestate);
    if (rec == NULL) {
        return start_unrecorded(thread, trace_id, parent);
    }
    plain_count_without(thread, tracer->provider->unsampled);
    return add_options(rec, options);
}

static inline loom_span *start_refused(span_thread *thread, loom_tracer *tracer, const uint8_t *trace_id, uint8_t random,
                                       const char *name, const loom_span_options *options, const context_parent *parent,
                                       loom_str tracestate)
{
    if (tracer->recorder != NULL) {
        return start_for_recorder(thread, tracer, trace_id, random, name, options, parent, tracestate);
    }
    loom_span *span = take_plain(thread, tracestate);
    return span != NULL ? init_unsampled(span, tracer->provider->unsampled, trace_id, random) : NULL;
}

/* A sampler of the program's, which may have more to say than yes or no. random: the flag of this trace. */
__attribute__((noinline, cold)) static loom_span *start_as_told(span_thread *thread, loom_tracer *tracer, const uint8_t *trace_id,
                                                                uint8_t random, const char *name,
                                                                const loom_span_options *options, const context_parent *parent)
{
    loom_sampler_result result; /* for samplers of the same provider that say no more, as it is before any is asked */
    result.tracestate = tracestate_of(parent);
    result.attr_count = 0;
    if (!ask_sampler(tracer, parent, trace_id, name, options, &result)) {
        return start_refused(thread, tracer, trace_id, random, name, options, parent, result.tracestate);
    }
    span_recording *rec = start_recording(thread, tracer, trace_id, LOOM_TRACE_FLAG_SAMPLED | random, name, options, parent,
                                          result.tracestate);
    if (rec == NULL) {
        return start_unrecorded(thread, trace_id, parent);
    }
    loom_span *handle = add_options(rec, options);
    span_record_attrs(rec, result.attrs, result.attr_count);
    return handle;
}

/* Whether the parent is a trace without a span: an X-Trace-ID that came alone. */
static bool names_a_trace(const loom_span_options *options)
{
    static const uint8_t zeros[LOOM_TRACE_ID_SIZE];
    return options->parent != NULL && !options->root && memcmp(options->parent->trace_id, zeros, sizeof zeros) != 0;
}

/* The root of a trace whose id somebody else has made: nobody can say that it is random. */
static loom_span *start_root_of(span_thread *thread, loom_tracer *tracer, const char *name, const loom_span_options *options)
{
    const uint8_t *trace_id = options->parent->trace_id;
    const span_sampler *s = &tracer->provider->sampler;
    if (s->answer == SAMPLER_ASKS && s->says_more) {
        return start_as_told(thread, tracer, trace_id, 0, name, options, NULL);
    }
    if (s->answer == SAMPLER_ASKS ? !ask_sampler(tracer, NULL, trace_id, name, options, NULL) : s->answer == SAMPLER_NEVER) {
        return start_refused(thread, tracer, trace_id, 0, name, options, NULL, (loom_str){0});
    }
    span_recording *rec = start_recording(thread, tracer, trace_id, LOOM_TRACE_FLAG_SAMPLED, name, options, NULL, (loom_str){0});
    return rec != NULL ? add_options(rec, options) : start_unrecorded(thread, trace_id, NULL);
}

/* Without a tracer, a parent and anything current there is nothing to say: one handle serves everybody, and never ends. */
static loom_span *start_without_tracer(const loom_span_options *options)
{
    span_thread *const thread = span_thread_here();
    context_parent found;
    const context_parent *parent = find_parent(&thread->stack, &found, options != NULL ? options : &default_options);
    return parent != NULL ? start_plain(thread, parent->ctx, parent->tracestate) : LOOM_SPAN_NOWHERE_;
}

/* The sampler has to see what the span is. */
__attribute__((noinline)) static loom_span *start_asking(span_thread *thread, loom_tracer *tracer, const char *name,
                                                         const loom_span_options *options, const context_parent *parent)
{
    loom_trace_context kept = {.trace_flags = 0};
    context_parent copy;
    if (parent != NULL) { /* a sampler of the program's may change what is current */
        kept = *parent->ctx;
        copy = (context_parent){&kept, parent->tracestate, parent->remote};
        parent = &copy;
    } else {
        draw_trace_id(span_thread_words(thread), kept.trace_id);
    }
    const span_sampler *s = &tracer->provider->sampler;
    if (s->says_more) {
        return start_as_told(thread, tracer, kept.trace_id, random_flag(parent), name, options, parent);
    }
    return (s->kind == LOOM_SAMPLER_RATIO ? sampler_ratio_keeps(s, kept.trace_id)
                                          : ask_sampler(tracer, parent, kept.trace_id, name, options, NULL))
               ? start_sampled(thread, tracer, kept.trace_id, name, options, parent)
               : start_refused(thread, tracer, kept.trace_id, random_flag(parent), name, options, parent, tracestate_of(parent));
}

/* Whatever the options say and is current. */
__attribute__((noinline)) static loom_span *start_any(loom_tracer *tracer, const char *name, const loom_span_options *options)
{
    if (tracer == NULL) {
        return start_without_tracer(options);
    }
    if (options == NULL) {
        options = &default_options;
    }
    span_thread *const thread = span_thread_here();
    context_parent found;
    const context_parent *parent = find_parent(&thread->stack, &found, options);
    if (parent == NULL && names_a_trace(options)) {
        return start_root_of(thread, tracer, name, options);
    }
    const span_sampler *s = &tracer->provider->sampler;
    sampler_answer answer = s->answer;
    if (parent != NULL && s->follows_parent) {
        answer = (parent->ctx->trace_flags & LOOM_TRACE_FLAG_SAMPLED) != 0 ? SAMPLER_ALWAYS : SAMPLER_NEVER;
    }
    const uint8_t *trace_id = parent != NULL ? parent->ctx->trace_id : NULL;
    switch (answer) {
    case SAMPLER_NEVER:
        return start_refused(thread, tracer, trace_id, random_flag(parent), name, options, parent, tracestate_of(parent));
    case SAMPLER_ALWAYS:
        return start_sampled(thread, tracer, trace_id, name, options, parent);
    default:
        return start_asking(thread, tracer, name, options, parent);
    }
}

/* A root without options needs no more than this; nor a frame on the stack, which would be a third of an unsampled span. */
loom_span *loom_span_start(loom_tracer *tracer, const char *name, const loom_span_options *options)
{
    span_thread *const thread = span_thread_here();
    if (tracer != NULL && options == NULL && thread->stack.depth == 0) {
        const int root = tracer->provider->root;
        if (root >= 0 && thread->plain.last_free && thread->plain.last->tracestate.len == 0) {
            return init_unsampled(plain_take(thread), (unsigned)root, NULL, LOOM_TRACE_FLAG_RANDOM);
        }
        if (root == ROOT_SAMPLED) {
            return start_sampled(thread, tracer, NULL, name, &default_options, NULL);
        }
    }
    return start_any(tracer, name, options);
}
