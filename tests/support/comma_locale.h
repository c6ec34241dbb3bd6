/* SPDX-License-Identifier: Apache-2.0 */
/* A locale whose decimal separator is a comma, made by localedef(1) from what stands here, so that none has to be
 * installed. */
#ifndef LOOM_TESTS_COMMA_LOCALE_H
#define LOOM_TESTS_COMMA_LOCALE_H

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/support/check.h"

/* Puts it in force, for numbers. false: localedef is not installed. comma_locale_end() takes it away. */
static inline bool comma_locale_begin(char folder[32])
{
    char command[256], path[64], text[16];
    (void)snprintf(folder, 32, "/tmp/loom-locale-XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/source", folder);
    FILE *source = fopen(path, "we");
    assert_non_null(source);
    fputs("LC_NUMERIC\ndecimal_point \"<U002C>\"\nthousands_sep \"<U002E>\"\ngrouping 3;3\nEND LC_NUMERIC\n", source);
    assert_int_equal(0, fclose(source));
    (void)snprintf(command, sizeof command, "localedef -c -i %s -f ANSI_X3.4-1968 %s/comma >%s/log 2>&1", path, folder, folder);
    (void)!system(command); /* warns of the categories that are not there */
    setenv("LOCPATH", folder, 1);
    if (setlocale(LC_NUMERIC, "comma") == NULL) {
        return false;
    }
    (void)snprintf(text, sizeof text, "%.1f", 0.5);
    assert_string_equal("0,5", text);
    return true;
}

static inline void comma_locale_end(const char *folder)
{
    char command[64];
    (void)setlocale(LC_NUMERIC, "C");
    unsetenv("LOCPATH");
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    assert_int_equal(0, system(command));
}

#endif
