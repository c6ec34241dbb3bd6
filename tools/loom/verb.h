/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs of the command line, in tables: "loom trace ls" is the verb ls of the table of the verb trace. */
#ifndef LOOM_TOOLS_VERB_H
#define LOOM_TOOLS_VERB_H

#include "host/cli/options.h"

/* Exit codes of every verb. */
enum { VERB_OK = 0, VERB_FAILED = 1, VERB_USAGE = OPTIONS_EXIT_USAGE };

typedef struct verb {
    const char *name;
    const char *summary; /* a line for the table in the help text */
    int (*run)(int argc, char *const argv[]); /* argv[0] is the verb itself; returns the exit code */
} verb;

typedef struct verb_table {
    const char *program; /* "loom", "loom trace" */
    const char *summary;
    const verb *verbs;
    size_t count;
    const char *trailer; /* examples */
} verb_table;

/* Runs the verb that argv[1] names; handles --help, help [VERB], --version, and unknown verbs. */
int verb_table_run(const verb_table *table, int argc, char *const argv[]);

typedef struct command {
    options_manual manual; /* its specs have --help */
    size_t operands_max;
    bool stops_at_operand; /* everything behind the first operand is one: a command line */
    bool masks_spans;      /* they tell what others have written, and are masked whatever the environment says */
} command;

/* Reads the command line of one verb. True: run it, then options_fini(). False: exit with *exit_code; the reason has been
 * printed. */
bool command_start(const command *c, options *out, int argc, char *const argv[], int *exit_code);
/* "program: message" on standard error; returns VERB_FAILED. */
int command_fail(const command *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same for a wrong command line; returns VERB_USAGE. */
int command_misuse(const command *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Flushes standard output; a full disk is a failure, a reader that has gone is not. Returns the exit code. */
int command_finish(const command *c, int exit_code);

#define OPTION_HELP {.name = "help", .letter = 'h', .kind = OPTION_FLAG, .group = "General", .help = "Show this help and exit"}

#endif
