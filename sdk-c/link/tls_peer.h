/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the server is who the URL names: chain, dates, and host name or address (RFC 6125; RFC 2818, 3.1). */
#ifndef LOOM_SDK_LINK_TLS_PEER_H
#define LOOM_SDK_LINK_TLS_PEER_H

#include <loom/api.h>

#include "sdk-c/link/tls_library.h"

enum { TLS_FAULT_SIZE = 160 };

typedef struct tls_peer {
    const tls_library *lib;
    const char *host;            /* of the URL; outlives it */
    char fault[TLS_FAULT_SIZE];  /* what is wrong with the certificate; "": nothing yet */
} tls_peer;

/* Makes ssl check for the host, and ask for it by name. False: no memory. */
LOOM_MUST_CHECK bool tls_peer_expect(tls_peer *peer, SSL *ssl);
/* For SSL_CTX_set_verify(): writes the fault of the peer that expects this connection. */
int tls_peer_verify(int fine, X509_STORE_CTX *store);

#endif
