/* SPDX-License-Identifier: Apache-2.0 */
/* Slices of text: white space of header fields (RFC 9110, 5.6.3), lists with separators. */
#ifndef LOOM_BASE_STR_H
#define LOOM_BASE_STR_H

#include <loom/api.h>
#include <string.h>

static inline bool text_equal(loom_str a, loom_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline bool text_is_space(char c)
{
    return c == ' ' || c == '\t';
}

/* text without the white space around it. */
static inline loom_str text_trim(loom_str text)
{
    while (text.len > 0 && text_is_space(text.data[0])) {
        text.data++;
        text.len--;
    }
    while (text.len > 0 && text_is_space(text.data[text.len - 1])) {
        text.len--;
    }
    return text;
}

/* Takes the next item of a list off *rest, up to the separator or the end, white space not trimmed.
 * A list of n separators has n + 1 items; false when there is none left: rest->data is NULL then. */
static inline bool text_next_item(loom_str *rest, char separator, loom_str *item)
{
    if (rest->data == NULL) {
        return false;
    }
    const char *end = memchr(rest->data, separator, rest->len);
    if (end == NULL) {
        *item = *rest;
        *rest = (loom_str){.data = NULL, .len = 0};
        return true;
    }
    *item = (loom_str){.data = rest->data, .len = (size_t)(end - rest->data)};
    rest->len -= item->len + 1;
    rest->data = end + 1;
    return true;
}

#endif
