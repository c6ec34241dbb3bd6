/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a span is kept. A sampler here is what a provider has made of a loom_sampler: checked, copied, and with the answers
 * that need no question set apart. */
#ifndef LOOM_TRACE_SPAN_SAMPLER_H
#define LOOM_TRACE_SPAN_SAMPLER_H

#include "trace/export/env_report.h"

#include <endian.h>
#include <loom/sampler.h>
#include <stdatomic.h>
#include <string.h>

#define RANDOM_VALUES (UINT64_C(1) << 56) /* of the random part of a trace id */

typedef enum sampler_answer { SAMPLER_NEVER, SAMPLER_ALWAYS, SAMPLER_ASKS } sampler_answer;

/* Constant once made, but for the rate. */
typedef struct span_sampler {
    bool follows_parent;    /* a parent's flag is the answer; what follows is for spans without one */
    sampler_answer answer;
    bool says_more;         /* some custom one in it may say more than yes or no */
    loom_sampler_kind kind; /* RATIO, RATE_LIMITED, PARENTBASED, RULES or CUSTOM, if it asks */
    uint64_t threshold;     /* of RATIO: of 56 bits; a smaller random value is not sampled */
    uint64_t interval_ns, burst_ns; /* of RATE_LIMITED: between two, and how far it may be behind */
    atomic_uint_fast64_t due_ns;    /* when the next one would come if they came evenly; monotonic */
    struct span_sampler *parents;        /* five, in the order of loom_sampler_parents */
    struct sampler_rule *rules;
    size_t rule_count;
    struct span_sampler *otherwise;
    loom_sampler_custom custom;
} span_sampler;

/* LOOM_EINVAL: an unknown kind, a number out of its range, something missing. LOOM_ETOOBIG: over a limit of <loom/sampler.h>,
 * or a pattern over 256 bytes. LOOM_ENOMEM. On an error there is nothing to free. */
loom_status sampler_init(span_sampler *s, const loom_sampler *description);
void sampler_fini(span_sampler *s);

/* For one of the kind RATIO, which looks at nothing else: the right-most 7 bytes of the trace id are random (W3C Trace Context
 * level 2, "Random Trace ID Flag"). */
static inline bool sampler_ratio_keeps(const span_sampler *s, const uint8_t trace_id[LOOM_TRACE_ID_SIZE])
{
    uint64_t last;
    memcpy(&last, trace_id + LOOM_TRACE_ID_SIZE - sizeof last, sizeof last);
    return (be64toh(last) & (RANDOM_VALUES - 1)) >= s->threshold;
}

/* For one whose answer is SAMPLER_ASKS and does not follow this parent. true: sampled. Of *result, which need not be set, only a
 * custom sampler's tracestate and attributes are written, checked, and only if it says_more; else it may be NULL. */
bool sampler_ask(span_sampler *s, const loom_sampler_question *question, loom_sampler_result *result);

/* loom_sampler_from_env(), with a report of what makes no sense. report may be NULL. */
loom_sampler sampler_from_env(const env_report *report);

#endif
