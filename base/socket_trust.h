/* SPDX-License-Identifier: Apache-2.0 */
/* Whom a client may speak to at a Unix socket. Anybody can make a directory in /tmp and listen there, so whoever dials
 * asks these before the first byte: the path before connecting, the other side's uid once connected.
 *
 * The runtime directory has to belong to this user alone, and its servers to this user or root. Anywhere else the server may
 * be another user's (a broker for the whole machine runs as a user of its own in /run/loom), unless everybody may write to
 * the directory: who listens there proves nothing. An abstract socket has no directory, so only this user and root will do.
 *
 * All return LOOM_OK, or LOOM_EDENIED with a sentence in why. Threads: any. */
#ifndef LOOM_BASE_SOCKET_TRUST_H
#define LOOM_BASE_SOCKET_TRUST_H

#include <loom/status.h>
#include <sys/types.h>

/* path: of the socket; "" for an abstract one. A directory that is not there is left to connect() to report. */
LOOM_MUST_CHECK loom_status socket_trust_path(const char *path, char *why, size_t why_size);
/* uid: of the process that listens at path. */
LOOM_MUST_CHECK loom_status socket_trust_uid(const char *path, uid_t uid, char *why, size_t why_size);
/* The same for a connected socket; LOOM_EIO when the kernel does not say who is there. */
LOOM_MUST_CHECK loom_status socket_trust_peer(const char *path, int fd, char *why, size_t why_size);

#endif
