/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a span is kept. */
#ifndef LOOM_TRACE_SAMPLER_H
#define LOOM_TRACE_SAMPLER_H

#include <loom/trace.h>

/* parent: NULL or valid. */
bool sampler_decide(const loom_sampler *sampler, const loom_trace_context *parent, const uint8_t trace_id[LOOM_TRACE_ID_SIZE]);
/* The kind is one of the enum's and the ratio lies in 0 to 1. */
bool sampler_valid(const loom_sampler *sampler);

#endif
