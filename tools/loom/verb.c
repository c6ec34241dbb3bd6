/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/verb.h"

#include "base/str.h"
#include "base/suggest.h"
#include "host/cli/term.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#define NAME_COLUMNS 12

static void print_table_help(const verb_table *table, FILE *out)
{
    fprintf(out, "Usage: %s VERB [OPTION]…\n\n%s\n\nVerbs:\n", table->program, table->summary);
    for (size_t i = 0; i < table->count; i++) {
        fprintf(out, "  %-*s%s\n", NAME_COLUMNS, table->verbs[i].name, table->verbs[i].summary);
    }
    fprintf(out, "\nRun `%s VERB --help` for help on a verb.\n", table->program);
    if (table->trailer != NULL) {
        fprintf(out, "\n%s", table->trailer);
    }
}

static const verb *find_verb(const verb_table *table, const char *name)
{
    for (size_t i = 0; i < table->count; i++) {
        if (strcmp(table->verbs[i].name, name) == 0) {
            return &table->verbs[i];
        }
    }
    return NULL;
}

static int unknown_verb(const verb_table *table, const char *name)
{
    suggestion s;
    suggestion_init(&s, str_of(name));
    for (size_t i = 0; i < table->count; i++) {
        suggestion_consider(&s, table->verbs[i].name);
    }
    problems list;
    problems_init(&list);
    const char *nearest = suggestion_result(&s);
    problems_add(&list, PROBLEM_ERROR, "unknown %s \"%s\"%s%s%s", name[0] == '-' ? "option" : "verb", name,
                 nearest != NULL ? "; did you mean \"" : "", nearest != NULL ? nearest : "", nearest != NULL ? "\"?" : "");
    problems_print(&list, stderr, table->program);
    fprintf(stderr, "Try `%s --help`.\n", table->program);
    return VERB_USAGE;
}

static bool is_any(const char *text, const char *a, const char *b)
{
    return strcmp(text, a) == 0 || strcmp(text, b) == 0;
}

int verb_table_run(const verb_table *table, int argc, char *const argv[])
{
    if (argc < 2) {
        print_table_help(table, stderr);
        return VERB_USAGE;
    }
    const char *name = argv[1];
    if (is_any(name, "--version", "-V")) {
        printf("loom %s\n", LOOM_VERSION);
        return VERB_OK;
    }
    bool help = is_any(name, "--help", "-h") || strcmp(name, "help") == 0;
    if (help && (argc < 3 || name[0] == '-')) {
        print_table_help(table, stdout);
        return VERB_OK;
    }
    const verb *v = find_verb(table, help ? argv[2] : name);
    if (v == NULL) {
        return unknown_verb(table, help ? argv[2] : name);
    }
    if (help) {
        char *const asked[] = {argv[2], (char[]){"--help"}, NULL};
        return v->run(2, asked);
    }
    return v->run(argc - 1, argv + 1);
}

bool command_start(const command *c, options *out, int argc, char *const argv[], int *exit_code)
{
    problems list;
    problems_init(&list);
    loom_status st = options_parse(out, c->manual.specs, c->manual.spec_count, argc, argv, c->stops_at_operand, &list);
    if (st == LOOM_ENOMEM) {
        *exit_code = command_fail(c, "out of memory");
        return false;
    }
    if (options_is_on(out, "help")) {
        options_print_help(&c->manual, stdout, term_width(STDOUT_FILENO));
        options_fini(out);
        *exit_code = VERB_OK;
        return false;
    }
    if (st == LOOM_OK && out->operand_count > c->operands_max) {
        problems_add(&list, PROBLEM_ERROR, "unexpected argument \"%s\"", out->operands[c->operands_max]);
        st = LOOM_EINVAL;
    }
    problems_print(&list, stderr, c->manual.program);
    if (st != LOOM_OK) {
        fprintf(stderr, "Try `%s --help`.\n", c->manual.program);
        options_fini(out);
        *exit_code = VERB_USAGE;
        return false;
    }
    return true;
}

static void say(const command *c, const char *format, va_list arguments)
{
    char text[PROBLEM_TEXT_SIZE];
    vsnprintf(text, sizeof text, format, arguments);
    problems list;
    problems_init(&list);
    problems_add(&list, PROBLEM_ERROR, "%s", text); /* makes what came from outside printable */
    problems_print(&list, stderr, c->manual.program);
}

int command_fail(const command *c, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(c, format, arguments);
    va_end(arguments);
    return VERB_FAILED;
}

int command_misuse(const command *c, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(c, format, arguments);
    va_end(arguments);
    fprintf(stderr, "Try `%s --help`.\n", c->manual.program);
    return VERB_USAGE;
}

int command_finish(const command *c, int exit_code)
{
    if (fflush(stdout) != 0 && errno != EPIPE) {
        return command_fail(c, "cannot write: %s", strerror(errno));
    }
    return exit_code;
}
