/* SPDX-License-Identifier: Apache-2.0 */
/* Mail addresses (RFC 5321), and passwords in URLs (RFC 3986, 3.2.1). */
#include "trace/pipeline/mask_scan.h"

#include "base/str.h"

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

/* Ends of files and of systemd's units, which no domain has: icon@2x.png, user@1000.service. */
static bool is_no_domain(loom_str domain, loom_str top)
{
    static const char *const ends[] = {"png", "jpg", "jpeg", "gif", "svg", "webp", "service", "socket", "timer", "mount", "slice", "scope", "device"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        if (str_is_any_case(top, ends[i])) {
            return true;
        }
    }
    size_t dots = 0, numeric = domain.data[0] == 'v' ? 1 : 0; /* 1.0.beta, v2.1.x86 */
    while (numeric < domain.len && (is_digit(domain.data[numeric]) || domain.data[numeric] == '.')) {
        dots += domain.data[numeric++] == '.';
    }
    return dots >= 2 && numeric + top.len >= domain.len;
}

/* Where the last label begins: of letters, or xn-- and what IDNA made of them (RFC 5890, 2.3.2.1). */
static size_t top_label(loom_str text, size_t from, size_t to)
{
    const size_t label = last_of(text, from, to, '.');
    const size_t top = label == to ? to : label + 1;
    size_t letters = to;
    while (letters > top && (is_letter(text.data[letters - 1]) || (unsigned char)text.data[letters - 1] >= 0x80)) {
        letters--;
    }
    return letters == top || starts_with(text, top, "xn--") ? top : to;
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
    const size_t top = top_label(text, from, to);
    const bool dotted = top > from + 1 && to - top >= 2 && text.data[from] != '.' && text.data[from] != '-';
    return dotted && !is_no_domain((loom_str){text.data + from, to - from}, (loom_str){text.data + top, to - top}) ? to : from;
}

static bool continues_character(char c)
{
    return ((unsigned char)c & 0xc0u) == 0x80;
}

mask_hit mask_mail(const mask_place *p)
{
    const loom_str text = p->text;
    const size_t at = p->at, behind = at + (text.data[at] == '@' ? 1 : 3);
    size_t from = at;
    while (from > p->floor && at - from < LOCAL_MAX && of_local(text.data[from - 1])) {
        from--;
    }
    while (from < at && (text.data[from] == '.' || text.data[from] == '%' || continues_character(text.data[from]))) {
        from++;
    }
    const size_t to = domain_end(text, behind);
    const bool scp = at - from == 3 && memcmp(text.data + from, "git", 3) == 0 && char_at(text, to) == ':';
    return from < at && to > behind && !scp ? (mask_hit){from, to, "[mail]"} : (mask_hit){0};
}

static bool ends_authority(char c)
{
    return c == '/' || c == '?' || c == '#' || c == ' ' || c == '"' || c == '\'' || c == '`' || c == '<' || c == '>' || c == '\\' ||
           (unsigned char)c < ' ';
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

/* user%3Apassword%40host, as a URL stands in the query of another. */
static mask_hit encoded_url(loom_str text, size_t from, size_t *user_end)
{
    size_t end = from, colon = 0, host = 0;
    while (end < text.len && end - from < AUTHORITY_MAX && !ends_authority(text.data[end]) && text.data[end] != '&' &&
           !starts_with(text, end, "%2F") && !starts_with(text, end, "%2f")) {
        if (colon == 0 && (starts_with(text, end, "%3A") || starts_with(text, end, "%3a"))) {
            colon = end + 3;
        }
        host = starts_with(text, end, "%40") ? end : host;
        end++;
    }
    *user_end = host > 0 ? host + 3 : from;
    return colon > 0 && colon < host ? (mask_hit){colon, host, MASKED} : (mask_hit){0};
}

size_t mask_slashes_at(loom_str text, size_t at)
{
    static const char *const forms[] = {"://", ":\\/\\/", "%3A%2F%2F", "%3a%2f%2f"};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (starts_with(text, at, forms[i])) {
            return strlen(forms[i]);
        }
    }
    return 0;
}

mask_hit mask_url(const mask_place *p, size_t slashes_len, size_t *user_end)
{
    const loom_str text = p->text;
    const size_t from = p->at + slashes_len;
    if (text.data[p->at] == '%') {
        return encoded_url(text, from, user_end);
    }
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
