/* SPDX-License-Identifier: Apache-2.0 */
/* Shared libraries that are loaded when they are first needed, so that a process that never needs them does not pay for
 * them. A library is never unloaded. */
#ifndef LOOM_BASE_SHARED_LIBRARY_H
#define LOOM_BASE_SHARED_LIBRARY_H

#include <loom/status.h>

#define SHARED_LIBRARY_PROBLEM_SIZE 160

typedef struct shared_library {
    const char *needed;       /* who needs what, and the Debian package: "OTLP needs libcurl (Debian: libcurl4)" */
    const char *oldest;       /* "libcurl 7.68" */
    const char *files[3];     /* sonames to try in turn; the rest is NULL */
    const struct library_function {
        const char *name;
        size_t at;            /* offset of its pointer in the table */
    } *functions;
    size_t function_count;
} shared_library;

/* Loads it and fills the table with the addresses of its functions.
 * LOOM_ENOTFOUND: there is none.  LOOM_EVERSION: it lacks a function. problem then is a sentence for the user. */
LOOM_MUST_CHECK loom_status shared_library_load(void *table, const shared_library *library,
                                                char problem[SHARED_LIBRARY_PROBLEM_SIZE]);

#endif
