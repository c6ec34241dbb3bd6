/* SPDX-License-Identifier: Apache-2.0 */
/* Events as `loom sub` prints them: a line for people, JSON, payloads, a format, files. On the agent's thread. */
#ifndef LOOM_TOOLS_SUB_OUTPUT_H
#define LOOM_TOOLS_SUB_OUTPUT_H

#include "tools/loom/event_format.h"
#include "tools/loom/verb.h"

typedef enum output_style { OUTPUT_LINE, OUTPUT_JSON, OUTPUT_RAW, OUTPUT_FORMAT, OUTPUT_NOTHING } output_style;
typedef enum output_time { TIME_NONE, TIME_ABSOLUTE, TIME_RELATIVE, TIME_DELTA } output_time;

typedef struct sub_output {
    const options *options;
    output_style style;
    output_time time;
    bool colour, verbose, terminal;
    event_format format;
    int dump_fd;             /* the folder of --dump; -1 */
    uint64_t number;         /* of the last event, from 1 */
    uint64_t began_ns, last_ns; /* monotonic */
    char problem[160];       /* why it cannot go on; "" */
    bool reader_gone;        /* which is no problem */
} sub_output;

#define OPTIONS_SUB_OUTPUT                                                                                           \
    {.name = "json", .kind = OPTION_FLAG, .group = "Output", .help = "Print one JSON object per event"},             \
    {.name = "raw", .kind = OPTION_FLAG, .group = "Output", .help = "Print payloads only, one per line"},            \
    {.name = "format", .letter = 'F', .kind = OPTION_VALUE, .value = "FORMAT", .group = "Output",                    \
     .help = "Print events in this format; what may stand in it is listed below"},                                  \
    {.name = "verbose", .letter = 'v', .kind = OPTION_FLAG, .group = "Output",                                       \
     .help = "Print headers as well, a line each, and reply_to"},                                                   \
    {.name = "timestamps", .letter = 'T', .kind = OPTION_VALUE, .value = "KIND", .bare = "absolute",                 \
     .choices = "absolute|relative|delta", .group = "Output",                                                       \
     .help = "Begin lines with the time: in UTC, since the start, or since the event before"},                      \
    {.name = "dump", .kind = OPTION_VALUE, .value = "DIR", .group = "Output",                                        \
     .help = "Write each payload to a new file of this folder, named by number and topic"}

/* False: *exit_code. sub_output_close() it in any case. */
bool sub_output_open(sub_output *out, const command *c, const options *o, int *exit_code);
void sub_output_close(sub_output *out);
/* False: that is the end; problem says why. */
bool sub_output_put(sub_output *out, const loom_envelope *event);

#endif
