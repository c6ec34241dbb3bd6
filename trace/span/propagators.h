/* SPDX-License-Identifier: Apache-2.0 */
/* OTEL_PROPAGATORS: in which fields context and baggage travel (OpenTelemetry, SDK environment variables, "General SDK
 * Configuration"). */
#ifndef LOOM_TRACE_SPAN_PROPAGATORS_H
#define LOOM_TRACE_SPAN_PROPAGATORS_H

#include "trace/export/env_report.h"

/* Bits: several may be in use. */
typedef enum propagator {
    PROPAGATOR_TRACECONTEXT = 1 << 0, /* traceparent, tracestate */
    PROPAGATOR_BAGGAGE = 1 << 1,      /* baggage */
    PROPAGATOR_B3 = 1 << 2,           /* b3, one header */
    PROPAGATOR_B3MULTI = 1 << 3,      /* X-B3-TraceId and the others */
    PROPAGATOR_X_TRACE_ID = 1 << 4    /* X-Trace-ID and X-Span-ID: Loom's own name */
} propagator;

#define PROPAGATORS_DEFAULT ((unsigned)PROPAGATOR_TRACECONTEXT | (unsigned)PROPAGATOR_BAGGAGE)

/* Reads a list: names separated by commas, in any letter case, white space around them; the same name twice counts once.
 * "none" alone is the empty set. A name that is not known, or not supported (xray, jaeger, ottrace), is reported and left
 * out; when no other is left, or list is NULL or empty, the answer is PROPAGATORS_DEFAULT. report may be NULL. */
unsigned propagators_parse(const char *list, const env_report *report);

/* The same of OTEL_PROPAGATORS. */
unsigned propagators_from_env(const env_report *report);

#endif
