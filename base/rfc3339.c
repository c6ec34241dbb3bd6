/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rfc3339.h"

#define NS_PER_S 1000000000u
#define S_PER_DAY 86400u
#define DAYS_PER_ERA 146097u /* 400 years of the Gregorian calendar */
#define DAYS_TO_1970 719468u /* from 1 March of the year 0 */

/* Writes value with so many digits, zeros in front. */
static char *put_digits(char *to, uint64_t value, unsigned digits)
{
    for (unsigned i = digits; i-- > 0; value /= 10) {
        to[i] = (char)('0' + value % 10);
    }
    return to + digits;
}

/* Years that begin in March have their leap day last, and months of a regular length. */
static char *put_date(char *to, uint64_t days_since_1970)
{
    uint64_t days = days_since_1970 + DAYS_TO_1970;
    uint64_t era = days / DAYS_PER_ERA, day = days % DAYS_PER_ERA;
    uint64_t year = (day - day / 1460 + day / 36524 - day / (DAYS_PER_ERA - 1)) / 365;
    day -= 365 * year + year / 4 - year / 100;
    uint64_t month = (5 * day + 2) / 153; /* 0 is March */
    day -= (153 * month + 2) / 5;
    to = put_digits(to, era * 400 + year + (month >= 10 ? 1 : 0), 4);
    *to++ = '-';
    to = put_digits(to, month >= 10 ? month - 9 : month + 3, 2);
    *to++ = '-';
    return put_digits(to, day + 1, 2);
}

size_t rfc3339_put(char out[RFC3339_SIZE], uint64_t unix_ns, unsigned digits)
{
    uint64_t seconds = unix_ns / NS_PER_S, second = seconds % S_PER_DAY, fraction = unix_ns % NS_PER_S;
    char *to = put_date(out, seconds / S_PER_DAY);
    *to++ = 'T';
    to = put_digits(to, second / 3600, 2);
    *to++ = ':';
    to = put_digits(to, second / 60 % 60, 2);
    *to++ = ':';
    to = put_digits(to, second % 60, 2);
    *to++ = '.';
    for (unsigned i = digits; i < 9; i++) {
        fraction /= 10;
    }
    to = put_digits(to, fraction, digits);
    *to++ = 'Z';
    *to = '\0';
    return (size_t)(to - out);
}
