/* SPDX-License-Identifier: Apache-2.0 */
#include "base/glob.h"

#include "base/str.h"
#include "base/utf8.h"

static bool same(char a, char b, bool any_case)
{
    return a == b || (any_case && str_lower(a) == str_lower(b));
}

/* The bytes that one pattern character other than '*' takes of text, which is not empty; 0: it does not match. */
static size_t step(char pattern, loom_str text, bool any_case)
{
    if (pattern == '?') {
        uint32_t code_point;
        return utf8_next(text, &code_point);
    }
    return same(pattern, text.data[0], any_case) ? 1 : 0;
}

/* Only the last '*' is ever tried with more of the text: what an earlier one took already matched as early as it could. */
bool glob_match(loom_str pattern, loom_str text, bool any_case)
{
    size_t p = 0, t = 0;
    size_t star = SIZE_MAX, star_text = 0; /* behind the last '*', and the text it ends before */
    while (t < text.len) {
        if (p < pattern.len && pattern.data[p] == '*') {
            star = ++p;
            star_text = t;
            continue;
        }
        size_t taken = p < pattern.len ? step(pattern.data[p], str_tail(text, t), any_case) : 0;
        if (taken > 0) {
            p++;
            t += taken;
        } else if (star != SIZE_MAX) {
            p = star;
            t = ++star_text;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.data[p] == '*') {
        p++;
    }
    return p == pattern.len;
}
