/* SPDX-License-Identifier: Apache-2.0 */
/* A hop from its beginning to its end. One that is only recorded has no span, but a place on the stack, its ids, and two looks at
 * the clock, which hops inside each other share: what a bridge does with a message, the EventBus does within it at once. */
#include "trace/messaging/message_record.h"
#include "trace/record/write.h"
#include "trace/span/provider.h"
#include "trace/span/thread.h"

#include <assert.h>

__attribute__((noinline, cold)) static record_chunk *next_chunk(span_thread *thread, const loom_tracer *tracer)
{
    record_hand *hand = span_thread_hand(thread);
    return hand != NULL ? record_room(hand, tracer->recorder, MESSAGE_RECORD_MAX) : NULL;
}

/* This thread's chunk, with room for a hop's record. NULL: counted as lost. */
static inline record_chunk *chunk_of(span_thread *thread, const loom_tracer *tracer)
{
    enum { FULL = CHUNK_UNITS - (MESSAGE_RECORD_MAX + RECORD_DEFINITION_MAX + 2 * CHUNK_UNIT) / CHUNK_UNIT };
    record_chunk *chunk = thread->hand.chunk;
    return chunk != NULL && chunk->used < FULL ? chunk : next_chunk(thread, tracer);
}

static inline uint64_t look_at_clock(record_chunk *chunk)
{
    return chunk->time.last_ns = record_clock_now(&chunk->time.clock);
}

/* parent: NULL for none. */
static inline void begin_record(message_pass *pass, const loom_trace_context *parent, const loom_trace_context *decided,
                                uint64_t start_ns)
{
    span_thread *const thread = span_thread_here();
    record_chunk *chunk = chunk_of(thread, pass->tracer);
    pass->in_hop = false;
    pass->start_ns = 0;
    pass->group.len = 0;
    if (chunk == NULL) {
        return;
    }
    memcpy(pass->ctx.trace_id, decided->trace_id, sizeof pass->ctx.trace_id);
    pass->ctx.trace_flags = decided->trace_flags & LOOM_TRACE_FLAG_RANDOM;
    const uint64_t parent_id = parent != NULL ? id_word(parent->span_id) : 0, decided_id = id_word(decided->span_id);
    memcpy(pass->parent_id, &parent_id, sizeof parent_id);
    if (parent_id != 0 || decided_id == 0) {
        span_draw_id(span_thread_words(thread), pass->ctx.span_id);
    } else { /* made for it */
        memcpy(pass->ctx.span_id, &decided_id, sizeof decided_id);
    }
    pass->in_hop = chunk->time.in_hop;
    pass->start_ns = start_ns != 0 ? start_ns : chunk->time.in_hop ? chunk->time.last_ns : look_at_clock(chunk);
}

static bool reads_clock(message_hop hop)
{
    return hop != HOP_BRIDGE_PUBLISH && hop != HOP_EVENTBUS_PUBLISH; /* they end with what was last done within them */
}

/* ---- of messages that are passed on ---- */

/* The message has pass->ctx from here on. */
static void go_on(message_pass *pass, uint8_t *wire)
{
    pass->has_ctx = true;
    if (wire != NULL) {
        hop_patch(wire, &pass->ctx);
    }
}

/* Of a message: the first of its hops in this thread, or one inside that. */
static inline void enter(record_chunk *chunk)
{
    if (!chunk->time.in_hop) {
        chunk->time.in_hop = true;
        chunk->base_of = NULL;
    }
}

void message_pass_begin_traced(message_pass *pass, uint8_t *wire)
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
        begin_record(pass, has_parent ? &parent : NULL, &decided, 0);
        if (pass->start_ns != 0) {
            go_on(pass, wire);
            enter(span_thread_here()->hand.chunk);
        }
        return;
    }
    const message_facts facts = message_facts_of(pass->view, pass->agent);
    const loom_span_options options = {.parent = &parent, /* not valid: none */
                                       .parent_is_remote = pass->remote,
                                       .tracestate = has_parent ? envelope_view_str(pass->view, ENV_TRACESTATE) : (loom_str){0}};
    pass->span = message_span_start(pass->tracer, pass->hop, &facts, &options, &decided);
    pass->ctx = *loom_span_context(pass->span);
    if (loom_trace_context_valid(&pass->ctx)) {
        go_on(pass, wire);
    }
}

/* One that is unsampled, as most are: its flags stay, and its trace. */
void message_pass_begin_recorded(message_pass *pass, uint8_t *wire)
{
    span_thread *const thread = span_thread_here();
    const uint8_t *const data = pass->view->data;
    record_chunk *chunk = thread->hand.chunk; /* at its end there is room, or another one */
    if (chunk == NULL && (chunk = next_chunk(thread, pass->tracer)) == NULL) {
        return;
    }
    pass->group.len = 0;
    memcpy(pass->ctx.trace_id, data + HOP_OFFSET, sizeof pass->ctx.trace_id);
    memcpy(pass->parent_id, data + HOP_SPAN_ID_OFFSET, sizeof pass->parent_id);
    span_draw_id(span_thread_words(thread), pass->ctx.span_id);
    pass->ctx.trace_flags = data[HOP_FLAGS_OFFSET] & LOOM_TRACE_FLAG_RANDOM;
    pass->in_hop = chunk->time.in_hop;
    pass->start_ns = pass->in_hop ? chunk->time.last_ns : look_at_clock(chunk);
    enter(chunk);
    pass->has_ctx = true;
    if (wire != NULL) {
        hop_patch_span_id(wire, pass->ctx.span_id);
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

loom_span *message_pass_promote(message_pass *pass, const message_facts *facts, const loom_link *link)
{
    if (pass->span == NULL && pass->start_ns != 0) {
        loom_trace_context parent = pass->ctx;
        memcpy(parent.span_id, pass->parent_id, sizeof parent.span_id); /* not valid: none */
        const loom_span_options options = {.kind = message_hops[pass->hop].kind,
                                           .parent = &parent,
                                           .parent_is_remote = pass->remote,
                                           .start_unix_ns = pass->start_ns,
                                           .links = link,
                                           .link_count = link != NULL ? 1 : 0};
        pass->span = span_start_known(pass->tracer, message_hops[pass->hop].name, &options, &pass->ctx, write_attrs,
                                      &(known_facts){pass->hop, facts});
    }
    return pass->span;
}

static message_facts facts_of(const message_pass *pass)
{
    message_facts facts = message_facts_of(pass->view, pass->agent);
    facts.group = pass->group;
    return facts;
}

loom_span *message_pass_span(message_pass *pass)
{
    if (pass->span == NULL && pass->start_ns != 0) {
        const message_facts facts = facts_of(pass);
        (void)message_pass_promote(pass, &facts, NULL);
    }
    return pass->span;
}

void message_pass_set_group(message_pass *pass, loom_str group)
{
    if (pass->span != NULL) {
        message_span_set_group(pass->span, group);
    } else {
        pass->group = group;
    }
}

/* Of a hop that was to be recorded, and has become a span. */
static void leave(const message_pass *pass)
{
    record_chunk *chunk = span_thread_here()->hand.chunk;
    if (chunk != NULL) {
        chunk->time.in_hop = pass->in_hop;
    }
}

/* The time when a hop ends that is recorded. */
static inline uint64_t end_time(const message_pass *pass, record_chunk *chunk)
{
    chunk->time.in_hop = pass->in_hop;
    return reads_clock(pass->hop) || chunk->time.last_ns < pass->start_ns ? look_at_clock(chunk) : chunk->time.last_ns;
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
    if (pass->start_ns != 0) {
        leave(pass);
    }
    end_span(pass->span, counts);
}

/* The first of the message here; or it takes a span to say all of it. */
__attribute__((noinline)) static void end_first(message_pass *pass, record_chunk *chunk, uint64_t end_ns, const message_counts *counts)
{
    const message_facts facts = facts_of(pass);
    if (!message_record_write(chunk, pass, &facts, end_ns, counts, NULL) && message_pass_promote(pass, &facts, NULL) != NULL) {
        end_span(pass->span, counts);
    }
}

void message_pass_end_recorded(message_pass *pass, const message_counts *counts)
{
    record_chunk *chunk = chunk_of(span_thread_here(), pass->tracer);
    if (chunk == NULL) {
        return;
    }
    const uint64_t end_ns = end_time(pass, chunk);
    if (chunk->base_of != pass->view->data || !message_record_go_on(chunk, pass, end_ns, counts)) {
        end_first(pass, chunk, end_ns, counts);
    }
}

/* ---- at an agent's end ---- */

void message_pass_begin_record(message_pass *pass, loom_tracer *tracer, message_hop hop, const loom_trace_context *parent, bool remote,
                               const loom_trace_context *decided, uint64_t start_ns)
{
    pass->span = NULL;
    pass->tracer = tracer;
    pass->view = NULL;
    pass->hop = hop;
    pass->remote = remote;
    begin_record(pass, parent != NULL && loom_trace_context_valid(parent) ? parent : NULL, decided, start_ns);
}

/* false: it takes a span to say all of it. */
static bool end_own(const message_pass *pass, const message_facts *facts, const loom_link *link)
{
    if (link != NULL && !message_record_links(&pass->ctx, link)) {
        return false;
    }
    record_chunk *chunk = chunk_of(span_thread_here(), pass->tracer);
    return chunk == NULL || message_record_write(chunk, pass, facts, end_time(pass, chunk), NULL, link);
}

void message_pass_end_record(message_pass *pass, const message_facts *facts, const loom_link *link)
{
    if (pass->span == NULL && pass->start_ns != 0 && !end_own(pass, facts, link)) {
        (void)message_pass_promote(pass, facts, link);
    }
    if (pass->span != NULL) {
        loom_span_end(pass->span);
    }
}

/* ---- the clock ---- */

void message_batch_begin_recorded(message_batch *batch, const loom_tracer *tracer)
{
    record_chunk *chunk = chunk_of(span_thread_here(), tracer);
    if (chunk != NULL) {
        *batch = (message_batch){true, chunk->time.in_hop};
        (void)look_at_clock(chunk);
        chunk->time.in_hop = true;
        chunk->base_of = NULL;
    }
}

void message_batch_end_recorded(const message_batch *batch)
{
    record_chunk *chunk = span_thread_here()->hand.chunk;
    if (chunk != NULL) {
        chunk->time.in_hop = batch->in_hop;
    }
}

uint64_t message_time_recorded(const loom_tracer *tracer)
{
    record_chunk *chunk = chunk_of(span_thread_here(), tracer);
    return chunk != NULL ? look_at_clock(chunk) : clock_unix_ns();
}
