/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a session: connect, hello, welcome, heartbeats, the end, and the next attempt. Runs on the loop. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "sdk-c/actions/actions.h"

#define SECOND_NS (1000 * MS_NS)
#define CONNECT_TIMEOUT_NS (10 * SECOND_NS) /* to the welcome */
#define BACKOFF_FIRST_NS (50 * MS_NS)
#define BACKOFF_MAX_NS (5 * SECOND_NS)
#define STEADY_NS SECOND_NS       /* a session that held this long starts the backoff anew */
#define BYE_TIMEOUT_NS (500 * MS_NS) /* for the bridge to close after our goodbye */

enum { PINGS_MISSED_MAX = 3, RECEIVE_ROUNDS = 16 };
enum { RECEIVE_SIZE = 128 * 1024, RECEIVE_ROOM_MIN = CARRIER_ROOM_MIN, RECEIVE_KEPT_MAX = 512 * 1024 };

void session_set_state(loom_agent *a, loom_agent_state state, loom_status why, const char *text)
{
    pthread_mutex_lock(&a->lock);
    bool changes = a->state != state;
    a->state = state;
    a->why = why;
    agent_changed(a);
    pthread_mutex_unlock(&a->lock);
    if (changes) {
        report_state(a, state, why, text);
    }
}

/* ---- the end, and the next attempt ---- */

static void drop_link(loom_agent *a)
{
    pthread_mutex_lock(&a->lock);
    while (a->out.writing) {
        agent_wait_change(a, NEVER); /* a write without blocking: soon over */
    }
    carrier *link = a->link;
    a->link = NULL;
    a->writable = a->blocked = a->write_failed = false;
    a->links++;
    send_queue_broken(&a->out);
    subscriptions_forget_answers(&a->subs);
    actions_broken(a);
    pthread_mutex_unlock(&a->lock);
    if (link != NULL) {
        link->ops->close(link);
    }
    a->in.begin = a->in.end = 0;
}

/* Between half and all of 50 ms · 2^attempts: agents that lost the same bridge do not come back in step. */
static uint64_t backoff_ns(unsigned attempts)
{
    uint64_t full = attempts < 8 ? BACKOFF_FIRST_NS << attempts : BACKOFF_MAX_NS;
    uint64_t random;
    full = full < BACKOFF_MAX_NS ? full : BACKOFF_MAX_NS;
    random_take((uint8_t *)&random, sizeof random);
    return full / 2 + random % (full / 2 + 1);
}

void session_break(loom_agent *a, loom_status status, const char *text)
{
    session *s = &a->session;
    char why[SESSION_TEXT_SIZE];
    uint64_t now = monotonic_ns();
    snprintf(why, sizeof why, "%s", text); /* text may lie in the carrier */
    bool steady = s->phase == SESSION_UP && now - s->up_since >= STEADY_NS;
    drop_link(a);
    memcpy(s->text, why, sizeof s->text);
    s->attempts = steady ? 0 : s->attempts;
    if (status == LOOM_EREPLACED || s->bye_said) {
        s->phase = SESSION_ENDED;
        s->deadline = NEVER;
        if (status == LOOM_EREPLACED) {
            session_set_state(a, LOOM_AGENT_CLOSED, status, s->text);
            agent_end_runs(a);
        }
        actions_tell_ended(a);
        return;
    }
    s->phase = SESSION_WAITING;
    s->deadline = now + backoff_ns(s->attempts++);
    session_set_state(a, LOOM_AGENT_DISCONNECTED, status, why);
    actions_tell_ended(a); /* last: who is told may wait, and the next session may stand by then */
}

/* ---- the beginning ---- */

static void say_hello(loom_agent *a)
{
    static const char software[] = "libloom/" LOOM_VERSION;
    frame_hello hello = {.protocol = LINK_PROTOCOL,
                         .agent = {a->id, a->id_len},
                         .software = {software, sizeof software - 1},
                         .instance = {a->instance, sizeof a->instance},
                         .credit_messages = a->options.receive_messages,
                         .credit_bytes = a->options.receive_bytes,
                         .heartbeat_ms = a->options.heartbeat_ms};
    pthread_mutex_lock(&a->lock);
    a->writable = true;
    loom_status st = frame_put_hello(&a->out.control, &hello);
    if (st == LOOM_OK) {
        agent_write(a, true);
    }
    pthread_mutex_unlock(&a->lock);
    if (st != LOOM_OK) {
        session_break(a, st, loom_status_text(st));
        return;
    }
    a->session.phase = SESSION_HELLO;
}

static void go_on_connecting(loom_agent *a)
{
    loom_status st = a->link->ops->connect(a->link);
    if (st == LOOM_OK) {
        say_hello(a);
    } else if (st != LOOM_EBUSY) {
        session_break(a, st, a->link->why);
    }
}

static void dial(loom_agent *a)
{
    session *s = &a->session;
    carrier *link;
    char why[LINK_WHY_SIZE];
    unsigned attempts = s->attempts;
    carrier_options options = {&a->url, a->epoll_fd, attempts, a->tls_ca_file};
    loom_status st = carrier_open(&link, &options, why);
    if (st != LOOM_OK) {
        session_break(a, st, why);
        return;
    }
    pthread_mutex_lock(&a->lock);
    a->link = link;
    pthread_mutex_unlock(&a->lock);
    s->phase = SESSION_DIALING;
    s->deadline = monotonic_ns() + CONNECT_TIMEOUT_NS;
    go_on_connecting(a);
}

void session_start(loom_agent *a)
{
    a->session = (session){.phase = SESSION_WAITING, .deadline = 0};
}

/* ---- reading ---- */

/* Room for the rest of the frame that has begun, and for a read that is worth its system call. What has come of the frame
 * is moved only when there is too little behind it. */
static bool make_room(receive_buffer *in)
{
    if (in->begin == in->end) {
        in->begin = in->end = 0;
        if (in->capacity > RECEIVE_KEPT_MAX) { /* one large message is over */
            free(in->data);
            *in = (receive_buffer){0};
        }
    }
    const size_t have = in->end - in->begin;
    size_t need = 0, frame_size;
    loom_bytes body;
    if (have > 0 && frame_split((loom_bytes){in->data + in->begin, have}, &body, &frame_size) == LOOM_EBUSY) {
        need = frame_size;
    }
    if (need < have + RECEIVE_ROOM_MIN) {
        need = have + RECEIVE_ROOM_MIN;
    }
    if (in->begin > 0 && in->capacity - in->begin < need) {
        memmove(in->data, in->data + in->begin, have);
        in->end = have;
        in->begin = 0;
    }
    if (in->capacity < need) {
        const size_t capacity = need > RECEIVE_SIZE ? need : RECEIVE_SIZE;
        uint8_t *data = realloc(in->data, capacity);
        if (data == NULL) {
            return false;
        }
        in->data = data;
        in->capacity = capacity;
    }
    return true;
}

/* False: it was not worth going on; the session may be another one. */
static bool handle_frames(loom_agent *a)
{
    uint64_t links = a->links;
    loom_status st = session_frames(a);
    if (a->links != links) {
        return false; /* a handler has waited, and this connection has ended meanwhile */
    }
    if (st != LOOM_OK) {
        session_break(a, st, a->session.text);
    }
    return st == LOOM_OK;
}

void session_read_on(loom_agent *a)
{
    if (a->session.phase == SESSION_HELLO || a->session.phase == SESSION_UP) {
        (void)handle_frames(a);
    }
}

static void read_link(loom_agent *a)
{
    receive_buffer *in = &a->in;
    for (int i = 0; i < RECEIVE_ROUNDS; i++) {
        if (!make_room(in)) {
            session_break(a, LOOM_ENOMEM, "no memory for what the bridge sends");
            return;
        }
        size_t got, room = in->capacity - in->end;
        loom_status st = a->link->ops->receive(a->link, in->data + in->end, room, &got);
        if (st == LOOM_EBUSY) {
            break;
        }
        if (st != LOOM_OK) {
            session_break(a, st, a->link->why);
            return;
        }
        in->end += got;
        a->session.heard = true;
        if (!handle_frames(a)) {
            return;
        }
        if (got < room) {
            break;
        }
    }
    if (agent_write_failed(a)) {
        session_break(a, LOOM_EIO, "connection broken while sending");
    }
}

void session_event(loom_agent *a)
{
    switch (a->session.phase) {
    case SESSION_DIALING: go_on_connecting(a); break;
    case SESSION_HELLO:
    case SESSION_UP: read_link(a); break;
    case SESSION_WAITING:
    case SESSION_ENDED: break;
    }
}

/* ---- time ---- */

static loom_status ping(loom_agent *a)
{
    pthread_mutex_lock(&a->lock);
    loom_status st = frame_put_number(&a->out.control, FRAME_PING, ++a->session.ping);
    a->session.ping_mark = a->out.taken;
    pthread_mutex_unlock(&a->lock);
    a->session.pinged = st == LOOM_OK;
    return st;
}

/* Pings when the bridge is silent, or to learn what it has read of ours. */
static void heartbeat(loom_agent *a, uint64_t now)
{
    session *s = &a->session;
    s->next_heartbeat = now + s->heartbeat_ns;
    s->missed = s->heard || !s->pinged ? 0 : s->missed + 1;
    if (s->missed >= PINGS_MISSED_MAX) {
        session_break(a, LOOM_EEXPIRED, "the bridge does not answer any more");
        return;
    }
    pthread_mutex_lock(&a->lock);
    bool unread = a->out.marks > 0;
    pthread_mutex_unlock(&a->lock);
    if (!s->heard || unread) {
        loom_status st = ping(a);
        if (st != LOOM_OK) {
            session_break(a, st, loom_status_text(st));
            return;
        }
    }
    s->heard = false;
}

void session_tick(loom_agent *a, uint64_t now)
{
    session *s = &a->session;
    switch (s->phase) {
    case SESSION_WAITING:
        if (now >= s->deadline) {
            dial(a);
        }
        break;
    case SESSION_DIALING:
    case SESSION_HELLO:
        if (now >= s->deadline) {
            session_break(a, LOOM_ETIMEDOUT, s->phase == SESSION_DIALING ? "no connection within 10 seconds"
                                                                         : "no welcome within 10 seconds");
        }
        break;
    case SESSION_UP:
        if (now >= s->next_heartbeat) {
            heartbeat(a, now);
        }
        break;
    case SESSION_ENDED: break;
    }
}

uint64_t session_next_deadline(const loom_agent *a)
{
    const session *s = &a->session;
    uint64_t next = s->phase == SESSION_UP ? s->next_heartbeat : s->deadline;
    if (atomic_load_explicit(&a->closing_seen, memory_order_acquire)) {
        uint64_t end = s->bye_deadline != 0 ? s->bye_deadline : a->close_deadline;
        next = end < next ? end : next;
    }
    return next;
}

/* ---- goodbye ---- */

/* Once everything has left: a goodbye, then the end of our side, then the end of theirs, so that a socket is not
 * closed over bytes unread, which on tcp would destroy what is still on its way. */
static bool say_goodbye(loom_agent *a, uint64_t now)
{
    session *s = &a->session;
    pthread_mutex_lock(&a->lock);
    bool empty = send_queue_empty(&a->out) && !a->out.writing;
    loom_status st = LOOM_OK;
    if (empty && !s->bye_said) {
        st = frame_put_outcome(&a->out.control, FRAME_BYE, &(frame_outcome){.status = LOOM_OK});
        s->bye_said = true;
        agent_write(a, true);
        empty = send_queue_empty(&a->out);
    }
    pthread_mutex_unlock(&a->lock);
    if (st != LOOM_OK) {
        return true;
    }
    if (empty && s->bye_said && s->bye_deadline == 0) {
        a->link->ops->finish(a->link);
        s->bye_deadline = now + BYE_TIMEOUT_NS < a->close_deadline ? now + BYE_TIMEOUT_NS : a->close_deadline;
    }
    return s->bye_deadline != 0 && now >= s->bye_deadline;
}

bool session_closed(loom_agent *a, uint64_t now)
{
    pthread_mutex_lock(&a->lock);
    bool unsent = a->out.bytes > 0;
    pthread_mutex_unlock(&a->lock);
    if (a->session.phase == SESSION_ENDED || now >= a->close_deadline) {
        return true;
    }
    if (a->session.phase != SESSION_UP) {
        return !unsent;
    }
    return say_goodbye(a, now);
}
