/* SPDX-License-Identifier: Apache-2.0 */
/* Output as it comes, taken apart into lines. One longer than LINE_SIZE is several. */
#ifndef LOOM_TOOLS_UP_LINES_H
#define LOOM_TOOLS_UP_LINES_H

#include <loom/api.h>

enum { LINE_SIZE = 8 * 1024 };

typedef struct line_splitter {
    char text[LINE_SIZE]; /* of the line that has begun */
    size_t used;
} line_splitter;

/* Calls take with each line that is whole, without its end. */
void lines_feed(line_splitter *l, loom_str bytes, void (*take)(void *user, loom_str line), void *user);
/* The last one may have no end. */
void lines_finish(line_splitter *l, void (*take)(void *user, loom_str line), void *user);

#endif
