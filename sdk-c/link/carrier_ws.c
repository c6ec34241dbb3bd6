/* SPDX-License-Identifier: Apache-2.0 */
/* The carrier of ws:// and wss://: WebSocket frames over a socket or over TLS.
 *
 * The receiving half belongs to the agent's thread. What comes is read into the agent's own buffer and decoded in place,
 * whole, so that nothing stays hidden from the epoll set. The sending half has a lock, since pongs and the close frame leave
 * from the agent's thread while another one may be sending. When there is nothing to read but something to do, the room
 * watch wakes the agent's thread. */
#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdk-c/link/carrier_layer.h"
#include "sdk-c/link/ws_reader.h"
#include "sdk-c/link/ws_upgrade.h"
#include "sdk-c/link/ws_writer.h"

/* An answer not over WS_ANSWER_MAX yet always leaves room for a TLS record. */
enum { HEAD_SIZE = WS_ANSWER_MAX + 16 * 1024 };
static_assert((int)HEAD_SIZE <= (int)CARRIER_ROOM_MIN, "what follows the answer fits the agent's buffer");
static_assert((int)WS_REQUEST_SIZE <= (int)HEAD_SIZE, "the request has its place there before");

typedef enum ws_phase { WS_DIALING, WS_ASKING, WS_LISTENING, WS_UP } ws_phase;

typedef struct ws_carrier {
    carrier base;
    carrier *under;
    room_watch room;
    /* the agent's thread */
    ws_phase phase;
    char accept[WS_ACCEPT_SIZE];
    char *head;               /* the request, then the answer and what followed it; NULL: done with */
    size_t head_begin, head_len;
    ws_reader reader;

    atomic_bool owes;         /* the room watch is on for us: a control frame could not leave, or receive has to be called */
    pthread_mutex_t lock;     /* of what follows, and of sending by the carrier below */
    ws_writer writer;
} ws_carrier;

/* ---- connecting ---- */

static loom_status fail_under(ws_carrier *w, loom_status st)
{
    if (st != LOOM_EBUSY) {
        memcpy(w->base.why, w->under->why, sizeof w->base.why);
    }
    return st;
}

static loom_status dial(ws_carrier *w)
{
    loom_status st = w->under->ops->connect(w->under);
    if (st == LOOM_OK) {
        w->phase = WS_ASKING;
        return LOOM_OK;
    }
    return fail_under(w, st);
}

static loom_status ask(ws_carrier *w)
{
    struct iovec iov = {w->head + w->head_begin, w->head_len - w->head_begin};
    size_t sent;
    loom_status st = w->under->ops->send(w->under, &iov, 1, &sent);
    w->head_begin += sent;
    if (st != LOOM_OK && st != LOOM_EBUSY) {
        snprintf(w->base.why, LINK_WHY_SIZE, "connection broken during the WebSocket upgrade");
        return st;
    }
    if (w->head_begin < w->head_len) {
        room_watch_layer(&w->room, true);
        return LOOM_EBUSY;
    }
    room_watch_layer(&w->room, false);
    w->head_begin = w->head_len = 0;
    w->phase = WS_LISTENING;
    return LOOM_OK;
}

/* Lock held, or before there is another thread. */
static void owe(ws_carrier *w, bool on)
{
    atomic_store(&w->owes, on);
    room_watch_layer(&w->room, on);
}

/* Whatever followed the answer is the first that receive() decodes. */
static loom_status upgraded(ws_carrier *w, size_t end)
{
    w->phase = WS_UP;
    if (end < w->head_len) {
        w->head_begin = end;
        owe(w, true); /* nothing else may come */
    } else {
        free(w->head);
        w->head = NULL;
    }
    return LOOM_OK;
}

static loom_status listen_for_answer(ws_carrier *w)
{
    for (;;) {
        char why[WS_UPGRADE_WHY_SIZE];
        size_t got, end;
        loom_status st = w->under->ops->receive(w->under, w->head + w->head_len, HEAD_SIZE - w->head_len, &got);
        if (st == LOOM_ECLOSED) {
            snprintf(w->base.why, LINK_WHY_SIZE, "the server closed the connection during the WebSocket upgrade");
            return st;
        }
        if (st != LOOM_OK) {
            return fail_under(w, st);
        }
        w->head_len += got;
        st = ws_upgrade_answer((loom_str){w->head, w->head_len}, w->accept, &end, why);
        if (st == LOOM_OK) {
            return upgraded(w, end);
        }
        if (st != LOOM_EBUSY) {
            snprintf(w->base.why, LINK_WHY_SIZE, "%s", why);
            return st;
        }
    }
}

static loom_status ws_connect(carrier *c)
{
    ws_carrier *w = (ws_carrier *)c;
    loom_status st = LOOM_OK;
    if (w->phase == WS_DIALING) {
        st = dial(w);
    }
    if (st == LOOM_OK && w->phase == WS_ASKING) {
        st = ask(w);
    }
    return st == LOOM_OK ? listen_for_answer(w) : st;
}

/* ---- connected ---- */

static loom_status ws_send(carrier *c, const struct iovec *iov, size_t count, size_t *sent)
{
    ws_carrier *w = (ws_carrier *)c;
    pthread_mutex_lock(&w->lock);
    loom_status st = ws_writer_send(&w->writer, w->under, iov, count, sent);
    if (ws_writer_is_stuck(&w->writer) && !atomic_load(&w->owes)) {
        owe(w, true); /* the agent may have nothing more to send, and would not come again */
    }
    pthread_mutex_unlock(&w->lock);
    return st;
}

static void ws_watch_room(carrier *c, bool on)
{
    room_watch_agent(&((ws_carrier *)c)->room, on);
}

/* Answers what the reader has found, and goes on with what could not leave before. A failure shows when reading. Mostly
 * there is nothing to do, and no reason to wait for a thread that is sending. */
static void answer(ws_carrier *w, bool more_to_tell)
{
    ws_reader *r = &w->reader;
    if (!r->pinged && r->ended == LOOM_OK && !atomic_load(&w->owes)) {
        return;
    }
    pthread_mutex_lock(&w->lock);
    if (r->pinged) {
        r->pinged = false;
        ws_writer_pong(&w->writer, r->ping, r->ping_len);
    }
    if (r->ended != LOOM_OK) {
        ws_writer_close(&w->writer, r->close_code);
    }
    bool waits = ws_writer_control(&w->writer, w->under) == LOOM_EBUSY;
    owe(w, waits || more_to_tell);
    pthread_mutex_unlock(&w->lock);
}

/* The next bytes as they came: what followed the answer to the upgrade, or what the carrier below has. */
static loom_status receive_raw(ws_carrier *w, void *into, size_t room, size_t *got)
{
    if (w->head == NULL) {
        return w->under->ops->receive(w->under, into, room, got);
    }
    *got = w->head_len - w->head_begin;
    memcpy(into, w->head + w->head_begin, *got);
    free(w->head);
    w->head = NULL;
    return LOOM_OK;
}

static loom_status ws_receive(carrier *c, void *into, size_t room, size_t *got)
{
    ws_carrier *w = (ws_carrier *)c;
    ws_reader *r = &w->reader;
    size_t raw = 0;
    *got = 0;
    loom_status st = r->ended == LOOM_OK ? receive_raw(w, into, room, &raw) : LOOM_OK;
    if (st != LOOM_OK && st != LOOM_EBUSY) {
        return fail_under(w, st);
    }
    if (raw > 0) {
        *got = ws_reader_decode(r, into, into, raw);
    }
    answer(w, r->ended != LOOM_OK && *got > 0);
    if (*got > 0) {
        return LOOM_OK;
    }
    if (r->ended != LOOM_OK) {
        memcpy(c->why, r->why, sizeof c->why);
        return r->ended;
    }
    return LOOM_EBUSY; /* whatever else has come, the epoll set says so */
}

/* The server ends the connection once it has answered the close frame. */
static void ws_finish(carrier *c)
{
    ws_carrier *w = (ws_carrier *)c;
    pthread_mutex_lock(&w->lock);
    ws_writer_close(&w->writer, WSLAY_CODE_NORMAL_CLOSURE);
    owe(w, ws_writer_control(&w->writer, w->under) == LOOM_EBUSY);
    pthread_mutex_unlock(&w->lock);
}

static void ws_close(carrier *c)
{
    ws_carrier *w = (ws_carrier *)c;
    if (w->under != NULL) {
        w->under->ops->close(w->under);
    }
    ws_reader_fini(&w->reader);
    free(w->head);
    room_watch_fini(&w->room);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

static const carrier_ops ws_ops = {ws_connect, ws_send, ws_watch_room, ws_receive, ws_finish, ws_close};

static loom_status set_up(ws_carrier *w, const ws_library *lib, const carrier_options *options)
{
    char key[WS_KEY_SIZE];
    loom_status st = ws_reader_init(&w->reader, lib);
    if (st == LOOM_OK && (w->head = malloc(HEAD_SIZE)) == NULL) {
        st = LOOM_ENOMEM;
    }
    if (st != LOOM_OK) {
        snprintf(w->base.why, LINK_WHY_SIZE, "%s", loom_status_text(st));
        return st;
    }
    ws_upgrade_key(key, w->accept);
    w->head_len = ws_upgrade_request(w->head, options->url, key);
    st = options->url->scheme == URL_WSS ? carrier_tls_open(&w->under, options, w->base.why)
                                         : carrier_socket_open(&w->under, options, w->base.why);
    w->room.under = w->under;
    return st;
}

loom_status carrier_ws_open(carrier **out, const carrier_options *options, char why[LINK_WHY_SIZE])
{
    *out = NULL;
    const ws_library *lib = ws_library_get();
    if (lib == NULL) {
        snprintf(why, LINK_WHY_SIZE, "%s", ws_library_problem());
        return LOOM_EINVAL;
    }
    ws_carrier *w = calloc(1, sizeof *w);
    if (w == NULL) {
        snprintf(why, LINK_WHY_SIZE, "%s", loom_status_text(LOOM_ENOMEM));
        return LOOM_ENOMEM;
    }
    w->base.ops = &ws_ops;
    pthread_mutex_init(&w->lock, NULL);
    room_watch_init(&w->room);
    loom_status st = set_up(w, lib, options);
    if (st != LOOM_OK) {
        snprintf(why, LINK_WHY_SIZE, "%s", w->base.why);
        ws_close(&w->base);
        return st;
    }
    *out = &w->base;
    return LOOM_OK;
}
