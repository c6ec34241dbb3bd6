/* SPDX-License-Identifier: Apache-2.0 */
/* Scan, span, call. No lock is taken on the way, as long as handlers do not change. */
#include "sdk-c/events/dispatch.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "envelope/view.h"
#include "sdk-c/agent/current.h"
#include "sdk-c/agent/payload.h"
#include "sdk-c/agent/report.h"
#include "sdk-c/agent/session_receive.h"
#include "trace/messaging/message_span.h"

/* The view as an envelope, in the memory of the last one when nobody kept that. NULL: out of memory, or not valid. */
static loom_envelope *make_event(events *e, const envelope_view *view)
{
    if (view->hop_in_place) {
        e->event = envelope_renew(e->event, &e->event_capacity, view);
        return e->event;
    }
    /* Bridges put the hop context in its place; this is for one that does not. */
    loom_envelope_unref(e->event);
    e->event = NULL;
    e->event_capacity = 0;
    if (loom_envelope_decode(&e->event, (loom_bytes){view->data, view->len}) != LOOM_OK) {
        return NULL;
    }
    return e->event;
}

/* A context that is there and refused counts; one that is absent does not. */
static bool has_invalid_context(const envelope_view *view)
{
    static const uint8_t none[LOOM_TRACE_ID_SIZE + LOOM_SPAN_ID_SIZE];
    loom_bytes hop = envelope_view_bytes(view, ENV_HOP);
    return hop.len > 0 && (hop.len != HOP_SIZE || memcmp(hop.data, none, sizeof none) != 0);
}

static loom_span *start_span(loom_agent *a, const loom_envelope *event, const loom_trace_context *parent,
                             const loom_trace_context *decided)
{
    loom_link link = {.tracestate = loom_envelope_tracestate(event), .context_is_remote = true};
    message_facts facts = message_facts_of(envelope_as_view(event), a->id);
    bool linked = loom_envelope_creation_context(event, &link.context);
    return message_span_start(a->tracer, HOP_AGENT_ON_EVENT, &facts,
                              &(loom_span_options){.parent = parent,
                                                   .parent_is_remote = true,
                                                   .tracestate = loom_envelope_tracestate(event),
                                                   .links = &link,
                                                   .link_count = linked ? 1 : 0},
                              decided);
}

/* What is current while an event is handled: agent.on_event, or the context that is passed on. */
typedef struct handled {
    loom_trace_context parent, decided;
    uint64_t token;    /* of what was pushed; 0: nothing */
    /* of one without a tracestate, which becomes a span when the handler asks for that */
    message_pass pass; /* start_ns 0: it is not such a one */
    const loom_agent *agent;
    const loom_envelope *event;
    lazy_span lazy;
    char group[LOOM_TOPIC_MAX]; /* the name of one is a segment of a topic */
} handled;

/* What is known of it, and where it was made; NULL: nobody says. */
static const loom_link *describe(const handled *h, message_facts *facts, loom_link *link)
{
    *facts = message_facts_of(envelope_as_view(h->event), h->agent->id);
    facts->group = h->pass.group;
    *link = (loom_link){.context_is_remote = true};
    return loom_envelope_creation_context(h->event, &link->context) ? link : NULL;
}

static loom_span *make_span(void *user)
{
    handled *h = user;
    message_facts facts;
    loom_link link;
    const loom_link *made_at = describe(h, &facts, &link);
    return message_pass_promote(&h->pass, &facts, made_at);
}

static void end_recorded(handled *h, loom_status st)
{
    message_facts facts;
    loom_link link;
    const loom_link *made_at = describe(h, &facts, &link);
    facts.failure = st;
    message_pass_end_record(&h->pass, &facts, made_at);
}

/* Of one that is traced. */
static void name_group(loom_agent *a, handled *h, uint64_t number)
{
    loom_str group = {h->group, 0};
    pthread_mutex_lock(&a->loop.lock);
    const subscription *sub = subscriptions_find(&a->events->subs, number);
    if (sub != NULL) {
        const loom_str name = str_of(sub->group);
        group.len = name.len < sizeof h->group ? name.len : sizeof h->group;
        memcpy(h->group, name.data, group.len);
    }
    pthread_mutex_unlock(&a->loop.lock);
    message_pass_set_group(&h->pass, group);
}

static void begin_recorded(loom_agent *a, const loom_envelope *event, const loom_trace_context *decided, handled *h)
{
    h->agent = a;
    h->event = event;
    message_pass_begin_record(&h->pass, a->tracer, HOP_AGENT_ON_EVENT, &h->parent, true, decided, 0);
    h->lazy = (lazy_span){make_span, h};
    h->token = h->pass.start_ns != 0 ? context_push_lazy(&h->pass.ctx, &h->lazy) : 0;
}

static void begin_context(loom_agent *a, const loom_envelope *event, bool has_context, handled *h)
{
    const bool unsampled = has_context && (h->parent.trace_flags & LOOM_TRACE_FLAG_SAMPLED) == 0;
    h->pass.span = NULL;
    h->token = 0;
    h->pass.start_ns = 0;
    if (unsampled && span_follows_parent(a->tracer)) {
        h->token = context_push_borrowed(&h->parent, loom_envelope_tracestate(event));
        return;
    }
    if (unsampled && a->tracer->records_unsampled && loom_envelope_tracestate(event).len == 0) {
        begin_recorded(a, event, &h->parent, h);
        return;
    }
    if (!span_decide(a->tracer, &message_hops[HOP_AGENT_ON_EVENT], &h->parent, has_context, &h->decided)) {
        if (loom_trace_context_valid(&h->decided)) {
            h->token = context_push_borrowed(&h->decided, has_context ? loom_envelope_tracestate(event) : (loom_str){0});
        }
        return;
    }
    if (loom_envelope_tracestate(event).len == 0) {
        begin_recorded(a, event, &h->decided, h);
    } else {
        h->pass.span = start_span(a, event, &h->parent, &h->decided);
        loom_span_make_current(h->pass.span);
    }
}

static void end_context(handled *h, loom_status st)
{
    if (h->pass.start_ns != 0) {
        end_recorded(h, st);
    } else {
        if (st != LOOM_OK) {
            span_record_failure(h->pass.span, loom_status_name(st), loom_status_text(st));
        }
        loom_span_end(h->pass.span);
    }
    if (h->token != 0) {
        loom_context_pop(h->token);
    }
}

static loom_status call(loom_agent *a, loom_on_event on_event, void *user, loom_envelope *event)
{
    char topic[LOOM_TOPIC_MAX + 1];
    loom_str from = loom_envelope_topic(event);
    memcpy(topic, from.data, from.len);
    topic[from.len] = '\0';
    /* a handler may wait, or poll another agent */
    current_message outer = current_set((current_message){.envelope = event});
    loom_status st = on_event(a, topic, event, user);
    (void)current_set(outer);
    return st;
}

/* Only the loop counts; others read. */
static void count(_Atomic uint64_t *counter)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1, memory_order_relaxed);
}

static void handle(loom_agent *a, const known_handler *handler, const envelope_view *view)
{
    events *e = a->events;
    loom_envelope *event = make_event(e, view);
    if (event == NULL) {
        report_refusal(a, LOOM_ENOMEM, "an event was not handled");
        return;
    }
    handled h;
    /* from where it has lain for a while, rather than from the copy that was made just now */
    bool has_context = view->hop_in_place ? envelope_view_context(view, &h.parent) : loom_envelope_extract(event, &h.parent);
    if (!has_context && has_invalid_context(view)) {
        count(&a->counters.invalid_context);
    }
    begin_context(a, event, has_context, &h);
    if (handler->grouped && message_pass_is_traced(&h.pass)) {
        name_group(a, &h, handler->number);
    }
    if (a->payload_max > 0 && message_pass_is_traced(&h.pass)) {
        payload_set(h.pass.start_ns != 0 ? make_span(&h) : h.pass.span, loom_envelope_payload(event), a->payload_max);
    }
    size_t capacity = e->event_capacity;
    e->event = NULL; /* while it waits, others are handled: not in its event's memory */
    loom_status st = call(a, handler->on_event, handler->user, event);
    loom_envelope_unref(e->event);
    if (st != LOOM_OK) {
        count(&a->counters.failed);
    }
    end_context(&h, st);
    e->event = event;
    e->event_capacity = capacity;
    count(&a->counters.received);
}

/* Apart, so that those that are known do not pay for its stack frame. */
__attribute__((noinline)) static const known_handler *look_handler_up(loom_agent *a, uint64_t number, uint64_t generation)
{
    events *e = a->events;
    known_handler *known = &e->handlers[number % KNOWN_HANDLERS];
    pthread_mutex_lock(&a->loop.lock);
    const subscription *sub = subscriptions_find(&e->subs, number);
    *known = sub != NULL ? (known_handler){number, generation, sub->on_event, sub->user, sub->immediate, sub->group != NULL}
                         : (known_handler){0};
    pthread_mutex_unlock(&a->loop.lock);
    return known->on_event != NULL ? known : NULL;
}

/* Without the lock, as long as the generation is the one in which it was looked up. NULL: nobody handles it. */
static inline const known_handler *find_handler(loom_agent *a, uint64_t number)
{
    const known_handler *known = &a->events->handlers[number % KNOWN_HANDLERS];
    uint64_t generation = atomic_load(&a->events->generation);
    if (known->on_event != NULL && known->number == number && known->generation == generation) {
        return known;
    }
    return look_handler_up(a, number, generation);
}

static void dispatch_one(loom_agent *a, uint64_t number, const envelope_view *view)
{
    if (atomic_load_explicit(&a->loop.closing_seen, memory_order_relaxed)) {
        return; /* the owner wants no more of them */
    }
    if (loop_before_handler(&a->loop)) {
        message_batch_again(a->tracer);
    }
    const known_handler *handler = find_handler(a, number);
    if (handler != NULL) {
        handle(a, handler, view);
    }
    if (loop_after_handler(&a->loop)) {
        message_batch_again(a->tracer);
    }
}

static loom_status malformed(loom_agent *a, loom_status st, const char *reason)
{
    const loom_status fault = st == LOOM_ETOOBIG ? LOOM_ETOOBIG : LOOM_EPROTO;
    (void)session_fail(&a->session, fault, "deliver frame: %s", reason);
    return fault;
}

static loom_status deliver(loom_agent *a, uint64_t number, const envelope_view *view, uint64_t connection)
{
    dispatch_one(a, number, view);
    return session_delivered(&a->session, connection, view->len);
}

/* For later, or for the next nested round. What is kept is bounded by the credit, which is not renewed for it; each session
 * begins with all of it, and so the limit is for a bridge that does not count, and for sessions that break again and again. */
static loom_status keep(loom_agent *a, uint64_t number, const envelope_view *view)
{
    const known_handler *handler = find_handler(a, number);
    kept_list *list = handler != NULL && handler->immediate ? &a->events->kept_immediate : &a->events->kept;
    if (list->bytes > 2 * (size_t)a->options.receive_bytes + LOOM_ENVELOPE_MAX) {
        return malformed(a, LOOM_EPROTO, "more of them than were granted, while a handler waits");
    }
    if (kept_add(list, number, a->session.connection, view) == LOOM_OK) {
        return LOOM_OK;
    }
    report_refusal(a, LOOM_ENOMEM, "an event was not handled");
    return session_delivered(&a->session, a->session.connection, view->len);
}

/* The next item of the batch. */
static inline loom_status next_item(loom_agent *a, batch_cursor *batch, uint64_t *number, envelope_view *view)
{
    const char *reason;
    const uint8_t *at = batch->r.at, *const end = batch->r.end;
    if (at < end && *at < 0x80) { /* as most are */
        *number = *at++;
    } else {
        mp_reader r = {at, end};
        if (!mp_read_uint(&r, number)) {
            return malformed(a, LOOM_EPROTO, "a subscription number is missing");
        }
        at = r.at;
    }
    loom_status st = envelope_scan(view, (loom_bytes){at, (size_t)(end - at)}, NULL, &reason);
    if (st != LOOM_OK) {
        return malformed(a, st, reason);
    }
    batch->r.at = at + view->len;
    batch->left--;
    return LOOM_OK;
}

static loom_status dispatch_items(loom_agent *a, batch_cursor *batch)
{
    while (batch->left > 0) {
        uint64_t number, connection = a->session.connection;
        envelope_view view;
        loom_status st = next_item(a, batch, &number, &view);
        if (st == LOOM_OK) {
            const known_handler *handler = a->nested > 0 ? find_handler(a, number) : NULL;
            bool now = a->nested == 0 || (handler != NULL && handler->immediate);
            st = now ? deliver(a, number, &view, connection) : keep(a, number, &view);
        }
        if (st != LOOM_OK) {
            return st;
        }
    }
    return batch->r.at == batch->r.end ? LOOM_OK : malformed(a, LOOM_EPROTO, "bytes follow the last envelope");
}

loom_status dispatch_batch(loom_agent *a, const frame_batch *items)
{
    events *e = a->events;
    batch_cursor batch = {e->batch, {items->items.data, items->items.data + items->items.len}, items->count};
    bool handling = loop_handling_begin(&a->loop);
    message_batch at_once;
    message_batch_begin(&at_once, a->tracer);
    e->batch = &batch;
    loom_status st = dispatch_items(a, &batch);
    e->batch = batch.outer;
    message_batch_end(&at_once);
    loop_handling_end(&a->loop, handling);
    return st;
}

/* Outer batches have been set aside when their handlers began to wait. What is malformed stays, and is found again. */
loom_status dispatch_set_aside(loom_agent *a)
{
    batch_cursor *batch = a->events->batch;
    loom_status st = LOOM_OK;
    uint64_t number;
    envelope_view view;
    while (st == LOOM_OK && batch != NULL && batch->left > 0 && next_item(a, batch, &number, &view) == LOOM_OK) {
        st = keep(a, number, &view);
    }
    return st;
}

static loom_status deliver_kept(loom_agent *a, kept_delivery *kept)
{
    envelope_view view;
    const char *reason;
    loom_status st = envelope_scan(&view, (loom_bytes){kept->data, kept->len}, NULL, &reason);
    if (st == LOOM_OK) { /* it was, before */
        st = deliver(a, kept->subscription, &view, kept->connection);
    }
    free(kept);
    return st;
}

static loom_status deliver_list(loom_agent *a, kept_list *list)
{
    loom_status st = LOOM_OK;
    if (list->deliveries.first != NULL) {
        bool handling = loop_handling_begin(&a->loop);
        message_batch at_once;
        message_batch_begin(&at_once, a->tracer);
        for (kept_delivery *kept; st == LOOM_OK && (kept = kept_take(list)) != NULL;) {
            st = deliver_kept(a, kept);
        }
        message_batch_end(&at_once);
        loop_handling_end(&a->loop, handling);
    }
    return st;
}

loom_status dispatch_kept(loom_agent *a)
{
    return a->nested == 0 ? deliver_list(a, &a->events->kept) : LOOM_OK;
}

loom_status dispatch_kept_immediate(loom_agent *a)
{
    return deliver_list(a, &a->events->kept_immediate);
}
