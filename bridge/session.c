/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a session: new → open (hello) → ended. Frames come in through session_receive(), which hands each to its
 * verb; what the verbs and the bus have to say collects in out.
 *
 * A session that ends leaves the bus and the table of agents at once, whoever ended it. After that nothing of it can
 * touch the session that replaced it; only its last bytes are still sent. */
#include "bridge/session.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/agents.h"

session_info session_describe(const session *s)
{
    return (session_info){
        .agent = session_agent(s),
        .peer = s->peer,
        .id = s->id,
        .last_heard_ms = s->heard_ms,
        .published = s->published,
        .forwarded = s->forwarded,
        .pressed = s->pressed,
    };
}

void session_log(const session *s, bridge_log_level level, const char *format, ...)
{
    if (s->bridge->options.log == NULL) {
        return;
    }
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    session_info about = session_describe(s);
    s->bridge->options.log(s->bridge->options.log_user, level, &about, text);
}

loom_status session_open(bridge *b, session **out, const session_io *io, void *user, const char *peer)
{
    *out = NULL;
    if (b->stats.sessions >= b->options.max_sessions) {
        return LOOM_EFULL;
    }
    session *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return LOOM_ENOMEM;
    }
    if ((s->peer = strndup(peer, 128)) == NULL) {
        free(s);
        return LOOM_ENOMEM;
    }
    s->bridge = b;
    s->io = io;
    s->io_user = user;
    s->id = ++b->next_session;
    s->opened_ms = s->heard_ms = b->now_ms;
    frame_writer_init(&s->out);
    s->next = b->sessions;
    if (s->next != NULL) {
        s->next->prev = s;
    }
    b->sessions = s;
    b->stats.sessions++;
    *out = s;
    return LOOM_OK;
}

/* Off the bus and out of the table, if this very session is the one that is in it. */
static void withdraw(session *s)
{
    bridge *b = s->bridge;
    if (s->port != NULL) {
        b->options.bus->ops->detach(b->options.bus, s->port);
        s->port = NULL;
    }
    agents_leave(b, s);
}

void session_end(session *s, frame_type how, loom_status why, const char *text)
{
    if (s->state == SESSION_ENDED) {
        return;
    }
    withdraw(s);
    s->state = SESSION_ENDED;
    session_log(s, why == LOOM_OK || why == LOOM_ECLOSED ? BRIDGE_LOG_INFO : BRIDGE_LOG_WARN, "session ended: %s (%s)", text,
                loom_status_name(why));
    frame_outcome f = {.status = (uint64_t)why, .text = {text, strlen(text)}};
    (void)!frame_put_outcome(&s->out, how, &f); /* without memory the connection just closes */
    s->io->ended(s->io_user);
}

void session_close(session *s)
{
    bridge *b = s->bridge;
    if (s->state != SESSION_ENDED) {
        session_log(s, BRIDGE_LOG_INFO, "session ended: connection closed");
        withdraw(s);
    }
    if (s->prev != NULL) {
        s->prev->next = s->next;
    } else {
        b->sessions = s->next;
    }
    if (s->next != NULL) {
        s->next->prev = s->prev;
    }
    b->stats.sessions--;
    frame_writer_fini(&s->out);
    free(s->peer);
    free(s);
}

void session_appended(session *s, loom_status st)
{
    if (st != LOOM_OK) {
        s->doomed = true;
    }
}

void session_wake(session *s, size_t before)
{
    if (before == 0 && s->out.len > 0) {
        s->io->output(s->io_user);
    }
}

frame_writer *session_output(session *s)
{
    return &s->out;
}

void session_sent(session *s, size_t backlog)
{
    s->backlog = backlog;
    if (s->reply_bytes > backlog + s->out.len) { /* no more than all that is unread */
        s->reply_bytes = backlog + s->out.len;
    }
    session_apply_credit(s, false);
}

void session_apply_credit(session *s, bool granted)
{
    if (s->port == NULL) {
        return;
    }
    size_t waiting = s->backlog + s->out.len;
    uint64_t room = waiting < SESSION_BACKLOG_MAX ? SESSION_BACKLOG_MAX - waiting : 0;
    uint64_t bytes = s->forwarded_bytes + room;
    if (bytes > s->credit_bytes) {
        bytes = s->credit_bytes;
    }
    if (bytes < s->granted_bytes) {
        bytes = s->granted_bytes;
    }
    /* when the agent has not granted anew, only a good part of its backlog read is worth telling, or all that it allows */
    bool last = bytes == s->credit_bytes && bytes > s->granted_bytes;
    if (granted || last || bytes - s->granted_bytes > SESSION_BACKLOG_MAX / 4) {
        s->granted_bytes = bytes;
        s->bridge->options.bus->ops->grant(s->bridge->options.bus, s->port, s->credit_messages, bytes);
    }
}

void session_grant_publish(session *s)
{
    uint32_t window = s->bridge->options.publish_window;
    /* a message larger than half the window may have overdrawn it: published is then past granted */
    if (s->state != SESSION_OPEN || s->pressed || s->publish_granted > s->published_bytes + window / 2) {
        return;
    }
    s->publish_granted = s->published_bytes + window;
    size_t before = s->out.len;
    session_appended(s, frame_put_credit(&s->out, 0, s->publish_granted));
    session_wake(s, before);
}

void session_ack(session *s, uint64_t request, loom_status st, const char *text)
{
    frame_outcome f = {.request = request, .status = (uint64_t)st, .text = {text, strlen(text)}};
    size_t before = s->out.len;
    session_appended(s, frame_put_outcome(&s->out, FRAME_ACK, &f));
    s->reply_bytes += s->out.len - before;
    session_wake(s, before);
}

static void pong(session *s, uint64_t number)
{
    size_t before = s->out.len;
    session_appended(s, frame_put_number(&s->out, FRAME_PONG, number));
    s->reply_bytes += s->out.len - before;
    session_wake(s, before);
}

static loom_status unexpected(frame_type type, char reason[FRAME_REASON_SIZE], const char *when)
{
    snprintf(reason, FRAME_REASON_SIZE, "%s frame %s", frame_type_name(type), when);
    return LOOM_EPROTO;
}

/* The table of verbs. */
static loom_status handle(session *s, const frame *f, char reason[FRAME_REASON_SIZE])
{
    if (s->state == SESSION_NEW && f->type != FRAME_HELLO) {
        return unexpected(f->type, reason, "before hello");
    }
    switch (f->type) {
    case FRAME_HELLO:
        return s->state == SESSION_NEW ? on_hello(s, &f->u.hello, reason) : unexpected(f->type, reason, "twice");
    case FRAME_SUBSCRIBE: return on_subscribe(s, &f->u.subscribe);
    case FRAME_UNSUBSCRIBE: return on_unsubscribe(s, &f->u.unsubscribe);
    case FRAME_PUBLISH: return on_publish(s, &f->u.batch, reason);
    case FRAME_CREDIT: on_credit(s, f->u.credit.messages, f->u.credit.bytes); return LOOM_OK;
    case FRAME_CALL: on_call(s, &f->u.call); return LOOM_OK;
    case FRAME_RESULT:
    case FRAME_CANCEL: return LOOM_OK; /* of a call that is not there (any more) */
    case FRAME_PROVIDE:
        session_ack(s, f->u.provide.request, LOOM_EVERSION, "this broker does not serve capabilities");
        return LOOM_OK;
    case FRAME_PING: pong(s, f->u.number); return LOOM_OK;
    case FRAME_PONG: s->pinged = false; return LOOM_OK;
    case FRAME_ERROR:
    case FRAME_BYE:
        session_log(s, BRIDGE_LOG_DEBUG, "agent says %s: \"%.*s\"", frame_type_name(f->type), (int)f->u.outcome.text.len,
                    f->u.outcome.text.data != NULL ? f->u.outcome.text.data : "");
        session_end(s, FRAME_BYE, LOOM_OK, "goodbye");
        return LOOM_OK;
    default: return unexpected(f->type, reason, "is not for a bridge");
    }
}

/* One frame. False: the session has ended. */
static bool receive_frame(session *s, loom_bytes body)
{
    frame f;
    char reason[FRAME_REASON_SIZE];
    loom_status st = frame_decode(&f, body, reason);
    if (st == LOOM_OK) {
        st = handle(s, &f, reason);
    }
    if (st != LOOM_OK) {
        s->bridge->stats.protocol_errors++;
        session_end(s, FRAME_ERROR, st, reason);
    } else if (s->doomed) {
        session_end(s, FRAME_ERROR, LOOM_ENOMEM, "the bridge is out of memory");
    } else if (s->reply_bytes > SESSION_REPLIES_MAX) {
        session_end(s, FRAME_ERROR, LOOM_EFULL, "the agent does not read the answers to its requests");
    }
    return s->state != SESSION_ENDED;
}

size_t session_receive(session *s, uint8_t *data, size_t len, size_t *need)
{
    size_t done = 0;
    s->heard_ms = s->bridge->now_ms;
    s->pinged = false;
    *need = 0;
    while (s->state != SESSION_ENDED) {
        loom_bytes body;
        loom_status st = frame_split((loom_bytes){data + done, len - done}, &body, need);
        if (s->state == SESSION_NEW && *need > SESSION_HELLO_MAX) {
            st = LOOM_ETOOBIG; /* a stranger gets no large buffer */
        }
        if (st == LOOM_EBUSY) {
            return done;
        }
        if (st != LOOM_OK) {
            s->bridge->stats.protocol_errors++;
            session_end(s, FRAME_ERROR, st, "frame length is zero or over the limit: is this a Loom agent link?");
            break;
        }
        done += FRAME_HEADER_SIZE + body.len;
        if (!receive_frame(s, body)) {
            break;
        }
    }
    return len; /* nothing after the end of a session counts */
}
