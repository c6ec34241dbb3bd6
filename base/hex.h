/* SPDX-License-Identifier: Apache-2.0 */
/* Lower-case hex, the text form of ids. */
#ifndef LOOM_BASE_HEX_H
#define LOOM_BASE_HEX_H

#include <loom/api.h>

/* Writes 2 * len lower-case digits, no NUL. */
void hex_encode(char *out, const uint8_t *bytes, size_t len);
/* Reads 2 * len digits; false when one is not in 0-9 a-f. What out then holds is unspecified. */
bool hex_decode(uint8_t *out, const char *digits, size_t len);
/* The same, A-F allowed too. */
bool hex_decode_any_case(uint8_t *out, const char *digits, size_t len);

#endif
