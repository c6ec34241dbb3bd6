/* SPDX-License-Identifier: Apache-2.0 */
/* An ExportTraceServiceResponse in OTLP's JSON encoding. Bytes from outside. */
#ifndef LOOM_TRACE_EXPORT_RESPONSE_JSON_H
#define LOOM_TRACE_EXPORT_RESPONSE_JSON_H

#include <loom/api.h>

typedef struct partial_success {
    uint64_t rejected; /* spans */
    loom_str message;  /* as it stands in the body, escapes and all; may be empty */
} partial_success;

/* All zero when the body says nothing of it, or is not JSON. */
partial_success response_json_partial(loom_bytes body);

#endif
