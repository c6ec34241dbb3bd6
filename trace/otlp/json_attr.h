/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes that are not encoded yet, as plain JSON: for logs and labels. */
#ifndef LOOM_TRACE_OTLP_JSON_ATTR_H
#define LOOM_TRACE_OTLP_JSON_ATTR_H

#include "trace/otlp/protobuf_write.h"

#include <loom/trace.h>

/* The value: numbers as numbers, in every locale; arrays as arrays. An unknown type is null. */
void json_put_attr_value(pb_buf *out, const loom_attr *attr);
/* "NaN", "Infinity" and "-Infinity" are strings, as in OTLP/JSON: JSON has no such numbers. */
void json_put_double(pb_buf *out, double value);

#endif
