/* SPDX-License-Identifier: Apache-2.0 */
/* What the agents of the demos have in common: their options, connecting, and doing something every now and then. */
#ifndef LOOM_DEMO_AGENT_H
#define LOOM_DEMO_AGENT_H

#include <loom/loom.h>

enum { DEMO_EXIT_USAGE = 2 };

/* A whole number, or with text a string, that an option gives. */
typedef struct demo_option {
    const char *name; /* "readings" for --readings; NULL ends a table */
    const char *help;
    long min, max;
    long *value;
    const char **text; /* borrowed from argv */
} demo_option;

/* Reads --url, --help and the options. False: the program is to end, with *exit_status. */
bool demo_options(int argc, char **argv, const char *what, const demo_option *options, const char **url, int *exit_status);

/* After demo_ready(). False: SIGINT or SIGTERM came first. */
bool demo_wait_ms(long ms);

/* Opens the agent, and demo_ready(). NULL: standard error says why. */
loom_agent *demo_open(const loom_agent_options *options);
/* Waits until its subscriptions stand, blocks SIGINT and SIGTERM for whoever takes them next, and prints "ready". */
loom_status demo_ready(loom_agent *agent);
/* Closes it; the exit status of the program. */
int demo_close(loom_agent *agent);

#endif
