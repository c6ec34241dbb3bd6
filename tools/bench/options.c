/* SPDX-License-Identifier: Apache-2.0 */
/* The command line is a table: a row is an option, its help, and who takes its value. */
#include "tools/bench/options.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <loom/version.h>

#include "host/cli/options.h"
#include "host/cli/term.h"
#include "tools/bench/scenarios/scenarios.h"

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
    char all[192] = "";
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

static bool add_size(bench_options *o, const char *name, const char *text)
{
    unsigned size;
    if (!whole_in(name, text, BENCH_SIZE_MIN, BENCH_SIZE_MAX, &size)) {
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

static bool add_peer(bench_options *o, const char *name, const char *text)
{
    (void)name;
    if (strcmp(text, "all") == 0) {
        for (const bench_peer *const *p = bench_peers(); *p != NULL; p++) {
            if (!add_one_peer(o, *p)) {
                return false;
            }
        }
        o->all_peers = true;
        return true;
    }
    const bench_peer *peer = bench_peer_find(text);
    if (peer == NULL) {
        bench_complain("there is no peer \"%s\"; --help lists them", text);
        return false;
    }
    return add_one_peer(o, peer);
}

typedef struct amount {
    const char *name;
    size_t offset;
    unsigned low, high;
} amount;

static bool set_amount(bench_options *o, const char *name, const char *text)
{
    static const amount amounts[] = {
        {"rounds", offsetof(bench_options, rounds), 1, BENCH_ROUNDS_MAX},
        {"latency-rate", offsetof(bench_options, latency_rate), 1, 1000000},
        {"rate", offsetof(bench_options, rate), 1, 1000000},
        {"window", offsetof(bench_options, window), 1, INT_MAX},
        {"producers", offsetof(bench_options, producers), 1, BENCH_PRODUCERS_MAX},
        {"consumers", offsetof(bench_options, consumers), 1, BENCH_CONSUMERS_MAX},
        {"filters", offsetof(bench_options, filters), 1, BENCH_FILTERS_MAX},
        {"agents", offsetof(bench_options, agents), 1, BENCH_AGENTS_MAX},
    };
    const amount *a = amounts;
    while (strcmp(a->name, name) != 0) {
        a++;
    }
    return whole_in(name, text, a->low, a->high, (unsigned *)((char *)o + a->offset));
}

static bool set_seconds(bench_options *o, const char *name, const char *text)
{
    return number_in(name, text, 0.1, 86400, &o->seconds);
}

static bool add_bridge(bench_options *o, const char *name, const char *text)
{
    return choice(name, text, bench_bridge_names, o->bridges);
}

static bool add_transport(bench_options *o, const char *name, const char *text)
{
    return choice(name, text, bench_transport_names, o->transports);
}

static bool add_tracing(bench_options *o, const char *name, const char *text)
{
    return choice(name, text, bench_tracing_names, o->tracings);
}

static bool add_api(bench_options *o, const char *name, const char *text)
{
    return choice(name, text, bench_api_names, o->apis);
}

static bool add_flood(bench_options *o, const char *name, const char *text)
{
    return choice(name, text, bench_flood_names, o->floods);
}

static bool set_placement(bench_options *o, const char *name, const char *text)
{
    bool chosen[PLACEMENT_COUNT] = {false};
    if (!choice(name, text, bench_placement_names, chosen)) {
        return false;
    }
    for (unsigned i = 0; i < PLACEMENT_COUNT; i++) {
        o->placement = chosen[i] ? (bench_placement)i : o->placement;
    }
    return true;
}

static bool set_no_loom(bench_options *o, const char *name, const char *text)
{
    (void)name, (void)text;
    o->no_loom = true;
    return true;
}

static bool set_idle_flood(bench_options *o, const char *name, const char *text)
{
    (void)name, (void)text;
    o->idle_flood = true;
    return true;
}

static bool set_format(bench_options *o, const char *name, const char *text)
{
    const options_format format = strcmp(name, "json") == 0 ? FORMAT_JSON : FORMAT_CSV;
    (void)text;
    if (o->format != FORMAT_TABLE && o->format != format) {
        bench_complain("either --json or --csv");
        return false;
    }
    o->format = format;
    return true;
}

static bool set_plot(bench_options *o, const char *name, const char *text)
{
    (void)name;
    o->plot = text;
    return true;
}

/* ---- the table ---- */

#define MEASURED "What is measured (what may be repeated is measured in turn)"
#define LENGTH   "How long, how much"
#define RESULTS  "Results"

static const option_spec specs[] = {
    {.name = "size", .kind = OPTION_VALUE, .repeatable = true, .value = "BYTES", .fallback = "128", .group = MEASURED,
     .help = "Payload, 16 to 1048576"},
    {.name = "peer", .kind = OPTION_VALUE, .repeatable = true, .value = "NAME", .group = MEASURED,
     .help = "Measure this one as well"},
    {.name = "no-loom", .kind = OPTION_FLAG, .group = MEASURED, .help = "Measure the peers alone"},
    {.name = "bridge", .kind = OPTION_VALUE, .repeatable = true, .value = "WHERE", .choices = "broker|process",
     .fallback = "broker", .group = MEASURED, .help = "Loom's bridge: in the broker, or a process of its own"},
    {.name = "transport", .kind = OPTION_VALUE, .repeatable = true, .value = "HOW", .choices = "ipc|tcp", .fallback = "ipc",
     .group = MEASURED, .help = "Agent links, and those of the peers that have both"},
    {.name = "tracing", .kind = OPTION_VALUE, .repeatable = true, .value = "HOW", .fallback = "unsampled", .group = MEASURED,
     .help = "Loom's spans: off (no telemetry), unsampled (every message has a trace context, none is recorded), recorder (the "
             "same, and the flight recorder keeps the spans), 1% (one trace in a hundred is recorded and exported), on (all are, "
             "over OTLP/HTTP to a receiver that counts), link (the same, but those of agents and bridges over their links, and by "
             "the broker's exporter), down (all are recorded, and nobody takes them)"},
    {.name = "api", .kind = OPTION_VALUE, .repeatable = true, .value = "HOW", .fallback = "event", .group = MEASURED,
     .help = "Loom's requests: event (with a reply_to), action"},
    {.name = "flood", .kind = OPTION_VALUE, .repeatable = true, .value = "KIND", .fallback = "all of them", .group = MEASURED,
     .help = "Of the fairness scenario: busy (a processor is taken, and nobody spoken to), subscribes, unsubscribes, calls, "
             "calls-unanswered, calls-nobody, cancels, pings, publishes, large-publishes, hellos; of http-hostile: busy, http-idle, "
             "http-slow-heads, http-bodies, http-refused, http-unread; of view: view (a client reads the stream of its Flow page), "
             "view-page (the page is open in Chromium)"},
    {.name = "idle-flood", .kind = OPTION_FLAG, .group = MEASURED,
     .help = "Of the first two: the flood gives way to everybody (SCHED_IDLE), so that what is left is Loom's own"},
    {.name = "placement", .kind = OPTION_VALUE, .value = "HOW", .fallback = "free", .group = MEASURED,
     .help = "free: the kernel decides which processor runs what. apart: clients on one, servers on another. together: all on "
             "one, where what is left is the work itself; latencies vary least then"},
    {.name = "producers", .kind = OPTION_VALUE, .value = "N", .group = MEASURED,
     .help = "Another number than the scenario's, 1 to 16"},
    {.name = "consumers", .kind = OPTION_VALUE, .value = "N", .group = MEASURED, .help = "The same, 1 to 32"},
    {.name = "filters", .kind = OPTION_VALUE, .value = "N", .group = MEASURED,
     .help = "The same, 1 to 1000000 (pubsub: so many subscriptions more)"},
    {.name = "agents", .kind = OPTION_VALUE, .value = "N", .group = MEASURED, .help = "The same, 1 to 4096"},
    {.name = "rounds", .kind = OPTION_VALUE, .value = "N", .fallback = "5; all: 3, soak: 1", .group = LENGTH,
     .help = "Rounds of each; medians are reported"},
    {.name = "seconds", .kind = OPTION_VALUE, .value = "S", .fallback = "2; quick: 0.6, all: 1, soak: 60", .group = LENGTH,
     .help = "Of the timed window of a round"},
    {.name = "latency-rate", .kind = OPTION_VALUE, .value = "N", .fallback = "10000", .group = LENGTH,
     .help = "Deliveries a second while latency is measured, fewer where that would be more than 64 MB a second"},
    {.name = "rate", .kind = OPTION_VALUE, .value = "N", .group = LENGTH,
     .help = "Deliveries a second all the time, instead of as fast as it goes"},
    {.name = "window", .kind = OPTION_VALUE, .value = "N", .fallback = "100000, at most 64 MiB", .group = LENGTH,
     .help = "Messages on their way at once, for peers that drop what a slow consumer leaves behind"},
    {.name = "json", .kind = OPTION_FLAG, .group = RESULTS,
     .help = "One object: results has a row for each peer and kind of Loom"},
    {.name = "csv", .kind = OPTION_FLAG, .group = RESULTS, .help = "The same rows, for a spreadsheet"},
    {.name = "plot", .kind = OPTION_VALUE, .value = "FILE.svg", .group = RESULTS, .help = "Draw the rates as well"},
    {.name = "version", .letter = 'V', .kind = OPTION_FLAG, .group = RESULTS, .help = "Print the version and exit"},
    {.name = "help", .letter = 'h', .kind = OPTION_FLAG, .group = RESULTS, .help = "Print this text and exit"},
};
enum { SPECS = sizeof specs / sizeof *specs };

/* In the order of specs; version and help have been dealt with. */
static bool (*const set[SPECS])(bench_options *o, const char *name, const char *text) = {
    add_size,   add_peer,   set_no_loom, add_bridge, add_transport, add_tracing, add_api,    add_flood,  set_idle_flood, set_placement,
    set_amount, set_amount, set_amount,  set_amount, set_amount,    set_seconds, set_amount, set_amount,
    set_amount, set_format, set_format,  set_plot,
};

/* ---- the whole ---- */

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
        any(o->floods, FLOOD_COUNT) || o->idle_flood ||
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
    if (o->scenario->compare && (o->no_loom || o->peer_count > 0)) {
        bench_complain("%s measures Loom; no other bus has a part in it", o->scenario->name);
        return false;
    }
    if (o->apis[API_ACTION] && o->scenario != &bench_scenario_request && o->scenario != &bench_scenario_fairness) {
        bench_complain("--api is for the request and fairness scenarios");
        return false;
    }
    if ((o->idle_flood || any(o->floods, FLOOD_COUNT)) && o->scenario != &bench_scenario_fairness &&
        o->scenario != &bench_scenario_http_hostile && (o->idle_flood || o->scenario != &bench_scenario_view)) {
        bench_complain("--flood is for the fairness, http-hostile and view scenarios, --idle-flood for the first two");
        return false;
    }
    if (o->rate > 0 && (o->scenario->in_process || o->scenario->sizeless || o->scenario == &bench_scenario_request ||
                        o->scenario == &bench_scenario_fairness)) {
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
static bool complete(bench_options *o, const options *line)
{
    if (line->operand_count == 0) {
        bench_complain("which scenario? --help lists them; \"quick\" is a good one to begin with");
        return false;
    }
    if (line->operand_count > 1) {
        bench_complain("one scenario at a time; \"%s\" is too much", line->operands[1]);
        return false;
    }
    const char *name = line->operands[0];
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

static void print_help(void)
{
    options_print_help(&(options_manual){
        .program = "loom-bench",
        .synopsis = "SCENARIO [OPTION]...\n       loom-bench quick | all [OPTION]...",
        .summary = "Measures Loom next to other message buses: the same sizes, the same durations, in alternating rounds, each "
                   "with fresh processes (producers, consumers, servers). A round first sends as fast as every message still "
                   "arrives and counts at the consumers; then it sends at a fixed rate and takes the time each message needs.",
        .specs = specs,
        .spec_count = SPECS,
    }, stdout, term_width(STDOUT_FILENO));
    bench_help_lists(stdout);
}

static bool take(bench_options *out, const options *line)
{
    for (size_t i = 0; i < line->use_count; i++) {
        const option_use *use = &line->uses[i];
        if (!set[use->spec](out, specs[use->spec].name, use->value)) {
            return false;
        }
    }
    return complete(out, line);
}

bench_outcome bench_options_parse(bench_options *out, int argc, char *argv[])
{
    *out = (bench_options){0};
    options line;
    problems list;
    problems_init(&list);
    bench_outcome outcome = BENCH_WRONG;
    loom_status st = options_parse(&line, specs, SPECS, argc, argv, false, &list);
    if (st == LOOM_ENOMEM) {
        bench_complain("%s", loom_status_text(st));
        return BENCH_WRONG;
    }
    if (options_is_on(&line, "help") || options_is_on(&line, "version")) {
        options_is_on(&line, "help") ? print_help() : (void)puts("loom-bench " LOOM_VERSION);
        outcome = BENCH_HELPED;
    } else if (st != LOOM_OK) {
        problems_print(&list, stderr, "loom-bench");
    } else if (take(out, &line)) {
        outcome = BENCH_RUN;
    }
    options_fini(&line);
    return outcome;
}
