/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/process/run/piped.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LOOK_MS = 100, READ_SIZE = 64 * 1024 };

enum { IN, OUT, ERR, PIPES };

typedef struct running {
    const piped_run *run;
    piped_end *end;
    process process;
    int fd[PIPES]; /* our ends; -1: closed */
    size_t written;
    uint8_t buffer[READ_SIZE];
} running;

static void close_end(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

/* errno, or 0. */
static int start(running *r)
{
    int theirs[PIPES] = {-1, -1, -1}, error = 0;
    sigset_t defaults;
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    sigaddset(&defaults, SIGINT);
    sigaddset(&defaults, SIGTERM);
    for (int i = 0; i < PIPES && error == 0; i++) {
        int ends[2]; /* read, write */
        if (pipe2(ends, O_CLOEXEC) != 0) {
            error = errno;
            break;
        }
        r->fd[i] = ends[i == IN ? 1 : 0];
        theirs[i] = ends[i == IN ? 0 : 1];
        fcntl(r->fd[i], F_SETFL, O_NONBLOCK);
    }
    error = error != 0 ? error : process_start(&r->process, &(process_options){.argv = r->run->argv,
                                                                               .environment = r->run->environment,
                                                                               .fds = {theirs[IN], theirs[OUT], theirs[ERR]},
                                                                               .own_group = true,
                                                                               .guard = r->run->guard,
                                                                               .defaults = &defaults});
    for (int i = 0; i < PIPES; i++) {
        close_end(&theirs[i]);
    }
    return error;
}

static void feed(running *r)
{
    loom_bytes input = r->run->input;
    while (r->written < input.len) {
        ssize_t n = write(r->fd[IN], input.data + r->written, input.len - r->written);
        if (n < 0) {
            if (errno == EAGAIN || errno == EINTR) {
                return;
            }
            break; /* it does not want to know the rest */
        }
        r->written += (size_t)n;
    }
    close_end(&r->fd[IN]);
}

static bool take_output(running *r, size_t len)
{
    piped_end *end = r->end;
    if (r->run->piece != NULL) {
        return r->run->piece(r->run->user, (loom_bytes){r->buffer, len});
    }
    uint8_t *grown = end->output_len + len <= r->run->output_max ? realloc(end->output, end->output_len + len) : NULL;
    if (grown == NULL) {
        end->how = PIPED_TOO_MUCH;
        return false;
    }
    memcpy(grown + end->output_len, r->buffer, len);
    end->output = grown;
    end->output_len += len;
    return true;
}

void piped_complain(piped_end *end, loom_bytes bytes)
{
    const size_t max = PIPED_COMPLAINT_SIZE - 1;
    const size_t count = bytes.len > max ? max : bytes.len;
    const size_t keep = end->complaint_len + count > max ? max - count : end->complaint_len;
    memmove(end->complaint, end->complaint + end->complaint_len - keep, keep);
    if (count > 0) {
        memcpy(end->complaint + keep, bytes.data + bytes.len - count, count);
    }
    end->complaint_len = keep + count;
    end->complaint[end->complaint_len] = '\0';
}

/* At most `most` bytes. False: the command is to be ended. */
static bool drain(running *r, int which, size_t most)
{
    ssize_t n = read(r->fd[which], r->buffer, most < sizeof r->buffer ? most : sizeof r->buffer);
    if (n > 0) {
        if (which == OUT) {
            return take_output(r, (size_t)n);
        }
        const loom_bytes bytes = {r->buffer, (size_t)n};
        if (r->run->errors != NULL) {
            r->run->errors(r->run->user, r->end, bytes);
        } else {
            piped_complain(r->end, bytes);
        }
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        close_end(&r->fd[which]);
    }
    return true;
}

/* The command has ended: what it has left in its pipes, and no more, since others may still write there. */
static bool drain_rest(running *r)
{
    for (int i = OUT; i <= ERR; i++) {
        int left = 0;
        if (r->fd[i] < 0 || ioctl(r->fd[i], FIONREAD, &left) != 0) {
            continue;
        }
        while (left > 0 && r->fd[i] >= 0) {
            const size_t most = (size_t)left < sizeof r->buffer ? (size_t)left : sizeof r->buffer;
            if (!drain(r, i, most)) {
                return false;
            }
            left -= (int)most;
        }
    }
    return true;
}

/* It stays a zombie. */
static bool has_ended(const running *r)
{
    siginfo_t info = {.si_pid = 0};
    return waitid(P_PID, (id_t)r->process.pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid != 0;
}

/* Whether a stream is still open; what comes of it is read, so that nobody waits for us, and forgotten. */
static bool discard(running *r, const struct pollfd *stream, int which)
{
    if (stream->revents != 0) {
        const ssize_t n = read(r->fd[which], r->buffer, sizeof r->buffer);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
            close_end(&r->fd[which]);
        }
    }
    return r->fd[which] >= 0;
}

/* The whole group: it is told to, and what is left of it after a while is killed. That nobody holds the streams any more is
 * taken for the end of the others. */
static void end_group(running *r)
{
    const uint64_t until = clock_monotonic_ms() + GUARD_GRACE_MS;
    bool open = true;
    (void)kill(-r->process.pid, SIGTERM);
    (void)kill(-r->process.pid, SIGCONT); /* or one that is stopped would not hear of it */
    close_end(&r->fd[IN]);
    for (uint64_t now; (open || !has_ended(r)) && (now = clock_monotonic_ms()) < until;) {
        struct pollfd fds[] = {{r->fd[OUT], POLLIN, 0}, {r->fd[ERR], POLLIN, 0}, {has_ended(r) ? -1 : r->process.fd, POLLIN, 0}};
        const uint64_t left = until - now;
        (void)poll(fds, sizeof fds / sizeof fds[0], left < LOOK_MS ? (int)left : LOOK_MS);
        const bool out = discard(r, &fds[0], OUT), err = discard(r, &fds[1], ERR);
        open = out || err;
    }
    (void)kill(-r->process.pid, SIGKILL);
}

/* Until the command has ended and all its output is here. False: it is to be ended. */
static bool attend(running *r)
{
    while (!has_ended(r)) {
        struct pollfd fds[PIPES + 1] = {
            {r->fd[IN], POLLOUT, 0}, {r->fd[OUT], POLLIN, 0}, {r->fd[ERR], POLLIN, 0}, {r->process.fd, POLLIN, 0}};
        (void)poll(fds, PIPES + 1, LOOK_MS);
        if (r->run->give_up != NULL && r->run->give_up(r->run->user)) {
            return false;
        }
        if (fds[IN].revents != 0) {
            feed(r);
        }
        for (int i = OUT; i <= ERR; i++) {
            if (fds[i].revents != 0 && !drain(r, i, sizeof r->buffer)) {
                return false;
            }
        }
    }
    return drain_rest(r);
}

static void reap(running *r)
{
    siginfo_t info;
    while (waitid(P_PID, (id_t)r->process.pid, &info, WEXITED | WNOWAIT) != 0 && errno == EINTR) {
    }
    if (r->run->guard != NULL) {
        guard_remove(r->run->guard, r->process.pid);
    }
    (void)process_wait(&r->process, -1, &r->end->status, NULL);
}

static void run_started(running *r)
{
    piped_end *end = r->end;
    if (r->run->started != NULL) {
        r->run->started(r->run->user, r->process.pid);
    }
    const bool whole = attend(r);
    if (!whole && !has_ended(r)) {
        end_group(r);
    }
    reap(r);
    if (!whole) {
        end->how = end->how == PIPED_TOO_MUCH ? PIPED_TOO_MUCH : PIPED_GIVEN_UP;
    } else {
        end->how = WIFSIGNALED(end->status) ? PIPED_SIGNALLED : PIPED_EXITED;
        end->number = WIFSIGNALED(end->status) ? WTERMSIG(end->status) : WEXITSTATUS(end->status);
    }
    process_close(&r->process);
}

void piped_run_to_end(const piped_run *run, piped_end *end)
{
    *end = (piped_end){.how = PIPED_EXITED};
    running *r = malloc(sizeof *r);
    if (r == NULL) {
        end->how = PIPED_NOT_STARTED;
        end->number = ENOMEM;
        return;
    }
    *r = (running){.run = run, .end = end, .fd = {-1, -1, -1}};
    const int error = start(r);
    if (error != 0) {
        end->how = PIPED_NOT_STARTED;
        end->number = error;
    } else {
        run_started(r);
    }
    for (int i = 0; i < PIPES; i++) {
        close_end(&r->fd[i]);
    }
    free(r);
}
