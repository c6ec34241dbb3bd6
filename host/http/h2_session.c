/* SPDX-License-Identifier: Apache-2.0 */
/* A connection that speaks HTTP/2: nghttp2 reads and writes frames, connection_io.c moves their bytes. */
#include "host/http/h2.h"

#include <stdlib.h>

enum { RESETS_BURST = 200, RESETS_A_SECOND = 33, ACKS_MAX = 100 };

static uint64_t now(const h2_session *h)
{
    return uv_now(h->connection->server->loop);
}

/* ---- deadlines ---- */

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* UINT64_MAX: none, since its head is still on its way, or its owner has the request. */
static uint64_t stream_deadline(const h2_stream *s)
{
    const http_server_options *o = &s->session->connection->server->options;
    if (s->stream.events != NULL && !s->ending && !s->reset) {
        return UINT64_MAX; /* its owner sees to it that it is taken */
    }
    if (s->request == NULL) {
        return s->since_ms + o->send_ms;
    }
    return s->handled || !s->request->path_known ? UINT64_MAX : s->since_ms + o->body_ms;
}

/* When the connection is beyond help: its output is not taken, or a header block does not end. */
static uint64_t last_deadline(const h2_session *h)
{
    const http_connection *c = h->connection;
    const http_server_options *o = &c->server->options;
    uint64_t at = h->head_ms > 0 ? h->head_ms + o->handshake_ms : UINT64_MAX;
    return c->writing ? earlier(at, h->written_ms + (c->server->closing ? o->close_ms : o->send_ms)) : at;
}

static bool is_idle(const h2_session *h)
{
    return h->stream_count == 0 && h->head_ms == 0 && !h->connection->writing;
}

static uint64_t next_deadline(const h2_session *h)
{
    uint64_t at = is_idle(h) ? h->active_ms + h->connection->server->options.idle_ms : last_deadline(h);
    for (list_node *n = h->streams.first; n != NULL; n = n->next) {
        at = earlier(at, stream_deadline(list_item(n, h2_stream, in_session)));
    }
    return at;
}

static void set_deadline(h2_session *h)
{
    http_connection *c = h->connection;
    if (c->closing || c->phase != PHASE_H2) {
        return;
    }
    uint64_t at = next_deadline(h);
    http_connection_wait(c, h->stream_count == 0 && h->head_ms == 0);
    http_connection_deadline(c, at == UINT64_MAX ? 0 : at <= now(h) ? 1 : (uint32_t)earlier(at - now(h), UINT32_MAX));
}

static void end(http_connection *c)
{
    h2_session *h = c->h2;
    if (!h->ending) {
        h->ending = true;
        (void)nghttp2_session_terminate_session(h->ng, NGHTTP2_NO_ERROR);
        h2_pump(h);
    }
}

/* NULL: none. */
static h2_stream *late_stream(const h2_session *h)
{
    for (list_node *at = h->streams.first; at != NULL; at = at->next) {
        h2_stream *s = list_item(at, h2_stream, in_session);
        if (stream_deadline(s) <= now(h)) {
            return s;
        }
    }
    return NULL;
}

static void late(http_connection *c)
{
    h2_session *h = c->h2;
    if (next_deadline(h) > now(h)) {
        set_deadline(h);
        return;
    }
    if (is_idle(h) && !h->ending) {
        end(c); /* it was silent between two requests */
        return;
    }
    c->server->counts.late++;
    h2_stream *s = last_deadline(h) <= now(h) ? NULL : late_stream(h);
    if (s != NULL && s->request != NULL) {
        h2_stream_late(s);
        h2_pump(h);
    } else if (s != NULL && s->sent && !s->reset) {
        h2_stream_stop(s);
        h2_pump(h);
    } else {
        http_connection_abort(c); /* also for an answer that is not taken */
    }
}

/* ---- bytes ---- */

void h2_pump(h2_session *h)
{
    if (!h->receiving) {
        http_connection_pump(h->connection);
        set_deadline(h);
    }
}

/* Puts what nghttp2 has to say behind the output, up to a chunk; false: nothing is to be done. */
static bool fill(http_connection *c)
{
    h2_session *h = c->h2;
    const uint8_t *data;
    ssize_t len = 0;
    if (h->receiving) {
        return false;
    }
    h->written_ms = now(h);
    do {
        while (c->out.len < SEND_CHUNK && !c->closing && (len = nghttp2_session_mem_send(h->ng, &data)) > 0) {
            (void)http_connection_say(c, data, (size_t)len);
        }
    } while (len >= 0 && !c->closing && h2_tell_sent(h));
    if (len < 0) {
        http_connection_abort(c);
    }
    if (c->closing) {
        return false;
    }
    if (c->out.len > 0) {
        return true;
    }
    if (!nghttp2_session_want_read(h->ng) && !nghttp2_session_want_write(h->ng)) {
        http_connection_finish(c);
        return true;
    }
    if (c->server->stopping && h->stream_count == 0 && !h->ending) {
        h->ending = true;
        return nghttp2_session_terminate_session(h->ng, NGHTTP2_NO_ERROR) == 0;
    }
    return false;
}

static void input(http_connection *c, const uint8_t *data, size_t len)
{
    h2_session *h = c->h2;
    h->receiving = true;
    ssize_t used = nghttp2_session_mem_recv(h->ng, data, len);
    h->receiving = false;
    if (used < 0) {
        c->server->counts.invalid++;
        http_connection_abort(c);
        return;
    }
    h2_pump(h);
}

/* ---- life ---- */

static nghttp2_option *make_options(void)
{
    nghttp2_option *o;
    if (nghttp2_option_new(&o) != 0) {
        return NULL;
    }
    nghttp2_option_set_stream_reset_rate_limit(o, RESETS_BURST, RESETS_A_SECOND);
    nghttp2_option_set_max_outbound_ack(o, ACKS_MAX);
    nghttp2_option_set_no_closed_streams(o, 1);
    return o;
}

static bool make_session(h2_session *h)
{
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *options = make_options();
    bool made = options != NULL && nghttp2_session_callbacks_new(&callbacks) == 0;
    if (made) {
        h2_request_callbacks(callbacks);
        nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, h2_on_frame_sent);
        made = nghttp2_session_server_new2(&h->ng, callbacks, h, options) == 0;
    }
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(options);
    return made;
}

static bool say_settings(h2_session *h)
{
    const nghttp2_settings_entry entries[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, HTTP2_STREAMS_MAX},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, HTTP2_STREAM_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, h->connection->server->options.head_max},
    };
    return nghttp2_submit_settings(h->ng, NGHTTP2_FLAG_NONE, entries, sizeof entries / sizeof entries[0]) == 0 &&
           nghttp2_session_set_local_window_size(h->ng, NGHTTP2_FLAG_NONE, 0, HTTP2_CONNECTION_WINDOW) == 0;
}

static void open_session(http_connection *c)
{
    h2_session *h = calloc(1, sizeof *h);
    if (h == NULL) {
        http_connection_abort(c);
        return;
    }
    h->connection = c;
    h->active_ms = h->written_ms = now(h);
    c->h2 = h;
    c->phase = PHASE_H2;
    if (!make_session(h) || !say_settings(h)) {
        http_connection_abort(c);
        return;
    }
    input(c, (const uint8_t *)NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN);
}

static void leave(http_connection *c)
{
    for (list_node *at; (at = c->h2->streams.first) != NULL;) {
        h2_stream_free(list_item(at, h2_stream, in_session));
    }
}

static void fini(http_connection *c)
{
    nghttp2_session_del(c->h2->ng); /* NULL is allowed; its streams are gone, so it calls nothing */
    free(c->h2);
    c->h2 = NULL;
}

const struct http2_protocol http2_protocol = {
    .open = open_session, .input = input, .fill = fill, .late = late, .end = end, .leave = leave, .fini = fini, .answer = h2_answer,
    .answer_stream = h2_answer_stream, .stream_send = h2_stream_send, .stream_close = h2_stream_close,
};
