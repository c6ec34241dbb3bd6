/* SPDX-License-Identifier: Apache-2.0 */
/* A tracer that crashes: libdw reads the debug information of anybody's programs. The command must not notice, and without a
 * tracer its filtered calls would fail. So the signal's handler never returns: it lets calls pass until the last process of the
 * command has ended, on a stack of its own and without memory or locks, which may be what is broken.
 *
 * The timer of tracer.c ends a look at the source that takes too long in the same way. */
#include "trace/process/syscalls/tracer.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STACK_SIZE = 64 * 1024 };

/* The one tracer of its process: a handler has no other way to it. */
static tracer *crashing;

static void pass(pid_t tid, int status)
{
    const int sig = WSTOPSIG(status), what = status >> 16;
    if (what == PTRACE_EVENT_STOP && tracer_is_stop_signal(sig)) {
        (void)ptrace(PTRACE_LISTEN, tid, NULL, NULL);
        return;
    }
    if (what == PTRACE_EVENT_SECCOMP) {
        tracer_keep_children(tid);
    }
    (void)ptrace(PTRACE_CONT, tid, NULL, (void *)(long)(what == 0 && sig != (SIGTRAP | 0x80) ? sig : 0));
}

static _Noreturn void pass_everything(tracer *t, int sig)
{
    atomic_store(&t->shared->tally.crashed, (uint64_t)sig);
    close(t->socket); /* loom learns of it instead of waiting for an answer */
    if (t->unfiltered) {
        _exit(0); /* the kernel lets everybody go */
    }
    if (t->current > 0) {
        pass(t->current, t->current_status);
    }
    for (;;) {
        int status;
        const pid_t tid = waitpid(-1, &status, __WALL);
        if (tid > 0 && WIFSTOPPED(status)) {
            pass(tid, status);
        } else if (tid < 0 && errno != EINTR) {
            _exit(0);
        }
    }
}

/* What others send is no crash, and may come between any two steps. */
static void on_crash(int sig, siginfo_t *info, void *context)
{
    (void)context;
    if (info->si_code > 0 || info->si_pid == getpid()) {
        pass_everything(crashing, sig);
    }
}

static void on_timer(int sig)
{
    if (crashing->looks_left > 0 && --crashing->looks_left == 0) {
        pass_everything(crashing, sig);
    }
}

void tracer_survive_crashes(tracer *t)
{
    static const int crashes[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
    void *stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const bool separate = stack != MAP_FAILED && sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = STACK_SIZE}, NULL) == 0;
    struct sigaction action = {.sa_sigaction = on_crash, .sa_flags = SA_SIGINFO | (separate ? SA_ONSTACK : 0)};
    sigfillset(&action.sa_mask);
    crashing = t;
    for (size_t i = 0; i < sizeof crashes / sizeof crashes[0]; i++) {
        sigaction(crashes[i], &action, NULL);
    }
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = on_timer, .sa_mask = action.sa_mask}, NULL);
}
