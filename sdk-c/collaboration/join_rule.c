/* SPDX-License-Identifier: Apache-2.0 */
#include "sdk-c/collaboration/join_rule.h"

#include <string.h>

#include "base/last_error.h"
#include "base/str.h"

/* 0: the strategy needs to know how many are expected, or k. */
static uint32_t needed_of(const loom_join_rule *rule, uint32_t expected)
{
    switch (rule->strategy) {
    case LOOM_JOIN_ALL: return expected;
    case LOOM_JOIN_FIRST: return rule->k;
    case LOOM_JOIN_ANY: return 1;
    case LOOM_JOIN_MAJORITY: return expected > 0 ? expected / 2 + 1 : 0;
    }
    return 0;
}

loom_status join_tally_init(join_tally *t, const loom_join_rule *rule, size_t candidates)
{
    if (candidates > LOOM_CONTRIBUTIONS_MAX || rule->expected > LOOM_CONTRIBUTIONS_MAX) {
        return last_error(LOOM_EINVAL, "a join has at most %u contributions", LOOM_CONTRIBUTIONS_MAX);
    }
    uint32_t known = (uint32_t)candidates, expected = rule->expected != 0 ? rule->expected : known;
    *t = (join_tally){.expected = expected, .needed = needed_of(rule, expected), .candidates = known};
    uint32_t most = known != 0 ? known : LOOM_CONTRIBUTIONS_MAX;
    if (expected != 0 && expected < most) {
        most = expected;
    }
    if (t->needed == 0) {
        return last_error(LOOM_EINVAL, "the join rule needs to know how many are expected, or k");
    }
    return t->needed <= most ? LOOM_OK
                             : last_error(LOOM_EINVAL, "the join rule waits for %u contributions, and there can be %u at most",
                                          t->needed, most);
}

bool join_tally_over(const join_tally *t, loom_join_outcome *outcome)
{
    if (t->received >= t->needed) {
        *outcome = t->received >= t->expected ? LOOM_JOIN_COMPLETE : LOOM_JOIN_QUORUM;
        return true;
    }
    *outcome = LOOM_JOIN_FAILED;
    return t->candidates != 0 && t->candidates - t->failed < t->needed;
}

size_t join_source_count(const char *const *sources)
{
    size_t count = 0;
    while (sources != NULL && sources[count] != NULL) {
        count++;
    }
    return count;
}

bool join_source_counts(const char *const *sources, loom_str source)
{
    for (size_t i = 0; sources != NULL && sources[i] != NULL; i++) {
        if (str_is(source, sources[i])) {
            return true;
        }
    }
    return sources == NULL;
}

const char *loom_join_outcome_name(loom_join_outcome outcome)
{
    switch (outcome) {
    case LOOM_JOIN_COMPLETE: return "complete";
    case LOOM_JOIN_QUORUM: return "quorum";
    case LOOM_JOIN_TIMEOUT: return "timeout";
    case LOOM_JOIN_FAILED: return "failed";
    }
    return "?";
}
