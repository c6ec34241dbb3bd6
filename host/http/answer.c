/* SPDX-License-Identifier: Apache-2.0 */
/* Answers over HTTP/1.1, and what holds of all: the bytes of those on their way are bounded over all connections, so that
 * readers who do not read cost no more than that. */
#include "host/http/internal.h"

#include <assert.h>
#include <time.h>

#include "base/str.h"

enum { ANSWER_SMALL = 16 * 1024 };

/* ---- the head ---- */

static void say_value(http_connection *c, const char *name, loom_str value)
{
    for (size_t i = 0; i < value.len; i++) {
        if ((uint8_t)value.data[i] < ' ' || value.data[i] == 0x7f) {
            return;
        }
    }
    if (http_connection_say(c, name, strlen(name)) && http_connection_say(c, ": ", 2) &&
        http_connection_say(c, value.data, value.len)) {
        (void)http_connection_say(c, "\r\n", 2);
    }
}

static void say_field(http_connection *c, const char *name, const char *value)
{
    say_value(c, name, str_of(value));
}

static void say_head(http_connection *c, const http_request *r, const http_answer *a, bool stream)
{
    char line[64], date[40], length[24];
    struct tm now;
    time_t seconds = time(NULL);
    snprintf(line, sizeof line, "HTTP/1.1 %u %s\r\n", (unsigned)a->status, http_status_name(a->status));
    (void)http_connection_say(c, line, strlen(line));
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&seconds, &now));
    say_field(c, "Date", date);
    if (a->content_type != NULL) {
        say_field(c, "Content-Type", a->content_type);
    }
    if (!stream && a->status != 204) { /* RFC 9110, 8.6: a 204 has none */
        snprintf(length, sizeof length, "%zu", a->body.len);
        say_field(c, "Content-Length", length);
    }
    for (size_t i = 0; i < a->field_count; i++) {
        say_value(c, a->fields[i].name, a->fields[i].value);
    }
    switch (a->status) {
    case 405:
        say_field(c, "Allow", r->allow);
        break;
    case 426:
        say_field(c, "Upgrade", "websocket");
        say_field(c, "Sec-WebSocket-Version", "13");
        break;
    case 503:
        say_field(c, "Retry-After", "1");
        break;
    default:
        break;
    }
    if (r->close || stream) {
        say_field(c, "Connection", "close");
    }
    (void)http_connection_say(c, "\r\n", 2);
}

/* ---- answers that are whole ---- */

/* Whether there is room for this answer among those on their way. A small one needs none: it may say that there is none. */
static bool has_room(const http_server *s, const http_request *r, const http_answer *a)
{
    return r->head_only || a->body.len <= ANSWER_SMALL || (s->answers <= s->options.answers_max && a->body.len <= s->options.answers_max - s->answers);
}

void http_answer_release(http_connection *c)
{
    c->server->answers -= c->answer_held;
    c->answer_held = 0;
}

static void answer_http1(http_request *r, const http_answer *answer)
{
    http_connection *c = r->connection;
    assert(c->request == r && c->phase == PHASE_ANSWER && !c->answered);
    r->left = NULL;
    r->close = r->close || c->server->stopping;
    say_head(c, r, answer, false);
    if (!r->head_only && http_connection_say(c, answer->body.data, answer->body.len)) {
        c->answer_held = answer->body.len;
        c->server->answers += c->answer_held;
    }
    if (c->closing) { /* out of memory: the request was let go of with the connection */
        http_request_free(r);
        return;
    }
    c->answered = true;
    c->close_after = r->close;
    http_exchange_leave(c);
    http_connection_pump(c);
}

static const http_answer *busy_answer(void)
{
    static const char text[] = "{\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503,\"code\":\"overloaded\","
                               "\"detail\":\"too many large answers are on their way to others: ask again in a second\"}\n";
    static const http_answer busy = {.status = 503, .content_type = "application/problem+json",
                                     .body = {(const uint8_t *)text, sizeof text - 1}};
    return &busy;
}

void http_request_answer(http_request *r, const http_answer *answer)
{
    http_connection *c = r->connection;
    if (c == NULL) {
        http_request_free(r);
        return;
    }
    if (!has_room(c->server, r, answer)) {
        c->server->counts.crowded++;
        answer = busy_answer();
    }
    if (r->h2 != NULL) {
        r->left = NULL;
        c->listener->options.http2->answer(r, answer);
    } else {
        answer_http1(r, answer);
    }
}

/* ---- answers that come bit by bit, and the rest ---- */

http_stream *http_request_answer_stream(http_request *r, const http_answer *head, const http_stream_events *events, void *user)
{
    http_connection *c = r->connection;
    if (c == NULL) {
        http_request_free(r);
        return NULL;
    }
    if (r->h2 != NULL) {
        r->left = NULL;
        return c->listener->options.http2->answer_stream(r, head, events, user);
    }
    assert(c->request == r && c->phase == PHASE_ANSWER && !c->answered);
    r->left = NULL;
    say_head(c, r, head, true);
    if (c->closing) {
        http_request_free(r);
        return NULL;
    }
    c->answered = true; /* so that it is freed here */
    http_exchange_leave(c);
    c->answered = false;
    http_stream_begin(c, events, user);
    http_connection_pump(c);
    return c->closing ? NULL : &c->stream;
}

void http_request_on_left(http_request *r, void (*left)(void *user), void *user)
{
    r->left = left;
    r->left_user = user;
}

void http_request_answer_text(http_request *r, uint16_t status, const char *text)
{
    char body[256];
    int len = snprintf(body, sizeof body, "%.250s\n", text);
    http_request_answer(r, &(http_answer){.status = status,
                                          .content_type = "text/plain; charset=utf-8",
                                          .body = {(const uint8_t *)body, (size_t)len}});
}
