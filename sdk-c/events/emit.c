/* SPDX-License-Identifier: Apache-2.0 */
/* Publishing: the fields and their defaults, the agent.emit span, the way into the send queue. Any thread. */
#include <string.h>

#include <loom/topic.h>

#include "base/str.h"
#include "envelope/id.h"
#include "sdk-c/agent/inherit.h"
#include "sdk-c/events/events.h"
#include "trace/messaging/message_span.h"

static void set_options(loom_envelope_fields *f, const loom_emit_options *o)
{
    f->type = str_of(o->type);
    f->thread_id = str_of(o->thread_id);
    f->correlation_id = str_of(o->correlation_id);
    f->reply_to = str_of(o->reply_to);
    f->content_type = str_of(o->content_type);
    f->baggage = str_of(o->baggage);
    f->headers = o->headers;
    f->header_count = o->header_count;
    f->ttl = o->ttl;
}

static message_facts facts_of(const loom_envelope_fields *f)
{
    return (message_facts){.agent = f->sender,
                           .topic = f->topic,
                           .thread_id = f->thread_id,
                           .correlation_id = f->correlation_id,
                           .id = f->id,
                           .payload_len = f->payload.len};
}

/* There is a tracestate, which a span carries. */
__attribute__((noinline)) static void begin_whole(loom_agent *a, loom_envelope_fields *f, message_pass *pass, inherited_text *text,
                                                    const loom_trace_context *decided)
{
    const message_facts facts = facts_of(f);
    pass->span = message_span_start(a->tracer, HOP_AGENT_EMIT, &facts, &(loom_span_options){.start_unix_ns = f->timestamp_unix_ns},
                                    decided);
    loom_envelope_inject(f, loom_span_context(pass->span));
    inherit_tracestate(f, loom_span_tracestate(pass->span), text);
}

/* agent.emit. Without a span of ours, what is current goes on as it is. */
static void begin_span(loom_agent *a, loom_envelope_fields *f, message_pass *pass, inherited_text *text)
{
    loom_trace_context decided;
    pass->span = NULL;
    pass->start_ns = 0;
    if (!inherit_context(a, &message_hops[HOP_AGENT_EMIT], f, &decided, text)) {
        return;
    }
    if (loom_context_current_tracestate().len > 0) {
        begin_whole(a, f, pass, text, &decided);
        return;
    }
    const loom_trace_context *parent = loom_context_current();
    message_pass_begin_record(pass, a->tracer, HOP_AGENT_EMIT, parent, parent != NULL && context_current_is_remote(), &decided,
                              f->timestamp_unix_ns);
    loom_envelope_inject(f, pass->start_ns != 0 ? &pass->ctx : &decided);
}

static void end_span(message_pass *pass, const loom_envelope_fields *f, loom_status st)
{
    if (!message_pass_is_traced(pass)) {
        return;
    }
    const message_facts facts = facts_of(f);
    if (st != LOOM_OK) {
        loom_span_record_error(message_pass_promote(pass, &facts, NULL), loom_status_name(st),
                               st == LOOM_EINVAL || st == LOOM_ETOOBIG ? loom_last_error() : loom_status_text(st));
    }
    message_pass_end_record(pass, &facts, NULL);
}

/* Lock held. The same topic as last time is the usual case, and comparing is cheaper than checking. */
static bool topic_is_valid(events *e, loom_str topic)
{
    if (topic.len == e->topic_len && topic.len > 0 && str_same(topic.data, e->topic, topic.len)) {
        return true;
    }
    if (!loom_topic_valid(topic)) {
        return false;
    }
    memcpy(e->topic, topic.data, topic.len);
    e->topic_len = topic.len;
    return true;
}

/* Its topic is not valid, or else its payload too large. */
static loom_status __attribute__((cold, noinline)) refuse(const loom_agent *a, const loom_envelope_fields *f)
{
    const char *reason;
    if (loom_topic_check(f->topic, &reason) != LOOM_OK) {
        return last_error(LOOM_EINVAL, "topic \"%.*s\": %s", (int)(f->topic.len < 100 ? f->topic.len : 100), f->topic.data, reason);
    }
    return last_error(LOOM_ETOOBIG, "the payload has %zu bytes, and the bridge takes %zu", f->payload.len,
                      (size_t)a->session.max_payload);
}

/* To what is no topic nobody could reply. */
static loom_status __attribute__((noinline)) check_reply_to(loom_str reply_to)
{
    const char *reason;
    if (reply_to.len > LOOM_TOPIC_MAX || loom_topic_check(reply_to, &reason) == LOOM_OK) {
        return LOOM_OK; /* that it is too long is said with all other lengths */
    }
    return last_error(LOOM_EINVAL, "reply_to \"%.*s\": %s", (int)(reply_to.len < 100 ? reply_to.len : 100), reply_to.data, reason);
}

/* Lock held; given up while waiting. *guest: it has waited, and the agent is kept until the caller leaves. */
static loom_status find_room(loom_agent *a, size_t size, uint8_t **room, bool *guest)
{
    uint64_t deadline = 0;
    for (;;) {
        if (a->loop.over) {
            return LOOM_ECLOSED;
        }
        loom_status st = send_queue_room(&a->loop.out, size, room);
        if (st != LOOM_EFULL || a->options.emit_timeout_ms == 0 || a->options.poll_mode || loop_is_this_thread(&a->loop) ||
            a->session.state != LOOM_AGENT_CONNECTED) {
            return st;
        }
        if (deadline == 0) {
            deadline = clock_monotonic_ns() + a->options.emit_timeout_ms * MS_NS;
            a->loop.guests++;
            *guest = true;
        }
        if (!loop_wait_change(&a->loop, deadline)) {
            return LOOM_EFULL;
        }
    }
}

/* Before the message, which is about to be queued. Lock held. Nothing is asked of a bridge that would not know the frame. */
static loom_status __attribute__((noinline)) put_ask(loom_agent *a, emit_ask *ask, const loom_envelope_fields *f)
{
    ask->sent = a->session.asks && a->loop.out.up;
    ask->connection = a->session.connection;
    return ask->sent ? frame_put_ask(&a->loop.out.control, &(frame_ask){ask->number, {f->id, LOOM_UUID_SIZE}, ask->how}) : LOOM_OK;
}

static inline loom_status queue(loom_agent *a, const loom_envelope_fields *f, size_t size, bool *guest, emit_ask *ask)
{
    uint8_t *room, id[LOOM_UUID_SIZE];
    events *e = a->events;
    pthread_mutex_lock(&a->loop.lock);
    loom_status st = LOOM_OK;
    if (!topic_is_valid(e, f->topic) || f->payload.len > a->session.max_payload) {
        st = refuse(a, f);
    } else if ((st = find_room(a, size, &room, guest)) == LOOM_OK && (ask == NULL || (st = put_ask(a, ask, f)) == LOOM_OK)) {
        size = envelope_encode(room, f, id);
        send_queue_add(&a->loop.out, size);
        a->loop.collected += size;
        e->emitted++;
        loop_write_soon(&a->loop, f->timestamp_unix_ns);
    }
    e->refused += st == LOOM_EFULL;
    pthread_mutex_unlock(&a->loop.lock);
    return st;
}

/* In its two callers, so that whoever asks nothing does not pay for the question. */
static inline __attribute__((always_inline)) loom_status emit(loom_agent *a, const char *topic, loom_bytes payload,
                                                              const loom_emit_options *options, emit_ask *ask)
{
    loom_status st = agent_check_payload(a, payload);
    if (st != LOOM_OK || topic == NULL) {
        return st != LOOM_OK ? st : last_error_null("the topic");
    }
    loom_envelope_fields f = {.topic = str_of(topic), .payload = payload, .sender = a->id};
    inherited_text text;
    size_t size;
    bool guest = false;
    if (options != NULL) {
        set_options(&f, options);
        if (f.reply_to.len > 0 && (st = check_reply_to(f.reply_to)) != LOOM_OK) {
            return st;
        }
    }
    st = inherit_message(&f, &text);
    if (st != LOOM_OK) {
        return st;
    }
    f.timestamp_unix_ns = message_time(a->tracer); /* the one look at the clock: also of the id, the span, and the write */
    loom_uuid7_generate_at(f.id, f.timestamp_unix_ns);
    message_pass pass;
    begin_span(a, &f, &pass, &text);
    st = envelope_encode_check(&f, &size);
    if (st == LOOM_OK) {
        st = queue(a, &f, size, &guest, ask);
    }
    if (st == LOOM_OK && options != NULL && options->id_out != NULL) {
        memcpy(options->id_out, f.id, LOOM_UUID_SIZE);
    }
    end_span(&pass, &f, st);
    if (guest) {
        loop_guest_leave(&a->loop);
    }
    return st;
}

loom_status loom_agent_emit(loom_agent *a, const char *topic, loom_bytes payload, const loom_emit_options *options)
{
    return emit(a, topic, payload, options, NULL);
}

loom_status emit_check(const char *topic, const loom_emit_options *options)
{
    const char *reason;
    if (loom_topic_check(str_of(topic), &reason) != LOOM_OK) {
        return last_error(LOOM_EINVAL, "topic \"%.100s\": %s", topic, reason);
    }
    return options != NULL && str_of(options->reply_to).len > 0 ? check_reply_to(str_of(options->reply_to)) : LOOM_OK;
}

loom_status emit_asking(loom_agent *a, const char *topic, loom_bytes payload, const loom_emit_options *options, emit_ask *ask)
{
    return emit(a, topic, payload, options, ask);
}

loom_status loom_agent_emit_text(loom_agent *a, const char *topic, const char *text, const loom_emit_options *options)
{
    if (text == NULL) {
        return last_error_null("the text");
    }
    return loom_agent_emit(a, topic, (loom_bytes){(const uint8_t *)text, strlen(text)}, options);
}
