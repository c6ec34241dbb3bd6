/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/command_run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LOOK_MS = 100, READ_SIZE = 64 * 1024 };

enum { IN, OUT, ERR, PIPES };

typedef struct running {
    const command_run *run;
    command_end *end;
    pid_t pid;
    int fd[PIPES]; /* our ends; -1: closed */
    size_t written;
    size_t complaint_len;
    uint8_t buffer[READ_SIZE];
} running;

static void close_end(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

static int spawn(running *r, const int theirs[PIPES])
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, defaults;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    for (int i = 0; i < PIPES; i++) {
        posix_spawn_file_actions_adddup2(&actions, theirs[i], i);
    }
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    sigaddset(&defaults, SIGINT);
    sigaddset(&defaults, SIGTERM);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    int error = posix_spawnp(&r->pid, r->run->argv[0], &actions, &attributes, r->run->argv, r->run->environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

/* errno, or 0. */
static int start(running *r)
{
    int theirs[PIPES] = {-1, -1, -1}, error = 0;
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
    error = error != 0 ? error : spawn(r, theirs);
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
    command_end *end = r->end;
    if (r->run->piece != NULL) {
        return r->run->piece(r->run->user, (loom_bytes){r->buffer, len});
    }
    uint8_t *grown = end->output_len + len <= r->run->output_max ? realloc(end->output, end->output_len + len) : NULL;
    if (grown == NULL) {
        end->how = COMMAND_TOO_MUCH;
        return false;
    }
    memcpy(grown + end->output_len, r->buffer, len);
    end->output = grown;
    end->output_len += len;
    return true;
}

/* The last of it is what matters. */
static void take_complaint(running *r, size_t len)
{
    const size_t max = COMMAND_COMPLAINT_SIZE - 1;
    const uint8_t *from = r->buffer + (len > max ? len - max : 0);
    size_t count = len > max ? max : len;
    size_t keep = r->complaint_len + count > max ? max - count : r->complaint_len;
    memmove(r->end->complaint, r->end->complaint + r->complaint_len - keep, keep);
    memcpy(r->end->complaint + keep, from, count);
    r->complaint_len = keep + count;
    r->end->complaint[r->complaint_len] = '\0';
}

/* False: the command is to be killed. */
static bool drain(running *r, int which)
{
    ssize_t n = read(r->fd[which], r->buffer, sizeof r->buffer);
    if (n > 0) {
        if (which == OUT) {
            return take_output(r, (size_t)n);
        }
        take_complaint(r, (size_t)n);
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        close_end(&r->fd[which]);
    }
    return true;
}

/* Until it has closed its output. False: killed. */
static bool attend(running *r)
{
    while (r->fd[OUT] >= 0 || r->fd[ERR] >= 0) {
        struct pollfd fds[PIPES] = {{r->fd[IN], POLLOUT, 0}, {r->fd[OUT], POLLIN, 0}, {r->fd[ERR], POLLIN, 0}};
        (void)poll(fds, PIPES, LOOK_MS);
        if (r->run->give_up != NULL && r->run->give_up(r->run->user)) {
            return false;
        }
        if (fds[IN].revents != 0) {
            feed(r);
        }
        for (int i = OUT; i <= ERR; i++) {
            if (fds[i].revents != 0 && !drain(r, i)) {
                return false;
            }
        }
    }
    return true;
}

/* Its output is closed; it may still run. */
static int reap(running *r, bool *killed)
{
    int status;
    while (waitpid(r->pid, &status, WNOHANG) == 0) {
        if (!*killed && r->run->give_up != NULL && r->run->give_up(r->run->user)) {
            *killed = true;
            kill(-r->pid, SIGKILL);
        }
        (void)poll(NULL, 0, 5);
    }
    return status;
}

void command_run_to_end(const command_run *run, command_end *end)
{
    *end = (command_end){.how = COMMAND_EXITED};
    running *r = malloc(sizeof *r);
    if (r == NULL) {
        end->how = COMMAND_NOT_STARTED;
        end->number = ENOMEM;
        return;
    }
    *r = (running){.run = run, .end = end, .fd = {-1, -1, -1}};
    int error = start(r);
    if (error != 0) {
        end->how = COMMAND_NOT_STARTED;
        end->number = error;
    } else {
        bool killed = !attend(r);
        if (killed) {
            kill(-r->pid, SIGKILL);
        }
        close_end(&r->fd[IN]); /* first: it may be waiting for the end of its input */
        int status = reap(r, &killed);
        if (killed) {
            end->how = end->how == COMMAND_TOO_MUCH ? COMMAND_TOO_MUCH : COMMAND_GIVEN_UP;
        } else {
            end->how = WIFSIGNALED(status) ? COMMAND_SIGNALLED : COMMAND_EXITED;
            end->number = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
        }
    }
    for (int i = 0; i < PIPES; i++) {
        close_end(&r->fd[i]);
    }
    free(r);
}
