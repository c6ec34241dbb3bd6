/* SPDX-License-Identifier: Apache-2.0 */
/* OTLP's JSON encoding (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding), written into a byte buffer:
 * ids in hex, enums as numbers, 64-bit numbers as strings. */
#ifndef LOOM_TRACE_OTLP_JSON_H
#define LOOM_TRACE_OTLP_JSON_H

#include "trace/otlp/protobuf_write.h"

#include <loom/status.h>

/* Appends the request as one JSON object without line breaks. LOOM_EMALFORMED, LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status otlp_json_request(pb_buf *out, loom_bytes request);

/* A JSON string with its quotes; ill-formed UTF-8 becomes U+FFFD. */
void json_put_string(pb_buf *out, loom_str text);
/* An AnyValue as plain JSON (numbers as numbers, arrays as arrays), for eyes. */
void json_put_plain_value(pb_buf *out, loom_bytes any_value);
/* ,"name":"text", and ,"name":count. An empty text, and 0, leave nothing. */
void json_put_text_field(pb_buf *out, const char *name, loom_str text);
void json_put_count_field(pb_buf *out, const char *name, uint64_t count);
__attribute__((format(printf, 2, 3))) void json_put_format(pb_buf *out, const char *format, ...);

#endif
