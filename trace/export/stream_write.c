/* SPDX-License-Identifier: Apache-2.0 */
/* Writing to a stream that somebody else has opened, and that blocks. Its flags belong to everybody who has it, so that
 * O_NONBLOCK cannot be set on it: a pipe is opened once more for the time of a write, a socket takes the wish with the call, and
 * anything else is asked for room before each piece. */
#include "base/clock.h"
#include "trace/export/exporter.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROOM_POLL_MS 50

typedef struct output {
    int fd;
    bool own;    /* to be closed */
    bool socket;
    size_t most; /* bytes that are written at once when there is room; SIZE_MAX: all, since a write does not wait */
} output;

static output output_open(int fd)
{
    struct stat info;
    const int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || (flags & O_NONBLOCK) != 0 || fstat(fd, &info) != 0 || S_ISREG(info.st_mode)) {
        return (output){.fd = fd, .most = SIZE_MAX};
    }
    if (S_ISSOCK(info.st_mode)) {
        return (output){.fd = fd, .socket = true, .most = SIZE_MAX};
    }
    if (S_ISFIFO(info.st_mode)) {
        char path[40];
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        const int own = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
        if (own >= 0) {
            return (output){.fd = own, .own = true, .most = SIZE_MAX};
        }
    }
    return (output){.fd = fd, .most = PIPE_BUF};
}

/* false: there is no room until the deadline, which is looked at again now and then; errno is EAGAIN. */
static bool wait_for_room(int fd, export_deadline until)
{
    while (clock_monotonic_ns() < export_deadline_ns(until)) {
        struct pollfd room = {.fd = fd, .events = POLLOUT};
        const int n = poll(&room, 1, ROOM_POLL_MS);
        if (n > 0) {
            return true;
        }
        if (n < 0 && errno != EINTR) {
            break;
        }
    }
    errno = EAGAIN;
    return false;
}

static ssize_t put(const output *o, const uint8_t *data, size_t len)
{
    return o->socket ? send(o->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL) : write(o->fd, data, len < o->most ? len : o->most);
}

size_t stream_write(int fd, const uint8_t *data, size_t len, export_deadline until)
{
    const output o = output_open(fd);
    size_t done = 0;
    while (done < len && (o.most == SIZE_MAX || wait_for_room(o.fd, until))) {
        const ssize_t n = put(&o, data + done, len - done);
        if (n > 0) {
            done += (size_t)n;
        } else if (n == 0 || (errno != EINTR && (errno != EAGAIN || !wait_for_room(o.fd, until)))) {
            break;
        }
    }
    if (o.own) {
        const int error = errno;
        (void)close(o.fd);
        errno = error;
    }
    return done;
}
