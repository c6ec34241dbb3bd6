/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as groups of digits with one separator between two of them, and what the words before a number say that it is. */
#include "trace/pipeline/mask_scan.h"

#include "base/str.h"

#define CONTEXT_WORDS_MAX 4u
#define CONTEXT_WORD_MAX 24u /* bytes */
#define CONTEXT_GAP_MAX 4u   /* bytes between two words: ": ", " # " */

/* ---- separators ---- */

static const struct {
    const char *bytes;
    char means;
} wide_separators[] = {
    {"%20", ' '},          {"\xc2\xa0", ' '},     {"\xe2\x80\xaf", ' '}, {"\xe2\x80\x89", ' '}, /* no-break, narrow and thin spaces */
    {"\xe2\x80\x90", '-'}, {"\xe2\x80\x91", '-'}, {"\xe2\x80\x93", '-'}, {"\xe2\x88\x92", '-'}, /* hyphens, dash, minus */
};

char digits_separator(loom_str text, size_t at, size_t *len)
{
    const char c = char_at(text, at);
    *len = 1;
    if (c == ' ' || c == '-' || c == '.' || c == '/' || c == '+') {
        return c;
    }
    if (c == '%' || (unsigned char)c >= 0x80) {
        for (size_t i = 0; i < sizeof wide_separators / sizeof *wide_separators; i++) {
            if (starts_with(text, at, wide_separators[i].bytes)) {
                *len = strlen(wide_separators[i].bytes);
                return wide_separators[i].means;
            }
        }
    }
    return '\0';
}

/* ---- groups ---- */

void digits_read(mask_digits *n, const mask_place *p, size_t at)
{
    const char before = at > 0 && at != p->fresh ? p->text.data[at - 1] : ' ';
    *n = (mask_digits){.place = p, .text = p->text, .from = at};
    n->joined = before == '-' || before == '.' || before == '+' || is_plain_word(before);
    while (n->groups < GROUPS_MAX) {
        const size_t run = run_of(p->text, at, is_digit);
        size_t len;
        if (run > GROUP_DIGITS_MAX) {
            n->groups = 0;
            return;
        }
        n->group[n->groups].begin = at;
        n->group[n->groups].digits = (unsigned)run;
        n->group[n->groups++].end = at += run;
        const char separator = digits_separator(p->text, at, &len);
        if (separator == '\0' || !is_digit(char_at(p->text, at + len)) || n->groups == GROUPS_MAX) {
            return;
        }
        n->separator[n->groups - 1] = separator;
        at += len;
    }
}

bool digits_have_shape(const mask_digits *n, const char *shape, char separator)
{
    for (unsigned i = 0; shape[i] != '\0'; i++) {
        if (i >= n->groups || n->group[i].digits != (unsigned)(shape[i] - '0') ||
            (shape[i + 1] != '\0' && n->separator[i] != separator)) {
            return false;
        }
    }
    return true;
}

unsigned digits_copy(const mask_digits *n, unsigned groups, char out[GROUP_DIGITS_MAX])
{
    unsigned count = 0;
    for (unsigned g = 0; g < groups; g++) {
        for (unsigned i = 0; i < n->group[g].digits && count < GROUP_DIGITS_MAX; i++) {
            out[count++] = n->text.data[n->group[g].begin + i];
        }
    }
    return count;
}

/* ---- context ---- */

/* NEUTRAL: the word before counts. */
typedef enum word_says { SAYS_NOTHING, SAYS_NEUTRAL, SAYS_CARD, SAYS_PHONE, SAYS_SSN, SAYS_NINO, SAYS_ARTICLE } word_says;

static const struct {
    word_says says;
    const char *words[56]; /* the rest is NULL */
} contexts[] = {
    {SAYS_NEUTRAL, {"number", "numbers", "num", "no", "nr", "nummer", "is", "was", "the", "new", "old", "value", "holder", "insurance"}},
    {SAYS_CARD, {"card", "cards", "cc", "creditcard", "credit", "debit", "visa", "mastercard", "amex", "pan", "kreditkarte", "cardnumber", "kartennummer"}},
    {SAYS_PHONE, {"phone", "phones", "phonenumber", "tel", "telephone", "telefon", "telefonnummer", "mobile", "mobil", "cell",
                  "cellphone", "fax", "msisdn", "handy", "whatsapp", "rufnummer", "handynummer"}},
    {SAYS_SSN, {"ssn", "security", "ssns"}},
    {SAYS_NINO, {"nino", "ni", "national"}},
    {SAYS_ARTICLE, {"art",     "artnr",   "artikel", "artikelnummer", "article", "sku",     "item",      "items", "product", "produkt",
                    "produktnummer", "part", "partno", "pn",        "order",   "orders",  "bestellung", "bestellnummer", "bestellnr", "invoice",
                    "rechnung", "rechnungsnummer", "ref", "reference", "isbn", "ean",     "upc",       "gtin",  "asin",    "serial",
                    "batch",   "lot",     "model",   "version", "build",   "ticket",  "case",      "tracking", "id",   "ids",
                    "epoch",   "timestamp", "ts",    "kundennummer", "kundennr", "auftrag", "section", "chapter"}},
};

static word_says what_says(loom_str word)
{
    for (size_t i = 0; i < sizeof contexts / sizeof *contexts; i++) {
        for (const char *const *w = contexts[i].words; *w != NULL; w++) {
            if (str_is_any_case(word, *w)) {
                return contexts[i].says;
            }
        }
    }
    return SAYS_NOTHING;
}

static bool is_capital(char c)
{
    return c >= 'A' && c <= 'Z';
}

/* The last word before `end`, of letters alone: of userPhone it is "Phone". Empty: another thing stands there. */
static loom_str word_before(loom_str text, size_t end)
{
    size_t from = end;
    while (from > 0 && end - from < CONTEXT_WORD_MAX && is_letter(text.data[from - 1])) {
        from--;
        if (is_capital(text.data[from]) && from > 0 && !is_capital(text.data[from - 1])) {
            break;
        }
    }
    return (loom_str){text.data + from, end - from};
}

static bool in_gap(char c)
{
    return c != '\n' && c != '\0' && !is_word(c);
}

/* From the last word before `end` back, as long as they say nothing by themselves. *at_start: nothing stood before them. */
static word_says words_before(loom_str text, size_t end, bool *at_start)
{
    for (unsigned i = 0; i < CONTEXT_WORDS_MAX; i++) {
        size_t gap = 0;
        while (end > 0 && gap <= CONTEXT_GAP_MAX && (in_gap(text.data[end - 1]) || text.data[end - 1] == '_')) {
            end--;
            gap++;
        }
        *at_start = end == 0;
        const loom_str word = word_before(text, end);
        if (word.len == 0 || gap > CONTEXT_GAP_MAX) {
            return SAYS_NOTHING;
        }
        const word_says says = what_says(word);
        if (says != SAYS_NEUTRAL) {
            return says;
        }
        end -= word.len;
    }
    *at_start = false;
    return SAYS_NOTHING;
}

mask_context mask_context_of(const mask_place *p, size_t from)
{
    static const mask_context meant[] = {[SAYS_CARD] = CONTEXT_CARD, [SAYS_PHONE] = CONTEXT_PHONE, [SAYS_SSN] = CONTEXT_SSN,
                                         [SAYS_NINO] = CONTEXT_NINO, [SAYS_ARTICLE] = CONTEXT_ARTICLE, [SAYS_NOTHING] = CONTEXT_NONE};
    bool at_start;
    word_says says = words_before(p->text, from, &at_start);
    if (says == SAYS_NOTHING && at_start) {
        says = words_before(p->key, p->key.len, &at_start);
    }
    return meant[says];
}
