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
    pb_buf line; /* kept between batches */
} file_exporter;

/* How many bytes were written: all of them, or errno says why not. */
static size_t write_some(int fd, const uint8_t *data, size_t len)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = write(fd, data + done, len - done);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            break;
        }
        done += (size_t)n;
    }
    return done;
}

bool file_write_all(int fd, const uint8_t *data, size_t len)
{
    return write_some(fd, data, len) == len;
}

/* Somebody's line has no end. Never for a pipe or a terminal, or a file that may not be read. */
static bool is_mid_line(int fd)
{
    struct stat info;
    char last;
    return fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0 && pread(fd, &last, 1, info.st_size - 1) == 1 &&
           last != '\n';
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

static bool write_line(int fd, const uint8_t *data, size_t len)
{
    if (is_mid_line(fd) && write_some(fd, (const uint8_t *)"\n", 1) != 1) {
        return false;
    }
    size_t written = write_some(fd, data, len);
    if (written < len) {
        int error = errno;
        take_back(fd, written);
        errno = error;
    }
    return written == len;
}

static void file_send(exporter *self, loom_bytes request, export_deadline until, export_result *result)
{
    (void)until;
    file_exporter *e = (file_exporter *)self;
    pb_rollback(&e->line, 0);
    loom_status st = otlp_json_request(&e->line, request);
    pb_raw(&e->line, "\n", 1);
    if (st != LOOM_OK || e->line.failed) {
        (void)snprintf(result->message, sizeof result->message, "%s: %s", e->name,
                       loom_status_text(st != LOOM_OK ? st : LOOM_ENOMEM));
    } else if (write_line(e->fd, e->line.data, e->line.len)) {
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
    free(e);
}

/* A regular file is opened for reading, too, to see how it ends; a pipe must not be, or it would never break. */
static int open_to_append(const char *path)
{
    struct stat info;
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (fd >= 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) {
        int both = open(path, O_RDWR | O_APPEND | O_CLOEXEC);
        if (both >= 0) {
            close(fd);
            return both;
        }
    }
    return fd;
}

/* fd is taken over when there is memory. */
static loom_status open_on(exporter **out, int fd, const char *name)
{
    static const exporter_ops ops = {.send = file_send, .close = file_close};
    file_exporter *e = calloc(1, sizeof *e);
    *out = e != NULL ? &e->base : NULL;
    if (e == NULL) {
        return LOOM_ENOMEM;
    }
    e->base.ops = &ops;
    e->fd = fd;
    e->name = name;
    pb_init(&e->line, NULL, 0, LINE_MAX_SIZE);
    return LOOM_OK;
}

loom_status stdout_exporter_open(exporter **out)
{
    return open_on(out, STDOUT_FILENO, "standard output");
}

loom_status file_exporter_open(exporter **out, const char *path)
{
    *out = NULL;
    const int fd = open_to_append(path);
    if (fd < 0) {
        return LOOM_EIO;
    }
    const loom_status st = open_on(out, fd, "spans file");
    if (st != LOOM_OK) {
        (void)close(fd);
    }
    return st;
}
