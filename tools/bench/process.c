/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/bench/process.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tools/bench/site.h"

enum { END_STEP_MS = 2, END_STEPS = 1500 }; /* three seconds for an orderly end */

static sigset_t taken_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGCHLD);
    return set;
}

void processes_block_signals(void)
{
    const sigset_t set = taken_signals();
    sigprocmask(SIG_BLOCK, &set, NULL);
}

bool process_is_client(const char *role)
{
    static const char *const clients[] = {"consumer", "producer", "requester", "responder", "sessions", "flood"};
    for (size_t i = 0; i < sizeof clients / sizeof clients[0]; i++) {
        if (strcmp(role, clients[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Children inherit it. With one processor there is nothing to choose. */
static void choose_processor(unsigned wanted)
{
    cpu_set_t allowed, one;
    CPU_ZERO(&allowed);
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) {
        return;
    }
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET((size_t)cpu, &allowed) && wanted-- == 0) {
            CPU_ZERO(&one);
            CPU_SET((size_t)cpu, &one);
            (void)sched_setaffinity(0, sizeof one, &one);
            return;
        }
    }
}

pid_t processes_fork(process_list *list, const char *role)
{
    if (list->count == PROCESSES_MAX) {
        bench_complain("no room for the process %s", role);
        return -1;
    }
    const pid_t conductor = getpid();
    const pid_t pid = fork();
    if (pid < 0) {
        bench_complain("cannot start the process %s: %s", role, strerror(errno));
        return -1;
    }
    if (pid == 0) {
        const sigset_t set = taken_signals();
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != conductor) {
            _exit(1); /* it died before the line above */
        }
        prctl(PR_SET_NAME, role);
        if (list->placement != PLACEMENT_FREE) {
            choose_processor(list->placement == PLACEMENT_APART && !process_is_client(role) ? 1 : 0);
        }
        sigprocmask(SIG_UNBLOCK, &set, NULL);
        return 0;
    }
    process *p = &list->items[list->count++];
    p->pid = pid;
    p->log[0] = '\0';
    snprintf(p->role, sizeof p->role, "%s", role);
    return pid;
}

bool processes_run(process_list *list, const char *role, char *const argv[], const char *log)
{
    const pid_t pid = processes_fork(list, role);
    if (pid > 0) {
        snprintf(list->items[list->count - 1].log, PROCESS_LOG_SIZE, "%s", log);
    }
    if (pid != 0) {
        return pid > 0;
    }
    const int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && null >= 0) {
        dup2(null, STDIN_FILENO);
        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
        execv(argv[0], argv);
        dprintf(fd, "cannot run %s: %s\n", argv[0], strerror(errno));
    }
    _exit(127);
}

/* What it said itself. */
static void show_log(const process *p)
{
    char line[256];
    FILE *log = p->log[0] != '\0' ? fopen(p->log, "re") : NULL;
    while (log != NULL && fgets(line, sizeof line, log) != NULL) {
        fprintf(stderr, "  %s: %s%s", p->role, line, strchr(line, '\n') == NULL ? "\n" : "");
    }
    if (log != NULL) {
        fclose(log);
    }
}

/* Complains and forgets it, when one has ended. */
static bool one_has_ended(process_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        int status;
        if (waitpid(list->items[i].pid, &status, WNOHANG) != list->items[i].pid) {
            continue;
        }
        if (WIFSIGNALED(status)) {
            bench_complain("the %s was killed by signal %d", list->items[i].role, WTERMSIG(status));
        } else {
            bench_complain("the %s ended too early, with exit code %d", list->items[i].role, WEXITSTATUS(status));
        }
        show_log(&list->items[i]);
        list->items[i] = list->items[--list->count];
        return true;
    }
    return false;
}

bool processes_sleep(process_list *list, double seconds)
{
    const sigset_t set = taken_signals();
    const uint64_t deadline = bench_now_ns() + (uint64_t)(seconds * 1e9);
    for (uint64_t now; (now = bench_now_ns()) < deadline;) {
        const uint64_t left = deadline - now;
        const struct timespec wait = {(time_t)(left / 1000000000u), (long)(left % 1000000000u)};
        const int sig = sigtimedwait(&set, NULL, &wait);
        if (sig == SIGCHLD) {
            if (one_has_ended(list)) {
                return false;
            }
        } else if (sig > 0) {
            bench_complain("interrupted");
            list->interrupted = true;
            return false;
        }
    }
    return true;
}

/* Waits until all from the first one on are gone; those that take too long are killed. */
static void wait_from(process_list *list, size_t first)
{
    for (unsigned step = 0; list->count > first; step++) {
        size_t left = first;
        for (size_t i = first; i < list->count; i++) {
            if (step == END_STEPS) {
                kill(list->items[i].pid, SIGKILL);
            }
            if (waitpid(list->items[i].pid, NULL, step >= END_STEPS ? 0 : WNOHANG) == 0) {
                list->items[left++] = list->items[i];
            }
        }
        list->count = left;
        if (left > first) {
            nanosleep(&(struct timespec){.tv_nsec = END_STEP_MS * 1000000}, NULL);
        }
    }
}

void processes_end(process_list *list, bool orderly)
{
    size_t first = list->count;
    while (orderly && first > 0 && process_is_client(list->items[first - 1].role)) {
        first--;
    }
    wait_from(list, first);
    while (list->count > 0) {
        first = orderly ? list->count - 1 : 0;
        for (size_t i = first; i < list->count; i++) {
            kill(list->items[i].pid, SIGTERM);
            kill(list->items[i].pid, SIGCONT); /* it may be stopped */
        }
        wait_from(list, first);
    }
}
