/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that were refused, for who runs a receiver or a page: clients seldom show what they are answered. */
#ifndef LOOM_TOOLS_REFUSAL_H
#define LOOM_TOOLS_REFUSAL_H

#include "base/rate_limit.h"
#include "host/http/http_server.h"

enum { REFUSAL_SIZE = 768 };

/* The line to tell, at most one in ten seconds: who asked for what, and why not. The query is left out, which may hold a token.
 * False: not now. now_ms: of any monotonic clock. */
bool refusal_line(char out[REFUSAL_SIZE], rate_limit *limit, uint64_t now_ms, const http_request *r, uint16_t status,
                  const char *why);

#endif
