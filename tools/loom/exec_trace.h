/* SPDX-License-Identifier: Apache-2.0 */
/* The tracing of `loom exec`: an SDK for the duration of one command. It never fails the command: problems are reported on
 * standard error, and the command runs untraced. */
#ifndef LOOM_TOOLS_EXEC_TRACE_H
#define LOOM_TOOLS_EXEC_TRACE_H

#include <stdatomic.h>

#include "tools/loom/tracing.h"
#include "tools/loom/verb.h"

#define OPTIONS_EXPORT                                                                                               \
    {.name = "service", .kind = OPTION_VALUE, .value = "NAME", .group = "Export",                                    \
     .help = "service.name of the spans; default: OTEL_SERVICE_NAME, or loom-exec"},                                 \
    {.name = "otlp-endpoint", .kind = OPTION_VALUE, .value = "URL", .group = "Export",                               \
     .help = "OTLP receiver to export to, a URL or HOST:PORT, which is https unless HOST is this machine or "          \
             "OTEL_EXPORTER_OTLP_INSECURE=true; default: what the OTEL_ variables say, or localhost:4317"},           \
    {.name = "otlp-protocol", .kind = OPTION_VALUE, .value = "NAME", .choices = "grpc|http/protobuf|http/json",      \
     .group = "Export", .help = "Protocol to export with; default: what the OTEL_ variables say, else "            \
                                 "http/protobuf for port 4318 and grpc for others"},           \
    {.name = "flush-timeout", .kind = OPTION_VALUE, .value = "TIME", .fallback = "1s", .group = "Export",            \
     .help = "Longest time to spend on exporting once the command has ended"}

typedef struct exec_trace {
    const command *command;
    tracing tracing;
    struct loom_agent *carrier; /* whose link carries the spans (OTEL_TRACES_EXPORTER=loom); NULL: they leave otherwise */
    atomic_bool unreachable;    /* it was tried in vain */
    size_t queue_size;
    uint32_t flush_ms;
    bool asked_for;            /* a receiver was named: report it if it cannot be reached */
    atomic_bool opening;       /* what on_error hears is about settings */
    atomic_bool export_failed; /* reported once */
} exec_trace;

/* False: the command line is wrong; exit with *exit_code. */
bool exec_trace_open(exec_trace *t, const command *c, const options *o, int *exit_code);
/* The command runs: whatever exporting takes can be made ready now. */
void exec_trace_prepare(const exec_trace *t);
/* Exports what there is, within the deadline. No span is taken any more. */
void exec_trace_flush(exec_trace *t);
/* The same, and gives back what spans are made with. */
void exec_trace_close(exec_trace *t);

#endif
