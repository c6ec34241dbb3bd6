/* SPDX-License-Identifier: Apache-2.0 */
/* The bridges that are attached: what they send, what is sent to them, and how their end is noticed. */
#include <nng/nng.h>
#include <nng/protocol/pipeline0/pull.h>
#include <nng/protocol/pubsub0/pub.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/bus/bus_internal.h"
#include "envelope/random.h"

enum {
    /* The window and the acks of every bridge fit, so that a bridge which reads at all loses nothing here. */
    SEND_BUFFER = 2 * BUS_WINDOW * BUS_BRIDGES_MAX,
    INBOX_MESSAGES = 4 * BUS_WINDOW,
    INBOX_BYTES = 32 * 1024 * 1024
};

static bus_bridge *find(bus_server *s, loom_str id)
{
    for (bus_bridge *b = s->bridges.first; b != NULL; b = b->next) {
        if (b->id_len == id.len && memcmp(b->id, id.data, id.len) == 0) {
            return b;
        }
    }
    return NULL;
}

static void bridge_close(bus_bridge *b, const char *why)
{
    bus_server *s = b->server;
    void *session;
    bus_log(s, 2, "bridge is gone bridge=%.*s sessions=%zu reason=\"%s\"", (int)b->id_len, b->id, b->sessions.count, why);
    for (size_t at = 0; number_table_next(&b->sessions, &at, &session);) {
        bus_session_close(session);
    }
    number_table_fini(&b->sessions);
    for (bus_bridge **at = &s->bridges.first; *at != NULL; at = &(*at)->next) {
        if (*at == b) {
            *at = b->next;
            break;
        }
    }
    s->bridges.count--;
    s->stats.gaps += b->link.stats.gaps;
    s->stats.resent += b->link.stats.resent;
    s->stats.bridge_received += b->link.stats.received;
    s->stats.bridge_sent += b->link.stats.sent;
    bus_link_fini(&b->link);
    free(b);
}

loom_status bridge_bus_hello(bus_server *s, loom_str id, loom_str software, uint64_t *epoch)
{
    uint8_t topic[BUS_TOPIC_MAX];
    bus_bridge *older = find(s, id);
    if (older != NULL) {
        bridge_close(older, "said hello again");
    }
    if (s->bridges.count >= s->options.max_bridges) {
        return LOOM_EFULL;
    }
    bus_bridge *b = calloc(1, sizeof *b);
    if (b == NULL) {
        return LOOM_ENOMEM;
    }
    b->server = s;
    b->id_len = id.len;
    memcpy(b->id, id.data, id.len);
    bus_link_init(&b->link, (loom_bytes){topic, bus_topic_write(topic, id)}, (loom_str){NULL, 0});
    random_take((uint8_t *)&b->link.epoch, sizeof b->link.epoch);
    b->heard_ms = uv_now(s->loop);
    b->next = s->bridges.first;
    s->bridges.first = b;
    s->bridges.count++;
    s->stats.attachments++;
    *epoch = b->link.epoch;
    bus_log(s, 2, "bridge says hello bridge=%.*s software=%.*s", (int)id.len, id.data, (int)software.len,
            software.len > 0 ? software.data : "");
    return LOOM_OK;
}

loom_status bridge_bus_ping(bus_server *s, loom_str id, uint64_t epoch)
{
    bus_bridge *b = find(s, id);
    if (b == NULL) {
        return LOOM_ENOTFOUND;
    }
    if (b->link.epoch != epoch) {
        return LOOM_EREPLACED;
    }
    b->heard_ms = uv_now(s->loop);
    return LOOM_OK;
}

/* ---- out ---- */

static bool send_down(bus_server *s, loom_bytes bytes)
{
    loom_status st = nng_send_copy(s->bridges.pub, bytes); /* a PUB socket never waits */
    if (st != LOOM_OK) {
        bus_log_limited(s, &s->memory_log, 0, "message to a bridge waits reason=\"%s\"", loom_status_text(st));
    }
    return st == LOOM_OK;
}

static void flush(bus_bridge *b, bool complete_only)
{
    bus_server *s = b->server;
    const bus_chunk *chunk;
    while ((chunk = bus_link_next_resend(&b->link)) != NULL) {
        if (!send_down(s, (loom_bytes){chunk->w.data, chunk->w.len})) {
            return; /* it stays unacknowledged, so it will be tried again */
        }
    }
    while ((chunk = bus_link_next(&b->link, complete_only)) != NULL) {
        if (!send_down(s, (loom_bytes){chunk->w.data, chunk->w.len})) {
            return;
        }
        bus_link_sent(&b->link, uv_now(s->loop));
    }
    uint8_t ack[BUS_TOPIC_MAX + BUS_HEADER_MAX];
    size_t len;
    if (!complete_only && bus_link_next_ack(&b->link, ack, &len)) {
        (void)send_down(s, (loom_bytes){ack, len}); /* a lost ack is made good by the next */
    }
}

void bridge_bus_flush(bus_server *s, bool complete_only)
{
    for (bus_bridge *b = s->bridges.first; b != NULL; b = b->next) {
        flush(b, complete_only);
    }
}

/* ---- in ---- */

static void on_frames(bus_bridge *b, loom_bytes frames)
{
    char reason[FRAME_REASON_SIZE] = "";
    uint64_t session = 0;
    bus_frame f;
    for (;;) {
        loom_status st = bus_frame_next(&frames, &f, reason);
        if (st == LOOM_ENOTFOUND) {
            return;
        }
        if (st == LOOM_OK && f.type == BUS_FRAME_SESSION) {
            session = f.number;
        } else if (st == LOOM_OK) {
            st = bus_session_frame(b, session, &f, reason);
        }
        if (st != LOOM_OK && st != LOOM_EVERSION) { /* unknown frames are stepped over */
            b->server->stats.bridge_malformed++;
            bus_log(b->server, 0, "bridge breaks the protocol bridge=%.*s reason=\"%s\"", (int)b->id_len, b->id, reason);
            b->failed = true;
            return;
        }
    }
}

static void on_message(bus_server *s, nng_msg *msg)
{
    const char *reason;
    bus_header header;
    loom_bytes frames;
    if (bus_header_read(&header, (loom_bytes){nng_msg_body(msg), nng_msg_len(msg)}, &frames, &reason) != LOOM_OK) {
        s->stats.bridge_malformed++;
        bus_log_limited(s, &s->malformed_log, 1, "message on the bridge bus is refused reason=\"%s\"", reason);
        return;
    }
    bus_bridge *b = find(s, header.bridge);
    if (b == NULL || b->link.epoch != header.epoch || b->failed) {
        s->stats.bridge_stale++; /* from before a restart, or of somebody who never said hello */
        bus_log_limited(s, &s->stale_log, 3, "message of no known attachment is ignored");
        return;
    }
    uint32_t pipe = (uint32_t)nng_pipe_id(nng_msg_get_pipe(msg));
    b->pipe = b->pipe != 0 ? b->pipe : pipe;
    b->heard_ms = uv_now(s->loop);
    uint64_t gaps = b->link.stats.gaps;
    loom_status st = bus_link_accept(&b->link, &header, b->heard_ms);
    if (b->link.stats.gaps != gaps) {
        bus_log(s, 1, "messages of a bridge are missing, asked for again bridge=%.*s after=%llu got=%llu", (int)b->id_len,
                b->id, (unsigned long long)b->link.received, (unsigned long long)header.seq);
    }
    if (st == LOOM_OK) {
        on_frames(b, frames);
        flush(b, true);
    } else if (st == LOOM_EPROTO) {
        s->stats.bridge_malformed++;
        bus_log(s, 0, "bridge acknowledges what was never sent bridge=%.*s", (int)b->id_len, b->id);
        b->failed = true;
    }
}

static void close_failed(bus_server *s)
{
    for (bus_bridge *b = s->bridges.first, *next; b != NULL; b = next) {
        next = b->next;
        if (b->failed) {
            s->stats.bridges_lost++;
            bridge_close(b, "its messages cannot be trusted");
        }
    }
}

static void watch_pipes(bus_server *s)
{
    pipe_event event;
    while (pipe_watch_take(s->bridges.pipes, &event)) {
        for (bus_bridge *b = s->bridges.first, *next; b != NULL && !event.added; b = next) {
            next = b->next;
            if (b->pipe == event.pipe) {
                s->stats.bridges_lost++;
                bridge_close(b, "its connection has ended");
            }
        }
    }
    (void)pipe_watch_missed(s->bridges.pipes); /* whoever went unnoticed is silent and expires */
}

void bridge_bus_turn(bus_server *s)
{
    nng_msg *msg;
    if (s->bridges.inbox == NULL) {
        return;
    }
    for (unsigned taken = 0; (msg = nng_inbox_take(s->bridges.inbox)) != NULL; taken++) {
        on_message(s, msg);
        nng_msg_free(msg);
        if (taken == INBOX_MESSAGES) {
            uv_async_send(&s->wake); /* others have their turn; pipes wait, so that no message is overtaken by an end */
            close_failed(s);
            return;
        }
    }
    close_failed(s);
    watch_pipes(s);
}

void bridge_bus_tick(bus_server *s)
{
    uint64_t now = uv_now(s->loop);
    for (bus_bridge *b = s->bridges.first, *next; b != NULL; b = next) {
        next = b->next;
        bus_link_tick(&b->link, now);
        if (now - b->heard_ms >= s->options.bridge_expiry_ms) {
            s->stats.bridges_lost++;
            bridge_close(b, "nothing was heard of it");
        }
    }
}

/* ---- life ---- */

static loom_status open_pull(bus_server *s)
{
    int error = nng_pull0_open(&s->bridges.pull);
    if (error != 0) {
        return nng_status(error);
    }
    s->bridges.pull_open = true;
    if ((error = nng_socket_set_size(s->bridges.pull, NNG_OPT_RECVMAXSZ, BUS_MESSAGE_MAX)) != 0) {
        return nng_status(error);
    }
    loom_status st = pipe_watch_open(&s->bridges.pipes, s->bridges.pull, &s->wake);
    if (st == LOOM_OK) {
        st = nng_inbox_open(&s->bridges.inbox, s->bridges.pull, &s->wake, INBOX_MESSAGES, INBOX_BYTES);
    }
    return st == LOOM_OK ? bus_listen(s, s->bridges.pull, BUS_SERVER_BRIDGE_PULL, s->options.bridge_pull) : st;
}

loom_status bridge_bus_open(bus_server *s)
{
    if (!bus_url_wanted(s->options.bridge_pull) || !bus_url_wanted(s->options.bridge_pub)) {
        return LOOM_OK;
    }
    loom_status st = open_pull(s);
    if (st != LOOM_OK) {
        return st;
    }
    int error = nng_pub0_open(&s->bridges.pub);
    if (error != 0) {
        return nng_status(error);
    }
    s->bridges.pub_open = true;
    int buffer = s->options.bridge_send_buffer > 0 ? (int)s->options.bridge_send_buffer : SEND_BUFFER;
    if ((error = nng_socket_set_int(s->bridges.pub, NNG_OPT_SENDBUF, buffer)) != 0) {
        return nng_status(error);
    }
    return bus_listen(s, s->bridges.pub, BUS_SERVER_BRIDGE_PUB, s->options.bridge_pub);
}

void bridge_bus_close(bus_server *s)
{
    bridge_bus *bridges = &s->bridges;
    while (bridges->first != NULL) {
        bridge_close(bridges->first, "the bus closes");
    }
    nng_inbox_close(bridges->inbox);
    if (bridges->pull_open) {
        nng_closings_add(s->closings, bridges->pull, bridges->pipes);
    }
    if (bridges->pub_open) {
        nng_closings_add(s->closings, bridges->pub, NULL);
    }
    *bridges = (bridge_bus){0};
}
