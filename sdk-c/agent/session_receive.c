/* SPDX-License-Identifier: Apache-2.0 */
/* Reads, splits the frames, handles those that are about the session itself, and passes on all others to the handlers that
 * session_ops names. */
#include "sdk-c/agent/session_receive.h"

#include <stdio.h>
#include <string.h>

#include "envelope/id.h"

#define RENEW_NS (20 * MS_NS)

enum { REVIEW_STEP_MAX = 64 };
enum { HEARTBEAT_DEFAULT_MS = 15000, HEARTBEAT_MIN_MS = 10, RECEIVE_ROUNDS = 16 };

static loom_status out_of_memory(session *s, loom_status st)
{
    return session_fail(s, st, "%s", loom_status_text(st));
}

/* ---- credit for the bridge ---- */

static uint64_t half_of(uint64_t window)
{
    return window > 1 ? window / 2 : 1;
}

/* The bridge has a whole window of credit, from what is handled on. */
static void credit_granted(session *s, uint64_t now)
{
    s->half_messages = s->handled_messages + half_of(s->options->receive_messages);
    s->half_bytes = s->handled_bytes + half_of(s->options->receive_bytes);
    s->granted_ns = now;
}

static void review_later(session *s)
{
    uint64_t next = s->handled_messages + s->review_step;
    s->review_messages = next < s->half_messages ? next : s->half_messages;
}

static loom_status renew_credit(session *s, uint64_t now)
{
    credit_granted(s, now);
    pthread_mutex_lock(&s->loop->lock);
    loom_status st = frame_put_credit(&s->loop->out.control, s->handled_messages + s->options->receive_messages,
                                      s->handled_bytes + s->options->receive_bytes);
    loop_control_waits(s->loop);
    pthread_mutex_unlock(&s->loop->lock);
    return st == LOOM_OK ? st : out_of_memory(s, st);
}

/* Whether half of the credit is used, or handlers have been busy for RENEW_NS since it was granted: a broker does not wait
 * for an agent that seems to take nothing. The clock is looked at once in so many messages, fewer when they take long. */
static loom_status review_credit(session *s)
{
    const uint64_t now = clock_monotonic_ns();
    loom_status st = LOOM_OK;
    if (s->reviewed_read != s->reads) {
        s->reviewed_read = s->reads;
        s->busy_since_ns = now; /* before, it may have been idle */
    }
    const uint64_t since = s->granted_ns > s->busy_since_ns ? s->granted_ns : s->busy_since_ns;
    if (s->handled_messages >= s->half_messages || s->handled_bytes >= s->half_bytes || now - since >= RENEW_NS) {
        st = renew_credit(s, now);
    }
    const bool fast = now - s->reviewed_ns < RENEW_NS / 4;
    s->review_step = !fast ? 1 : s->review_step < REVIEW_STEP_MAX ? s->review_step * 2 : REVIEW_STEP_MAX;
    s->reviewed_ns = now;
    review_later(s);
    return st;
}

loom_status session_delivered(session *s, uint64_t connection, uint32_t len)
{
    if (s->connection != connection) {
        return LOOM_OK; /* credit is that of one session */
    }
    s->handled_messages++;
    s->handled_bytes += len;
    bool due = s->handled_messages >= s->review_messages || s->handled_bytes >= s->half_bytes;
    return due ? review_credit(s) : LOOM_OK;
}

/* ---- the session's own frames ---- */

static void begin_session(session *s, const frame_welcome *f)
{
    uint64_t heartbeat_ms = f->heartbeat_ms != 0 ? f->heartbeat_ms : HEARTBEAT_DEFAULT_MS;
    if (s->options->heartbeat_ms != 0 && s->options->heartbeat_ms < heartbeat_ms) {
        heartbeat_ms = s->options->heartbeat_ms;
    }
    heartbeat_ms = heartbeat_ms > HEARTBEAT_MIN_MS ? heartbeat_ms : HEARTBEAT_MIN_MS;
    heartbeat_ms = heartbeat_ms < UINT32_MAX ? heartbeat_ms : UINT32_MAX;
    s->phase = SESSION_UP;
    s->up_since = clock_monotonic_ns();
    s->heartbeat_ns = heartbeat_ms * MS_NS;
    s->next_heartbeat = s->up_since + s->heartbeat_ns;
    s->pinged = false;
    s->inquiry = 0;
    s->heard = true;
    s->missed = 0;
    s->handled_messages = s->handled_bytes = 0;
    credit_granted(s, s->up_since);
    s->review_step = 1;
    review_later(s);
    if (s->ever_up) {
        atomic_fetch_add_explicit(&s->reconnects, 1, memory_order_relaxed);
    }
    s->ever_up = true;
}

static loom_status on_welcome(session *s, const frame_welcome *f)
{
    if (s->phase != SESSION_HELLO) {
        return session_fail(s, LOOM_EPROTO, "the bridge sent a second welcome");
    }
    if (f->protocol != LINK_PROTOCOL) {
        return session_fail(s, LOOM_EVERSION, "the bridge speaks link protocol %llu, and this libloom %d",
                            (unsigned long long)f->protocol, LINK_PROTOCOL);
    }
    begin_session(s, f);
    pthread_mutex_lock(&s->loop->lock);
    bool lower = f->max_payload != 0 && f->max_payload < LOOM_PAYLOAD_MAX;
    s->max_payload = lower ? (uint32_t)f->max_payload : LOOM_PAYLOAD_MAX;
    s->asks = f->asks;
    s->keep_ns = s->heartbeat_ns;
    send_queue_begin(&s->loop->out, f->credit_bytes);
    loom_status st = s->ops->begun(s->agent, f);
    pthread_mutex_unlock(&s->loop->lock);
    if (st != LOOM_OK) {
        return out_of_memory(s, st);
    }
    session_set_state(s, LOOM_AGENT_CONNECTED, LOOM_OK, "connected");
    return LOOM_OK;
}

static void on_notice(session *s, const frame_outcome *f)
{
    char id[LOOM_UUID_TEXT_SIZE] = "", text[SESSION_TEXT_SIZE];
    if (f->message_id.len == LOOM_UUID_SIZE) {
        loom_uuid_to_text(id, f->message_id.data);
    }
    snprintf(text, sizeof text, "message %s refused: %.*s", id, (int)(f->text.len < 200 ? f->text.len : 200),
             f->text.len > 0 ? f->text.data : "");
    s->ops->refused(s->agent, session_status_of(f->status, LOOM_EPROTO), text);
}

static loom_status on_ping(session *s, uint64_t number)
{
    pthread_mutex_lock(&s->loop->lock);
    loom_status st = frame_put_number(&s->loop->out.control, FRAME_PONG, number);
    loop_control_waits(s->loop);
    pthread_mutex_unlock(&s->loop->lock);
    return st == LOOM_OK ? st : out_of_memory(s, st);
}

static void on_pong(session *s, uint64_t number)
{
    pthread_mutex_lock(&s->loop->lock);
    if (s->pinged && number == s->ping) {
        s->pinged = false;
        s->missed = 0;
        send_queue_read_up_to(&s->loop->out, s->ping_mark);
    } else if (number != 0 && number == s->inquiry) {
        s->inquiry = 0;
        send_queue_read_up_to(&s->loop->out, s->inquiry_mark);
    }
    pthread_mutex_unlock(&s->loop->lock);
}

static void on_credit(session *s, uint64_t bytes)
{
    pthread_mutex_lock(&s->loop->lock);
    send_queue_grant(&s->loop->out, bytes);
    pthread_mutex_unlock(&s->loop->lock);
}

static loom_status on_end(session *s, const frame *f)
{
    const frame_outcome *end = &f->u.outcome;
    bool bye = f->type == FRAME_BYE;
    loom_status st = session_status_of(end->status, bye ? LOOM_ECLOSED : LOOM_EPROTO);
    const char *text = end->text.len > 0 ? end->text.data : loom_status_text(st);
    size_t len = end->text.len > 0 ? end->text.len : strlen(text);
    pthread_mutex_lock(&s->loop->lock);
    send_queue_read_in_all(&s->loop->out, end->messages);
    pthread_mutex_unlock(&s->loop->lock);
    return session_fail(s, st, "%s: %.*s", bye ? "the bridge said goodbye" : "the bridge ended the session",
                        (int)(len < 200 ? len : 200), text);
}

static loom_status on_own_frame(session *s, const frame *f)
{
    switch (f->type) {
    case FRAME_WELCOME: return on_welcome(s, &f->u.welcome);
    case FRAME_PING: return on_ping(s, f->u.number);
    case FRAME_ERROR:
    case FRAME_BYE: return on_end(s, f);
    default: break;
    }
    if (s->phase == SESSION_HELLO) {
        return session_fail(s, LOOM_EPROTO, "the bridge sent a frame of type %s before its welcome",
                            frame_type_name(f->type));
    }
    switch (f->type) {
    case FRAME_CREDIT: on_credit(s, f->u.credit.bytes); return LOOM_OK;
    case FRAME_PONG: on_pong(s, f->u.number); return LOOM_OK;
    case FRAME_NOTICE: on_notice(s, &f->u.outcome); return LOOM_OK;
    default: return session_fail(s, LOOM_EPROTO, "the bridge sent a frame of type %s", frame_type_name(f->type));
    }
}

/* ---- all frames ---- */

static loom_status on_frame(session *s, const frame *f)
{
    frame_handler *handler = (unsigned)f->type < SESSION_FRAMES ? s->ops->frames[f->type] : NULL;
    return handler != NULL && s->phase == SESSION_UP ? handler(s->agent, f) : on_own_frame(s, f);
}

/* Handlers may wait and read on meanwhile: the bytes of the frame stay where they are until it has been handled.
 * LOOM_ECLOSED: its connection has ended meanwhile. */
static loom_status handle_frame(session *s, const frame *f)
{
    const uint64_t connection = s->connection;
    const held_bytes *mark = receive_buffer_begin(&s->in);
    loom_status st = on_frame(s, f);
    receive_buffer_end(&s->in, mark);
    if (st == LOOM_OK && s->connection == connection) {
        st = s->ops->between_frames(s->agent);
    }
    return s->connection == connection ? st : LOOM_ECLOSED;
}

/* Anything but LOOM_OK ends the connection, s->text being why. */
static loom_status handle_all(session *s)
{
    const uint64_t connection = s->connection;
    for (;;) {
        loom_bytes body;
        switch (receive_buffer_next(&s->in, &body)) {
        case FRAME_WHOLE: break;
        case FRAME_PARTIAL: return LOOM_OK;
        case FRAME_BAD_LENGTH:
            return session_fail(s, LOOM_EPROTO, "what the bridge sends is no link frame (its length makes no sense)");
        }
        frame f;
        char reason[FRAME_REASON_SIZE];
        if (frame_decode(&f, body, reason) != LOOM_OK) {
            return session_fail(s, LOOM_EPROTO, "the bridge sent what cannot be read: %s", reason);
        }
        loom_status st = handle_frame(s, &f);
        if (st != LOOM_OK) {
            return s->connection == connection ? st : LOOM_OK;
        }
    }
}

/* ---- reading ---- */

/* False: stop reading; the session may be another one. */
static bool handle_frames(session *s)
{
    uint64_t connection = s->connection;
    loom_status st = handle_all(s);
    if (s->connection != connection) {
        return false; /* a handler waited, and this connection ended meanwhile */
    }
    if (st != LOOM_OK) {
        session_break(s, st, s->text);
    }
    return st == LOOM_OK;
}

void session_read_on(session *s)
{
    if (s->phase == SESSION_HELLO || s->phase == SESSION_UP) {
        (void)handle_frames(s);
    }
}

static void read_link(session *s)
{
    receive_buffer *in = &s->in;
    for (int i = 0; i < RECEIVE_ROUNDS; i++) {
        if (!receive_buffer_reserve(in)) {
            session_break(s, LOOM_ENOMEM, "no memory for what the bridge sends");
            return;
        }
        size_t got, room = in->capacity - in->end;
        loom_status st = s->loop->link->ops->receive(s->loop->link, in->data + in->end, room, &got);
        if (st == LOOM_EBUSY) {
            break;
        }
        if (st != LOOM_OK) {
            session_break(s, st, s->loop->link->why);
            return;
        }
        in->end += got;
        s->reads++;
        s->heard = true;
        if (!handle_frames(s)) {
            return;
        }
        if (got < room) {
            break;
        }
    }
    if (loop_write_failed(s->loop)) {
        session_break(s, LOOM_EIO, "connection broken while sending");
    }
}

void session_event(session *s)
{
    switch (s->phase) {
    case SESSION_DIALING: session_connect(s); break;
    case SESSION_HELLO:
    case SESSION_UP: read_link(s); break;
    case SESSION_WAITING:
    case SESSION_ENDED: break;
    }
}
