/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/refusal.h"

#include <inttypes.h>
#include <stdio.h>

enum { TELL_MS = 10000, PATH_SHOWN = 64 };

bool refusal_line(char out[REFUSAL_SIZE], rate_limit *limit, uint64_t now_ms, const http_request *r, uint16_t status,
                  const char *why)
{
    const loom_str path = http_request_path(r);
    char more[64] = "";
    uint64_t suppressed;
    if (!rate_limit_pass(limit, now_ms, TELL_MS, 1, &suppressed)) {
        return false;
    }
    if (suppressed > 0) {
        snprintf(more, sizeof more, "; %" PRIu64 " more since the last one told", suppressed);
    }
    snprintf(out, REFUSAL_SIZE, "refused a request from %s%s%.*s: %u, %.500s%s", http_request_peer(r), path.len > 0 ? " for " : "",
             (int)(path.len < PATH_SHOWN ? path.len : PATH_SHOWN), path.len > 0 ? path.data : "", (unsigned)status, why, more);
    return true;
}
