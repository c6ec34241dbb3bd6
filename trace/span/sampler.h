/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a span is kept. */
#ifndef LOOM_TRACE_SPAN_SAMPLER_H
#define LOOM_TRACE_SPAN_SAMPLER_H

#include <loom/trace.h>

#include "trace/export/env_report.h"

/* Whoever has no parent, or does not follow it. */
bool sampler_decide_root(const loom_sampler *sampler, const uint8_t trace_id[LOOM_TRACE_ID_SIZE]);

/* parent: NULL or valid. Every hop of every message asks. */
static inline bool sampler_decide(const loom_sampler *sampler, const loom_trace_context *parent,
                                  const uint8_t trace_id[LOOM_TRACE_ID_SIZE])
{
    if (parent != NULL && sampler->kind <= LOOM_SAMPLER_PARENTBASED_RATIO) {
        return (parent->trace_flags & LOOM_TRACE_FLAG_SAMPLED) != 0;
    }
    return sampler_decide_root(sampler, trace_id);
}
/* loom_sampler_from_env(), with a report of what makes no sense. report may be NULL. */
loom_sampler sampler_from_env(const env_report *report);

/* The kind is one of the enum's and the ratio lies in 0 to 1. */
bool sampler_valid(const loom_sampler *sampler);

#endif
