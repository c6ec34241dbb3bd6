/* SPDX-License-Identifier: Apache-2.0 */
/* OTLP/JSON lines in a file (https://opentelemetry.io/docs/specs/otel/protocol/file-exporter/): one request each.
 * O_APPEND and one write for a line, so that several processes may share a file. */
#include "trace/export/exporter.h"
#include "trace/otlp/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_SIZE (512u * 1024u * 1024u) /* bytes: a batch of the largest spans */

typedef struct file_exporter {
    exporter base;
    int fd;
    pb_buf line; /* kept between batches */
} file_exporter;

bool file_write_all(int fd, const uint8_t *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        data += n;
        len -= (size_t)n;
    }
    return true;
}

static void file_send(exporter *self, loom_bytes request, export_deadline until, export_result *result)
{
    (void)until;
    file_exporter *e = (file_exporter *)self;
    pb_rollback(&e->line, 0);
    loom_status st = otlp_json_request(&e->line, request);
    pb_raw(&e->line, "\n", 1);
    if (st != LOOM_OK || e->line.failed) {
        (void)snprintf(result->message, sizeof result->message, "spans file: %s",
                       loom_status_text(st != LOOM_OK ? st : LOOM_ENOMEM));
    } else if (file_write_all(e->fd, e->line.data, e->line.len)) {
        result->outcome = EXPORT_OK;
    } else {
        char reason[100];
        (void)snprintf(result->message, sizeof result->message, "spans file: %s", strerror_r(errno, reason, sizeof reason));
    }
}

static void file_close(exporter *self)
{
    file_exporter *e = (file_exporter *)self;
    (void)close(e->fd);
    pb_fini(&e->line);
    free(e);
}

loom_status file_exporter_open(exporter **out, const char *path)
{
    static const exporter_ops ops = {.send = file_send, .close = file_close};
    *out = NULL;
    file_exporter *e = calloc(1, sizeof *e);
    if (e == NULL) {
        return LOOM_ENOMEM;
    }
    e->base.ops = &ops;
    pb_init(&e->line, NULL, 0, LINE_MAX_SIZE);
    e->fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (e->fd < 0) {
        free(e);
        return LOOM_EIO;
    }
    *out = &e->base;
    return LOOM_OK;
}
