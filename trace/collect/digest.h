/* SPDX-License-Identifier: Apache-2.0 */
/* Which attributes may be among the spans of a block, without reading them: a Bloom filter of twelve bits and four probes
 * an attribute. It errs in one case of a hundred and fifty, and only on the side of "may". */
#ifndef LOOM_TRACE_COLLECT_DIGEST_H
#define LOOM_TRACE_COLLECT_DIGEST_H

#include <loom/api.h>
#include <loom/status.h>

typedef struct digest {
    uint64_t *hashes; /* collected */
    size_t count, capacity;
    uint8_t *bits;    /* made of them */
    size_t bits_capacity;
} digest;

void digest_init(digest *d);
void digest_fini(digest *d);
/* Collects one attribute. LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status digest_put(digest *d, loom_str key, loom_str value);
/* The filter of what was collected, which is then forgotten; valid until the next call. LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status digest_take(digest *d, loom_bytes *filter);
/* Bytes that are no filter may hold anything. */
bool digest_may_hold(loom_bytes filter, loom_str key, loom_str value);

#endif
