/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/bench/plan.h"

#include <stdlib.h>
#include <string.h>

#define SECONDS         2.0
#define SECONDS_ALL     1.0
#define WARM_UP_SECONDS 0.5

enum { LATENCY_RATE = 10000, WINDOW = 100000, ROUNDS = 5 /* of quick too */, ROUNDS_ALL = 3 };

static double seconds_of(const bench_scenario *scenario, const bench_options *o)
{
    if (o->seconds > 0) {
        return o->seconds;
    }
    return scenario->seconds > 0 ? scenario->seconds : o->work == WORK_SCENARIO ? SECONDS : SECONDS_ALL;
}

static unsigned rounds_of(const bench_options *o)
{
    if (o->rounds > 0) {
        return o->rounds;
    }
    if (o->work == WORK_SCENARIO && o->scenario->rounds > 0) {
        return o->scenario->rounds;
    }
    return o->work == WORK_ALL ? ROUNDS_ALL : ROUNDS;
}

bench_case *plan_add_case(bench_plan *plan, const bench_scenario *scenario, bench_shape shape, size_t size,
                          const bench_options *o)
{
    bench_case *cases = realloc(plan->cases, (plan->count + 1) * sizeof *cases);
    if (cases == NULL) {
        bench_complain("out of memory");
        return NULL;
    }
    plan->cases = cases;
    bench_case *c = &cases[plan->count++];
    memset(c, 0, sizeof *c);
    c->scenario = scenario;
    c->setup = (bench_setup){
        .shape = shape,
        .size = scenario->sizeless ? 0 : size,
        .tracing = TRACING_UNSAMPLED,
        .placement = o->placement,
        .seconds = seconds_of(scenario, o),
        .warm_up = WARM_UP_SECONDS,
        .latency_rate = LATENCY_RATE,
        .window = o->window > 0 ? o->window : WINDOW,
        .idle_flood = o->idle_flood,
    };
    if (scenario->adjust != NULL) {
        scenario->adjust(&c->setup);
    }
    c->setup.latency_rate = o->latency_rate > 0 ? o->latency_rate : c->setup.latency_rate;
    if (o->rate > 0) {
        c->setup.latency_rate = o->rate;
        c->setup.paced = true;
    }
    char shape_title[32], size_title[16];
    bench_shape_title(scenario->compare ? &(bench_shape){0} : &shape, shape_title);
    bench_size_title(c->setup.size, size_title);
    snprintf(c->title, sizeof c->title, "%s%s%s%s%s", scenario->name, shape_title[0] != '\0' ? " " : "", shape_title,
             scenario->sizeless ? "" : ", ", scenario->sizeless ? "" : size_title);
    return c;
}

bench_contender *plan_add_contender(bench_case *c, const bench_peer *peer)
{
    if (c->count == PLAN_CONTENDERS_MAX) {
        return NULL;
    }
    bench_contender *contender = &c->contenders[c->count++];
    contender->peer = peer;
    contender->setup = c->setup;
    if (peer != &bench_peer_loom) {
        contender->setup.queue = 0;
    }
    return contender;
}

bench_contender *plan_add_loom(bench_case *c, bench_bridge bridge, bench_transport transport, bench_tracing tracing)
{
    bench_contender *contender = plan_add_contender(c, &bench_peer_loom);
    if (contender != NULL) {
        contender->setup.bridge = bridge;
        contender->setup.transport = transport;
        contender->setup.tracing = tracing;
    }
    return contender;
}

/* Writes " word" where some of the case's forms of Loom differ in it. */
static void add_word(char *label, bool differs, const char *word)
{
    const size_t len = strlen(label);
    if (differs) {
        snprintf(label + len, PLAN_LABEL_SIZE - len, " %s", word);
    }
}

static void name_loom(const bench_case *c, bench_contender *contender)
{
    bool bridges = false, transports = false, tracings = false, apis = false, stopped = false, filters = false, floods = false,
         works = false;
    char count[24];
    const bench_setup *mine = &contender->setup;
    for (size_t i = 0; i < c->count; i++) {
        const bench_setup *other = &c->contenders[i].setup;
        if (c->contenders[i].peer == &bench_peer_loom) {
            bridges = bridges || other->bridge != mine->bridge;
            transports = transports || other->transport != mine->transport;
            tracings = tracings || other->tracing != mine->tracing;
            apis = apis || other->api != mine->api;
            stopped = stopped || other->stopped != mine->stopped;
            filters = filters || other->shape.filters != mine->shape.filters;
            floods = floods || other->shape.flood != mine->shape.flood;
            works = works || other->shape.work != mine->shape.work;
        }
    }
    snprintf(count, sizeof count, "%u filters", mine->shape.filters);
    snprintf(contender->label, PLAN_LABEL_SIZE, "loom");
    add_word(contender->label, bridges, bench_bridge_names[mine->bridge]);
    add_word(contender->label, transports, bench_transport_names[mine->transport]);
    add_word(contender->label, tracings, bench_tracing_names[mine->tracing]);
    add_word(contender->label, apis, bench_api_names[mine->api]);
    add_word(contender->label, stopped, mine->stopped > 0 ? "1 stopped" : "all running");
    add_word(contender->label, filters, count);
    add_word(contender->label, floods, bench_flood_names[mine->shape.flood]);
    add_word(contender->label, works, bench_work_names[mine->shape.work]);
}

void plan_name_contenders(bench_case *c)
{
    for (size_t i = 0; i < c->count; i++) {
        bench_contender *contender = &c->contenders[i];
        if (contender->peer == &bench_peer_loom) {
            name_loom(c, contender);
        } else {
            snprintf(contender->label, sizeof contender->label, "%s", contender->peer->name);
        }
    }
}

/* Its forms with that bridge and transport. */
static bool add_forms_over(bench_case *c, bench_bridge bridge, bench_transport transport, const bench_options *o)
{
    for (unsigned tracing = 0; tracing < TRACING_COUNT; tracing++) {
        for (unsigned api = 0; api < API_COUNT; api++) {
            if (!o->tracings[tracing] || !o->apis[api]) {
                continue;
            }
            bench_contender *contender = plan_add_loom(c, bridge, transport, (bench_tracing)tracing);
            if (contender == NULL) {
                bench_complain("too many combinations at once; measure some of them in a run of their own");
                return false;
            }
            contender->setup.api = (bench_api)api;
        }
    }
    return true;
}

/* Every combination that was asked for. */
static bool add_forms(bench_case *c, const bench_options *o)
{
    for (unsigned bridge = 0; bridge < BRIDGE_COUNT; bridge++) {
        for (unsigned transport = 0; transport < TRANSPORT_COUNT; transport++) {
            if (o->bridges[bridge] && o->transports[transport] &&
                !add_forms_over(c, (bench_bridge)bridge, (bench_transport)transport, o)) {
                return false;
            }
        }
    }
    return true;
}

static bool has_part(const bench_case *c, const bench_peer *peer)
{
    return bench_scenario_suits(c->scenario, peer) && (c->setup.shape.filters == 0 || peer->more_filters);
}

/* Peers that have both take the first transport that was asked for. */
static bool add_peers(bench_case *c, const bench_options *o)
{
    for (size_t i = 0; i < o->peer_count; i++) {
        if (o->all_peers && !has_part(c, o->peers[i])) {
            continue;
        }
        bench_contender *contender = plan_add_contender(c, o->peers[i]);
        if (contender == NULL) {
            bench_complain("too many combinations at once; measure some of them in a run of their own");
            return false;
        }
        contender->setup.transport = o->transports[TRANSPORT_IPC] ? TRANSPORT_IPC : TRANSPORT_TCP;
    }
    return true;
}

static bool add_scenario(bench_plan *plan, const bench_scenario *scenario, bench_shape shape, size_t size,
                         const bench_options *o)
{
    bench_case *c = plan_add_case(plan, scenario, shape, size, o);
    if (c == NULL || (!o->no_loom && !add_forms(c, o)) || (!scenario->in_process && !add_peers(c, o))) {
        return false;
    }
    plan_name_contenders(c);
    return true;
}

static bool wants_flood(const bench_options *o, bench_flood kind)
{
    bool any = false;
    for (unsigned i = FLOOD_NONE + 1; i < FLOOD_COUNT; i++) {
        any = any || o->floods[i];
    }
    return !any || kind == FLOOD_NONE || o->floods[kind];
}

/* All shapes as contenders of one case. */
static bool add_compared(bench_plan *plan, const bench_scenario *scenario, size_t size, const bench_options *o)
{
    bench_case *c = plan_add_case(plan, scenario, scenario->shapes[0], size, o);
    for (size_t i = 0; c != NULL && i < scenario->shape_count; i++) {
        const size_t from = c->count;
        if (!wants_flood(o, scenario->shapes[i].flood)) {
            continue;
        }
        if (!add_forms(c, o)) {
            return false;
        }
        for (size_t k = from; k < c->count; k++) {
            c->contenders[k].setup.shape = scenario->shapes[i];
        }
    }
    if (c != NULL) {
        plan_name_contenders(c);
    }
    return c != NULL;
}

/* What the scenario measures, unless the user wants another number of them. */
static bool add_shapes(bench_plan *plan, const bench_scenario *scenario, size_t size, const bench_options *o)
{
    const bool other = o->producers > 0 || o->consumers > 0 || o->filters > 0 || o->agents > 0;
    for (size_t i = 0; i < (other ? 1 : scenario->shape_count); i++) {
        bench_shape shape = scenario->shapes[i];
        shape.producers = o->producers > 0 && shape.producers > 0 ? o->producers : shape.producers;
        shape.consumers = o->consumers > 0 && shape.consumers > 0 ? o->consumers : shape.consumers;
        shape.filters = o->filters > 0 && (shape.filters > 0 || scenario->more_filters) ? o->filters : shape.filters;
        shape.agents = o->agents > 0 && shape.agents > 0 ? o->agents : shape.agents;
        if (!add_scenario(plan, scenario, shape, size, o)) {
            return false;
        }
    }
    return true;
}

/* Where nothing was chosen: the first bridge, transport and api, the scenario's tracing. */
static void choose_defaults(bench_options *o)
{
    bool traced = false;
    for (size_t i = 0; i < TRACING_COUNT; i++) {
        traced = traced || o->tracings[i];
    }
    if (!traced) {
        o->tracings[o->scenario->tracing != TRACING_OFF ? o->scenario->tracing : TRACING_UNSAMPLED] = true;
    }
    o->bridges[BRIDGE_BROKER] = o->bridges[BRIDGE_BROKER] || !o->bridges[BRIDGE_PROCESS];
    o->transports[TRANSPORT_IPC] = o->transports[TRANSPORT_IPC] || !o->transports[TRANSPORT_TCP];
    o->apis[API_EVENT] = o->apis[API_EVENT] || !o->apis[API_ACTION];
}

bool plan_make(bench_plan *out, const bench_options *options)
{
    bench_options o = *options;
    *out = (bench_plan){.rounds = rounds_of(&o)};
    if (o.work != WORK_SCENARIO) {
        return o.work == WORK_QUICK ? plan_quick(out, &o) : plan_all(out, &o);
    }
    choose_defaults(&o);
    for (size_t i = 0; i < (o.scenario->sizeless ? 1 : o.size_count); i++) {
        if (o.scenario->compare ? !add_compared(out, o.scenario, o.sizes[i], &o)
                                : !add_shapes(out, o.scenario, o.sizes[i], &o)) {
            return false;
        }
    }
    return true;
}

void plan_free(bench_plan *plan)
{
    free(plan->cases);
    *plan = (bench_plan){0};
}
