/* SPDX-License-Identifier: Apache-2.0 */
#include "base/last_error.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/printable.h"
#include "base/str.h"

enum { TEXT_SIZE = 320 };

static _Thread_local char text[TEXT_SIZE];

void last_error_keep(const char *format, ...)
{
    char raw[TEXT_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(raw, sizeof raw, format, args);
    va_end(args);
    printable_copy(text, sizeof text, str_of(raw));
}

void last_error_clear(void)
{
    text[0] = '\0';
}

const char *loom_last_error(void)
{
    return text;
}
