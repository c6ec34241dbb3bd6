/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/up/guardian.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/descriptors.h"
#include "tools/loom/up/state.h"

/* Nothing that ends the `up` may end it before its work is done: not the terminal, nor a signal to a group. */
static void withdraw(void)
{
    static const int ignored[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE};
    (void)setsid();
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++) {
        (void)signal(ignored[i], SIG_IGN);
    }
    const int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd <= STDERR_FILENO && nothing >= 0; fd++) {
        (void)dup2(nothing, fd); /* whoever reads our output shall see its end */
    }
    (void)prctl(PR_SET_NAME, "loom-up-guardian");
}

static _Noreturn void keep(const project *p, int fd, unsigned wait_ms)
{
    char byte;
    descriptors_close_others(STDERR_FILENO + 1, p->lock, fd);
    withdraw();
    while (read(fd, &byte, 1) < 0 && errno == EINTR) {
    }
    (void)state_clean(p, wait_ms); /* nothing, after an orderly end */
    _exit(0);
}

bool guardian_start(guardian *g, const project *p, unsigned wait_ms)
{
    int ends[2];
    *g = (guardian){-1, -1};
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return false;
    }
    g->pid = fork();
    if (g->pid == 0) {
        close(ends[1]);
        keep(p, ends[0], wait_ms);
    }
    const int error = errno;
    close(ends[0]);
    if (g->pid < 0) {
        close(ends[1]);
        errno = error;
        return false;
    }
    g->fd = ends[1];
    return true;
}

void guardian_dismiss(guardian *g)
{
    if (g->pid > 0) {
        close(g->fd);
        while (waitpid(g->pid, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    *g = (guardian){-1, -1};
}
