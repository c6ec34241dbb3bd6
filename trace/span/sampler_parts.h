/* SPDX-License-Identifier: Apache-2.0 */
/* What a sampler is made of, for sampler_make.c and sampler.c alone. */
#ifndef LOOM_TRACE_SPAN_SAMPLER_PARTS_H
#define LOOM_TRACE_SPAN_SAMPLER_PARTS_H

#include "trace/span/sampler.h"

enum { PARENT_NONE, PARENT_REMOTE_SAMPLED, PARENT_REMOTE_NOT_SAMPLED, PARENT_LOCAL_SAMPLED, PARENT_LOCAL_NOT_SAMPLED, PARENT_CASES };

typedef struct attr_rule {
    char *key, *value; /* value NULL: any */
} attr_rule;

typedef struct sampler_rule {
    char *name; /* NULL: any */
    loom_span_kind kind;
    attr_rule *attrs;
    size_t attr_count;
    span_sampler sampler;
} sampler_rule;

#endif
