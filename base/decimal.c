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
    int digits = 15;
    do {
        (void)snprintf(out, DECIMAL_SIZE, "%.*g", digits, value);
    } while (digits++ < 17 && strtod(out, NULL) != value); /* in the locale it was written in */
    return put_point(out);
}
