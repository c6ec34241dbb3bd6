/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers that belong to a person: what begins at a digit is read as groups and compared with the few shapes such numbers are
 * written in, cards among them. Whole numbers alone count: what has a letter, a '-' or a '.' on either side is a UUID, an
 * article number or a version. */
#include "trace/pipeline/mask_scan.h"

#define ONE_GROUP_MIN 14u /* digits of the shortest that is written in one piece without being called by its name: a card */
#define SHORT_GROUP_MIN 7u /* and of one that is */

/* Whether something that belongs to the number stands behind it. */
static bool goes_on(loom_str text, size_t to)
{
    const char after = char_at(text, to), next = char_at(text, to + 1);
    return is_plain_word(after) || ((after == '-' || after == '.') && is_plain_word(next));
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

/* 19 digits in one piece are an id far more often than a card, so these have to be in groups, or called a card. */
static unsigned card_groups(const mask_digits *n)
{
    static const char *const shapes[] = {"44443", "4444", "4443", "465", "464"};
    static const char separators[] = " -.+";
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        for (const char *s = separators; *s != '\0'; s++) {
            if (digits_have_shape(n, shapes[i], *s)) {
                return (unsigned)strlen(shapes[i]);
            }
        }
    }
    return n->group[0].digits >= 14 && n->group[0].digits <= (n->context == CONTEXT_CARD ? 19 : 16) ? 1 : 0;
}

static unsigned find_card(const mask_digits *n)
{
    char digits[GROUP_DIGITS_MAX] = {0};
    const unsigned groups = card_groups(n);
    if (groups == 0) {
        return 0;
    }
    const unsigned count = digits_copy(n, groups, digits);
    return has_issuer(digits, count) && luhn(digits, count) ? groups : 0;
}

/* What is called by its name may have more behind it ("card=4111111111111111-x"), but no digit. */
static bool is_whole(const mask_digits *n, unsigned kind, size_t to)
{
    const bool named = (kind == LOOM_MASK_CARD && n->context == CONTEXT_CARD) || (kind == LOOM_MASK_PHONE && n->context == CONTEXT_PHONE) ||
                       (kind == LOOM_MASK_NATIONAL_ID && n->context == CONTEXT_SSN);
    const char after = char_at(n->text, to), next = char_at(n->text, to + 1);
    if (named) {
        return !is_digit(after) && !((after == '-' || after == '.') && is_digit(next));
    }
    return !n->joined && !goes_on(n->text, to);
}

static mask_hit find_in(const mask_digits *n, unsigned kinds)
{
    static const struct {
        unsigned kind;
        unsigned (*find)(const mask_digits *n);
        const char *replacement;
    } finders[] = {
        {LOOM_MASK_CARD, find_card, "[card]"},
        {LOOM_MASK_NATIONAL_ID, mask_ssn_groups, "[id]"},
        {LOOM_MASK_NATIONAL_ID, mask_nir_groups, "[id]"},
        {LOOM_MASK_PHONE, mask_phone_groups, "[phone]"},
    };
    for (size_t i = 0; i < sizeof finders / sizeof finders[0]; i++) {
        const unsigned groups = (kinds & finders[i].kind) != 0 ? finders[i].find(n) : 0;
        if (groups > 0 && is_whole(n, finders[i].kind, n->group[groups - 1].end)) {
            return (mask_hit){n->from, n->group[groups - 1].end, finders[i].replacement};
        }
    }
    return (mask_hit){0};
}

mask_hit mask_number(const mask_place *p, size_t *skip)
{
    const unsigned kinds = p->rules->kinds;
    const char c = p->text.data[p->at];
    *skip = p->at + 1;
    if (!is_digit(c)) {
        return (kinds & LOOM_MASK_PHONE) == 0 ? (mask_hit){0}
               : c == '('                     ? mask_phone_in_parentheses(p)
                                              : mask_phone_international(p, c == '%' ? 3 : 1);
    }
    mask_digits n;
    digits_read(&n, p, p->at);
    *skip = n.groups > 0 ? n.group[0].end : p->at + run_of(p->text, p->at, is_digit);
    const bool zeros = starts_with(p->text, p->at, "00");
    const bool in_a_row = p->at >= 2 && p->text.data[p->at - 1] == ' ' && is_digit(p->text.data[p->at - 2]);
    if (n.groups == 0 || (n.groups == 1 && n.group[0].digits < SHORT_GROUP_MIN && !zeros)) {
        return (mask_hit){0};
    }
    n.context = mask_context_of(p, p->at);
    if (n.context == CONTEXT_NONE && (n.joined || (n.groups == 1 && n.group[0].digits < ONE_GROUP_MIN && !zeros))) {
        return (mask_hit){0};
    }
    if ((kinds & LOOM_MASK_PHONE) != 0 && !n.joined && n.context != CONTEXT_ARTICLE && zeros && !in_a_row) {
        const mask_hit phone = mask_phone_international(p, 2);
        if (phone.to > 0) {
            return phone;
        }
    }
    return find_in(&n, kinds);
}
