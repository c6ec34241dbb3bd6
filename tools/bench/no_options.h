/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of a benchmark that has no options: asked for help, or given anything else, it must not begin to measure. */
#ifndef LOOM_BENCH_NO_OPTIONS_H
#define LOOM_BENCH_NO_OPTIONS_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Whether to measure; otherwise the answer has been printed, and *exit_code is 0 or 2. */
static inline bool bench_may_begin(int argc, char *const argv[], const char *summary, int *exit_code)
{
    *exit_code = 0;
    if (argc < 2) {
        return true;
    }
    const char *name = strrchr(argv[0], '/') != NULL ? strrchr(argv[0], '/') + 1 : argv[0];
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        printf("Usage: %s\n\n%s\nIt has no options but -h and --help.\n", name, summary);
        return false;
    }
    fprintf(stderr, "%s: unexpected argument \"%s\"\nTry `%s --help`.\n", name, argv[1], name);
    *exit_code = 2;
    return false;
}

#endif
