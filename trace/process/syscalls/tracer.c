/* SPDX-License-Identifier: Apache-2.0 */
/* The tracer's process: orders from loom, and waiting. Orders come over a socket, while it waits for its tracees in waitpid();
 * so whoever sends one also sends SIGUSR1 until it is answered, and a timer ends the wait twice a second, so that it sees
 * that loom is gone (SIGKILL sends no word). When tracees are so busy that there is no wait to end, it looks between their
 * stops. */
#include "trace/process/syscalls/tracer.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptors.h"
#include "trace/process/syscalls/caller.h"

enum {
    LOOK_AROUND_US = 500000,
    STOPS_BETWEEN_ORDERS = 64, /* a system call for so many stops, each of which takes several */
    SPIN_NS = 50000, /* it looks for the next stop for so long before it sleeps */
    SOON_NS = 200000 /* after a wait of no more than this it looks: being woken may take most of it */
};

static void on_signal(int number)
{
    (void)number; /* waitpid() returns: that is all */
}

static void set_signals(void)
{
    sigset_t none;
    static const int deaf[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGTSTP, SIGTTIN, SIGTTOU, SIGUSR2};
    for (size_t i = 0; i < sizeof deaf / sizeof deaf[0]; i++) {
        signal(deaf[i], SIG_IGN);
    }
    const struct sigaction wake = {.sa_handler = on_signal};
    sigaction(SIGUSR1, &wake, NULL);
    const struct sigaction ends_only = {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDSTOP}; /* a stop wakes waitpid() without it */
    sigaction(SIGCHLD, &ends_only, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void set_timer(bool on)
{
    const struct itimerval every = {{0, on ? LOOK_AROUND_US : 0}, {0, on ? LOOK_AROUND_US : 0}};
    setitimer(ITIMER_REAL, &every, NULL);
}

/* Out of the way of the terminal, of the command's pipes and of whoever looks for memory to free. In the session of the
 * command: with one of its own the scheduler (sched(7), "The autogroup feature") would weigh it against the command, and on a
 * busy machine each of the two would wait for its turn at every call. */
static void become_tracer(int bell, int socket)
{
    (void)setpgid(0, 0);
    set_signals();
    (void)prctl(PR_SET_NAME, "loom-tracer");
    (void)!chdir("/");
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        (void)!write(fd, "-900", 4); /* when it may: the command depends on it */
    }
    descriptors_close_others(0, bell, socket);
    while (open("/dev/null", O_RDWR) >= 0 && fcntl(STDERR_FILENO, F_GETFD) < 0) {
    }
}

static void answer(const tracer *t, int error)
{
    (void)send(t->socket, &error, sizeof error, MSG_NOSIGNAL);
}

/* Nothing more is told. What was attached to is let go by the kernel when we end (ptrace(2)): PTRACE_DETACH would have to stop
 * its threads once more, which ends some calls early. */
static void stop_telling(tracer *t)
{
    t->passing = true;
    if (t->unfiltered) {
        _exit(0);
    }
}

static void obey(tracer *t, const tracer_request *request)
{
    if (request->order != TRACER_STOP) {
        t->unfiltered = request->order == TRACER_ATTACH || t->plan->filter == NULL;
        t->first = request->pid;
        t->spans = t->plan->spans && !request->muted;
        t->passing = !t->spans && !t->plan->summary;
    }
    switch ((tracer_order)request->order) {
    case TRACER_SEIZE: answer(t, tracer_seize(t, request->pid)); break;
    case TRACER_ATTACH: answer(t, tracer_attach(t, request->pid)); break;
    case TRACER_STOP:
        answer(t, 0);
        stop_telling(t);
        break;
    }
}

/* What came over the socket. Without flags it waits for it. */
static void hear(tracer *t, int flags)
{
    tracer_request request;
    const ssize_t got = t->deserted ? -1 : recv(t->socket, &request, sizeof request, flags);
    if (got == sizeof request) {
        obey(t, &request);
    } else if (got == 0) {
        t->deserted = true;
        stop_telling(t);
    }
}

static bool has_tracees(const tracer *t)
{
    return t->tracees.by_tid.count > 0;
}

/* The next one that has stopped or ended, as waitpid() has it. A tracee in the middle of its calls stops again within
 * microseconds; waking a processor that has gone to sleep meanwhile takes tens of them, twice a call. So whoever did not wait
 * long the last time looks again and again for a moment, and lets everybody else go first. */
static pid_t wait_for_stop(tracer *t, int *status)
{
    const uint64_t since = clock_monotonic_ns();
    uint64_t now = since;
    pid_t tid = 0;
    while (t->is_brisk && now - since < SPIN_NS && (tid = waitpid(-1, status, WNOHANG | __WALL)) == 0) {
        (void)sched_yield();
        now = clock_monotonic_ns();
    }
    if (tid == 0) {
        tid = waitpid(-1, status, __WALL);
        t->is_brisk = clock_monotonic_ns() - since < SOON_NS;
    }
    return tid;
}

static void wait_for_tracees(tracer *t)
{
    unsigned stops = 0;
    set_timer(true);
    while (has_tracees(t)) {
        int status;
        const pid_t tid = wait_for_stop(t, &status);
        if (tid > 0) {
            t->current_status = status;
            t->current = WIFSTOPPED(status) ? tid : 0;
            tracer_on_status(t, tid, status);
            t->current = 0;
            if (++stops % STOPS_BETWEEN_ORDERS == 0) {
                hear(t, MSG_DONTWAIT);
            }
        } else if (errno == EINTR) {
            hear(t, MSG_DONTWAIT);
        } else {
            tracee_clear(&t->tracees); /* ECHILD: all have gone, whatever we missed */
        }
    }
    number_table_fini(&t->early);
    t->early = (number_table){0};
    set_timer(false);
}

_Noreturn void tracer_run(const syscall_plan *plan, tracer_shared *shared, int bell, int socket)
{
    tracer t = {.plan = plan, .shared = shared, .bell = bell, .socket = socket};
    become_tracer(bell, socket);
    tracer_survive_crashes(&t);
    t.callers = plan->source ? caller_finder_create() : NULL;
    while (!t.deserted) {
        hear(&t, 0);
        wait_for_tracees(&t);
    }
    _exit(0);
}
