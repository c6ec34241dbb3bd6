/* SPDX-License-Identifier: Apache-2.0 */
/* The merged log where people read it: "name  | text", in a colour for each name. A reader that stops does not stop the
 * supervisor: what it has not read waits in a bounded buffer, and what finds no room there is counted. */
#ifndef LOOM_TOOLS_UP_CONSOLE_H
#define LOOM_TOOLS_UP_CONSOLE_H

#include <loom/api.h>

enum { CONSOLE_ROOM = 1024 * 1024 };

typedef struct console {
    int fd;          /* -1: nobody reads */
    bool colour;
    int width;       /* of the names */
    char *waiting;   /* CONSOLE_ROOM bytes, made when first needed */
    size_t used;
    uint64_t lost;   /* lines, since it was last said */
    bool gone;       /* the reader has closed its end */
} console;

void console_init(console *c, int fd, bool colour, int width);
void console_fini(console *c);
/* number: chooses the colour. */
void console_put(console *c, const char *name, unsigned number, loom_str line);
/* Writes what can be written without waiting. Whether something is left. */
bool console_flush(console *c);
/* Whether the other end of a pipe is still open; true for all that is no pipe. */
bool console_has_reader(const console *c);
/* What stands in front of a line: the name, padded to width. Returns its length. */
size_t console_head(char *out, size_t size, bool colour, int width, const char *name, unsigned number);

#endif
