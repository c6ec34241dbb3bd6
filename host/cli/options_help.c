/* SPDX-License-Identifier: Apache-2.0 */
#include "host/cli/options.h"

#include <string.h>

#define HELP_COLUMN 32 /* where the sentences begin */
#define HELP_LEAST 24  /* columns they get at least */

/* Prints text in lines of at most width columns; the first begins at column, the others are indented to indent. */
static void print_wrapped(FILE *out, const char *text, size_t column, size_t indent, size_t width)
{
    size_t right = width > indent + HELP_LEAST ? width : indent + HELP_LEAST;
    bool first = true;
    while (*text != '\0') {
        size_t length = strcspn(text, " ");
        if (!first && column + 1 + length > right) {
            fprintf(out, "\n%*s", (int)indent, "");
            column = indent;
            first = true;
        }
        fprintf(out, "%s%.*s", first ? "" : " ", (int)length, text);
        column += length + (first ? 0 : 1);
        first = false;
        text += length;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

/* "|a|b" becomes ": a, b". */
static void list_choices(char *out, size_t size, const char *choices)
{
    size_t used = 0;
    out[0] = '\0';
    while (choices != NULL && *choices != '\0' && used < size) {
        size_t length = strcspn(choices, "|");
        if (length > 0) {
            int n = snprintf(out + used, size - used, "%s %.*s", used > 0 ? "," : ":", (int)length, choices);
            used += n > 0 ? (size_t)n : 0;
        }
        choices += length + (choices[length] == '|' ? 1 : 0);
    }
}

static void print_option(const option_spec *spec, FILE *out, size_t width)
{
    char head[160], choices[256], sentence[896];
    const bool takes_value = spec->kind == OPTION_VALUE, may = takes_value && spec->bare != NULL;
    int length = snprintf(head, sizeof head, "  %c%c%s --%s%s%s%s", spec->letter != 0 ? '-' : ' ',
                          spec->letter != 0 ? spec->letter : ' ', spec->letter != 0 ? "," : " ", spec->name,
                          may ? "[=" : takes_value ? " " : "", takes_value ? spec->value : "", may ? "]" : "");
    bool has_default = spec->fallback != NULL && spec->fallback[0] != '\0';
    list_choices(choices, sizeof choices, spec->choices);
    snprintf(sentence, sizeof sentence, "%s%s%s%s%s%s", spec->help, choices, spec->repeatable ? " (may be repeated)" : "",
             has_default ? " [" : "", has_default ? spec->fallback : "", has_default ? "]" : "");
    fputs(head, out);
    if (length < 0 || length + 2 > HELP_COLUMN) {
        fprintf(out, "\n%*s", HELP_COLUMN, "");
    } else {
        fprintf(out, "%*s", HELP_COLUMN - length, "");
    }
    print_wrapped(out, sentence, HELP_COLUMN, HELP_COLUMN, width);
}

void options_print_help(const options_manual *manual, FILE *out, size_t width)
{
    fprintf(out, "Usage: %s %s\n\n", manual->program, manual->synopsis);
    print_wrapped(out, manual->summary, 0, 0, width);
    const char *group = NULL;
    for (size_t i = 0; i < manual->spec_count; i++) {
        const option_spec *spec = &manual->specs[i];
        const char *heading = spec->group != NULL ? spec->group : "Options";
        if (group == NULL || strcmp(group, heading) != 0) {
            fprintf(out, "\n%s:\n", heading);
            group = heading;
        }
        print_option(spec, out, width);
    }
    if (manual->trailer != NULL) {
        fprintf(out, "\n%s", manual->trailer);
    }
}
