/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that come over HTTP/2. nghttp2 checks what RFC 9113 asks of fields, pseudo-fields and lengths (section 8), and
 * resets streams that break it; limits, routes and bodies are those of exchange.c. */
#include "host/http/h2.h"

#include "base/str.h"

#include <stdlib.h>

static uint64_t now(const h2_session *h)
{
    return uv_now(h->connection->server->loop);
}

static h2_stream *stream_of(nghttp2_session *ng, int32_t id)
{
    return nghttp2_session_get_stream_user_data(ng, id);
}

/* ---- a stream ---- */

static h2_stream *open_stream(h2_session *h, int32_t id)
{
    h2_stream *s = calloc(1, sizeof *s);
    http_request *r = calloc(1, sizeof *r);
    if (s == NULL || r == NULL || nghttp2_session_set_stream_user_data(h->ng, id, s) != 0) {
        free(s);
        free(r);
        return NULL;
    }
    r->connection = h->connection;
    r->h2 = s;
    *s = (h2_stream){.session = h, .id = id, .request = r, .since_ms = now(h)};
    list_append(&h->streams, &s->in_session);
    h->stream_count++;
    return s;
}

/* The stream is gone, the request may stay with its owner. */
static void let_go(http_request *r, bool handled)
{
    r->connection->server->bodies -= r->body.cap;
    r->connection = NULL;
    r->h2 = NULL;
    if (!handled) {
        http_request_free(r);
    } else if (r->left != NULL) {
        r->left(r->left_user);
    }
}

void h2_stream_free(h2_stream *s)
{
    h2_session *h = s->session;
    http_request *r = s->request;
    bool handled = s->handled;
    list_remove(&h->streams, &s->in_session);
    h->stream_count--;
    h->active_ms = now(h);
    (void)nghttp2_session_set_stream_user_data(h->ng, s->id, NULL);
    h->connection->server->answers -= s->answer_held;
    buffer_fini(&s->answer);
    buffer_fini(&s->trailers);
    if (s->stream.events != NULL) {
        h2_stream_go(s);
    } else {
        free(s);
    }
    if (r != NULL) {
        let_go(r, handled);
    }
}

static void refuse(h2_stream *s, uint16_t status, const char *why)
{
    const http_listen_options *o = &s->session->connection->listener->options;
    s->session->connection->server->counts.invalid++;
    s->handled = true;
    if (o->fail != NULL) {
        o->fail(o->user, s->request, status, why);
    } else {
        http_request_answer_text(s->request, status, why);
    }
}

void h2_stream_late(h2_stream *s)
{
    refuse(s, 408, "the body of the request took too long to come");
}

/* ---- the head ---- */

static int on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
    (void)ng;
    h2_session *h = user;
    h->head_ms = now(h);
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) {
        return 0; /* trailers: read over */
    }
    return open_stream(h, frame->hd.stream_id) != NULL ? 0 : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

/* Names and values stand in text one after the other; complete_fields() lets the fields point to them. */
static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name, size_t name_len, const uint8_t *value,
                     size_t value_len, uint8_t flags, void *user)
{
    (void)flags;
    h2_session *h = user;
    h2_stream *s = stream_of(ng, frame->hd.stream_id);
    if (s == NULL || s->request == NULL || frame->headers.cat != NGHTTP2_HCAT_REQUEST || s->head_too_large) {
        return 0;
    }
    http_request *r = s->request;
    http_head *head = &r->head;
    if (head->field_count == HTTP_FIELDS_MAX || r->text.len + name_len + value_len > h->connection->server->options.head_max) {
        s->head_too_large = true;
        return 0;
    }
    if (!buffer_put(&r->text, name, name_len) || !buffer_put(&r->text, value, value_len)) {
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    head->fields[head->field_count++] = (http_field_read){.name.len = name_len, .value.len = value_len};
    return 0;
}

static void complete_fields(http_request *r)
{
    const char *at = (const char *)r->text.data;
    for (size_t i = 0; i < r->head.field_count; i++) {
        http_field_read *f = &r->head.fields[i];
        f->name.data = at;
        f->value.data = at += f->name.len;
        at += f->value.len;
    }
}

static void take_path(http_head *head, loom_str target)
{
    const char *mark = target.len > 0 ? memchr(target.data, '?', target.len) : NULL;
    head->target = head->path = target;
    if (mark != NULL) {
        head->path.len = (size_t)(mark - target.data);
        head->query = (loom_str){mark + 1, target.len - head->path.len - 1};
    }
}

/* The pseudo-fields come first (section 8.3). :authority stands for Host. */
static void take_pseudo_fields(http_head *head)
{
    size_t kept = 0;
    for (size_t i = 0; i < head->field_count; i++) {
        http_field_read *f = &head->fields[i];
        if (str_is(f->name, ":method")) {
            head->method = f->value;
        } else if (str_is(f->name, ":path")) {
            take_path(head, f->value);
        } else if (str_is(f->name, ":authority")) {
            head->fields[kept++] = (http_field_read){.name = str_of("host"), .value = f->value};
        } else if (f->name.len == 0 || f->name.data[0] != ':') {
            head->fields[kept++] = *f;
        }
    }
    head->field_count = kept;
}

/* nghttp2 has checked that it is a number, and holds the body to it (section 8.1.1). */
static void take_length(http_head *head)
{
    const loom_str *field = http_head_field(head, "content-length");
    head->has_length = field != NULL;
    head->chunked = field == NULL;
    for (size_t i = 0; field != NULL && i < field->len; i++) {
        uint64_t digit = (uint64_t)(field->data[i] - '0');
        head->length = head->length > (UINT64_MAX - digit) / 10 ? UINT64_MAX : head->length * 10 + digit;
    }
}

/* Beside :authority there may be a Host, but no other one (section 8.3.1). */
static bool has_one_host(const http_head *head)
{
    const loom_str *host = http_head_field(head, "host");
    for (size_t i = 0; i < head->field_count; i++) {
        if (str_is(head->fields[i].name, "host") && !str_equal_any_case(head->fields[i].value, *host)) {
            return false;
        }
    }
    return true;
}

/* A status to refuse the request with; 0: it goes on. */
static uint16_t check_head(h2_stream *s, const char **why)
{
    http_request *r = s->request;
    const http_listen_options *o = &s->session->connection->listener->options;
    if (s->head_too_large) {
        *why = "the fields of the request are too large";
        return 431;
    }
    if (r->head.path.len == 0 || r->head.path.data[0] != '/') {
        *why = "the path has to begin with a slash";
        return 400;
    }
    if (!has_one_host(&r->head)) {
        *why = "Host names another than :authority";
        return 400;
    }
    if (r->head.target.len > HTTP_TARGET_MAX) {
        *why = "the target is too long";
        return 414;
    }
    uint16_t status = http_exchange_admit(r, o, why);
    if (status == 0 && r->websocket != NULL) {
        *why = "a WebSocket needs HTTP/1.1 here";
        return 501;
    }
    if (status == 0 && r->head.has_length && r->head.length > o->body_max) {
        *why = "the body is too large";
        return 413;
    }
    return status;
}

static void on_head(h2_stream *s)
{
    http_request *r = s->request;
    const char *why = "";
    complete_fields(r);
    take_pseudo_fields(&r->head);
    take_length(&r->head);
    r->path_known = true;
    s->since_ms = now(s->session);
    r->head_only = str_is(r->head.method, "HEAD");
    uint16_t status = check_head(s, &why);
    if (status != 0) {
        refuse(s, status, why);
    }
}

/* ---- the body ---- */

void h2_stream_stop(h2_stream *s)
{
    if (!s->reset) {
        s->reset = true;
        (void)nghttp2_submit_rst_stream(s->session->ng, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_NO_ERROR);
    }
}

/* An error makes clients stop by themselves, and some lose it with a stream that is reset (curl does): they may go on for a
 * while, as over HTTP/1.1. */
static void skip(h2_stream *s, size_t len)
{
    s->skipped += len;
    if (s->skipped > SKIP_MAX && s->sent) {
        h2_stream_stop(s);
    }
}

static int on_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *data, size_t len, void *user)
{
    (void)flags;
    (void)user;
    h2_stream *s = stream_of(ng, id);
    if (s == NULL) {
        return 0;
    }
    if (s->request == NULL) {
        skip(s, len);
        return 0;
    }
    const char *why;
    uint16_t status = http_exchange_put_body(s->session->connection, s->request, (loom_bytes){data, len}, &why);
    if (status != 0) {
        refuse(s, status, why);
    }
    return 0;
}

static int on_frame(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
    h2_session *h = user;
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) {
        return 0;
    }
    h2_stream *s = stream_of(ng, frame->hd.stream_id);
    if (frame->hd.type == NGHTTP2_HEADERS) {
        h->head_ms = 0;
        if (s != NULL && s->request != NULL && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
            on_head(s);
        }
    }
    if (s != NULL && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
        s->received = true;
        if (s->request != NULL && !s->handled) {
            s->handled = true;
            http_exchange_handle(h->connection, s->request);
        }
    }
    return 0;
}

static int on_invalid_frame(nghttp2_session *ng, const nghttp2_frame *frame, int error, void *user)
{
    (void)ng;
    (void)error;
    h2_session *h = user;
    h->connection->server->counts.invalid++;
    if (frame->hd.type == NGHTTP2_HEADERS) {
        h->head_ms = 0;
    }
    return 0;
}

static int on_stream_closed(nghttp2_session *ng, int32_t id, uint32_t error, void *user)
{
    (void)error;
    (void)user;
    h2_stream *s = stream_of(ng, id);
    if (s != NULL) {
        h2_stream_free(s);
    }
    return 0;
}

void h2_request_callbacks(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_closed);
}
