/* SPDX-License-Identifier: Apache-2.0 */
/* Single spans back into one ExportTraceServiceRequest. A span that follows one of the same resource and scope is put
 * under those; callers order spans as far as they care about the size. */
#ifndef LOOM_TRACE_COLLECT_REGROUP_H
#define LOOM_TRACE_COLLECT_REGROUP_H

#include "trace/otlp/protobuf_write.h"

#include <loom/status.h>

typedef struct regrouping {
    pb_buf out;
    size_t resource_spans, scope_spans; /* marks of the open messages */
    size_t resource, scope;             /* where their bytes lie in out */
    size_t resource_len, scope_len;
    bool open;
} regrouping;

void regrouping_init(regrouping *r);
void regrouping_fini(regrouping *r);
/* The encoded messages are copied. A lack of memory shows in regrouping_finish(). */
void regrouping_add(regrouping *r, loom_bytes span, loom_bytes resource, loom_bytes scope);
/* The encoded request, valid until fini. LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status regrouping_finish(regrouping *r, loom_bytes *request);

#endif
