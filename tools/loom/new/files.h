/* SPDX-License-Identifier: Apache-2.0 */
/* Files of a template, copied into a new folder. */
#ifndef LOOM_TOOLS_NEW_FILES_H
#define LOOM_TOOLS_NEW_FILES_H

#include <stdbool.h>
#include <stddef.h>

enum { FILES_WHY_SIZE = 512 };

/* What stands in a template for something else: "@NAME@". The list ends with a NULL mark. */
typedef struct replacement {
    const char *mark, *text;
} replacement;

/* Copies from/name to to/name, which must not be there. False: why says what went wrong. */
bool files_copy(const char *from, const char *to, const char *name, const replacement *with, char why[FILES_WHY_SIZE]);

#endif
