/* SPDX-License-Identifier: Apache-2.0 */
/* OTLP/JSON to OTLP protobuf, so that everything behind it reads one form.
 * https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding */
#ifndef LOOM_TRACE_COLLECT_OTLP_FROM_JSON_H
#define LOOM_TRACE_COLLECT_OTLP_FROM_JSON_H

#include "trace/otlp/protobuf_write.h"

#include <loom/status.h>

#define OTLP_JSON_PROBLEM_SIZE 256 /* bytes with NUL */

/* Appends the encoded ExportTraceServiceRequest to out, which the caller has initialised; on an error out is as it was.
 * LOOM_EMALFORMED: no JSON, or a field of the wrong type; problem says which and where. LOOM_ENOMEM: no memory, or
 * over the limit of out. Unknown fields are ignored, as the specification asks. */
LOOM_MUST_CHECK loom_status otlp_from_json(pb_buf *out, loom_str json, char problem[OTLP_JSON_PROBLEM_SIZE]);
/* The same for an ExportLogsServiceRequest. */
LOOM_MUST_CHECK loom_status otlp_logs_from_json(pb_buf *out, loom_str json, char problem[OTLP_JSON_PROBLEM_SIZE]);

#endif
