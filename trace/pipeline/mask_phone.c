/* SPDX-License-Identifier: Apache-2.0 */
/* Phone numbers: international ones (E.164), North American ones, and those with the 0 of a long-distance call in the shapes
 * that countries write them in. */
#include "trace/pipeline/mask_scan.h"

#define E164_MAX 15u /* digits */

/* North America: 415-555-2671, also with 1 before it. Neither the area nor the exchange begins with 0 or 1. */
static unsigned nanp_groups(const mask_digits *n)
{
    const unsigned lead = n->groups > 3 && n->group[0].digits == 1 && n->text.data[n->from] == '1' ? 1 : 0;
    static const unsigned digits[] = {3, 3, 4};
    if (n->groups < lead + 3) {
        return 0;
    }
    for (unsigned i = 0; i < 3; i++) {
        if (n->group[lead + i].digits != digits[i] || (i < 2 && n->text.data[n->group[lead + i].begin] < '2')) {
            return 0;
        }
    }
    const char first = n->separator[lead], second = n->separator[lead + 1];
    const bool row = first == ' ' && (n->groups > lead + 3 || n->text.data[n->group[lead].begin + 1] == '9');
    const bool shaped = first == second ? first != '/' && !row : second == '-' && (first == ' ' || first == '/' || first == '.');
    return shaped ? lead + 3 : 0;
}

/* Shapes of national numbers: a digit is itself, 'x' any, 'n' 2 to 9, 'p' 1 to 9, '_' a separator. */
static const struct {
    const char *shape, *separators; /* which ones; the same between all groups, but for the first */
} national_shapes[] = {
    {"0p_xx_xx_xx_xx", " .-/"},                                                          /* France */
    {"02x_xxxx_xxxx", " -"},    {"01xxx_xxxxxx", " "},     {"01xxx_xxx_xxx", " "},        /* United Kingdom */
    {"07xxx_xxxxxx", " "},      {"07xxx_xxx_xxx", " "},    {"01x1_xxx_xxxx", " "},
    {"011x_xxx_xxxx", " "},     {"03xx_xxx_xxxx", " "},    {"0800_xxx_xxxx", " "},
    {"02_xxxx_xxxx", " -"},     {"03_xxxx_xxxx", " -"},    {"06_xxxx_xxxx", " -"},        /* Australia, Japan, Italy */
    {"07_xxxx_xxxx", " -"},     {"08_xxxx_xxxx", " -"},    {"04xx_xxx_xxx", " "},
    {"0n0_xxxx_xxxx", "-"},     {"06_xxxxxxxx", " -"},     {"0p_xxx_xx_xx", " "},        /* Japan, Netherlands, Belgium */
    {"04xx_xx_xx_xx", " "},     {"0nx_xxx_xx_xx", " -"},   {"0nx_xxx_xxxx", " -"},        /* Belgium, Switzerland, Sweden */
    {"08x_xxx_xxxx", " "},      {"01_xxx_xxxx", " "},                                     /* Ireland */
};

/* Whether the number begins with this shape. Returns its groups; 0: not. */
static unsigned groups_of_shape(const mask_digits *n, const char *shape, const char *separators)
{
    unsigned group = 0, digit = 0;
    for (const char *s = shape; *s != '\0'; s++) {
        if (*s == '_') {
            if (digit != n->group[group].digits || group + 1 >= n->groups) {
                return 0;
            }
            const char separator = n->separator[group];
            const bool first = group == 0 && separator == '/';
            if (!first && (strchr(separators, separator) == NULL || (group > 1 && separator != n->separator[group - 1]))) {
                return 0;
            }
            group++;
            digit = 0;
            continue;
        }
        if (digit == n->group[group].digits) {
            return 0;
        }
        const char c = n->text.data[n->group[group].begin + digit++];
        if (*s == 'n' ? c < '2' : *s == 'p' ? c < '1' : *s != 'x' && c != *s) {
            return 0;
        }
    }
    return digit == n->group[group].digits ? group + 1 : 0;
}

/* Pairs of digits in a longer row are bytes, not a number. */
static bool row_goes_on(const mask_digits *n, unsigned groups)
{
    return groups < n->groups && n->group[groups].digits == n->group[groups - 1].digits && n->separator[groups - 1] == n->separator[groups - 2];
}

/* Germany and Austria, where areas have 3 to 5 digits and the rest any: 030 1234567, 0171/123 45 67. */
static unsigned german_groups(const mask_digits *n)
{
    static const char *const short_areas[] = {"030", "040", "069", "089"};
    const unsigned area = n->group[0].digits;
    const char *text = n->text.data + n->from;
    bool known = area >= 4 && area <= 5 && (text[1] >= '2' || (text[1] == '1' && text[2] >= '5' && text[2] <= '7'));
    for (size_t i = 0; area == 3 && i < sizeof short_areas / sizeof *short_areas; i++) {
        known = known || memcmp(text, short_areas[i], 3) == 0;
    }
    unsigned total = area, found = 0;
    for (unsigned i = 1; known && i < n->groups && i <= 4; i++) {
        const char separator = n->separator[i - 1];
        const bool hyphen = separator == '-' && (area == 3 || text[1] == '1' || i > 1 || n->context == CONTEXT_PHONE);
        if ((separator != ' ' && !(i == 1 && separator == '/') && !hyphen) || n->group[i].digits < 2) {
            break;
        }
        total += n->group[i].digits;
        if (total > 12) {
            break;
        }
        found = total >= 9 ? i + 1 : found;
    }
    return found;
}

/* With the 0 of a long-distance call. */
static unsigned national_groups(const mask_digits *n)
{
    const bool in_a_row = n->from >= 2 && n->text.data[n->from - 1] == ' ' && is_digit(n->text.data[n->from - 2]);
    const bool in_path = n->from >= 1 && n->text.data[n->from - 1] == '/';
    if (in_a_row || in_path || n->text.data[n->from] != '0' || n->groups < 2) {
        return 0;
    }
    for (size_t i = 0; i < sizeof national_shapes / sizeof *national_shapes; i++) {
        const unsigned groups = groups_of_shape(n, national_shapes[i].shape, national_shapes[i].separators);
        if (groups > 0 && !row_goes_on(n, groups)) {
            return groups;
        }
    }
    return german_groups(n);
}

/* What is called a phone number: as many groups as make one, but no date. */
static unsigned named_groups(const mask_digits *n)
{
    unsigned total = 0, found = 0;
    const char *text = n->text.data + n->from;
    if (n->group[0].digits == 4 && (memcmp(text, "19", 2) == 0 || memcmp(text, "20", 2) == 0)) {
        return 0;
    }
    for (unsigned i = 0; i < n->groups && (total += n->group[i].digits) <= E164_MAX; i++) {
        found = total >= 7 ? i + 1 : found;
    }
    return found;
}

unsigned mask_phone_groups(const mask_digits *n)
{
    if (n->context == CONTEXT_PHONE) {
        return named_groups(n);
    }
    if (n->context == CONTEXT_ARTICLE) {
        return 0;
    }
    const unsigned groups = nanp_groups(n);
    return groups > 0 ? groups : national_groups(n);
}

/* ---- international ---- */

/* How many digits follow the code of a country (ITU-T E.164, and the numbering plans of the countries). */
static bool is_plausible(const char *digits, unsigned count)
{
    static const struct {
        const char *code;
        unsigned least, most;
    } countries[] = {
        {"1", 10, 10},  {"7", 10, 10},  {"20", 8, 10},  {"27", 9, 9},   {"30", 10, 10}, {"31", 9, 9},   {"32", 8, 9},   {"33", 9, 9},
        {"34", 9, 9},   {"36", 8, 9},   {"39", 8, 11},  {"40", 9, 9},   {"41", 9, 9},   {"43", 7, 13},  {"44", 9, 10},  {"45", 8, 8},
        {"46", 7, 10},  {"47", 8, 8},   {"48", 9, 9},   {"49", 7, 12},  {"51", 8, 9},   {"52", 10, 11}, {"53", 8, 8},   {"54", 10, 11},
        {"55", 10, 11}, {"56", 9, 9},   {"57", 8, 10},  {"58", 10, 10}, {"60", 8, 10},  {"61", 9, 9},   {"62", 8, 12},  {"63", 8, 10},
        {"64", 8, 10},  {"65", 8, 8},   {"66", 8, 9},   {"81", 9, 10},  {"82", 8, 10},  {"84", 9, 10},  {"86", 10, 11}, {"90", 10, 10},
        {"91", 10, 10}, {"92", 9, 10},  {"93", 9, 9},   {"94", 9, 9},   {"95", 8, 10},  {"98", 10, 10},
    };
    for (size_t i = 0; i < sizeof countries / sizeof *countries; i++) {
        const unsigned n = (unsigned)strlen(countries[i].code);
        if (count > n && memcmp(digits, countries[i].code, n) == 0) {
            return count - n >= countries[i].least && count - n <= countries[i].most;
        }
    }
    return count >= 10 && count <= E164_MAX; /* codes of three digits */
}

typedef struct international {
    char digits[E164_MAX];
    unsigned count, pieces;
    size_t good; /* where the longest number so far ends; 0: there is none */
} international;

static size_t marks_len(loom_str text, size_t at)
{
    size_t to = at, len;
    for (unsigned marks = 0; marks < 3; marks++) {
        if (char_at(text, to) == '(' || char_at(text, to) == ')') {
            to++;
        } else if (digits_separator(text, to, &len) != '\0') {
            to += len;
        } else {
            break;
        }
    }
    return to - at;
}

/* Whether the digits so far are a number that ends here. */
static bool is_number(const international *n, loom_str text, size_t to, bool zeros)
{
    size_t len;
    const char after = char_at(text, to), separator = digits_separator(text, to, &len);
    const bool more = is_plain_word(after) || (separator != '\0' && separator != ' ' && separator != '+' && is_digit(char_at(text, to + len)));
    const bool possible = zeros || n->pieces == 1 ? is_plausible(n->digits, n->count) : true;
    return !more && possible && n->count >= (n->pieces == 1 ? 9u : 8u);
}

/* "+49 (0)30 123-4567": up to 15 digits (E.164), and as many of the groups that follow as still fit. */
mask_hit mask_phone_international(const mask_place *p, size_t prefix_len)
{
    const loom_str text = p->text;
    const bool word_before = p->at > 0 && p->at != p->fresh && is_plain_word(text.data[p->at - 1]);
    size_t to = p->at + prefix_len;
    international n = {0};
    if (char_at(text, to) < '1' || char_at(text, to) > '9' || (word_before && text.data[p->at] != '%')) {
        return (mask_hit){0};
    }
    for (;;) {
        const size_t run = run_of(text, to, is_digit);
        if (run == 0 || run > E164_MAX || n.count + run > E164_MAX) {
            break;
        }
        memcpy(n.digits + n.count, text.data + to, run);
        n.count += (unsigned)run;
        n.pieces++;
        to += run;
        n.good = is_number(&n, text, to, prefix_len == 2) ? to : n.good;
        if (n.pieces == 1 && n.good > 0) {
            break; /* whole: what follows is something else */
        }
        to += marks_len(text, to);
    }
    return n.good > 0 ? (mask_hit){p->at, n.good, "[phone]"} : (mask_hit){0};
}

/* ---- an area code in parentheses ---- */

/* "(415) 555-2671" */
static unsigned nanp_in_parentheses(const mask_digits *n)
{
    mask_digits rest = *n;
    for (unsigned i = 1; i < n->groups; i++) {
        rest.group[i - 1] = n->group[i];
        rest.separator[i - 1] = n->separator[i];
    }
    rest.groups = n->groups - 1;
    const bool shaped = digits_have_shape(&rest, "34", '-') || digits_have_shape(&rest, "34", ' ') ||
                        digits_have_shape(&rest, "34", '.');
    return shaped && n->group[0].digits == 3 && n->text.data[n->from] >= '2' ? 3 : 0;
}

/* The code, and the groups behind it as if a space were between. */
static bool read_area(mask_digits *n, const mask_place *p)
{
    const size_t from = p->at + 1, run = run_of(p->text, from, is_digit), close = from + run;
    size_t len;
    if (run < 2 || run > 6 || char_at(p->text, close) != ')') {
        return false;
    }
    const char separator = digits_separator(p->text, close + 1, &len);
    digits_read(n, p, close + 1 + (separator != '\0' ? len : 0));
    if (n->groups == 0 || n->groups == GROUPS_MAX || n->group[0].digits == 0) {
        return false;
    }
    memmove(n->group + 1, n->group, n->groups * sizeof n->group[0]);
    memmove(n->separator + 1, n->separator, n->groups);
    n->groups++;
    n->group[0].begin = n->from = from;
    n->group[0].end = close;
    n->group[0].digits = (unsigned)run;
    n->separator[0] = ' ';
    n->context = mask_context_of(p, p->at);
    return true;
}

/* "(415) 555-2671", "(020) 7946 0958", "(030) 1234567" */
mask_hit mask_phone_in_parentheses(const mask_place *p)
{
    mask_digits n;
    if (!read_area(&n, p)) {
        return (mask_hit){0};
    }
    unsigned groups = nanp_in_parentheses(&n);
    if (groups == 0 && n.context != CONTEXT_ARTICLE) {
        groups = n.context == CONTEXT_PHONE ? named_groups(&n) : national_groups(&n);
    }
    return groups > 1 && !is_plain_word(char_at(p->text, n.group[groups - 1].end))
               ? (mask_hit){p->at, n.group[groups - 1].end, "[phone]"} : (mask_hit){0};
}
