/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/up/journal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/rfc3339.h"
#include "base/str.h"

static int open_new(const char *path)
{
    return open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
}

bool journal_open(journal *j, const project *p)
{
    *j = (journal){.path = project_path(p, "log"), .older = project_path(p, "log.1"), .fd = -1};
    if (j->path == NULL || j->older == NULL) {
        return false;
    }
    (void)unlink(j->older);
    (void)unlink(j->path); /* a reader that follows keeps the old one, and sees that it is another */
    j->fd = open_new(j->path);
    return j->fd >= 0;
}

static void turn_over(journal *j)
{
    (void)close(j->fd);
    (void)rename(j->path, j->older);
    j->fd = open_new(j->path);
    j->size = 0;
}

void journal_put(journal *j, const char *name, loom_str line)
{
    char head[RFC3339_SIZE + 48];
    size_t len = rfc3339_put(head, clock_unix_ns(), 3);
    len += (size_t)snprintf(head + len, sizeof head - len, " %.40s ", name);
    if (j->fd >= 0 && j->size > 0 && j->size + len + line.len + 1 > JOURNAL_FILE_MAX) {
        turn_over(j);
    }
    const struct iovec parts[] = {
        {head, len}, {(void *)(uintptr_t)(line.data != NULL ? line.data : ""), line.len}, {(char[]){'\n'}, 1}};
    const ssize_t written = j->fd >= 0 ? writev(j->fd, parts, 3) : -1;
    j->size += written > 0 ? (size_t)written : 0;
    j->lost += written < 0;
}

void journal_close(journal *j)
{
    if (j->fd >= 0) {
        close(j->fd);
    }
    free(j->path);
    free(j->older);
    *j = (journal){.fd = -1};
}

bool journal_parse(loom_str line, loom_str *time, loom_str *name, loom_str *text)
{
    loom_str rest = line;
    if (!str_next_item(&rest, ' ', time) || !str_next_item(&rest, ' ', name) || rest.data == NULL) {
        return false;
    }
    *text = rest;
    return time->len > 0 && name->len > 0;
}
