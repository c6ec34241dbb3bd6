/* SPDX-License-Identifier: Apache-2.0 */
/* The collector of `loom exec`: the spans that the command writes to its standard error, and their counters. */
#ifndef LOOM_TOOLS_EXEC_COLLECT_H
#define LOOM_TOOLS_EXEC_COLLECT_H

#include "tools/loom/verb.h"
#include "trace/process/collect/collector.h"
#include "trace/process/container/engine.h"
#include "trace/process/run/relay.h"

#define OPTIONS_COLLECT                                                                                              \
    {.name = "collect", .kind = OPTION_SWITCH, .fallback = "true", .group = "Spans from inside",                     \
     .help = "Collect spans from the command's standard error; with --no-collect it gets loom's own"},           \
    {.name = "span-rate", .kind = OPTION_VALUE, .value = "N", .fallback = "2000", .group = "Spans from inside",      \
     .help = "Collect at most N spans a second"},                                                                    \
    {.name = "span-burst", .kind = OPTION_VALUE, .value = "N", .fallback = "10000", .group = "Spans from inside",    \
     .help = "Collect up to N spans at once"},                                                                       \
    {.name = "stats", .kind = OPTION_FLAG, .group = "Spans from inside",                                             \
     .help = "Print counts of collected and rejected spans on standard error"},                                        \
    {.name = "stats-file", .kind = OPTION_VALUE, .value = "FILE", .group = "Spans from inside",                      \
     .help = "Write these counts to a file, as a JSON object"}

typedef struct exec_collect {
    const command *command;
    relay *relay;         /* NULL: the command has our standard error */
    collector *collector;
    collector_counts counts;
    engine *container;      /* that the command runs in; NULL: none. Set before start */
    bool print_stats;
    const char *stats_file; /* NULL: none */
} exec_collect;

/* False: the command line is wrong; exit with *exit_code, there is nothing to close. Any other failure is reported, and nothing
 * is collected. span and baggage: what the command receives; baggage must outlive *x. */
bool exec_collect_open(exec_collect *x, const command *c, const options *o, loom_tracer *tracer,
                       const loom_trace_context *span, loom_str baggage, int *exit_code);
/* Collects nothing: the command has our standard error, and the counters are reported as what they are, 0. */
void exec_collect_nothing(exec_collect *x, const command *c, const options *o);
bool exec_collect_is_on(const exec_collect *x);
/* For process_options.fds. */
int exec_collect_stdout(const exec_collect *x);
int exec_collect_stderr(const exec_collect *x);
/* Before the command is started; where it fails, the command has our standard error. */
void exec_collect_start(exec_collect *x);
/* The command runs, or could not be started. */
void exec_collect_handed_over(exec_collect *x);
/* After start, and before a command has the streams: there is too little of something to have both. */
void exec_collect_give_up(exec_collect *x, const char *why);
void exec_collect_resize(exec_collect *x);
/* The command has ended: collects the rest and reports the counters. interrupt: see relay_finish(). False: that
 * has given up, nothing is reported, and its thread uses *x and the tracer until the process ends. */
bool exec_collect_close(exec_collect *x, int interrupt);

#endif
