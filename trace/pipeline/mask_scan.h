/* SPDX-License-Identifier: Apache-2.0 */
/* What the scanners of mask_*.c share. Each is asked about one place and looks only so far from it, or takes what it looked
 * at: so the whole pass is linear. */
#ifndef LOOM_TRACE_PIPELINE_MASK_SCAN_H
#define LOOM_TRACE_PIPELINE_MASK_SCAN_H

#include "trace/pipeline/mask_text.h"

/* Characters, whatever the locale. */
static inline bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Letters, digits and '_' of ASCII. */
static inline bool is_plain_word(char c)
{
    return is_letter(c) || is_digit(c) || c == '_';
}

/* Of a word: these, and everything beyond ASCII. */
static inline bool is_word(char c)
{
    return is_plain_word(c) || (unsigned char)c >= 0x80;
}

static inline char char_at(loom_str text, size_t at)
{
    return at < text.len ? text.data[at] : '\0';
}

/* How many characters from there on belong. */
static inline size_t run_of(loom_str text, size_t from, bool (*belongs)(char c))
{
    size_t at = from;
    while (at < text.len && belongs(text.data[at])) {
        at++;
    }
    return at - from;
}

static inline bool starts_with(loom_str text, size_t at, const char *start)
{
    const size_t n = strlen(start);
    return at <= text.len && text.len - at >= n && memcmp(text.data + at, start, n) == 0;
}

/* Whether this ASCII text ends right before `end`, in any case of letters. */
bool mask_ends_before(loom_str text, size_t end, size_t floor, const char *what);

/* The programs whose options hold passwords under a letter of their own (mask_option.c). */
typedef enum mask_program {
    PROGRAM_NONE,
    PROGRAM_MYSQL,
    PROGRAM_LOGIN,
    PROGRAM_SSHPASS,
    PROGRAM_REDIS,
    PROGRAM_CURL,
    PROGRAM_LDAP,
    PROGRAM_MONGO,
    PROGRAM_SQLCMD
} mask_program;

/* One pass over a text. */
typedef struct mask_place {
    const mask_rules *rules;
    loom_str text;
    loom_str key;         /* whose value the text is; empty: of none */
    size_t at;            /* next to look at */
    size_t floor;         /* what is before it was found already, or is known to be something else */
    size_t fresh;         /* a word begins here, whatever stands before it: behind \n or %20 */
    size_t value_until;   /* "name": "password" was found: up to here "value": … is one; 0: not */
    mask_program program; /* of the command line the place is in */
} mask_place;

/* What was found: from..to gives way to the replacement. from == to: nothing. */
typedef struct mask_hit {
    size_t from, to;
    const char *replacement;
} mask_hit;

/* What the words before a number, or the key of its text, say that it is. */
typedef enum mask_context { CONTEXT_NONE, CONTEXT_CARD, CONTEXT_PHONE, CONTEXT_SSN, CONTEXT_NINO, CONTEXT_ARTICLE } mask_context;
mask_context mask_context_of(const mask_place *p, size_t from);

/* ---- mask_digits.c: numbers as groups of digits ---- */

#define GROUPS_MAX 7u
#define GROUP_DIGITS_MAX 19u

typedef struct mask_digits {
    const mask_place *place;
    loom_str text;
    size_t from;
    struct {
        size_t begin, end; /* in the text */
        unsigned digits;
    } group[GROUPS_MAX];
    char separator[GROUPS_MAX]; /* behind each group but the last */
    unsigned groups;            /* 0: a run of digits is too long for any number */
    mask_context context;
    bool joined; /* a letter, a '-', a '.' or a '+' stands before it */
} mask_digits;

void digits_read(mask_digits *n, const mask_place *p, size_t at);
/* Whether the first groups have these numbers of digits ("344"), with this separator between them. */
bool digits_have_shape(const mask_digits *n, const char *shape, char separator);
/* The digits of the first groups without separators; GROUP_DIGITS_MAX of them at the most. */
unsigned digits_copy(const mask_digits *n, unsigned groups, char out[GROUP_DIGITS_MAX]);
/* The separator that stands there (' ', '-', '.', '/', '+'), also as no-break space, %20 or a typographic hyphen, and how many
 * bytes it takes; '\0': none. */
char digits_separator(loom_str text, size_t at, size_t *len);

/* mask_number.c: at a digit, or at '+', '(' or '%'. *skip is where to go on when there is no hit. */
mask_hit mask_number(const mask_place *p, size_t *skip);
/* mask_id.c: each returns how many groups are one; 0: none. */
unsigned mask_ssn_groups(const mask_digits *n);
unsigned mask_nir_groups(const mask_digits *n);
mask_hit mask_nino(const mask_place *p); /* a British national insurance number, at a letter */
/* mask_phone.c */
unsigned mask_phone_groups(const mask_digits *n);
mask_hit mask_phone_in_parentheses(const mask_place *p);                  /* at '(' */
mask_hit mask_phone_international(const mask_place *p, size_t prefix_len); /* at '+', "%2B" or "00" */

/* mask_secret.c: what begins at a word, or at '-' */
mask_hit mask_token(const mask_place *p);

/* mask_address.c */
mask_hit mask_mail(const mask_place *p); /* at '@', or at '%' of "%40" */
/* At "://", also as ":\/\/" and "%3A%2F%2F", which is slashes_len long. *user_end: what is before it and behind the slashes
 * is a user, and no part of a mail address. */
mask_hit mask_url(const mask_place *p, size_t slashes_len, size_t *user_end);
size_t mask_slashes_at(loom_str text, size_t at); /* their length; 0: there are none */

/* mask_pair.c: the value of a key that stands before it. */
mask_hit mask_pair(mask_place *p);        /* at '=', ':', or '%' of "%3D" and "%3A" */
mask_hit mask_element(const mask_place *p); /* at '<': <password>…</password> */
mask_hit mask_argument(const mask_place *p); /* at ',' or '\'': ("password", "…"), PASSWORD '…' */

/* Whether a word of a sentence stands there, and no secret: "password: must not be empty". */
bool mask_is_prose(loom_str text, size_t from);

/* mask_option.c */
bool mask_is_option(loom_str name); /* -x, --x */
mask_hit mask_option(const mask_place *p); /* at '-' of --password … */
mask_program mask_program_named(loom_str word);

/* mask_value.c: where the value that begins at `from` begins and ends without its quotes. */
typedef enum mask_value_kind {
    VALUE_PLAIN,  /* a word: password=x */
    VALUE_LINE,   /* to the end of the line: Cookie: a=b; c=d */
    VALUE_DOCUMENT /* of JSON and its like, where a bracket takes everything up to its partner */
} mask_value_kind;
mask_hit mask_value(loom_str text, size_t from, mask_value_kind kind);
/* A quote that stands there, and its length: ", ', """, \", %22, &quot; and others; 0: none. */
size_t mask_quote_at(loom_str text, size_t at);
size_t mask_quote_before(loom_str text, size_t end, size_t floor);

#endif
