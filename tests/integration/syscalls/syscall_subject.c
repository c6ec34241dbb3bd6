/* SPDX-License-Identifier: Apache-2.0 */
/* Does what is hard to trace, and finds out whether it was disturbed: syscall_subject CASE [NUMBER]. Ends with 0 if all was as
 * it is without a tracer, and otherwise with 1 and a line on standard error. */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHECK(condition)                                                                     \
    do {                                                                                     \
        if (!(condition)) {                                                                  \
            fprintf(stderr, "line %d: not so: %s (%s)\n", __LINE__, #condition, strerror(errno)); \
            exit(1);                                                                         \
        }                                                                                    \
    } while (0)

static void open_something(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    close(fd);
}

static void reap(pid_t pid)
{
    int status;
    CHECK(waitpid(pid, &status, __WALL) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void *open_in_thread(void *user)
{
    (void)user;
    open_something();
    return NULL;
}

/* ---- births ---- */

static void forks(int count)
{
    for (int i = 0; i < count; i++) {
        const pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
            open_something();
            _exit(0);
        }
    }
    for (int i = 0; i < count; i++) {
        int status;
        CHECK(wait(&status) > 0 && status == 0);
    }
}

static void threads(int count)
{
    for (int i = 0; i < count; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, open_in_thread, NULL) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
    }
}

static void vforks(void)
{
    const pid_t pid = vfork();
    if (pid == 0) {
        execl("/bin/true", "true", (char *)NULL);
        _exit(1);
    }
    reap(pid);
}

static char stack[64 * 1024];

static int child_opens(void *user)
{
    (void)user;
    open_something();
    return 0;
}

static void clones(void)
{
    pid_t pid = clone(child_opens, stack + sizeof stack, CLONE_UNTRACED | SIGCHLD, NULL);
    CHECK(pid > 0);
    reap(pid);
    struct clone_args args = {.flags = CLONE_UNTRACED, .exit_signal = SIGCHLD};
    pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
    CHECK(pid >= 0);
    if (pid == 0) {
        open_something();
        _exit(0);
    }
    reap(pid);
    const pid_t middle = fork();
    if (middle == 0) { /* its child is ours */
        CHECK(clone(child_opens, stack + sizeof stack, CLONE_PARENT | SIGCHLD, NULL) > 0);
        _exit(0);
    }
    for (int i = 0; i < 2; i++) {
        int status;
        CHECK(wait(&status) > 0 && status == 0);
    }
}

static void *exec_in_thread(void *user)
{
    (void)user;
    execl("/bin/echo", "echo", "from a thread", (char *)NULL);
    return NULL;
}

static void *wait_for_ever(void *user)
{
    while (poll(NULL, 0, -1) <= 0) {
    }
    return user;
}

static void thread_executes(void)
{
    pthread_t thread;
    for (int i = 0; i < 4; i++) {
        CHECK(pthread_create(&thread, NULL, wait_for_ever, NULL) == 0);
    }
    CHECK(pthread_create(&thread, NULL, exec_in_thread, NULL) == 0);
    (void)wait_for_ever(NULL);
}

static void *exit_in_thread(void *user)
{
    (void)user;
    open_something();
    exit(0);
}

static void thread_exits(void)
{
    pthread_t thread;
    for (int i = 0; i < 8; i++) {
        CHECK(pthread_create(&thread, NULL, wait_for_ever, NULL) == 0);
    }
    CHECK(pthread_create(&thread, NULL, exit_in_thread, NULL) == 0);
    (void)wait_for_ever(NULL);
}

static void kills(void)
{
    for (int i = 0; i < 50; i++) { /* some of them in the middle of a call */
        const pid_t pid = fork();
        if (pid == 0) {
            for (;;) {
                open_something();
            }
        }
        int status;
        nanosleep(&(struct timespec){.tv_nsec = i * 20000}, NULL);
        CHECK(kill(pid, SIGKILL) == 0);
        CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    }
}

/* ---- signals ---- */

static volatile sig_atomic_t seen;
static siginfo_t seen_info;

static void on_signal(int number, siginfo_t *info, void *context)
{
    (void)context;
    seen = number;
    seen_info = *info;
}

static void listen_to(int number, int flags)
{
    const struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | flags};
    CHECK(sigaction(number, &action, NULL) == 0);
}

static void signals(void)
{
    listen_to(SIGUSR1, 0);
    CHECK(sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 4711}) == 0);
    CHECK(seen == SIGUSR1 && seen_info.si_code == SI_QUEUE && seen_info.si_value.sival_int == 4711);
    listen_to(SIGTRAP, 0);
    CHECK(raise(SIGTRAP) == 0 && seen == SIGTRAP);
#if defined(__x86_64__)
    seen = 0;
    __asm__ volatile("int3");
    CHECK(seen == SIGTRAP && seen_info.si_code == SI_KERNEL);
#endif
}

/* Stops, and is continued by a child, while it sleeps: the sleep goes on. */
static void stops(void)
{
    const pid_t parent = getpid(), child = fork();
    if (child == 0) {
        for (int i = 0; i < 20; i++) {
            kill(parent, i % 2 == 0 ? SIGSTOP : SIGCONT);
            nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        }
        kill(parent, SIGCONT);
        _exit(0);
    }
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    CHECK(nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL) == 0);
    clock_gettime(CLOCK_MONOTONIC, &to);
    CHECK((to.tv_sec - from.tv_sec) * 1000000000L + to.tv_nsec - from.tv_nsec >= 300000000L);
    reap(child);
}

/* Who waits for children that stop hears of it. */
static void job_control(void)
{
    int status, gate[2];
    char byte = 0;
    CHECK(pipe(gate) == 0);
    const pid_t child = fork();
    if (child == 0) {
        raise(SIGSTOP);
        _exit(read(gate[0], &byte, 1) == 1 ? 7 : 1);
    }
    CHECK(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    CHECK(kill(child, SIGCONT) == 0);
    CHECK(waitpid(child, &status, WCONTINUED) == child && WIFCONTINUED(status));
    CHECK(write(gate[1], &byte, 1) == 1);
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

static void interrupted(void)
{
    listen_to(SIGALRM, 0);
    alarm(1);
    CHECK(nanosleep(&(struct timespec){.tv_sec = 60}, NULL) == -1 && errno == EINTR && seen == SIGALRM);
}

/* ---- others who want to look, or to forbid ---- */

static void debugger(void)
{
    const pid_t child = fork();
    if (child == 0) {
        _exit(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == -1 && errno == EPERM ? 0 : 1);
    }
    reap(child);
}

/* A filter of its own, as browsers have: mkdir() fails with ENOTSUP. */
static void sandbox(void)
{
    struct sock_filter rules[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                                  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mkdirat, 0, 1),
                                  BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOTSUP), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    const struct sock_fprog program = {.len = sizeof rules / sizeof rules[0], .filter = rules};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
    CHECK(mkdirat(AT_FDCWD, "/tmp/never", 0700) == -1 && errno == ENOTSUP);
    open_something();
}

static void foreign(void)
{
#if defined(__x86_64__)
    long pid = 20; /* getpid() of i386 */
    __asm__ volatile("int $0x80" : "+a"(pid) : : "memory", "r8", "r9", "r10", "r11");
    CHECK(pid == getpid());
#endif
    open_something();
}

/* Opens, until it is told to end by the end of its standard input; says how often. Every single call has to work. */
static void goes_on(int thread_count)
{
    pthread_t thread;
    struct pollfd end = {.fd = 0, .events = POLLIN};
    unsigned long count = 0;
    for (int i = 0; i < thread_count; i++) {
        CHECK(pthread_create(&thread, NULL, wait_for_ever, NULL) == 0);
    }
    printf("%d\n", (int)getpid());
    fflush(stdout);
    while (poll(&end, 1, 0) == 0) {
        open_something();
        forks(count % 100 == 0 ? 1 : 0);
        if (++count % 1000 == 0) {
            printf("%lu\n", count);
            fflush(stdout);
        }
    }
}

static void many_opens(int count)
{
    for (int i = 0; i < count; i++) {
        open_something();
    }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
        void (*run_many)(int);
    } cases[] = {{"forks", NULL, forks},       {"threads", NULL, threads},      {"vfork", vforks, NULL},     {"clone", clones, NULL},
                 {"thread-exec", thread_executes, NULL}, {"thread-exit", thread_exits, NULL}, {"kill", kills, NULL}, {"signals", signals, NULL},
                 {"stops", stops, NULL},       {"job-control", job_control, NULL}, {"interrupted", interrupted, NULL}, {"debugger", debugger, NULL},
                 {"sandbox", sandbox, NULL},   {"foreign", foreign, NULL},      {"goes-on", NULL, goes_on},  {"opens", NULL, many_opens}};
    for (size_t i = 0; argc > 1 && i < sizeof cases / sizeof cases[0]; i++) {
        if (strcmp(argv[1], cases[i].name) == 0) {
            if (cases[i].run != NULL) {
                cases[i].run();
            } else {
                cases[i].run_many(argc > 2 ? (int)strtol(argv[2], NULL, 10) : 1);
            }
            return 0;
        }
    }
    fprintf(stderr, "syscall_subject: no such case\n");
    return 2;
}
