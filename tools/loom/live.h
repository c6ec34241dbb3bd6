/* SPDX-License-Identifier: Apache-2.0 */
/* A page that is drawn anew at intervals: on a terminal in place, with keys; elsewhere one page after the other.
 * One thread, the one that holds the interrupt. */
#ifndef LOOM_TOOLS_LIVE_H
#define LOOM_TOOLS_LIVE_H

#include <stdio.h>
#include <termios.h>

#include "tools/loom/interrupt.h"
#include "tools/loom/verb.h"

typedef struct live_page {
    bool terminal;      /* standard output is one */
    bool keys;          /* standard input is one, too, and gives key by key */
    int keys_fd;        /* what is read instead, or -1: an eventfd that ends a wait early */
    struct termios before;
    uint64_t interval_ns, next_ns;
    char *text;         /* of the page being drawn */
    size_t len;
    FILE *out;          /* into text */
    size_t rows, columns;
} live_page;

#define OPTION_INTERVAL                                                                                              \
    {.name = "interval", .kind = OPTION_VALUE, .value = "TIME", .fallback = "1s", .group = "Output",                 \
     .help = "How often to print"}

/* --interval. False: *exit_code. */
bool live_page_interval(uint64_t *ns, const command *c, const options *o, int *exit_code);
void live_page_begin(live_page *page, uint64_t interval_ns);
/* Leaves the last page standing, and gives the terminal back as it was. */
void live_page_end(live_page *page);
/* Where to draw the next page; rows and columns say how much of it will be seen (SIZE_MAX rows: all). NULL: out of memory. */
FILE *live_page_draw(live_page *page);
/* It is whole. False: it could not be written. */
bool live_page_show(live_page *page);
/* Until the next page is due, or a key has come: *key, else 0. */
interrupt_news live_page_wait(live_page *page, interrupt *stop, char *key);

#endif
