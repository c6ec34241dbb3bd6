/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-1 (RFC 3174), which the WebSocket handshake asks for. Nothing may rely on it for security. */
#ifndef LOOM_BASE_SHA1_H
#define LOOM_BASE_SHA1_H

#include <loom/api.h>

#define SHA1_SIZE 20

/* len: less than 512 MiB. */
void sha1(uint8_t out[SHA1_SIZE], const void *data, size_t len);

#endif
