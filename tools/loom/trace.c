/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/verbs.h"

static const verb verbs[] = {
    {"collect", "Receive traces over OTLP/HTTP and store them in a database", verb_trace_collect},
    {"ls", "List traces, newest first", verb_trace_ls},
    {"show", "Draw one trace as a waterfall, or print it as OTLP/JSON", verb_trace_show},
    {"keep", "Ask the flight recorders of the bus for traces that nobody sampled", verb_trace_keep},
    {"check", "Check that traces are connected trees and match a demo's ladder", verb_trace_check},
};

static const verb_synonym synonyms[] = {
    {"cat", "show"}, {"find", "ls"},     {"get", "show"},   {"list", "ls"},   {"listen", "collect"},
    {"print", "show"}, {"receive", "collect"}, {"search", "ls"}, {"view", "show"}, {NULL, NULL},
};

static const verb_table table = {
    .program = "loom trace",
    .summary = "Every message on the bus is a trace. These verbs store traces without any other program and read them\n"
               "from the database of `loom trace collect` or from a file of OTLP/JSON lines (LOOM_SPANS_FILE).",
    .verbs = verbs,
    .count = sizeof verbs / sizeof verbs[0],
    .synonyms = synonyms,
    .trailer = "Examples:\n"
               "  loom trace collect                       receive on 127.0.0.1:4318 and 4317 until interrupted\n"
               "  loom trace ls --attr topic=sensor.data   traces with a message on this topic\n"
               "  loom trace show 4bf92f                   the trace whose id starts with 4bf92f\n"
               "  loom trace check --last --ladder trace-test\n",
};

int verb_trace(int argc, char *const argv[])
{
    return verb_table_run(&table, argc, argv);
}
