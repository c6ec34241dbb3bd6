/* SPDX-License-Identifier: Apache-2.0 */
/* Finished spans as records of a log, as loom_span_processor_options.log_spans asks for. A span whose record finds no reader
 * is rejected. */
#include "trace/export/exporter.h"

#include "base/str.h"
#include "trace/log/span_log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { READER_WAIT_MS = 1000 }; /* it is the exporter's thread that waits */

typedef struct log_exporter {
    exporter base;
    span_log_rules rules; /* of text */
    char *text;
    loom_logger *logger;
    uint64_t rejected; /* of this batch */
} log_exporter;

static bool write_span(void *user, const otlp_span *span)
{
    log_exporter *e = user;
    e->rejected += !span_log_write(&e->rules, e->logger, span);
    return true;
}

static void log_send(exporter *self, loom_bytes request, export_deadline until, export_result *result)
{
    log_exporter *e = (log_exporter *)self;
    (void)until;
    e->rejected = 0;
    loom_status st = otlp_read_request(request, write_span, self);
    if (st == LOOM_OK) {
        result->outcome = EXPORT_OK;
        result->rejected = e->rejected;
    } else {
        (void)snprintf(result->message, sizeof result->message, "span log: %s", loom_status_text(st));
    }
}

static void log_close(exporter *self)
{
    log_exporter *e = (log_exporter *)self;
    loom_logger_unref(e->logger);
    free(e->text);
    free(e);
}

/* Rules that make sense, and the logger. */
static loom_status open_logger(log_exporter *e, const loom_span_processor_options *options)
{
    loom_str bad;
    if (!span_log_parse(&e->rules, str_of(e->text), &bad)) {
        return LOOM_EINVAL;
    }
    if (options->span_logger != NULL) {
        e->logger = loom_logger_ref(options->span_logger);
        return LOOM_OK;
    }
    /* OTEL_LOG_LEVEL is for what the SDK says of itself; these records are what it was asked to export. */
    const loom_logger_options defaults = {.format = e->rules.format, .wait_ms = READER_WAIT_MS, .minimum = LOOM_SEVERITY_INFO};
    return loom_logger_create(&e->logger, &defaults);
}

loom_status log_exporter_open(exporter **out, const loom_span_processor_options *options)
{
    static const exporter_ops ops = {.send = log_send, .close = log_close};
    *out = NULL;
    log_exporter *e = calloc(1, sizeof *e);
    if (e == NULL) {
        return LOOM_ENOMEM;
    }
    e->base.ops = &ops;
    e->text = strdup(options->log_spans);
    loom_status st = e->text != NULL ? open_logger(e, options) : LOOM_ENOMEM;
    if (st != LOOM_OK) {
        log_close(&e->base);
        return st;
    }
    *out = &e->base;
    return LOOM_OK;
}
