/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/bench/options.h"

static void lists(FILE *out)
{
    fputs("\nScenarios:\n", out);
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
          "  What a peer needs comes from Debian, Go modules or crates: tools/bench/peers/install.sh gets it.\n", out);
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

void bench_help_lists(FILE *out)
{
    lists(out);
    reading(out);
}
