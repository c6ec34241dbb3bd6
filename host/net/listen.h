/* SPDX-License-Identifier: Apache-2.0 */
/* How a process comes to a listening socket: for agents, for the bus, for HTTP.
 *
 * A socket file left behind by a process that was killed is replaced; one that somebody answers on is not. Two servers that
 * start at once take turns, by a lock on the folder: otherwise the second could remove what the first has just made.
 *
 * A socket that a service manager has opened at the same address is used instead of a new one (inherited.h).
 *
 * Threads: any, at start, before there is anybody to delay: a host name is looked up, and a lock waited for. */
#ifndef LOOM_HOST_NET_LISTEN_H
#define LOOM_HOST_NET_LISTEN_H

#include <stdint.h>

#include "base/url.h"

/* A listening socket. fd is non-blocking and the owner's, who gives it to the loop or closes it. */
typedef struct listening {
    int fd;                          /* -1: none */
    char path[URL_IPC_PATH_MAX + 1]; /* of the file made for it; "" if none */
    uint64_t device, inode;          /* of that file */
} listening;

/* What a broker or bridge says when listening_open() is LOOM_EBUSY. */
#define LISTENING_TWICE "the address is in use: is a broker or bridge running there already?"

/* "HOST:PORT", as options have it, both of them named; an IPv6 host stands in brackets. As a URL its scheme is http. */
bool listening_parse(url *out, const char *text);
/* Listens at a URL with a host and port, or at an ipc path. A port 0 becomes the real one in *u. mode: permissions of the
 * socket file, whatever the umask: who may write to it speaks to us.
 * LOOM_EBUSY: the address is in use.  LOOM_EDENIED, LOOM_ENOMEM, LOOM_EIO.  why then holds a sentence fragment. */
LOOM_MUST_CHECK loom_status listening_open(listening *out, url *u, uint32_t mode, char why[URL_ERROR_SIZE]);
/* The same at an abstract unix address, whose name has no file. */
LOOM_MUST_CHECK loom_status listening_open_abstract(listening *out, const char *name, char why[URL_ERROR_SIZE]);
/* Removes the socket file, unless another server's is there by now. The descriptor stays. */
void listening_unlink(const listening *l);

#endif
