/* SPDX-License-Identifier: Apache-2.0 */
/* One server for HTTP/1.1, WebSocket and TLS on the process's own loop: http, https, ws, wss, and bare TLS (tls+tcp).
 *
 * A listener has a table of routes. A request reaches its handler when its body is whole, and is answered once, at once or
 * later. A WebSocket, and a connection of bare TLS, become streams: bytes that come, bytes that go.
 *
 * Everything is bounded: a connection that says nothing, or says it slowly, is answered 408 and closed; so is a reader that
 * takes nothing. When a listener has as many connections as it may, or the process has no descriptor left, those that wait
 * (in a handshake, or between two requests) make room, the oldest first; only when there is none is a new one refused.
 *
 * Threads: the loop's, for everything here. No callback runs inside a call of one of these functions, but for `sent` and `left`. */
#ifndef LOOM_HOST_HTTP_HTTP_SERVER_H
#define LOOM_HOST_HTTP_HTTP_SERVER_H

#include <uv.h>

#include "host/log/log.h"

struct url;
struct http2_protocol;
typedef struct http_server http_server;
typedef struct http_request http_request; /* one request, until it is answered */
typedef struct http_stream http_stream;   /* a WebSocket, or a connection of bare TLS */

enum { HTTP_ERROR_SIZE = 512 };

/* 0 takes the value named. Times in milliseconds. */
typedef struct http_server_options {
    logger *log;             /* may be NULL */
    int descriptor_limit;    /* connections get no descriptor from here on; 0: any */
    uint32_t handshake_ms;   /* for TLS, and for the head of a request: 10 s */
    uint32_t body_ms;        /* for the body: 30 s */
    uint32_t idle_ms;        /* between two requests: 60 s */
    uint32_t send_ms;        /* a reader that takes less than 16 KiB in that time is cut off: 30 s */
    uint32_t ping_ms;        /* of silence before a WebSocket is pinged, three times before it is cut off: 20 s */
    uint32_t close_ms;       /* that an orderly end of a connection may take: 1 s */
    uint32_t head_max;       /* bytes: 16 KiB */
    size_t bodies_max;       /* bytes of all bodies at once: 64 MiB */
    size_t answers_max;      /* bytes of all answers on their way; one of over 16 KiB that finds no room is a 503: 64 MiB */
} http_server_options;

typedef struct http_server_counts {
    uint64_t accepted;
    uint64_t refused;   /* connections: no room, no descriptor, no memory */
    uint64_t displaced; /* connections that made room for newer ones while they waited */
    uint64_t late;      /* connections closed because a deadline had passed */
    uint64_t crowded;   /* answers that were a 503 instead, for too many bytes of others were on their way */
    uint64_t bytes;     /* read, TLS included */
    uint64_t invalid;   /* requests that the server itself refused, and frames that broke the protocol */
    size_t connections; /* now */
} http_server_counts;

/* ---- requests ---- */

/* All that is asked of a request is valid until its answer. */
loom_str http_request_path(const http_request *r); /* empty: the head could not be read */
/* Whether its Origin, if it has one, is that of a page of this very host and port, be it over TLS or not. */
bool http_request_is_same_origin(const http_request *r);
/* What follows the path of a route with `below`; still percent-encoded. */
loom_str http_request_rest(const http_request *r);
loom_str http_request_query(const http_request *r); /* without its '?' */
loom_str http_request_method(const http_request *r);
unsigned http_request_minor(const http_request *r); /* of HTTP/1.x */
const char *http_request_peer(const http_request *r); /* like "http:127.0.0.1:4711"; "": it has left */
/* The methods there are at this path, for Allow; "": none. */
const char *http_request_allow(const http_request *r);
/* The value of a header field, whatever the case of its name; NULL: there is none. */
const loom_str *http_request_field(const http_request *r, const char *name);
/* All values of it, at most max; returns how many there are. */
size_t http_request_fields(const http_request *r, const char *name, loom_str *values, size_t max);
loom_bytes http_request_body(const http_request *r);
bool http_request_is_http2(const http_request *r);
/* Whether the request said how long its body is, be it 0. */
bool http_request_has_length(const http_request *r);

/* One field of an answer. A value with a control character in it, which could end the field, is left out. */
typedef struct http_field {
    const char *name;
    loom_str value;
} http_field;

typedef struct http_answer {
    uint16_t status;
    const char *content_type; /* NULL: there is no body */
    loom_bytes body;          /* copied */
    const http_field *fields; /* more of the head */
    size_t field_count;
    const http_field *trailers; /* behind the body, over HTTP/2 (http2.h); left out over HTTP/1.1 */
    size_t trailer_count;
} http_answer;

/* Answers, once, and frees the request: from the handler, or at any later time, even if the client has left meanwhile or
 * the server is closed. What a status needs (Allow, Retry-After, Upgrade) is added. */
void http_request_answer(http_request *r, const http_answer *answer);
/* Whom to tell that the client has left before the answer, which is still due. Runs from the loop, and inside
 * http_server_close(). */
void http_request_on_left(http_request *r, void (*left)(void *user), void *user);
/* The same with a text. */
void http_request_answer_text(http_request *r, uint16_t status, const char *text);

/* ---- streams ---- */

typedef struct http_stream_events {
    /* Bytes of the peer; of a WebSocket those of its binary messages, in pieces of any size. */
    void (*received)(void *user, const uint8_t *data, size_t len);
    /* What http_stream_send() was given has left; it may be called from within that function. */
    void (*sent)(void *user);
    /* The connection is gone, whoever ended it: the last event. Nothing given to send is used any more. */
    void (*closed)(void *user);
} http_stream_events;

/* Begins an answer whose body comes bit by bit, and frees the request: the connection is a stream from then on, and ends
 * with the body (RFC 9112, section 6.3, 8). What the client still says is read away. events is not NULL; its `received` is
 * not called. NULL: the client has left, or there is no memory: no event follows. The body of the answer is not looked at. */
http_stream *http_request_answer_stream(http_request *r, const http_answer *head, const http_stream_events *events, void *user);
/* Gives the stream its owner: to be called in `opened`, or the stream is closed. */
void http_stream_attach(http_stream *s, const http_stream_events *events, void *user);
/* Sends; data is borrowed until sent or closed. One at a time. */
void http_stream_send(http_stream *s, const uint8_t *data, size_t len);
/* Reads nothing more from the peer, or goes on. What has been read already is still handed over. */
void http_stream_pause(http_stream *s, bool on);
/* Says in `opened` that there is no room, with a few last bytes (copied), and closes. */
void http_stream_refuse(http_stream *s, loom_bytes last);
/* Codes of the close frame of a WebSocket (RFC 6455, section 7.4.1). */
enum { HTTP_CLOSE_NORMAL = 1000, HTTP_CLOSE_GOING_AWAY = 1001 };
/* Bytes given to send that have not left. */
size_t http_stream_unsent(const http_stream *s);
/* Of these, those that the kernel has certainly none of: no write has begun with them. Of HTTP/1.1, also when it has closed. */
size_t http_stream_untaken(const http_stream *s);
/* Ends it in order: with a close frame of this code, or as TLS does. While something is being sent: cuts it off. No more is
 * received; `closed` follows, later. */
void http_stream_close(http_stream *s, uint16_t code);

/* ---- listening ---- */

typedef struct http_endpoint {
    const char *subprotocol; /* chosen when a WebSocket offers it; one that offers only others is refused. NULL: any */
    uint64_t message_max;    /* bytes of one WebSocket message */
    /* A new stream; peer is like "wss:127.0.0.1:4711". */
    void (*opened)(void *user, http_stream *s, const char *peer);
} http_endpoint;

typedef struct http_route {
    const char *method;       /* GET answers HEAD as well; unused for a WebSocket */
    const char *path;         /* as it stands in the request, without its query */
    bool below;               /* whatever begins with path, and goes on: http_request_rest() */
    void (*handle)(void *user, http_request *r);
    const http_endpoint *websocket; /* instead of handle */
} http_route;

typedef struct http_listen_options {
    const http_route *routes;      /* of http, https, ws, wss; borrowed, as is all of this, until the server is closed */
    size_t route_count;
    const http_endpoint *raw;      /* of tls+tcp */
    const char *tls_cert_key_file; /* PEM, for https, wss and tls+tcp */
    const char *const *origins;    /* web pages that may open a WebSocket, like "https://example.org"; "*": all. Those
                                    * that come from the same host and port always may, and so may what is no browser */
    size_t origin_count;
    size_t body_max;               /* bytes of a request's body */
    const struct http2_protocol *http2; /* of http2.h: clients may speak HTTP/2 as well. NULL: HTTP/1.1 alone */
    size_t max_connections;        /* 0: no limit but the descriptors */
    /* Answers what the server itself refuses; NULL: with text/plain. status is 4xx or 5xx, why a sentence. */
    void (*fail)(void *user, http_request *r, uint16_t status, const char *why);
    /* Looks at the head of each request before its route does. Returns a status to refuse it with, and *why; 0: it may go
     * on. NULL: all may. */
    uint16_t (*admit)(void *user, const http_request *r, const char **why);
    /* Answers OPTIONS for a path that has a route. NULL: that is not allowed. */
    void (*options)(void *user, http_request *r);
    void *user;
} http_listen_options;

/* LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status http_server_open(http_server **out, uv_loop_t *loop, const http_server_options *options);
/* Listens at u (http, https, ws, wss, tls+tcp), whose port is then the real one. LOOM_EBUSY: in use. LOOM_EINVAL, LOOM_EIO, LOOM_ENOMEM; why then says
 * what is wrong, without the URL. */
LOOM_MUST_CHECK loom_status http_server_listen(http_server *s, struct url *u, const http_listen_options *options,
                                               char why[HTTP_ERROR_SIZE]);
/* Whether all that listens with TLS could use this certificate; OK when nothing does. file may be NULL. Errors as of
 * http_server_listen(). */
LOOM_MUST_CHECK loom_status http_server_check_certificate(const http_server *s, const char *file, char why[HTTP_ERROR_SIZE]);
/* Uses it, or what is in the same file now, for connections from here on. file is borrowed until the next one. */
LOOM_MUST_CHECK loom_status http_server_use_certificate(http_server *s, const char *file, char why[HTTP_ERROR_SIZE]);
/* No new connections, and no second request on those there are. */
void http_server_stop_listening(http_server *s);
http_server_counts http_server_get_counts(const http_server *s);
/* Closes everything, WebSockets with code 1001, within close_ms; then runs done from the loop, after which the server is
 * gone. */
void http_server_close(http_server *s, void (*done)(void *user), void *user);

#endif
