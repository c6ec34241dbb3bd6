/* SPDX-License-Identifier: Apache-2.0 */
/* When a join is over, and how. Counts only: whose contributions they are, others know. */
#ifndef LOOM_SDK_JOIN_RULE_H
#define LOOM_SDK_JOIN_RULE_H

#include <loom/collaboration.h>

typedef struct join_tally {
    uint32_t expected;   /* 0: not known */
    uint32_t needed;     /* to satisfy the strategy */
    uint32_t candidates; /* who may contribute; 0: anybody */
    uint32_t received, failed;
} join_tally;

/* candidates: how many sources or targets there are; 0: that is not known. LOOM_EINVAL: the rule cannot be satisfied, or does
 * not say by what. */
LOOM_MUST_CHECK loom_status join_tally_init(join_tally *t, const loom_join_rule *rule, size_t candidates);
/* Whether what has been received and has failed decides it. */
bool join_tally_over(const join_tally *t, loom_join_outcome *outcome);

/* Of sources ended by NULL. NULL: 0. */
size_t join_source_count(const char *const *sources);
/* NULL: everybody's counts. */
bool join_source_counts(const char *const *sources, loom_str source);

#endif
