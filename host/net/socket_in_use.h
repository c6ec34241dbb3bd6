/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a process of this machine listens on a unix socket, found out without connecting to it.
 *
 * A connection that ends before nng's greeting makes nng 1.5.2 stop listening for good (nng issue 1518), and nng's own
 * look whether an address is in use is such a connection: a second broker started by mistake would cut off the first. */
#ifndef LOOM_HOST_NET_SOCKET_IN_USE_H
#define LOOM_HOST_NET_SOCKET_IN_USE_H

#include <stdbool.h>

/* path: as the listener named it. False also when it cannot be known, as of a listener in another network namespace. */
bool socket_in_use(const char *path);

#endif
