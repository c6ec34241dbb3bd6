/* SPDX-License-Identifier: Apache-2.0 */
/* Message ids: UUIDs of version 7 (RFC 9562, 5.7), sortable by the time they were made. */
#ifndef LOOM_ENVELOPE_ID_H
#define LOOM_ENVELOPE_ID_H

#include <string.h>

#include <loom/envelope.h>

/* Eight bytes of an id, to see whether it is all zero: every hop of every message asks. */
static inline uint64_t id_word(const uint8_t *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

/* A fresh id: 48 bits of Unix milliseconds, 12 bits of their fraction, 62 random bits (within one tick of 244 ns: the last
 * ones and a random step). Within a thread each id is greater (memcmp) than the one before, even when the clock is set
 * back. Any thread. */
void loom_uuid7_generate(uint8_t out[LOOM_UUID_SIZE]);
/* The same for a caller that has just read the clock: unix_ns is now. */
void loom_uuid7_generate_at(uint8_t out[LOOM_UUID_SIZE], uint64_t unix_ns);
/* Lower case, with NUL. */
void loom_uuid_to_text(char out[LOOM_UUID_TEXT_SIZE], const uint8_t id[LOOM_UUID_SIZE]);
/* The 36 characters of a UUID of any version, digits of either case (RFC 9562, 4).
 * LOOM_EMALFORMED otherwise, and out is zeroed. */
LOOM_MUST_CHECK loom_status loom_uuid_from_text(uint8_t out[LOOM_UUID_SIZE], loom_str text);
/* A trace id as people and other programs write it: 32 hex digits of either case, or a UUID. LOOM_EMALFORMED otherwise or when it
 * is all zero, and out is zeroed. */
LOOM_MUST_CHECK loom_status trace_id_from_text(uint8_t out[LOOM_TRACE_ID_SIZE], loom_str text);
/* Unix milliseconds inside an id of version 7. */
uint64_t loom_uuid7_unix_ms(const uint8_t id[LOOM_UUID_SIZE]);

#endif
