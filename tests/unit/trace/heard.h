/* SPDX-License-Identifier: Apache-2.0 */
/* What is told in sentences, kept line by line. */
#ifndef LOOM_TESTS_TRACE_HEARD_H
#define LOOM_TESTS_TRACE_HEARD_H

#include <stdio.h>
#include <string.h>

typedef struct heard {
    char text[8192]; /* lines */
    unsigned count;
} heard;

static inline void hear(void *user, const char *text)
{
    heard *h = user;
    size_t len = strlen(h->text);
    snprintf(h->text + len, sizeof h->text - len, "%s\n", text);
    h->count++;
}

#endif
