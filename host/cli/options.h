/* SPDX-License-Identifier: Apache-2.0 */
/* Command lines as a table of options: "--key value", "--key=value", "-k value", "-kvalue", "-abc" for flags,
 * "--key" alone where a value may be left out, "--no-key" for switches, "--" before operands that begin with a dash. The help text comes from the same table. */
#ifndef LOOM_HOST_CLI_OPTIONS_H
#define LOOM_HOST_CLI_OPTIONS_H

#include "host/config/problems.h"

#include <loom/status.h>

#define OPTIONS_EXIT_USAGE 2 /* exit code for a command line that makes no sense */

typedef enum option_kind {
    OPTION_FLAG,   /* given or not */
    OPTION_SWITCH, /* --key, --key=true|false, --no-key */
    OPTION_VALUE   /* takes a value; the last one counts unless it is repeatable */
} option_kind;

typedef struct option_spec {
    const char *name; /* without dashes */
    char letter;      /* 0: none */
    option_kind kind;
    bool repeatable;
    const char *value;    /* what help calls it, such as "URL"; OPTION_VALUE only */
    const char *bare;     /* the value of "--key" alone, which then takes no next argument; NULL: it needs a value */
    const char *choices;  /* "a|b|c", shown behind the sentence; NULL: any value */
    const char *fallback; /* the default that help shows; NULL or "": none */
    const char *group;    /* heading in help; specs of one group stand together */
    const char *help;     /* a sentence, without its stop */
} option_spec;

/* One option as it was given. */
typedef struct option_use {
    size_t spec;       /* index */
    const char *value; /* borrowed from argv; "true" or "false" for flags and switches */
} option_use;

typedef struct options {
    const option_spec *specs; /* borrowed */
    size_t spec_count;
    option_use *uses; /* in the order given */
    size_t use_count;
    const char **operands; /* borrowed strings of argv, in order */
    size_t operand_count;
} options;

/* With stop_at_operand everything behind the first operand is an operand: for commands that have options of their own.
 * LOOM_EINVAL: the problems are in the list, and what could be read is in *out. LOOM_ENOMEM: nothing is held.
 * argv has to outlive *out. */
LOOM_MUST_CHECK loom_status options_parse(options *out, const option_spec *specs, size_t spec_count, int argc,
                                          char *const argv[], bool stop_at_operand, problems *list);
void options_fini(options *o);

bool options_has(const options *o, const char *name);
/* The last value given, or NULL when there is none. */
const char *options_value(const options *o, const char *name);
/* Up to max values of a repeatable option, in order; returns how many there are. */
size_t options_values(const options *o, const char *name, loom_str *out, size_t max);
/* Whether a flag or switch is on. */
bool options_is_on(const options *o, const char *name);

typedef struct options_manual {
    const char *program;
    const char *summary;  /* a sentence or a paragraph */
    const char *synopsis; /* what follows the program's name in "Usage:"; may hold several lines */
    const option_spec *specs;
    size_t spec_count;
    const char *trailer; /* examples, environment, files: printed as it is; may be NULL */
} options_manual;

/* width: columns to wrap at (term_width()). */
void options_print_help(const options_manual *manual, FILE *out, size_t width);

#endif
