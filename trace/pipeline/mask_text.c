/* SPDX-License-Identifier: Apache-2.0 */
/* The one pass over a text: word by word, and at the few characters that announce something. What a scanner took is never
 * looked at again, and no scanner looks back before it. */
#include "trace/pipeline/mask_scan.h"

typedef struct scan {
    const mask_rules *rules;
    loom_str text;
    size_t at;    /* next to look at */
    size_t floor; /* what is before it was found already, or is known to be something else */
    mask_found *found;
    void *user;
} scan;

static bool wanted(const scan *s, unsigned kind)
{
    return (s->rules->kinds & kind) != 0;
}

/* Goes on behind the hit, if it is one. */
static bool take(scan *s, mask_hit hit)
{
    if (hit.to <= s->at) {
        return false;
    }
    const loom_str what = {s->text.data + hit.from, hit.to - hit.from};
    if (!pattern_list_matches(&s->rules->allow_values, what)) {
        s->found(s->user, hit.from, hit.to, hit.replacement);
    }
    s->at = s->floor = hit.to;
    return true;
}

static bool take_number(scan *s)
{
    size_t skip;
    if (!wanted(s, LOOM_MASK_CARD | LOOM_MASK_PHONE | LOOM_MASK_NATIONAL_ID)) {
        s->at++;
        return true;
    }
    if (!take(s, mask_number(s->rules->kinds, s->text, s->at, &skip))) {
        s->at = skip;
    }
    return true;
}

/* At the first character of a word. */
static void scan_word(scan *s)
{
    const char c = s->text.data[s->at];
    if (is_digit(c)) {
        (void)take_number(s);
        return;
    }
    if ((wanted(s, LOOM_MASK_TOKEN) && take(s, mask_token(s->text, s->at))) ||
        (wanted(s, LOOM_MASK_NATIONAL_ID) && c >= 'A' && c <= 'Z' && take(s, mask_nino(s->text, s->at)))) {
        return;
    }
    s->at += run_of(s->text, s->at, is_word);
}

static bool scan_colon(scan *s)
{
    size_t user_end;
    if (char_at(s->text, s->at + 1) == '/' && char_at(s->text, s->at + 2) == '/') {
        if (!wanted(s, LOOM_MASK_URL)) {
            return false;
        }
        if (!take(s, mask_url(s->text, s->at, &user_end))) {
            s->at += 3;
            s->floor = user_end;
        }
        return true;
    }
    return wanted(s, LOOM_MASK_KEYS) && take(s, mask_pair(s->rules, s->text, s->at, s->floor));
}

/* At a character that belongs to no word. */
static bool scan_mark(scan *s)
{
    switch (s->text.data[s->at]) {
    case '@':
        return wanted(s, LOOM_MASK_MAIL) && take(s, mask_mail(s->text, s->at, s->floor));
    case '%':
        return wanted(s, LOOM_MASK_MAIL) && char_at(s->text, s->at + 1) == '4' && char_at(s->text, s->at + 2) == '0' &&
               take(s, mask_mail(s->text, s->at, s->floor));
    case '+':
    case '(':
        return take_number(s);
    case '=':
        return wanted(s, LOOM_MASK_KEYS) && take(s, mask_pair(s->rules, s->text, s->at, s->floor));
    case ':':
        return scan_colon(s);
    case '-':
        return wanted(s, LOOM_MASK_TOKEN) && take(s, mask_token(s->text, s->at));
    default:
        return false;
    }
}

void mask_scan(const mask_rules *rules, loom_str text, mask_found *found, void *user)
{
    scan s = {.rules = rules, .text = text, .found = found, .user = user};
    while (s.at < text.len) {
        if (is_word(text.data[s.at])) {
            scan_word(&s);
        } else if (!scan_mark(&s)) {
            s.at++;
        }
    }
}
