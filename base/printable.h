/* SPDX-License-Identifier: Apache-2.0 */
/* Text from outside, before it is shown. */
#ifndef LOOM_BASE_PRINTABLE_H
#define LOOM_BASE_PRINTABLE_H

#include <loom/api.h>

/* Copies text so that a terminal obeys none of it: a control character (utf8_is_control()) becomes "·", bytes that are no
 * UTF-8 U+FFFD. What does not fit is cut at the end of a character. out ends with a NUL; size > 0. */
void printable_copy(char *out, size_t size, loom_str text);

#endif
