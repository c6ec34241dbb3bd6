/* SPDX-License-Identifier: Apache-2.0 */
#include "host/config/problems.h"

#include "base/str.h"
#include "base/utf8.h"

#include <stdarg.h>
#include <string.h>

void problems_init(problems *list)
{
    list->count = 0;
    list->errors = 0;
    list->omitted = 0;
}

/* A key in a file may hold escape sequences; a terminal must not obey them. */
static void make_printable(char *text)
{
    char *to = text;
    for (loom_str rest = {text, strlen(text)}; rest.len > 0;) {
        uint32_t code_point;
        size_t step = utf8_next(rest, &code_point);
        if (code_point != UTF8_INVALID && utf8_is_control(code_point)) {
            *to++ = '?';
        } else {
            memmove(to, rest.data, step);
            to += step;
        }
        rest = str_tail(rest, step);
    }
    *to = '\0';
}

static void add(problems *list, problem_severity severity, unsigned line, unsigned column, const char *format, va_list args)
{
    if (severity == PROBLEM_ERROR) {
        list->errors++;
    }
    if (list->count == PROBLEMS_MAX) {
        list->omitted++;
        return;
    }
    problem *item = &list->items[list->count++];
    item->severity = severity;
    item->line = line;
    item->column = column;
    int length = vsnprintf(item->text, sizeof item->text, format, args);
    if (length < 0) {
        item->text[0] = '\0';
    } else if ((size_t)length >= sizeof item->text) {
        memcpy(item->text + sizeof item->text - 4, "...", 4);
    }
    make_printable(item->text);
}

void problems_add(problems *list, problem_severity severity, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add(list, severity, 0, 0, format, args);
    va_end(args);
}

void problems_add_at(problems *list, problem_severity severity, unsigned line, unsigned column, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add(list, severity, line, column, format, args);
    va_end(args);
}

static bool comes_after(const problem *a, const problem *b)
{
    return a->line != b->line ? a->line > b->line : a->column > b->column;
}

void problems_sort(problems *list)
{
    for (size_t i = 1; i < list->count; i++) {
        problem moving = list->items[i];
        size_t at = i;
        for (; at > 0 && comes_after(&list->items[at - 1], &moving); at--) {
            list->items[at] = list->items[at - 1];
        }
        list->items[at] = moving;
    }
}

void problems_print(const problems *list, FILE *out, const char *program)
{
    for (size_t i = 0; i < list->count; i++) {
        const problem *item = &list->items[i];
        fprintf(out, "%s: %s%s\n", program, item->severity == PROBLEM_WARNING ? "warning: " : "", item->text);
    }
    if (list->omitted > 0) {
        fprintf(out, "%s: and %zu more\n", program, list->omitted);
    }
}
