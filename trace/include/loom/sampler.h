/* SPDX-License-Identifier: Apache-2.0 */
/* Samplers that are made of others: what trace.h calls a loom_sampler, put together.
 *
 * A sampler is a description, written down as a value. loom_tracer_provider_create() copies it with all that it points to:
 *
 *     const loom_sampler never = {.kind = LOOM_SAMPLER_ALWAYS_OFF}, few = {.kind = LOOM_SAMPLER_RATIO, .ratio = 0.01};
 *     const loom_sampler_rule rules[] = {
 *         {.name = "GET /health*", .sampler = &never},
 *         {.kind = LOOM_SPAN_CONSUMER, .attrs = &(loom_attr_pattern){"tenant", "test-*"}, .attr_count = 1, .sampler = &few},
 *     };
 *     const loom_sampler root = {.kind = LOOM_SAMPLER_RULES, .rules = &(loom_sampler_rules){rules, 2, NULL}};
 *     const loom_sampler sampler = {.kind = LOOM_SAMPLER_PARENTBASED, .parents = &(loom_sampler_parents){.root = &root}};
 *
 * A sampler decides for the one span it is asked about. Only a parent-based sampler on top keeps traces whole: it asks once for each trace, and
 * the spans below follow.
 *
 * The hops of the bus (trace/messaging: bridge.publish, eventbus.publish, agent.on_event …) ask with their name and kind, and
 * before there are attributes, links and tracestate: rules by attribute do not match them, and they take of a custom sampler
 * the decision alone. Attributes that are set later never count.
 * Limits: samplers 8 deep, 1024 in all. */
#ifndef LOOM_SAMPLER_H
#define LOOM_SAMPLER_H

#include <loom/trace.h>

LOOM_BEGIN_DECLS

/* LOOM_SAMPLER_PARENTBASED (OpenTelemetry, SDK, "ParentBased"): one for each case. NULL: always_on for no parent and for a
 * sampled one, always_off for one that is not. Remote is a parent of another process. */
struct loom_sampler_parents {
    const loom_sampler *root;
    const loom_sampler *remote_sampled, *remote_not_sampled;
    const loom_sampler *local_sampled, *local_not_sampled;
};

/* An attribute as it has to be at the start of a span. Patterns: '*' is any number of characters, '?' one. */
typedef struct loom_attr_pattern {
    const char *key;   /* a pattern */
    const char *value; /* a pattern for strings (of an array one is enough), whole numbers in decimal, and true or false;
                          NULL: any value of any type */
} loom_attr_pattern;

/* Matches when all that it names does. */
typedef struct loom_sampler_rule {
    const char *name;               /* a pattern for the span's name; NULL: any */
    loom_span_kind kind;            /* 0: any */
    const loom_attr_pattern *attrs; /* each by some attribute */
    size_t attr_count;
    const loom_sampler *sampler;    /* decides */
} loom_sampler_rule;

/* LOOM_SAMPLER_RULES: the first rule that matches. */
struct loom_sampler_rules {
    const loom_sampler_rule *rules;
    size_t count;
    const loom_sampler *otherwise; /* when none does; NULL: always_on */
};

/* What a span is about to be. Borrowed for the call. */
typedef struct loom_sampler_question {
    const loom_trace_context *parent; /* NULL: it starts a trace */
    bool parent_is_remote;
    const uint8_t *trace_id;          /* LOOM_TRACE_ID_SIZE bytes */
    const char *name;                 /* NULL: not known yet */
    loom_span_kind kind;              /* 0: not known yet */
    const loom_attr *attrs;
    size_t attr_count;
    const loom_link *links;
    size_t link_count;
    loom_str tracestate;              /* of the parent; may be empty */
} loom_sampler_question;

#define LOOM_SAMPLER_ATTRS_MAX 8u

/* What becomes of it (OpenTelemetry, SDK, "ShouldSample"). Comes filled in: not sampled, the parent's tracestate, no
 * attributes. What is pointed to has to last until the span has started, as what lies in the question and in room does. */
typedef struct loom_sampler_result {
    bool sampled;        /* RECORD_AND_SAMPLE, or DROP. There is no RECORD_ONLY: only what is sampled has somewhere to go */
    loom_str tracestate; /* of the span, sampled or not; empty: it has none. One that loom_tracestate_check() refuses is not
                            taken, and the parent's stays */
    size_t attr_count;
    loom_attr attrs[LOOM_SAMPLER_ATTRS_MAX]; /* for the span if it is sampled; over those of the same key it starts with */
    char room[512];      /* for texts the sampler makes, such as a tracestate by loom_tracestate_set() */
} loom_sampler_result;

/* LOOM_SAMPLER_CUSTOM: any thread, on the path of every span that asks; user outlives the provider's spans. One of the two
 * functions; with both, sample is the one. */
struct loom_sampler_custom {
    bool (*decide)(void *user, const loom_sampler_question *question);
    void *user;
    void (*sample)(void *user, const loom_sampler_question *question, loom_sampler_result *result);
};

LOOM_END_DECLS
#endif
