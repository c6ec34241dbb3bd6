/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/process/syscalls/link.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FIRST_ANSWER_MS = 2, NEXT_ANSWER_MS = 5, ASKED_MAX = 1000, REAP_ROUNDS = 60 };

/* A child like any other: reaped in tracer_link_close() if it has ended by then. One that goes on without us becomes init's. */
static pid_t fork_tracer(const tracer_link *link, int socket, const syscall_plan *plan)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* no handler of the program runs in the child */
    const pid_t pid = fork();
    if (pid == 0) {
        tracer_run(plan, link->shared, link->bell, socket);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return pid;
}

static loom_status start(tracer_link *link, const syscall_plan *plan)
{
    int sockets[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0) {
        return LOOM_EIO;
    }
    link->socket = sockets[0];
    link->pid = fork_tracer(link, sockets[1], plan);
    close(sockets[1]);
    return link->pid > 0 ? LOOM_OK : errno == ENOMEM ? LOOM_ENOMEM : LOOM_EIO;
}

loom_status tracer_link_open(tracer_link *link, const syscall_plan *plan)
{
    *link = (tracer_link){.socket = -1, .bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .pid = -1};
    void *shared = mmap(NULL, sizeof(tracer_shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    link->shared = shared != MAP_FAILED ? shared : NULL;
    loom_status st = link->bell < 0 ? LOOM_EIO : link->shared == NULL ? LOOM_ENOMEM : LOOM_OK;
    if (st == LOOM_OK) {
        atomic_store(&link->shared->status, EXIT_PENDING);
        st = start(link, plan);
    }
    if (st != LOOM_OK) {
        tracer_link_close(link);
    }
    return st;
}

int tracer_link_ask(const tracer_link *link, const tracer_request *request)
{
    struct pollfd answer = {.fd = link->socket, .events = POLLIN};
    int error;
    if (send(link->socket, request, sizeof *request, MSG_NOSIGNAL) != sizeof *request) {
        return EPIPE;
    }
    int timeout = FIRST_ANSWER_MS;
    for (unsigned asked = 0; asked < ASKED_MAX; asked++) { /* it may be about to wait for its tracees when the signal comes */
        const int got = poll(&answer, 1, timeout);
        if (got > 0) {
            return recv(link->socket, &error, sizeof error, 0) == sizeof error ? error : EPIPE;
        }
        if (got < 0 && errno != EINTR) {
            return errno;
        }
        (void)kill(link->pid, SIGUSR1);
        timeout = NEXT_ANSWER_MS;
    }
    return ETIMEDOUT;
}

/* It ends as soon as its socket is closed, unless there is still somebody whose calls it has to let pass. */
static void reap_tracer(const tracer_link *link)
{
    for (int i = 0; i < REAP_ROUNDS && waitpid(link->pid, NULL, WNOHANG) == 0; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
    }
}

void tracer_link_close(tracer_link *link)
{
    if (link->socket >= 0) {
        close(link->socket);
    }
    if (link->pid > 0) {
        reap_tracer(link);
    }
    if (link->bell >= 0) {
        close(link->bell);
    }
    if (link->shared != NULL) {
        munmap(link->shared, sizeof *link->shared);
    }
    *link = (tracer_link){.socket = -1, .bell = -1, .pid = -1};
}
