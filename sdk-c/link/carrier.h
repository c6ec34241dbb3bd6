/* SPDX-License-Identifier: Apache-2.0 */
/* What carries the bytes of a link: one small vtable, implemented on sockets (ipc, tcp) and on nng streams (tls, ws).
 *
 * A carrier registers what has to be watched with the agent's epoll set, under CARRIER_TAG. The agent's thread calls
 * everything but send and watch_room, which any thread may call, one at a time, once connect has answered LOOM_OK.
 * Nothing blocks. After an error, the carrier's why says what happened; it can then only be closed. */
#ifndef LOOM_SDK_LINK_CARRIER_H
#define LOOM_SDK_LINK_CARRIER_H

#include <loom/status.h>

#include <sys/uio.h>

#include "base/url.h"

enum { CARRIER_TAG = 1 }; /* epoll_event.data.u32 */

enum { LINK_WHY_SIZE = 192 };

typedef struct carrier carrier;

typedef struct carrier_ops {
    /* Goes on connecting. LOOM_OK: connected. LOOM_EBUSY: not yet; the epoll set says when to call again. */
    loom_status (*connect)(carrier *c);
    /* Takes what it can; *sent bytes. LOOM_EBUSY: none. */
    loom_status (*send)(carrier *c, const struct iovec *iov, size_t count, size_t *sent);
    /* Whether the epoll set has to say when send takes more. Any thread, with the agent's lock held: the loop that is told
     * so takes that lock next, and waits for it in good order. */
    void (*watch_room)(carrier *c, bool on);
    /* LOOM_EBUSY: nothing is there now.  LOOM_ECLOSED: the peer has ended the stream. */
    loom_status (*receive)(carrier *c, void *into, size_t room, size_t *got);
    /* Whether everything taken by send has been handed to the kernel. */
    bool (*drained)(carrier *c);
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

/* Begins to connect. LOOM_ENOMEM, LOOM_EIO, LOOM_EINVAL; why says what happened. */
LOOM_MUST_CHECK loom_status carrier_open(carrier **out, const carrier_options *options, char why[LINK_WHY_SIZE]);

LOOM_MUST_CHECK loom_status carrier_socket_open(carrier **out, const carrier_options *options, char why[LINK_WHY_SIZE]);
LOOM_MUST_CHECK loom_status carrier_nng_open(carrier **out, const carrier_options *options, char why[LINK_WHY_SIZE]);

#endif
