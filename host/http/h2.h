/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of HTTP/2 share: h2_session.c has the connection, h2_request.c what comes, h2_answer.c
 * what goes, h2_answer_stream.c what goes bit by bit. */
#ifndef LOOM_HOST_HTTP_H2_H
#define LOOM_HOST_HTTP_H2_H

#include "host/http/http2.h"
#include "host/http/internal.h"

#include <nghttp2/nghttp2.h>

typedef struct h2_stream h2_stream;
typedef struct h2_session h2_session;

/* From the first header until nghttp2 has closed it. */
struct h2_stream {
    h2_session *session;
    list_node in_session;
    int32_t id;
    http_request *request; /* NULL: answered */
    uint64_t since_ms;     /* when its head was whole, or it was answered */
    bool head_too_large;
    bool received;         /* the request is whole */
    bool handled;          /* its owner has the request */
    bool sent;             /* the answer has left */
    bool is_error;         /* its status says so: 4xx, 5xx */
    bool reset;            /* by us */
    uint64_t skipped;      /* bytes of a body that nobody wants */
    http_stream stream;    /* events NULL: the answer is none */
    bool ending;           /* of stream: what is there is the last */
    bool all_taken;        /* of stream: its owner is to be told so */
    bool gone;             /* nghttp2 has closed it, and the owner of stream is about to be told */
    uv_idle_t end;         /* whose close tells it */
    byte_buffer answer;    /* body */
    size_t answer_at;
    size_t answer_held;    /* bytes of it, a part of server->answers */
    byte_buffer trailers;  /* name and value, each with its NUL, one after the other */
    size_t trailer_count;
};

struct h2_session {
    nghttp2_session *ng;
    http_connection *connection;
    linked_list streams;
    size_t stream_count;
    uint64_t active_ms;  /* when the last stream ended */
    uint64_t written_ms; /* when the socket last took all that there was */
    uint64_t head_ms;    /* when the header block under way began; 0: there is none */
    bool receiving;      /* inside of nghttp2: what is said leaves afterwards */
    bool ending;         /* GOAWAY is on its way */
};

/* ---- h2_session.c ---- */
/* Writes what there is to write, and sets the next deadline. */
void h2_pump(h2_session *h);

/* ---- h2_request.c ---- */
void h2_request_callbacks(nghttp2_session_callbacks *callbacks);
/* Ends a stream whose request is not answered: the request lives on if its owner has it. */
void h2_stream_free(h2_stream *s);
/* The body took too long. */
void h2_stream_late(h2_stream *s);

/* Answered before its request was whole, and the client still sends: tells it to stop (RFC 9113, section 8.1). */
void h2_stream_stop(h2_stream *s);

/* ---- h2_answer.c ---- */
void h2_answer(http_request *r, const http_answer *answer);
/* The head of an answer; body NULL: there is none. With length, it says how long that is. */
int h2_submit(h2_stream *s, const http_request *r, const http_answer *a, const nghttp2_data_provider *body, bool length);
int h2_on_frame_sent(nghttp2_session *ng, const nghttp2_frame *frame, void *user);

/* ---- h2_answer_stream.c ---- */
http_stream *h2_answer_stream(http_request *r, const http_answer *head, const http_stream_events *events, void *user);
void h2_stream_send(http_stream *t, const uint8_t *data, size_t len);
void h2_stream_close(http_stream *t);
/* Tells an owner that what it gave to send has left; it may give more. False: nobody is to be told. */
bool h2_tell_sent(h2_session *h);
/* Frees a stream that nghttp2 has closed, when its owner has been told. */
void h2_stream_go(h2_stream *s);

#endif
