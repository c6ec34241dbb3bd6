/* SPDX-License-Identifier: Apache-2.0 */
/* How fast a verb goes, and how far it has come: the pace of --rate and --sleep, progress on a terminal, totals at the end. */
#ifndef LOOM_TOOLS_PACE_H
#define LOOM_TOOLS_PACE_H

#include "tools/loom/interrupt.h"
#include "tools/loom/verb.h"

#define OPTIONS_PACE                                                                                                 \
    {.name = "rate", .kind = OPTION_VALUE, .value = "N", .group = "Pace",                                            \
     .help = "At most so many messages a second; N/m and N/h: a minute, an hour"},                                   \
    {.name = "sleep", .kind = OPTION_VALUE, .value = "TIME", .group = "Pace", .help = "Pause between two messages"}

typedef struct pace {
    double interval_ns; /* 0: as fast as it goes */
    uint64_t sleep_ns;
    uint64_t began_ns, steps;
} pace;

/* --rate and --sleep. False: *exit_code. */
bool pace_read(pace *p, const command *c, const options *o, int *exit_code);
/* Waits until the next message is due; the first is at once. False: interrupted. */
bool pace_wait(pace *p, interrupt *i);

typedef struct progress {
    const char *done;    /* "published" */
    uint64_t wanted;     /* 0: nobody knows how many there will be */
    bool shows;          /* progress, on standard error */
    uint64_t count, bytes, began_ns, shown_ns;
    size_t columns;      /* of the progress that stands there */
} progress;

void progress_begin(progress *t, const char *done, uint64_t wanted, bool shows);
void progress_add(progress *t, size_t bytes);
/* Takes progress off the terminal, and prints a line of totals unless silent. */
void progress_end(progress *t, bool silent);

enum { PACE_SIZE_SIZE = 32 };
/* "17 B", "4.2 KiB", "1.5 MiB". */
void pace_size(char out[PACE_SIZE_SIZE], double bytes);

#endif
