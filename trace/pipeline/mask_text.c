/* SPDX-License-Identifier: Apache-2.0 */
/* The one pass over a text: word by word, and at the few characters that announce something. What a scanner took is never
 * looked at again, and no scanner looks back before it. */
#include "trace/pipeline/mask_scan.h"

#include "base/hex.h"
#include "base/str.h"

typedef struct scan {
    mask_place place;
    mask_found *found;
    void *user;
} scan;

static bool wanted(const scan *s, unsigned kind)
{
    return (s->place.rules->kinds & kind) != 0;
}

static bool keys_wanted(const scan *s)
{
    return wanted(s, LOOM_MASK_KEYS) || s->place.rules->keys.count > 0;
}

bool mask_ends_before(loom_str text, size_t end, size_t floor, const char *what)
{
    const size_t n = strlen(what);
    return end >= floor + n && str_is_any_case((loom_str){text.data + end - n, n}, what);
}

/* Goes on behind the hit, if it is one. */
static bool take(scan *s, mask_hit hit)
{
    if (hit.to <= s->place.at) {
        return false;
    }
    const loom_str what = {s->place.text.data + hit.from, hit.to - hit.from};
    if (!pattern_list_matches(&s->place.rules->allow_values, what)) {
        s->found(s->user, hit.from, hit.to, hit.replacement);
    }
    s->place.at = s->place.floor = hit.to;
    return true;
}

static bool take_number(scan *s)
{
    size_t skip;
    if (!wanted(s, LOOM_MASK_CARD | LOOM_MASK_PHONE | LOOM_MASK_NATIONAL_ID)) {
        s->place.at++;
        return true;
    }
    if (!take(s, mask_number(&s->place, &skip))) {
        s->place.at = skip;
    }
    return true;
}

static bool is_beyond_ascii(char c)
{
    return (unsigned char)c >= 0x80;
}

/* The word that begins there: letters and digits, up to a number that only a '_' joins to it; or characters beyond ASCII, among
 * which there are quotes, dashes, and letters that need no space before a number. */
static size_t word_len(loom_str text, size_t at)
{
    if (is_beyond_ascii(text.data[at])) {
        return run_of(text, at, is_beyond_ascii);
    }
    size_t to = at + 1;
    while (to < text.len && is_plain_word(text.data[to]) && !(text.data[to - 1] == '_' && is_digit(text.data[to]))) {
        to++;
    }
    return to - at;
}

/* At the first character of a word. */
static void scan_word(scan *s)
{
    mask_place *p = &s->place;
    const char c = p->text.data[p->at];
    if (is_digit(c)) {
        (void)take_number(s);
        return;
    }
    if ((wanted(s, LOOM_MASK_TOKEN) && take(s, mask_token(p))) ||
        (wanted(s, LOOM_MASK_NATIONAL_ID) && is_letter(c) && take(s, mask_nino(p)))) {
        return;
    }
    const size_t len = word_len(p->text, p->at);
    if (keys_wanted(s)) {
        const mask_program program = mask_program_named((loom_str){p->text.data + p->at, len});
        p->program = program != PROGRAM_NONE ? program : p->program;
    }
    p->at += len;
}

static bool scan_colon(scan *s)
{
    const size_t slashes = mask_slashes_at(s->place.text, s->place.at);
    size_t user_end;
    if (slashes == 0) {
        return keys_wanted(s) && take(s, mask_pair(&s->place));
    }
    if (!wanted(s, LOOM_MASK_URL)) {
        return false;
    }
    if (!take(s, mask_url(&s->place, slashes, &user_end))) {
        s->place.at += slashes;
        s->place.floor = user_end;
    }
    return true;
}

/* A percent-encoded character (RFC 3986, 2.1): what it announces, and behind it a word may begin. */
static bool scan_percent(scan *s)
{
    mask_place *p = &s->place;
    const char high = char_at(p->text, p->at + 1), low = str_lower(char_at(p->text, p->at + 2));
    bool taken = false;
    if (high == '4' && low == '0') {
        taken = wanted(s, LOOM_MASK_MAIL) && take(s, mask_mail(p));
    } else if (high == '3' && low == 'a') {
        taken = scan_colon(s);
    } else if (high == '3' && low == 'd') {
        taken = keys_wanted(s) && take(s, mask_pair(p));
    } else if (high == '2' && low == 'b' && wanted(s, LOOM_MASK_PHONE)) {
        size_t skip;
        taken = take(s, mask_number(p, &skip));
    }
    uint8_t byte;
    if (!taken && hex_decode_any_case(&byte, (char[]){high, low}, 1)) {
        p->at += 3;
        p->fresh = p->at;
        taken = true;
    }
    return taken;
}

/* \n and its like in a text that is itself quoted: a word may begin behind it. */
static bool scan_escape(scan *s)
{
    const char next = char_at(s->place.text, s->place.at + 1);
    if (next != 'n' && next != 'r' && next != 't') {
        return false;
    }
    s->place.at += 2;
    s->place.fresh = s->place.floor = s->place.at;
    return true;
}

/* At a character that belongs to no word. */
static bool scan_mark(scan *s)
{
    mask_place *p = &s->place;
    switch (p->text.data[p->at]) {
    case '@':
        return wanted(s, LOOM_MASK_MAIL) && take(s, mask_mail(p));
    case '%':
        return scan_percent(s);
    case '\\':
        return scan_escape(s);
    case '+':
    case '(':
        return take_number(s);
    case '=':
        return keys_wanted(s) && take(s, mask_pair(p));
    case ':':
        return scan_colon(s);
    case '-':
        return (wanted(s, LOOM_MASK_TOKEN) && take(s, mask_token(p))) || (keys_wanted(s) && take(s, mask_option(p)));
    case '<':
        return keys_wanted(s) && take(s, mask_element(p));
    case ',':
    case '\'':
        return keys_wanted(s) && take(s, mask_argument(p));
    case '\n':
    case ';':
    case '|':
        p->program = PROGRAM_NONE;
        return false;
    default:
        return false;
    }
}

void mask_scan(const mask_rules *rules, loom_str key, loom_str text, mask_found *found, void *user)
{
    scan s = {.place = {.rules = rules, .text = text, .key = key.len > 0 ? key : str_of(""), .fresh = SIZE_MAX}, .found = found, .user = user};
    while (s.place.at < text.len) {
        if (is_word(text.data[s.place.at])) {
            scan_word(&s);
        } else if (!scan_mark(&s)) {
            s.place.at++;
        }
    }
}
