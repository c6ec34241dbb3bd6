/* SPDX-License-Identifier: Apache-2.0 */
#include "base/number.h"

#include "base/str.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 128u  /* bytes of a number that is read; more digits than that mean nothing */
#define POINT_MAX 8u   /* bytes of a locale's decimal separator */
#define FIXED_MAX 1e15

static bool is_part(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '+' || c == '-';
}

/* Of digits, signs and letters only the separator is none: it becomes a point, however many bytes it has. */
static size_t put_point(char *text)
{
    char *point = text;
    while (is_part(*point)) {
        point++;
    }
    char *rest = point;
    while (*rest != '\0' && !is_part(*rest)) {
        rest++;
    }
    if (rest > point) {
        *point = '.';
        memmove(point + 1, rest, strlen(rest) + 1);
    }
    return strlen(text);
}

size_t number_format(char out[NUMBER_SIZE], double value, int digits)
{
    char text[NUMBER_SIZE + POINT_MAX];
    (void)snprintf(text, sizeof text, "%.*g", digits < 1 ? 1 : digits > 17 ? 17 : digits, value);
    const size_t len = put_point(text);
    memcpy(out, text, len + 1);
    return len;
}

size_t number_format_shortest(char out[NUMBER_SIZE], double value)
{
    double back; /* 15 digits of the largest double are more than a double can be */
    int digits = 15;
    size_t len = number_format(out, value, digits);
    while (digits < 17 && !(number_parse((loom_str){out, len}, &back) && back == value)) {
        len = number_format(out, value, ++digits);
    }
    return len;
}

size_t number_format_fixed(char out[NUMBER_SIZE], double value, int decimals)
{
    if (!(fabs(value) < FIXED_MAX)) {
        return number_format(out, value, 17);
    }
    char text[NUMBER_SIZE + POINT_MAX];
    (void)snprintf(text, sizeof text, "%.*f", decimals < 0 ? 0 : decimals > 9 ? 9 : decimals, value);
    const size_t len = put_point(text);
    memcpy(out, text, len + 1);
    return len;
}

/* As the locale of the moment writes it, in the middle of 0.5. */
static size_t locale_point(char out[POINT_MAX])
{
    char half[POINT_MAX + 3];
    const int len = snprintf(half, sizeof half, "%.1f", 0.5);
    if (len < 3 || (size_t)len >= sizeof half) {
        out[0] = '.';
        return 1;
    }
    memcpy(out, half + 1, (size_t)len - 2);
    return (size_t)len - 2;
}

bool number_parse(loom_str text, double *out)
{
    char copy[TEXT_MAX + POINT_MAX], point[POINT_MAX], *end;
    const size_t point_len = locale_point(point);
    size_t len = 0;
    if (text.len == 0 || text.len >= TEXT_MAX) {
        return false;
    }
    for (size_t i = 0, points = 0; i < text.len; i++) {
        const char c = text.data[i];
        if (c == '\0' || strchr("0123456789+-.eE", c) == NULL || (c == '.' && points++ > 0)) {
            return false;
        }
        if (c == '.') {
            memcpy(copy + len, point, point_len);
            len += point_len;
        } else {
            copy[len++] = c;
        }
    }
    copy[len] = '\0';
    const double value = strtod(copy, &end);
    if (end != copy + len || !isfinite(value)) {
        return false;
    }
    *out = value;
    return true;
}

bool number_take(loom_str *text, double *out)
{
    size_t len = 0;
    while (len < text->len && ((text->data[len] >= '0' && text->data[len] <= '9') || text->data[len] == '.')) {
        len++;
    }
    if (len == 0 || text->data[0] == '.' || text->data[len - 1] == '.' || !number_parse((loom_str){text->data, len}, out)) {
        return false;
    }
    *text = str_tail(*text, len);
    return true;
}
