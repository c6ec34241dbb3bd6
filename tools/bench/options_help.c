/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/bench/options.h"

static void scenarios(FILE *out)
{
    fputs("Usage: loom-bench SCENARIO [OPTION]...\n"
          "       loom-bench quick | all [OPTION]...\n\n"
          "Measures Loom next to other message buses: the same sizes, the same durations, in\n"
          "alternating rounds, each with fresh processes (producers, consumers, servers).\n"
          "A round first sends as fast as every message still arrives and counts at the\n"
          "consumers; then it sends at a fixed rate and takes the time each message needs.\n\n"
          "Scenarios:\n", out);
    for (const bench_scenario *const *s = bench_scenarios(); *s != NULL; s++) {
        fprintf(out, "  %-18s %s\n", (*s)->name, (*s)->summary);
    }
    fputs("  quick              the figures that Loom promises, each met or missed; 3 minutes\n"
          "  all                every scenario but soak, every size, every peer; 30 minutes\n"
          "\nPeers:\n", out);
    for (const bench_peer *const *p = bench_peers(); *p != NULL; p++) {
        fprintf(out, "  %-18s %s\n", (*p)->name, (*p)->summary);
    }
    fputs("  all                every one of these\n"
          "  What a peer needs comes from Debian: tools/bench/peers/install.sh installs it.\n", out);
}

static void measured(FILE *out)
{
    fputs("\nWhat is measured (those with * may be repeated, to measure several in turn):\n"
          "  --size BYTES *         Payload, 16 to 1048576 [128]\n"
          "  --peer NAME *          Measure this one as well\n"
          "  --no-loom              Measure the peers alone\n"
          "  --bridge WHERE *       Loom's bridge: in the broker, or a process of its own:\n"
          "                         broker, process [broker]\n"
          "  --transport HOW *      Agent links, and those of the peers that have both: ipc, tcp [ipc]\n"
          "  --tracing HOW *        Loom's spans [unsampled]\n"
          "                         off        no telemetry\n"
          "                         unsampled  every message has a trace context, none is recorded\n"
          "                         1%         one trace in a hundred is recorded and exported\n"
          "                         on         all are, over OTLP/HTTP to a receiver that counts\n"
          "                         down       all are recorded, and nobody takes them\n"
          "  --api HOW *            Loom's requests: event (with a reply_to), action [event]\n"
          "  --placement HOW        free: the kernel decides which processor runs what. apart: clients\n"
          "                         on one, servers on another. together: all on one, where what is\n"
          "                         left is the work itself; latencies vary least then [free]\n"
          "  --producers N          Other numbers than the scenario's: 1 to 16,\n"
          "  --consumers N          1 to 32,\n"
          "  --filters N            1 to 1000000 (pubsub: so many subscriptions more),\n"
          "  --agents N             1 to 4096\n", out);
}

static void durations(FILE *out)
{
    fputs("\nHow long, how much:\n"
          "  --rounds N             Rounds of each; medians are reported [5; all: 3, soak: 1]\n"
          "  --seconds S            Of the timed window of a round [2; quick: 0.6, all: 1, soak: 60]\n"
          "  --latency-rate N       Deliveries a second while latency is measured [10000], fewer\n"
          "                         where that would be more than 64 MB a second\n"
          "  --rate N               Deliveries a second all the time, instead of as fast as it goes\n"
          "  --window N             Messages on their way at once, for peers that drop what a slow\n"
          "                         consumer leaves behind [100000, at most 64 MiB]\n"
          "\nResults:\n"
          "  --json                 One object: results has a row for each peer and kind of Loom\n"
          "  --csv                  The same rows, for a spreadsheet\n"
          "  --plot FILE.svg        Draw the rates as well\n"
          "  -V, --version          Print the version and exit\n"
          "  -h, --help             Print this text and exit\n", out);
}

static void reading(FILE *out)
{
    fputs("\nReading the table:\n"
          "  rate                   deliveries (or round trips) a second, median, and the range\n"
          "  p50 … p99.9            microseconds from publish to handler (or back to the requester)\n"
          "  CPU s/M                seconds of processor time for a million deliveries, all processes;\n"
          "                         the figure that other work on the machine disturbs least\n"
          "  peak MiB               most memory the servers had, together\n"
          "  lost                   sent and never handled; anything but 0 spoils the row\n"
          "  Loom divided by        for rates more is better; for the others, less\n"
          "  Ratios hold from machine to machine better than figures do.\n\n"
          "Examples:\n"
          "  loom-bench quick\n"
          "  loom-bench pubsub --peer nats --peer nats-traceparent\n"
          "  loom-bench fanout --consumers 4 --peer all --size 128 --size 1024 --rounds 9\n"
          "  loom-bench pubsub --tracing unsampled --tracing on --json > bench.json\n"
          "  loom-bench soak --seconds 600\n"
          "  loom-bench all --csv --plot bench.svg > bench.csv\n\n"
          "Exit status:\n"
          "  0    everything asked for was measured, nothing was lost, no promise missed\n"
          "  1    a failure, a missing peer, lost messages, or a missed promise (quick)\n"
          "  2    a wrong command line\n"
          "  130  interrupted\n", out);
}

void options_help(FILE *out)
{
    scenarios(out);
    measured(out);
    durations(out);
    reading(out);
}
