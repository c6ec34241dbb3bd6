/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the server share. A connection goes through phases; each file is the master of some:
 * connection.c of the beginning and the end, connection_io.c of bytes and TLS; exchange.c of requests, answer.c of answers;
 * websocket.c of streams. */
#ifndef LOOM_HOST_HTTP_INTERNAL_H
#define LOOM_HOST_HTTP_INTERNAL_H

#include "base/list.h"
#include "base/rate_limit.h"
#include "base/url.h"
#include "host/http/body.h"
#include "host/http/buffer.h"
#include "host/http/head.h"
#include "host/http/http_server.h"
#include "host/http/tls.h"
#include "host/http/ws_frame.h"

enum {
    READ_SIZE = 64 * 1024,
    READ_SMALL = 4 * 1024,        /* at a time, when the others have used up what a turn of the loop may read */
    BESIDE_MS = 2,                /* after a small request large bodies are read once a millisecond, and not each turn */
    READ_A_TURN = READ_SIZE,      /* of all connections but streams, beyond small reads: what it costs those who ask little */
    UNREAD_MAX = 64 * 1024,       /* bytes of answers in the kernel that the client's window has no room for */
    SEND_CHUNK = 64 * 1024,       /* of a stream: one WebSocket message, and what TLS encrypts at a time */
    KEEP_SIZE = 16 * 1024,        /* buffers larger than this are given back: a stream's when it is idle */
    BODY_SMALL = 16 * 1024,
    REQUESTS_A_TURN = 1,          /* of one connection; what comes behind them waits for the next turn of the loop */
    PROGRESS_MIN = 16 * 1024,     /* bytes that a reader takes in send_ms, or the rest */
    SKIP_MAX = 64 * 1024 * 1024,  /* bytes read away so that a client gets the answer to what it still sends */
    CONTROL_QUEUE_MAX = 4096,     /* bytes of pongs that wait */
    PINGS_MAX = 3,
    PEER_SIZE = 80
};

typedef struct http_connection http_connection;
typedef struct http_listener http_listener;

typedef enum http_phase {
    PHASE_TLS,     /* handshake */
    PHASE_HEAD,    /* of a request; may be the pause between two */
    PHASE_BODY,
    PHASE_ANSWER,  /* the handler has the request, or its answer is on its way; nothing is read */
    PHASE_STREAM,
    PHASE_H2,      /* HTTP/2: many requests at once, in h2_session.c */
    PHASE_CLOSING, /* the last bytes are on their way: a close frame, an answer */
    PHASE_LINGER   /* our side is shut; what the peer still says is read away */
} http_phase;

struct h2_session;
struct h2_stream;

/* What http2.h brings. The connection's h2 is its own. */
struct http2_protocol {
    void (*open)(http_connection *c);  /* the preface has come; aborts the connection without memory */
    void (*input)(http_connection *c, const uint8_t *data, size_t len);
    bool (*fill)(http_connection *c);  /* all is written: puts more into out; false: there is nothing to be done */
    void (*late)(http_connection *c);
    void (*end)(http_connection *c);   /* the server goes */
    void (*leave)(http_connection *c); /* the connection goes: requests live on until their owners answer them */
    void (*fini)(http_connection *c);
    void (*answer)(http_request *r, const http_answer *answer);
    /* As http_request_answer_stream(), http_stream_send() and http_stream_close(). */
    http_stream *(*answer_stream)(http_request *r, const http_answer *head, const http_stream_events *events, void *user);
    void (*stream_send)(http_stream *s, const uint8_t *data, size_t len);
    void (*stream_close)(http_stream *s);
};

struct http_request {
    http_connection *connection; /* NULL: the client has left */
    struct h2_stream *h2;        /* NULL: HTTP/1.1 */
    http_head head;
    byte_buffer text;            /* that the head points into */
    byte_buffer body;
    http_body body_reader;
    void (*handle)(void *user, http_request *r);
    const http_endpoint *websocket; /* instead of handle */
    bool path_known;             /* the head is whole */
    bool head_only;
    bool close;                  /* the connection ends with the answer */
    char allow[64];              /* methods of the path, when no route was found */
    loom_str rest;               /* of the path, behind that of its route */
    void (*left)(void *user);    /* may be NULL */
    void *left_user;
};

struct http_stream {
    const http_stream_events *events;
    void *user;
    const http_endpoint *endpoint;
    const struct http2_protocol *http2; /* one of several on its connection; NULL: the connection is this stream */
    bool framed;                 /* a WebSocket */
    ws_reader reader;
    const uint8_t *payload;      /* given to send, and not yet sent */
    size_t payload_len;
    size_t chunk;                /* the first bytes of it, that are being written */
    bool close_sent;
    unsigned pings;              /* since the peer last said anything */
};

struct http_connection {
    http_server *server;
    http_listener *listener;
    list_node in_server;
    list_node in_waiting;
    bool waiting;
    uint64_t waiting_since_ms;
    uv_tcp_t tcp;
    uv_timer_t timer;
    uv_write_t write;
    unsigned handles;            /* open: these, and those of streams of HTTP/2 that are about to go */
    http_phase phase;
    bool writing;                /* libuv has the bytes */
    bool closing;                /* the handles are being closed */
    bool pumping;
    bool answered;               /* the answer is in out, or on its way */
    size_t answer_held;          /* bytes of its body, a part of server->answers */
    bool close_after;            /* the connection ends with that answer */
    bool heard;                  /* since the timer of a stream last ran */
    bool tls_ended;
    uint64_t linger_until_ms;
    tls_session *tls;
    byte_buffer out, flying;     /* what the server itself says: next, and being written */
    uint8_t head_out[WS_HEAD_MAX];
    size_t unsent;               /* of libuv, when the deadline was set */
    http_request *request;
    struct h2_session *h2;       /* NULL: HTTP/1.1 */
    byte_buffer stash;           /* came behind a request that is not answered yet */
    size_t stash_at;
    unsigned handled;            /* requests, in this turn */
    list_node turn;              /* of those that go on in a later turn */
    linked_list *turns;          /* the server's list that it is in; NULL: none */
    uint64_t turn_put;           /* the turn in which it was put there */
    size_t last_read;            /* bytes */
    bool served;                 /* has had an answer before */
    uint64_t skipped;
    http_stream stream;
    char peer[PEER_SIZE];
};

struct http_listener {
    http_server *server;
    http_listener *next;
    http_listen_options options;
    url_scheme scheme;
    tls_context *tls;
    uv_poll_t poll;
    uv_timer_t pause;
    unsigned handles;
    int fd;
    int held; /* a connection that has been accepted and waits for a descriptor below the limit; -1: none */
    size_t connections;
    bool closing;
};

struct http_server {
    uv_loop_t *loop;
    http_server_options options;
    http_listener *listeners;
    linked_list connections;
    linked_list waiting;                 /* connections, in the order in which they began to wait */
    uint8_t *read_buffer, *plain_buffer; /* READ_SIZE each; plain_buffer with the first TLS listener */
    size_t bodies;                       /* bytes held for requests */
    size_t answers;                      /* bytes of answers on their way */
    http_server_counts counts;
    rate_limit told, told_refused;       /* of the log: about descriptors, and about connections that were refused */
    linked_list again;                   /* have more requests waiting here than a turn does */
    linked_list large;                   /* have sent more than they were read; nothing is read of them meanwhile */
    size_t read_left;                    /* of READ_A_TURN */
    uint64_t turn_number;
    uint64_t small_ms;                   /* when the last request without a large body was handled */
    uint64_t large_ms;                   /* when the last turn of large bodies was */
    uv_idle_t turn;                      /* started while there is something to do in the next turn */
    unsigned handles;                    /* open: that one, and the timer */
    uv_timer_t handle;                   /* the next turn of large bodies beside others; its end brings `done`, if there is nothing else to close */
    bool stopping, closing;
    void (*done)(void *user);
    void *done_user;
};

/* ---- listener.c ---- */
void http_listener_close(http_listener *l);

/* ---- server.c ---- */
/* Something of a server that is closing has gone: the last of it ends the server. */
void http_server_left(http_server *s);
typedef enum http_room {
    ROOM_MADE, /* a connection is closed */
    ROOM_SOON, /* those that wait have come in this round: what they say has not even been read */
    ROOM_NONE  /* none waits */
} http_room;
/* The connection goes on in the next turn, or is about to go. */
void http_server_again(http_connection *c);
void http_server_not_again(http_connection *c);
/* How much may be read of a connection now. */
size_t http_server_read_size(const http_connection *c);
/* So much was. If it may have sent more, others are read first. */
void http_server_has_read(http_connection *c, size_t len, bool more);
/* Closes the connection that has waited longest, of this listener or of any (NULL). */
http_room http_server_make_room(http_server *s, const http_listener *of);

/* ---- connection.c ---- */
/* All is written: ends our side. */
void http_connection_shut(http_connection *c);
/* Takes fd, in every outcome. */
void http_connection_open(http_listener *l, int fd);
void http_connection_deadline(http_connection *c, uint32_t ms);
/* Whether it may be closed for another. */
void http_connection_wait(http_connection *c, bool waiting);
/* When all is said: shuts our side, and closes as soon as the peer does. */
void http_connection_finish(http_connection *c);
void http_connection_abort(http_connection *c);
/* One of its handles is closed; the last one frees it. */
void http_connection_handle_gone(http_connection *c);

/* How much of its answers the kernel takes before the client does. */
void http_connection_limit_unread(http_connection *c, unsigned bytes);

/* ---- connection_io.c ---- */
/* Writes what there is. Never closes the connection itself: that comes from the loop. */
void http_connection_pump(http_connection *c);
/* Appends to what the server says; false: out of memory, and the connection is being closed. */
bool http_connection_say(http_connection *c, const void *data, size_t len);
/* The last so many bytes of a write will not be written: what of them is the stream's counts as not sent. */
void http_connection_not_taken(http_connection *c, size_t left);
/* Gives back what only a burst needed. */
void http_connection_shrink(http_connection *c);
void http_connection_read(http_connection *c, bool on);
/* Hands on what was stashed, as far as it can be in this turn. */
void http_connection_resume(http_connection *c);
/* The next turn of one that had more requests than one does. */
void http_connection_turn(http_connection *c);

/* ---- exchange.c ---- */
/* The connection is ready for the head of a request; again: it has had one. */
void http_exchange_begin(http_connection *c, bool again);
/* Takes bytes of a head or a body, up to the end of either; returns how many. */
size_t http_exchange_input(http_connection *c, const uint8_t *data, size_t len);
/* The answer is written. */
void http_exchange_written(http_connection *c);
void http_exchange_late(http_connection *c);
/* The connection is gone, or will be: the request lives on until its owner answers it. */
void http_exchange_leave(http_connection *c);
/* Answers a request that the server itself refuses; the connection ends with it. */
void http_exchange_refuse(http_connection *c, uint16_t status, const char *why);

/* Gives a request that is whole to who answers it. */
void http_exchange_handle(http_connection *c, http_request *r);

/* Finds the route of a request whose head is read. A status to refuse it with, and *why; 0: handle or websocket is set. */
uint16_t http_exchange_admit(http_request *r, const http_listen_options *o, const char **why);
/* Puts a piece behind the body. A status to refuse the request with, and *why; 0: done. */
uint16_t http_exchange_put_body(http_connection *c, http_request *r, loom_bytes piece, const char **why);

/* ---- answer.c ---- */
/* The answer is written, or nobody waits for it. */
void http_answer_release(http_connection *c);

void http_request_free(http_request *r);

/* ---- websocket.c ---- */
/* Answers the request for a WebSocket: the connection is a stream after it, or refused. */
void http_websocket_upgrade(http_connection *c, const http_endpoint *endpoint);

/* ---- stream.c ---- */
void http_stream_open(http_connection *c, const http_endpoint *endpoint, bool framed);
/* The body of an answer, from here to the end of the connection. */
void http_stream_begin(http_connection *c, const http_stream_events *events, void *user);
void http_stream_input(http_connection *c, uint8_t *data, size_t len);
void http_stream_late(http_connection *c);
/* The chunk is written. */
void http_stream_written(http_connection *c);
/* The server goes. */

#endif
