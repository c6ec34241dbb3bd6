/* SPDX-License-Identifier: Apache-2.0 */
/* Mail addresses (RFC 5321), and passwords in URLs (RFC 3986, 3.2.1). */
#include "trace/pipeline/mask_scan.h"

#define LOCAL_MAX 64u     /* characters before the '@' (RFC 5321, 4.5.3.1.1) */
#define DOMAIN_MAX 255u   /* and behind it (4.5.3.1.2) */
#define AUTHORITY_MAX 512u /* bytes looked at for the '@' of a URL whose password has a '/' in it */

/* Not all that RFC 5322 allows, but what addresses are made of; '=' or '/' end them in logs and URLs. */
static bool of_local(char c)
{
    return is_word(c) || c == '.' || c == '%' || c == '+' || c == '-';
}

static bool of_domain(char c)
{
    return is_word(c) || c == '.' || c == '-';
}

/* Behind the '@': labels with a dot between them, and letters alone at the end. Returns where it ends; from: there is none. */
static size_t domain_end(loom_str text, size_t from)
{
    size_t to = from;
    while (to < text.len && to - from < DOMAIN_MAX && of_domain(text.data[to])) {
        to++;
    }
    while (to > from && (text.data[to - 1] == '.' || text.data[to - 1] == '-')) { /* of the sentence */
        to--;
    }
    size_t top = to;
    while (top > from && (is_letter(text.data[top - 1]) || (unsigned char)text.data[top - 1] >= 0x80)) {
        top--;
    }
    const bool dotted = top > from + 1 && text.data[top - 1] == '.';
    return dotted && to - top >= 2 && text.data[from] != '.' && text.data[from] != '-' ? to : from;
}

static bool continues_character(char c)
{
    return ((unsigned char)c & 0xc0u) == 0x80;
}

mask_hit mask_mail(loom_str text, size_t at, size_t floor)
{
    const size_t behind = at + (text.data[at] == '@' ? 1 : 3);
    size_t from = at;
    while (from > floor && at - from < LOCAL_MAX && of_local(text.data[from - 1])) {
        from--;
    }
    while (from < at && (text.data[from] == '.' || text.data[from] == '%' || continues_character(text.data[from]))) {
        from++;
    }
    const size_t to = domain_end(text, behind);
    return from < at && to > behind ? (mask_hit){from, to, "[mail]"} : (mask_hit){0};
}

static bool ends_authority(char c)
{
    return c == '/' || c == '?' || c == '#' || c == ' ' || c == '"' || c == '\'' || c == '<' || c == '>' || c == '\\' ||
           (unsigned char)c < ' ';
}

/* The last of this character in a part of the text; to: there is none. */
static size_t last_of(loom_str text, size_t from, size_t to, char c)
{
    for (size_t i = to; i > from; i--) {
        if (text.data[i - 1] == c) {
            return i - 1;
        }
    }
    return to;
}

/* "user:pa/ss@host", where the password was not encoded: up to an '@' in this word, unless what stands behind the colon is
 * a port. */
static size_t loose_authority(loom_str text, size_t from, size_t end)
{
    size_t colon = from;
    while (colon < end && text.data[colon] != ':') {
        colon++;
    }
    size_t port = colon + 1;
    while (port < end && is_digit(text.data[port])) {
        port++;
    }
    if (colon == end || port >= end) {
        return end;
    }
    size_t to = end;
    while (to < text.len && to - from < AUTHORITY_MAX && (unsigned char)text.data[to] > ' ' && text.data[to] != '"') {
        if (text.data[to++] == '@') {
            return to;
        }
    }
    return end;
}

mask_hit mask_url(loom_str text, size_t at, size_t *user_end)
{
    const size_t from = at + 3;
    size_t end = from;
    while (end < text.len && !ends_authority(text.data[end])) {
        end++;
    }
    size_t host = last_of(text, from, end, '@');
    if (host == end) {
        end = loose_authority(text, from, end);
        host = last_of(text, from, end, '@');
    }
    *user_end = host == end ? from : host + 1;
    if (host == end) {
        return (mask_hit){0};
    }
    size_t colon = from;
    while (colon < host && text.data[colon] != ':') {
        colon++;
    }
    return colon + 1 < host ? (mask_hit){colon + 1, host, MASKED} : (mask_hit){0};
}
