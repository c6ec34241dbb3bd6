/* SPDX-License-Identifier: Apache-2.0 */
/* A hop from its beginning to its end. It has no span, unless it has something to say for itself, but a place on the stack, its
 * ids, and two looks at the clock, which hops inside each other share: what a bridge does with a message, the EventBus does
 * within it at once. */
#include "trace/export/processor.h"
#include "trace/messaging/message_ended.h"
#include "trace/messaging/message_record.h"
#include "trace/record/write.h"
#include "trace/span/provider.h"
#include "trace/span/thread.h"

#include <assert.h>

__attribute__((noinline, cold)) static record_chunk *next_chunk(span_thread *thread, const loom_tracer *tracer,
                                                                const uint8_t *trace_id)
{
    record_hand *hand = span_thread_hand(thread);
    return hand != NULL ? record_room(hand, tracer->recorder, MESSAGE_RECORD_MAX, trace_id) : NULL;
}

/* This thread's chunk, with room for a hop's record. NULL: counted as lost. */
static inline record_chunk *chunk_of(span_thread *thread, const loom_tracer *tracer, const uint8_t *trace_id)
{
    record_chunk *chunk = thread->hand.chunk;
    return record_has_room(chunk, MESSAGE_RECORD_MAX) ? chunk : next_chunk(thread, tracer, trace_id);
}

static inline uint64_t look_at_clock(record_time *time)
{
    return time->last_ns = record_clock_now(&time->clock);
}

static inline bool is_sampled(const loom_trace_context *ctx)
{
    return (ctx->trace_flags & LOOM_TRACE_FLAG_SAMPLED) != 0;
}

/* A context of its own. parent: NULL for none. */
static void make_context(message_pass *pass, span_thread *thread, const loom_trace_context *parent, const loom_trace_context *decided)
{
    memcpy(pass->ctx.trace_id, decided->trace_id, sizeof pass->ctx.trace_id);
    if (is_sampled(decided)) {
        pass->ctx.trace_flags = LOOM_TRACE_FLAG_SAMPLED;
        pass->ctx.trace_flags |= parent != NULL ? parent->trace_flags & LOOM_TRACE_FLAG_RANDOM : LOOM_TRACE_FLAG_RANDOM;
    } else {
        pass->ctx.trace_flags = decided->trace_flags & LOOM_TRACE_FLAG_RANDOM;
    }
    if (parent == NULL && !is_sampled(decided) && id_word(decided->span_id) != 0) {
        memcpy(pass->ctx.span_id, decided->span_id, sizeof pass->ctx.span_id); /* made for it */
    } else {
        span_draw_id(span_thread_words(thread), pass->ctx.span_id);
    }
    const uint64_t parent_id = parent != NULL ? id_word(parent->span_id) : 0;
    memcpy(pass->parent_id, &parent_id, sizeof parent_id);
    pass->remote = pass->remote && parent != NULL;
}

/* parent: NULL for none. One that is sampled uses the provider until it ends. */
static void begin_record(message_pass *pass, const loom_trace_context *parent, const loom_trace_context *decided, uint64_t start_ns)
{
    span_thread *const thread = span_thread_here();
    record_time *const time = &thread->hand.time;
    pass->in_hop = time->in_hop;
    pass->start_ns = 0;
    pass->group.len = 0;
    if (is_sampled(decided)) {
        processor_prepare(thread->next_place);
        provider_use(pass->tracer->provider);
    } else if (chunk_of(thread, pass->tracer, decided->trace_id) == NULL) {
        return;
    }
    make_context(pass, thread, parent, decided);
    pass->start_ns = start_ns != 0 ? start_ns : time->in_hop ? time->last_ns : look_at_clock(time);
}

static bool reads_clock(message_hop hop)
{
    return hop != HOP_BRIDGE_PUBLISH && hop != HOP_EVENTBUS_PUBLISH; /* they end with what was last done within them, if anything was */
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
static inline void enter(record_hand *hand)
{
    if (!hand->time.in_hop) {
        hand->time.in_hop = true;
        if (hand->chunk != NULL) {
            hand->chunk->base_of = NULL;
        }
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
    if (pass->view->field[ENV_TRACESTATE].len == 0) {
        begin_record(pass, has_parent ? &parent : NULL, &decided, 0);
        if (pass->start_ns != 0) {
            go_on(pass, wire);
            enter(&span_thread_here()->hand);
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
    if (thread->hand.chunk == NULL && next_chunk(thread, pass->tracer, data + HOP_OFFSET) == NULL) { /* at its end there is room, or another one */
        return;
    }
    pass->group.len = 0;
    memcpy(pass->ctx.trace_id, data + HOP_OFFSET, sizeof pass->ctx.trace_id);
    memcpy(pass->parent_id, data + HOP_SPAN_ID_OFFSET, sizeof pass->parent_id);
    span_draw_id(span_thread_words(thread), pass->ctx.span_id);
    pass->ctx.trace_flags = data[HOP_FLAGS_OFFSET] & LOOM_TRACE_FLAG_RANDOM;
    record_time *const time = &thread->hand.time;
    pass->in_hop = time->in_hop;
    pass->start_ns = pass->in_hop ? time->last_ns : look_at_clock(time);
    enter(&thread->hand);
    pass->has_ctx = true;
    if (wire != NULL) {
        hop_patch_span_id(wire, pass->ctx.span_id);
    }
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
        pass->span = span_start_known(pass->tracer, message_hops[pass->hop].name, &options, &pass->ctx, message_attrs_write,
                                      &(hop_attrs){NULL, facts, pass->hop});
        if (pass->span != NULL && is_sampled(&pass->ctx)) { /* which uses the provider now */
            pass->tracer->scope.resource->release(pass->tracer->scope.resource, 1);
        }
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

/* The time when a hop ends that is noted down. */
static inline uint64_t end_time(const message_pass *pass, record_time *time)
{
    time->in_hop = pass->in_hop;
    return reads_clock(pass->hop) || time->last_ns <= pass->start_ns ? look_at_clock(time) : time->last_ns;
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
        span_thread_here()->hand.time.in_hop = pass->in_hop;
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

__attribute__((noinline)) static void end_sampled(message_pass *pass, const message_counts *counts)
{
    const uint64_t end_ns = end_time(pass, &span_thread_here()->hand.time);
    const message_facts facts = facts_of(pass);
    if (!message_sampled_submit(pass, &facts, end_ns, counts, NULL) && message_pass_promote(pass, &facts, NULL) != NULL) {
        end_span(pass->span, counts);
    }
}

void message_pass_end_recorded(message_pass *pass, const message_counts *counts)
{
    if (is_sampled(&pass->ctx)) {
        end_sampled(pass, counts);
        return;
    }
    const uint64_t end_ns = end_time(pass, &span_thread_here()->hand.time); /* which also says that its hop is over */
    record_chunk *chunk = chunk_of(span_thread_here(), pass->tracer, pass->ctx.trace_id);
    if (chunk == NULL) {
        return;
    }
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
    span_thread *const thread = span_thread_here();
    if (is_sampled(&pass->ctx)) {
        return message_sampled_submit(pass, facts, end_time(pass, &thread->hand.time), NULL, link);
    }
    if (link != NULL && (is_sampled(&link->context) || !ended_hop_links(&pass->ctx, link))) {
        return false;
    }
    record_chunk *chunk = chunk_of(thread, pass->tracer, pass->ctx.trace_id);
    return chunk == NULL || message_record_write(chunk, pass, facts, end_time(pass, &thread->hand.time), NULL, link);
}

void message_pass_end_record(message_pass *pass, const message_facts *facts, const loom_link *link)
{
    if (pass->span == NULL && pass->start_ns != 0 && !end_own(pass, facts, link)) {
        (void)message_pass_promote(pass, facts, link);
    }
    if (pass->span != NULL) {
        if (facts->failure != LOOM_OK) {
            span_record_failure(pass->span, loom_status_name(facts->failure), loom_status_text(facts->failure));
        }
        loom_span_end(pass->span);
    }
}

/* ---- the clock ---- */

void message_batch_begin_recorded(message_batch *batch)
{
    record_hand *const hand = &span_thread_here()->hand;
    *batch = (message_batch){true, hand->time.in_hop};
    (void)look_at_clock(&hand->time);
    hand->time.in_hop = true;
    if (hand->chunk != NULL) {
        hand->chunk->base_of = NULL;
    }
}

void message_batch_end_recorded(const message_batch *batch)
{
    span_thread_here()->hand.time.in_hop = batch->in_hop;
}

uint64_t message_time_recorded(void)
{
    return look_at_clock(&span_thread_here()->hand.time);
}
