/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-1 (RFC 3174), which the opening handshake of a WebSocket asks for. It proves that the server has read the request
 * and nothing more: for anything that has to be secure there is libsodium. */
#ifndef LOOM_HOST_HTTP_SHA1_H
#define LOOM_HOST_HTTP_SHA1_H

#include <loom/api.h>

enum { SHA1_SIZE = 20, SHA1_INPUT_MAX = 119 /* two blocks less the padding */ };

/* data.len is at most SHA1_INPUT_MAX. */
void sha1(uint8_t out[SHA1_SIZE], loom_bytes data);

#endif
