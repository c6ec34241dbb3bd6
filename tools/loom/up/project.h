/* SPDX-License-Identifier: Apache-2.0 */
/* A project is a loom.toml. What an `up` of it needs while it runs lies in a directory of its own, RUNTIME/up/HASH, mode 0700:
 *
 *     lock         held (flock) by `up` and its guardian; free means that nothing of it runs any more
 *     state.json   see state.h; not there after an orderly end
 *     log, log.1   what everything printed; see journal.h
 */
#ifndef LOOM_TOOLS_UP_PROJECT_H
#define LOOM_TOOLS_UP_PROJECT_H

#include "tools/loom/verb.h"

#define OPTION_PROJECT                                                                                                \
    {.name = "config", .letter = 'c', .kind = OPTION_VALUE, .value = "FILE", .fallback = "loom.toml", .group = "General", \
     .help = "The project's configuration"}

enum { PROJECT_DIR_SIZE = 160, PROJECT_WHY_SIZE = 512 };

typedef struct project {
    char *file;                 /* absolute, without symbolic links */
    char *folder;               /* the one it is in */
    char dir[PROJECT_DIR_SIZE]; /* RUNTIME/up/HASH */
    int lock;                   /* -1: not held */
} project;

/* file: NULL is ./loom.toml. False: there is no such file, or no directory for its state; why says which. */
bool project_open(project *p, const char *file, char why[PROJECT_WHY_SIZE]);
void project_close(project *p); /* gives the lock back */
/* dir/name, on the heap. NULL: no memory. */
char *project_path(const project *p, const char *name);

typedef enum project_lock_result { PROJECT_LOCKED, PROJECT_BUSY, PROJECT_FAILED } project_lock_result;
/* wait_ms: how long to try. PROJECT_FAILED: errno tells. */
project_lock_result project_lock(project *p, unsigned wait_ms);
/* Whether an `up` runs, or its guardian is still cleaning up behind it. */
bool project_is_up(const project *p);

#endif
