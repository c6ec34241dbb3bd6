/* SPDX-License-Identifier: Apache-2.0 */
/* What counts as slow: "agent.on_event>50ms, workflow.*>2s, slowest=0.1%". A rule is a name of spans, which may end with "*", and a time
 * (base/duration.h); the first that fits counts. `slowest` is the share of the spans of each name without a rule that is kept as slow:
 * learned from the times that the recorder has seen, and applied once it has seen a thousand of the name.
 *
 * Under the recorder's lock. */
#ifndef LOOM_TRACE_RECORD_RULES_H
#define LOOM_TRACE_RECORD_RULES_H

#include <loom/api.h>
#include <loom/status.h>

enum { RULES_MAX = 32, RULES_NAMES_MAX = 256, RULES_NAME_SIZE = 64 };

typedef struct slow_rule {
    char name[RULES_NAME_SIZE]; /* without the "*" */
    bool prefix;
    uint64_t ns;
} slow_rule;

typedef struct slow_name slow_name;

typedef struct slow_rules {
    slow_rule rules[RULES_MAX];
    size_t count;
    double slowest;       /* a share of 1; 0: nothing is learned */
    slow_name *names;     /* RULES_NAMES_MAX; NULL: none yet */
    uint32_t name_count;
} slow_rules;

/* LOOM_EINVAL: *fault says what of it makes no sense (static text), and nothing has changed. Empty and NULL text: no rules. */
LOOM_MUST_CHECK loom_status slow_rules_parse(slow_rules *out, loom_str text, const char **fault);
void slow_rules_fini(slow_rules *rules);
/* A number for the name; 0: there are too many, or nothing is learned. */
uint32_t slow_rules_name(slow_rules *rules, loom_str name);
/* What a span of the name has to take to be slow; UINT64_MAX: nothing is. number: of the name. */
uint64_t slow_rules_limit(const slow_rules *rules, loom_str name, uint32_t number);
/* Whether it has seen enough of the name for that; true, too, of one that is not learned. */
bool slow_rules_know(const slow_rules *rules, uint32_t number);
void slow_rules_learn(slow_rules *rules, uint32_t number, uint64_t duration_ns);

#endif
