/* SPDX-License-Identifier: Apache-2.0 */
/* The connection to the broker: hello over the control socket, the two bus sockets, what comes in, and starting over.
 *
 * WAITING → HELLO → CONNECTING → UP, and from anywhere back to WAITING. In CONNECTING probes go out until one is
 * answered: only then is it sure that both directions are there, since a PUB socket throws away what it sends before a
 * subscriber's pipe is up. */
#include <assert.h>
#include <nng/nng.h>
#include <nng/protocol/pipeline0/push.h>
#include <nng/protocol/pubsub0/sub.h>
#include <stdio.h>
#include <string.h>

#include "bridge/bus/bus_nng_internal.h"

enum {
    TICK_SLOW_MS = 100,
    TICK_FAST_MS = 50,
    CONNECT_MS = 5000,
    BACKOFF_MIN_MS = 50,
    BACKOFF_MAX_MS = 2000,
    BACKOFF_REPLACED_MS = 10000,      /* two bridges of one id must not throw each other out all the time */
    SEND_BUFFER = 4 * BUS_WINDOW,     /* the window, acks that carry nothing else, and messages sent again */
    RECEIVE_BUFFER = 16 * BUS_WINDOW,
    INBOX_MESSAGES = 4 * BUS_WINDOW,
    INBOX_BYTES = 32 * 1024 * 1024,
    URL_SIZE = 256
};

static uint64_t now_of(const bus_nng *b)
{
    return uv_now(b->loop);
}

static loom_str id_of(const bus_nng *b)
{
    return (loom_str){b->bridge_id, strlen(b->bridge_id)};
}

static void set_tick(bus_nng *b, uint64_t ms)
{
    uv_timer_set_repeat(&b->timer, ms);
    uv_timer_again(&b->timer);
}

void bus_nng_close_sockets(bus_nng *b)
{
    if (!b->sockets_open) {
        return;
    }
    nng_inbox_close(b->inbox);
    nng_closings_add(b->closings, b->push, b->push_watch);
    nng_closings_add(b->closings, b->sub, b->sub_watch);
    b->inbox = NULL;
    b->push_watch = b->sub_watch = NULL;
    b->sockets_open = false;
}

/* Starts over; why is logged when there was something to lose. */
static void lost(bus_nng *b, const char *why)
{
    bool was_up = b->state == BUS_NNG_UP;
    bus_nng_log(b, was_up ? 1 : 3, "broker is not reached url=%s reason=\"%s\"", b->control_url, why);
    bus_nng_close_sockets(b);
    if (b->pinging) {
        control_client_cancel(b->control);
    }
    b->state = BUS_NNG_WAITING;
    b->retry_ms = now_of(b) + b->backoff_ms;
    b->backoff_ms = b->backoff_ms == 0 ? BACKOFF_MIN_MS : b->backoff_ms * 2;
    if (b->backoff_ms > BACKOFF_MAX_MS) {
        b->backoff_ms = BACKOFF_MAX_MS;
    }
    if (was_up) {
        set_tick(b, TICK_FAST_MS);
        if (b->options.connected != NULL) {
            b->options.connected(b->options.user, false);
        }
    }
}

/* ---- sockets ---- */

/* A broker that listens on every address says so; the host that its control socket was reached at serves for the rest. */
static bool dialable(const bus_nng *b, loom_str url, char out[URL_SIZE])
{
    static const char *const any[] = {"tcp://0.0.0.0:", "tcp://[::]:", "tcp://*:", "tcp://:"};
    const char *host = b->control_url;
    for (size_t i = 0; i < sizeof any / sizeof *any; i++) {
        size_t len = strlen(any[i]);
        if (url.len > len && memcmp(url.data, any[i], len) == 0 && strncmp(host, "tcp://", 6) == 0) {
            const char *port = strrchr(host, ':'); /* of the control URL: the last colon ends its host */
            return snprintf(out, URL_SIZE, "%.*s:%.*s", (int)(port - host), host, (int)(url.len - len), url.data + len) <
                   URL_SIZE;
        }
    }
    return url.len > 0 && snprintf(out, URL_SIZE, "%.*s", (int)url.len, url.data) < URL_SIZE;
}

/* Each attachment has fresh sockets, so these do not dial again by themselves: the old ones would knock at a new broker
 * just to be closed, and an nng 1.5.2 listener whose peer leaves before the greeting stops accepting (nng issue 1518). */
static int dial(nng_socket socket, const char *url)
{
    enum { HOUR_MS = 3600 * 1000 };
    (void)nng_socket_set_ms(socket, NNG_OPT_RECONNMINT, HOUR_MS);
    (void)nng_socket_set_ms(socket, NNG_OPT_RECONNMAXT, HOUR_MS);
    return nng_dial(socket, url, NULL, NNG_FLAG_NONBLOCK);
}

static loom_status open_sockets(bus_nng *b, const char *pull, const char *pub)
{
    uint8_t topic[BUS_TOPIC_MAX];
    size_t topic_len = bus_topic_write(topic, id_of(b));
    int error = nng_push0_open(&b->push);
    if (error != 0) {
        return nng_status(error);
    }
    if ((error = nng_sub0_open(&b->sub)) != 0) {
        nng_close(b->push);
        return nng_status(error);
    }
    b->sockets_open = true; /* from here on bus_nng_close_sockets() undoes it all */
    if ((error = nng_socket_set_int(b->push, NNG_OPT_SENDBUF, SEND_BUFFER)) != 0 ||
        (error = nng_socket_set_int(b->sub, NNG_OPT_RECVBUF, RECEIVE_BUFFER)) != 0 ||
        (error = nng_socket_set_size(b->sub, NNG_OPT_RECVMAXSZ, BUS_MESSAGE_MAX)) != 0 ||
        (error = nng_socket_set(b->sub, NNG_OPT_SUB_SUBSCRIBE, topic, topic_len)) != 0) {
        return nng_status(error);
    }
    loom_status st;
    if ((st = pipe_watch_open(&b->push_watch, b->push, &b->wake)) != LOOM_OK ||
        (st = pipe_watch_open(&b->sub_watch, b->sub, &b->wake)) != LOOM_OK ||
        (st = nng_inbox_open(&b->inbox, b->sub, &b->wake, INBOX_MESSAGES, INBOX_BYTES)) != LOOM_OK) {
        return st;
    }
    if ((error = dial(b->push, pull)) != 0 || (error = dial(b->sub, pub)) != 0) {
        return nng_status(error);
    }
    return LOOM_OK;
}

static void on_hello_answer(bus_nng *b, loom_status st, const control_answer *answer)
{
    char pull[URL_SIZE], pub[URL_SIZE], text[128];
    if (st != LOOM_OK) {
        lost(b, st == LOOM_ETIMEDOUT ? "no answer to hello" : loom_status_text(st));
        return;
    }
    if (answer->status != LOOM_OK) {
        snprintf(text, sizeof text, "%.*s", (int)answer->text.len, answer->text.len > 0 ? answer->text.data : "");
        bus_nng_log(b, 1, "broker refuses this bridge bridge=%s reason=\"%s\"", b->bridge_id, text);
        lost(b, text);
        return;
    }
    if (!dialable(b, answer->pull, pull) || !dialable(b, answer->pub, pub)) {
        lost(b, "the broker names no usable bus addresses");
        return;
    }
    b->epoch = answer->epoch;
    b->state = BUS_NNG_CONNECTING;
    b->deadline_ms = now_of(b) + CONNECT_MS;
    if ((st = open_sockets(b, pull, pub)) != LOOM_OK) {
        lost(b, loom_status_text(st));
    }
}

/* ---- becoming up ---- */

typedef struct carry {
    bus_nng *to;     /* NULL: only count */
    uint64_t envelopes;
    uint64_t dropped;
} carry;

/* Only publishes survive: what else was written has been said again by the replay. */
static void carry_frames(void *user, loom_bytes frames)
{
    carry *c = user;
    char reason[FRAME_REASON_SIZE];
    uint64_t session = 0;
    bus_frame f;
    for (;;) {
        loom_bytes bytes = {frames.data, 0};
        loom_status st = bus_frame_next(&frames, &f, reason);
        if (st == LOOM_ENOTFOUND) {
            return;
        }
        assert(st == LOOM_OK); /* this side wrote them */
        bytes.len = (size_t)(frames.data - bytes.data);
        if (f.type == BUS_FRAME_SESSION) {
            session = f.number;
        } else if (f.type == FRAME_PUBLISH) {
            c->envelopes += f.link.u.batch.count;
            bus_chunk *chunk = c->to != NULL ? bus_link_chunk(&c->to->link, session) : NULL;
            if (c->to != NULL && (chunk == NULL || bus_put_raw(&chunk->w, bytes) != LOOM_OK)) {
                c->dropped += f.link.u.batch.count;
            }
        }
    }
}

static void become_up(bus_nng *b)
{
    bus_link old = b->link;
    carry unsent = {.to = b};
    carry unconfirmed = {0};
    bus_link_init(&b->link, (loom_bytes){NULL, 0}, id_of(b));
    b->link.epoch = b->epoch;
    b->link.stats = old.stats;
    b->state = BUS_NNG_UP;
    b->must_reattach = false;
    b->backoff_ms = 0;
    b->ping_due_ms = now_of(b) + b->options.ping_ms;
    set_tick(b, b->closing ? TICK_FAST_MS : TICK_SLOW_MS);

    void *port;
    for (size_t at = 0; number_table_next(&b->ports, &at, &port);) {
        ((bus_port *)port)->broker_pressing = false;
        if (bus_port_replay(port) != LOOM_OK) {
            b->must_reattach = true;
        }
    }
    b->pressure_changed = true;
    bus_link_visit(&old, false, carry_frames, &unconfirmed);
    bus_link_visit(&old, true, carry_frames, &unsent);
    bus_link_fini(&old);
    b->stats.attachments++;
    b->stats.unconfirmed += unconfirmed.envelopes + unsent.dropped;
    bus_nng_log(b, 2, "broker is reached url=%s ports=%zu", b->control_url, b->ports.count);
    if (unconfirmed.envelopes + unsent.dropped > 0) {
        bus_nng_log(b, 1, "messages may have been lost with the connection to the broker count=%llu",
                    (unsigned long long)(unconfirmed.envelopes + unsent.dropped));
    }
    if (b->options.connected != NULL) {
        b->options.connected(b->options.user, true);
    }
}

/* ---- what comes in ---- */

/* False: the connection is over. */
static bool on_message(bus_nng *b, loom_bytes message)
{
    char reason[FRAME_REASON_SIZE] = "";
    const char *text = "";
    bus_header header;
    loom_bytes frames;
    size_t topic_len = sizeof BUS_TOPIC_PREFIX + strlen(b->bridge_id);
    loom_status st = LOOM_EMALFORMED;
    if (message.len > topic_len) {
        st = bus_header_read(&header, (loom_bytes){message.data + topic_len, message.len - topic_len}, &frames, &text);
    }
    if (st != LOOM_OK) {
        b->stats.malformed++;
        return true; /* anybody may be on the other side of that URL; what it says without our epoch does not count */
    }
    if (header.epoch != b->epoch) {
        return true; /* meant for an earlier attachment */
    }
    if (b->state == BUS_NNG_CONNECTING) {
        become_up(b);
    }
    uint64_t gaps = b->link.stats.gaps;
    st = bus_link_accept(&b->link, &header, now_of(b));
    if (b->link.stats.gaps != gaps) {
        bus_nng_log(b, 1, "messages of the broker are missing, asked for again after=%llu got=%llu",
                    (unsigned long long)b->link.received, (unsigned long long)header.seq);
    }
    if (st == LOOM_OK) {
        st = bus_nng_take_frames(b, frames, reason);
    } else if (st != LOOM_EPROTO) {
        return true; /* nothing new in it */
    } else {
        snprintf(reason, sizeof reason, "the broker acknowledges what was never sent");
    }
    if (st != LOOM_OK) {
        b->stats.malformed++;
        lost(b, reason);
        return false;
    }
    return true;
}

static void receive(bus_nng *b)
{
    nng_msg *msg;
    while (b->inbox != NULL && (msg = nng_inbox_take(b->inbox)) != NULL) {
        bool go_on = on_message(b, (loom_bytes){nng_msg_body(msg), nng_msg_len(msg)});
        nng_msg_free(msg);
        if (!go_on) {
            return;
        }
    }
}

/* ---- the turn ---- */

static void send_probe(bus_nng *b)
{
    uint8_t probe[BUS_TOPIC_MAX + BUS_HEADER_MAX];
    bus_header header = {.flags = BUS_FLAG_ACK_NOW, .epoch = b->epoch, .bridge = id_of(b)};
    size_t len = bus_header_write(probe, &header);
    (void)!nng_send_copy(b->push, (loom_bytes){probe, len}); /* the next one will do */
}

static void turn_connecting(bus_nng *b)
{
    receive(b);
    if (b->state != BUS_NNG_CONNECTING) {
        return;
    }
    if (now_of(b) >= b->deadline_ms) {
        lost(b, "the bus sockets do not answer");
    } else if (pipe_watch_count(b->push_watch) > 0 && pipe_watch_count(b->sub_watch) > 0) {
        send_probe(b);
    }
}

static bool pipe_lost(pipe_watch *watch)
{
    pipe_event event;
    bool any = pipe_watch_missed(watch) > 0;
    while (pipe_watch_take(watch, &event)) {
        any = any || !event.added;
    }
    return any;
}

static void turn_up(bus_nng *b)
{
    receive(b);
    if (b->state != BUS_NNG_UP) {
        return;
    }
    control_answer answer;
    loom_status st = b->pinging ? control_client_take(b->control, &answer) : LOOM_EBUSY;
    if (st != LOOM_EBUSY) {
        b->pinging = false;
        if (st == LOOM_OK && answer.status == LOOM_EREPLACED) {
            bus_nng_log(b, 0, "another bridge uses this id bridge=%s", b->bridge_id);
            b->backoff_ms = BACKOFF_REPLACED_MS;
        }
        if (st != LOOM_OK || answer.status != LOOM_OK) {
            lost(b, st == LOOM_ETIMEDOUT ? "no answer to a ping" : st != LOOM_OK ? loom_status_text(st)
                                                                                 : "the broker does not know this bridge");
            return;
        }
    }
    if (pipe_lost(b->push_watch) || pipe_lost(b->sub_watch)) {
        lost(b, "a bus connection has ended");
        return;
    }
    if (b->must_reattach) {
        lost(b, "out of memory, starting over");
        return;
    }
    if (!b->pinging && now_of(b) >= b->ping_due_ms) {
        b->ping_due_ms = now_of(b) + b->options.ping_ms;
        b->pinging = control_client_ask(b->control, "ping", id_of(b), (loom_str){"", 0}, b->epoch) == LOOM_OK;
    }
    bus_link_tick(&b->link, now_of(b));
}

void bus_nng_turn(bus_nng *b)
{
    control_answer answer;
    loom_status st;
    switch (b->state) {
    case BUS_NNG_WAITING:
        if (b->pinging && control_client_take(b->control, &answer) != LOOM_EBUSY) {
            b->pinging = false;
        }
        if (b->pinging || b->closing || now_of(b) < b->retry_ms) {
            return;
        }
        st = control_client_ask(b->control, "hello", id_of(b), (loom_str){b->software, strlen(b->software)}, 0);
        if (st == LOOM_OK) {
            b->state = BUS_NNG_HELLO;
        }
        return;
    case BUS_NNG_HELLO:
        st = control_client_take(b->control, &answer);
        if (st != LOOM_EBUSY) {
            on_hello_answer(b, st, &answer);
        }
        return;
    case BUS_NNG_CONNECTING:
        turn_connecting(b);
        return;
    case BUS_NNG_UP:
        turn_up(b);
        return;
    case BUS_NNG_CLOSED:
        return;
    }
}

static void send_ready(bus_nng *b)
{
    const bus_chunk *chunk;
    while ((chunk = bus_link_next_resend(&b->link)) != NULL) {
        if (nng_send_copy(b->push, (loom_bytes){chunk->w.data, chunk->w.len}) != LOOM_OK) {
            return; /* it stays unacknowledged, so it will be tried again */
        }
    }
    while ((chunk = bus_link_next(&b->link, false)) != NULL) {
        if (nng_send_copy(b->push, (loom_bytes){chunk->w.data, chunk->w.len}) != LOOM_OK) {
            return; /* a full buffer means that acks are to come, and they wake this */
        }
        bus_link_sent(&b->link, now_of(b));
    }
    uint8_t ack[BUS_TOPIC_MAX + BUS_HEADER_MAX];
    size_t len;
    if (bus_link_next_ack(&b->link, ack, &len)) {
        (void)!nng_send_copy(b->push, (loom_bytes){ack, len}); /* a lost ack is made good by the next */
    }
}

void bus_nng_flush(bus_nng *b)
{
    if (b->state == BUS_NNG_UP) {
        send_ready(b);
    }
    if (b->pressing && bus_link_unsent(&b->link) <= b->options.buffer_bytes / 2) {
        b->pressing = false;
        b->pressure_changed = true;
    }
    if (b->pressure_changed && b->state != BUS_NNG_CLOSED) {
        bus_nng_tell_pressure(b);
    }
}
