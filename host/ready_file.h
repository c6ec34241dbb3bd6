/* SPDX-License-Identifier: Apache-2.0 */
/* --ready-file: the URLs a process really listens on, written in one piece when all of them stand. */
#ifndef LOOM_HOST_READY_FILE_H
#define LOOM_HOST_READY_FILE_H

#include <jansson.h>
#include <loom/status.h>

typedef struct ready_file {
    const char *path; /* NULL: none is wanted, and all of this does nothing */
    json_t *urls;
} ready_file;

void ready_file_init(ready_file *f, const char *path);
void ready_file_add(ready_file *f, const char *url);
/* {"pid": …, "listen": [URL, …]}; a reader sees all of it or no file. LOOM_EIO, LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status ready_file_write(const ready_file *f);
void ready_file_fini(ready_file *f);

#endif
