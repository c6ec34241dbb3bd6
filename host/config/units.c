/* SPDX-License-Identifier: Apache-2.0 */
#include "host/config/units.h"

#include "base/duration.h"
#include "base/number.h"
#include "base/str.h"
#include "base/utf8.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_MS 1000000u
#define EXACT_MAX 9007199254740992.0 /* 2^53: a double counts up to here without gaps */

struct unit {
    const char *name;
    int64_t factor;
};

/* The largest first, as formatting wants them. */
static const struct unit durations[] = {{"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
static const struct unit sizes[] = {{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}, {"", 1}};

bool config_parse_duration(int64_t *out_ms, loom_str text)
{
    if (text.len == 1 && text.data[0] == '0') {
        *out_ms = 0;
        return true;
    }
    uint64_t ns;
    if (!duration_parse(&ns, text) || ns % NS_PER_MS != 0) { /* 0.3 of a millisecond is a mistake, not zero */
        return false;
    }
    *out_ms = (int64_t)(ns / NS_PER_MS);
    return true;
}

bool config_parse_size(int64_t *out_bytes, loom_str text)
{
    double number;
    if (!number_take(&text, &number)) {
        return false;
    }
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        if (str_is(text, sizes[i].name)) {
            const double scaled = number * (double)sizes[i].factor;
            if (scaled > EXACT_MAX || fabs(scaled - round(scaled)) > 1e-6) { /* half a byte is a mistake */
                return false;
            }
            *out_bytes = (int64_t)round(scaled);
            return true;
        }
    }
    return false;
}

static bool copy_number(char out[64], loom_str text, const char *allowed)
{
    if (text.len == 0 || text.len >= 64) {
        return false;
    }
    memcpy(out, text.data, text.len);
    out[text.len] = '\0';
    return strspn(out, allowed) == text.len;
}

bool config_parse_int(int64_t *out, loom_str text)
{
    char copy[64];
    char *end;
    if (!copy_number(copy, text, "+-0123456789")) {
        return false;
    }
    errno = 0;
    long long number = strtoll(copy, &end, 10);
    if (errno != 0 || end == copy || *end != '\0') {
        return false;
    }
    *out = number;
    return true;
}

bool config_parse_double(double *out, loom_str text)
{
    return number_parse(text, out);
}

bool config_parse_bool(bool *out, loom_str text)
{
    static const char *const words[2][4] = {{"false", "no", "off", "0"}, {"true", "yes", "on", "1"}};
    for (size_t value = 0; value < 2; value++) {
        for (size_t i = 0; i < 4; i++) {
            if (str_is(text, words[value][i])) {
                *out = value == 1;
                return true;
            }
        }
    }
    return false;
}

static void format_units(char out[CONFIG_UNITS_SIZE], int64_t number, const struct unit *units, size_t count)
{
    for (size_t i = 0; i + 1 < count; i++) {
        if (number != 0 && number % units[i].factor == 0) {
            snprintf(out, CONFIG_UNITS_SIZE, "%" PRId64 "%s", number / units[i].factor, units[i].name);
            return;
        }
    }
    snprintf(out, CONFIG_UNITS_SIZE, "%" PRId64 "%s", number, units[count - 1].name);
}

void config_format_duration(char out[CONFIG_UNITS_SIZE], int64_t ms)
{
    format_units(out, ms, durations, sizeof durations / sizeof durations[0]);
}

void config_format_size(char out[CONFIG_UNITS_SIZE], int64_t bytes)
{
    format_units(out, bytes, sizes, 4);
}

size_t config_quote_char(char out[CONFIG_QUOTED_CHAR_SIZE], const char *text, size_t left)
{
    uint32_t code_point;
    size_t length = utf8_next((loom_str){text, left}, &code_point);
    if (code_point == UTF8_INVALID) {
        memcpy(out, "\xef\xbf\xbd", 4);
    } else if (code_point == '"' || code_point == '\\') {
        snprintf(out, CONFIG_QUOTED_CHAR_SIZE, "\\%c", *text);
    } else if (code_point == '\n') {
        memcpy(out, "\\n", 3);
    } else if (code_point == '\t') {
        memcpy(out, "\\t", 3);
    } else if (utf8_is_control(code_point)) {
        snprintf(out, CONFIG_QUOTED_CHAR_SIZE, "\\u%04x", (unsigned)code_point);
    } else {
        memcpy(out, text, length);
        out[length] = '\0';
    }
    return length;
}

void config_print_quoted(FILE *out, loom_str text)
{
    char piece[CONFIG_QUOTED_CHAR_SIZE];
    fputc('"', out);
    for (size_t i = 0; i < text.len;) {
        i += config_quote_char(piece, text.data + i, text.len - i);
        fputs(piece, out);
    }
    fputc('"', out);
}

bool config_append_quoted(char *out, size_t size, size_t *used, loom_str text)
{
    char piece[CONFIG_QUOTED_CHAR_SIZE];
    size_t at = *used;
    if (at + 2 >= size) {
        return false;
    }
    out[at++] = '"';
    for (size_t i = 0; i < text.len;) {
        i += config_quote_char(piece, text.data + i, text.len - i);
        size_t length = strlen(piece);
        if (at + length + 2 > size) {
            out[*used] = '\0';
            return false;
        }
        memcpy(out + at, piece, length);
        at += length;
    }
    out[at++] = '"';
    out[at] = '\0';
    *used = at;
    return true;
}
