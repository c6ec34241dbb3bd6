/* SPDX-License-Identifier: Apache-2.0 */
/* What every cmocka test includes: cmocka with its prerequisites, and assertions that speak Loom's types. */
#ifndef LOOM_TESTS_CHECK_H
#define LOOM_TESTS_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <loom/status.h>

#include "base/str.h"

/* loom_bytes of a whole array. */
#define BYTES(array) ((loom_bytes){.data = (const uint8_t *)(array), .len = sizeof(array)})
/* loom_str of a string literal, which may hold NUL bytes. */
#define STR(literal) ((loom_str){.data = "" literal, .len = sizeof(literal) - 1})

static inline void check_status(loom_status expected, loom_status actual, const char *call, const char *file, int line)
{
    if (expected != actual) {
        print_error("%s\n  gave LOOM_%s, expected LOOM_%s\n", call, loom_status_name(actual), loom_status_name(expected));
        _fail(file, line);
    }
}

static inline void check_str(const char *expected, loom_str actual, const char *expression, const char *file, int line)
{
    if (!str_is(actual, expected)) {
        print_error("%s\n  is \"%.*s\" (%zu bytes), expected \"%s\"\n", expression, (int)actual.len,
                    actual.len > 0 ? actual.data : "", actual.len, expected);
        _fail(file, line);
    }
}

/* Fails with the names of both statuses. */
#define assert_status(expected, actual) check_status((expected), (actual), #actual, __FILE__, __LINE__)
/* expected is a NUL-terminated string, actual a loom_str. */
#define assert_str(expected, actual) check_str((expected), (actual), #actual, __FILE__, __LINE__)

#endif
