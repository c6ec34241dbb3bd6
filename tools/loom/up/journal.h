/* SPDX-License-Identifier: Apache-2.0 */
/* The log of an `up` on disk, for `loom logs`: lines "2026-11-29T04:00:00.123Z NAME TEXT". When a file is full, it becomes log.1
 * in place of the one before, so that the log never takes more than two files' room. */
#ifndef LOOM_TOOLS_UP_JOURNAL_H
#define LOOM_TOOLS_UP_JOURNAL_H

#include <loom/api.h>

#include "tools/loom/up/project.h"

enum { JOURNAL_FILE_MAX = 4 * 1024 * 1024, JOURNAL_LINE_MAX = 8 * 1024 };

typedef struct journal {
    char *path, *older;
    int fd;          /* -1: it cannot be written */
    size_t size;
    uint64_t lost;   /* lines that could not be written */
} journal;

/* Begins anew. False: errno tells. */
bool journal_open(journal *j, const project *p);
void journal_put(journal *j, const char *name, loom_str line);
void journal_close(journal *j);

/* A line taken apart; false: it is none of the above. */
bool journal_parse(loom_str line, loom_str *time, loom_str *name, loom_str *text);

#endif
