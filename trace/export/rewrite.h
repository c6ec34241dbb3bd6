/* SPDX-License-Identifier: Apache-2.0 */
/* The pipeline of a processor: its chain of stages, and the spans it made. The exporter thread alone, but for init and fini. */
#ifndef LOOM_TRACE_EXPORT_REWRITE_H
#define LOOM_TRACE_EXPORT_REWRITE_H

#include "trace/export/env_report.h"
#include "trace/export/span_queue.h"
#include "trace/pipeline/stage.h"

typedef struct span_rewriter {
    span_chain chain;
    struct grown_record *grown; /* spans that no longer fit where they lay, until the batch is done */
} span_rewriter;

/* rewrite.c: the stages of the options, then those of the environment. LOOM_EINVAL, LOOM_ENOMEM. */
loom_status rewriter_init(span_rewriter *r, const loom_span_processor_options *options);
void rewriter_fini(span_rewriter *r);
/* The record that takes this one's place; it stays until rewriter_clear(). */
span_record *rewriter_run(span_rewriter *r, span_record *record);
/* The batch has been exported. */
void rewriter_clear(span_rewriter *r);

static inline bool rewriter_is_empty(const span_rewriter *r)
{
    return r->chain.count == 0;
}

/* rewrite_env.c: adds the stages of LOOM_TRACE_ATTRIBUTES, LOOM_TRACE_FILTER and LOOM_TRACE_MASK. What makes no sense in
 * them is reported and left out; an unknown kind to mask makes it all kinds. LOOM_ENOMEM, nothing else. */
loom_status chain_add_from_env(span_chain *chain, const env_report *report);

#endif
