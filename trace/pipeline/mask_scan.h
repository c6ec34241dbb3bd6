/* SPDX-License-Identifier: Apache-2.0 */
/* What the scanners of mask_*.c share. Each is asked about one place and looks only so far from it. */
#ifndef LOOM_TRACE_PIPELINE_MASK_SCAN_H
#define LOOM_TRACE_PIPELINE_MASK_SCAN_H

#include "trace/pipeline/mask_text.h"

/* Characters, whatever the locale. */
static inline bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Of a word: letters, digits, '_', and everything beyond ASCII. */
static inline bool is_word(char c)
{
    return is_letter(c) || is_digit(c) || c == '_' || (unsigned char)c >= 0x80;
}

static inline char char_at(loom_str text, size_t at)
{
    return at < text.len ? text.data[at] : '\0';
}

/* How many characters from there on belong. */
static inline size_t run_of(loom_str text, size_t from, bool (*belongs)(char c))
{
    size_t at = from;
    while (at < text.len && belongs(text.data[at])) {
        at++;
    }
    return at - from;
}

/* What was found: from..to gives way to the replacement. from == to: nothing. */
typedef struct mask_hit {
    size_t from, to;
    const char *replacement;
} mask_hit;

/* mask_number.c: at a digit, a '+' or a '(' that begins a word. *skip is where to go on when there is no hit. */
mask_hit mask_number(unsigned kinds, loom_str text, size_t at, size_t *skip);

/* mask_secret.c: what begins at a word, or at '-' */
mask_hit mask_token(loom_str text, size_t at);
mask_hit mask_nino(loom_str text, size_t at); /* a British national insurance number */

/* mask_address.c. floor: nothing before it is looked at. */
mask_hit mask_mail(loom_str text, size_t at, size_t floor); /* at '@', or at '%' of "%40" */
/* At "://". *user_end: what is before it and behind the slashes is a user, and no part of a mail address. */
mask_hit mask_url(loom_str text, size_t at, size_t *user_end);

/* mask_pair.c: at '=' or ':', the value of a key that stands before it. */
mask_hit mask_pair(const mask_rules *rules, loom_str text, size_t at, size_t floor);

#endif
