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

/* ---- reading ---- */

/* So many digits as a number; false: something else. */
static bool take_digits(loom_str *rest, size_t digits, unsigned *out)
{
    *out = 0;
    if (rest->len < digits) {
        return false;
    }
    for (size_t i = 0; i < digits; i++) {
        const unsigned digit = (unsigned)(unsigned char)rest->data[i] - '0';
        if (digit > 9) {
            return false;
        }
        *out = *out * 10 + digit;
    }
    rest->data += digits;
    rest->len -= digits;
    return true;
}

static bool take(loom_str *rest, char upper, char other)
{
    if (rest->len == 0 || (rest->data[0] != upper && rest->data[0] != other)) {
        return false;
    }
    rest->data++;
    rest->len--;
    return true;
}

static unsigned days_of_month(unsigned year, unsigned month)
{
    const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 ? (leap ? 29 : 28) : month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

static bool take_date(loom_str *rest, int64_t *days_since_1970)
{
    unsigned year, month, day;
    if (!take_digits(rest, 4, &year) || !take(rest, '-', '-') || !take_digits(rest, 2, &month) || !take(rest, '-', '-') ||
        !take_digits(rest, 2, &day) || year < 1969 || year > 2555 || month < 1 || month > 12 || day < 1 ||
        day > days_of_month(year, month)) {
        return false;
    }
    const unsigned y = month > 2 ? year : year - 1, m = month > 2 ? month - 3 : month + 9;
    *days_since_1970 = (int64_t)(365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1) - (int64_t)DAYS_TO_1970;
    return true;
}

static bool take_fraction(loom_str *rest, unsigned *ns)
{
    *ns = 0;
    if (!take(rest, '.', '.')) {
        return true;
    }
    unsigned digits = 0, digit;
    for (; take_digits(rest, 1, &digit); digits++) {
        *ns = digits < 9 ? *ns * 10 + digit : *ns;
    }
    for (unsigned i = digits; i < 9; i++) {
        *ns *= 10;
    }
    return digits > 0;
}

/* What local time is ahead of UTC. */
static bool take_zone(loom_str *rest, int64_t *seconds)
{
    unsigned hours, minutes;
    *seconds = 0;
    if (take(rest, 'Z', 'z')) {
        return true;
    }
    const bool behind = rest->len > 0 && rest->data[0] == '-';
    if (!take(rest, '+', '-') || !take_digits(rest, 2, &hours) || !take(rest, ':', ':') || !take_digits(rest, 2, &minutes) ||
        hours > 23 || minutes > 59) {
        return false;
    }
    *seconds = (int64_t)(hours * 3600 + minutes * 60) * (behind ? -1 : 1);
    return true;
}

bool rfc3339_parse(loom_str text, uint64_t *unix_ns)
{
    int64_t days, ahead;
    unsigned hour, minute, second, ns;
    if (!take_date(&text, &days) || !(take(&text, 'T', 't') || take(&text, ' ', ' ')) || !take_digits(&text, 2, &hour) ||
        !take(&text, ':', ':') || !take_digits(&text, 2, &minute) || !take(&text, ':', ':') ||
        !take_digits(&text, 2, &second) || !take_fraction(&text, &ns) || !take_zone(&text, &ahead) || text.len > 0 ||
        hour > 23 || minute > 59 || second > 60) {
        return false;
    }
    const int64_t seconds = days * S_PER_DAY + hour * 3600 + minute * 60 + second - ahead;
    if (seconds < 0 || seconds >= (int64_t)(UINT64_MAX / NS_PER_S)) {
        return false;
    }
    *unix_ns = (uint64_t)seconds * NS_PER_S + ns;
    return true;
}
