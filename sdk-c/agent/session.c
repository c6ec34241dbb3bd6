/* SPDX-License-Identifier: Apache-2.0 */
#include "sdk-c/agent/session.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <loom/version.h>

#include "base/backoff.h"
#include "base/random.h"
#include "sdk-c/agent/parts.h"

#define SECOND_NS (1000 * MS_NS)
#define CONNECT_TIMEOUT_NS (10 * SECOND_NS) /* to the welcome */
#define BACKOFF_FIRST_NS (50 * MS_NS)
#define BACKOFF_MAX_NS (5 * SECOND_NS)
#define STEADY_NS SECOND_NS       /* a session that lasted this long resets the backoff */
#define BYE_TIMEOUT_NS (500 * MS_NS) /* for the bridge to close after our goodbye */
#define MOVE_SPREAD_NS SECOND_NS    /* agents that are asked to leave at once do not arrive at once */
#define MOVE_LOOK_NS (20 * MS_NS)
#define KEEP_NS SECOND_NS         /* the heartbeat, until a welcome names another */

enum { PINGS_MISSED_MAX = 3 };

/* Statuses that this version knows. */
enum {
    LOOM_STATUSES = 0
#define X(name, value, text) +1
    LOOM_STATUS_MAP(X)
#undef X
};

void session_set_state(session *s, loom_agent_state state, loom_status why, const char *text)
{
    pthread_mutex_lock(&s->loop->lock);
    bool changes = s->state != state;
    s->state = state;
    s->why = why;
    s->loop->over = s->loop->over || state == LOOM_AGENT_CLOSED;
    loop_changed(s->loop);
    pthread_mutex_unlock(&s->loop->lock);
    if (changes) {
        s->ops->state_changed(s->agent, state, why, text);
    }
}

/* ---- the end, and the next attempt ---- */

static void drop_link(session *s)
{
    pthread_mutex_lock(&s->loop->lock);
    while (s->loop->out.writing) {
        loop_wait_change(s->loop, NEVER); /* writes do not block: soon over */
    }
    carrier *link = s->loop->link;
    s->loop->link = NULL;
    s->loop->writable = s->loop->blocked = s->loop->write_failed = false;
    s->connection++;
    send_queue_broken(&s->loop->out);
    s->ops->broken(s->agent);
    loop_changed(s->loop);
    pthread_mutex_unlock(&s->loop->lock);
    if (link != NULL) {
        link->ops->close(link);
    }
    receive_buffer_drop(&s->in);
}

static void next_url(session *s)
{
    pthread_mutex_lock(&s->loop->lock);
    s->url_at = (s->url_at + 1) % s->url_count;
    pthread_mutex_unlock(&s->loop->lock);
}

loom_status session_status_of(uint64_t value, loom_status otherwise)
{
    return value > 0 && value < LOOM_STATUSES ? (loom_status)value : otherwise;
}

loom_status session_fail(session *s, loom_status st, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(s->text, sizeof s->text, format, args);
    va_end(args);
    return st;
}

void session_break(session *s, loom_status status, const char *text)
{
    char why[SESSION_TEXT_SIZE];
    uint64_t now = clock_monotonic_ns();
    snprintf(why, sizeof why, "%s", text); /* text may lie in the carrier */
    const bool was_up = s->phase == SESSION_UP, steady = was_up && now - s->up_since >= STEADY_NS;
    drop_link(s);
    s->move_from = s->move_by = 0;
    s->leaving = false;
    memcpy(s->text, why, sizeof s->text);
    s->attempts = steady ? 0 : s->attempts;
    if (status == LOOM_EREPLACED || s->bye_said) {
        s->phase = SESSION_ENDED;
        s->deadline = NEVER;
        if (status == LOOM_EREPLACED) {
            session_set_state(s, LOOM_AGENT_CLOSED, status, s->text);
            loop_end_runs(s->loop);
        }
        s->ops->tell_broken(s->agent);
        return;
    }
    s->phase = SESSION_WAITING;
    const bool another = !was_up && s->attempts + 1 < s->url_count; /* that has not been tried: it is not over yet */
    s->deadline = another ? now : now + backoff_delay(BACKOFF_FIRST_NS, BACKOFF_MAX_NS, s->attempts / s->url_count);
    s->attempts++;
    if (!another) {
        session_set_state(s, LOOM_AGENT_DISCONNECTED, status, why);
    }
    next_url(s);
    s->ops->tell_broken(s->agent); /* last: callbacks may wait, and the next session may be up by then */
}

/* ---- the beginning ---- */

/* One that is too long is as good as none. */
static loom_str hello_text(loom_str text)
{
    return text.len <= FRAME_SERVICE_MAX ? text : (loom_str){0};
}

static void say_hello(session *s)
{
    static const char software[] = "libloom/" LOOM_VERSION;
    frame_hello hello = {.protocol = LINK_PROTOCOL,
                         .agent = s->id,
                         .software = {software, sizeof software - 1},
                         .instance = {s->instance, sizeof s->instance},
                         .credit_messages = s->options->receive_messages,
                         .credit_bytes = s->options->receive_bytes,
                         .heartbeat_ms = s->options->heartbeat_ms,
                         .service = hello_text(s->service),
                         .service_instance = hello_text(s->service_instance),
                         .tenant = hello_text(s->tenant),
                         .recorder = s->has_recorder ? 2 : 0,
                         .quiet = s->options->quiet,
                         .moves = s->url_count > 1};
    pthread_mutex_lock(&s->loop->lock);
    s->loop->writable = true;
    loom_status st = frame_put_hello(&s->loop->out.control, &hello);
    if (st == LOOM_OK) {
        loop_write(s->loop, true);
    }
    pthread_mutex_unlock(&s->loop->lock);
    if (st != LOOM_OK) {
        session_break(s, st, loom_status_text(st));
        return;
    }
    s->phase = SESSION_HELLO;
}

void session_connect(session *s)
{
    loom_status st = s->loop->link->ops->connect(s->loop->link);
    if (st == LOOM_OK) {
        say_hello(s);
    } else if (st != LOOM_EBUSY) {
        session_break(s, st, s->loop->link->why);
    }
}

static void dial(session *s)
{
    carrier *link;
    char why[LINK_WHY_SIZE];
    carrier_options options = {session_url(s), s->loop->epoll_fd, s->attempts / s->url_count, s->options->tls_ca_file};
    loom_status st = carrier_open(&link, &options, why);
    if (st != LOOM_OK) {
        session_break(s, st, why);
        return;
    }
    pthread_mutex_lock(&s->loop->lock);
    s->loop->link = link;
    pthread_mutex_unlock(&s->loop->lock);
    s->phase = SESSION_DIALING;
    s->deadline = clock_monotonic_ns() + CONNECT_TIMEOUT_NS;
    session_connect(s);
}

/* Some time after messages have left: asks whether they have been read, so that no more count as lost than may be when the
 * connection breaks. It is no heartbeat: nobody is missed for the answer. */
static void inquire(loom_agent *a, agent_timer *timer)
{
    (void)timer;
    session *s = &a->session;
    pthread_mutex_lock(&s->loop->lock);
    if (s->phase == SESSION_UP && s->inquiry == 0 && s->loop->out.marks > 0 &&
        frame_put_number(&s->loop->out.control, FRAME_PING, s->last_number + 1) == LOOM_OK) {
        s->inquiry = ++s->last_number;
        s->inquiry_mark = s->loop->out.taken;
        loop_control_waits(s->loop);
    }
    pthread_mutex_unlock(&s->loop->lock);
}

void session_start(session *s)
{
    s->state = LOOM_AGENT_CONNECTING;
    s->phase = SESSION_WAITING; /* for a deadline that has passed */
    s->max_payload = LOOM_PAYLOAD_MAX;
    s->keep_ns = KEEP_NS;
    s->loop->inquiry.fire = inquire;
    random_take(s->instance, sizeof s->instance);
}

void session_fini(session *s)
{
    receive_buffer_fini(&s->in);
    free(s->urls);
}

/* ---- time ---- */

static loom_status ping(session *s)
{
    pthread_mutex_lock(&s->loop->lock);
    s->ping = ++s->last_number;
    loom_status st = frame_put_number(&s->loop->out.control, FRAME_PING, s->ping);
    s->ping_mark = s->loop->out.taken;
    pthread_mutex_unlock(&s->loop->lock);
    s->pinged = st == LOOM_OK;
    return st;
}

/* Pings when the bridge is silent, or to learn what it has read of ours. */
static void heartbeat(session *s, uint64_t now)
{
    s->next_heartbeat = now + s->heartbeat_ns;
    s->missed = s->heard || !s->pinged ? 0 : s->missed + 1;
    if (s->missed >= PINGS_MISSED_MAX) {
        session_break(s, LOOM_EEXPIRED, "the bridge does not answer any more");
        return;
    }
    pthread_mutex_lock(&s->loop->lock);
    bool unread = s->loop->out.marks > 0;
    pthread_mutex_unlock(&s->loop->lock);
    if (!s->heard || unread) {
        loom_status st = ping(s);
        if (st != LOOM_OK) {
            session_break(s, st, loom_status_text(st));
            return;
        }
    }
    s->heard = false;
}

/* ---- moving to another address ---- */

void session_ask_to_move(session *s, uint64_t within_ms)
{
    const uint64_t within = (within_ms < UINT32_MAX ? within_ms : UINT32_MAX) * MS_NS, now = clock_monotonic_ns();
    const uint64_t spread = within / 4 < MOVE_SPREAD_NS ? within / 4 : MOVE_SPREAD_NS;
    if (s->url_count > 1 && !s->bye_said) {
        s->move_from = now + (spread > 0 ? random_word() % spread : 0);
        s->move_by = now + within;
    }
}

/* Says goodbye once nothing is under way, or when it is time. What the bridge has sent by then comes before its own goodbye,
 * which ends the connection; what is emitted meanwhile waits for the next one. */
static void move(session *s, uint64_t now)
{
    if (s->leaving) { /* the answer takes too long */
        session_break(s, LOOM_ECLOSED, "the broker is being drained; going elsewhere");
        return;
    }
    pthread_mutex_lock(&s->loop->lock);
    const bool idle = send_queue_empty(&s->loop->out) && !s->loop->out.writing && !s->ops->busy(s->agent);
    const bool goes = (idle || now >= s->move_by) && !s->loop->closing;
    if (goes && idle && frame_put_outcome(&s->loop->out.control, FRAME_BYE, &(frame_outcome){.status = LOOM_OK}) == LOOM_OK) {
        loop_write(s->loop, true);
        s->leaving = send_queue_empty(&s->loop->out) && !s->loop->write_failed;
        s->loop->writable = false;
    }
    pthread_mutex_unlock(&s->loop->lock);
    if (!goes) {
        s->move_from = now + MOVE_LOOK_NS;
    } else if (s->leaving) {
        s->move_from = s->move_by = now + BYE_TIMEOUT_NS;
    } else {
        session_break(s, LOOM_ECLOSED, "the broker is being drained; going elsewhere");
    }
}

void session_tick(session *s, uint64_t now)
{
    switch (s->phase) {
    case SESSION_WAITING:
        if (now >= s->deadline) {
            dial(s);
        }
        break;
    case SESSION_DIALING:
    case SESSION_HELLO:
        if (now >= s->deadline) {
            session_break(s, LOOM_ETIMEDOUT, s->phase == SESSION_DIALING ? "no connection within 10 seconds"
                                                                         : "no welcome within 10 seconds");
        }
        break;
    case SESSION_UP:
        if (now >= s->next_heartbeat) {
            heartbeat(s, now);
        }
        if (s->phase == SESSION_UP && s->move_by != 0 && now >= s->move_from) {
            move(s, now);
        }
        break;
    case SESSION_ENDED: break;
    }
}

uint64_t session_next_deadline(const session *s)
{
    uint64_t next = s->phase == SESSION_UP ? s->next_heartbeat : s->deadline;
    next = s->phase == SESSION_UP && s->move_by != 0 && s->move_from < next ? s->move_from : next;
    if (atomic_load_explicit(&s->loop->closing_seen, memory_order_acquire)) {
        uint64_t end = s->bye_deadline != 0 ? s->bye_deadline : s->loop->close_deadline;
        next = end < next ? end : next;
    }
    return next;
}

/* ---- goodbye ---- */

/* Lock held. Whether spans have yet to leave; from now on they may. */
static bool awaits_spans(agent_loop *loop)
{
    if (loop->spans_end == SPANS_HOLD) {
        loop->spans_end = SPANS_FLUSH;
        loop_changed(loop);
    }
    return loop->spans_end == SPANS_FLUSH;
}

/* Once everything has left: a goodbye, then the end of our side, then the end of theirs, so that a socket is not
 * closed over bytes unread, which on tcp would destroy what is still on its way. */
static bool say_goodbye(session *s, uint64_t now)
{
    pthread_mutex_lock(&s->loop->lock);
    if (send_queue_empty(&s->loop->out) && !s->loop->out.writing && !s->parted && !awaits_spans(s->loop)) {
        s->parted = true;
        pthread_mutex_unlock(&s->loop->lock);
        s->ops->parting(s->agent);
        pthread_mutex_lock(&s->loop->lock);
        loop_write(s->loop, true);
    }
    bool empty = send_queue_empty(&s->loop->out) && !s->loop->out.writing;
    loom_status st = LOOM_OK;
    if (empty && !s->bye_said && !awaits_spans(s->loop)) {
        st = frame_put_outcome(&s->loop->out.control, FRAME_BYE, &(frame_outcome){.status = LOOM_OK});
        s->bye_said = true;
        loop_write(s->loop, true);
        empty = send_queue_empty(&s->loop->out);
    }
    pthread_mutex_unlock(&s->loop->lock);
    if (st != LOOM_OK) {
        return true;
    }
    if (empty && s->bye_said && s->bye_deadline == 0) {
        s->loop->link->ops->finish(s->loop->link);
        uint64_t give_up = now + BYE_TIMEOUT_NS;
        s->bye_deadline = give_up < s->loop->close_deadline ? give_up : s->loop->close_deadline;
    }
    return s->bye_deadline != 0 && now >= s->bye_deadline;
}

bool session_closed(session *s, uint64_t now)
{
    pthread_mutex_lock(&s->loop->lock);
    bool unsent = s->loop->out.bytes > 0 || (s->loop->spans_end == SPANS_HOLD && !s->ever_up && s->attempts == 0);
    pthread_mutex_unlock(&s->loop->lock);
    if (s->phase == SESSION_ENDED || now >= s->loop->close_deadline) {
        return true;
    }
    if (s->phase != SESSION_UP || s->leaving) {
        return !unsent;
    }
    return say_goodbye(s, now);
}
