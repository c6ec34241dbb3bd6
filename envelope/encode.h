/* SPDX-License-Identifier: Apache-2.0 */
/* Encodes an envelope into the caller's buffer: the hot path of emit. */
#ifndef LOOM_ENVELOPE_ENCODE_H
#define LOOM_ENVELOPE_ENCODE_H

#include <loom/envelope.h>

/* Checks every field against its limit. LOOM_EINVAL: no topic, or a header without a key.  LOOM_ETOOBIG.
 * On LOOM_OK *size_max is enough for envelope_encode(). */
LOOM_MUST_CHECK loom_status envelope_encode_check(const loom_envelope_fields *fields, size_t *size_max);
/* Writes checked fields to out and returns the bytes written. id receives the id used. */
size_t envelope_encode(uint8_t *out, const loom_envelope_fields *fields, uint8_t id[LOOM_UUID_SIZE]);

#endif
