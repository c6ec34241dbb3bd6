/* SPDX-License-Identifier: Apache-2.0 */
/* From nng's threads to the loop: messages received on a socket, and pipes that came and went.
 *
 * An nng callback only moves the message into a bounded queue and wakes the loop. A full queue is not received into any
 * more, until the loop has taken from it: then nng's own buffers fill, and with them the peers'.
 *
 * Threads: the callbacks run on nng's, all functions here on the loop's. */
#ifndef LOOM_BRIDGE_NNG_INBOX_H
#define LOOM_BRIDGE_NNG_INBOX_H

#include <loom/status.h>
#include <nng/nng.h>
#include <uv.h>

typedef struct nng_inbox nng_inbox;

/* wake must stay open until nng_inbox_close() has returned. LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status nng_inbox_open(nng_inbox **out, nng_socket socket, uv_async_t *wake, size_t max_messages,
                                           size_t max_bytes);
/* Stops receiving, for which the socket may be open or closed, and frees what was not taken. NULL is allowed. */
void nng_inbox_close(nng_inbox *inbox);
/* The oldest message, the caller's to free; NULL: none. Goes on receiving when there is room again. */
nng_msg *nng_inbox_take(nng_inbox *inbox);

typedef struct pipe_event {
    uint32_t pipe;
    bool added; /* false: removed */
} pipe_event;

typedef struct pipe_watch pipe_watch;

/* Watches the pipes of a socket that is neither dialing nor listening yet. LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status pipe_watch_open(pipe_watch **out, nng_socket socket, uv_async_t *wake);
/* Wakes nobody from now on. */
void pipe_watch_mute(pipe_watch *watch);
/* The socket must be closed. NULL is allowed. */
void pipe_watch_close(pipe_watch *watch);
/* The oldest event; false: none. */
bool pipe_watch_take(pipe_watch *watch, pipe_event *out);
/* Pipes that are up now. */
unsigned pipe_watch_count(pipe_watch *watch);
/* Events that found no room since the last call: someone may be gone who seems to be there. */
unsigned pipe_watch_missed(pipe_watch *watch);

/* Sends a copy of the bytes without waiting. LOOM_EBUSY: not now, nobody takes it.  LOOM_ENOMEM, LOOM_ECLOSED. */
LOOM_MUST_CHECK loom_status nng_send_copy(nng_socket socket, loom_bytes bytes);

/* nng's error as a status: LOOM_EBUSY for an address in use, LOOM_EINVAL for a bad one, LOOM_EIO for the rest. */
loom_status nng_status(int error);

#endif
