/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/log/output.h"

#include "base/clock.h"
#include "base/last_error.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

loom_status output_init(output *o, int fd, uint32_t wait_ms)
{
    struct stat info;
    if (fstat(fd, &info) != 0) {
        return last_error(LOOM_EINVAL, "descriptor %d of the logger: %s", fd, strerror(errno));
    }
    o->fd = fd;
    o->kind = S_ISREG(info.st_mode)    ? OUTPUT_FILE
              : S_ISFIFO(info.st_mode) ? OUTPUT_PIPE
              : S_ISSOCK(info.st_mode) ? OUTPUT_SOCKET
                                       : OUTPUT_OTHER;
    o->wait_ms = wait_ms;
    atomic_init(&o->stalled, false);
    atomic_init(&o->torn, false);
    atomic_init(&o->may_block, false);
    atomic_init(&o->written, 0);
    atomic_init(&o->dropped, 0);
    atomic_init(&o->untold, 0);
    return LOOM_OK;
}

/* Another process may have filled the pipe since poll() found room: where the kernel can, it refuses then (Linux 6.4). */
static ssize_t write_pipe_now(output *o, const uint8_t *data, size_t len)
{
    if (!atomic_load_explicit(&o->may_block, memory_order_relaxed)) {
        const struct iovec piece = {(void *)(uintptr_t)data, len};
        ssize_t n = pwritev2(o->fd, &piece, 1, -1, RWF_NOWAIT);
        if (n >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS && errno != ESPIPE && errno != EINVAL)) {
            return n;
        }
        atomic_store_explicit(&o->may_block, true, memory_order_relaxed);
    }
    return write(o->fd, data, len);
}

static bool sigpipe_pending(void)
{
    sigset_t pending;
    return sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
}

/* A log whose reader has gone must not end the program: the signal is kept off, and taken if the write raised it. */
static ssize_t write_pipe(output *o, const uint8_t *data, size_t len)
{
    sigset_t sigpipe, before;
    sigemptyset(&sigpipe);
    sigaddset(&sigpipe, SIGPIPE);
    if (pthread_sigmask(SIG_BLOCK, &sigpipe, &before) != 0) {
        return -1;
    }
    const bool pending = sigismember(&before, SIGPIPE) == 1 && sigpipe_pending(); /* else it would have come by now */
    ssize_t n = write_pipe_now(o, data, len);
    const int error = errno;
    if (n < 0 && error == EPIPE && !pending) {
        while (sigtimedwait(&sigpipe, NULL, &(struct timespec){0}) < 0 && errno == EINTR) {
        }
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return n;
}

static ssize_t write_once(output *o, const uint8_t *data, size_t len)
{
    switch (o->kind) {
    case OUTPUT_PIPE:
        return write_pipe(o, data, len);
    case OUTPUT_SOCKET:
        return send(o->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    case OUTPUT_FILE:
    case OUTPUT_OTHER:
        break;
    }
    return write(o->fd, data, len);
}

/* False: no room until then. A descriptor that is broken is ready, so that write says why. */
static bool wait_for_room(const output *o, uint64_t until_ms)
{
    for (;;) {
        const uint64_t now = clock_monotonic_ms();
        struct pollfd ready = {.fd = o->fd, .events = POLLOUT};
        int n = poll(&ready, 1, until_ms > now ? (int)(until_ms - now) : 0);
        if (n != 0 && !(n < 0 && errno == EINTR)) {
            return true;
        }
        if (n == 0 && clock_monotonic_ms() >= until_ms) {
            return false;
        }
    }
}

/* How much was written until the time was up or the descriptor failed. */
static size_t write_until(output *o, const uint8_t *data, size_t len, uint64_t until_ms)
{
    size_t done = 0;
    while (done < len && (o->kind == OUTPUT_FILE || wait_for_room(o, until_ms))) {
        ssize_t n = write_once(o, data + done, len - done);
        if (n > 0) {
            done += (size_t)n;
        } else if (n == 0 || (errno != EINTR && errno != EAGAIN) || (errno == EAGAIN && clock_monotonic_ms() >= until_ms)) {
            break;
        }
    }
    return done;
}

bool output_write(output *o, uint8_t *line, size_t len)
{
    const bool torn = atomic_exchange_explicit(&o->torn, false, memory_order_relaxed);
    const bool stalled = atomic_load_explicit(&o->stalled, memory_order_relaxed);
    const uint64_t until_ms = clock_monotonic_ms() + (stalled ? 0 : o->wait_ms);
    if (torn) { /* half a line stands there: this one begins on a line of its own */
        *--line = '\n';
        len++;
    }
    const size_t done = write_until(o, line, len, until_ms);
    atomic_store_explicit(&o->stalled, done == 0, memory_order_relaxed);
    if (done == len) {
        atomic_fetch_add_explicit(&o->written, 1, memory_order_relaxed);
        return true;
    }
    if (done > 0 || torn) {
        atomic_store_explicit(&o->torn, true, memory_order_relaxed);
    }
    atomic_fetch_add_explicit(&o->dropped, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&o->untold, 1, memory_order_relaxed);
    return false;
}
