/* SPDX-License-Identifier: Apache-2.0 */
#include "host/ready_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void ready_file_init(ready_file *f, const char *path)
{
    *f = (ready_file){path, path != NULL ? json_array() : NULL};
    if (path != NULL) {
        (void)unlink(path); /* of an earlier run: its URLs are not true any more */
    }
}

void ready_file_add(ready_file *f, const char *url)
{
    if (f->urls != NULL) {
        json_array_append_new(f->urls, json_string(url));
    }
}

loom_status ready_file_write(const ready_file *f)
{
    if (f->path == NULL) {
        return LOOM_OK;
    }
    char *temporary;
    if (asprintf(&temporary, "%s.%d", f->path, (int)getpid()) < 0) {
        return LOOM_ENOMEM;
    }
    json_t *all = json_pack("{s:i, s:O}", "pid", (int)getpid(), "listen", f->urls);
    bool ok = all != NULL && json_dump_file(all, temporary, JSON_COMPACT) == 0 && rename(temporary, f->path) == 0;
    if (!ok) {
        (void)unlink(temporary);
    }
    json_decref(all);
    free(temporary);
    return ok ? LOOM_OK : LOOM_EIO;
}

void ready_file_fini(ready_file *f)
{
    json_decref(f->urls);
}
