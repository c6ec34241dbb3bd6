/* SPDX-License-Identifier: Apache-2.0 */
#include "base/decimal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is neither digit, sign nor exponent is the locale's separator, which may be several bytes. */
static size_t put_point(char *text)
{
    size_t before = strspn(text, "0123456789+-e");
    size_t len = strlen(text);
    if (before == len) {
        return len;
    }
    size_t separator = strcspn(text + before, "0123456789");
    text[before] = '.';
    memmove(text + before + 1, text + before + separator, len - before - separator + 1);
    return len - separator + 1;
}

size_t decimal_put(char out[DECIMAL_SIZE], double value)
{
    (void)snprintf(out, DECIMAL_SIZE, "%.15g", value);
    double back = strtod(out, NULL); /* in the locale it was written in */
    if (memcmp(&back, &value, sizeof back) != 0) {
        (void)snprintf(out, DECIMAL_SIZE, "%.17g", value);
    }
    return put_point(out);
}
