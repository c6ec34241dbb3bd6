/* SPDX-License-Identifier: Apache-2.0 */
/* One connection, whatever carries it: the contract between link.c and the carriers (uv.c, http.c). */
#ifndef LOOM_BRIDGE_LINK_H
#define LOOM_BRIDGE_LINK_H

#include "base/list.h"
#include "bridge/link/server.h"

enum {
    LINK_READ_SIZE = 256 * 1024,     /* the loop's one read buffer, shared by all links */
    LINK_READ_BESIDE = 32 * 1024,    /* what is read at once from a link that others wait beside, a slice of its session */
    LINK_PIECE = 64 * 1024,          /* of a large message, read or written at once: 10 to 30 µs; others are looked for after each */
    LINK_WRITE_PIECE = 128 * 1024,   /* of small ones, written at once: with less, what comes meanwhile waits in queues, and costs twice */
    LINK_PIECE_SMALL = 8 * 1024,     /* no reason to look */
    LINK_ENDS_ROUND = 8,             /* connections that are closed in a round: some 10 µs each, with what their sessions leave */
    LINK_WRITE_ROUND = 512 * 1024,   /* what all longer flights may write in a round */
    LINK_FLUSH = 64,                 /* links that are written to before others are looked for, some 0.1 ms, */
    LINK_FLUSH_BYTES = 1024 * 1024,  /* or so many bytes */
    LINK_FLUSH_NEWEST = 4,           /* of so many links all but one are those that came last */
    LINK_KEPT_MAX = 48 * 1024 * 1024, /* of half frames and held bytes of all links; from half of it on they are scarce */
    LINK_AHEAD_MS = 10,              /* between two looks at sessions that wait for the broker, or for credit */
    LINK_SCARCE_READ = 16 * 1024,    /* what is read at once then */
    LINK_DELAYS_MAX = 3,             /* ticks that a half frame may last while others wait for the memory of one */
    LINK_KEEP_SIZE = 16 * 1024,      /* buffers larger than this are given back when a link is idle */
    LINK_TICK_MS = 1000,             /* at most between two ticks */
    LINK_TICK_LINKS = 128,           /* of a tick, in one round */
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
    /* Reads nothing, or goes on. A carrier that has more at hand may still push it. */
    void (*pause)(link_t *l, bool on);
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
    bool dirty;               /* in the server's list of those with something to send */
    list_node dirty_node;
    bool sending;             /* flight is with the carrier */
    bool ended;               /* the session is over: close when all is sent, or at close_by_ms */
    bool closing;             /* the carrier was told to close */
    bool active;              /* moved bytes since the last tick */
    frame_writer flight;      /* being sent */
    splices spliced;          /* into the flight */
    const splice_part *next_splice;
    size_t flight_at, splice_at; /* where the next piece begins: of the flight, and of the splice if that one is there */
    size_t flown, piece;      /* of all: sent, and with the carrier now */
    bool flies;               /* in the server's list of those whose flights go on in the next round */
    list_node flying_node;
    size_t unsent;            /* of a link that closes: bytes of the flight that the kernel has not taken, as far as its carrier knows */
    shared_bytes *block;      /* memory for: */
    uint8_t *partial;         /* start of a frame whose rest has not come; of a link that is held: all it has read */
    size_t partial_at, partial_len, partial_cap; /* at: only of a link that is held */
    size_t need;              /* bytes of that frame in all, when known */
    bool apart;               /* the rest of it is read into partial, not into the shared buffer */
    linked_list *paused;      /* the server's ahead, held, waiting or lost, which it is in; NULL: it reads */
    list_node paused_node;
    size_t read_max;          /* how much is read at once */
    int fd;                   /* of its socket; -1: its carrier does not say */
    unsigned delays;          /* ticks in which others waited and this half frame did not become whole */
    uint64_t close_by_ms;
};

typedef struct listener_ops {
    void (*close)(listener *ls); /* listener_gone() follows, later */
    void (*retry)(listener *ls); /* of a listener that waits */
} listener_ops;

typedef enum listener_wait {
    LISTENER_ACCEPTS,
    LISTENER_WAITS_A_ROUND, /* until somebody has gone, or has been heard */
    LISTENER_WAITS_A_TICK,  /* there is no memory, or no descriptor: asking all the time would keep a core busy */
} listener_wait;

struct listener {
    const listener_ops *ops;
    link_server *server;
    listener *next;
    listener_wait waits;
    bool closing;
};

struct link_server {
    uv_loop_t *loop;
    loop_clock *clock;
    bridge *bridge;
    link_server_options options;
    link_t *links;
    link_t *to_tick;          /* the next of them in a walk over all; NULL: there is none under way */
    listener *listeners;
    bool listener_waits;      /* one of them, for the next round */
    linked_list dirty;        /* links with something to send, in the order in which it came */
    uv_timer_t tick;
    uv_prepare_t before_poll; /* begins a round, and writes what the last one left behind */
    uv_check_t after_poll;    /* those who were held have their turn, after those who were not */
    uv_idle_t spin;           /* on while links are held, lost, dirty, or fly */
    uv_timer_t late;          /* on while links are in ahead, or agents wait for credit for spans */
    linked_list flying;       /* links with more of a flight to be sent, in the order of their turns */
    size_t write_left;        /* of LINK_WRITE_ROUND */
    unsigned ends_left;       /* of LINK_ENDS_ROUND */
    linked_list lost;         /* links that broke when there were none left, to be closed in later rounds */
    linked_list ahead;        /* links whose sessions wait for the broker */
    linked_list held;         /* links whose sessions have had their turn, in the order of the next */
    linked_list waiting;      /* links with a large frame and no memory for it */
    size_t kept_bytes;        /* of the partial buffers of all links */
    struct link_http *http;   /* owned by http.c; NULL: nobody listens there */
    uint8_t *read_buffer;     /* LINK_READ_SIZE */
    shared_pool *blocks;      /* of large frames */
    unsigned handles_open;
    uv_timer_t hello;         /* runs while there are connections without hello, until the oldest has had its time */
    int descriptor_limit;     /* agents get no descriptor from here on: the rest is for everything else */
    link_server_stats stats;
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

/* A new connection: opens its session. LOOM_EFULL, LOOM_ENOMEM: the carrier closes it. LOOM_EBUSY: the same, or it tries
 * again in the next round. */
LOOM_MUST_CHECK loom_status link_init(link_t *l, link_server *server, const link_carrier *carrier, const char *peer);
/* Where the carrier is to put the bytes it reads next, and how many fit. NULL: it is to ask again in the next round. */
uint8_t *link_room(link_t *l, size_t *room);
/* len bytes are at the place link_room() named. */
void link_received(link_t *l, size_t len);
/* For a carrier that cannot leave bytes where they are: copies them. */
void link_push(link_t *l, const uint8_t *data, size_t len);
/* Takes it off the list it waits in. */
void link_unpause(link_t *l);
/* Frees its partial buffer. */
void link_release(link_t *l);
/* Once a tick: ends a session whose half frame takes too long while others wait. */
void link_check_delay(link_t *l);
/* Sees to it that a connection without hello is ended in time. */
void link_server_await_hello(link_server *server);
/* Begins a round: before it polls. */
void link_server_new_round(link_server *server);
/* Sees to what has lain idle, or has waited too long, in the next of a walk over all links. */
void link_server_tick_some(link_server *server);
/* The loop does not sleep before the next set_alarm(). */
void link_server_stay_awake(link_server *server);
/* Whether the loop may sleep in it, and for how long: last before it polls. */
void link_server_set_alarm(link_server *server);
/* Writes what some links have to say; the others have their turn later in the round, or in the next. */
void link_server_flush_some(link_server *server);
/* Gives the links that are held their turn: after it has polled. */
void link_server_take_turns(link_server *server);
/* Whether anybody but this link has sent something, or has waited since earlier rounds. One system call. */
bool link_others_wait(void *link);
void link_sent(link_t *l, bool ok);
/* Sends the next pieces of long flights: after it has polled. */
void link_server_fly_on(link_server *server);
/* Bytes of the flight that the carrier has not been given. */
size_t link_flight_left(const link_t *l);
/* Closes a link whose session ended a while ago, sent or not. */
void link_expire(link_t *l, uint64_t now_ms);
/* The connection broke or ended from the other side: it is closed, or will be. */
void link_broken(link_t *l);
/* Closes the next of those that are to be closed, as many as a round has room for. */
void link_server_close_lost(link_server *server);
/* Reads nothing of it while it is in the list. */
void link_pause(link_t *l, linked_list *list);
/* The carrier is done with it: frees what the link holds, not the link itself. */
void link_gone(link_t *l);
/* A link left the list: the last one ends a server that is closing. */
void link_server_left(link_server *server);
/* Puts a listener on the server's list, from which listener_gone() takes it. */
void listener_init(listener *ls, link_server *server, const listener_ops *ops);
/* It is to be tried again. */
void listener_delay(listener *ls, listener_wait until);
void listener_close(listener *ls); /* once is enough */
void listener_gone(listener *ls);
/* Says in the log that link_init() has failed. */
void link_log_refusal(link_server *server, const char *peer, loom_status why);
/* Appends the frame that tells an agent why it cannot be served: LOOM_EBUSY as LOOM_EFULL. */
void link_put_refusal(frame_writer *w, loom_status why);
/* What the HTTP server counts; zeros when nobody listens there. */
http_server_counts link_http_counts(const link_server *server);

#endif
