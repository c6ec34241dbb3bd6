/* SPDX-License-Identifier: Apache-2.0 */
/* What an agent sends: bytes into frames, and each frame to its verb (on_*.c).
 *
 * A session takes one turn in a round. Work is counted in bytes, which say how much there is to do in a publish, and in
 * frames of every other kind, which take a few microseconds each: without a limit on both, one agent that subscribes in a
 * loop holds everybody else up for as long as its socket has something to read. A turn is long, so that a read is worth its
 * system call; but after each slice of it the link is asked whether others wait, and if so, the turn is over. */
#include <stdio.h>

#include "bridge/session/groups.h"

static void pong(session *s, uint64_t number)
{
    const size_t mark = session_begin(s);
    session_commit(s, mark, SESSION_REPLY, frame_put_number(&s->out, FRAME_PONG, number));
}

static loom_status unexpected(frame_type type, char reason[FRAME_REASON_SIZE], const char *when)
{
    snprintf(reason, FRAME_REASON_SIZE, "%s frame %s", frame_type_name(type), when);
    return LOOM_EPROTO;
}

static void goodbye(session *s, frame_type how, loom_str text)
{
    s->bridge->goodbyes++;
    session_log(s, LINES_SESSIONS, LOG_DEBUG, "agent says %s: \"%.*s\"", frame_type_name(how), (int)text.len,
                text.data != NULL ? text.data : "");
    if (how == FRAME_BYE) {
        session_end(s, FRAME_BYE, LOOM_OK, "goodbye");
    } else {
        session_end(s, FRAME_BYE, LOOM_EREMOTE, "the agent ended it with an error");
    }
}

static bool is_alone(const session *s)
{
    return s->bridge->clock->now_ms - s->bridge->speaker_ms > SESSION_ALONE_MS;
}

static uint64_t ahead_max(const session *s)
{
    return is_alone(s) ? SESSION_AHEAD_ALONE : SESSION_AHEAD_MAX;
}

/* Something went up: the turn ends when it is too much for a broker in another process to come to soon. */
static void go_ahead(session *s, uint64_t work)
{
    bridge *b = s->bridge;
    if (b->speaker != s->id) {
        b->speaker = s->id;
        b->speaker_ms = b->clock->now_ms;
    }
    const uint64_t ahead = session_ahead_add(&s->ahead, b->options.bus, work), most = ahead_max(s);
    if (ahead >= most / 2) {
        b->options.bus->mark_wanted = true;
    }
    if (ahead >= most) {
        s->turn_left = 0;
        s->ahead_until_ms = b->clock->now_ms + SESSION_AHEAD_MS;
    }
}

/* Whether such a frame is work for the bus. */
static bool goes_up(frame_type type)
{
    return type != FRAME_PING && type != FRAME_PONG && type != FRAME_CREDIT && type != FRAME_SPANS && type != FRAME_RECORDED;
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
    case FRAME_UNSUBSCRIBE: groups_note(s, f); session_pass_up(s, f); return LOOM_OK;
    case FRAME_PROVIDE:
    case FRAME_ASK:
    case FRAME_CALL_CREDIT: session_pass_up(s, f); return LOOM_OK;
    case FRAME_PUBLISH: return on_publish(s, &f->u.batch, reason);
    case FRAME_CREDIT: on_credit(s, f->u.credit.messages, f->u.credit.bytes); return LOOM_OK;
    case FRAME_CALL: return on_call(s, &f->u.call, reason);
    case FRAME_CANCEL: on_cancel(s, f); return LOOM_OK;
    case FRAME_RESULT: on_result(s, f); return LOOM_OK;
    case FRAME_REPORT: on_report(s, f); return LOOM_OK;
    case FRAME_SPANS: on_spans(s, &f->u.spans); return LOOM_OK;
    case FRAME_RECORDED: on_recorded(s, &f->u.spans); return LOOM_OK;
    case FRAME_KEEP: on_keep(s, &f->u.keep); return LOOM_OK;
    case FRAME_PING: pong(s, f->u.number); return LOOM_OK;
    case FRAME_PONG: s->pinged = false; return LOOM_OK;
    case FRAME_ERROR:
    case FRAME_BYE: goodbye(s, f->type, f->u.outcome.text); return LOOM_OK;
    default: return unexpected(f->type, reason, "is not for a bridge");
    }
}

/* What it has cost to tell others, or the agent itself what is known already: a publish pays for itself. Those who come share
 * what a round has for them. */
static int64_t news_cost(session *s, const frame *f, uint64_t work_before)
{
    const uint64_t cost = bus_fan_out(s->bridge->options.bus->work - work_before);
    s->bridge->hello_cost += f->type == FRAME_HELLO ? cost : 0;
    return (int64_t)cost;
}

/* One frame. False: the session has ended. */
static bool receive_frame(session *s, loom_bytes body)
{
    frame f;
    char reason[FRAME_REASON_SIZE];
    loom_status st = frame_decode(&f, body, reason);
    int64_t work = (int64_t)(body.len - s->batch_at);
    if (st == LOOM_OK) {
        const uint64_t before = s->bridge->options.bus->work;
        st = handle(s, &f, reason);
        work += f.type == FRAME_PUBLISH ? 0 : SESSION_TURN_FRAME + news_cost(s, &f, before);
    }
    s->turn_left -= work;
    if (st == LOOM_OK && f.type == FRAME_SPANS) {
        s->slice_end = s->turn_left; /* they may wait: whoever has something else to say goes first */
    }
    if (st == LOOM_OK && s->bridge->options.bus->mark != 0 && goes_up(f.type)) {
        go_ahead(s, (uint64_t)work);
    }
    if (st != LOOM_OK) {
        s->bridge->stats.protocol_errors++;
        session_end(s, FRAME_ERROR, st, reason);
    } else {
        session_end_doomed(s);
    }
    return s->state != SESSION_ENDED;
}

bool session_is_ahead(const session *s)
{
    if (s->waits && s->state == SESSION_OPEN) {
        return true;
    }
    return s->ahead_until_ms != 0 && s->bridge->clock->now_ms < s->ahead_until_ms && s->state == SESSION_OPEN &&
           session_ahead_of(&s->ahead, s->bridge->options.bus) >= ahead_max(s);
}

void session_end_turn(session *s)
{
    s->round = s->bridge->round;
    s->turn_left = 0;
}

bool session_is_spent(const session *s)
{
    return s->round == s->bridge->round && s->turn_left <= 0;
}

bool session_is_fresh(const session *s)
{
    return s->round != s->bridge->round || s->turn_left > SESSION_TURN / 2;
}

static void begin_slice(session *s)
{
    const int64_t slice = session_slice(s);
    s->slice_end = s->turn_left > slice ? s->turn_left - slice : 0;
}

static void begin_turn(session *s)
{
    const bool late = s->state == SESSION_NEW && s->bridge->hello_cost >= SESSION_SLICE;
    s->turn_left = session_is_ahead(s) || late ? 0 : SESSION_TURN;
    begin_slice(s);
    if (s->turn_left > 0 && s->ahead_until_ms != 0) {
        s->ahead_until_ms = 0;
        if (session_ahead_of(&s->ahead, s->bridge->options.bus) >= ahead_max(s)) { /* it has waited long enough */
            s->ahead = (session_ahead){0};
        }
    }
}

/* Between two frames. */
static bool turn_is_over(session *s)
{
    if (s->turn_left > s->slice_end) {
        return false;
    }
    if (s->turn_left > 0 && session_yields(s)) {
        s->turn_left = 0;
    }
    begin_slice(s);
    return s->turn_left <= 0;
}

bool session_goes_on(session *s, size_t bytes)
{
    s->turn_left -= (int64_t)bytes;
    return !turn_is_over(s);
}

static bool is_goodbye(loom_bytes body)
{
    return body.len > 1 && (body.data[1] == FRAME_BYE || body.data[1] == FRAME_ERROR);
}

size_t session_receive(session *s, uint8_t *data, size_t len, size_t *need)
{
    size_t done = 0;
    if (s->round != s->bridge->round) {
        s->round = s->bridge->round;
        begin_turn(s);
    }
    s->heard_ms = s->bridge->clock->now_ms;
    s->pinged = false;
    *need = 0;
    while (s->state != SESSION_ENDED) {
        loom_bytes body;
        if (turn_is_over(s)) {
            *need = 0; /* that of the frame before */
            return done;
        }
        frame_piece piece = frame_split((loom_bytes){data + done, len - done}, &body, need);
        if (s->state == SESSION_NEW && *need > SESSION_HELLO_MAX) {
            piece = FRAME_BAD_LENGTH; /* a stranger gets no large buffer */
        }
        if (piece == FRAME_PARTIAL) {
            return done;
        }
        if (piece == FRAME_BAD_LENGTH) {
            s->bridge->stats.protocol_errors++;
            session_end(s, FRAME_ERROR, LOOM_ETOOBIG, "frame length is zero or over the limit: is this a Loom agent link?");
            break;
        }
        if (is_goodbye(body) && s->bridge->goodbyes >= SESSION_GOODBYES) { /* when many go at once */
            s->turn_left = 0;
            *need = 0;
            return done;
        }
        if (!receive_frame(s, body)) {
            break;
        }
        if (s->batch_done > 0) { /* the rest of this one comes with the next turn */
            *need = 0;
            return done;
        }
        done += FRAME_HEADER_SIZE + body.len;
    }
    return len; /* nothing after the end of a session counts */
}
