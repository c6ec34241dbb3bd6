/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/up/console.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

enum { PIECE = 4096 /* PIPE_BUF: a pipe that is ready takes as much at once */ };

void console_init(console *c, int fd, bool colour, int width)
{
    *c = (console){.fd = fd, .colour = colour, .width = width};
}

void console_fini(console *c)
{
    free(c->waiting);
    *c = (console){.fd = -1};
}

bool console_flush(console *c)
{
    size_t done = 0;
    while (done < c->used && !c->gone) {
        struct pollfd ready = {c->fd, POLLOUT, 0};
        if (poll(&ready, 1, 0) != 1) {
            break;
        }
        const ssize_t n = write(c->fd, c->waiting + done, c->used - done < PIECE ? c->used - done : PIECE);
        if (n < 0 && errno != EINTR && errno != EAGAIN) {
            c->gone = true;
        }
        if (n <= 0) {
            break;
        }
        done += (size_t)n;
    }
    if (done > 0) {
        c->used -= done;
        memmove(c->waiting, c->waiting + done, c->used);
    }
    c->used = c->gone ? 0 : c->used;
    return c->used > 0;
}

bool console_has_reader(const console *c)
{
    struct pollfd reader = {c->fd, 0, 0};
    return c->fd < 0 || poll(&reader, 1, 0) != 1 || (reader.revents & POLLERR) == 0;
}

static void append(console *c, const char *head, size_t head_len, loom_str line)
{
    if (c->used + head_len + line.len + 1 > CONSOLE_ROOM) {
        c->lost++;
        return;
    }
    memcpy(c->waiting + c->used, head, head_len);
    memcpy(c->waiting + c->used + head_len, line.len > 0 ? line.data : "", line.len);
    c->used += head_len + line.len + 1;
    c->waiting[c->used - 1] = '\n';
}

size_t console_head(char *out, size_t size, bool colour, int width, const char *name, unsigned number)
{
    static const char *const colours[] = {"36", "33", "32", "35", "34", "96", "93", "92", "95", "94"};
    const int len = colour ? snprintf(out, size, "\033[%sm%-*s |\033[0m ", colours[number % (sizeof colours / sizeof *colours)],
                                      width, name)
                              : snprintf(out, size, "%-*s | ", width, name);
    return (size_t)len < size ? (size_t)len : size - 1;
}

void console_put(console *c, const char *name, unsigned number, loom_str line)
{
    char head[128], lost[64];
    if (c->fd < 0 || c->gone || (c->waiting == NULL && (c->waiting = malloc(CONSOLE_ROOM)) == NULL)) {
        return;
    }
    if (c->lost > 0 && c->used < CONSOLE_ROOM / 2) {
        snprintf(lost, sizeof lost, "%llu lines not shown, the terminal was behind", (unsigned long long)c->lost);
        c->lost = 0;
        append(c, head, console_head(head, sizeof head, c->colour, c->width, "up", 0), str_of(lost));
    }
    append(c, head, console_head(head, sizeof head, c->colour, c->width, name, number), line);
    (void)console_flush(c);
}
