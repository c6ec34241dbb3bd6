/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs of the command line, in tables: "loom trace ls" is the verb ls of the table of the verb trace. */
#ifndef LOOM_TOOLS_VERB_H
#define LOOM_TOOLS_VERB_H

#include "host/cli/options.h"

/* Exit codes of every verb: X(name, value, text for --help). */
#define VERB_EXIT_MAP(X)                                                                                             \
    X(OK, 0, "done")                                                                                                 \
    X(FAILED, 1, "failed, for a reason that none of the others names")                                               \
    X(USAGE, OPTIONS_EXIT_USAGE, "the command line makes no sense")                                                  \
    X(NOT_CONNECTED, 3, "no connection: nobody listens there, or not a broker of Loom")                              \
    X(TIMEOUT, 4, "no answer in time")                                                                               \
    X(NOBODY, 5, "nobody is there who provides or receives it, or nothing has that name")                                                      \
    X(DENIED, 6, "not permitted, or not trusted")                                                                    \
    X(OVER_LIMIT, 7, "over a limit: too large, too many, out of descriptors")                                        \
    X(INTERRUPTED, 130, "interrupted before it was done")
enum {
#define X(name, value, text) VERB_##name = (value),
    VERB_EXIT_MAP(X)
#undef X
};
/* Which of them a status ends a verb with. */
int verb_exit_of(loom_status st);

typedef struct verb {
    const char *name;
    const char *summary; /* a line for the table in the help text */
    int (*run)(int argc, char *const argv[]); /* argv[0] is the verb itself; returns the exit code */
} verb;

/* What people who come from elsewhere call a verb. */
typedef struct verb_synonym {
    const char *name, *verb;
} verb_synonym;

typedef struct verb_word {
    const char *name, *help;
} verb_word;

typedef struct verb_table {
    const char *program; /* "loom", "loom trace" */
    const char *summary;
    const verb *verbs;
    size_t count;
    const verb_word *options; /* in front of the verb, but for --help; ended by a NULL name; may be NULL */
    const char *trailer; /* examples */
    const verb_synonym *synonyms; /* suggested, not run; ended by a NULL name; may be NULL */
} verb_table;

/* Runs the verb that argv[1] names; handles --help, help [VERB], --version, version, and unknown verbs. */
int verb_table_run(const verb_table *table, int argc, char *const argv[]);

/* What stands as the last argument of a verb, or of a table, that is asked to print its words instead of working: a line each,
 * with tabs between the word and its description; of an option, also its letter ("-": none), how it takes a value ("next": as the
 * next argument or behind "=", "joined": behind "=" alone, "no"), what help calls that, and its choices. Nobody types it. */
#define VERB_WORDS "\x01words"
/* Those of the verb that argv leads to ("loom", "trace", "ls"), on the heap. NULL: there is no such verb, or no memory. */
char *verb_words(int argc, char *const argv[]);

typedef struct command {
    options_manual manual; /* its specs have --help */
    size_t operands_max;
    bool stops_at_operand; /* everything behind the first operand is one: a command line */
    bool masks_spans;      /* they tell what others have written, and are masked whatever the environment says */
    bool own_exit_codes;   /* those of a command that it runs */
} command;

/* Reads the command line of one verb. True: run it, then options_fini(). False: exit with *exit_code; the reason has been
 * printed. */
bool command_start(const command *c, options *out, int argc, char *const argv[], int *exit_code);
/* Both, around run, whose exit code it returns. */
int command_run(const command *c, int argc, char *const argv[], int (*run)(const options *o));
/* "program: message" on standard error; returns VERB_FAILED. */
int command_fail(const command *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same with the exit code of st, which message tells of. */
int command_fail_with(const command *c, loom_status st, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The same for a wrong command line; returns VERB_USAGE. */
int command_misuse(const command *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Flushes standard output; a full disk is a failure, a reader that has gone is not. Returns the exit code. */
int command_finish(const command *c, int exit_code);

#define OPTION_HELP {.name = "help", .letter = 'h', .kind = OPTION_FLAG, .group = "General", .help = "Show this help and exit"}

#endif
