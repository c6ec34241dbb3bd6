/* SPDX-License-Identifier: Apache-2.0 */
/* Scalability-protocol (SP) sockets on a libuv loop: what nng and nanomsg speak on the wire (RFC sp-tcp-mapping-01,
 * sp-ipc-mapping; nng's PUB/SUB 0, PUSH/PULL 0, REQ/REP 0, PAIR 0), read and written by the loop's own thread.
 *
 * A server listens for one protocol and has many peers; a dialled peer is the only one of its kind. Messages to a peer
 * collect in its outgoing bytes and leave together at the end of the round (sp runs itself around each sleep of the loop;
 * sp_server_flush() and sp_peer_flush() do it now). Nothing is dropped but by a PUB server whose peer does not keep up, and
 * that is counted. A REP server reads no more requests from a peer that leaves more than peer_buffer of answers unread.
 * Sending calls no handler: a connection that turns out to be broken ends later, from the loop, after what the other side
 * sent before has been read.
 *
 * Bytes from outside: a greeting of another protocol, a message over message_max, a REQ without its id, or silence instead
 * of a greeting (10 s) end that connection alone, and are logged with the peer and the reason.
 * Carriers: ipc:///PATH (unix socket), abstract://NAME (one without a file), tcp://HOST:PORT (IPv4, IPv6, names, * for all
 * addresses when listening). Out of descriptors, a server goes on accepting when there
 * are some again.
 *
 * Threads: the loop's. Handlers run from the loop, and may call anything here, sp_peer_close() of their own peer too. */
#ifndef LOOM_HOST_NET_SP_SP_H
#define LOOM_HOST_NET_SP_SP_H

#include <loom/envelope.h>
#include <stdarg.h>
#include <uv.h>

#include "base/log_level.h"

typedef struct sp_server sp_server;
typedef struct sp_peer sp_peer; /* one connection */

/* Numbers as on the wire. */
typedef enum sp_protocol {
    SP_PAIR = 0x10,
    SP_PUB = 0x20,
    SP_SUB = 0x21,
    SP_REQ = 0x30,
    SP_REP = 0x31,
    SP_PUSH = 0x50,
    SP_PULL = 0x51
} sp_protocol;

enum {
    SP_MESSAGE_MAX_DEFAULT = 4 * 1024 * 1024,
    SP_URL_SIZE = 256,
    SP_BACKTRACE_MAX = 16 /* ids before a request's body, a device each */
};

/* A request to be answered, at once or later, from the loop. Copied freely. */
typedef struct sp_reply_to {
    sp_peer *peer;
    uint64_t peer_number; /* of the server, never again: the peer may have gone meanwhile */
    uint8_t backtrace[4 * SP_BACKTRACE_MAX];
    size_t backtrace_len;
} sp_reply_to;

/* Any but message may be NULL. user is that of the options. */
typedef struct sp_handlers {
    /* The greetings have been exchanged. */
    void (*opened)(void *user, sp_peer *peer);
    /* One whole message. The bytes are the read buffer's: valid, and may be changed, until the handler returns.
     * reply_to is for REP servers, else NULL. */
    void (*message)(void *user, sp_peer *peer, uint8_t *data, size_t len, const sp_reply_to *reply_to);
    /* Everything written to this peer has been taken by the kernel, after some of it had to wait. */
    void (*drained)(void *user, sp_peer *peer);
    /* The last call about a peer that was opened. why is text for a log. Never for a peer that its owner closed. */
    void (*closed)(void *user, sp_peer *peer, loom_status status, const char *why);
} sp_handlers;

typedef struct sp_options {
    sp_protocol protocol;      /* ours. A server: PULL, PUB, REP or PAIR. Dialling: any */
    const sp_handlers *handlers;
    void *user;
    size_t message_max;        /* of a received message, bytes; 0: SP_MESSAGE_MAX_DEFAULT */
    size_t peer_buffer;        /* PUB: bytes that may wait for one peer; more and a message is dropped for it. 0: 8 MiB,
                                  and less for each when more than 256 MiB wait for all.
                                  A message larger than that goes to a peer for whom nothing waits */
    uint32_t ipc_mode;         /* permissions of the socket; 0: 0600 */
    uint32_t max_peers;        /* 0: 1024. When there are as many, a new one takes the place of a connection that has said
                                  nothing yet or, of a REP server, asks nothing; otherwise it is closed, counted and logged */
    int descriptor_limit;      /* peers get no descriptor from here on; 0: any */
    void (*log)(void *user, log_level level, const char *format, va_list args); /* of a log_sink: at most a few lines a second */
} sp_options;

typedef struct sp_stats {
    uint64_t accepted, refused;      /* connections that were greeted; that ended before, or were over max_peers */
    uint64_t received, sent;         /* messages; sent: a copy each peer */
    uint64_t dropped;                /* PUB: copies a peer had no room for */
    uint64_t malformed;              /* connections ended for what they sent after the greeting */
    uint32_t peers;                  /* now, greeted */
} sp_stats;

/* ---- a server ---- */

/* LOOM_EINVAL: the url.  LOOM_EBUSY: the address is in use.  LOOM_EDENIED: no permission.  LOOM_EIO, LOOM_ENOMEM.
 * A socket file that nobody listens on any more is replaced; its folder has to be there. The reason of a failure is logged.
 * Names are looked up while the caller waits. */
LOOM_MUST_CHECK loom_status sp_listen(sp_server **out, uv_loop_t *loop, const char *url, const sp_options *options);
/* Closes all connections after writing what the kernel takes at once, removes the socket file; frees itself and then calls
 * closed (may be NULL), from the loop. No handler runs any more. NULL server: calls nothing. */
void sp_server_close(sp_server *s, void (*closed)(void *user), void *user);
/* As it is really listened on: a tcp port 0 filled in. Valid until close. */
const char *sp_server_url(const sp_server *s);
/* Reads from no peer, or again; no message is handed over meanwhile, not even one that was read before. New peers are
 * greeted, and that one left is found out afterwards. Costs nothing when it changes nothing. */
void sp_server_pause(sp_server *s, bool paused);
/* PUB: the same bytes to every peer that has room. The parts are copied, one after the other. LOOM_OK also when some were
 * dropped; LOOM_ENOMEM: for every peer that had not had it yet. */
LOOM_MUST_CHECK loom_status sp_server_publish(sp_server *s, const loom_bytes *parts, size_t count);
/* REP: LOOM_ENOTFOUND: the one who asked has gone. LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status sp_server_reply(sp_server *s, const sp_reply_to *to, loom_bytes body);
/* What collected leaves now, of some peers; of the others at the end of this round, or of the next. */
void sp_server_flush(sp_server *s);
sp_stats sp_server_get_stats(const sp_server *s);

/* ---- a peer ---- */

/* Dials once, in the background; then opened, or closed with why (LOOM_ETIMEDOUT after timeout_ms; 0: 10 s). Nobody tries
 * again: dial again. LOOM_EINVAL: the url.  LOOM_ENOMEM, LOOM_EIO. After `closed` the peer is gone.
 * closed's status: LOOM_ENOTCONN: nobody there.  LOOM_ENOTFOUND: no such name.  LOOM_EDENIED, LOOM_ETIMEDOUT, LOOM_EPROTO,
 * LOOM_ETOOBIG, LOOM_EIO, LOOM_ENOMEM.  LOOM_ECLOSED: the other side left. */
LOOM_MUST_CHECK loom_status sp_dial(sp_peer **out, uv_loop_t *loop, const char *url, const sp_options *options,
                                    uint32_t timeout_ms);
/* One message, copied. For PAIR, PUSH, and what else has one direction; REQ and REP as they are on the wire, ids first.
 * LOOM_ENOMEM.  LOOM_ENOTCONN: closed, broken or not opened.  LOOM_EINVAL: a SUB or PULL says nothing. */
LOOM_MUST_CHECK loom_status sp_peer_send(sp_peer *p, const loom_bytes *parts, size_t count);
size_t sp_peer_unsent(const sp_peer *p); /* bytes the kernel has not taken */
void sp_peer_flush(sp_peer *p);
/* How much the kernel should hold of what it has taken and the other side has not read, about: what is sent next waits behind
 * that. 0: as much as at first. */
void sp_peer_limit(sp_peer *p, size_t bytes);
/* Reads from it no more, or again, as sp_server_pause(). */
void sp_peer_pause(sp_peer *p, bool paused);
/* Closes after what the kernel takes at once. The peer must not be used any more; no handler is called about it. NULL is
 * allowed. */
void sp_peer_close(sp_peer *p);
/* The owner's; NULL at first. */
void sp_peer_set_user(sp_peer *p, void *user);
void *sp_peer_user(const sp_peer *p);
/* For logs: "ipc" with the pid of the other side where known, or the address. Valid while the peer is. */
const char *sp_peer_name(const sp_peer *p);

#endif
