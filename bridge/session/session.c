/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a session: new → open (hello) → ended. What is said to its agent collects in out.
 *
 * A session that ends leaves the bus and the table of agents at once, no matter who ended it. After that nothing of it can
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
    frame_outcome f = {.status = (uint64_t)why, .text = {text, strlen(text)}, .messages = s->published + s->refused};
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

void session_append_failed(session *s, loom_status st)
{
    session_doom(s, st, st == LOOM_ENOMEM ? "the bridge is out of memory" : "a frame for the agent is over its limit");
}

static void count_unread(session *s, session_unread *u, size_t bytes, uint64_t max, const char *text)
{
    u->newer += bytes;
    if (u->older + u->newer > max && s->backlog + s->out.len > max) { /* the first may count what has been read */
        session_doom(s, LOOM_EFULL, text);
    }
}

void session_count_unread(session *s, session_kind kind, size_t bytes)
{
    if (kind == SESSION_REPLY) {
        count_unread(s, &s->replies, bytes, SESSION_REPLIES_MAX, "the agent does not read the answers to its requests");
    } else {
        count_unread(s, &s->calls, bytes, SESSION_CALLS_MAX, "the agent does not read its calls and their results");
    }
}

frame_writer *session_output(session *s)
{
    return &s->out;
}

void session_pass_up(session *s, const frame *f)
{
    s->bridge->options.bus->ops->frame(s->bridge->options.bus, s->port, f);
}
