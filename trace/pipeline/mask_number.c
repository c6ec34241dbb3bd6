/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers that belong to a person: cards, phones, social security. A number is read as groups of digits with one separator
 * between two of them, and then compared with the few shapes such numbers are written in. Whole numbers alone count: what
 * has a letter, a '-' or a '.' on either side is a UUID, an article number or a version. */
#include "trace/pipeline/mask_scan.h"

#define GROUPS_MAX 7u
#define GROUP_DIGITS_MAX 19u
#define ONE_GROUP_MIN 14u /* digits of the shortest that is written in one piece: a card */

typedef struct number {
    loom_str text;
    size_t from;
    struct {
        size_t end;      /* in the text */
        unsigned digits;
    } group[GROUPS_MAX];
    char separator[GROUPS_MAX]; /* behind each group but the last */
    unsigned groups;
} number;

/* Of a number in one piece. */
static bool is_separator(char c)
{
    return c == ' ' || c == '-' || c == '.' || c == '/';
}

static void read_number(number *n, loom_str text, size_t at)
{
    *n = (number){.text = text, .from = at};
    while (n->groups < GROUPS_MAX) {
        const size_t run = run_of(text, at, is_digit);
        if (run > GROUP_DIGITS_MAX) {
            n->groups = 0;
            return;
        }
        at += run;
        n->group[n->groups].digits = (unsigned)run;
        n->group[n->groups++].end = at;
        if (!is_separator(char_at(text, at)) || !is_digit(char_at(text, at + 1)) || n->groups == GROUPS_MAX) {
            return;
        }
        n->separator[n->groups - 1] = text.data[at++];
    }
}

/* Whether something that belongs to the number stands before it, or behind. */
static bool is_joined(loom_str text, size_t from)
{
    const char before = from > 0 ? text.data[from - 1] : ' ';
    return before == '-' || before == '.' || before == '+' || is_word(before);
}

static bool goes_on(loom_str text, size_t to)
{
    const char after = char_at(text, to), next = char_at(text, to + 1);
    return is_word(after) || ((after == '-' || after == '.') && is_word(next));
}

static bool has_shape(const number *n, const char *shape, char separator)
{
    unsigned i = 0;
    for (; shape[i] != '\0'; i++) {
        if (i >= n->groups || n->group[i].digits != (unsigned)(shape[i] - '0') ||
            (shape[i + 1] != '\0' && n->separator[i] != separator)) {
            return false;
        }
    }
    return true;
}

static unsigned digits_of(const number *n, unsigned groups, char out[GROUP_DIGITS_MAX])
{
    unsigned count = 0;
    for (size_t at = n->from; at < n->group[groups - 1].end && count < GROUP_DIGITS_MAX; at++) {
        if (is_digit(n->text.data[at])) {
            out[count++] = n->text.data[at];
        }
    }
    return count;
}

/* ---- cards (ISO/IEC 7812-1) ---- */

static bool luhn(const char *digits, unsigned count)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < count; i++) {
        unsigned value = (unsigned)(digits[count - 1 - i] - '0') << (i & 1u);
        sum += value > 9 ? value - 9 : value;
    }
    return sum % 10 == 0;
}

/* Numbers that the issuers give out; epochs in micro- and nanoseconds begin with 1, and are none. */
static bool has_issuer(const char *digits, unsigned count)
{
    static const struct {
        unsigned low, high; /* of the first four digits */
        unsigned count;
    } issuers[] = {
        {4000, 4999, 16}, {4000, 4999, 19}, {5100, 5599, 16}, {2221, 2720, 16},                 /* Visa, Mastercard */
        {3400, 3499, 15}, {3700, 3799, 15},                                                     /* American Express */
        {6011, 6011, 16}, {6440, 6599, 16}, {3528, 3589, 16}, {6200, 6299, 16}, {6200, 6299, 19}, /* Discover, JCB, UnionPay */
        {3000, 3059, 14}, {3600, 3699, 14}, {3800, 3999, 14},                                   /* Diners Club */
        {5018, 5018, 16}, {5020, 5020, 16}, {5038, 5038, 16}, {6304, 6304, 16}, {6700, 6799, 16}, /* Maestro */
    };
    unsigned first = 0;
    for (unsigned i = 0; i < 4; i++) {
        first = first * 10 + (unsigned)(digits[i] - '0');
    }
    for (size_t i = 0; i < sizeof issuers / sizeof issuers[0]; i++) {
        if (count == issuers[i].count && first >= issuers[i].low && first <= issuers[i].high) {
            return true;
        }
    }
    return false;
}

/* 19 digits in one piece are an id far more often than a card, so these have to be in groups. Returns the groups taken. */
static unsigned card_groups(const number *n)
{
    static const char *const shapes[] = {"44443", "4444", "465", "464"};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        if (has_shape(n, shapes[i], ' ') || has_shape(n, shapes[i], '-')) {
            return (unsigned)strlen(shapes[i]);
        }
    }
    return n->group[0].digits >= 14 && n->group[0].digits <= 16 ? 1 : 0;
}

static unsigned find_card(const number *n)
{
    char digits[GROUP_DIGITS_MAX] = {0};
    const unsigned groups = card_groups(n);
    if (groups == 0) {
        return 0;
    }
    const unsigned count = digits_of(n, groups, digits);
    return has_issuer(digits, count) && luhn(digits, count) ? groups : 0;
}

/* ---- national ids ---- */

/* Area 000, 666 and 900 to 999, group 00 and serial 0000 are never issued (SSA, "SSN Randomization"). */
static unsigned find_ssn(const number *n)
{
    if (!has_shape(n, "324", '-')) {
        return 0;
    }
    char d[GROUP_DIGITS_MAX];
    (void)digits_of(n, 3, d);
    const bool area = d[0] != '9' && memcmp(d, "000", 3) != 0 && memcmp(d, "666", 3) != 0;
    return area && memcmp(d + 3, "00", 2) != 0 && memcmp(d + 5, "0000", 4) != 0 ? 3 : 0;
}

/* The French NIR: sex, year, month, place, order, and 97 minus the remainder of all that by 97 as its key. */
static unsigned find_nir(const number *n)
{
    unsigned groups = has_shape(n, "1222332", ' ') ? 7 : n->group[0].digits == 15 ? 1 : 0;
    char d[GROUP_DIGITS_MAX];
    if (groups == 0 || digits_of(n, groups, d) != 15 || d[0] < '1' || d[0] > '2') {
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

/* ---- phones ---- */

/* North America: 415-555-2671, also with 1- before it. Neither the area nor the exchange begins with 0 or 1. */
static unsigned find_nanp(const number *n)
{
    const unsigned lead = n->groups > 3 && n->group[0].digits == 1 && n->text.data[n->from] == '1' ? 1 : 0;
    static const unsigned digits[] = {3, 3, 4};
    if (n->groups < lead + 3) {
        return 0;
    }
    const char separator = n->separator[lead];
    for (unsigned i = 0; i < 3; i++) {
        const size_t begin = n->group[lead + i].end - n->group[lead + i].digits;
        if (n->group[lead + i].digits != digits[i] || (i < 2 && n->text.data[begin] < '2') ||
            (i < 2 && n->separator[lead + i] != separator)) {
            return 0;
        }
    }
    return separator == '-' || separator == '.' ? lead + 3 : 0;
}

/* With the 0 of a long-distance call: 030 1234567, 030/1234567, 020 7946 0958, 06 12 34 56 78. */
static unsigned find_national_phone(const number *n)
{
    const unsigned first = n->group[0].digits;
    const bool in_a_row = n->from >= 2 && n->text.data[n->from - 1] == ' ' && is_digit(n->text.data[n->from - 2]);
    unsigned pairs = first == 2 ? 1 : 0, total = first, found = 0;
    if (in_a_row || n->text.data[n->from] != '0' || first < 2 || first > 5 || char_at(n->text, n->from + 1) == '0') {
        return 0;
    }
    for (unsigned i = 1; i < n->groups; i++) {
        const bool separated = n->separator[i - 1] == ' ' || (i == 1 && n->separator[0] == '/');
        const unsigned digits = n->group[i].digits;
        pairs = pairs == i && digits == 2 ? pairs + 1 : 0;
        if (!separated || (digits < 3 && pairs == 0)) {
            break;
        }
        if (pairs > 5) {
            return 0; /* bytes, not a number */
        }
        total += digits;
        if (total > 11) {
            break;
        }
        if (total >= 9 && (pairs == 0 || pairs == 5)) {
            found = i + 1;
        }
    }
    return found;
}

/* "+49 (0)30 123-4567": up to 15 digits (E.164), and as many of the groups that follow as still fit. */
static mask_hit international_phone(loom_str text, size_t at)
{
    const mask_hit nothing = {0};
    size_t to = at + 1, good = 0;
    unsigned digits = 0, pieces = 0;
    if (char_at(text, to) < '1' || char_at(text, to) > '9' || (at > 0 && is_word(text.data[at - 1]))) {
        return nothing;
    }
    for (;;) {
        const size_t run = run_of(text, to, is_digit);
        digits += run < 16 ? (unsigned)run : 16;
        if (run == 0 || digits > 15) {
            break;
        }
        to += run;
        pieces++;
        const char after = char_at(text, to);
        const bool more = is_word(after) || (after != ' ' && is_separator(after) && is_digit(char_at(text, to + 1)));
        const bool is_count = pieces == 1 && digits == 10 && text.data[at + 1] == '1'; /* an epoch with its sign; no country code is 1 with nine digits */
        if (digits >= (pieces == 1 ? 9u : 8u) && !more && !is_count) {
            good = to;
        }
        if (pieces == 1 && good > 0) {
            break; /* whole: what follows is something else */
        }
        for (unsigned marks = 0; marks < 2 && (is_separator(char_at(text, to)) || char_at(text, to) == '(' || char_at(text, to) == ')'); marks++) {
            to++;
        }
    }
    return good > 0 ? (mask_hit){at, good, "[phone]"} : nothing;
}

/* "(415) 555-2671" */
static mask_hit phone_in_parentheses(loom_str text, size_t at)
{
    const mask_hit nothing = {0};
    if (run_of(text, at + 1, is_digit) != 3 || char_at(text, at + 4) != ')' || text.data[at + 1] < '2') {
        return nothing;
    }
    const size_t rest = at + 5 + (char_at(text, at + 5) == ' ' ? 1 : 0);
    number n;
    read_number(&n, text, rest);
    const bool shaped = has_shape(&n, "34", '-') || has_shape(&n, "34", ' ') || has_shape(&n, "34", '.');
    return shaped && !is_word(char_at(text, n.group[1].end)) ? (mask_hit){at, n.group[1].end, "[phone]"} : nothing;
}

static mask_hit hit_of(const number *n, unsigned groups, const char *replacement)
{
    const size_t to = groups > 0 ? n->group[groups - 1].end : 0;
    return groups > 0 && !goes_on(n->text, to) ? (mask_hit){n->from, to, replacement} : (mask_hit){0};
}

mask_hit mask_number(unsigned kinds, loom_str text, size_t at, size_t *skip)
{
    static const struct {
        unsigned kind;
        unsigned (*find)(const number *n);
        const char *replacement;
    } finders[] = {
        {LOOM_MASK_CARD, find_card, "[card]"},         {LOOM_MASK_NATIONAL_ID, find_ssn, "[id]"},
        {LOOM_MASK_NATIONAL_ID, find_nir, "[id]"},     {LOOM_MASK_PHONE, find_nanp, "[phone]"},
        {LOOM_MASK_PHONE, find_national_phone, "[phone]"},
    };
    *skip = at + 1;
    if (!is_digit(text.data[at])) {
        const bool wanted = (kinds & LOOM_MASK_PHONE) != 0;
        return !wanted ? (mask_hit){0} : text.data[at] == '+' ? international_phone(text, at) : phone_in_parentheses(text, at);
    }
    number n;
    read_number(&n, text, at);
    *skip = n.groups > 0 ? n.group[0].end : at + run_of(text, at, is_digit);
    if (n.groups == 0 || (n.groups == 1 && n.group[0].digits < ONE_GROUP_MIN) || is_joined(text, at)) {
        return (mask_hit){0};
    }
    for (size_t i = 0; i < sizeof finders / sizeof finders[0]; i++) {
        const mask_hit hit = (kinds & finders[i].kind) != 0 ? hit_of(&n, finders[i].find(&n), finders[i].replacement) : (mask_hit){0};
        if (hit.to > 0) {
            return hit;
        }
    }
    return (mask_hit){0};
}
