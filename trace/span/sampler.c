/* SPDX-License-Identifier: Apache-2.0 */
/* Samplers as they decide. Any thread asks; nothing is locked or allocated. */
#include "trace/span/sampler_parts.h"

#include "base/clock.h"
#include "base/glob.h"
#include "base/str.h"

#include <inttypes.h>
#include <loom/tracestate.h>
#include <stdio.h>

static bool decide(span_sampler *s, const loom_sampler_question *q, loom_sampler_result *result)
{
    if (s->follows_parent && q->parent != NULL) {
        return (q->parent->trace_flags & LOOM_TRACE_FLAG_SAMPLED) != 0;
    }
    return s->answer == SAMPLER_ASKS ? sampler_ask(s, q, result) : s->answer == SAMPLER_ALWAYS;
}

/* A token bucket as one number: when the last one that was taken is due. It may lie up to burst_ns ahead of an empty one. */
static bool rate_decide(span_sampler *s)
{
    const uint64_t now = clock_monotonic_ns();
    uint64_t due = atomic_load_explicit(&s->due_ns, memory_order_relaxed), next;
    do {
        const uint64_t earliest = now > s->burst_ns ? now - s->burst_ns : 0;
        next = (due > earliest ? due : earliest) + s->interval_ns;
        if (next > now) {
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&s->due_ns, &due, next, memory_order_relaxed, memory_order_relaxed));
    return true;
}

static span_sampler *of_parent(span_sampler *s, const loom_sampler_question *q)
{
    if (q->parent == NULL) {
        return &s->parents[PARENT_NONE];
    }
    const bool sampled = (q->parent->trace_flags & LOOM_TRACE_FLAG_SAMPLED) != 0;
    return &s->parents[q->parent_is_remote ? (sampled ? PARENT_REMOTE_SAMPLED : PARENT_REMOTE_NOT_SAMPLED)
                                           : (sampled ? PARENT_LOCAL_SAMPLED : PARENT_LOCAL_NOT_SAMPLED)];
}

/* ---- rules ---- */

static bool value_matches(const loom_attr *attr, loom_str pattern)
{
    char number[24];
    switch (attr->type) {
    case LOOM_ATTR_STRING:
        return glob_match(pattern, attr->value.string, false);
    case LOOM_ATTR_BOOL:
        return glob_match(pattern, str_of(attr->value.boolean ? "true" : "false"), false);
    case LOOM_ATTR_INT:
        (void)snprintf(number, sizeof number, "%" PRId64, attr->value.integer);
        return glob_match(pattern, str_of(number), false);
    case LOOM_ATTR_STRINGS:
        for (size_t i = 0; i < attr->value.array.count; i++) {
            if (glob_match(pattern, ((const loom_str *)attr->value.array.items)[i], false)) {
                return true;
            }
        }
        return false;
    default:
        return false;
    }
}

static bool attr_matches(const attr_rule *rule, const loom_sampler_question *q)
{
    for (size_t i = 0; i < q->attr_count; i++) {
        const loom_attr *attr = &q->attrs[i];
        if (attr->key != NULL && glob_match(str_of(rule->key), str_of(attr->key), false) &&
            (rule->value == NULL || value_matches(attr, str_of(rule->value)))) {
            return true;
        }
    }
    return false;
}

static bool rule_matches(const sampler_rule *rule, const loom_sampler_question *q)
{
    if ((rule->kind != 0 && rule->kind != q->kind) ||
        (rule->name != NULL && (q->name == NULL || !glob_match(str_of(rule->name), str_of(q->name), false)))) {
        return false;
    }
    for (size_t i = 0; i < rule->attr_count; i++) {
        if (!attr_matches(&rule->attrs[i], q)) {
            return false;
        }
    }
    return true;
}

static span_sampler *of_rule(span_sampler *s, const loom_sampler_question *q)
{
    for (size_t i = 0; i < s->rule_count; i++) {
        if (rule_matches(&s->rules[i], q)) {
            return &s->rules[i].sampler;
        }
    }
    return s->otherwise;
}

/* ---- custom ones ---- */

__attribute__((noinline)) static bool ask_custom(const loom_sampler_custom *custom, const loom_sampler_question *q,
                                                 loom_sampler_result *result)
{
    if (custom->sample == NULL) {
        return custom->decide(custom->user, q);
    }
    result->sampled = false;
    result->tracestate = q->tracestate;
    result->attr_count = 0;
    custom->sample(custom->user, q, result);
    const loom_str made = result->tracestate;
    if (made.len > 0 && (made.data == NULL || (made.data != q->tracestate.data && loom_tracestate_check(made) != LOOM_OK))) {
        result->tracestate = q->tracestate;
    }
    if (result->attr_count > LOOM_SAMPLER_ATTRS_MAX) {
        result->attr_count = LOOM_SAMPLER_ATTRS_MAX;
    }
    return result->sampled;
}

bool sampler_ask(span_sampler *s, const loom_sampler_question *q, loom_sampler_result *result)
{
    switch (s->kind) {
    case LOOM_SAMPLER_RATIO:
        return sampler_ratio_keeps(s, q->trace_id);
    case LOOM_SAMPLER_RATE_LIMITED:
        return rate_decide(s);
    case LOOM_SAMPLER_PARENTBASED:
        return decide(of_parent(s, q), q, result);
    case LOOM_SAMPLER_RULES:
        return decide(of_rule(s, q), q, result);
    case LOOM_SAMPLER_CUSTOM:
        return ask_custom(&s->custom, q, result);
    default:
        return false;
    }
}
