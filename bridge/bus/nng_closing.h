/* SPDX-License-Identifier: Apache-2.0 */
/* Closing nng sockets without waiting for nng.
 *
 * In nng 1.5 a pipe that is closed between two reads, or two writes, of one message never comes to its end: the transport
 * goes on with an operation that was already stopped, and nobody is told. The one thread that takes pipes apart then waits
 * for that pipe for ever, and so do nng_close() and, at exit, nng_fini(). It takes a busy socket and a busy machine.
 *
 * So a socket first becomes quiet (nng_closing.c), which keeps this side out of that gap; it is closed on a thread of its
 * own, and its owner waits no longer than it likes. A peer that dies while a message to it is half written can still open
 * the gap: what is not closed by then is abandoned, and the process will end without nng_fini().
 *
 * Threads: the owner's loop. */
#ifndef LOOM_BRIDGE_NNG_CLOSING_H
#define LOOM_BRIDGE_NNG_CLOSING_H

#include "bridge/bus/nng_inbox.h"

/* Until then an owner should wait for nng_closings_left() to become 0. */
enum { NNG_CLOSING_MAX_MS = 3000 };

typedef struct nng_closings nng_closings; /* the sockets of one owner */

/* wake is sent whenever a socket is closed. LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status nng_closings_open(nng_closings **out, uv_async_t *wake);
/* Closes the socket and then pipes (may be NULL), which tells no more from now on. Nothing else may use the socket: its
 * aios are stopped. Returns at once; without the means for another thread it waits for nng. */
void nng_closings_add(nng_closings *c, nng_socket socket, pipe_watch *pipes);
/* How many are not closed yet. */
unsigned nng_closings_left(nng_closings *c);
/* Sends to wake no more, and abandons what is left. NULL is allowed. */
void nng_closings_close(nng_closings *c);

#endif
