/* SPDX-License-Identifier: Apache-2.0 */
/* National ids: US social security numbers, the French NIR, British national insurance numbers. */
#include "trace/pipeline/mask_scan.h"

#include "base/str.h"

/* Area 000, 666 and 900 to 999, group 00 and serial 0000 are never issued (SSA, "SSN Randomization"). Other than with hyphens
 * a number of this length is one only when it is called so. */
unsigned mask_ssn_groups(const mask_digits *n)
{
    unsigned groups = digits_have_shape(n, "324", '-') ? 3 : 0;
    if (groups == 0 && n->context == CONTEXT_SSN) {
        const bool apart = digits_have_shape(n, "324", ' ') || digits_have_shape(n, "324", '.') || digits_have_shape(n, "324", '+') ||
                           digits_have_shape(n, "324", '/');
        groups = apart ? 3 : n->group[0].digits == 9 ? 1 : 0;
    }
    char d[GROUP_DIGITS_MAX];
    if (groups == 0 || digits_copy(n, groups, d) != 9) {
        return 0;
    }
    const bool area = d[0] != '9' && memcmp(d, "000", 3) != 0 && memcmp(d, "666", 3) != 0;
    return area && memcmp(d + 3, "00", 2) != 0 && memcmp(d + 5, "0000", 4) != 0 ? groups : 0;
}

/* The French NIR: sex, year, month, place, order, and 97 minus the remainder of all that by 97 as its key. */
unsigned mask_nir_groups(const mask_digits *n)
{
    static const char separators[] = " .-+";
    unsigned groups = n->group[0].digits == 15 ? 1 : 0;
    for (const char *s = separators; groups == 0 && *s != '\0'; s++) {
        groups = digits_have_shape(n, "1222332", *s) ? 7 : 0;
    }
    if (groups == 0 && n->groups >= 2 && n->group[0].digits == 13 && n->group[1].digits == 2 && n->separator[0] == ' ') {
        groups = 2;
    }
    char d[GROUP_DIGITS_MAX];
    if (groups == 0 || digits_copy(n, groups, d) != 15 || d[0] < '1' || d[0] > '2') {
        return 0;
    }
    const unsigned month = (unsigned)(d[3] - '0') * 10 + (unsigned)(d[4] - '0');
    uint64_t value = 0;
    for (unsigned i = 0; i < 13; i++) {
        value = value * 10 + (unsigned)(d[i] - '0');
    }
    const unsigned key = (unsigned)(d[13] - '0') * 10 + (unsigned)(d[14] - '0');
    return month >= 1 && month <= 42 && key == 97 - value % 97 ? groups : 0;
}

/* ---- British ---- */

/* The letters that HMRC never uses make it no number (HMRC, National Insurance Manual, NIM39110). */
static bool is_nino_prefix(char first, char second)
{
    static const char *const never[] = {"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"};
    if (first == 'Q' && second == 'Q') {
        return true; /* of examples, and of test data that somebody made of a real one */
    }
    if (first < 'A' || first > 'Z' || second < 'A' || second > 'Z' || strchr("DFIQUV", first) != NULL || strchr("DFIQUVO", second) != NULL) {
        return false;
    }
    for (size_t i = 0; i < sizeof never / sizeof *never; i++) {
        if (first == never[i][0] && second == never[i][1]) {
            return false;
        }
    }
    return true;
}

static char upper(char c)
{
    return (char)(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
}

/* Three pairs of digits from there on, each with a separator before it or none of them with one. Returns where they end; 0: they
 * are not there. *apart: how many separators there were. */
static size_t nino_digits(loom_str text, size_t at, unsigned *apart)
{
    *apart = 0;
    for (unsigned i = 0; i < 3; i++) {
        size_t len;
        const char separator = digits_separator(text, at, &len);
        if (separator == ' ' || separator == '-' || separator == '.') {
            at += len;
            ++*apart;
        }
        if (!is_digit(char_at(text, at)) || !is_digit(char_at(text, at + 1))) {
            return 0;
        }
        at += 2;
    }
    return at;
}

/* "AB 12 34 56 C", AB123456C, AB-12-34-56-C. In small letters, or where the words before say that it is an article, something
 * else is far more likely. */
mask_hit mask_nino(const mask_place *p)
{
    const loom_str text = p->text;
    const mask_hit nothing = {0};
    const char before = p->at > 0 && p->at != p->fresh ? text.data[p->at - 1] : ' ';
    unsigned apart;
    if (text.len - p->at < 9 || is_plain_word(before) || before == '-' || before == '.' ||
        !is_nino_prefix(upper(text.data[p->at]), upper(text.data[p->at + 1]))) {
        return nothing;
    }
    size_t to = nino_digits(text, p->at + 2, &apart), len;
    if (to == 0) {
        return nothing;
    }
    const char separator = digits_separator(text, to, &len);
    to += separator == ' ' || separator == '-' || separator == '.' ? len : 0;
    const char suffix = char_at(text, to), after = char_at(text, to + 1);
    if (upper(suffix) < 'A' || upper(suffix) > 'D' || is_plain_word(after) || (after == '-' && is_plain_word(char_at(text, to + 2)))) {
        return nothing;
    }
    const mask_context context = mask_context_of(p, p->at);
    const bool capitals = text.data[p->at] <= 'Z' && text.data[p->at + 1] <= 'Z' && suffix <= 'Z';
    return context == CONTEXT_NINO || (capitals && context != CONTEXT_ARTICLE) ? (mask_hit){p->at, to + 1, "[id]"} : nothing;
}
