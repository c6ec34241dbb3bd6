/* SPDX-License-Identifier: Apache-2.0 */
/* OTLP/JSON lines in a file or on standard output (https://opentelemetry.io/docs/specs/otel/protocol/file-exporter/): one request each.
 * O_APPEND and one write for a line, so that several processes may share a file.
 *
 * A disk may be full in the middle of a line, and a process may be killed there. What could not be written whole is cut off
 * again, and a line never begins behind somebody else's unfinished one. */
#include "trace/export/exporter.h"
#include "trace/otlp/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_MAX_SIZE (512u * 1024u * 1024u) /* bytes: a batch of the largest spans */

typedef struct file_exporter {
    exporter base;
    int fd;
    const char *name; /* for messages */
    char *path;       /* NULL: standard output */
    bool torn;        /* our last line has no end, unless it was taken back */
    pb_buf line; /* kept between batches */
} file_exporter;

/* Somebody's line has no end. Of a file its last byte says so, unless it may not be read; of a pipe or a terminal we know only
 * what became of our own. */
static bool is_mid_line(const file_exporter *e)
{
    struct stat info;
    char last;
    if (fstat(e->fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        return e->torn;
    }
    return info.st_size > 0 && pread(e->fd, &last, 1, info.st_size - 1) == 1 && last != '\n';
}

/* Takes back the start of a line, unless another process has written behind it since. */
static void take_back(int fd, size_t written)
{
    struct stat info;
    off_t end = lseek(fd, 0, SEEK_CUR); /* where our last write ended: the file is open for appending */
    if (written > 0 && end >= (off_t)written && fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size == end) {
        (void)!ftruncate(fd, end - (off_t)written);
    }
}

static bool write_line(file_exporter *e, export_deadline until)
{
    if (is_mid_line(e) && stream_write(e->fd, (const uint8_t *)"\n", 1, until) != 1) {
        return false;
    }
    size_t written = stream_write(e->fd, e->line.data, e->line.len, until);
    e->torn = written > 0 && written < e->line.len;
    if (e->torn) {
        int error = errno;
        take_back(e->fd, written);
        errno = error;
    }
    return written == e->line.len;
}

static void file_send(exporter *self, loom_bytes request, export_deadline until, export_result *result)
{
    file_exporter *e = (file_exporter *)self;
    pb_rollback(&e->line, 0);
    loom_status st = otlp_json_request(&e->line, request);
    pb_raw(&e->line, "\n", 1);
    if (st != LOOM_OK || e->line.failed) {
        (void)snprintf(result->message, sizeof result->message, "%s: %s", e->name,
                       loom_status_text(st != LOOM_OK ? st : LOOM_ENOMEM));
    } else if (write_line(e, until)) {
        result->outcome = EXPORT_OK;
    } else {
        char reason[100];
        (void)snprintf(result->message, sizeof result->message, "%s: %s", e->name, strerror_r(errno, reason, sizeof reason));
    }
}

static void file_close(exporter *self)
{
    file_exporter *e = (file_exporter *)self;
    if (e->fd != STDOUT_FILENO) {
        (void)close(e->fd);
    }
    pb_fini(&e->line);
    free(e->path);
    free(e);
}

/* A regular file is opened for reading, too, to see how it ends; a pipe must not be, or it would never break. One that nobody
 * reads cannot be opened: to wait for a reader would keep the program. */
static int open_to_append(const char *path)
{
    struct stat info;
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0644);
    if (fd >= 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) {
        int both = open(path, O_RDWR | O_APPEND | O_CLOEXEC);
        if (both >= 0) {
            close(fd);
            return both;
        }
    }
    return fd;
}

/* When it fails, the old file stays: its spans are better than none. */
static void file_reopen(exporter *self)
{
    file_exporter *e = (file_exporter *)self;
    const int fd = e->path != NULL ? open_to_append(e->path) : -1;
    if (fd >= 0) {
        (void)close(e->fd);
        e->fd = fd;
        e->torn = false;
    }
}

/* fd is taken over when there is memory. path NULL: none. */
static loom_status open_on(exporter **out, int fd, const char *name, const char *path)
{
    static const exporter_ops ops = {.send = file_send, .reopen = file_reopen, .close = file_close};
    file_exporter *e = calloc(1, sizeof *e);
    *out = NULL;
    if (e == NULL || (path != NULL && (e->path = strdup(path)) == NULL)) {
        free(e);
        return LOOM_ENOMEM;
    }
    *out = &e->base;
    e->base.ops = &ops;
    e->fd = fd;
    e->name = name;
    pb_init(&e->line, NULL, 0, LINE_MAX_SIZE);
    return LOOM_OK;
}

loom_status stdout_exporter_open(exporter **out)
{
    return open_on(out, STDOUT_FILENO, "standard output", NULL);
}

loom_status file_exporter_open(exporter **out, const char *path)
{
    *out = NULL;
    const int fd = open_to_append(path);
    if (fd < 0) {
        return LOOM_EIO;
    }
    const loom_status st = open_on(out, fd, "spans file", path);
    if (st != LOOM_OK) {
        (void)close(fd);
    }
    return st;
}
