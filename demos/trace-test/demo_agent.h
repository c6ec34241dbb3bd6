/* SPDX-License-Identifier: Apache-2.0 */
/* What the three agents of this demo have in common: their options, and connecting. */
#ifndef TRACE_TEST_DEMO_AGENT_H
#define TRACE_TEST_DEMO_AGENT_H

#include <loom/loom.h>

enum { DEMO_EXIT_USAGE = 2 };

/* A whole number that an option gives. */
typedef struct demo_number {
    const char *name; /* "readings" for --readings; NULL ends a table */
    const char *help;
    long min, max;
    long *value;
} demo_number;

/* Reads --url, --help and the numbers. False: the program is to end, with *exit_status. */
bool demo_options(int argc, char **argv, const char *what, const demo_number *numbers, const char **url, int *exit_status);

/* Opens the agent, waits until its subscriptions stand, and prints "ready". NULL: standard error says why. */
loom_agent *demo_open(const loom_agent_options *options);
/* Closes it; the exit status of the program. */
int demo_close(loom_agent *agent);

#endif
