/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/process/run/foreground.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TRACER_MS = 100, LOOK_MS = 5 /* between two looks at a command whose end or stops no descriptor tells */ };

/* Whatever somebody may send to the command on purpose: all but what a fault of our own would raise, what cannot be caught, and
 * SIGPIPE. */
static const int forwarded[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGABRT, SIGTERM,   SIGUSR1, SIGUSR2,
                                SIGALRM, SIGPROF, SIGIO,   SIGURG,  SIGVTALRM, SIGPWR,  SIGXCPU,
                                SIGXFSZ, SIGCONT, SIGTSTP, SIGTTIN, SIGSTKFLT, SIGTTOU, SIGWINCH};

static bool is_ignored(int signal)
{
    struct sigaction action;
    return sigaction(signal, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

int foreground_open(foreground *f)
{
    *f = (foreground){.fd = -1, .resized = f->resized, .forward = f->forward, .user = f->user};
    sigemptyset(&f->handled);
    for (size_t i = 0; i < sizeof forwarded / sizeof forwarded[0]; i++) {
        if (!is_ignored(forwarded[i])) {
            sigaddset(&f->handled, forwarded[i]);
        }
    }
    for (int signal = SIGRTMIN; signal <= SIGRTMAX; signal++) {
        if (!is_ignored(signal)) {
            sigaddset(&f->handled, signal);
        }
    }
    (void)signal(SIGCHLD, SIG_DFL); /* ignored, it would take the command's status away */
    sigaddset(&f->handled, SIGCHLD);
    if (pthread_sigmask(SIG_BLOCK, &f->handled, &f->before) != 0) {
        return errno;
    }
    f->fd = signalfd(-1, &f->handled, SFD_CLOEXEC | SFD_NONBLOCK);
    if (f->fd < 0) {
        const int error = errno;
        foreground_close(f);
        return error;
    }
    return 0;
}

void foreground_close(foreground *f)
{
    if (f->fd >= 0) {
        close(f->fd);
        f->fd = -1;
    }
    (void)pthread_sigmask(SIG_SETMASK, &f->before, NULL);
}

/* What the terminal's driver sends to the whole foreground group, the command with us. But that the terminal has gone (SIGHUP,
 * then SIGCONT) it tells the leader of its session alone, in tty_signal_session_leader(): us, where `ssh -t` or `script` has
 * started us. */
static bool has_reached_command(const struct signalfd_siginfo *info)
{
    const bool gone = info->ssi_signo == SIGHUP || info->ssi_signo == SIGCONT;
    return info->ssi_code == SI_KERNEL && !(gone && getsid(0) == getpid());
}

static bool ends_programs(int signal)
{
    return signal == SIGHUP || signal == SIGINT || signal == SIGQUIT || signal == SIGTERM;
}

/* Rather than whoever started it, which does not pass it on. Not those of job control, which mean both. */
static bool is_for_command(int signal)
{
    return signal != SIGCONT && signal != SIGTSTP && signal != SIGTTIN && signal != SIGTTOU && signal != SIGWINCH;
}

/* p NULL: the command has ended, and its pid may be somebody else's. */
static void take_signal(foreground *f, const process *p, const struct signalfd_siginfo *info)
{
    const int signal = (int)info->ssi_signo;
    const bool terminal = has_reached_command(info);
    switch (signal) {
    case SIGCHLD:
        return; /* the command is looked at anyway */
    case SIGTSTP:
        f->suspended = true;
        break;
    case SIGCONT:
        f->suspended = false;
        break;
    case SIGINT:
        f->interrupted = f->interrupted || terminal;
        break;
    case SIGWINCH:
        if (f->resized != NULL) {
            f->resized(f->user);
        }
        break;
    default:
        break;
    }
    f->told_to_end = f->told_to_end || ends_programs(signal);
    if (p != NULL && f->forward != NULL && is_for_command(signal) && f->forward(f->user, signal)) {
        return;
    }
    if (p != NULL && !terminal && info->ssi_pid != (uint32_t)p->pid) { /* what it sends to its own group it has sent to itself */
        (void)kill(p->pid, signal);
    }
}

static void take_signals(foreground *f, const process *p)
{
    struct signalfd_siginfo info;
    while (read(f->fd, &info, sizeof info) == (ssize_t)sizeof info) {
        take_signal(f, p, &info);
    }
}

/* Whether we are a job of our own in the foreground of a terminal: without us, the shell would see the command stop. */
static bool is_foreground_job(void)
{
    const pid_t self = getpid();
    if (getpgrp() != self || getsid(0) == self) {
        return false;
    }
    const int terminal = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC);
    const bool is_in_front = terminal >= 0 && tcgetpgrp(terminal) == self;
    if (terminal >= 0) {
        close(terminal);
    }
    return is_in_front;
}

/* The command has been stopped by a signal that means the job. Elsewhere somebody who stops it by SIGSTOP means that process,
 * and would not know of ours to make it go on. */
static bool means_job(const foreground *f, int signal)
{
    return signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU ||
           (signal == SIGSTOP && (f->suspended || is_foreground_job()));
}

static void stop_with(foreground *f, const process *p)
{
    (void)kill(getpid(), SIGSTOP);
    f->suspended = false;
    (void)kill(p->pid, SIGCONT); /* whoever woke us alone means the command */
}

/* The command has ended. From now on fd becomes readable for who wants us to end, too, and not for other children of ours. */
static void await_ends(foreground *f)
{
    static const int ends[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
    sigset_t wanted;
    sigemptyset(&wanted);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        if (sigismember(&f->handled, ends[i]) == 1) {
            sigaddset(&wanted, ends[i]);
        }
    }
    if (f->fd >= 0) {
        (void)signalfd(f->fd, &wanted, 0);
    }
}

void foreground_attend(foreground *f, process *p, int *status)
{
    for (;;) {
        int stopped = 0;
        if (process_wait(p, 0, status, &stopped)) {
            take_signals(f, NULL); /* the Ctrl-C that has ended it may not be read yet */
            await_ends(f);
            return;
        }
        if (stopped != 0 && means_job(f, stopped)) {
            stop_with(f, p);
        } else if (p->tracer != NULL && f->suspended) {
            (void)poll(NULL, 0, TRACER_MS); /* its tracer has to hand the signal on, and is stopped with us */
            stop_with(f, p);
        }
        (void)poll((struct pollfd[]){{f->fd, POLLIN, 0}, {p->fd, POLLIN, 0}}, 2, f->fd >= 0 ? -1 : LOOK_MS);
        take_signals(f, p);
    }
}

int foreground_finish(const foreground *f, int status)
{
    if (f->interrupted && WIFSIGNALED(status) && WTERMSIG(status) == SIGINT) {
        (void)signal(SIGINT, SIG_DFL);
        (void)raise(SIGINT);
    }
    return process_exit_code(status);
}
