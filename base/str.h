/* SPDX-License-Identifier: Apache-2.0 */
/* Slices of text and bytes: made, compared, trimmed of the white space of header fields (RFC 9110, 5.6.3), split at separators. */
#ifndef LOOM_BASE_STR_H
#define LOOM_BASE_STR_H

#include <loom/api.h>
#include <string.h>
#include <strings.h>

/* A NUL-terminated string as a slice of it; NULL is the empty one. */
static inline loom_str str_of(const char *text)
{
    return (loom_str){.data = text, .len = text != NULL ? strlen(text) : 0};
}

/* The bytes of a NUL-terminated string, without the NUL; NULL has none. */
static inline loom_bytes bytes_of(const char *text)
{
    return (loom_bytes){.data = (const uint8_t *)text, .len = text != NULL ? strlen(text) : 0};
}

/* ---- short names on hot paths, where a call of memcmp() costs more than the comparison ---- */

static inline bool str_same_4(const char *a, const char *b)
{
    uint32_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x == y;
}

static inline bool str_same_8(const char *a, const char *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x == y;
}

/* memcmp() == 0, word by word; the last word may overlap the one before. */
static inline bool str_same(const char *a, const char *b, size_t len)
{
    if (len < 4) {
        return len == 0 || (a[0] == b[0] && a[len / 2] == b[len / 2] && a[len - 1] == b[len - 1]);
    }
    if (len < 8) {
        return str_same_4(a, b) && str_same_4(a + len - 4, b + len - 4);
    }
    size_t at = 0;
    while (at + 8 < len && str_same_8(a + at, b + at)) {
        at += 8;
    }
    return at + 8 >= len && str_same_8(a + len - 8, b + len - 8);
}

static inline bool bytes_equal(loom_bytes a, loom_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline bool str_equal(loom_str a, loom_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* other is NUL-terminated, most often a literal. */
static inline bool str_is(loom_str text, const char *other)
{
    return str_equal(text, str_of(other));
}

static inline char str_lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

/* Upper and lower case of ASCII are the same. Not strncasecmp(): that ends at a NUL, and where it is Turkish I is no i. */
static inline bool str_equal_any_case(loom_str a, loom_str b)
{
    for (size_t i = 0; a.len == b.len && i < a.len; i++) {
        if (str_lower(a.data[i]) != str_lower(b.data[i])) {
            return false;
        }
    }
    return a.len == b.len;
}

static inline bool str_is_any_case(loom_str text, const char *other)
{
    return str_equal_any_case(text, str_of(other));
}

static inline bool str_is_space(char c)
{
    return c == ' ' || c == '\t';
}

static inline bool str_is_space_or_line_end(char c)
{
    return str_is_space(c) || c == '\r' || c == '\n';
}

static inline loom_str str_trim_by(loom_str text, bool (*goes)(char c))
{
    while (text.len > 0 && goes(text.data[0])) {
        text.data++;
        text.len--;
    }
    while (text.len > 0 && goes(text.data[text.len - 1])) {
        text.len--;
    }
    return text;
}

/* text without the white space around it. */
static inline loom_str str_trim(loom_str text)
{
    return str_trim_by(text, str_is_space);
}

/* The same, and without line ends: one may be left over of what was typed, or read from a file. */
static inline loom_str str_trim_lines(loom_str text)
{
    return str_trim_by(text, str_is_space_or_line_end);
}

static inline bool str_starts_with(loom_str text, const char *start)
{
    const size_t len = strlen(start);
    return text.len >= len && str_same(text.data, start, len);
}

/* text without its first n bytes, of which it has at least as many. */
static inline loom_str str_tail(loom_str text, size_t n)
{
    return (loom_str){.data = text.data + n, .len = text.len - n};
}

/* Takes the next item of a list off *rest, up to the separator or the end, white space not trimmed.
 * A list of n separators has n + 1 items; false when there is none left: rest->data is NULL then. */
static inline bool str_next_item(loom_str *rest, char separator, loom_str *item)
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
