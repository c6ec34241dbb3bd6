/* SPDX-License-Identifier: Apache-2.0 */
/* How many spans, and of which traces, an ExportTraceServiceRequest (opentelemetry-proto, trace/v1) holds. It looks at lengths
 * and ids only: the receiver must not take the processor from what is measured. */
#ifndef LOOM_BENCH_OTLP_COUNT_H
#define LOOM_BENCH_OTLP_COUNT_H

#include <loom/context.h>
#include <stddef.h>
#include <stdint.h>

/* Any bytes will do; what is not a request has the spans before the fault. */
uint64_t otlp_span_count(const uint8_t *data, size_t size);
/* The same, and tells the trace id of each span that has one. */
uint64_t otlp_span_visit(const uint8_t *data, size_t size, void (*span)(void *user, const uint8_t id[LOOM_TRACE_ID_SIZE]), void *user);

#endif
