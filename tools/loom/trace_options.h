/* SPDX-License-Identifier: Apache-2.0 */
/* The options that ls, show and check share. */
#ifndef LOOM_TOOLS_TRACE_OPTIONS_H
#define LOOM_TOOLS_TRACE_OPTIONS_H

#include "host/cli/term.h"
#include "trace/collect/source.h"
#include "trace/collect/store.h"
#include "tools/loom/verb.h"

#define OPTIONS_SOURCE                                                                                               \
    {.name = "db", .kind = OPTION_VALUE, .value = "FILE", .fallback = "~/.local/state/loom/traces.db", .group = "Source", \
     .help = "Database written by `loom trace collect`; LOOM_TRACE_DB names another default"},                                                                    \
    {.name = "file", .kind = OPTION_VALUE, .value = "FILE", .group = "Source",                                   \
     .help = "Read OTLP/JSON lines instead, as LOOM_SPANS_FILE holds them; - is standard input"}
#define OPTIONS_RETENTION(group_name)                                                                                \
    {.name = "retention-spans", .kind = OPTION_VALUE, .value = "N", .fallback = "1000000", .group = group_name,      \
     .help = "Drop the oldest traces beyond this many spans; 0 keeps everything"},                                   \
    {.name = "retention-age", .kind = OPTION_VALUE, .value = "TIME", .fallback = "0", .group = group_name,           \
     .help = "Drop traces that started longer ago, as in 36h or 7d; 0 keeps them however old"},                      \
    {.name = "retention-size", .kind = OPTION_VALUE, .value = "SIZE", .fallback = "2GiB", .group = group_name,       \
     .help = "Drop the oldest traces when the database holds more, as in 500MiB; 0: as large as it gets. The file does not shrink: what is dropped makes room in it"}
#define OPTION_COLOR                                                                                                 \
    {.name = "color", .kind = OPTION_VALUE, .value = "WHEN", .choices = TERM_COLOR_CHOICES, .fallback = "auto", .group = "Output", \
     .help = "When to use colours; auto needs a terminal and respects NO_COLOR"}

/* --db or --file. False: exit with *exit_code; there is nothing to close. */
bool trace_options_open(const command *c, const options *o, trace_source *source, int *exit_code);
/* Where a database is that is written: --db, or else the default, which *fallback then owns. NULL: exit with *exit_code. */
const char *trace_options_db(const command *c, const options *o, char **fallback, int *exit_code);
/* Whether standard output gets colours. False: --color is invalid; exit with *exit_code. */
bool trace_options_color(const command *c, const options *o, bool *out, int *exit_code);
/* Whether the command line names one trace, by an operand or by --last. */
bool trace_options_name_one(const command *c, const options *o, int *exit_code);
/* That trace. */
bool trace_options_find(const command *c, const options *o, trace_source *source, uint8_t id[LOOM_TRACE_ID_SIZE],
                        int *exit_code);
/* A whole number from 0 on; fallback when the option is not given. */
bool trace_options_number(const command *c, const options *o, const char *name, uint64_t fallback, uint64_t *out,
                          int *exit_code);

/* OPTIONS_RETENTION. False: exit with *exit_code. */
bool trace_options_retention(const command *c, const options *o, store_retention *out, int *exit_code);

#endif
