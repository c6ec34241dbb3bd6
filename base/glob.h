/* SPDX-License-Identifier: Apache-2.0 */
/* Names matched against patterns with '*', any number of characters, and '?', one. There are no other special characters. */
#ifndef LOOM_BASE_GLOB_H
#define LOOM_BASE_GLOB_H

#include <loom/api.h>

/* Whether pattern matches all of text. any_case: upper and lower case of ASCII are the same. Takes at most a step for each
 * pair of their bytes and no memory; a '?' takes one whole UTF-8 character. Independent of the locale. */
bool glob_match(loom_str pattern, loom_str text, bool any_case);

#endif
