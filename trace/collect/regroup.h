/* SPDX-License-Identifier: Apache-2.0 */
/* Single spans back into one ExportTraceServiceRequest. A span that follows one of the same resource and scope is put
 * under those; callers order spans as far as they care about the size. */
#ifndef LOOM_TRACE_COLLECT_REGROUP_H
#define LOOM_TRACE_COLLECT_REGROUP_H

#include "trace/otlp/protobuf_write.h"
#include "trace/otlp/read.h"

/* Bytes within what has been written. */
typedef struct regrouped {
    size_t at, len;
} regrouped;

typedef struct regrouping {
    pb_buf out;
    size_t resource_spans, scope_spans; /* marks of the open messages */
    regrouped resource, resource_schema_url, scope, scope_schema_url; /* of theirs */
    bool open;
} regrouping;

void regrouping_init(regrouping *r);
void regrouping_fini(regrouping *r);
/* The encoded messages are copied, and the schema URLs with them. A lack of memory shows in regrouping_finish(). */
void regrouping_add(regrouping *r, const otlp_span *span);
/* Orders spans so that few groups are made of them: by resource, scope, and their schema URLs. */
int regrouping_compare(const otlp_span *left, const otlp_span *right);
/* The encoded request, valid until fini. LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status regrouping_finish(regrouping *r, loom_bytes *request);

#endif
