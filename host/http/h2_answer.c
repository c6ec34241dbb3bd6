/* SPDX-License-Identifier: Apache-2.0 */
/* Answers over HTTP/2: fields, a body that leaves as the client's windows allow, trailers. */
#include "host/http/h2.h"

#include "base/str.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { FIELDS_MAX = 32, NAMES_SIZE = 1024, TRAILERS_MAX = 8 };

/* Fields being put together; nghttp2 copies what they point to. */
typedef struct field_list {
    nghttp2_nv fields[FIELDS_MAX];
    size_t count;
    char names[NAMES_SIZE]; /* in lower case (RFC 9113, section 8.2.1) */
    size_t names_len;
} field_list;

static bool is_sendable(loom_str value)
{
    for (size_t i = 0; i < value.len; i++) {
        if ((uint8_t)value.data[i] < ' ' || value.data[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

static void put(field_list *l, const char *name, loom_str value)
{
    size_t len = strlen(name);
    if (l->count == FIELDS_MAX || len > NAMES_SIZE - l->names_len || !is_sendable(value)) {
        return;
    }
    char *lower = l->names + l->names_len;
    for (size_t i = 0; i < len; i++) {
        lower[i] = (char)tolower((unsigned char)name[i]);
    }
    l->names_len += len;
    l->fields[l->count++] = (nghttp2_nv){.name = (uint8_t *)lower, .namelen = len,
                                         .value = (uint8_t *)(uintptr_t)value.data, .valuelen = value.len};
}

static void put_text(field_list *l, const char *name, const char *value)
{
    put(l, name, str_of(value));
}

/* ---- the body ---- */

static int submit_trailers(nghttp2_session *ng, h2_stream *s)
{
    field_list l = {.count = 0};
    const char *at = (const char *)s->trailers.data;
    for (size_t i = 0; i < s->trailer_count; i++) {
        const char *value = at + strlen(at) + 1;
        put_text(&l, at, value);
        at = value + strlen(value) + 1;
    }
    return nghttp2_submit_trailer(ng, s->id, l.fields, l.count);
}

static ssize_t read_body(nghttp2_session *ng, int32_t id, uint8_t *to, size_t room, uint32_t *flags, nghttp2_data_source *source,
                         void *user)
{
    (void)id;
    (void)user;
    h2_stream *s = source->ptr;
    size_t left = s->answer.len - s->answer_at;
    size_t len = left < room ? left : room;
    if (len > 0) {
        memcpy(to, s->answer.data + s->answer_at, len);
    }
    s->answer_at += len;
    if (len == left) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (s->trailer_count > 0) {
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            if (submit_trailers(ng, s) != 0) {
                return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* the stream is reset */
            }
        }
    }
    return (ssize_t)len;
}

static bool keep_trailers(h2_stream *s, const http_answer *a)
{
    for (size_t i = 0; i < a->trailer_count && i < TRAILERS_MAX; i++) {
        const http_field *f = &a->trailers[i];
        if (!is_sendable(f->value)) {
            continue;
        }
        if (!buffer_put(&s->trailers, f->name, strlen(f->name) + 1) || !buffer_put(&s->trailers, f->value.data, f->value.len) ||
            !buffer_put(&s->trailers, "", 1)) {
            return false;
        }
        s->trailer_count++;
    }
    return true;
}

/* ---- the answer ---- */

int h2_submit(h2_stream *s, const http_request *r, const http_answer *a, const nghttp2_data_provider *body, bool length)
{
    char status[8], date[40], bytes[24];
    struct tm tm;
    time_t seconds = time(NULL);
    field_list l = {.count = 0};
    snprintf(status, sizeof status, "%u", (unsigned)a->status);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&seconds, &tm));
    put_text(&l, ":status", status);
    put_text(&l, "date", date);
    if (a->content_type != NULL) {
        put_text(&l, "content-type", a->content_type);
    }
    if (length && a->trailer_count == 0 && a->status != 204) { /* RFC 9110, 8.6: a 204 has none */
        snprintf(bytes, sizeof bytes, "%zu", a->body.len);
        put_text(&l, "content-length", bytes);
    }
    for (size_t i = 0; i < a->field_count; i++) {
        put(&l, a->fields[i].name, a->fields[i].value);
    }
    if (a->status == 405) {
        put_text(&l, "allow", r->allow);
    } else if (a->status == 503) {
        put_text(&l, "retry-after", "1");
    }
    return nghttp2_submit_response(s->session->ng, s->id, l.fields, l.count, body);
}

void h2_answer(http_request *r, const http_answer *answer)
{
    h2_stream *s = r->h2;
    h2_session *h = s->session;
    s->request = NULL;
    s->is_error = answer->status >= 400;
    s->since_ms = uv_now(h->connection->server->loop);
    const nghttp2_data_provider body = {.source.ptr = s, .read_callback = read_body};
    const bool has_body = !r->head_only && (answer->body.len > 0 || answer->trailer_count > 0);
    const bool kept = buffer_put(&s->answer, answer->body.data, r->head_only ? 0 : answer->body.len) && keep_trailers(s, answer);
    s->answer_held = s->answer.len;
    h->connection->server->answers += s->answer_held;
    if (!kept || h2_submit(s, r, answer, has_body ? &body : NULL, true) != 0) {
        (void)nghttp2_submit_rst_stream(h->ng, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_INTERNAL_ERROR);
    }
    h->connection->server->bodies -= r->body.cap;
    http_request_free(r);
    h2_pump(h);
}

int h2_on_frame_sent(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
    h2_session *h = user;
    if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR) {
        h->connection->server->counts.invalid++;
    }
    if ((frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS) || (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) {
        return 0;
    }
    h2_stream *s = nghttp2_session_get_stream_user_data(ng, frame->hd.stream_id);
    if (s == NULL) {
        return 0;
    }
    s->sent = true;
    if (!s->received && !s->is_error) {
        h2_stream_stop(s); /* as gRPC does: nothing else in this answer says that no more is wanted */
    }
    return 0;
}
