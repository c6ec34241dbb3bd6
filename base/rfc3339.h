/* SPDX-License-Identifier: Apache-2.0 */
/* Points in time as text: 2026-01-02T03:04:05.678901Z (RFC 3339, 5.6), written in UTC and read in any zone. */
#ifndef LOOM_BASE_RFC3339_H
#define LOOM_BASE_RFC3339_H

#include <loom/api.h>

#define RFC3339_SIZE 32 /* bytes of the longest, NUL included */

/* digits: of the fraction of the second, 1 to 9; more precise time is cut. Returns the length; out ends with a NUL.
 * No lock and no locale, unlike gmtime_r() and strftime(): also safe in the child of a fork(). */
size_t rfc3339_put(char out[RFC3339_SIZE], uint64_t unix_ns, unsigned digits);

/* Reads a date and a time with its zone, Z or an offset; of the fraction nine digits count. A leap second is the second behind
 * it. false: it is something else, no such day, or not between 1970 and 2554. */
bool rfc3339_parse(loom_str text, uint64_t *unix_ns);

#endif
