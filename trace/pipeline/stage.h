/* SPDX-License-Identifier: Apache-2.0 */
/* A stage of the pipeline, and the chain of them that a span passes. */
#ifndef LOOM_TRACE_PIPELINE_STAGE_H
#define LOOM_TRACE_PIPELINE_STAGE_H

#include "trace/otlp/protobuf_write.h"

#include <loom/pipeline.h>

#include <stdatomic.h>

/* First in every stage. Constant once created, but for refs. */
struct loom_span_stage {
    /* Writes the span as it is to be to out; false: it is right as it is. out->failed: no memory, or not a span. */
    bool (*rewrite)(const loom_span_stage *self, loom_bytes span, pb_buf *out);
    void (*free)(loom_span_stage *self);
    atomic_uint refs;
};

void stage_init(loom_span_stage *stage, bool (*rewrite)(const loom_span_stage *self, loom_bytes span, pb_buf *out),
                void (*release)(loom_span_stage *self));

/* Patterns, copied. They are compared in any case of letters. */
typedef struct pattern_list {
    loom_str *items; /* each NUL-terminated on the heap */
    size_t count;
} pattern_list;
/* LOOM_EINVAL, LOOM_ETOOBIG, LOOM_ENOMEM; the list is empty then. */
loom_status pattern_list_init(pattern_list *list, const char *const *patterns, size_t count);
void pattern_list_fini(pattern_list *list);
bool pattern_list_matches(const pattern_list *list, loom_str text);
/* LOOM_OK, or why this is no pattern. */
loom_status pattern_check(const char *pattern);

/* Whether loom_attr_filter_create() takes these: LOOM_OK, LOOM_EINVAL, LOOM_ETOOBIG. */
loom_status filter_rules_check(const loom_filter_rule *rules, size_t count);

/* Used by one thread at a time. All zero is a chain without stages. */
typedef struct span_chain {
    loom_span_stage **stages; /* a reference to each */
    size_t count;
    pb_buf scratch[2];
} span_chain;

/* Adds references behind what is there. LOOM_EINVAL: one is NULL. LOOM_ENOMEM: nothing is added. */
loom_status span_chain_add(span_chain *chain, loom_span_stage *const *stages, size_t count);
void span_chain_fini(span_chain *chain);
/* Takes the bytes of a ScopeSpans.spans field and returns what takes their place: the same, others in the chain's memory
 * until the next call, or, when a stage could not do its work, bare_span() of them. */
loom_bytes span_chain_run(span_chain *chain, uint8_t *field, size_t len);
/* Takes everything out of the field, where it lies, but ids, times, kind, flags and the status code. Needs no memory. */
loom_bytes bare_span(uint8_t *field, size_t len);

#endif
