/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/verb.h"

#include "base/str.h"
#include "base/suggest.h"
#include "host/cli/term.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <loom/version.h>

#define NAME_COLUMNS 12

static void print_exit_codes(FILE *out)
{
    static const struct {
        int code;
        const char *text;
    } codes[] = {
#define X(name, value, text) {value, text},
        VERB_EXIT_MAP(X)
#undef X
    };
    fputs("\nExit codes:\n", out);
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        fprintf(out, "  %-5d%s\n", codes[i].code, codes[i].text);
    }
}

int verb_exit_of(loom_status st)
{
    switch (st) {
    case LOOM_OK: return VERB_OK;
    case LOOM_ENOTCONN:
    case LOOM_ECLOSED:
    case LOOM_EPROTO:
    case LOOM_EEXPIRED:
    case LOOM_EVERSION: return VERB_NOT_CONNECTED;
    case LOOM_ETIMEDOUT: return VERB_TIMEOUT;
    case LOOM_ENORESPONDERS: return VERB_NOBODY;
    case LOOM_EDENIED: return VERB_DENIED;
    case LOOM_ETOOBIG:
    case LOOM_EFULL: return VERB_OVER_LIMIT;
    default: return VERB_FAILED;
    }
}

static void print_table_help(const verb_table *table, FILE *out)
{
    fprintf(out, "Usage: %s VERB [OPTION]…\n\n%s\n\nVerbs:\n", table->program, table->summary);
    for (size_t i = 0; i < table->count; i++) {
        fprintf(out, "  %-*s%s\n", NAME_COLUMNS, table->verbs[i].name, table->verbs[i].summary);
    }
    fputs(table->options != NULL ? "\nIn front of the verb:\n" : "", out);
    for (const verb_word *o = table->options; o != NULL && o->name != NULL; o++) {
        fprintf(out, "  %-*s%s\n", NAME_COLUMNS, o->name, o->help);
    }
    fprintf(out, "\nRun `%s VERB --help` for help on a verb.\n", table->program);
    if (table->trailer != NULL) {
        fprintf(out, "\n%s", table->trailer);
    }
    print_exit_codes(out);
}

/* Whatever was printed has to arrive; a reader that has gone does not mind. Why an earlier write failed is not known any more:
 * errno is EIO then. */
static bool flush_output(void)
{
    if (fflush(stdout) != 0) {
        return errno == EPIPE;
    }
    struct pollfd reader = {STDOUT_FILENO, 0, 0};
    errno = EIO;
    return ferror(stdout) == 0 || (poll(&reader, 1, 0) == 1 && (reader.revents & POLLERR) != 0);
}

static int finish_table(const verb_table *table)
{
    if (flush_output()) {
        return VERB_OK;
    }
    fprintf(stderr, "%s: cannot write: %s\n", table->program, strerror(errno));
    return VERB_FAILED;
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

/* The verb that is meant by a name which other programs use, or that is nearly this one; NULL: none is near. redis-cli takes
 * capitals, too. */
static const char *nearest_verb(const verb_table *table, const char *name)
{
    for (const verb_synonym *known = table->synonyms; known != NULL && known->name != NULL; known++) {
        if (strcasecmp(known->name, name) == 0) {
            return known->verb;
        }
    }
    suggestion s;
    suggestion_init(&s, str_of(name));
    for (size_t i = 0; i < table->count; i++) {
        if (strcasecmp(table->verbs[i].name, name) == 0) {
            return table->verbs[i].name;
        }
        suggestion_consider(&s, table->verbs[i].name);
    }
    return suggestion_result(&s);
}

static const char *nearest_option(const verb_table *table, const char *name)
{
    suggestion s;
    if (strcmp(name, "-v") == 0) {
        return "--version";
    }
    suggestion_init(&s, (loom_str){name, strcspn(name, "=")});
    suggestion_consider(&s, "--help");
    for (const verb_word *o = table->options; o != NULL && o->name != NULL; o++) {
        suggestion_consider(&s, o->name);
    }
    return suggestion_result(&s);
}

static int unknown_verb(const verb_table *table, const char *name)
{
    problems list;
    problems_init(&list);
    const bool option = name[0] == '-';
    const char *nearest = option ? nearest_option(table, name) : nearest_verb(table, name);
    problems_add(&list, PROBLEM_ERROR, "unknown %s \"%s\"%s%s%s", option ? "option" : "verb", name,
                 nearest != NULL ? "; did you mean \"" : option ? "; options stand behind the verb" : "", nearest != NULL ? nearest : "",
                 nearest != NULL ? "\"?" : "");
    problems_print(&list, stderr, table->program);
    fprintf(stderr, "Try `%s --help`.\n", table->program);
    return VERB_USAGE;
}

/* All words of a table; who asked looks which of them fit. */
static void print_verbs(const verb_table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        printf("%s\t%s\n", table->verbs[i].name, table->verbs[i].summary);
    }
    printf("--help\tShow help and exit\n");
    for (const verb_word *o = table->options; o != NULL && o->name != NULL; o++) {
        printf("%s\t%s\n", o->name, o->help);
    }
}

static void print_options(const command *c)
{
    for (size_t i = 0; i < c->manual.spec_count; i++) {
        const option_spec *s = &c->manual.specs[i];
        printf("--%s\t%s\t%c\t%s\t%s\t%s\n", s->name, s->help, s->letter != '\0' ? s->letter : '-',
               s->kind != OPTION_VALUE ? "no" : s->bare != NULL ? "joined" : "next", s->value != NULL ? s->value : "",
               s->choices != NULL ? s->choices : "");
    }
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
    if (strcmp(name, VERB_WORDS) == 0) {
        print_verbs(table);
        return VERB_OK;
    }
    if (is_any(name, "--version", "-V") || strcmp(name, "version") == 0) {
        printf("loom %s\n", LOOM_VERSION);
        return finish_table(table);
    }
    bool help = is_any(name, "--help", "-h") || strcmp(name, "help") == 0;
    if (help && (argc < 3 || name[0] == '-')) {
        print_table_help(table, stdout);
        return finish_table(table);
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
    if (argc > 1 && strcmp(argv[argc - 1], VERB_WORDS) == 0) { /* whatever else there is, it does not work now */
        print_options(c);
        *exit_code = VERB_OK;
        return false;
    }
    loom_status st = options_parse(out, c->manual.specs, c->manual.spec_count, argc, argv, c->stops_at_operand, &list);
    if (st == LOOM_ENOMEM) {
        *exit_code = command_fail(c, "out of memory");
        return false;
    }
    if (options_is_on(out, "help")) {
        options_print_help(&c->manual, stdout, term_width(STDOUT_FILENO));
        if (!c->own_exit_codes) {
            print_exit_codes(stdout);
        }
        options_fini(out);
        *exit_code = command_finish(c, VERB_OK);
        return false;
    }
    if (st == LOOM_OK && out->operand_count > c->operands_max) {
        problems_add(&list, PROBLEM_ERROR, "unexpected argument \"%s\"", out->operands[c->operands_max]);
        st = LOOM_EINVAL;
    }
    problems_print(&list, stderr, c->manual.program);
    if (st != LOOM_OK) {
        fprintf(stderr, "Usage: %s %s\nTry `%s --help`.\n", c->manual.program, c->manual.synopsis, c->manual.program);
        options_fini(out);
        *exit_code = VERB_USAGE;
        return false;
    }
    return true;
}

int command_run(const command *c, int argc, char *const argv[], int (*run)(const options *o))
{
    options o;
    int exit_code;
    if (!command_start(c, &o, argc, argv, &exit_code)) {
        return exit_code;
    }
    exit_code = run(&o);
    options_fini(&o);
    return exit_code;
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

int command_fail_with(const command *c, loom_status st, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(c, format, arguments);
    va_end(arguments);
    return verb_exit_of(st);
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
    return flush_output() ? exit_code : command_fail(c, "cannot write: %s", strerror(errno));
}
