/* SPDX-License-Identifier: Apache-2.0 */
/* The part of `loom trace keep` that is about kinds of traces. */
#ifndef LOOM_TOOLS_TRACE_KINDS_H
#define LOOM_TOOLS_TRACE_KINDS_H

#include "tools/loom/verb.h"

#define OPTIONS_KINDS                                                                                                \
    {.name = "topic", .kind = OPTION_VALUE, .value = "FILTER", .group = "Kinds of traces",                           \
     .help = "From now on keep traces that go over these topics, whether they fail or not"},                         \
    {.name = "capability", .kind = OPTION_VALUE, .value = "FILTER", .group = "Kinds of traces",                      \
     .help = "The same of calls of these capabilities"},                                                             \
    {.name = "for", .kind = OPTION_VALUE, .value = "TIME", .fallback = "10m", .group = "Kinds of traces",            \
     .help = "How long; at most 24h"},                                                                               \
    {.name = "per-second", .kind = OPTION_VALUE, .value = "N", .fallback = "10", .group = "Kinds of traces",         \
     .help = "How many traces a second; at most 100"},                                                               \
    {.name = "kinds", .kind = OPTION_FLAG, .group = "Kinds of traces", .help = "List the kinds that are kept just now"}, \
    {.name = "end", .kind = OPTION_VALUE, .value = "NUMBER", .group = "Kinds of traces",                             \
     .help = "Keep the kind with this number no longer"}

/* Whether the command line is about kinds; else neither --for nor --per-second has an effect. */
bool trace_kinds_meant(const options *o);
/* Returns the exit code. */
int trace_kinds_run(const command *c, const options *o);

#endif
