/* SPDX-License-Identifier: Apache-2.0 */
/* Locales whose numbers do not look like C's, made for the test with localedef: few machines have one. */
#ifndef LOOM_TESTS_LOCALES_H
#define LOOM_TESTS_LOCALES_H

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/check.h"

#define LOCALE_COMMA "<U002C>"     /* 1,5 */
#define LOCALE_TWO_BYTES "<U066B>" /* as Pashto has it */

/* Sets LC_NUMERIC to a locale with that decimal point; false where none can be made. locale_reset() afterwards in any case. */
static inline bool locale_set(const char *point)
{
    char directory[] = "/tmp/loom-locale-XXXXXX", command[600];
    if (mkdtemp(directory) == NULL) {
        return false;
    }
    (void)snprintf(command, sizeof command,
                   "cd %s && { echo LC_NUMERIC; echo 'decimal_point \"%s\"'; echo 'thousands_sep \"<U002E>\"'; echo 'grouping 3;3'; "
                   "echo END LC_NUMERIC; } >source && localedef -c -i source -f UTF-8 ./made >/dev/null 2>&1",
                   directory, point);
    int made = system(command); /* warns of the categories that are missing */
    setenv("LOCPATH", directory, 1);
    bool set = made != -1 && setlocale(LC_NUMERIC, "made") != NULL;
    (void)snprintf(command, sizeof command, "rm -rf %s", directory);
    (void)!system(command);
    if (set && strcmp(point, LOCALE_COMMA) == 0) {
        char text[16];
        (void)snprintf(text, sizeof text, "%.1f", 0.5);
        assert_string_equal("0,5", text);
    }
    return set;
}

static inline void locale_reset(void)
{
    setlocale(LC_NUMERIC, "C");
    unsetenv("LOCPATH");
}

#endif
