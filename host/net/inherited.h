/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets that a service manager has opened for us and passed on: LISTEN_PID and LISTEN_FDS, sd_listen_fds(3).
 * One that is taken is closed on exec from then on, so the others can be told by that. */
#ifndef LOOM_HOST_NET_INHERITED_H
#define LOOM_HOST_NET_INHERITED_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

/* The one that listens at this address, now non-blocking; -1: none does. any_family: an address for all of IPv6 will do for
 * all of IPv4, since it takes both. */
int inherited_take(const struct sockaddr *addr, socklen_t len, bool any_family);
/* Those that nobody has taken, each with its address for people. */
void inherited_visit_left(void (*visit)(void *user, int fd, const char *address), void *user);

#endif
