/* SPDX-License-Identifier: Apache-2.0 */
/* What carries the bytes of a link: one small vtable. carrier_socket.c does ipc and tcp; carrier_tls.c lies over a socket,
 * and carrier_ws.c over a socket or over TLS.
 *
 * A carrier registers what has to be watched with the agent's epoll set, under CARRIER_TAG. The agent's thread calls
 * everything but send and watch_room, which any thread may call once connect has answered LOOM_OK: send one at a time,
 * watch_room one at a time, under the agent's lock, possibly while another thread is in send. Nothing blocks. After an
 * error, the carrier's why says what happened; it can then only be closed. */
#ifndef LOOM_SDK_LINK_CARRIER_H
#define LOOM_SDK_LINK_CARRIER_H

#include <loom/status.h>

#include <sys/uio.h>

#include "base/url.h"

enum { CARRIER_TAG = 1 }; /* epoll_event.data.u32 */
enum { LINK_WHY_SIZE = 192 };
enum { CARRIER_ROOM_MIN = 32 * 1024 }; /* bytes that the agent has room for when it calls receive */

typedef struct carrier carrier;

typedef struct carrier_ops {
    /* Goes on connecting. LOOM_OK: connected. LOOM_EBUSY: not yet; the epoll set says when to call again. LOOM_EDENIED: the
     * peer is not who it has to be. LOOM_EPROTO: it speaks something else. */
    loom_status (*connect)(carrier *c);
    /* Hands over what the kernel takes; *sent bytes. LOOM_EBUSY: none. What was not sent comes again, the same bytes first:
     * a carrier may have written a part of them in its own form. */
    loom_status (*send)(carrier *c, const struct iovec *iov, size_t count, size_t *sent);
    /* Whether the epoll set has to say when send takes more. Any thread, with the agent's lock held: the loop that is told
     * so takes that lock next, and waits for it in good order. */
    void (*watch_room)(carrier *c, bool on);
    /* LOOM_EBUSY: nothing is there now.  LOOM_ECLOSED: the peer has ended the stream. Less than room: whatever else there
     * is, the epoll set says so. Called at each event of the epoll set, whatever it was. */
    loom_status (*receive)(carrier *c, void *into, size_t room, size_t *got);
    /* Nothing will be sent any more: tells the peer, where the carrier can. */
    void (*finish)(carrier *c);
    void (*close)(carrier *c); /* frees it */
} carrier_ops;

struct carrier {
    const carrier_ops *ops;
    char why[LINK_WHY_SIZE]; /* written by the agent's thread only */
};

typedef struct carrier_options {
    const url *url;           /* must outlive the carrier */
    int epoll_fd;
    unsigned attempt;         /* counts up, so that every address of a name gets its turn to be first */
    const char *tls_ca_file;  /* may be NULL */
} carrier_options;

/* Begins to connect. LOOM_ENOMEM; LOOM_EIO; LOOM_EINVAL: the options lead nowhere, or a library that the URL needs is missing.
 * why says what happened. */
LOOM_MUST_CHECK loom_status carrier_open(carrier **out, const carrier_options *options, char why[LINK_WHY_SIZE]);

LOOM_MUST_CHECK loom_status carrier_socket_open(carrier **out, const carrier_options *options, char why[LINK_WHY_SIZE]);
LOOM_MUST_CHECK loom_status carrier_tls_open(carrier **out, const carrier_options *options, char why[LINK_WHY_SIZE]);
LOOM_MUST_CHECK loom_status carrier_ws_open(carrier **out, const carrier_options *options, char why[LINK_WHY_SIZE]);

#endif
