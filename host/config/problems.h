/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong with a configuration or a command line: a bounded list of sentences, so that a reader gets all the
 * mistakes at once. Fixed storage, because it also has to tell about running out of memory. */
#ifndef LOOM_HOST_CONFIG_PROBLEMS_H
#define LOOM_HOST_CONFIG_PROBLEMS_H

#include <loom/api.h>
#include <stdio.h>

LOOM_BEGIN_DECLS

#define PROBLEMS_MAX 20
#define PROBLEM_TEXT_SIZE 384 /* bytes with NUL; longer sentences are cut */

typedef enum problem_severity { PROBLEM_ERROR, PROBLEM_WARNING } problem_severity;

typedef struct problem {
    problem_severity severity;
    unsigned line, column; /* 1-based place in a file; 0: not in a file */
    char text[PROBLEM_TEXT_SIZE]; /* one line, place included, control characters shown as '?' */
} problem;

typedef struct problems {
    problem items[PROBLEMS_MAX];
    size_t count;   /* in items */
    size_t errors;  /* of all, kept or not */
    size_t omitted; /* that found no room */
} problems;

void problems_init(problems *list);
/* Text from outside may be passed in arguments: it is made printable. */
void problems_add(problems *list, problem_severity severity, const char *format, ...) __attribute__((format(printf, 3, 4)));
void problems_add_at(problems *list, problem_severity severity, unsigned line, unsigned column, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* By line and column, problems without a place first, otherwise in order of arrival. */
void problems_sort(problems *list);
/* One line each, "program: warning: " or "program: " in front, and how many were left out. */
void problems_print(const problems *list, FILE *out, const char *program);

LOOM_END_DECLS
#endif
