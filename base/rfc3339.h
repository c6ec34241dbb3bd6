/* SPDX-License-Identifier: Apache-2.0 */
/* Points in time as text: 2026-01-02T03:04:05.678901Z (RFC 3339, 5.6), always UTC. */
#ifndef LOOM_BASE_RFC3339_H
#define LOOM_BASE_RFC3339_H

#include <loom/api.h>

#define RFC3339_SIZE 32 /* bytes of the longest, NUL included */

/* digits: of the fraction of the second, 1 to 9; more precise time is cut. Returns the length; out ends with a NUL.
 * No lock and no locale, unlike gmtime_r() and strftime(): also safe in the child of a fork(). */
size_t rfc3339_put(char out[RFC3339_SIZE], uint64_t unix_ns, unsigned digits);

#endif
