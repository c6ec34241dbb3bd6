/* SPDX-License-Identifier: Apache-2.0 */
/* What the bridge says: one function a frame. Runs on the loop. */
#include <stdio.h>
#include <string.h>

#include "envelope/id.h"
#include "sdk-c/actions/actions.h"

/* Statuses that this version knows. */
enum {
    LOOM_STATUSES = 0
#define X(name, value, text) +1
    LOOM_STATUS_MAP(X)
#undef X
};

enum { HEARTBEAT_DEFAULT_MS = 15000, HEARTBEAT_MIN_MS = 10 };

/* Requests are numbered by what they ask: a subscription's number, doubled. */
static uint64_t subscribe_request(uint64_t number)
{
    return number * 2;
}

static uint64_t unsubscribe_request(uint64_t number)
{
    return number * 2 + 1;
}

loom_status session_subscribe(loom_agent *a, const subscription *sub)
{
    return subscription_put(sub, &a->out.control, subscribe_request(sub->number));
}

loom_status session_unsubscribe(loom_agent *a, uint64_t number)
{
    return frame_put_unsubscribe(
        &a->out.control, &(frame_unsubscribe){.request = unsubscribe_request(number), .subscription = number});
}

static loom_status broken(loom_agent *a, loom_status st, const char *what)
{
    snprintf(a->session.text, sizeof a->session.text, "%s", what);
    return st;
}

static loom_status status_of(uint64_t value, loom_status otherwise)
{
    return value > 0 && value < LOOM_STATUSES ? (loom_status)value : otherwise;
}

/* ---- credit for the bridge ---- */

static bool half_used(uint64_t handled, uint64_t granted, uint64_t window)
{
    return handled + window - granted >= (window > 1 ? window / 2 : 1);
}

loom_status session_renew_credit(loom_agent *a, bool now)
{
    session *s = &a->session;
    uint64_t messages = a->options.receive_messages, bytes = a->options.receive_bytes;
    if (!now && !half_used(s->handled_messages, s->granted_messages, messages) &&
        !half_used(s->handled_bytes, s->granted_bytes, bytes)) {
        return LOOM_OK;
    }
    s->granted_messages = s->handled_messages + messages;
    s->granted_bytes = s->handled_bytes + bytes;
    pthread_mutex_lock(&a->lock);
    loom_status st = frame_put_credit(&a->out.control, s->granted_messages, s->granted_bytes);
    agent_control_waits(a);
    pthread_mutex_unlock(&a->lock);
    return st == LOOM_OK ? st : broken(a, st, loom_status_text(st));
}

/* ---- frames ---- */

static void begin_session(loom_agent *a, const frame_welcome *f)
{
    session *s = &a->session;
    uint64_t heartbeat_ms = f->heartbeat_ms != 0 ? f->heartbeat_ms : HEARTBEAT_DEFAULT_MS;
    heartbeat_ms = heartbeat_ms > HEARTBEAT_MIN_MS ? heartbeat_ms : HEARTBEAT_MIN_MS;
    heartbeat_ms = heartbeat_ms < UINT32_MAX ? heartbeat_ms : UINT32_MAX;
    s->phase = SESSION_UP;
    s->up_since = monotonic_ns();
    s->heartbeat_ns = heartbeat_ms * MS_NS;
    s->next_heartbeat = s->up_since + s->heartbeat_ns;
    s->pinged = false;
    s->heard = true;
    s->missed = 0;
    s->handled_messages = s->handled_bytes = 0;
    s->granted_messages = a->options.receive_messages;
    s->granted_bytes = a->options.receive_bytes;
    if (s->ever_up) {
        atomic_fetch_add_explicit(&a->counters.reconnects, 1, memory_order_relaxed);
    }
    s->ever_up = true;
}

static loom_status on_welcome(loom_agent *a, const frame_welcome *f)
{
    if (a->session.phase != SESSION_HELLO) {
        return broken(a, LOOM_EPROTO, "the bridge sent a second welcome");
    }
    if (f->protocol != LINK_PROTOCOL) {
        snprintf(a->session.text, sizeof a->session.text, "the bridge speaks link protocol %llu, and this libloom %d",
                 (unsigned long long)f->protocol, LINK_PROTOCOL);
        return LOOM_EVERSION;
    }
    loom_status st = LOOM_OK;
    begin_session(a, f);
    pthread_mutex_lock(&a->lock);
    bool lower = f->max_payload != 0 && f->max_payload < LOOM_PAYLOAD_MAX;
    a->max_payload = lower ? (uint32_t)f->max_payload : LOOM_PAYLOAD_MAX;
    a->keep_ns = a->session.heartbeat_ns;
    send_queue_begin(&a->out, f->credit_bytes);
    for (size_t i = 0; i < a->subs.count && st == LOOM_OK; i++) {
        st = session_subscribe(a, a->subs.items[i]);
    }
    if (st == LOOM_OK && (st = capabilities_announce(a)) == LOOM_OK) {
        st = open_calls_send(a);
    }
    pthread_mutex_unlock(&a->lock);
    if (st != LOOM_OK) {
        return broken(a, st, loom_status_text(st));
    }
    session_set_state(a, LOOM_AGENT_CONNECTED, LOOM_OK, "connected");
    return LOOM_OK;
}

static void on_ack(loom_agent *a, const frame_outcome *f)
{
    char text[SESSION_TEXT_SIZE] = "";
    loom_status answer = f->status == LOOM_OK ? LOOM_OK : status_of(f->status, LOOM_EPROTO);
    if (capabilities_on_ack(a, f, answer)) {
        return;
    }
    pthread_mutex_lock(&a->lock);
    subscription *sub = f->request % 2 == 0 ? subscriptions_find(&a->subs, f->request / 2) : NULL;
    if (sub != NULL) {
        subscription_answered(&a->subs, sub, answer);
        agent_changed(a);
        snprintf(text, sizeof text, "subscription to %.100s refused: %.*s", sub->filter,
                 (int)(f->text.len < 160 ? f->text.len : 160), f->text.len > 0 ? f->text.data : "");
    }
    pthread_mutex_unlock(&a->lock);
    if (sub != NULL && answer != LOOM_OK) {
        report_refusal(a, answer, text);
    }
}

static void on_notice(loom_agent *a, const frame_outcome *f)
{
    char id[LOOM_UUID_TEXT_SIZE] = "", text[SESSION_TEXT_SIZE];
    if (f->message_id.len == LOOM_UUID_SIZE) {
        loom_uuid_to_text(id, f->message_id.data);
    }
    snprintf(text, sizeof text, "message %s refused: %.*s", id, (int)(f->text.len < 200 ? f->text.len : 200),
             f->text.len > 0 ? f->text.data : "");
    report_refusal(a, status_of(f->status, LOOM_EPROTO), text);
}

static loom_status on_ping(loom_agent *a, uint64_t number)
{
    pthread_mutex_lock(&a->lock);
    loom_status st = frame_put_number(&a->out.control, FRAME_PONG, number);
    agent_control_waits(a);
    pthread_mutex_unlock(&a->lock);
    return st == LOOM_OK ? st : broken(a, st, loom_status_text(st));
}

static void on_pong(loom_agent *a, uint64_t number)
{
    session *s = &a->session;
    if (s->pinged && number == s->ping) {
        s->pinged = false;
        s->missed = 0;
        pthread_mutex_lock(&a->lock);
        send_queue_read_up_to(&a->out, s->ping_mark);
        pthread_mutex_unlock(&a->lock);
    }
}

static void on_credit(loom_agent *a, uint64_t bytes)
{
    pthread_mutex_lock(&a->lock);
    send_queue_grant(&a->out, bytes);
    pthread_mutex_unlock(&a->lock);
}

static loom_status on_end(loom_agent *a, const frame *f)
{
    const frame_outcome *end = &f->u.outcome;
    loom_status st = status_of(end->status, f->type == FRAME_BYE ? LOOM_ECLOSED : LOOM_EPROTO);
    const char *what = f->type == FRAME_BYE ? "the bridge said goodbye" : "the bridge ended the session";
    const char *text = end->text.len > 0 ? end->text.data : loom_status_text(st);
    size_t len = end->text.len > 0 ? end->text.len : strlen(text);
    snprintf(a->session.text, sizeof a->session.text, "%s: %.*s", what, (int)(len < 200 ? len : 200), text);
    return st;
}

static loom_status on_frame(loom_agent *a, const frame *f)
{
    bool greeting = f->type == FRAME_WELCOME || f->type == FRAME_ERROR || f->type == FRAME_BYE || f->type == FRAME_PING;
    if (a->session.phase == SESSION_HELLO && !greeting) {
        snprintf(a->session.text, sizeof a->session.text, "the bridge sent a frame of type %s before its welcome",
                 frame_type_name(f->type));
        return LOOM_EPROTO;
    }
    switch (f->type) {
    case FRAME_WELCOME: return on_welcome(a, &f->u.welcome);
    case FRAME_DELIVER: return dispatch_batch(a, &f->u.batch);
    case FRAME_CREDIT: on_credit(a, f->u.credit.bytes); return LOOM_OK;
    case FRAME_PING: return on_ping(a, f->u.number);
    case FRAME_PONG: on_pong(a, f->u.number); return LOOM_OK;
    case FRAME_ACK: on_ack(a, &f->u.outcome); return LOOM_OK;
    case FRAME_NOTICE: on_notice(a, &f->u.outcome); return LOOM_OK;
    case FRAME_ERROR:
    case FRAME_BYE: return on_end(a, f);
    case FRAME_CALL: return actions_on_call(a, &f->u.call);
    case FRAME_CANCEL: actions_on_cancel(a, f->u.cancel.call_id); return LOOM_OK;
    case FRAME_CALL_CREDIT:
        actions_on_credit(a, f->u.call_credit.call_id, f->u.call_credit.chunks, f->u.call_credit.bytes);
        return LOOM_OK;
    case FRAME_RESULT: open_calls_on_result(a, &f->u.result); return LOOM_OK;
    case FRAME_REPORT: return open_calls_on_report(a, &f->u.report);
    default:
        snprintf(a->session.text, sizeof a->session.text, "the bridge sent a frame of type %s", frame_type_name(f->type));
        return LOOM_EPROTO;
    }
}

/* The handlers that a frame has led to may wait, and read on meanwhile: what the frame lies in stays until they are
 * through. LOOM_ECLOSED: its connection has ended meanwhile. */
static loom_status on_frame_in(loom_agent *a, receive_buffer *in, const frame *f)
{
    const held_buffer *held = a->held;
    uint64_t links = a->links;
    in->parsing = true;
    loom_status st = on_frame(a, f);
    in->parsing = false;
    held_buffers_free(&a->held, held);
    if (st == LOOM_OK && a->links == links) {
        st = dispatch_kept(a);
    }
    return a->links == links ? st : LOOM_ECLOSED;
}

loom_status session_frames(loom_agent *a)
{
    receive_buffer *in = &a->in;
    uint64_t links = a->links;
    for (;;) {
        loom_bytes body;
        size_t need;
        loom_status st = frame_split((loom_bytes){in->data + in->begin, in->end - in->begin}, &body, &need);
        if (st == LOOM_EBUSY) {
            return LOOM_OK;
        }
        if (st != LOOM_OK) {
            return broken(a, LOOM_EPROTO, "what the bridge sends is no link frame (its length makes no sense)");
        }
        frame f;
        char reason[FRAME_REASON_SIZE];
        in->begin += need;
        if (frame_decode(&f, body, reason) != LOOM_OK) {
            snprintf(a->session.text, sizeof a->session.text, "the bridge sent what cannot be read: %s", reason);
            return LOOM_EPROTO;
        }
        if ((st = on_frame_in(a, in, &f)) != LOOM_OK) {
            return a->links == links ? st : LOOM_OK;
        }
    }
}
