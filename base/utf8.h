/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8, strictly: no overlong forms, no surrogates, nothing above U+10FFFF (RFC 3629). */
#ifndef LOOM_BASE_UTF8_H
#define LOOM_BASE_UTF8_H

#include <loom/api.h>

#define UTF8_INVALID UINT32_MAX

/* Decodes the code point text starts with; text must not be empty. Returns the bytes it takes, at least 1.
 * *code_point is UTF8_INVALID for an ill-formed sequence; what is returned then is its maximal subpart, the bytes
 * that one U+FFFD stands for (Unicode, 3.9, "U+FFFD Substitution of Maximal Subparts"). */
size_t utf8_next(loom_str text, uint32_t *code_point);
bool utf8_valid(loom_str text);
/* text with U+FFFD for what is ill-formed, and a NUL behind it; *len is without that. The caller's. NULL: out of memory. */
char *utf8_repair(loom_str text, size_t *len);
/* The beginning of text, of at most max bytes, that ends between two characters. */
loom_str utf8_cut(loom_str text, size_t max);
/* What a terminal or a reader's eye would act on, instead of showing it: C0, DEL and C1, the line and paragraph separators,
 * and the bidirectional controls, which turn the text behind them round. Printed text must not hold them raw. */
bool utf8_is_control(uint32_t code_point);

#endif
