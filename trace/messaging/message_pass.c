/* SPDX-License-Identifier: Apache-2.0 */
/* A hop from its beginning to its end. One that is only recorded has no span, but a place on the stack, its ids, and two looks at
 * the clock, which hops inside each other share: what a bridge does with a message, the EventBus does within it at once. */
#include "trace/messaging/message_record.h"
#include "trace/record/write.h"
#include "trace/span/provider.h"
#include "trace/span/thread.h"

#include <assert.h>

/* This thread's chunk, with room for a hop's record. */
static inline record_chunk *chunk_here(span_thread *thread, const loom_tracer *tracer)
{
    record_hand *hand = span_thread_hand(thread);
    return hand != NULL ? record_room(hand, tracer->recorder, MESSAGE_RECORD_MAX) : NULL;
}

static const uint8_t no_parent[LOOM_SPAN_ID_SIZE];

/* start_ns: 0 for now. Returns the chunk it will go to. NULL: it is not recorded. */
static inline record_chunk *begin_record(message_pass *pass, const uint8_t *trace_id, const uint8_t *parent_id, uint8_t flags,
                                         uint64_t start_ns)
{
    span_thread *const thread = span_thread_here();
    record_chunk *chunk = chunk_here(thread, pass->tracer);
    pass->in_hop = false;
    pass->start_ns = 0;
    if (chunk == NULL) {
        return NULL;
    }
    memcpy(pass->ctx.trace_id, trace_id, sizeof pass->ctx.trace_id);
    memcpy(pass->parent_id, parent_id, sizeof pass->parent_id);
    span_draw_id(span_thread_words(thread), pass->ctx.span_id);
    pass->ctx.trace_flags = flags & LOOM_TRACE_FLAG_RANDOM;
    pass->in_hop = chunk->time.in_hop;
    if (start_ns == 0) {
        start_ns = chunk->time.in_hop ? chunk->time.last_ns : (chunk->time.last_ns = record_clock_now(&chunk->time.clock));
    }
    pass->start_ns = start_ns;
    return chunk;
}

static bool reads_clock(message_hop hop)
{
    return hop != HOP_BRIDGE_PUBLISH && hop != HOP_EVENTBUS_PUBLISH; /* they end with what was last done within them */
}

/* ---- of messages that are passed on ---- */

static loom_span_options options_of(const message_pass *pass, const loom_trace_context *parent)
{
    const bool has_parent = loom_trace_context_valid(parent);
    return (loom_span_options){.parent = parent, /* not valid: none */
                               .parent_is_remote = pass->remote,
                               .start_unix_ns = pass->start_ns,
                               .tracestate = has_parent ? envelope_view_str(pass->view, ENV_TRACESTATE) : (loom_str){0}};
}

/* The message has pass->ctx from here on. */
static void go_on(message_pass *pass, uint8_t *wire)
{
    pass->has_ctx = true;
    if (wire != NULL) {
        hop_patch(wire, &pass->ctx);
    }
}

static void pass_decided(message_pass *pass, uint8_t *wire)
{
    loom_trace_context parent, decided;
    const bool has_parent = envelope_view_context(pass->view, &parent);
    if (!span_decide(pass->tracer, &message_hops[pass->hop], &parent, pass->remote, &decided)) {
        /* one without a context stays so within the EventBus: whoever reads it next decides */
        if (pass->tracer != NULL && !hop_is_unsampled(pass->view->data) && (has_parent || pass->hop != HOP_EVENTBUS_PUBLISH)) {
            pass->ctx = decided;
            go_on(pass, wire);
        }
        return;
    }
    assert(pass->tracer != NULL); /* which decides for nothing */
    if ((decided.trace_flags & LOOM_TRACE_FLAG_SAMPLED) == 0 && pass->view->field[ENV_TRACESTATE].len == 0) {
        record_chunk *chunk =
            begin_record(pass, decided.trace_id, has_parent ? parent.span_id : no_parent, decided.trace_flags, 0);
        if (chunk != NULL) {
            go_on(pass, wire);
            chunk->time.in_hop = true;
        }
        return;
    }
    const message_facts facts = message_facts_of(pass->view, pass->agent);
    const loom_span_options options = options_of(pass, &parent);
    pass->span = message_span_start(pass->tracer, pass->hop, &facts, &options, &decided);
    pass->ctx = *loom_span_context(pass->span);
    if (loom_trace_context_valid(&pass->ctx)) {
        go_on(pass, wire);
    }
}

/* One that is unsampled, as most are: its flags stay, and its trace. */
static void pass_recorded(message_pass *pass, uint8_t *wire)
{
    const uint8_t *const data = pass->view->data;
    record_chunk *chunk = begin_record(pass, data + HOP_OFFSET, data + HOP_SPAN_ID_OFFSET, data[HOP_FLAGS_OFFSET], 0);
    if (chunk == NULL) {
        return;
    }
    chunk->time.in_hop = true;
    pass->has_ctx = true;
    if (wire != NULL) {
        hop_patch_span_id(wire, pass->ctx.span_id);
    }
}

void message_pass_begin_traced(message_pass *pass, uint8_t *wire)
{
    const loom_tracer *tracer = pass->tracer;
    if (tracer != NULL && tracer->recorder != NULL && tracer->provider->sampler.follows_parent &&
        hop_is_unsampled(pass->view->data) && pass->view->field[ENV_TRACESTATE].len == 0) {
        pass_recorded(pass, wire);
    } else {
        pass_decided(pass, wire);
    }
}

typedef struct known_facts {
    message_hop hop;
    const message_facts *facts;
} known_facts;

static uint32_t write_attrs(const void *user, attr_index *index, pb_buf *b, uint32_t field)
{
    const known_facts *known = user;
    return message_attrs_write(known->hop, known->facts, index, b, field);
}

loom_span *message_pass_promote(message_pass *pass, const message_facts *facts, const loom_span_options *options)
{
    if (pass->span == NULL && pass->start_ns != 0) {
        loom_span_options of_hop = *options;
        of_hop.kind = message_hops[pass->hop].kind;
        of_hop.start_unix_ns = pass->start_ns;
        pass->span = span_start_known(pass->tracer, message_hops[pass->hop].name, &of_hop, &pass->ctx, write_attrs,
                                      &(known_facts){pass->hop, facts});
    }
    return pass->span;
}

loom_span *message_pass_span(message_pass *pass)
{
    if (pass->span != NULL || pass->start_ns == 0) {
        return pass->span;
    }
    const message_facts facts = message_facts_of(pass->view, pass->agent);
    loom_trace_context parent = pass->ctx;
    memcpy(parent.span_id, pass->parent_id, sizeof parent.span_id); /* not valid: none */
    const loom_span_options options = options_of(pass, &parent);
    return message_pass_promote(pass, &facts, &options);
}

static void leave(const message_pass *pass)
{
    record_chunk *chunk = span_thread_here()->hand.chunk;
    if (chunk != NULL) {
        chunk->time.in_hop = pass->in_hop;
    }
}

/* false: it takes a span to say all of it. */
static bool end_record(const message_pass *pass, const message_facts *facts, const message_counts *counts, const loom_link *link)
{
    record_chunk *chunk = chunk_here(span_thread_here(), pass->tracer);
    if (chunk == NULL) {
        return true;
    }
    if (reads_clock(pass->hop) || chunk->time.last_ns < pass->start_ns) {
        chunk->time.last_ns = record_clock_now(&chunk->time.clock);
    }
    chunk->time.in_hop = pass->in_hop;
    return message_record_write(chunk, pass, facts, chunk->time.last_ns, counts, link);
}

static void end_span(loom_span *span, const message_counts *counts)
{
    if (counts != NULL) {
        fixed_attr list[MESSAGE_COUNTS];
        span_add_fixed(span, list, message_counts_list(list, counts));
    }
    loom_span_end(span);
}

void message_pass_end_traced(message_pass *pass, const message_counts *counts)
{
    if (pass->span == NULL) {
        const message_facts facts = message_facts_of(pass->view, pass->agent);
        if (!end_record(pass, &facts, counts, NULL)) {
            (void)message_pass_span(pass);
        }
    } else if (pass->start_ns != 0) {
        leave(pass);
    }
    if (pass->span != NULL) {
        end_span(pass->span, counts);
    }
}

/* ---- at an agent's end ---- */

void message_pass_begin_record(message_pass *pass, loom_tracer *tracer, message_hop hop, const loom_span_options *options,
                               const loom_trace_context *decided)
{
    pass->span = NULL;
    pass->tracer = tracer;
    pass->view = NULL;
    pass->hop = hop;
    pass->remote = options->parent_is_remote;
    const bool has_parent = options->parent != NULL && loom_trace_context_valid(options->parent);
    (void)begin_record(pass, decided->trace_id, has_parent ? options->parent->span_id : no_parent, decided->trace_flags,
                       options->start_unix_ns);
}

void message_pass_end_record(message_pass *pass, const message_facts *facts, const loom_span_options *options)
{
    const loom_link *link = options->link_count > 0 ? options->links : NULL;
    const bool fits = options->link_count <= 1 && (link == NULL || message_record_links(&pass->ctx, link));
    if (pass->span == NULL && pass->start_ns != 0 && !(fits && end_record(pass, facts, NULL, link))) {
        (void)message_pass_promote(pass, facts, options);
    }
    if (pass->span != NULL) {
        loom_span_end(pass->span);
    }
}
