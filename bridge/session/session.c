/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a session: new → open (hello) → ended. Frames come in through session_receive(), which hands each to its
 * verb; what the verbs and the bus have to say collects in out.
 *
 * A session that ends leaves the bus and the table of agents at once, whoever ended it. After that nothing of it can
 * touch the session that replaced it; only its last bytes are still sent. */
#include "bridge/session/session.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/session/agents.h"
#include "bridge/session/attempts.h"

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

void session_log(const session *s, log_level level, const char *format, ...)
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
    s->opened_ms = s->heard_ms = s->told_ms = b->clock->now_ms;
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
static void withdraw(session *s, loom_status why)
{
    bridge *b = s->bridge;
    if (s->port != NULL) {
        b->options.bus->ops->detach(b->options.bus, s->port, why);
        s->port = NULL;
    }
    attempts_end_all(s);
    agents_leave(b, s);
}

void session_end(session *s, frame_type how, loom_status why, const char *text)
{
    if (s->state == SESSION_ENDED) {
        return;
    }
    withdraw(s, why);
    s->state = SESSION_ENDED;
    session_log(s, why == LOOM_OK || why == LOOM_ECLOSED ? LOG_INFO : LOG_WARN, "session ended: %s (%s)", text,
                loom_status_name(why));
    frame_outcome f = {.status = (uint64_t)why, .text = {text, strlen(text)}};
    (void)!frame_put_outcome(&s->out, how, &f); /* without memory the connection just closes */
    s->io->ended(s->io_user);
}

void session_close(session *s)
{
    bridge *b = s->bridge;
    if (s->state != SESSION_ENDED) {
        session_log(s, LOG_INFO, "session ended: connection closed");
        withdraw(s, LOOM_ENOTCONN);
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

void session_doom(session *s, loom_status why, const char *text)
{
    if (s->doom == LOOM_OK) {
        s->doom = why;
        s->doom_text = text;
    }
}

void session_end_doomed(session *s)
{
    if (s->doom != LOOM_OK) {
        session_end(s, FRAME_ERROR, s->doom, s->doom_text);
    }
}

void session_appended(session *s, loom_status st)
{
    if (st != LOOM_OK) {
        session_doom(s, st, st == LOOM_ENOMEM ? "the bridge is out of memory" : "a frame for the agent is over its limit");
    }
}

void session_wake(session *s, size_t before)
{
    s->appended += s->out.len - before;
    if (before == 0 && s->out.len > 0) {
        s->io->output(s->io_user);
    }
}

/* out grew from before by frames of the kind that u counts. */
static void count_unread(session *s, session_unread *u, size_t before, uint64_t max, const char *text)
{
    u->newer += s->out.len - before;
    if (u->older + u->newer > max && s->backlog + s->out.len > max) { /* the first may count what has been read */
        session_doom(s, LOOM_EFULL, text);
    }
    session_wake(s, before);
}

void session_replied(session *s, size_t before)
{
    count_unread(s, &s->replies, before, SESSION_REPLIES_MAX, "the agent does not read the answers to its requests");
}

void session_called(session *s, size_t before)
{
    count_unread(s, &s->calls, before, SESSION_CALLS_MAX, "the agent does not read its calls and their results");
}

static void forget_read(session_unread *u, uint64_t read, uint64_t appended)
{
    if (read == appended) {
        *u = (session_unread){.mark = appended};
    } else if (read >= u->mark) {
        *u = (session_unread){.older = u->newer, .mark = appended};
    }
}

frame_writer *session_output(session *s)
{
    return &s->out;
}

void session_sent(session *s, size_t backlog)
{
    uint64_t waiting = backlog + s->out.len;
    uint64_t read = s->appended > waiting ? s->appended - waiting : 0; /* a carrier's own bytes may be in the backlog */
    s->backlog = backlog;
    forget_read(&s->replies, read, s->appended);
    forget_read(&s->calls, read, s->appended);
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

void session_pass_up(session *s, const frame *f)
{
    s->bridge->options.bus->ops->frame(s->bridge->options.bus, s->port, f);
}

static void pong(session *s, uint64_t number)
{
    size_t before = s->out.len;
    session_appended(s, frame_put_number(&s->out, FRAME_PONG, number));
    session_replied(s, before);
}

static loom_status unexpected(frame_type type, char reason[FRAME_REASON_SIZE], const char *when)
{
    snprintf(reason, FRAME_REASON_SIZE, "%s frame %s", frame_type_name(type), when);
    return LOOM_EPROTO;
}

static void goodbye(session *s, frame_type how, loom_str text)
{
    session_log(s, LOG_DEBUG, "agent says %s: \"%.*s\"", frame_type_name(how), (int)text.len,
                text.data != NULL ? text.data : "");
    if (how == FRAME_BYE) {
        session_end(s, FRAME_BYE, LOOM_OK, "goodbye");
    } else {
        session_end(s, FRAME_BYE, LOOM_EREMOTE, "the agent ended it with an error");
    }
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
    case FRAME_SUBSCRIBE:
    case FRAME_UNSUBSCRIBE:
    case FRAME_PROVIDE: /* the bus answers with an ack */
    case FRAME_CALL_CREDIT: session_pass_up(s, f); return LOOM_OK;
    case FRAME_PUBLISH: return on_publish(s, &f->u.batch, reason);
    case FRAME_CREDIT: on_credit(s, f->u.credit.messages, f->u.credit.bytes); return LOOM_OK;
    case FRAME_CALL: return on_call(s, &f->u.call, reason);
    case FRAME_CANCEL: on_cancel(s, f); return LOOM_OK;
    case FRAME_RESULT: on_result(s, f); return LOOM_OK;
    case FRAME_REPORT: on_report(s, f); return LOOM_OK;
    case FRAME_PING: pong(s, f->u.number); return LOOM_OK;
    case FRAME_PONG: s->pinged = false; return LOOM_OK;
    case FRAME_ERROR:
    case FRAME_BYE: goodbye(s, f->type, f->u.outcome.text); return LOOM_OK;
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
    } else {
        session_end_doomed(s);
    }
    return s->state != SESSION_ENDED;
}

size_t session_receive(session *s, uint8_t *data, size_t len, size_t *need)
{
    size_t done = 0;
    s->heard_ms = s->bridge->clock->now_ms;
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
