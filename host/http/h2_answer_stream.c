/* SPDX-License-Identifier: Apache-2.0 */
/* Answers that come bit by bit over HTTP/2: each is one stream among others of its connection. Bytes are taken from their
 * owner when the client's windows have room and the socket has taken what there was before. */
#include "host/http/h2.h"

#include <stdlib.h>

static h2_stream *owner_of(http_stream *s)
{
    return (h2_stream *)(void *)((char *)s - offsetof(h2_stream, stream));
}

static ssize_t read_stream(nghttp2_session *ng, int32_t id, uint8_t *to, size_t room, uint32_t *flags,
                           nghttp2_data_source *source, void *user)
{
    (void)ng;
    (void)id;
    (void)user;
    h2_stream *s = source->ptr;
    http_stream *t = &s->stream;
    if (t->payload_len == 0 && !s->ending) {
        return NGHTTP2_ERR_DEFERRED;
    }
    const size_t len = t->payload_len < room ? t->payload_len : room;
    if (len > 0) {
        memcpy(to, t->payload, len);
        t->payload += len;
        t->payload_len -= len;
        s->all_taken = t->payload_len == 0;
    }
    if (s->ending) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    }
    return (ssize_t)len;
}

bool h2_tell_sent(h2_session *h)
{
    for (list_node *at = h->streams.first; at != NULL; at = at->next) {
        h2_stream *s = list_item(at, h2_stream, in_session);
        if (s->all_taken) {
            s->all_taken = false;
            s->stream.payload = NULL;
            s->stream.events->sent(s->stream.user);
            return true;
        }
    }
    return false;
}

/* ---- what its owner does ---- */

http_stream *h2_answer_stream(http_request *r, const http_answer *head, const http_stream_events *events, void *user)
{
    h2_stream *s = r->h2;
    h2_session *h = s->session;
    const nghttp2_data_provider body = {.source.ptr = s, .read_callback = read_stream};
    s->request = NULL;
    s->since_ms = uv_now(h->connection->server->loop);
    const bool fine = h2_submit(s, r, head, &body, false) == 0;
    h->connection->server->bodies -= r->body.cap;
    http_request_free(r);
    if (!fine) {
        (void)nghttp2_submit_rst_stream(h->ng, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_INTERNAL_ERROR);
        h2_pump(h);
        return NULL;
    }
    s->stream = (http_stream){.http2 = &http2_protocol, .events = events, .user = user};
    h2_pump(h);
    return &s->stream; /* is there until `closed` */
}

void h2_stream_send(http_stream *t, const uint8_t *data, size_t len)
{
    h2_stream *s = owner_of(t);
    if (s->gone || s->ending || s->reset || len == 0) {
        return; /* closed follows */
    }
    t->payload = data;
    t->payload_len = len;
    (void)nghttp2_session_resume_data(s->session->ng, s->id); /* fails when it was not waiting: then it is read anyway */
    h2_pump(s->session);
}

void h2_stream_close(http_stream *t)
{
    h2_stream *s = owner_of(t);
    if (s->gone || s->ending || s->reset) {
        return;
    }
    s->since_ms = uv_now(s->session->connection->server->loop);
    if (t->payload_len > 0) {
        s->reset = true;
        t->payload_len = 0; /* is not used any more */
        (void)nghttp2_submit_rst_stream(s->session->ng, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_CANCEL);
    } else {
        s->ending = true;
        (void)nghttp2_session_resume_data(s->session->ng, s->id);
    }
    h2_pump(s->session);
}

/* ---- the end ---- */

static void on_gone(uv_handle_t *handle)
{
    h2_stream *s = handle->data;
    http_connection *c = s->session->connection;
    s->stream.events->closed(s->stream.user);
    free(s);
    http_connection_handle_gone(c);
}

/* Its owner is told from the loop, and the connection stays until then. */
void h2_stream_go(h2_stream *s)
{
    http_connection *c = s->session->connection;
    s->gone = true;
    s->stream.payload_len = 0;
    c->handles++;
    s->end.data = s;
    uv_idle_init(c->server->loop, &s->end);
    uv_close((uv_handle_t *)&s->end, on_gone);
}
