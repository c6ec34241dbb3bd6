/* SPDX-License-Identifier: Apache-2.0 */
/* Where the value of a secret ends. When in doubt it is longer: a word too many that is masked does no harm. What was looked
 * at to find the end is in the value, so that nobody looks at it again. */
#include "trace/pipeline/mask_scan.h"

#include "base/str.h"

#define BACKSLASHES_MAX 7u   /* before a quote: JSON in JSON in JSON */
#define INNER_BRACKET_MAX 256u /* bytes of a bracket inside a word */
#define NEXT_NAME_MAX 64u    /* bytes of the name behind a separator */
#define DIGIT_GROUPS_MAX 6u

/* ---- quotes ---- */

static const char *const encoded_quotes[] = {"%22", "%27", "&quot;", "&apos;", "&#34;", "&#39;", "\\u0022", "\\u0027"};

static bool is_quote(char c)
{
    return c == '"' || c == '\'' || c == '`';
}

static size_t plain_quote_at(loom_str text, size_t at)
{
    size_t slashes = 0;
    while (slashes < BACKSLASHES_MAX && char_at(text, at + slashes) == '\\') {
        slashes++;
    }
    const char quote = char_at(text, at + slashes);
    if (!is_quote(quote)) {
        return 0;
    }
    if (slashes == 0 && char_at(text, at + 1) == quote) {
        const char third = char_at(text, at + 2);
        return third == quote ? 3 : is_word(third) ? 2 : 1; /* """x""", and ""x"" of CSV; "" is empty */
    }
    return slashes + 1;
}

size_t mask_quote_at(loom_str text, size_t at)
{
    const char c = char_at(text, at);
    if (is_quote(c) || c == '\\') {
        const size_t plain = plain_quote_at(text, at);
        if (plain > 0) {
            return plain;
        }
    }
    if (c == '%' || c == '&' || c == '\\') {
        for (size_t i = 0; i < sizeof encoded_quotes / sizeof *encoded_quotes; i++) {
            if (starts_with(text, at, encoded_quotes[i])) {
                return strlen(encoded_quotes[i]);
            }
        }
    }
    return 0;
}

size_t mask_quote_before(loom_str text, size_t end, size_t floor)
{
    for (size_t i = 0; i < sizeof encoded_quotes / sizeof *encoded_quotes; i++) {
        const size_t n = strlen(encoded_quotes[i]);
        if (end >= floor + n && starts_with(text, end - n, encoded_quotes[i])) {
            return n;
        }
    }
    size_t at = end;
    while (at > floor && end - at < 3 && is_quote(text.data[at - 1])) {
        at--;
    }
    if (at == end) {
        return 0;
    }
    for (size_t slashes = 0; at > floor && slashes < BACKSLASHES_MAX && text.data[at - 1] == '\\'; slashes++) {
        at--;
    }
    return end - at;
}

/* The closing quote of one that is written as a single character: a backslash takes the next one with it, and a quote that is
 * doubled is part of the text. */
static size_t single_quote_end(loom_str text, size_t from, char quote)
{
    size_t to = from;
    while (to < text.len) {
        if (text.data[to] == quote) {
            if (to == from || char_at(text, to + 1) != quote) {
                return to;
            }
            to++;
        } else if (text.data[to] == '\\') {
            to++;
        }
        to++;
    }
    return text.len;
}

/* What stands between `from` and the quote that ends it. Without one it is all of the text, which was cut. */
static size_t quoted_end(loom_str text, size_t from, size_t quote_len)
{
    const char *quote = text.data + from - quote_len;
    if (quote_len == 1) {
        return single_quote_end(text, from, *quote);
    }
    size_t to = from;
    for (;;) {
        const char *found = to < text.len ? memmem(text.data + to, text.len - to, quote, quote_len) : NULL;
        if (found == NULL) {
            return text.len;
        }
        const size_t at = (size_t)(found - text.data);
        if (quote[0] != '\\' || at == from || text.data[at - 1] != '\\') {
            return at;
        }
        to = at + quote_len; /* a quote inside, which has more backslashes */
    }
}

/* ---- brackets ---- */

static bool opens(char c)
{
    return c == '{' || c == '[' || c == '(';
}

static bool closes(char c)
{
    return c == '}' || c == ']' || c == ')';
}

/* Behind the partner of the bracket at `from`. Brackets inside quotes are none. Not found before `limit`: the limit. */
static size_t bracket_end(loom_str text, size_t from, size_t limit)
{
    size_t depth = 0, at = from;
    while (at < limit) {
        const char c = text.data[at];
        if (c == '\\') {
            at++;
        } else if (c == '"' || (c == '\'' && !is_word(text.data[at - 1]))) {
            at = single_quote_end((loom_str){text.data, limit}, at + 1, c);
        } else if (opens(c)) {
            depth++;
        } else if (closes(c) && --depth == 0) {
            return at + 1;
        }
        at++;
    }
    return limit;
}

/* ---- words ---- */

static bool of_name(char c)
{
    return is_word(c) || c == '-' || c == '.' || c == '[' || c == ']';
}

/* Whether the separator there ends a value: the end of the text or a space is behind it, or the next name. "a,b" goes on. */
static bool ends_at_separator(loom_str text, size_t at)
{
    const char next = char_at(text, at + 1);
    if ((unsigned char)next <= ' ' || next == text.data[at] || mask_quote_at(text, at + 1) > 0 || opens(next)) {
        return true;
    }
    const size_t most = text.len - at - 1 < NEXT_NAME_MAX ? text.len - at - 1 : NEXT_NAME_MAX;
    const size_t name = run_of((loom_str){text.data + at + 1, most}, 0, of_name);
    const char after = char_at(text, at + 1 + name);
    const bool ends = after == '=' || after == ':';
    return name > 0 && (ends || (text.data[at] == '&' && (after == ';' || at + 1 + name == text.len)));
}

static bool ends_plain(loom_str text, size_t at)
{
    const char c = text.data[at], next = char_at(text, at + 1);
    switch (c) {
    case '&':
    case ',':
    case ';':
    case '|':
        return ends_at_separator(text, at);
    case '"':
    case '\'':
    case '`':
    case ')':
    case ']':
    case '}':
    case '>':
        return !is_word(next);
    case '<':
        return next == '/' || is_letter(next);
    case '\\':
        return next == 'n' || next == 'r' || next == 't' || is_quote(next);
    default:
        return (unsigned char)c <= ' ' || c == 0x7f;
    }
}

static size_t plain_end(loom_str text, size_t from)
{
    bool brackets = true; /* until one has no partner */
    size_t at = from;
    while (at < text.len && !ends_plain(text, at)) {
        if (brackets && opens(text.data[at])) {
            const size_t limit = text.len - at < INNER_BRACKET_MAX ? text.len : at + INNER_BRACKET_MAX;
            const size_t end = bracket_end(text, at, limit);
            brackets = closes(text.data[end - 1]);
            at = brackets ? end : at + 1;
        } else {
            at++;
        }
    }
    return at;
}

/* "1234 5678 9" is one value. */
static size_t digits_end(loom_str text, size_t from, size_t to)
{
    for (unsigned i = 0; i < DIGIT_GROUPS_MAX && to > from && is_digit(text.data[to - 1]) && char_at(text, to) == ' '; i++) {
        const size_t run = run_of(text, to + 1, is_digit);
        if (run == 0 || is_word(char_at(text, to + 1 + run))) {
            break;
        }
        to += 1 + run;
    }
    return to;
}

/* "Basic x": the scheme of a header (RFC 9110, 11.1) and what belongs to it. */
static size_t scheme_end(loom_str text, size_t from, size_t to)
{
    static const char *const schemes[] = {"basic", "bearer", "digest", "token", "apikey", "negotiate", "ntlm"};
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        if (str_is_any_case((loom_str){text.data + from, to - from}, schemes[i]) && char_at(text, to) == ' ') {
            return plain_end(text, to + 1);
        }
    }
    return to;
}

/* Words that stand where a secret would and are none, and the places that statements keep for one. */
static bool is_no_secret(loom_str word)
{
    static const char *const words[] = {"true", "false", "null", "none", "nil", "undefined", "yes", "no", "?", "%s", "$1", "$2", "$3"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (str_is_any_case(word, words[i])) {
            return true;
        }
    }
    return false;
}

static size_t line_end(loom_str text, size_t from)
{
    size_t to = from;
    while (to < text.len && text.data[to] != '\r' && text.data[to] != '\n' && !is_quote(text.data[to]) &&
           !(text.data[to] == '\\' && ends_plain(text, to))) {
        to++;
    }
    while (to > from && str_is_space(text.data[to - 1])) {
        to--;
    }
    return to;
}

/* b'…', rb"…" */
static size_t literal_prefix(loom_str text, size_t from)
{
    size_t n = 0;
    while (n < 2 && from + n < text.len && strchr("rRbBfFuU", text.data[from + n]) != NULL && text.data[from + n] != '\0') {
        n++;
    }
    return n > 0 && is_quote(char_at(text, from + n)) ? n : 0;
}

mask_hit mask_value(loom_str text, size_t from, mask_value_kind kind)
{
    const size_t prefix = literal_prefix(text, from), quote = mask_quote_at(text, from + prefix);
    size_t to;
    if (quote > 0) {
        from += prefix + quote;
        to = quoted_end(text, from, quote);
    } else if (char_at(text, from) == '{' || char_at(text, from) == '[') {
        to = bracket_end(text, from, text.len);
        to += kind == VALUE_PLAIN ? plain_end(text, to) - to : 0; /* "[x]y" */
    } else if (kind == VALUE_LINE) {
        to = line_end(text, from);
    } else {
        to = plain_end(text, from);
        to = digits_end(text, from, scheme_end(text, from, to));
        if (is_no_secret((loom_str){text.data + from, to - from})) {
            return (mask_hit){0};
        }
    }
    return to > from ? (mask_hit){from, to, MASKED} : (mask_hit){0};
}
