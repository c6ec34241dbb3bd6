/* SPDX-License-Identifier: Apache-2.0 */
/* Requests, one at a time on a connection; answer.c has their answers. While a handler has a request nothing more is read, so what a
 * client may have waiting here is bounded by one read. */
#include "host/http/internal.h"

#include "base/str.h"

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

void http_request_free(http_request *r)
{
    buffer_fini(&r->text);
    buffer_fini(&r->body);
    free(r);
}

void http_exchange_leave(http_connection *c)
{
    http_request *r = c->request;
    if (c->h2 != NULL) {
        c->listener->options.http2->leave(c);
    }
    if (r == NULL) {
        return;
    }
    c->request = NULL;
    c->server->bodies -= r->body.cap;
    if (c->phase == PHASE_ANSWER && !c->answered) {
        r->connection = NULL; /* its owner still has it */
        if (r->left != NULL) {
            r->left(r->left_user);
        }
    } else {
        http_request_free(r);
    }
}

void http_exchange_begin(http_connection *c, bool again)
{
    c->phase = PHASE_HEAD;
    c->served = again;
    if (!again) {
        return; /* the deadline of the handshake runs on */
    }
    if (c->server->stopping) {
        http_connection_finish(c);
        return;
    }
    http_connection_wait(c, true);
    http_connection_deadline(c, c->server->options.idle_ms);
}

/* ---- refusals ---- */

void http_exchange_refuse(http_connection *c, uint16_t status, const char *why)
{
    http_request *r = c->request;
    const http_listen_options *o = &c->listener->options;
    bool whole = r->path_known && !r->head.chunked && r->head.length == 0;
    r->close = r->close || !whole;
    c->server->counts.invalid++;
    c->phase = PHASE_ANSWER;
    http_connection_wait(c, false);
    http_connection_deadline(c, 0);
    if (o->fail != NULL) {
        o->fail(o->user, r, status, why);
    } else {
        http_request_answer_text(r, status, why);
    }
}

void http_exchange_late(http_connection *c)
{
    if (c->request == NULL || c->request->text.len == 0) {
        http_connection_finish(c); /* nothing was asked, nothing is answered */
    } else {
        http_exchange_refuse(c, 408, c->phase == PHASE_HEAD ? "the request took too long to come"
                                                            : "the body of the request took too long to come");
    }
}

/* ---- requests ---- */

void http_exchange_handle(http_connection *c, http_request *r)
{
    if (r->body.len <= READ_SMALL) {
        c->server->small_ms = uv_now(c->server->loop);
    }
    r->handle(c->listener->options.user, r);
}

static void handle(http_connection *c)
{
    c->phase = PHASE_ANSWER;
    c->handled++;
    http_connection_deadline(c, 0);
    http_exchange_handle(c, c->request);
}

/* Whether the route is of this path; *rest is what follows its own. */
static bool is_path_of(const http_route *route, loom_str path, loom_str *rest)
{
    const size_t len = strlen(route->path);
    *rest = (loom_str){0};
    if (!route->below) {
        return str_is(path, route->path);
    }
    if (path.len <= len || memcmp(path.data, route->path, len) != 0) {
        return false;
    }
    *rest = str_tail(path, len);
    return true;
}

static bool is_method_of(const http_route *route, loom_str method)
{
    if (route->websocket != NULL) {
        return str_is(method, "GET");
    }
    return str_is(method, route->method) || (strcmp(route->method, "GET") == 0 && str_is(method, "HEAD"));
}

static void allow(http_request *r, const char *methods)
{
    size_t used = strlen(r->allow);
    snprintf(r->allow + used, sizeof r->allow - used, "%s%s", used > 0 ? ", " : "", methods);
}

/* The status to refuse with; 0: r->handle or r->websocket is set. */
static uint16_t find_route(http_request *r, const http_listen_options *o)
{
    for (size_t i = 0; i < o->route_count; i++) {
        const http_route *route = &o->routes[i];
        loom_str rest;
        if (!is_path_of(route, r->head.path, &rest)) {
            continue;
        }
        if (is_method_of(route, r->head.method)) {
            r->handle = route->handle;
            r->websocket = route->websocket;
            r->rest = rest;
            return 0;
        }
        allow(r, route->websocket != NULL ? "GET" : strcmp(route->method, "GET") == 0 ? "GET, HEAD" : route->method);
    }
    if (r->allow[0] == '\0') {
        return 404;
    }
    if (o->options == NULL) {
        return 405;
    }
    allow(r, "OPTIONS");
    r->handle = o->options;
    return str_is(r->head.method, "OPTIONS") ? 0 : 405;
}

uint16_t http_exchange_admit(http_request *r, const http_listen_options *o, const char **why)
{
    uint16_t status = o->admit != NULL ? o->admit(o->user, r, why) : 0;
    if (status == 0 && (status = find_route(r, o)) != 0) {
        *why = status == 405 ? "the method is not allowed here" : "there is nothing at this path";
    }
    return status;
}

static void on_head(http_connection *c)
{
    http_request *r = c->request;
    const http_listen_options *o = &c->listener->options;
    http_connection_wait(c, false);
    r->path_known = true;
    r->close = r->head.close;
    r->head_only = str_is(r->head.method, "HEAD");
    const char *why = "";
    uint16_t status = http_exchange_admit(r, o, &why);
    if (status != 0) {
        http_exchange_refuse(c, status, why);
        return;
    }
    if (r->websocket != NULL) {
        http_websocket_upgrade(c, r->websocket);
        return;
    }
    if (r->head.has_length && r->head.length > o->body_max) {
        http_exchange_refuse(c, 413, "the body is too large");
        return;
    }
    http_body_init(&r->body_reader, &r->head);
    if (r->body_reader.state == BODY_DONE) {
        handle(c);
        return;
    }
    c->phase = PHASE_BODY;
    http_connection_deadline(c, c->server->options.body_ms);
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    if (r->head.wants_continue && http_connection_say(c, go_on, sizeof go_on - 1)) {
        http_connection_pump(c);
    }
}

/* Whether the connection so far is the beginning of HTTP/2's preface (RFC 9113, section 3.4); *part of data belongs to it. */
static bool is_http2(const http_connection *c, const uint8_t *data, size_t len, size_t *part)
{
    const byte_buffer *text = &c->request->text;
    if (c->listener->options.http2 == NULL || c->served || text->len >= sizeof preface - 1) {
        return false;
    }
    size_t left = sizeof preface - 1 - text->len;
    *part = len < left ? len : left;
    return (text->len == 0 || memcmp(text->data, preface, text->len) == 0) && memcmp(data, preface + text->len, *part) == 0;
}

static void read_preface(http_connection *c, const uint8_t *data, size_t part)
{
    http_request *r = c->request;
    if (!buffer_put(&r->text, data, part)) {
        http_connection_abort(c);
    } else if (r->text.len == sizeof preface - 1) {
        c->request = NULL;
        http_request_free(r);
        c->listener->options.http2->open(c);
    }
}

static size_t read_head(http_connection *c, const uint8_t *data, size_t len)
{
    http_request *r = c->request;
    size_t of_preface;
    if (is_http2(c, data, len, &of_preface)) {
        read_preface(c, data, of_preface);
        return of_preface;
    }
    size_t max = c->server->options.head_max;
    size_t part = len < max - r->text.len ? len : max - r->text.len;
    if (!buffer_put(&r->text, data, part)) {
        http_connection_abort(c);
        return len;
    }
    size_t used;
    const char *why = "";
    uint16_t status = http_head_read(&r->head, (loom_str){(const char *)r->text.data, r->text.len}, max, &used, &why);
    if (status == HTTP_HEAD_MORE) {
        return part;
    }
    if (status != HTTP_HEAD_DONE) {
        http_exchange_refuse(c, status, why);
        return len; /* the connection ends with it */
    }
    part -= r->text.len - used;
    r->text.len = used;
    on_head(c);
    return part;
}

/* Makes room for more bytes of the body: as many as there are, not as many as are announced. */
static bool grow_body(http_connection *c, http_request *r, size_t more)
{
    byte_buffer *b = &r->body;
    size_t want = b->len + more;
    if (want <= b->cap) {
        return true;
    }
    size_t limit = r->head.has_length ? (size_t)r->head.length : c->listener->options.body_max;
    size_t cap = b->cap * 2 < want ? want : b->cap * 2 < limit ? b->cap * 2 : limit;
    uint8_t *grown = realloc(b->data, cap);
    if (grown == NULL) {
        return false;
    }
    c->server->bodies += cap - b->cap;
    b->data = grown;
    b->cap = cap;
    return true;
}

uint16_t http_exchange_put_body(http_connection *c, http_request *r, loom_bytes piece, const char **why)
{
    if (piece.len > c->listener->options.body_max - r->body.len) {
        *why = "the body is too large";
        return 413;
    }
    if (!grow_body(c, r, piece.len)) {
        *why = "out of memory";
        return 503;
    }
    /* Small ones have as much room again, so that a few who send megabytes, and never end, keep nobody else out. */
    const size_t max = c->server->options.bodies_max;
    if (c->server->bodies > (r->body.cap <= BODY_SMALL ? 2 * max : max)) {
        *why = "too many requests at once";
        return 503;
    }
    (void)buffer_put(&r->body, piece.data, piece.len);
    return 0;
}

static size_t read_body(http_connection *c, const uint8_t *data, size_t len)
{
    http_request *r = c->request;
    loom_bytes piece;
    size_t used = http_body_read(&r->body_reader, (loom_bytes){data, len}, &piece);
    if (r->body_reader.state == BODY_BAD) {
        http_exchange_refuse(c, 400, "the chunks of the body are malformed");
        return len;
    }
    const char *why = "the body is too large";
    const bool too_large = r->body_reader.announced > c->listener->options.body_max - r->body.len; /* why wait for it to come */
    uint16_t status = too_large ? 413 : http_exchange_put_body(c, r, piece, &why);
    if (status != 0) {
        http_exchange_refuse(c, status, why);
        return len;
    }
    if (r->body_reader.state == BODY_DONE) {
        handle(c);
    }
    return used;
}

static http_request *begin_request(http_connection *c)
{
    http_request *r = calloc(1, sizeof *r);
    if (r == NULL) {
        http_connection_abort(c);
        return NULL;
    }
    r->connection = c;
    http_head_init(&r->head);
    if (c->served) { /* the pause is over */
        http_connection_deadline(c, c->server->options.handshake_ms);
    }
    return c->request = r;
}

size_t http_exchange_input(http_connection *c, const uint8_t *data, size_t len)
{
    if (c->request == NULL && begin_request(c) == NULL) {
        return len;
    }
    return c->phase == PHASE_HEAD ? read_head(c, data, len) : read_body(c, data, len);
}

/* ---- after the answer ---- */

void http_exchange_written(http_connection *c)
{
    c->answered = false;
    http_answer_release(c);
    if (c->close_after) {
        http_connection_finish(c);
        return;
    }
    http_exchange_begin(c, true);
    if (c->phase == PHASE_HEAD) {
        http_connection_resume(c);
    }
}
