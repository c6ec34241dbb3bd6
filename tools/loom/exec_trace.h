/* SPDX-License-Identifier: Apache-2.0 */
/* The tracing of `loom exec`: an SDK for the length of one command. It never fails the command; what cannot be is said on
 * standard error, and the command runs without. */
#ifndef LOOM_TOOLS_EXEC_TRACE_H
#define LOOM_TOOLS_EXEC_TRACE_H

#include <loom/trace.h>

#include <stdatomic.h>

#include "tools/loom/verb.h"

#define OPTIONS_EXPORT                                                                                               \
    {.name = "service", .kind = OPTION_VALUE, .value = "NAME", .group = "Export",                                    \
     .help = "service.name of the spans; default: OTEL_SERVICE_NAME, or loom-exec"},                                 \
    {.name = "otlp-endpoint", .kind = OPTION_VALUE, .value = "URL", .group = "Export",                               \
     .help = "OTLP receiver to export to; default: what the OTEL_ variables say, or localhost:4317"},                \
    {.name = "otlp-protocol", .kind = OPTION_VALUE, .value = "NAME", .choices = "grpc|http/protobuf|http/json",      \
     .group = "Export", .help = "Protocol to export by; default: http/protobuf for port 4318, else grpc"},           \
    {.name = "flush-timeout", .kind = OPTION_VALUE, .value = "TIME", .fallback = "1s", .group = "Export",            \
     .help = "How long to export at most once the command has ended"}

typedef struct exec_trace {
    const command *command;
    loom_span_processor *processor; /* NULL: telemetry is off */
    loom_tracer_provider *provider;
    loom_tracer *tracer;
    size_t queue_size;
    uint32_t flush_ms;
    bool asked_for;            /* somebody has named a receiver, and wants to know when it cannot be reached */
    atomic_bool export_failed; /* said once */
} exec_trace;

/* False: the command line is wrong; exit with *exit_code. */
bool exec_trace_open(exec_trace *t, const command *c, const options *o, int *exit_code);
/* The command runs: whatever exporting takes can be made ready now. */
void exec_trace_prepare(const exec_trace *t);
/* Exports what there is, within the deadline. */
void exec_trace_close(exec_trace *t);

#endif
