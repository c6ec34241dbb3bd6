/* SPDX-License-Identifier: Apache-2.0 */
#include "host/ready_file.h"

#include <stdlib.h>
#include <unistd.h>

#include "host/whole_file.h"

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
    json_t *all = json_pack("{s:i, s:O}", "pid", (int)getpid(), "listen", f->urls);
    char *text = json_dumps(all, JSON_COMPACT);
    const loom_status st = text == NULL ? LOOM_ENOMEM : whole_file_write(f->path, 0666, text) ? LOOM_OK : LOOM_EIO;
    free(text);
    json_decref(all);
    return st;
}

void ready_file_fini(ready_file *f)
{
    json_decref(f->urls);
}
