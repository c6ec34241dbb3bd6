/* SPDX-License-Identifier: Apache-2.0 */
/* Looks a host name up without stalling whoever asks. */
#ifndef LOOM_SDK_LINK_RESOLVER_H
#define LOOM_SDK_LINK_RESOLVER_H

#include <loom/status.h>

#include <netdb.h>

typedef struct resolver resolver;

/* A literal address is answered in *found at once, and *out is NULL. A name is given to a short-lived thread.
 * LOOM_ENOMEM, LOOM_EIO. */
LOOM_MUST_CHECK loom_status resolver_start(resolver **out, struct addrinfo **found, const char *host, const char *port);
int resolver_fd(const resolver *r); /* readable when there is an answer */
/* LOOM_EBUSY: no answer yet. LOOM_OK: *found is the caller's, to freeaddrinfo(). LOOM_ENOTFOUND: *why says (static). */
LOOM_MUST_CHECK loom_status resolver_take(resolver *r, struct addrinfo **found, const char **why);
/* Lets go; a thread still waiting for an answer ends by itself. NULL is allowed. */
void resolver_close(resolver *r);

#endif
