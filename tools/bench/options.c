/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/bench/options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bench/scenario.h"

static const char *const bridge_names[] = {"broker", "process", NULL};
static const char *const transport_names[] = {"ipc", "tcp", NULL};
static const char *const tracing_names[] = {"off", "unsampled", "on", NULL};

const char *bench_bridge_name(bench_bridge b)
{
    return bridge_names[b];
}

const char *bench_transport_name(bench_transport t)
{
    return transport_names[t];
}

const char *bench_tracing_name(bench_tracing t)
{
    return tracing_names[t];
}

enum {
    OPT_SIZE = 256, OPT_PEER, OPT_ROUNDS, OPT_SECONDS, OPT_LATENCY_RATE, OPT_WINDOW, OPT_BRIDGE, OPT_TRANSPORT, OPT_TRACING,
    OPT_NO_LOOM, OPT_JSON
};

static const struct option long_options[] = {
    {"size", required_argument, NULL, OPT_SIZE},
    {"peer", required_argument, NULL, OPT_PEER},
    {"rounds", required_argument, NULL, OPT_ROUNDS},
    {"seconds", required_argument, NULL, OPT_SECONDS},
    {"latency-rate", required_argument, NULL, OPT_LATENCY_RATE},
    {"window", required_argument, NULL, OPT_WINDOW},
    {"bridge", required_argument, NULL, OPT_BRIDGE},
    {"transport", required_argument, NULL, OPT_TRANSPORT},
    {"tracing", required_argument, NULL, OPT_TRACING},
    {"no-loom", no_argument, NULL, OPT_NO_LOOM},
    {"json", no_argument, NULL, OPT_JSON},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

void options_help(FILE *out)
{
    fputs("Usage: loom-bench SCENARIO [OPTION]...\n\n"
          "Measures Loom next to other message buses: the same sizes, the same durations, in\n"
          "alternating rounds, each with fresh processes (a producer, a consumer, a server).\n"
          "A round first sends as fast as every message still arrives and counts at the\n"
          "consumer; then it sends at a fixed rate and takes the time each message needs.\n\n"
          "Scenarios:\n", out);
    for (const bench_scenario *const *s = bench_scenarios(); *s != NULL; s++) {
        fprintf(out, "  %-18s %s\n", (*s)->name, (*s)->summary);
    }
    fputs("\nPeers:\n", out);
    for (const bench_peer *const *p = bench_peers(); *p != NULL; p++) {
        fprintf(out, "  %-18s %s\n", (*p)->name, (*p)->summary);
    }
    fputs("\nWhat is measured:\n"
          "      --size BYTES        Payload, 16 to 1048576; repeat it for several sizes [128]\n"
          "      --peer NAME         Measure this one as well; may be repeated\n"
          "      --no-loom           Measure the peers alone\n"
          "      --bridge WHERE      Loom's bridge: in the broker, or a process of its own:\n"
          "                          broker, process [broker]\n"
          "      --transport HOW     Loom's agent links: ipc, tcp [ipc]\n"
          "      --tracing HOW       Loom's spans. off: no telemetry. unsampled: every message has\n"
          "                          a trace context, nothing is recorded. on: every span is made\n"
          "                          and exported over OTLP/HTTP to a receiver that drops it\n"
          "                          [unsampled]\n"
          "\nHow long, how much:\n"
          "      --rounds N          Rounds of each; medians are reported [5]\n"
          "      --seconds S         Of the timed window of a round [2]\n"
          "      --latency-rate N    Messages a second while latency is measured [10000]\n"
          "      --window N          Messages on their way at once, for peers that drop what a\n"
          "                          slow consumer leaves behind (NATS) [100000]\n"
          "\n"
          "      --json              One object: results has a row per size and peer\n"
          "  -V, --version           Print the version and exit\n"
          "  -h, --help              Print this text and exit\n\n"
          "Reading the table:\n"
          "  rate                    messages a second, median of the rounds, and the range\n"
          "  p50, p99                microseconds from publish to handler\n"
          "  lost                    sent and never handled; anything but 0 spoils the row\n"
          "  CPU                     seconds of processor time for a million messages, all processes;\n"
          "                          the figure that other work on the machine disturbs least\n"
          "  ratio                   Loom's figure divided by the peer's: for rate, more is\n"
          "                          better; for the others, less\n"
          "  Ratios hold from machine to machine better than figures do.\n\n"
          "Examples:\n"
          "  loom-bench pubsub --peer nats --peer nats-traceparent\n"
          "  loom-bench pubsub --peer floor --size 128 --size 4096 --rounds 9\n"
          "  loom-bench pubsub --peer nats --transport tcp --tracing on --json > bench.json\n\n"
          "Exit status:\n"
          "  0  measured, nothing lost    1  a failure, or messages were lost    2  a wrong command line\n", out);
}

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

static bool choice(const char *option, const char *text, const char *const *names, unsigned *out)
{
    char all[64] = "";
    for (unsigned i = 0; names[i] != NULL; i++) {
        if (strcmp(names[i], text) == 0) {
            *out = i;
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
    if (o->size_count == BENCH_SIZES_MAX) {
        bench_complain("at most %d sizes", BENCH_SIZES_MAX);
        return false;
    }
    if (!whole_in("size", text, BENCH_SIZE_MIN, BENCH_SIZE_MAX, &size)) {
        return false;
    }
    o->sizes[o->size_count++] = size;
    return true;
}

static bool add_peer(bench_options *o, const char *name)
{
    const bench_peer *peer = bench_peer_find(name);
    if (peer == NULL) {
        bench_complain("there is no peer \"%s\"; --help lists them", name);
        return false;
    }
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

static bool set(bench_options *o, int option, const char *text)
{
    unsigned value = 0;
    switch (option) {
    case OPT_SIZE:
        return add_size(o, text);
    case OPT_PEER:
        return add_peer(o, text);
    case OPT_ROUNDS:
        return whole_in("rounds", text, 1, BENCH_ROUNDS_MAX, &o->rounds);
    case OPT_SECONDS:
        return number_in("seconds", text, 0.1, 3600, &o->seconds);
    case OPT_LATENCY_RATE:
        return whole_in("latency-rate", text, 1, 100000, &o->latency_rate);
    case OPT_WINDOW:
        return whole_in("window", text, 1, INT_MAX, &o->window);
    case OPT_BRIDGE:
        return choice("bridge", text, bridge_names, &value) && ((o->bridge = (bench_bridge)value), true);
    case OPT_TRANSPORT:
        return choice("transport", text, transport_names, &value) && ((o->transport = (bench_transport)value), true);
    case OPT_TRACING:
        return choice("tracing", text, tracing_names, &value) && ((o->tracing = (bench_tracing)value), true);
    case OPT_NO_LOOM:
        o->no_loom = true;
        return true;
    case OPT_JSON:
        o->json = true;
        return true;
    default:
        return false; /* getopt_long has said what it did not like */
    }
}

/* The rest of the line is the scenario; what is missing gets its default. */
static bool complete(bench_options *o, int argc, char *argv[])
{
    if (optind >= argc) {
        bench_complain("which scenario? --help lists them");
        return false;
    }
    if (optind + 1 < argc) {
        bench_complain("one scenario at a time; \"%s\" is too much", argv[optind + 1]);
        return false;
    }
    o->scenario = bench_scenario_find(argv[optind]);
    if (o->scenario == NULL) {
        bench_complain("there is no scenario \"%s\"; --help lists them", argv[optind]);
        return false;
    }
    if (o->no_loom && o->peer_count == 0) {
        bench_complain("--no-loom without a --peer leaves nothing to measure");
        return false;
    }
    if (o->size_count == 0) {
        o->sizes[o->size_count++] = 128;
    }
    return true;
}

options_outcome options_parse(bench_options *out, int argc, char *argv[])
{
    *out = (bench_options){.rounds = 5, .seconds = 2, .latency_rate = 10000, .window = 100000, .tracing = TRACING_UNSAMPLED};
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
