/* SPDX-License-Identifier: Apache-2.0 */
/* How many spans an ExportTraceServiceRequest (opentelemetry-proto, trace/v1) holds. It looks at lengths only: the
 * receiver must not take the processor from what is measured. */
#ifndef LOOM_BENCH_OTLP_COUNT_H
#define LOOM_BENCH_OTLP_COUNT_H

#include <stddef.h>
#include <stdint.h>

/* Any bytes will do; what is not a request has the spans before the fault. */
uint64_t otlp_span_count(const uint8_t *data, size_t size);

#endif
