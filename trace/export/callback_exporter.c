/* SPDX-License-Identifier: Apache-2.0 */
/* The program's own exporter: a function that takes batches. Exporter thread only. */
#include "trace/export/exporter.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct callback_exporter {
    exporter base;
    bool (*export_batch)(void *user, loom_bytes request);
    void *user;
} callback_exporter;

static void callback_send(exporter *self, loom_bytes request, export_deadline until, export_result *result)
{
    callback_exporter *e = (callback_exporter *)self;
    (void)until;
    if (e->export_batch(e->user, request)) {
        result->outcome = EXPORT_OK;
    } else {
        result->outcome = EXPORT_FAILED;
        (void)snprintf(result->message, sizeof result->message, "the program's exporter refused a batch");
    }
}

static void callback_close(exporter *self)
{
    free(self);
}

loom_status callback_exporter_open(exporter **out, const loom_span_processor_options *options)
{
    static const exporter_ops ops = {.send = callback_send, .close = callback_close};
    *out = NULL;
    if (options->export_batch == NULL) {
        return LOOM_EINVAL;
    }
    callback_exporter *e = calloc(1, sizeof *e);
    if (e == NULL) {
        return LOOM_ENOMEM;
    }
    *e = (callback_exporter){.base.ops = &ops, .export_batch = options->export_batch, .user = options->user};
    *out = &e->base;
    return LOOM_OK;
}
