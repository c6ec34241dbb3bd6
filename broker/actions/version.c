/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/actions/version.h"

#include <string.h>

static int compare_sizes(size_t a, size_t b)
{
    return (a > b) - (a < b);
}

static int compare_bytes(loom_str a, loom_str b)
{
    const size_t shorter = a.len < b.len ? a.len : b.len;
    const int order = shorter > 0 ? memcmp(a.data, b.data, shorter) : 0;
    return order != 0 ? order : compare_sizes(a.len, b.len);
}

/* Takes what is before the first delimiter off *text; without one, all of it. False: nothing is left, not even an empty
 * part. */
static bool take(loom_str *text, char delimiter, loom_str *part)
{
    if (text->data == NULL) {
        return false;
    }
    const char *end = text->len > 0 ? memchr(text->data, delimiter, text->len) : NULL;
    if (end == NULL) {
        *part = *text;
        *text = (loom_str){0};
        return true;
    }
    *part = (loom_str){text->data, (size_t)(end - text->data)};
    *text = (loom_str){end + 1, text->len - part->len - 1};
    return true;
}

static bool is_number(loom_str part)
{
    for (size_t i = 0; i < part.len; i++) {
        if (part.data[i] < '0' || part.data[i] > '9') {
            return false;
        }
    }
    return part.len > 0;
}

static loom_str without_leading_zeros(loom_str number)
{
    while (number.len > 1 && number.data[0] == '0') {
        number.data++;
        number.len--;
    }
    return number;
}

static int compare_parts(loom_str a, loom_str b)
{
    const bool a_is_number = is_number(a);
    const bool b_is_number = is_number(b);
    if (a_is_number != b_is_number) {
        return a_is_number ? -1 : 1;
    }
    if (!a_is_number) {
        return compare_bytes(a, b);
    }
    a = without_leading_zeros(a);
    b = without_leading_zeros(b);
    return a.len != b.len ? compare_sizes(a.len, b.len) : compare_bytes(a, b);
}

/* missing is what stands for a part that only the other one has; NULL: the one with fewer parts comes first. */
static int compare_dotted(loom_str a, loom_str b, const loom_str *missing)
{
    for (;;) {
        loom_str a_part, b_part;
        const bool has_a = take(&a, '.', &a_part);
        const bool has_b = take(&b, '.', &b_part);
        if (!has_a && !has_b) {
            return 0;
        }
        if (missing == NULL && has_a != has_b) {
            return has_a ? 1 : -1;
        }
        const int order = compare_parts(has_a ? a_part : *missing, has_b ? b_part : *missing);
        if (order != 0) {
            return order;
        }
    }
}

int action_version_compare(loom_str a, loom_str b)
{
    const loom_str zero = {"0", 1};
    loom_str a_rest = a.len > 0 ? a : (loom_str){0};
    loom_str b_rest = b.len > 0 ? b : (loom_str){0};
    loom_str a_release = zero, b_release = zero;
    (void)take(&a_rest, '+', &a_release); /* what is left of it was how it was built */
    (void)take(&b_rest, '+', &b_release);
    a_rest = a_release;
    b_rest = b_release;
    (void)take(&a_rest, '-', &a_release);
    (void)take(&b_rest, '-', &b_release);
    int order = compare_dotted(a_release, b_release, &zero);
    if (order != 0) {
        return order;
    }
    const bool a_is_early = a_rest.data != NULL;
    const bool b_is_early = b_rest.data != NULL;
    if (a_is_early != b_is_early) {
        return a_is_early ? -1 : 1;
    }
    order = compare_dotted(a_rest, b_rest, NULL);
    return order != 0 ? order : compare_bytes(a, b);
}
