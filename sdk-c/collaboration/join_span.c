/* SPDX-License-Identifier: Apache-2.0 */
/* The spans agent.join and agent.fanout. */
#include "base/str.h"
#include "sdk-c/collaboration/joining.h"
#include "trace/span/start.h"

/* Starts what is to be recorded; what is not goes on as a bare context. */
static current_span begin(loom_agent *a, const char *name, const loom_span_options *options)
{
    loom_trace_context decided;
    current_span s = {0};
    const span_what what = {name, options->kind};
    if (span_decide(a->tracer, &what, options->parent, options->parent_is_remote, &decided)) {
        s.span = span_start_decided(a->tracer, name, options, &decided, NULL, 0);
        loom_span_make_current(s.span);
        loom_span_set_str(s.span, "agent_id", a->id);
    } else if (loom_trace_context_valid(&decided)) {
        s.token = context_push_local(&decided, options->tracestate);
    }
    return s;
}

void current_span_end(current_span *s)
{
    loom_span_end(s->span);
    if (s->token != 0) {
        loom_context_pop(s->token);
    }
    *s = (current_span){0};
}

/* Who has contributed, in order of arrival; as many as there may be links. */
static void add_sources(loom_span *span, const loom_joined *joined)
{
    loom_str sources[LOOM_JOIN_LINKS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < joined->count && count < LOOM_JOIN_LINKS_MAX; i++) {
        if (joined->contributions[i].status == LOOM_OK) {
            sources[count++] = str_of(joined->contributions[i].source);
        }
    }
    loom_span_set_attr(span, &(loom_attr){.key = "loom.join.sources",
                                          .type = LOOM_ATTR_STRINGS,
                                          .value.array = {.items = sources, .count = count}});
}

static void describe(loom_span *span, const loom_joined *joined, size_t not_linked)
{
    loom_span_set_string(span, "loom.join.outcome", loom_join_outcome_name(joined->outcome));
    loom_span_set_int(span, "loom.join.expected", joined->expected);
    loom_span_set_int(span, "loom.join.received", joined->received);
    if (joined->failed > 0) {
        loom_span_set_int(span, "loom.join.failed", joined->failed);
    }
    if (joined->key[0] != '\0') {
        loom_span_set_string(span, "loom.join.key", joined->key);
    }
    if (not_linked > 0) {
        loom_span_set_int(span, "loom.join.not_linked", (int64_t)not_linked);
    }
    add_sources(span, joined);
}

current_span join_span_begin(loom_agent *a, const join *j)
{
    loom_link links[LOOM_JOIN_LINKS_MAX];
    size_t linked = 0, not_linked = 0;
    for (size_t i = 0; i < j->joined.count; i++) {
        const loom_envelope *event = j->items[i].event;
        loom_link link = {.context_is_remote = true};
        if (event == NULL || !loom_envelope_creation_context(event, &link.context)) {
            continue;
        }
        if (linked < LOOM_JOIN_LINKS_MAX) {
            link.tracestate = loom_envelope_tracestate(event);
            links[linked++] = link;
        } else {
            not_linked++;
        }
    }
    current_span s = begin(a, "agent.join",
                           &(loom_span_options){.kind = LOOM_SPAN_CONSUMER,
                                                .parent = &j->parent,
                                                .parent_is_remote = j->parent_is_remote,
                                                .tracestate = str_of(j->tracestate),
                                                .start_unix_ns = j->first_unix_ns,
                                                .links = links,
                                                .link_count = linked});
    if (loom_span_is_recording(s.span)) {
        describe(s.span, &j->joined, not_linked);
    }
    return s;
}

current_span fanout_span_begin(loom_agent *a, size_t targets)
{
    static const loom_trace_context none;
    const loom_trace_context *parent = loom_context_current();
    current_span s = begin(a, "agent.fanout",
                           &(loom_span_options){.kind = LOOM_SPAN_INTERNAL,
                                                .parent = parent != NULL ? parent : &none,
                                                .parent_is_remote = context_current_is_remote(),
                                                .tracestate = loom_context_current_tracestate()});
    loom_span_set_int(s.span, "loom.fanout.targets", (int64_t)targets);
    return s;
}
