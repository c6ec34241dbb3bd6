/* SPDX-License-Identifier: Apache-2.0 */
/* strtod() and printf() take the decimal point of the locale, which is not ours to choose: on the wire it is a point. */
#include "sdk-c/collaboration/contract_score.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *locale_point(void)
{
    const char *point = localeconv()->decimal_point;
    return point != NULL && point[0] != '\0' ? point : ".";
}

void contract_score_to_text(char out[SCORE_SIZE], double score)
{
    snprintf(out, SCORE_SIZE, "%.17g", score);
    const char *point = locale_point();
    char *at = strstr(out, point);
    if (at != NULL) {
        size_t len = strlen(point);
        *at = '.';
        memmove(at + 1, at + len, strlen(at + len) + 1);
    }
}

bool contract_score_from_text(double *out, loom_str text)
{
    char copy[SCORE_SIZE + 16], *end;
    size_t len = 0;
    const char *point = locale_point();
    if (text.len == 0 || text.len >= SCORE_SIZE || strlen(point) > 8) {
        return false;
    }
    for (size_t i = 0, points = 0; i < text.len; i++) {
        if (memchr("0123456789+-.eE", text.data[i], 15) == NULL || (text.data[i] == '.' && points++ > 0)) {
            return false;
        }
        if (text.data[i] == '.') {
            memcpy(copy + len, point, strlen(point));
            len += strlen(point);
        } else {
            copy[len++] = text.data[i];
        }
    }
    copy[len] = '\0';
    *out = strtod(copy, &end);
    return end == copy + len && isfinite(*out);
}
