/* SPDX-License-Identifier: Apache-2.0 */
/* It waits for the end of a pipe, over which it is told which groups run. */
#include "trace/process/run/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LOOK_MS = 20 };

typedef struct group_list {
    pid_t items[GUARD_GROUPS_MAX];
    unsigned count;
} group_list;

/* ---- the process; async-signal-safe, since it is forked from a program with threads ---- */

static void become_guard(int in)
{
    (void)setsid(); /* what the terminal sends is not for it */
    (void)prctl(PR_SET_NAME, "loom-guard");
    for (int number = 1; number < NSIG; number++) {
        (void)signal(number, number == SIGKILL || number == SIGSTOP ? SIG_DFL : SIG_IGN);
    }
    (void)!chdir("/");
    if (dup2(in, STDIN_FILENO) < 0) {
        _exit(1);
    }
    (void)close_range(STDIN_FILENO + 1, ~0u, 0);
}

/* A number below 0 takes one out. */
static void note(group_list *groups, pid_t word)
{
    if (word > 1 && groups->count < GUARD_GROUPS_MAX) {
        groups->items[groups->count++] = word;
    }
    for (unsigned i = 0; i < groups->count; i++) {
        if (groups->items[i] == -word) {
            groups->items[i] = groups->items[--groups->count];
            return;
        }
    }
}

static void listen_to_end(group_list *groups)
{
    pid_t word;
    ssize_t n;
    while ((n = read(STDIN_FILENO, &word, sizeof word)) == (ssize_t)sizeof word || (n < 0 && errno == EINTR)) {
        if (n > 0) {
            note(groups, word);
        }
    }
}

static void signal_all(const group_list *groups, int number)
{
    for (unsigned i = 0; i < groups->count; i++) {
        (void)kill(-groups->items[i], number);
    }
}

static bool any_runs(const group_list *groups)
{
    for (unsigned i = 0; i < groups->count; i++) {
        if (kill(-groups->items[i], 0) == 0) {
            return true;
        }
    }
    return false;
}

static _Noreturn void guard_commands(int in)
{
    group_list groups = {.count = 0};
    become_guard(in);
    listen_to_end(&groups);
    signal_all(&groups, SIGTERM);
    signal_all(&groups, SIGCONT); /* or one that is stopped would not hear of it */
    for (unsigned waited = 0; waited < GUARD_GRACE_MS && any_runs(&groups); waited += LOOK_MS) {
        nanosleep(&(struct timespec){.tv_nsec = LOOK_MS * 1000000}, NULL);
    }
    signal_all(&groups, SIGKILL);
    _exit(0);
}

/* ---- the program's side ---- */

int guard_open(guard *g)
{
    int ends[2];
    *g = (guard){.fd = -1, .pid = -1};
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return errno;
    }
    g->pid = fork();
    if (g->pid == 0) {
        guard_commands(ends[0]);
    }
    const int error = g->pid < 0 ? errno : 0;
    close(ends[0]);
    if (error != 0) {
        close(ends[1]);
        return error;
    }
    g->fd = ends[1];
    return 0;
}

static void tell(const guard *g, pid_t word)
{
    while (g->fd >= 0 && write(g->fd, &word, sizeof word) < 0 && errno == EINTR) {
    }
}

void guard_add(const guard *g, pid_t group)
{
    tell(g, group);
}

void guard_remove(const guard *g, pid_t group)
{
    tell(g, -group);
}

void guard_close(guard *g)
{
    if (g->fd < 0) {
        return;
    }
    close(g->fd);
    while (waitpid(g->pid, NULL, 0) < 0 && errno == EINTR) {
    }
    *g = (guard){.fd = -1, .pid = -1};
}
