/* SPDX-License-Identifier: Apache-2.0 */
#include "host/log/line.h"

#include "base/rfc3339.h"
#include "base/str.h"
#include "base/utf8.h"
#include "host/config/units.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Room that every line keeps for its end: "...", a closing quote, brace, colour and the newline. */
#define TAIL 16

typedef struct line {
    char *out;
    size_t used;
    bool cut;
    struct line *fields; /* of the journal: where they go beside the message; NULL: no journal */
} line;

/* A va_list can be passed on by reference only inside a struct. */
typedef struct arguments {
    va_list list;
} arguments;

static void put(line *l, const char *text, size_t length)
{
    size_t room = LOG_LINE_MAX - TAIL - l->used;
    if (length > room) {
        length = room;
        l->cut = true;
    }
    memcpy(l->out + l->used, text, length);
    l->used += length;
}

static void put_text(line *l, const char *text)
{
    put(l, text, strlen(text));
}

/* Quoted all or cut to what fits: a value is shortened until its quoted form finds room. */
static void put_quoted(line *l, loom_str text)
{
    while (!config_append_quoted(l->out, LOG_LINE_MAX - TAIL, &l->used, text)) {
        l->cut = true;
        if (text.len == 0) {
            return;
        }
        text = utf8_cut(text, text.len - text.len / 8 - 1);
    }
}

typedef enum conversion_kind { CONVERSION_NONE, CONVERSION_NUMBER, CONVERSION_TEXT } conversion_kind;

/* One conversion of a format: %[flags][width][.precision][length]type */
typedef struct conversion {
    char spec[48]; /* its own copy, with '*' filled in */
    char length;   /* 'H' for hh, 'L' for ll, otherwise the letter, 0 for none */
    char type;
} conversion;

/* Copies digits, or the argument of a '*'. */
static const char *read_number(const char *at, char *spec, size_t size, size_t *used, arguments *args)
{
    if (*at == '*') {
        int n = snprintf(spec + *used, size - *used, "%d", va_arg(args->list, int));
        *used += n > 0 && (size_t)n < size - *used ? (size_t)n : 0;
        return at + 1;
    }
    while (*at >= '0' && *at <= '9') {
        if (*used + 8 < size) {
            spec[(*used)++] = *at;
        }
        at++;
    }
    return at;
}

/* at stands behind the '%'; returns what follows the conversion. */
static const char *read_conversion(conversion *c, const char *at, arguments *args)
{
    size_t used = 0;
    *c = (conversion){0};
    c->spec[used++] = '%';
    while (*at != '\0' && strchr("-+ #0", *at) != NULL && used < 6) {
        c->spec[used++] = *at++;
    }
    at = read_number(at, c->spec, 24, &used, args);
    if (*at == '.') {
        size_t dot = used;
        c->spec[used++] = '.';
        at = read_number(at + 1, c->spec, 40, &used, args);
        /* printf: a negative precision counts as none, but text cannot say so */
        used = c->spec[dot + 1] == '-' ? dot : used;
    }
    while (*at != '\0' && strchr("hlzjtL", *at) != NULL) {
        c->length = c->length == 'h' ? 'H' : c->length == 'l' ? 'L' : *at;
        at++;
    }
    c->type = *at;
    /* every integer is passed on as long long, so its length letters are ours */
    if (strchr("diuxXo", c->type) != NULL && c->type != '\0') {
        c->spec[used++] = 'l';
        c->spec[used++] = 'l';
    }
    c->spec[used++] = c->type;
    c->spec[used] = '\0';
    return *at == '\0' ? at : at + 1;
}

static long long signed_argument(const conversion *c, arguments *args)
{
    switch (c->length) {
    case 'H':
        return (signed char)va_arg(args->list, int);
    case 'h':
        return (short)va_arg(args->list, int);
    case 'l':
        return va_arg(args->list, long);
    case 'L':
        return va_arg(args->list, long long);
    case 'j':
        return va_arg(args->list, intmax_t);
    case 'z':
    case 't':
        return va_arg(args->list, ptrdiff_t);
    default:
        return va_arg(args->list, int);
    }
}

static unsigned long long unsigned_argument(const conversion *c, arguments *args)
{
    switch (c->length) {
    case 'H':
        return (unsigned char)va_arg(args->list, unsigned);
    case 'h':
        return (unsigned short)va_arg(args->list, unsigned);
    case 'l':
        return va_arg(args->list, unsigned long);
    case 'L':
        return va_arg(args->list, unsigned long long);
    case 'j':
        return va_arg(args->list, uintmax_t);
    case 'z':
    case 't':
        return va_arg(args->list, size_t);
    default:
        return va_arg(args->list, unsigned);
    }
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
/* Appends the converted argument; what the result is to JSON. */
static conversion_kind convert(char *out, size_t size, size_t *used, const conversion *c, arguments *args)
{
    int n = 0;
    conversion_kind kind = CONVERSION_TEXT;
    char *at = out + *used;
    size_t room = size - *used;
    if (c->type == 'd' || c->type == 'i') {
        n = snprintf(at, room, c->spec, signed_argument(c, args));
        kind = CONVERSION_NUMBER;
    } else if (c->type != '\0' && strchr("uxXo", c->type) != NULL) {
        n = snprintf(at, room, c->spec, unsigned_argument(c, args));
        kind = c->type == 'u' ? CONVERSION_NUMBER : CONVERSION_TEXT;
    } else if (c->type != '\0' && strchr("eEfFgG", c->type) != NULL) {
        double number = c->length == 'L' ? (double)va_arg(args->list, long double) : va_arg(args->list, double);
        char spec[sizeof c->spec];
        snprintf(spec, sizeof spec, "%s", c->spec);
        n = snprintf(at, room, spec, number);
        /* JSON has no infinity and no NaN */
        kind = number - number == 0 ? CONVERSION_NUMBER : CONVERSION_TEXT;
    } else if (c->type == 's') {
        const char *text = va_arg(args->list, const char *);
        n = snprintf(at, room, c->spec, text != NULL ? text : "(null)");
    } else if (c->type == 'c') {
        n = snprintf(at, room, c->spec, va_arg(args->list, int));
    } else if (c->type == 'p') {
        n = snprintf(at, room, c->spec, va_arg(args->list, void *));
    } else {
        n = snprintf(at, room, "%s", c->type == '%' ? "%" : "?");
    }
    if (n > 0) {
        *used += (size_t)n < room ? (size_t)n : room - 1;
    }
    return kind;
}
#pragma GCC diagnostic pop

/* Length of the key when a field "key=" begins at text, otherwise 0. */
static size_t key_length(const char *text)
{
    size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.");
    return text[length] == '=' ? length : 0;
}

/* Expands the format up to the first blank, or with until_field up to the next field: literals and conversions. */
static const char *expand(char *out, size_t size, size_t *used, bool until_field, const char *format, arguments *args,
                          bool *number)
{
    size_t pieces = 0;
    conversion_kind last = CONVERSION_NONE;
    bool word_start = true;
    while (*format != '\0') {
        if (until_field ? word_start && key_length(format) > 0 : *format == ' ') {
            break;
        }
        word_start = *format == ' ';
        pieces++;
        if (*format == '%') {
            conversion c;
            format = read_conversion(&c, format + 1, args);
            last = convert(out, size, used, &c, args);
        } else {
            last = CONVERSION_TEXT;
            if (*used + 1 < size) {
                out[(*used)++] = *format;
            }
            format++;
        }
    }
    *number = pieces == 1 && last == CONVERSION_NUMBER;
    return format;
}

/* Whether text stands bare in a key=value line without doubt about where it ends. */
static bool is_plain(loom_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c >= 0x7f) {
            return false;
        }
    }
    return text.len > 0;
}

/* What printf made of a number may be none to JSON: "+5", "007" (RFC 8259, 6). */
static bool is_json_number(loom_str text)
{
    size_t at = text.len > 0 && text.data[0] == '-' ? 1 : 0;
    size_t digits = 0;
    bool leading_zero = at < text.len && text.data[at] == '0';
    while (at + digits < text.len && text.data[at + digits] >= '0' && text.data[at + digits] <= '9') {
        digits++;
    }
    bool fraction = at + digits < text.len;
    return digits > 0 && !(leading_zero && digits > 1) && (!fraction || text.data[text.len - 1] != '.') && text.len < 48;
}

/* LOOM_KEY=value, as the journal's fields are written: no lower case, and no value with a newline, which ours never has. */
static void put_journal_field(line *l, const char *key, size_t key_len, loom_str value)
{
    char quoted[LOG_LINE_MAX];
    size_t used = 0;
    if (!is_plain(value)) { /* escaped, without the quotes around it */
        if (!config_append_quoted(quoted, sizeof quoted, &used, value)) {
            return;
        }
        value = (loom_str){quoted + 1, used - 2};
    }
    if (key_len > 40 || l->used + key_len + value.len + 8 > LOG_LINE_MAX - TAIL) {
        return;
    }
    l->out[l->used++] = LOG_FIELD_END;
    put_text(l, "LOOM_");
    for (size_t i = 0; i < key_len; i++) {
        const char c = key[i] >= 'a' && key[i] <= 'z' ? (char)(key[i] - 'a' + 'A') : key[i] == '.' ? '_' : key[i];
        put(l, &c, 1);
    }
    put_text(l, "=");
    put(l, value.data, value.len);
}

static void put_field(line *l, bool json, const char *key, size_t key_len, loom_str value, bool number)
{
    put_text(l, json ? ",\"" : " ");
    put(l, key, key_len);
    put_text(l, json ? "\":" : "=");
    /* a width pads with blanks, which no reader of fields wants */
    while (number && value.len > 0 && value.data[0] == ' ') {
        value.data++;
        value.len--;
    }
    if (l->fields != NULL) {
        put_journal_field(l->fields, key, key_len, value);
    }
    if (json ? number && is_json_number(value) : is_plain(value)) {
        put(l, value.data, value.len);
    } else {
        put_quoted(l, value);
    }
}

/* The message of a text line: no control characters, so that nothing forges a line or moves the cursor. */
static void put_message(line *l, loom_str text)
{
    char piece[CONFIG_QUOTED_CHAR_SIZE];
    for (size_t i = 0; i < text.len;) {
        size_t taken = config_quote_char(piece, text.data + i, text.len - i);
        if (piece[0] == '\\' && (text.data[i] == '"' || text.data[i] == '\\')) {
            put(l, text.data + i, 1);
        } else {
            put_text(l, piece);
        }
        i += taken;
    }
}

static void put_head(line *l, const log_style *style, log_level level, const struct timespec *now)
{
    static const char *const names[] = {"ERROR", "WARN ", "INFO ", "DEBUG"};
    static const char *const colors[] = {"\033[31m", "\033[33m", "\033[32m", "\033[2m"};
    static const char priorities[] = {'3', '4', '6', '7'}; /* syslog's */
    char time[RFC3339_SIZE];
    if (style->journal) {
        put_text(l, "PRIORITY=");
        put(l, &priorities[level], 1);
        put(l, (char[]){LOG_FIELD_END}, 1);
        put_text(l, "SYSLOG_IDENTIFIER=");
        put_text(l, style->service != NULL ? style->service : "loom");
        put(l, (char[]){LOG_FIELD_END}, 1);
        put_text(l, "MESSAGE=");
        return;
    }
    if (style->priority) {
        put(l, (char[]){'<', priorities[level], '>'}, 3);
    }
    if (style->priority && !style->json) {
        return;
    }
    rfc3339_put(time, (uint64_t)now->tv_sec * 1000000000u + (uint64_t)now->tv_nsec, 3);
    if (style->json) {
        put_text(l, "{\"time\":\"");
        put_text(l, time);
        put_text(l, "\",\"level\":\"");
        put_text(l, log_level_name(level));
        put_text(l, "\"");
        if (style->service != NULL) {
            put_text(l, ",\"service\":");
            put_quoted(l, str_of(style->service));
        }
        put_text(l, ",\"message\":");
        return;
    }
    put_text(l, time);
    put_text(l, " ");
    put_text(l, style->color ? colors[level] : "");
    put_text(l, names[level]);
    put_text(l, style->color ? "\033[0m" : "");
    put_text(l, " ");
    if (style->service != NULL) {
        put_text(l, style->service);
        put_text(l, ": ");
    }
}

/* Takes one field, or the blank before one, off the format and returns the rest. */
static const char *put_next_field(line *l, bool json, const char *format, arguments *args)
{
    if (*format == ' ') {
        return format + 1;
    }
    char value[LOG_LINE_MAX];
    size_t used = 0, key_len = key_length(format);
    bool number;
    /* a word between fields that is none: kept, under a name that says so */
    const char *key = key_len > 0 ? format : "_";
    format = expand(value, sizeof value, &used, false, key_len > 0 ? format + key_len + 1 : format, args, &number);
    key_len = key_len > 0 ? key_len : 1;
    /* all of the key and at least the start of its value, or nothing of either: JSON stays whole */
    if (l->used + key_len + 64 < LOG_LINE_MAX - TAIL) {
        put_field(l, json, key, key_len, (loom_str){value, used}, number);
    } else {
        l->cut = true;
    }
    return format;
}

/* As many of the journal's fields as there is room for; the message has them all in any case. */
static void put_whole_fields(line *l, const line *fields)
{
    size_t len = fields->used;
    while (len > LOG_LINE_MAX - TAIL - (l->used < LOG_LINE_MAX - TAIL ? l->used : LOG_LINE_MAX - TAIL)) {
        const char *last = memrchr(fields->out, LOG_FIELD_END, len);
        len = last != NULL ? (size_t)(last - fields->out) : 0;
    }
    memcpy(l->out + l->used, fields->out, len);
    l->used += len;
}

size_t log_line_format(char out[LOG_LINE_MAX], const log_style *style, log_level level, const struct timespec *now,
                       const char *format, va_list args)
{
    char more[LOG_LINE_MAX];
    line fields = {.out = more};
    line l = {.out = out, .fields = style->journal ? &fields : NULL};
    arguments a;
    char value[LOG_LINE_MAX];
    size_t used = 0;
    bool number;
    va_copy(a.list, args);
    put_head(&l, style, level, now);

    format = expand(value, sizeof value, &used, true, format, &a, &number);
    while (used > 0 && value[used - 1] == ' ') {
        used--;
    }
    if (style->json) {
        put_quoted(&l, (loom_str){value, used});
    } else {
        put_message(&l, (loom_str){value, used});
    }
    while (*format != '\0') {
        format = put_next_field(&l, style->json, format, &a);
    }
    va_end(a.list);
    if (l.cut) {
        const char *mark = style->json ? ",\"cut\":true" : "...";
        memcpy(out + l.used, mark, strlen(mark));
        l.used += strlen(mark);
    }
    if (style->json) {
        out[l.used++] = '}';
    }
    put_whole_fields(&l, &fields);
    out[l.used++] = '\n';
    return l.used;
}
