/* SPDX-License-Identifier: Apache-2.0 */
/* The spans that the view itself makes, when somebody publishes or calls from the page, go into the store it shows. */
#ifndef LOOM_TOOLS_VIEW_OWN_SPANS_H
#define LOOM_TOOLS_VIEW_OWN_SPANS_H

#include <loom/trace.h>
#include <uv.h>

#include "trace/collect/store.h"

enum { OWN_SPANS_BATCHES = 16 };

typedef struct own_spans {
    store *db; /* NULL: they are exported as the environment says */
    uv_async_t wake;
    bool wakes; /* it is open */
    loom_span_processor *processor;
    loom_tracer_provider *provider; /* NULL: no tracing */
    loom_tracer *tracer;
    uint64_t lost; /* batches that the store did not take */
    uv_mutex_t lock;
    loom_bytes batches[OWN_SPANS_BATCHES]; /* under lock: from the exporter's thread to the loop's */
    size_t count;                          /* under lock */
} own_spans;

/* LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status own_spans_open(own_spans *s, uv_loop_t *loop, store *db);
/* Stores what there is; the loop has to run once more before fini. */
void own_spans_close(own_spans *s);
void own_spans_fini(own_spans *s);

#endif
