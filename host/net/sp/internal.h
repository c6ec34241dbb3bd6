/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the SP library share.
 *
 *   url.c     what a URL names: a unix socket, an abstract one, addresses of tcp
 *   hub.c     one for each loop: the read buffer, spare pieces of outgoing bytes, deadlines, who has something to do
 *   out.c     the outgoing bytes of one peer
 *   peer.c    a connection: its life and what may be done with it;  peer_io.c: what the loop does with it
 *   server.c  accepts peers, and speaks to them
 *   dial.c    a peer of its own: finding and connecting
 *
 * Calls go up that list, never down: from the hub to a peer, and from a peer to its server, by what is stored in the peer.
 *
 * Sending never calls a handler. An error met while writing is only noted: what the other side sent before it left is read
 * first, by the loop, and then the peer ends. Memory of a peer or server stays until libuv has closed its handles, so a
 * handler may close anything. */
#ifndef LOOM_HOST_NET_SP_INTERNAL_H
#define LOOM_HOST_NET_SP_INTERNAL_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/log_sink.h"
#include "base/url.h"
#include "host/net/listen.h"
#include "host/net/sp/stream.h"

enum {
    SP_READ_SIZE = 256 * 1024,
    SP_PIECE_SIZE = 16 * 1024,        /* of outgoing bytes, with its head */
    SP_SPARE_PIECES = 256,            /* kept by a hub for the next who writes */
    SP_ROUND_PEERS = 64,              /* that are written to, or read, before others of the loop have their turn: some 0.1 ms */
    SP_WRITE_AT = 256 * 1024,         /* what collected so far is written before the end of the round */
    SP_SOCKET_BUFFER = 1024 * 1024,   /* asked for; what the system allows is enough */
    SP_PEER_BUFFER_DEFAULT = 8 * 1024 * 1024,
    SP_MAX_PEERS_DEFAULT = 1024,
    SP_HALVES_MAX = 64 * 1024 * 1024,   /* of half messages of all peers of a PULL server */
    SP_WAITING_MAX = 256 * 1024 * 1024, /* for all peers of a PUB server; with more, each has room for its share of that */
    SP_SHARE_MIN = 64 * 1024,
    SP_GREETING_MS = 10000,
    SP_DIAL_MS = 10000,
    SP_NAME_SIZE = 96,
    SP_LINES_A_SECOND = 5,            /* of the log, for one server */
    SP_ADDRESSES_MAX = 8              /* of one name that are tried */
};

/* ---- addresses ---- */

typedef struct sp_address {
    struct sockaddr_storage addr;
    socklen_t len;
} sp_address;

typedef struct sp_url {
    bool ipc;         /* or abstract: the framing of ipc */
    bool any;         /* tcp: every address */
    bool named;       /* the host is a name, to be looked up; otherwise address is set */
    url tcp;          /* as parsed; not of abstract names */
    const char *abstract_name; /* in the text parsed; NULL: none */
    sp_address address;
} sp_url;

LOOM_MUST_CHECK loom_status sp_url_parse(sp_url *out, const char *text, char why[URL_ERROR_SIZE]);
/* "tcp:ADDRESS:PORT". */
void sp_address_name(const struct sockaddr *addr, char *out, size_t size);

/* ---- hub ---- */

typedef struct sp_hub sp_hub;

typedef struct sp_deadline {
    struct sp_deadline *prev, *next;
    uint64_t at_ms; /* of the loop's clock */
    void (*passed)(struct sp_deadline *d);
    void *user;
    bool set;
} sp_deadline;

typedef struct sp_piece {
    struct sp_piece *next;
    size_t cap, start, end;
    uint8_t data[];
} sp_piece;

struct sp_hub {
    uv_loop_t *loop;
    unsigned users;
    unsigned handles;
    sp_buffer shared;          /* SP_READ_SIZE */
    uv_prepare_t before;       /* the sleep of the loop */
    uv_check_t after;
    uv_idle_t awake;           /* started while somebody is on the list: the loop must not sleep on it */
    uv_timer_t timer;          /* for the first deadline */
    sp_deadline *deadlines;    /* by time */
    sp_deadline *last_deadline;
    sp_peer *busy, *last_busy; /* have something to write, or to read without being asked by the poll */
    unsigned busy_count;
    sp_piece *spare;
    unsigned spare_count;
    void (*released)(void *user);
    void *released_user;
};

/* The one of this loop, or a new one; a reference. LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status sp_hub_get(sp_hub **out, uv_loop_t *loop);
/* released (may be NULL) is called now or, if the hub ends with it, from the loop. */
void sp_hub_release(sp_hub *hub, void (*released)(void *user), void *user);
void sp_hub_busy(sp_hub *hub, sp_peer *p);
void sp_hub_not_busy(sp_hub *hub, sp_peer *p);
void sp_deadline_set(sp_hub *hub, sp_deadline *d, uint64_t in_ms);
void sp_deadline_clear(sp_hub *hub, sp_deadline *d);
/* At least SP_PIECE_SIZE with its head. NULL: no memory. */
sp_piece *sp_piece_get(sp_hub *hub, size_t room);
void sp_piece_put(sp_hub *hub, sp_piece *piece);

/* ---- outgoing bytes ---- */

typedef struct sp_out {
    sp_piece *first, *last;
    size_t len;
} sp_out;

size_t sp_parts_len(const loom_bytes *parts, size_t count);
/* The head and then the parts. LOOM_ENOMEM: nothing was added. */
LOOM_MUST_CHECK loom_status sp_out_add(sp_out *o, sp_hub *hub, loom_bytes head, const loom_bytes *parts, size_t count);
/* 0: all of it was written. EAGAIN: the kernel takes no more now. Another errno: the connection is broken. */
int sp_out_write(sp_out *o, sp_hub *hub, int fd);
void sp_out_clear(sp_out *o, sp_hub *hub);

/* ---- peers ---- */

typedef enum sp_peer_state { SP_DIALLING, SP_GREETING, SP_OPEN, SP_CLOSED } sp_peer_state;

struct sp_peer {
    sp_hub *hub;
    sp_server *server;          /* NULL: dialled */
    const sp_options *options;  /* of the server, or its own */
    sp_peer *prev, *next;       /* of the server */
    sp_peer *prev_busy, *next_busy;
    bool busy;
    sp_peer_state state;
    uv_poll_t poll;
    bool polling;               /* poll is open: the memory stays */
    int fd;
    int events;                 /* polled for */
    int broken;                 /* errno of a write: nothing more can be written */
    bool blocked;               /* the kernel takes no more, wait for room */
    bool paused;                /* by its owner */
    size_t limit;               /* as sp_peer_limit() was told */
    bool choked;                /* REP: has so many answers waiting that no more requests are read */
    bool held;                  /* whole messages were kept when reading stopped */
    sp_stream in;
    sp_out out;
    sp_deadline deadline;       /* for the greeting, or for dialling and greeting */
    uint64_t number;            /* of the server */
    uint64_t half_ms;           /* when it last got more memory for a half message */
    uint64_t quiet_since_ms;    /* of the loop's clock: it connected, or its last request was answered */
    uint32_t asked;             /* REP: requests without an answer yet */
    void *own;                  /* the owner's */
    uv_poll_cb on_poll;         /* these two: what the loop asks of it (peer_io.c) */
    void (*run)(sp_peer *p);    /* it was busy when a round ended */
    void (*lost)(sp_peer *p, bool was_open); /* of a server: it is none of its peers any more */
    void (*gone)(sp_peer *p);   /* its handles are closed: frees the whole */
    char name[SP_NAME_SIZE];
};

/* Fills in a peer that has no connection yet, with what the loop asks of it. lost and gone are its maker's. */
void sp_peer_init(sp_peer *p, sp_hub *hub, const sp_options *options, bool ipc);
/* Takes a connected socket: greets and reads. Closes it when that fails: an errno. */
int sp_peer_start(sp_peer *p, int fd, bool ipc);
/* Closes without telling the owner. */
void sp_peer_shut(sp_peer *p);
/* The connection is over: tells the log and the owner. */
void sp_peer_end(sp_peer *p, loom_status status, const char *why);
/* Makes the poll wait for what matters now. */
void sp_peer_watch(sp_peer *p);
LOOM_MUST_CHECK loom_status sp_peer_add(sp_peer *p, const loom_bytes *parts, size_t count, size_t len);
/* Writes what collected, as far as the kernel takes it. */
void sp_peer_write(sp_peer *p);
/* The options with their defaults. LOOM_EINVAL: no such protocol. */
LOOM_MUST_CHECK loom_status sp_options_complete(sp_options *out, const sp_options *in);

/* ---- servers ---- */

struct sp_server {
    sp_hub *hub;
    sp_options options;
    listening listening;
    bool ipc;
    bool paused;
    bool closing;
    bool accepting;         /* the listener is polled */
    uv_poll_t poll;
    sp_deadline again;      /* accepts again, after a pause without descriptors */
    unsigned handles;       /* open ones, of peers too */
    sp_peer *peers;         /* all that are not closed */
    uint32_t connections;   /* how many those are */
    size_t waiting;         /* PUB: for all of them, when something was published last */
    sp_peer **slots;        /* by the low bits of their number */
    uint32_t slot_count;
    uint32_t slot_hint;     /* where to look for a free one */
    uint64_t numbers;
    sp_stats stats;
    log_sink log;
    rate_limit lines, pause_lines, full_lines; /* of their own, so that nothing else crowds them out */
    void (*closed)(void *user);
    void *closed_user;
    char url[SP_URL_SIZE];
};

/* grown has got more memory for a half message: when all have too much, the one ends that got some the longest ago. */
void sp_server_bound_halves(sp_server *s, sp_peer *grown);

/* For what a peer may cause. */
#define sp_server_log(s, level, ...) \
    log_to_limited(&(s)->log, &(s)->lines, SP_LINES_A_SECOND, uv_now((s)->hub->loop), (level), __VA_ARGS__)

/* Nothing is read from it now. */
static inline bool sp_peer_stopped(const sp_peer *p)
{
    return p->state == SP_OPEN && (p->paused || p->choked || (p->server != NULL && p->server->paused));
}

#endif
