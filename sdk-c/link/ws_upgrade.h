/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP/1.1 exchange that turns a connection into a WebSocket (RFC 6455, section 4), from the client's side. */
#ifndef LOOM_SDK_LINK_WS_UPGRADE_H
#define LOOM_SDK_LINK_WS_UPGRADE_H

#include "base/url.h"

enum {
    WS_KEY_SIZE = 25,           /* base64 of 16 bytes, and NUL */
    WS_ACCEPT_SIZE = 29,        /* base64 of a SHA-1, and NUL */
    WS_REQUEST_SIZE = 2048,     /* the longest path and host fit */
    WS_ANSWER_MAX = 8 * 1024,   /* bytes of the answer's status line and headers */
    WS_UPGRADE_WHY_SIZE = 160
};

#define WS_SUBPROTOCOL "loom.v1"

/* A fresh key, and the answer to it that proves that the server has understood. */
void ws_upgrade_key(char key[WS_KEY_SIZE], char accept[WS_ACCEPT_SIZE]);
/* Returns its length. */
size_t ws_upgrade_request(char out[WS_REQUEST_SIZE], const url *to, const char *key);
/* head: what has come so far, untrusted.
 * LOOM_EBUSY: not all of it yet.  LOOM_OK: upgraded; *end is where the first frame begins.
 * LOOM_EPROTO: anything else; why says what the server answered instead. */
LOOM_MUST_CHECK loom_status ws_upgrade_answer(loom_str head, const char *accept, size_t *end,
                                              char why[WS_UPGRADE_WHY_SIZE]);

#endif
