/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/bench/options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bench/scenarios/scenarios.h"

enum {
    OPT_SIZE = 256,
    OPT_PEER,
    OPT_ROUNDS,
    OPT_SECONDS,
    OPT_LATENCY_RATE,
    OPT_RATE,
    OPT_WINDOW,
    OPT_BRIDGE,
    OPT_TRANSPORT,
    OPT_TRACING,
    OPT_PRODUCERS,
    OPT_CONSUMERS,
    OPT_FILTERS,
    OPT_AGENTS,
    OPT_API,
    OPT_PLACEMENT,
    OPT_NO_LOOM,
    OPT_JSON,
    OPT_CSV,
    OPT_PLOT
};

static const struct option long_options[] = {
    {"size", required_argument, NULL, OPT_SIZE},
    {"peer", required_argument, NULL, OPT_PEER},
    {"rounds", required_argument, NULL, OPT_ROUNDS},
    {"seconds", required_argument, NULL, OPT_SECONDS},
    {"latency-rate", required_argument, NULL, OPT_LATENCY_RATE},
    {"rate", required_argument, NULL, OPT_RATE},
    {"window", required_argument, NULL, OPT_WINDOW},
    {"bridge", required_argument, NULL, OPT_BRIDGE},
    {"transport", required_argument, NULL, OPT_TRANSPORT},
    {"tracing", required_argument, NULL, OPT_TRACING},
    {"producers", required_argument, NULL, OPT_PRODUCERS},
    {"consumers", required_argument, NULL, OPT_CONSUMERS},
    {"filters", required_argument, NULL, OPT_FILTERS},
    {"agents", required_argument, NULL, OPT_AGENTS},
    {"api", required_argument, NULL, OPT_API},
    {"placement", required_argument, NULL, OPT_PLACEMENT},
    {"no-loom", no_argument, NULL, OPT_NO_LOOM},
    {"json", no_argument, NULL, OPT_JSON},
    {"csv", no_argument, NULL, OPT_CSV},
    {"plot", required_argument, NULL, OPT_PLOT},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

static bool number_in(const char *option, const char *text, double low, double high, double *out)
{
    char *end;
    errno = 0;
    *out = strtod(text, &end);
    if (end == text || *end != '\0' || errno != 0 || !(*out >= low && *out <= high)) {
        bench_complain("--%s takes a number from %g to %.10g, not \"%s\"", option, low, high, text);
        return false;
    }
    return true;
}

static bool whole_in(const char *option, const char *text, unsigned low, unsigned high, unsigned *out)
{
    double value;
    if (!number_in(option, text, low, high, &value)) {
        return false;
    }
    *out = (unsigned)value;
    if ((double)*out != value) {
        bench_complain("--%s takes a whole number, not \"%s\"", option, text);
        return false;
    }
    return true;
}

/* Adds the choice to those made before. */
static bool choice(const char *option, const char *text, const char *const *names, bool *chosen)
{
    char all[64] = "";
    for (unsigned i = 0; names[i] != NULL; i++) {
        if (strcmp(names[i], text) == 0) {
            chosen[i] = true;
            return true;
        }
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", i > 0 ? ", " : "", names[i]);
    }
    bench_complain("--%s is one of %s, not \"%s\"", option, all, text);
    return false;
}

static bool add_size(bench_options *o, const char *text)
{
    unsigned size;
    if (!whole_in("size", text, BENCH_SIZE_MIN, BENCH_SIZE_MAX, &size)) {
        return false;
    }
    for (size_t i = 0; i < o->size_count; i++) {
        if (o->sizes[i] == size) {
            return true;
        }
    }
    if (o->size_count == BENCH_SIZES_MAX) {
        bench_complain("at most %d sizes", BENCH_SIZES_MAX);
        return false;
    }
    o->sizes[o->size_count++] = size;
    return true;
}

static bool add_one_peer(bench_options *o, const bench_peer *peer)
{
    for (size_t i = 0; i < o->peer_count; i++) {
        if (o->peers[i] == peer) {
            return true;
        }
    }
    if (o->peer_count == BENCH_PEERS_MAX) {
        bench_complain("at most %d peers", BENCH_PEERS_MAX);
        return false;
    }
    o->peers[o->peer_count++] = peer;
    return true;
}

static bool add_peer(bench_options *o, const char *name)
{
    if (strcmp(name, "all") == 0) {
        for (const bench_peer *const *p = bench_peers(); *p != NULL; p++) {
            if (!add_one_peer(o, *p)) {
                return false;
            }
        }
        o->all_peers = true;
        return true;
    }
    const bench_peer *peer = bench_peer_find(name);
    if (peer == NULL) {
        bench_complain("there is no peer \"%s\"; --help lists them", name);
        return false;
    }
    return add_one_peer(o, peer);
}

static bool set_amount(bench_options *o, int option, const char *text)
{
    switch (option) {
    case OPT_ROUNDS:
        return whole_in("rounds", text, 1, BENCH_ROUNDS_MAX, &o->rounds);
    case OPT_SECONDS:
        return number_in("seconds", text, 0.1, 86400, &o->seconds);
    case OPT_LATENCY_RATE:
        return whole_in("latency-rate", text, 1, 1000000, &o->latency_rate);
    case OPT_RATE:
        return whole_in("rate", text, 1, 1000000, &o->rate);
    case OPT_WINDOW:
        return whole_in("window", text, 1, INT_MAX, &o->window);
    case OPT_PRODUCERS:
        return whole_in("producers", text, 1, BENCH_PRODUCERS_MAX, &o->producers);
    case OPT_CONSUMERS:
        return whole_in("consumers", text, 1, BENCH_CONSUMERS_MAX, &o->consumers);
    case OPT_FILTERS:
        return whole_in("filters", text, 1, BENCH_FILTERS_MAX, &o->filters);
    case OPT_AGENTS:
        return whole_in("agents", text, 1, BENCH_AGENTS_MAX, &o->agents);
    default:
        return false; /* getopt_long has said what it did not like */
    }
}

static bool set_placement(bench_options *o, const char *text)
{
    bool chosen[PLACEMENT_COUNT] = {false};
    if (!choice("placement", text, bench_placement_names, chosen)) {
        return false;
    }
    for (unsigned i = 0; i < PLACEMENT_COUNT; i++) {
        o->placement = chosen[i] ? (bench_placement)i : o->placement;
    }
    return true;
}

static bool set(bench_options *o, int option, const char *text)
{
    switch (option) {
    case OPT_SIZE:
        return add_size(o, text);
    case OPT_PEER:
        return add_peer(o, text);
    case OPT_BRIDGE:
        return choice("bridge", text, bench_bridge_names, o->bridges);
    case OPT_TRANSPORT:
        return choice("transport", text, bench_transport_names, o->transports);
    case OPT_TRACING:
        return choice("tracing", text, bench_tracing_names, o->tracings);
    case OPT_API:
        return choice("api", text, bench_api_names, o->apis);
    case OPT_PLACEMENT:
        return set_placement(o, text);
    case OPT_NO_LOOM:
        o->no_loom = true;
        return true;
    case OPT_JSON:
    case OPT_CSV:
        if (o->format != FORMAT_TABLE && o->format != (option == OPT_JSON ? FORMAT_JSON : FORMAT_CSV)) {
            bench_complain("either --json or --csv");
            return false;
        }
        o->format = option == OPT_JSON ? FORMAT_JSON : FORMAT_CSV;
        return true;
    case OPT_PLOT:
        o->plot = text;
        return true;
    default:
        return set_amount(o, option, text);
    }
}

static bool any(const bool *chosen, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (chosen[i]) {
            return true;
        }
    }
    return false;
}

/* quick and all know what they measure. */
static bool complete_table(const bench_options *o, const char *name)
{
    if (o->no_loom || o->size_count > 0 || o->peer_count > 0 || any(o->bridges, BRIDGE_COUNT) ||
        any(o->transports, TRANSPORT_COUNT) || any(o->tracings, TRACING_COUNT) || any(o->apis, API_COUNT) ||
        o->placement != PLACEMENT_FREE || o->producers > 0 || o->consumers > 0 || o->filters > 0 || o->agents > 0 ||
        o->rate > 0) {
        bench_complain("%s measures a fixed table; of what is measured nothing can be chosen", name);
        return false;
    }
    return true;
}

static bool complete_scenario(bench_options *o)
{
    if (o->no_loom && (o->peer_count == 0 || o->scenario->in_process)) {
        bench_complain("--no-loom without a --peer leaves nothing to measure");
        return false;
    }
    if (o->scenario->in_process && o->peer_count > 0) {
        bench_complain("%s measures a part of Loom in process; no peer has it", o->scenario->name);
        return false;
    }
    if (o->apis[API_ACTION] && o->scenario != &bench_scenario_request) {
        bench_complain("--api is for the request scenario");
        return false;
    }
    if (o->rate > 0 && (o->scenario->in_process || o->scenario->sizeless || o->scenario == &bench_scenario_request)) {
        bench_complain("--rate is for scenarios of messages from producers to consumers");
        return false;
    }
    if (o->rate > 0 && o->latency_rate > 0) {
        bench_complain("either --rate or --latency-rate");
        return false;
    }
    if (o->scenario == &bench_scenario_stall && o->consumers == 1) {
        bench_complain("stall stops one consumer; it takes another one to see what that means");
        return false;
    }
    if (o->size_count == 0) {
        o->sizes[o->size_count++] = 128;
    }
    return true;
}

/* The rest of the line is the scenario; what is missing gets its default. */
static bool complete(bench_options *o, int argc, char *argv[])
{
    if (optind >= argc) {
        bench_complain("which scenario? --help lists them; \"quick\" is a good one to begin with");
        return false;
    }
    if (optind + 1 < argc) {
        bench_complain("one scenario at a time; \"%s\" is too much", argv[optind + 1]);
        return false;
    }
    const char *name = argv[optind];
    o->work = strcmp(name, "quick") == 0 ? WORK_QUICK : strcmp(name, "all") == 0 ? WORK_ALL : WORK_SCENARIO;
    if (o->work != WORK_SCENARIO) {
        return complete_table(o, name);
    }
    o->scenario = bench_scenario_find(name);
    if (o->scenario == NULL) {
        bench_complain("there is no scenario \"%s\"; --help lists them", name);
        return false;
    }
    return complete_scenario(o);
}

options_outcome options_parse(bench_options *out, int argc, char *argv[])
{
    *out = (bench_options){0};
    optind = 0; /* glibc: from the beginning, for who parses twice */
    for (int option; (option = getopt_long(argc, argv, "hV", long_options, NULL)) != -1;) {
        if (option == 'h') {
            options_help(stdout);
            return OPTIONS_HELPED;
        }
        if (option == 'V') {
            puts("loom-bench " LOOM_VERSION);
            return OPTIONS_HELPED;
        }
        if (!set(out, option, optarg)) {
            return OPTIONS_WRONG;
        }
    }
    return complete(out, argc, argv) ? OPTIONS_RUN : OPTIONS_WRONG;
}
