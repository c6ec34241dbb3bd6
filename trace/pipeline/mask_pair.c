/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets in text that their own name announces: password=…, "api_key": "…", Authorization: … */
#include "trace/pipeline/mask_scan.h"

#include "base/str.h"

#define NAME_MAX 64u /* bytes of a name before '=' or ':' */

static bool of_name(char c)
{
    return is_word(c) || c == '-' || c == '.';
}

/* The name that ends right before `end`. */
static loom_str name_before(loom_str text, size_t end, size_t floor)
{
    size_t from = end;
    while (from > floor && end - from < NAME_MAX && of_name(text.data[from - 1])) {
        from--;
    }
    return (loom_str){text.data + from, end - from};
}

static bool ends_plain(char c)
{
    return (unsigned char)c <= ' ' || c == '&' || c == '"' || c == '\'' || c == ',' || c == ';' || c == ')' || c == ']' || c == '}' ||
           c == '>' || c == '#' || c == '\\';
}

/* What stands between `from` and the quote that ends it: a backslash takes the next character with it, unless the text is
 * itself escaped and \" is how its quotes are written. */
static size_t quoted_end(loom_str text, size_t from, char quote, bool escaped)
{
    size_t to = from;
    while (to < text.len && text.data[to] != quote) {
        if (text.data[to] == '\\') {
            if (escaped && char_at(text, to + 1) == quote) {
                return to;
            }
            to++;
        }
        to++;
    }
    return to < text.len ? to : text.len;
}

static mask_hit value_from(loom_str text, size_t from)
{
    const bool escaped = char_at(text, from) == '\\';
    const char quote = char_at(text, from + (escaped ? 1 : 0));
    size_t to;
    if (quote == '"' || quote == '\'') {
        from += escaped ? 2 : 1;
        to = quoted_end(text, from, quote, escaped);
    } else {
        to = from;
        while (to < text.len && !ends_plain(text.data[to])) {
            to++;
        }
    }
    return to > from ? (mask_hit){from, to, MASKED} : (mask_hit){0};
}

/* "name" : value, where the quotes may themselves be escaped. Only what follows a quoted name is JSON. */
static mask_hit json_pair(const mask_rules *rules, loom_str text, size_t at, size_t floor)
{
    size_t end = at;
    while (end > floor && at - end < 4 && text.data[end - 1] == ' ') {
        end--;
    }
    if (end == floor || text.data[end - 1] != '"') {
        return (mask_hit){0};
    }
    end -= end >= floor + 2 && text.data[end - 2] == '\\' ? 2 : 1;
    size_t from = at + 1;
    while (from < text.len && from - at < 4 && text.data[from] == ' ') {
        from++;
    }
    const char first = char_at(text, from);
    if (first == '{' || first == '[' || !mask_key(rules, name_before(text, end, floor))) {
        return (mask_hit){0}; /* what is inside is looked at by itself */
    }
    return value_from(text, from);
}

/* A header field as it is written in a request: to the end of its line. */
static mask_hit header_field(loom_str text, size_t at, size_t floor)
{
    static const char *const names[] = {"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "x-auth-token"};
    const loom_str name = name_before(text, at, floor);
    size_t from = at + 1;
    bool known = false;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        known = known || str_is_any_case(name, names[i]);
    }
    while (known && from < text.len && str_is_space(text.data[from])) {
        from++;
    }
    size_t to = from;
    while (known && to < text.len && text.data[to] != '\r' && text.data[to] != '\n' && text.data[to] != '"' && text.data[to] != '\'') {
        to++;
    }
    return to > from ? (mask_hit){from, to, MASKED} : (mask_hit){0};
}

mask_hit mask_pair(const mask_rules *rules, loom_str text, size_t at, size_t floor)
{
    if (text.data[at] == '=') {
        const loom_str name = name_before(text, at, floor);
        return name.len > 0 && mask_key(rules, name) ? value_from(text, at + 1) : (mask_hit){0};
    }
    const mask_hit json = json_pair(rules, text, at, floor);
    return json.to > 0 ? json : header_field(text, at, floor);
}
