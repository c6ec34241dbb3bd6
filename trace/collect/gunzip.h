/* SPDX-License-Identifier: Apache-2.0 */
/* Request bodies with Content-Encoding: gzip, which is what collectors send unless they are told not to. */
#ifndef LOOM_TRACE_COLLECT_GUNZIP_H
#define LOOM_TRACE_COLLECT_GUNZIP_H

#include <loom/status.h>

/* Unpacks one or several gzip members (RFC 1952, 2.2). *out is on the heap and the caller's; NULL on any error.
 * LOOM_EMALFORMED: not gzip, cut short, or with a wrong check sum. LOOM_ETOOBIG: more than max bytes. LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status gunzip(uint8_t **out, size_t *len, loom_bytes packed, size_t max);

#endif
