/* SPDX-License-Identifier: Apache-2.0 */
/* One connection, whatever carries it: the contract between link.c and the carriers (uv.c, http.c). */
#ifndef LOOM_BRIDGE_LINK_H
#define LOOM_BRIDGE_LINK_H

#include "bridge/link/server.h"

enum {
    LINK_READ_SIZE = 256 * 1024,     /* the loop's one read buffer, shared by all links */
    LINK_KEEP_SIZE = 16 * 1024,      /* buffers larger than this are given back when a link is idle */
    LINK_TICK_MS = 1000,             /* at most between two ticks */
    LINK_TICKS_PER_HEARTBEAT = 4,    /* at least: a session has to be pinged well before it expires */
    LINK_LINGER_MS = 5000            /* unless options say otherwise */
};

typedef struct link link_t;
typedef struct listener listener;
struct url;

/* What carries links. */
typedef struct link_carrier {
    unsigned schemes;        /* URL_* */
    /* Listens at u. bound receives the URL with the real port. */
    loom_status (*listen)(link_server *server, const struct url *u, char *bound, size_t bound_size, char why[LINK_ERROR_SIZE]);
    void (*stop)(link_server *server); /* no new connections; NULL: its listeners are on the server's list, and are closed */
    void (*fini)(link_server *server); /* frees what listen made for the server, which link_server_left() then asks for; NULL */
    /* Sends; link_sent() follows, during the call or later. One at a time. */
    void (*send)(link_t *l, const uint8_t *data, size_t len);
    /* Closes; link_gone() follows, later, once. */
    void (*close)(link_t *l);
} link_carrier;

extern const link_carrier link_uv_carrier;   /* ipc, tcp */
extern const link_carrier link_http_carrier; /* ws, wss, tls+tcp */

struct link {
    const link_carrier *carrier;
    link_server *server;
    session *session;
    link_t *prev, *next;
    link_t *next_dirty;
    bool dirty;               /* in the list of those with something to send */
    bool sending;             /* flight is with the carrier */
    bool ended;               /* the session is over: close when all is sent, or at close_by_ms */
    bool closing;             /* the carrier was told to close */
    bool active;              /* moved bytes since the last tick */
    frame_writer flight;      /* being sent */
    uint8_t *partial;         /* start of a frame whose rest has not come */
    size_t partial_len, partial_cap;
    size_t need;              /* bytes of that frame in all, when known */
    bool apart;               /* the rest of it is read into partial, not into the shared buffer */
    uint64_t close_by_ms;
};

typedef struct listener_ops {
    void (*close)(listener *ls); /* listener_gone() follows, later */
    void (*retry)(listener *ls); /* of a listener that is stuck */
} listener_ops;

struct listener {
    const listener_ops *ops;
    link_server *server;
    listener *next;
    bool stuck;                  /* holds a connection there was no memory for: try again at the next tick */
    bool closing;
};

struct link_server {
    uv_loop_t *loop;
    loop_clock *clock;
    bridge *bridge;
    link_server_options options;
    link_t *links;
    listener *listeners;
    link_t *dirty;
    uv_timer_t tick;
    uv_prepare_t before_poll; /* writes what a round of work left behind */
    struct link_http *http;   /* owned by http.c; NULL: nobody listens there */
    uint8_t *read_buffer;     /* LINK_READ_SIZE */
    unsigned handles_open;
    int descriptor_limit;     /* agents get no descriptor from here on: the rest is for everything else */
    uint64_t refused;
    bool stopping;            /* no new connections */
    bool closing;
    void (*done)(void *user);
    void *done_user;
};

/* First in what the loop calls for a connection: it may have slept since the clock was set. */
static inline void link_server_woke(link_server *server)
{
    server->clock->now_ms = uv_now(server->loop);
}

/* A new connection: opens its session. LOOM_EFULL, LOOM_ENOMEM: the carrier closes it. */
LOOM_MUST_CHECK loom_status link_init(link_t *l, link_server *server, const link_carrier *carrier, const char *peer);
/* Where the carrier is to put the bytes it reads next, and how many fit. NULL: no memory, close. */
uint8_t *link_room(link_t *l, size_t *room);
/* len bytes are at the place link_room() named. */
void link_received(link_t *l, size_t len);
void link_sent(link_t *l, bool ok);
/* Closes a link whose session ended a while ago, sent or not. */
void link_expire(link_t *l, uint64_t now_ms);
/* The connection broke or ended from the other side. */
void link_broken(link_t *l);
/* The carrier is done with it: frees what the link holds, not the link itself. */
void link_gone(link_t *l);
/* A link left the list: the last one ends a server that is closing. */
void link_server_left(link_server *server);
/* Puts a listener on the server's list, from which listener_gone() takes it. */
void listener_init(listener *ls, link_server *server, const listener_ops *ops);
void listener_close(listener *ls); /* once is enough */
void listener_gone(listener *ls);
/* Appends the frame that tells an agent why it cannot be served. */
void link_put_refusal(frame_writer *w, loom_status why);
/* What the HTTP server counts; zeros when nobody listens there. */
http_server_counts link_http_counts(const link_server *server);

#endif
