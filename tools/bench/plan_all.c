/* SPDX-License-Identifier: Apache-2.0 */
/* The full table: every scenario with every size and peer, Loom in every home, over both transports, with all tracings and
 * both APIs. */
#include <string.h>

#include "tools/bench/plan.h"
#include "tools/bench/scenarios/scenarios.h"

static const size_t sizes[] = {128, 1024, 16 * 1024, 256 * 1024};

enum { SIZES = sizeof sizes / sizeof sizes[0], SMALL = 128, MANY_FILTERS = 100000 };

/* The scenarios that peers take part in, and those of them that are measured in every size. */
static const bench_scenario *const with_peers[] = {&bench_scenario_pubsub, &bench_scenario_fanout, &bench_scenario_fanin,
                                                   &bench_scenario_request};
static const bench_scenario *const alone[] = {&bench_scenario_eventbus, &bench_scenario_subscriptions};

static bool with_all_peers(bench_plan *plan, const bench_scenario *scenario, bench_shape shape, size_t size,
                           const bench_options *o)
{
    bench_case *c = plan_add_case(plan, scenario, shape, size, o);
    if (c == NULL || plan_add_loom(c, BRIDGE_BROKER, TRANSPORT_IPC, TRACING_UNSAMPLED) == NULL) {
        return false;
    }
    for (const bench_peer *const *p = bench_peers(); *p != NULL; p++) {
        if (bench_scenario_suits(scenario, *p) && plan_add_contender(c, *p) == NULL) {
            return false;
        }
    }
    plan_name_contenders(c);
    return true;
}

/* Completes a case whose shape and size another one has, too. by: what its forms of Loom differ in. */
static bool next_to(bench_case *c, const bench_peer *peer, const char *by)
{
    const size_t len = strlen(c->title);
    snprintf(c->title + len, sizeof c->title - len, ", by %s", by);
    if (plan_add_contender(c, peer) == NULL) {
        return false;
    }
    plan_name_contenders(c);
    return true;
}

/* Both homes over both transports, next to NATS bare. */
static bool with_all_forms(bench_plan *plan, const bench_scenario *scenario, bench_shape shape, const bench_options *o)
{
    bench_case *c = plan_add_case(plan, scenario, shape, SMALL, o);
    if (c == NULL) {
        return false;
    }
    for (unsigned form = 0; form < 4; form++) {
        plan_add_loom(c, form < 2 ? BRIDGE_BROKER : BRIDGE_PROCESS, form % 2 == 0 ? TRANSPORT_IPC : TRANSPORT_TCP,
                      TRACING_UNSAMPLED);
    }
    return next_to(c, bench_peers()[0], "bridge and transport");
}

/* Requests as events and as calls of a capability, through both homes, next to NATS bare. */
static bool add_apis(bench_plan *plan, const bench_options *o)
{
    bench_case *c = plan_add_case(plan, &bench_scenario_request, bench_scenario_request.shapes[0], SMALL, o);
    if (c == NULL) {
        return false;
    }
    for (unsigned form = 0; form < 4; form++) {
        bench_contender *loom =
            plan_add_loom(c, form % 2 == 0 ? BRIDGE_BROKER : BRIDGE_PROCESS, TRANSPORT_IPC, TRACING_UNSAMPLED);
        if (loom == NULL) {
            return false;
        }
        loom->setup.api = form < 2 ? API_EVENT : API_ACTION;
    }
    return next_to(c, bench_peers()[0], "API and bridge");
}

static bool with_all_tracings(bench_plan *plan, const bench_scenario *scenario, bench_shape shape, const bench_options *o)
{
    bench_case *c = plan_add_case(plan, scenario, shape, SMALL, o);
    if (c == NULL) {
        return false;
    }
    for (unsigned tracing = 0; tracing < TRACING_COUNT; tracing++) {
        plan_add_loom(c, BRIDGE_BROKER, TRANSPORT_IPC, (bench_tracing)tracing);
    }
    return next_to(c, bench_peers()[1], "tracing"); /* with a traceparent */
}

static bool add_with_peers(bench_plan *plan, const bench_scenario *s, const bench_options *o)
{
    for (size_t shape = 0; shape < s->shape_count; shape++) {
        for (size_t i = 0; i < SIZES; i++) {
            if (!with_all_peers(plan, s, s->shapes[shape], sizes[i], o)) {
                return false;
            }
        }
        if (!with_all_forms(plan, s, s->shapes[shape], o)) {
            return false;
        }
    }
    return with_all_tracings(plan, s, s->shapes[0], o);
}

/* One topic, and a consumer that holds many subscriptions more. */
static bool add_many_filters(bench_plan *plan, const bench_options *o)
{
    const bench_shape shape = {.producers = 1, .consumers = 1, .filters = MANY_FILTERS};
    bench_case *c = plan_add_case(plan, &bench_scenario_pubsub, shape, SMALL, o);
    if (c == NULL || plan_add_loom(c, BRIDGE_BROKER, TRANSPORT_IPC, TRACING_UNSAMPLED) == NULL) {
        return false;
    }
    for (const bench_peer *const *p = bench_peers(); *p != NULL; p++) {
        if ((*p)->more_filters && plan_add_contender(c, *p) == NULL) {
            return false;
        }
    }
    plan_name_contenders(c);
    return true;
}

/* One stopped, and all running. */
static bool add_stall(bench_plan *plan, const bench_options *o)
{
    bench_case *c = plan_add_case(plan, &bench_scenario_stall, bench_scenario_stall.shapes[0], SMALL, o);
    bench_contender *running = c != NULL ? plan_add_loom(c, BRIDGE_BROKER, TRANSPORT_IPC, TRACING_UNSAMPLED) : NULL;
    if (running == NULL || plan_add_loom(c, BRIDGE_BROKER, TRANSPORT_IPC, TRACING_UNSAMPLED) == NULL) {
        return false;
    }
    running->setup.stopped = 0;
    plan_name_contenders(c);
    return true;
}

static bool add_spans(bench_plan *plan, const bench_options *o)
{
    for (size_t i = 0; i < bench_scenario_span.shape_count; i++) {
        if (!with_all_peers(plan, &bench_scenario_span, bench_scenario_span.shapes[i], 0, o)) {
            return false;
        }
    }
    return true;
}

bool plan_all(bench_plan *out, const bench_options *o)
{
    for (size_t i = 0; i < sizeof with_peers / sizeof with_peers[0]; i++) {
        if (!add_with_peers(out, with_peers[i], o)) {
            return false;
        }
    }
    for (size_t i = 0; i < sizeof alone / sizeof alone[0]; i++) {
        for (size_t shape = 0; shape < alone[i]->shape_count; shape++) {
            bench_case *c = plan_add_case(out, alone[i], alone[i]->shapes[shape], SMALL, o);
            if (c == NULL || plan_add_loom(c, BRIDGE_BROKER, TRANSPORT_IPC, TRACING_UNSAMPLED) == NULL) {
                return false;
            }
            plan_name_contenders(c);
        }
    }
    return add_apis(out, o) && add_many_filters(out, o) &&
           with_all_peers(out, &bench_scenario_agents, bench_scenario_agents.shapes[0], 0, o) && add_stall(out, o) &&
           add_spans(out, o);
}
