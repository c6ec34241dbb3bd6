/* SPDX-License-Identifier: Apache-2.0 */
/* What `quick` measures: the rows that the promises are about, and the promises. */
#include "tools/bench/goals.h"
#include "tools/bench/peers/peers.h"
#include "tools/bench/scenarios/scenarios.h"

#define SECONDS 0.6
#define WARM_UP_SECONDS 0.25

enum { SMALL = 128, MEDIUM = 1024, TRACED_RATE = 50000, TRACED_RATE_HIGH = 100000, LINK_RATE = 20000, FEW_FILTERS = 10, MANY_FILTERS = 100000 };

/* In the order in which plan_quick() adds them. */
enum { CASE_PUBSUB, CASE_FANOUT, CASE_MEDIUM, CASE_REQUEST, CASE_ONE_PROCESSOR,
       CASE_TRACED, CASE_TRACED_HIGH, CASE_LINK, CASE_INCIDENT, CASE_EVENTBUS, CASE_FILTERS, CASE_AGENTS, CASE_STALL,
       CASE_SAMPLED, CASE_UNSAMPLED, CASE_DISABLED, CASE_ENCODE };
enum { PUBSUB_LOOM, PUBSUB_TRACEPARENT, PUBSUB_NATS, PUBSUB_PROCESS, PUBSUB_PERCENT, PUBSUB_RECORDER };
enum { LOOM, NATS, FLOOR, RECORDER }; /* of fanout, medium and request */
enum { UNSAMPLED, SAMPLED };      /* of traced, and of link */
enum { CALM, SOME_FAIL, ALL_FAIL }; /* of incident */
enum { FEW, MANY };               /* of filters */
enum { RUNNING, STOPPED };        /* of stall */

static const goal goals[] = {
    {.text = "pubsub 128 B: rate, of NATS with a traceparent", .metric = METRIC_RATE, .at_least = true, .limit = 5,
     .is_ratio = true, .of = {CASE_PUBSUB, PUBSUB_LOOM}, .to = {CASE_PUBSUB, PUBSUB_TRACEPARENT}},
    {.text = "pubsub 128 B: rate, of NATS bare", .metric = METRIC_RATE, .at_least = true, .limit = 2,
     .is_ratio = true, .of = {CASE_PUBSUB, PUBSUB_LOOM}, .to = {CASE_PUBSUB, PUBSUB_NATS}},
    {.text = "fanout 1 to 4, 128 B: deliveries, of NATS bare", .metric = METRIC_RATE, .at_least = true, .limit = 2.5,
     .is_ratio = true, .of = {CASE_FANOUT, LOOM}, .to = {CASE_FANOUT, NATS}},
    {.text = "pubsub 1 KiB: rate, of NATS bare", .metric = METRIC_RATE, .at_least = true, .limit = 2,
     .is_ratio = true, .of = {CASE_MEDIUM, LOOM}, .to = {CASE_MEDIUM, NATS}},
    {.text = "request 128 B: p50, of NATS", .metric = METRIC_P50_US, .limit = 0.6,
     .is_ratio = true, .of = {CASE_REQUEST, LOOM}, .to = {CASE_REQUEST, NATS}},
    {.text = "request 128 B: p99, of NATS", .metric = METRIC_P99_US, .limit = 0.8,
     .is_ratio = true, .of = {CASE_REQUEST, LOOM}, .to = {CASE_REQUEST, NATS}},
    {.text = "request 128 B, all on one processor: p50, of the floor", .metric = METRIC_P50_US, .limit = 1.75,
     .is_ratio = true, .of = {CASE_ONE_PROCESSOR, LOOM}, .to = {CASE_ONE_PROCESSOR, FLOOR}},
    {.text = "bridge in a process of its own: rate, of the bridge in the broker", .metric = METRIC_RATE, .at_least = true,
     .limit = 0.5, .is_ratio = true, .of = {CASE_PUBSUB, PUBSUB_PROCESS}, .to = {CASE_PUBSUB, PUBSUB_LOOM}},
    {.text = "1 % sampled: rate, of unsampled", .metric = METRIC_RATE, .at_least = true, .limit = 0.95,
     .is_ratio = true, .of = {CASE_PUBSUB, PUBSUB_PERCENT}, .to = {CASE_PUBSUB, PUBSUB_LOOM}},
    {.text = "everything sampled and exported: events/s, when 50,000 are due", .metric = METRIC_RATE, .at_least = true,
     .limit = 0.99 * TRACED_RATE, .of = {CASE_TRACED, SAMPLED}},
    {.text = "everything sampled and exported: spans lost in the worst round", .metric = METRIC_SPANS_LOST, .limit = 0,
     .worst = true, .of = {CASE_TRACED, SAMPLED}},
    {.text = "everything sampled and exported: p50 to the handler, of unsampled", .metric = METRIC_P50_US, .limit = 1.1,
     .is_ratio = true, .of = {CASE_TRACED, SAMPLED}, .to = {CASE_TRACED, UNSAMPLED}},
    {.text = "everything sampled and exported: events/s, when 100,000 are due", .metric = METRIC_RATE, .at_least = true,
     .limit = 0.99 * TRACED_RATE_HIGH, .of = {CASE_TRACED_HIGH, SAMPLED}},
    {.text = "the same: spans lost in the worst round", .metric = METRIC_SPANS_LOST, .limit = 0, .worst = true,
     .of = {CASE_TRACED_HIGH, SAMPLED}},
    {.text = "flight recorder on, pubsub 128 B: rate, of without", .metric = METRIC_RATE, .at_least = true, .limit = 0.7,
     .is_ratio = true, .of = {CASE_PUBSUB, PUBSUB_RECORDER}, .to = {CASE_PUBSUB, PUBSUB_LOOM}},
    {.text = "flight recorder on, pubsub 128 B: rate, of NATS with a traceparent", .metric = METRIC_RATE, .at_least = true, .limit = 3,
     .is_ratio = true, .of = {CASE_PUBSUB, PUBSUB_RECORDER}, .to = {CASE_PUBSUB, PUBSUB_TRACEPARENT}},
    {.text = "flight recorder on, request 128 B: p50, of without", .metric = METRIC_P50_US, .limit = 1.05,
     .is_ratio = true, .of = {CASE_REQUEST, RECORDER}, .to = {CASE_REQUEST, LOOM}},
    {.text = "an incident at 100,000 events/s: kept traces that are whole, of those that failed", .metric = METRIC_KEPT_WHOLE,
     .at_least = true, .limit = 0.999, .of = {CASE_INCIDENT, SOME_FAIL}},
    {.text = "a storm, everything fails: rate, of none failing", .metric = METRIC_RATE, .at_least = true, .limit = 1 / 1.2,
     .is_ratio = true, .of = {CASE_INCIDENT, ALL_FAIL}, .to = {CASE_INCIDENT, CALM}},
    {.text = "a storm, everything fails: p99 to the handler, of none failing", .metric = METRIC_P99_US, .limit = 1.2,
     .is_ratio = true, .of = {CASE_INCIDENT, ALL_FAIL}, .to = {CASE_INCIDENT, CALM}},
    {.text = "a storm, everything fails: MB of the broker at most, of which 16 MiB are the recorder's", .metric = METRIC_PEAK_BYTES,
     .limit = 48, .unit = 1e6, .of = {CASE_INCIDENT, ALL_FAIL}},
    {.text = "every span over the agents' links, 20,000 events/s: p99 to the handler, of unsampled", .metric = METRIC_P99_US,
     .limit = 1.2, .is_ratio = true, .of = {CASE_LINK, SAMPLED}, .to = {CASE_LINK, UNSAMPLED}},
    {.text = "every span over the agents' links: spans lost in the worst round", .metric = METRIC_SPANS_LOST, .limit = 0,
     .worst = true, .of = {CASE_LINK, SAMPLED}},
    {.text = "EventBus in process, one subscriber: million events/s", .metric = METRIC_RATE, .at_least = true, .limit = 8,
     .unit = 1e6, .of = {CASE_EVENTBUS, 0}},
    {.text = "100,000 filters: cost of a match, of that with 10", .metric = METRIC_CPU, .limit = 2,
     .is_ratio = true, .of = {CASE_FILTERS, MANY}, .to = {CASE_FILTERS, FEW}},
    {.text = "idle broker: MB resident", .metric = METRIC_IDLE_BYTES, .limit = 8, .unit = 1e6, .of = {CASE_AGENTS, 0}},
    {.text = "idle agent: KB of the broker's memory", .metric = METRIC_SESSION_BYTES, .limit = 16, .unit = 1e3,
     .of = {CASE_AGENTS, 0}},
    {.text = "one subscriber of ten stopped: p99 of the others, of all running", .metric = METRIC_P99_US, .limit = 1.2,
     .is_ratio = true, .of = {CASE_STALL, STOPPED}, .to = {CASE_STALL, RUNNING}},
    {.text = "a sampled span with 5 attributes: ns", .metric = METRIC_SPAN_NS, .limit = 200, .of = {CASE_SAMPLED, LOOM}},
    {.text = "an unsampled one: ns", .metric = METRIC_SPAN_NS, .limit = 10, .of = {CASE_UNSAMPLED, LOOM}},
    {.text = "one with tracing disabled: ns", .metric = METRIC_SPAN_NS, .limit = 3, .of = {CASE_DISABLED, LOOM}},
    {.text = "spans encoded to OTLP: millions a second", .metric = METRIC_RATE, .at_least = true, .limit = 1.5, .unit = 1e6,
     .of = {CASE_ENCODE, LOOM}},
    {.text = "a span encoded to OTLP: time, of the Go SDK", .metric = METRIC_SPAN_NS, .limit = 1,
     .is_ratio = true, .of = {CASE_ENCODE, LOOM}, .to = {CASE_ENCODE, 0}, .to_peer = &bench_peer_otel_go},
    {.text = "a span encoded to OTLP: time, of the Rust SDK", .metric = METRIC_SPAN_NS, .limit = 1,
     .is_ratio = true, .of = {CASE_ENCODE, LOOM}, .to = {CASE_ENCODE, 0}, .to_peer = &bench_peer_otel_rust},
};

enum { GOALS = sizeof goals / sizeof goals[0] };
_Static_assert((int)GOALS <= (int)GOALS_MAX, "there is room for all");

static bench_case *add(bench_plan *plan, const bench_scenario *s, bench_shape shape, size_t size, const bench_options *o)
{
    bench_case *c = plan_add_case(plan, s, shape, size, o);
    if (c != NULL) {
        c->setup.seconds = o->seconds > 0 ? o->seconds : SECONDS;
        c->setup.warm_up = WARM_UP_SECONDS;
    }
    return c;
}

static bench_contender *add_loom(bench_case *c)
{
    return plan_add_loom(c, BRIDGE_BROKER, TRANSPORT_IPC, TRACING_UNSAMPLED);
}

static bool add_pubsub(bench_plan *plan, const bench_options *o)
{
    bench_case *c = add(plan, &bench_scenario_pubsub, bench_scenario_pubsub.shapes[0], SMALL, o);
    if (c == NULL) {
        return false;
    }
    add_loom(c);
    plan_add_contender(c, &bench_peer_nats_traceparent);
    plan_add_contender(c, &bench_peer_nats);
    plan_add_loom(c, BRIDGE_PROCESS, TRANSPORT_IPC, TRACING_UNSAMPLED);
    plan_add_loom(c, BRIDGE_BROKER, TRANSPORT_IPC, TRACING_PERCENT);
    plan_add_loom(c, BRIDGE_BROKER, TRANSPORT_IPC, TRACING_RECORDER);
    plan_name_contenders(c);
    return true;
}

static bool add_next_to_nats(bench_plan *plan, const bench_scenario *s, size_t size, const bench_peer *another,
                             bench_placement placement, const bench_options *o)
{
    bench_case *c = add(plan, s, s->shapes[0], size, o);
    if (c == NULL) {
        return false;
    }
    c->setup.placement = placement;
    add_loom(c);
    plan_add_contender(c, &bench_peer_nats);
    if (another != NULL) {
        plan_add_contender(c, another);
        plan_add_loom(c, BRIDGE_BROKER, TRANSPORT_IPC, TRACING_RECORDER);
    }
    plan_name_contenders(c);
    return true;
}

static bool add_traced(bench_plan *plan, unsigned rate, bench_tracing tracing, const bench_options *o)
{
    bench_case *c = add(plan, &bench_scenario_pubsub, bench_scenario_pubsub.shapes[0], SMALL, o);
    if (c == NULL) {
        return false;
    }
    c->setup.paced = true;
    c->setup.latency_rate = rate;
    add_loom(c);
    plan_add_loom(c, BRIDGE_BROKER, TRANSPORT_IPC, tracing);
    plan_name_contenders(c);
    return true;
}

static bool add_incident(bench_plan *plan, const bench_options *o)
{
    const bench_scenario *s = &bench_scenario_incident;
    bench_case *c = add(plan, s, s->shapes[0], SMALL, o);
    if (c == NULL) {
        return false;
    }
    for (size_t i = 0; i < s->shape_count; i++) {
        bench_contender *contender = plan_add_loom(c, BRIDGE_BROKER, TRANSPORT_IPC, TRACING_RECORDER);
        if (contender != NULL) {
            contender->setup.shape = s->shapes[i];
        }
    }
    plan_name_contenders(c);
    return true;
}

static bool add_filters(bench_plan *plan, const bench_options *o)
{
    bench_case *c = add(plan, &bench_scenario_subscriptions, (bench_shape){.filters = MANY_FILTERS}, SMALL, o);
    if (c == NULL) {
        return false;
    }
    bench_contender *few = add_loom(c);
    add_loom(c);
    few->setup.shape.filters = FEW_FILTERS;
    plan_name_contenders(c);
    return true;
}

static bool add_stall(bench_plan *plan, const bench_options *o)
{
    bench_case *c = add(plan, &bench_scenario_stall, bench_scenario_stall.shapes[0], SMALL, o);
    if (c == NULL) {
        return false;
    }
    bench_contender *running = add_loom(c);
    add_loom(c);
    running->setup.stopped = 0;
    plan_name_contenders(c);
    return true;
}

static bool add_alone(bench_plan *plan, const bench_scenario *s, const bench_options *o)
{
    bench_case *c = add(plan, s, s->shapes[0], SMALL, o);
    if (c == NULL) {
        return false;
    }
    add_loom(c);
    plan_name_contenders(c);
    return true;
}

/* Every kind of work, next to the SDKs that are there: they need compilers of other languages, so none is asked for. */
static bool add_spans(bench_plan *plan, const bench_options *o)
{
    static const bench_peer *const sdks[] = {&bench_peer_otel_go, &bench_peer_otel_rust};
    char why[PLAN_WHY_SIZE];
    for (size_t i = 0; i < bench_scenario_span.shape_count; i++) {
        bench_case *c = add(plan, &bench_scenario_span, bench_scenario_span.shapes[i], 0, o);
        if (c == NULL) {
            return false;
        }
        add_loom(c);
        for (size_t k = 0; k < sizeof sdks / sizeof sdks[0]; k++) {
            if (sdks[k]->available(&c->setup, why, sizeof why)) {
                plan_add_contender(c, sdks[k]);
            }
        }
        plan_name_contenders(c);
    }
    return true;
}

/* The floor is little else than the kernel handing the processor on, which takes five times as long from one processor to
 * another as on the same; where the kernel puts the processes would decide that ratio. So it is measured on one. */
bool plan_quick(bench_plan *out, const bench_options *o)
{
    return add_pubsub(out, o) && add_next_to_nats(out, &bench_scenario_fanout, SMALL, NULL, PLACEMENT_FREE, o) &&
           add_next_to_nats(out, &bench_scenario_pubsub, MEDIUM, NULL, PLACEMENT_FREE, o) &&
           add_next_to_nats(out, &bench_scenario_request, SMALL, &bench_peer_floor, PLACEMENT_FREE, o) &&
           add_next_to_nats(out, &bench_scenario_request, SMALL, &bench_peer_floor, PLACEMENT_TOGETHER, o) &&
           add_traced(out, TRACED_RATE, TRACING_ON, o) && add_traced(out, TRACED_RATE_HIGH, TRACING_ON, o) &&
           add_traced(out, LINK_RATE, TRACING_LINK, o) && add_incident(out, o) &&
           add_alone(out, &bench_scenario_eventbus, o) && add_filters(out, o) &&
           add_alone(out, &bench_scenario_agents, o) && add_stall(out, o) && add_spans(out, o);
}

size_t goals_of_quick(const bench_plan *plan, goal_result *out)
{
    size_t count = 0;
    for (size_t i = 0; i < GOALS; i++) {
        if (goal_applies(&goals[i], plan)) {
            out[count++] = goal_judge(&goals[i], plan);
        }
    }
    return count;
}
