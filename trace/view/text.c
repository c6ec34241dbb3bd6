/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/view/text.h"

#include "base/number.h"
#include "base/str.h"
#include "base/utf8.h"
#include "trace/otlp/read.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#define NS_PER_S 1000000000u
#define MIN_COLUMNS 60
#define VALUE_COLUMNS 200 /* of one attribute value */
#define ARRAY_ITEMS 8     /* shown of an array */

size_t text_columns(loom_str text)
{
    size_t columns = 0;
    while (text.len > 0) {
        uint32_t code_point;
        text = str_tail(text, utf8_next(text, &code_point));
        columns++;
    }
    return columns;
}

size_t text_put(FILE *out, loom_str text, size_t max_columns)
{
    size_t columns = 0;
    bool fits = text.len <= max_columns || text_columns(text) <= max_columns;
    while (text.len > 0 && columns < max_columns) {
        uint32_t code_point;
        size_t step = utf8_next(text, &code_point);
        columns++;
        if (!fits && columns == max_columns) {
            fputs("…", out);
            break;
        }
        if (code_point == UTF8_INVALID) {
            fputs("\xef\xbf\xbd", out);
        } else if (utf8_is_control(code_point)) {
            fputs("·", out);
        } else {
            fwrite(text.data, 1, step, out);
        }
        text = str_tail(text, step);
    }
    return columns;
}

void text_put_json(FILE *out, const char *json)
{
    for (loom_str text = {json, strlen(json)}; text.len > 0;) {
        uint32_t code_point;
        size_t step = utf8_next(text, &code_point);
        if (code_point != '\n' && code_point != UTF8_INVALID && utf8_is_control(code_point)) {
            fprintf(out, "\\u%04x", (unsigned)code_point);
        } else {
            fwrite(text.data, 1, step, out);
        }
        text = str_tail(text, step);
    }
}

void text_put_spaces(FILE *out, size_t count)
{
    fprintf(out, "%*s", (int)count, "");
}

void text_put_padded(FILE *out, loom_str text, size_t columns)
{
    text_put_spaces(out, columns - text_put(out, text, columns));
}

/* value / unit with three significant digits. */
static void scaled(char out[TEXT_DURATION_SIZE], uint64_t ns, double unit, const char *name)
{
    double value = (double)ns / unit;
    int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
    char number[NUMBER_SIZE];
    (void)number_format_fixed(number, value, decimals);
    snprintf(out, TEXT_DURATION_SIZE, "%s %s", number, name);
}

void text_duration(char out[TEXT_DURATION_SIZE], uint64_t ns)
{
    uint64_t seconds = ns / NS_PER_S;
    if (ns == 0) {
        snprintf(out, TEXT_DURATION_SIZE, "0");
    } else if (ns < 1000) {
        snprintf(out, TEXT_DURATION_SIZE, "%" PRIu64 " ns", ns);
    } else if (ns < 999500) {
        scaled(out, ns, 1e3, "µs");
    } else if (ns < 999500000) {
        scaled(out, ns, 1e6, "ms");
    } else if (seconds < 60) {
        scaled(out, ns, 1e9, "s");
    } else if (seconds < 3600) {
        snprintf(out, TEXT_DURATION_SIZE, "%" PRIu64 " m %02" PRIu64 " s", seconds / 60, seconds % 60);
    } else if (seconds < 86400) {
        snprintf(out, TEXT_DURATION_SIZE, "%" PRIu64 " h %02" PRIu64 " m", seconds / 3600, seconds % 3600 / 60);
    } else {
        snprintf(out, TEXT_DURATION_SIZE, "%" PRIu64 " d %02" PRIu64 " h", seconds / 86400, seconds % 86400 / 3600);
    }
}

void text_time(char out[TEXT_TIME_SIZE], uint64_t unix_ns)
{
    time_t seconds = (time_t)(unix_ns / NS_PER_S);
    struct tm utc;
    if (gmtime_r(&seconds, &utc) == NULL) {
        snprintf(out, TEXT_TIME_SIZE, "%" PRIu64 " ns", unix_ns);
        return;
    }
    size_t len = strftime(out, TEXT_TIME_SIZE, "%Y-%m-%d %H:%M:%S", &utc);
    snprintf(out + len, TEXT_TIME_SIZE - len, ".%03u", (unsigned)(unix_ns % NS_PER_S / 1000000u));
}

typedef struct listing {
    FILE *out;
    size_t count;
} listing;

static bool put_item_start(listing *l)
{
    if (l->count > 0) {
        fputs(", ", l->out);
    }
    if (l->count == ARRAY_ITEMS) {
        fputs("…", l->out);
        return false;
    }
    l->count++;
    return true;
}

/* Arrays in arrays are only counted: a line has room for one level. */
static void put_flat(FILE *out, otlp_any any)
{
    char number[NUMBER_SIZE];
    switch (any.type) {
    case OTLP_ANY_NONE:
        fputs("(none)", out);
        break;
    case OTLP_ANY_STRING:
        text_put(out, (loom_str){(const char *)any.bytes.data, any.bytes.len}, VALUE_COLUMNS);
        break;
    case OTLP_ANY_BOOL:
        fputs(any.boolean ? "true" : "false", out);
        break;
    case OTLP_ANY_INT:
        fprintf(out, "%" PRId64, any.integer);
        break;
    case OTLP_ANY_DOUBLE:
        (void)number_format(number, any.real, 15);
        fputs(number, out);
        break;
    case OTLP_ANY_ARRAY:
        fputs("[…]", out);
        break;
    case OTLP_ANY_KVLIST:
        fputs("{…}", out);
        break;
    case OTLP_ANY_BYTES:
        fprintf(out, "(%zu bytes)", any.bytes.len);
        break;
    }
}

static bool put_element(void *user, loom_bytes any_value)
{
    listing *l = user;
    if (!put_item_start(l)) {
        return false;
    }
    put_flat(l->out, otlp_read_any(any_value));
    return true;
}

static bool put_pair(void *user, otlp_attr attr)
{
    listing *l = user;
    if (!put_item_start(l)) {
        return false;
    }
    text_put(l->out, attr.key, VALUE_COLUMNS);
    fputc('=', l->out);
    put_flat(l->out, otlp_read_any(attr.value));
    return true;
}

void text_put_value(FILE *out, loom_bytes any_value)
{
    otlp_any any = otlp_read_any(any_value);
    listing l = {.out = out};
    if (any.type == OTLP_ANY_ARRAY) {
        fputc('[', out);
        otlp_read_array(any.bytes, put_element, &l);
        fputc(']', out);
    } else if (any.type == OTLP_ANY_KVLIST) {
        fputc('{', out);
        /* A KeyValueList and a Resource both keep their KeyValues in field 1. */
        otlp_read_resource_attrs(any.bytes, put_pair, &l);
        fputc('}', out);
    } else {
        put_flat(out, any);
    }
}

size_t text_terminal_columns(int fd, size_t fallback)
{
    struct winsize size;
    if (ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) {
        return fallback;
    }
    return size.ws_col < MIN_COLUMNS ? MIN_COLUMNS : size.ws_col;
}
