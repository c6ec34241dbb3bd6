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
#include "bridge/session/groups.h"
#include "bridge/session/unsent.h"

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

/* Lines of one kind are limited, whoever causes them; the next one that is written says how many were not. */
static void write_line(bridge *b, session_lines kind, log_level level, const session_info *about, const char *text)
{
    static const unsigned a_second[SESSION_LINES] = {
        [LINES_SESSIONS] = 200, [LINES_TAKEOVERS] = 5, [LINES_FAULTS] = 20, [LINES_STRANGERS] = 5, [LINES_REFUSALS] = 5};
    uint64_t suppressed;
    if (!rate_limit_pass(&b->lines[kind], b->clock->now_ms, 1000, a_second[kind], &suppressed)) {
        return;
    }
    b->options.log(b->options.log_user, level, about, text);
    if (suppressed > 0) {
        char more[64];
        snprintf(more, sizeof more, "suppressed similar messages count=%llu", (unsigned long long)suppressed);
        b->options.log(b->options.log_user, level, about, more);
    }
}

void session_log(const session *s, session_lines kind, log_level level, const char *format, ...)
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
    write_line(s->bridge, kind, level, &about, text);
}

void bridge_log_refusal(bridge *b, const char *peer, const char *why)
{
    if (b->options.log != NULL) {
        char text[256];
        snprintf(text, sizeof text, "connection refused: %s", why);
        write_line(b, LINES_REFUSALS, LOG_WARN, &(session_info){.peer = peer}, text);
    }
}

/* ---- connections without hello ---- */

void session_leave_strangers(session *s)
{
    if (s->state == SESSION_NEW) {
        list_remove(&s->bridge->strangers, &s->stranger);
        s->bridge->stranger_count--;
    }
}

loom_status bridge_make_room(bridge *b)
{
    session *oldest = list_item(b->strangers.first, session, stranger);
    if (oldest == NULL || b->round - oldest->opened_round <= 1) { /* who accepts may have its turn before those who read */
        return oldest == NULL ? LOOM_EFULL : LOOM_EBUSY;
    }
    session_end(oldest, FRAME_ERROR, LOOM_EFULL, "no hello, and others want the place");
    return LOOM_OK;
}

uint64_t bridge_next_hello_ms(const bridge *b)
{
    const session *oldest = list_item(b->strangers.first, session, stranger);
    return oldest != NULL ? oldest->opened_ms + SESSION_HELLO_MS : UINT64_MAX;
}

void bridge_expire_strangers(bridge *b)
{
    for (int left = SESSIONS_A_ROUND; left > 0 && bridge_next_hello_ms(b) <= b->clock->now_ms; left--) {
        session_end(list_item(b->strangers.first, session, stranger), FRAME_ERROR, LOOM_ETIMEDOUT, "no hello in time");
    }
}

/* Agents have their limit, and strangers theirs, so that connections that say nothing keep no agent out. */
static loom_status find_room(bridge *b)
{
    const uint32_t agents = b->options.max_sessions;
    const uint32_t strangers = agents > SESSION_STRANGERS_MIN ? agents : SESSION_STRANGERS_MIN;
    if (b->stats.agents >= agents) {
        return LOOM_EFULL;
    }
    return b->stranger_count < strangers ? LOOM_OK : bridge_make_room(b);
}

loom_status session_open(bridge *b, session **out, const session_io *io, void *user, const char *peer)
{
    *out = NULL;
    const loom_status st = find_room(b);
    if (st != LOOM_OK) {
        return st;
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
    s->opened_round = b->round;
    s->round = b->round;
    s->turn_left = SESSION_TURN;
    s->slice_end = SESSION_TURN - SESSION_SLICE_BESIDE;
    frame_writer_init(&s->out);
    s->next = b->sessions;
    if (s->next != NULL) {
        s->next->prev = s;
    }
    b->sessions = s;
    list_append(&b->strangers, &s->stranger);
    b->stranger_count++;
    b->stats.sessions++;
    *out = s;
    return LOOM_OK;
}

/* Off the bus and out of the table, if this very session is the one that is in it. */
static void withdraw(session *s, loom_status why)
{
    bridge *b = s->bridge;
    session_leave_strangers(s);
    b->stats.agents -= s->state == SESSION_OPEN;
    session_forget_owed(s);
    unsent_fini(s);
    session_give_back_unsent(s);
    if (s->port != NULL) {
        b->options.bus->ops->detach(b->options.bus, s->port, why);
        s->port = NULL;
    }
    attempts_end_all(s);
    span_sender_close(s->spans);
    s->spans = NULL;
    agents_leave(b, s);
}

void session_end(session *s, frame_type how, loom_status why, const char *text)
{
    if (s->state == SESSION_ENDED) {
        return;
    }
    const bool plain = why == LOOM_OK || why == LOOM_ECLOSED;
    const session_lines kind = s->state == SESSION_NEW ? LINES_STRANGERS
                               : why == LOOM_EREPLACED ? LINES_TAKEOVERS
                               : plain                 ? LINES_SESSIONS
                                                       : LINES_FAULTS;
    withdraw(s, why);
    s->state = SESSION_ENDED;
    session_log(s, kind, !plain ? LOG_WARN : session_level(s), "session ended: %s (%s)", text,
                loom_status_name(why));
    frame_outcome f = {.status = (uint64_t)why, .text = {text, strlen(text)}, .messages = s->published + s->refused};
    (void)!frame_put_outcome(&s->out, how, &f); /* without memory the connection just closes */
    s->io->ended(s->io_user);
}

void session_fail(session *s, loom_status why, const char *text)
{
    session_end(s, FRAME_ERROR, why, text);
}

void session_close(session *s)
{
    bridge *b = s->bridge;
    if (s->state != SESSION_ENDED) {
        session_log(s, s->state == SESSION_NEW ? LINES_STRANGERS : LINES_SESSIONS, session_level(s),
                    "session ended: connection closed");
        withdraw(s, LOOM_ENOTCONN);
    }
    b->to_tick = b->to_tick == s ? s->next : b->to_tick;
    b->to_move = b->to_move == s ? s->next : b->to_move;
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
    splices_clear(&s->spliced);
    groups_fini(s);
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
    if (u->older + u->newer > max && session_waiting(s) > max) { /* the first may count what has been read */
        session_doom(s, LOOM_EFULL, text);
    }
}

/* What each may leave unread is more than all together may: the one that has left the most ends. */
static void bound_all(bridge *b)
{
    uint64_t all = 0, most = 0;
    session *slowest = NULL;
    for (session *s = b->sessions; s != NULL; s = s->next) {
        const uint64_t waiting = s->doom == LOOM_OK ? session_waiting(s) : 0;
        all += waiting;
        slowest = waiting > most ? s : slowest;
        most = waiting > most ? waiting : most;
    }
    if (all > SESSION_WAITING_IN_ALL) {
        session_doom(slowest, LOOM_EFULL, "too much waits for the agents of this bridge, and the most for this one, which does not read");
    }
}

void session_count_unread(session *s, session_kind kind, size_t bytes)
{
    if (kind == SESSION_REPLY) {
        count_unread(s, &s->replies, bytes, SESSION_REPLIES_MAX, "the agent does not read the answers to its requests");
        return;
    }
    count_unread(s, &s->calls, bytes, SESSION_CALLS_MAX, "the agent does not read its calls and their results");
    const size_t waiting = session_waiting(s);
    if (waiting / SESSION_LOOK_BYTES != (waiting - bytes) / SESSION_LOOK_BYTES) {
        bound_all(s->bridge);
    }
}

frame_writer *session_output(session *s)
{
    return &s->out;
}

size_t session_unsent(const session *s)
{
    return s->out.len + s->spliced.bytes;
}

splices session_take_splices(session *s)
{
    const splices all = s->spliced;
    s->spliced = (splices){0};
    s->flying = s->forwarded;
    return all;
}

void session_pass_up(session *s, const frame *f)
{
    s->bridge->options.bus->ops->frame(s->bridge->options.bus, s->port, f);
}
