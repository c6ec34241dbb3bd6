/* SPDX-License-Identifier: Apache-2.0 */
/* GET /api/latency: how long messages take to their handlers, how long those take, and how long calls take, for each edge of
 * the flow; out of the spans of the latest traces. Edges are named as the control socket names them (envelope/WIRE.md, 5.3). */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "tools/loom/view/internal.h"

enum { TRACES = 100, EDGES_MAX = 512, SAMPLES = 256, EDGE_NAME_SIZE = 256, HOPS_MAX = 8, LOOK_BACK = 2000 };

typedef struct samples {
    uint64_t ns[SAMPLES]; /* of the latest */
    size_t count;
} samples;

typedef struct edge {
    const char *kind; /* of a table below */
    char agent[EDGE_NAME_SIZE], name[EDGE_NAME_SIZE];
    samples way, work; /* until its handler began; in the handler */
} edge;

typedef struct edges {
    edge *items[EDGES_MAX];
    size_t count;
    uint64_t others; /* spans of edges beyond those */
} edges;

/* Which spans tell of which edge. */
static const struct {
    const char *span, *kind, *name_key;
} tellers[] = {{"agent.on_event", "deliver", "topic"}, {"agent.on_action", "provide", "capability"}, {"action.invoke", "invoke", "capability"}};

static edge *find_edge(edges *e, const char *kind, loom_str agent, loom_str name)
{
    for (size_t i = 0; i < e->count; i++) {
        if (e->items[i]->kind == kind && str_is(agent, e->items[i]->agent) && str_is(name, e->items[i]->name)) {
            return e->items[i];
        }
    }
    edge *added = e->count < EDGES_MAX && agent.len < EDGE_NAME_SIZE && name.len < EDGE_NAME_SIZE ? calloc(1, sizeof *added) : NULL;
    if (added == NULL) {
        e->others++;
        return NULL;
    }
    added->kind = kind;
    memcpy(added->agent, agent.data, agent.len);
    memcpy(added->name, name.data, name.len);
    e->items[e->count++] = added;
    return added;
}

static void add_sample(samples *s, uint64_t ns)
{
    if (s->count < SAMPLES) {
        s->ns[s->count++] = ns;
    }
}

/* A parent begins before its child, and spans are in the order of their times, so it is found behind us, and not far. */
static const trace_span *parent_of(span_range trace, const trace_span *span)
{
    const trace_span *first = span - trace.spans > LOOK_BACK ? span - LOOK_BACK : trace.spans;
    for (const trace_span *at = span; at-- > first;) {
        if (memcmp(at->otlp.span_id, span->otlp.parent_span_id, LOOM_SPAN_ID_SIZE) == 0) {
            return at;
        }
    }
    return NULL;
}

/* Up the hops of a message or call, to the span that sent it. */
static const trace_span *sender_of(span_range trace, const trace_span *span)
{
    const trace_span *sender = NULL;
    const trace_span *at = parent_of(trace, span);
    for (size_t i = 0; at != NULL && i < HOPS_MAX; i++) {
        const loom_str name = at->otlp.name;
        if (str_is(name, "agent.emit") || str_is(name, "action.invoke")) {
            return at;
        }
        if (!str_is(name, "bridge.forward") && !str_is(name, "eventbus.publish") && !str_is(name, "bridge.publish") && !str_is(name, "action.dispatch")) {
            break;
        }
        sender = at;
        at = parent_of(trace, at);
    }
    return sender;
}

static void add_span(edges *e, span_range trace, const trace_span *span)
{
    for (size_t i = 0; i < sizeof tellers / sizeof tellers[0]; i++) {
        if (!str_is(span->otlp.name, tellers[i].span)) {
            continue;
        }
        edge *of = find_edge(e, tellers[i].kind, view_span_text(span, "agent_id"), view_span_text(span, tellers[i].name_key));
        if (of != NULL) {
            const trace_span *sender = i < 2 ? sender_of(trace, span) : NULL;
            add_sample(&of->work, span_duration_ns(span));
            if (sender != NULL && span->otlp.start_unix_ns >= sender->otlp.start_unix_ns) {
                add_sample(&of->way, span->otlp.start_unix_ns - sender->otlp.start_unix_ns);
            }
        }
    }
}

static void add_trace(void *user, span_range trace)
{
    for (size_t i = 0; i < trace.count; i++) {
        add_span(user, trace, &trace.spans[i]);
    }
}

static int by_size(const void *left, const void *right)
{
    const uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static json_t *describe_samples(samples *s)
{
    if (s->count == 0) {
        return json_null();
    }
    qsort(s->ns, s->count, sizeof s->ns[0], by_size);
    return json_pack("{s:I, s:I}", "median_ns", (json_int_t)s->ns[s->count / 2], "longest_ns", (json_int_t)s->ns[s->count - 1]);
}

static json_t *describe(edges *e)
{
    json_t *all = json_array();
    for (size_t i = 0; i < e->count; i++) {
        edge *of = e->items[i];
        json_t *one = json_pack("{s:s, s:I, s:o, s:o}", "kind", of->kind, "spans", (json_int_t)of->work.count, "way", describe_samples(&of->way),
                                "work", describe_samples(&of->work));
        view_set_text(one, "agent", str_of(of->agent));
        view_set_text(one, "name", str_of(of->name));
        json_array_append_new(all, one);
    }
    return all;
}

static void measure(view_job *job)
{
    store_filter filter = {.limit = TRACES};
    bool cut;
    edges *e = calloc(1, sizeof *e);
    if (e == NULL) {
        view_job_fail(job, 503, "out of memory");
        return;
    }
    if (view_query(job, view_read_limit, &filter) && view_walk(job, &filter, add_trace, e, &cut)) {
        view_write_json(job, json_pack("{s:o, s:I, s:b}", "edges", describe(e), "others", (json_int_t)e->others, "truncated", cut));
    }
    for (size_t i = 0; i < e->count; i++) {
        free(e->items[i]);
    }
    free(e);
}

void view_latency(void *user, http_request *r)
{
    view_job_start(user, r, measure);
}
