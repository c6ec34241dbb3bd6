/* SPDX-License-Identifier: Apache-2.0 */
/* Whether bytes from outside are a span that a receiver of OTLP takes. A receiver refuses a whole request for one text that
 * is not UTF-8, and with it the spans of everybody else that are in it; so this is strict. */
#ifndef LOOM_BRIDGE_SPANS_CHECK_H
#define LOOM_BRIDGE_SPANS_CHECK_H

#include <loom/api.h>

enum {
    SPAN_BYTES_MAX = 64 * 1024, /* of a span, and of a resource or scope */
    SPAN_SCHEMA_URL_MAX = 2048, /* bytes */
    SPAN_DEPTH_MAX = 16         /* messages in one another */
};
#define SPAN_AHEAD_MAX_NS (24 * 3600 * UINT64_C(1000000000)) /* that a span may end after our clock */

typedef enum span_fault {
    SPAN_FINE,
    SPAN_MALFORMED, /* not the message that it should be, or not UTF-8 */
    SPAN_INVALID,   /* ids, times or name */
    SPAN_TOO_LARGE
} span_fault;

/* One Span message. */
span_fault span_check(loom_bytes span, uint64_t now_unix_ns);
/* One Resource, one InstrumentationScope; empty ones are fine. */
span_fault span_check_resource(loom_bytes resource);
span_fault span_check_scope(loom_bytes scope, loom_bytes schema_url);

#endif
