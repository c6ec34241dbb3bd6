/* SPDX-License-Identifier: Apache-2.0 */
/* Samplers as they are made from their description: checked against the limits of <loom/sampler.h>, and copied. */
#include "trace/span/sampler_parts.h"

#include "base/last_error.h"

#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 8u
#define SAMPLERS_MAX 1024u
#define PATTERN_MAX 256u /* bytes */
#define PER_SECOND_MAX 1e9
#define NS_PER_SECOND 1e9
#define NEVER_NS (UINT64_MAX / 4) /* an interval longer than any clock runs */

typedef struct maker {
    unsigned depth, count;
    bool says_more;
} maker;

static loom_status make(maker *m, span_sampler *s, const loom_sampler *description);

static void set_answer(span_sampler *s, bool always)
{
    s->answer = always ? SAMPLER_ALWAYS : SAMPLER_NEVER;
}

/* Kept is who has a random value of at least the threshold. The smallest ratio that keeps anything keeps one of 2^56. */
static loom_status make_ratio(span_sampler *s, double ratio)
{
    if (!(ratio >= 0.0 && ratio <= 1.0)) {
        return last_error(LOOM_EINVAL, "the sampler's ratio is not from 0 to 1");
    }
    if (ratio == 0.0 || ratio == 1.0) {
        set_answer(s, ratio == 1.0);
        return LOOM_OK;
    }
    const uint64_t kept = (uint64_t)(ratio * (double)RANDOM_VALUES + 0.5);
    s->kind = LOOM_SAMPLER_RATIO;
    s->threshold = RANDOM_VALUES - (kept > 0 ? kept : 1);
    return LOOM_OK;
}

static loom_status make_rate(span_sampler *s, double per_second)
{
    if (!(per_second >= 0.0 && per_second <= PER_SECOND_MAX)) {
        return last_error(LOOM_EINVAL, "the sampler's per_second is not from 0 to %.0f", (double)PER_SECOND_MAX);
    }
    if (per_second == 0.0) {
        set_answer(s, false);
        return LOOM_OK;
    }
    const double interval = NS_PER_SECOND / per_second;
    s->kind = LOOM_SAMPLER_RATE_LIMITED;
    s->interval_ns = interval < (double)NEVER_NS ? (uint64_t)(interval + 0.5) : NEVER_NS;
    s->burst_ns = s->interval_ns > (uint64_t)NS_PER_SECOND ? s->interval_ns : (uint64_t)NS_PER_SECOND;
    return LOOM_OK;
}

static bool answers(const span_sampler *s, bool always)
{
    return !s->follows_parent && s->answer == (always ? SAMPLER_ALWAYS : SAMPLER_NEVER);
}

/* Whoever leaves the four cases with a parent as they are follows the parent, and is as fast as the kinds that do. */
static void fold_parents(span_sampler *s)
{
    span_sampler *p = s->parents;
    if (!answers(&p[PARENT_REMOTE_SAMPLED], true) || !answers(&p[PARENT_LOCAL_SAMPLED], true) ||
        !answers(&p[PARENT_REMOTE_NOT_SAMPLED], false) || !answers(&p[PARENT_LOCAL_NOT_SAMPLED], false)) {
        return;
    }
    s->follows_parent = true;
    s->answer = p[PARENT_NONE].answer; /* if that asks, it is asked by way of this one, without a parent */
}

static loom_status make_parents(maker *m, span_sampler *s, const loom_sampler_parents *parents)
{
    static const loom_sampler on = {.kind = LOOM_SAMPLER_ALWAYS_ON}, off = {.kind = LOOM_SAMPLER_ALWAYS_OFF};
    if (parents == NULL) {
        return last_error_null("the sampler's parents");
    }
    const loom_sampler *given[PARENT_CASES] = {
        [PARENT_NONE] = parents->root,
        [PARENT_REMOTE_SAMPLED] = parents->remote_sampled,
        [PARENT_REMOTE_NOT_SAMPLED] = parents->remote_not_sampled,
        [PARENT_LOCAL_SAMPLED] = parents->local_sampled,
        [PARENT_LOCAL_NOT_SAMPLED] = parents->local_not_sampled,
    };
    s->kind = LOOM_SAMPLER_PARENTBASED;
    s->parents = calloc(PARENT_CASES, sizeof *s->parents);
    if (s->parents == NULL) {
        return LOOM_ENOMEM;
    }
    for (size_t i = 0; i < PARENT_CASES; i++) {
        const bool off_by_default = i == PARENT_REMOTE_NOT_SAMPLED || i == PARENT_LOCAL_NOT_SAMPLED;
        const loom_sampler *one = given[i] != NULL ? given[i] : off_by_default ? &off : &on;
        const loom_status st = make(m, &s->parents[i], one);
        if (st != LOOM_OK) {
            return st;
        }
    }
    fold_parents(s);
    return LOOM_OK;
}

/* pattern NULL: *out too. */
static loom_status copy_pattern(char **out, const char *pattern)
{
    if (pattern == NULL) {
        return LOOM_OK;
    }
    if (strlen(pattern) > PATTERN_MAX) {
        return LOOM_ETOOBIG;
    }
    *out = strdup(pattern);
    return *out != NULL ? LOOM_OK : LOOM_ENOMEM;
}

static loom_status make_rule(maker *m, sampler_rule *rule, const loom_sampler_rule *given)
{
    if (given->sampler == NULL || (given->attr_count > 0 && given->attrs == NULL) || (int)given->kind < 0 ||
        given->kind > LOOM_SPAN_CONSUMER) {
        return last_error(LOOM_EINVAL, "a rule of the sampler lacks its sampler or attributes, or has no such kind");
    }
    if (given->attr_count > SAMPLERS_MAX) {
        return LOOM_ETOOBIG;
    }
    rule->kind = given->kind;
    loom_status st = copy_pattern(&rule->name, given->name);
    rule->attrs = given->attr_count > 0 ? calloc(given->attr_count, sizeof *rule->attrs) : NULL;
    if (st == LOOM_OK && given->attr_count > 0 && rule->attrs == NULL) {
        st = LOOM_ENOMEM;
    }
    for (size_t i = 0; st == LOOM_OK && i < given->attr_count; i++) {
        attr_rule *attr = &rule->attrs[rule->attr_count++];
        st = given->attrs[i].key != NULL ? copy_pattern(&attr->key, given->attrs[i].key) : last_error_null("the key of a rule's attribute");
        st = st == LOOM_OK ? copy_pattern(&attr->value, given->attrs[i].value) : st;
    }
    return st == LOOM_OK ? make(m, &rule->sampler, given->sampler) : st;
}

static loom_status make_rules(maker *m, span_sampler *s, const loom_sampler_rules *given)
{
    static const loom_sampler on = {.kind = LOOM_SAMPLER_ALWAYS_ON};
    if (given == NULL || (given->count > 0 && given->rules == NULL)) {
        return last_error_null("the sampler's rules");
    }
    if (given->count > SAMPLERS_MAX) {
        return LOOM_ETOOBIG;
    }
    s->kind = LOOM_SAMPLER_RULES;
    s->otherwise = calloc(1, sizeof *s->otherwise);
    s->rules = given->count > 0 ? calloc(given->count, sizeof *s->rules) : NULL;
    if (s->otherwise == NULL || (given->count > 0 && s->rules == NULL)) {
        return LOOM_ENOMEM;
    }
    loom_status st = make(m, s->otherwise, given->otherwise != NULL ? given->otherwise : &on);
    for (size_t i = 0; st == LOOM_OK && i < given->count; i++) {
        st = make_rule(m, &s->rules[s->rule_count++], &given->rules[i]);
    }
    return st;
}

static loom_status make_kind(maker *m, span_sampler *s, const loom_sampler *d)
{
    switch (d->kind) {
    case LOOM_SAMPLER_PARENTBASED_ALWAYS_ON:
    case LOOM_SAMPLER_ALWAYS_ON:
        set_answer(s, true);
        return LOOM_OK;
    case LOOM_SAMPLER_PARENTBASED_ALWAYS_OFF:
    case LOOM_SAMPLER_ALWAYS_OFF:
        set_answer(s, false);
        return LOOM_OK;
    case LOOM_SAMPLER_PARENTBASED_RATIO:
    case LOOM_SAMPLER_RATIO:
        return make_ratio(s, d->ratio);
    case LOOM_SAMPLER_PARENTBASED_RATE_LIMITED:
    case LOOM_SAMPLER_RATE_LIMITED:
        return make_rate(s, d->per_second);
    case LOOM_SAMPLER_PARENTBASED:
        return make_parents(m, s, d->parents);
    case LOOM_SAMPLER_RULES:
        return make_rules(m, s, d->rules);
    case LOOM_SAMPLER_CUSTOM:
        if (d->custom == NULL || (d->custom->decide == NULL && d->custom->sample == NULL)) {
            return last_error(LOOM_EINVAL, "the custom sampler has neither decide nor sample");
        }
        s->kind = d->kind;
        s->custom = *d->custom;
        m->says_more = m->says_more || s->custom.sample != NULL;
        return LOOM_OK;
    }
    return last_error(LOOM_EINVAL, "there is no sampler of kind %d", (int)d->kind);
}

/* s is all zero. What it holds after an error is freed with the whole. */
static loom_status make(maker *m, span_sampler *s, const loom_sampler *d)
{
    if (m->depth == DEPTH_MAX || m->count == SAMPLERS_MAX) {
        return LOOM_ETOOBIG;
    }
    m->depth++;
    m->count++;
    s->answer = SAMPLER_ASKS;
    atomic_init(&s->due_ns, 0);
    s->follows_parent = d->kind <= LOOM_SAMPLER_PARENTBASED_RATIO || d->kind == LOOM_SAMPLER_PARENTBASED_RATE_LIMITED;
    const loom_status st = make_kind(m, s, d);
    m->depth--;
    return st;
}

loom_status sampler_init(span_sampler *s, const loom_sampler *description)
{
    maker m = {0};
    memset(s, 0, sizeof *s);
    const loom_status st = make(&m, s, description);
    s->says_more = m.says_more;
    if (st != LOOM_OK) {
        sampler_fini(s);
    }
    return st;
}

static void free_rule(sampler_rule *rule)
{
    for (size_t i = 0; i < rule->attr_count; i++) {
        free(rule->attrs[i].key);
        free(rule->attrs[i].value);
    }
    free(rule->attrs);
    free(rule->name);
    sampler_fini(&rule->sampler);
}

void sampler_fini(span_sampler *s)
{
    for (size_t i = 0; s->parents != NULL && i < PARENT_CASES; i++) {
        sampler_fini(&s->parents[i]);
    }
    for (size_t i = 0; i < s->rule_count; i++) {
        free_rule(&s->rules[i]);
    }
    if (s->otherwise != NULL) {
        sampler_fini(s->otherwise);
    }
    free(s->parents);
    free(s->rules);
    free(s->otherwise);
    s->parents = NULL;
    s->rules = NULL;
    s->otherwise = NULL;
    s->rule_count = 0;
}
