/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/process/container/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/descriptors.h"

enum {
    ENGINE_MS = 20000, /* an engine that says nothing for so long is given up */
    TOGETHER_MS = 3000 /* whoever kills us and the client means the command */
};

enum { WORD_DONE = 'd', WORD_END = 'e' };

/* The engine, out of reach of what is sent to our group. */
static bool start(process *p, const engine *e, char *const *argv)
{
    sigset_t all;
    sigfillset(&all);
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    const bool started = null >= 0 && process_start(p, &(process_options){.argv = argv,
                                                                          .environment = engine_environment(e),
                                                                          .fds = {null, null, null},
                                                                          .own_group = true,
                                                                          .defaults = &all}) == 0;
    if (null >= 0) {
        close(null);
    }
    return started;
}

static void finish(process *p)
{
    int status;
    if (!process_wait(p, ENGINE_MS, &status, NULL)) {
        (void)kill(-p->pid, SIGKILL);
        (void)process_wait(p, -1, &status, NULL);
    }
    process_close(p);
}

/* ---- the process that stands by ---- */

static void end_command(engine *e)
{
    process p;
    char *const *argv = engine_end_argv(e);
    if (argv != NULL && start(&p, e, argv)) {
        finish(&p);
    }
}

static void become_watch(void)
{
    (void)setsid();
    (void)prctl(PR_SET_NAME, "loom-watch");
    for (int number = 1; number < NSIG; number++) {
        if (number != SIGKILL && number != SIGSTOP && number != SIGCHLD) {
            (void)signal(number, SIG_IGN);
        }
    }
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int i = 0; null >= 0 && i < 3; i++) {
        (void)dup2(null, i);
    }
}

static _Noreturn void watch(engine *e, int in, int client)
{
    char word = 0;
    become_watch();
    descriptors_close_others(STDERR_FILENO + 1, in, client);
    while (read(in, &word, 1) < 0 && errno == EINTR) {
    }
    const bool killed = word == 0;
    if (word == WORD_END || (killed && poll(&(struct pollfd){client, POLLIN, 0}, 1, TOGETHER_MS) > 0)) {
        end_command(e);
        if (killed) {
            engine_close(e); /* its files */
        }
    }
    _exit(0);
}

/* ---- our side ---- */

void container_watch_start(container_watch *w, engine *e, const process *client)
{
    int ends[2];
    *w = (container_watch){.engine = e, .fd = -1, .pid = -1};
    if (client->fd < 0 || pipe2(ends, O_CLOEXEC) != 0) {
        return;
    }
    w->pid = fork();
    if (w->pid == 0) {
        watch(e, ends[0], client->fd);
    }
    close(ends[0]);
    if (w->pid > 0) {
        w->fd = ends[1];
    } else {
        close(ends[1]);
    }
}

/* Those that have arrived. */
static void forget_sent(container_watch *w)
{
    int status;
    for (unsigned i = 0; i < w->sending_count;) {
        if (process_wait(&w->sending[i], 0, &status, NULL)) {
            process_close(&w->sending[i]);
            w->sending[i] = w->sending[--w->sending_count];
        } else {
            i++;
        }
    }
}

bool container_watch_signal(container_watch *w, int signal)
{
    if (w->engine == NULL) {
        return false;
    }
    forget_sent(w);
    char *const *argv = w->sending_count < WATCH_SIGNALS_MAX ? engine_signal_argv(w->engine, signal) : NULL;
    if (argv == NULL || !start(&w->sending[w->sending_count], w->engine, argv)) {
        return false;
    }
    w->sending_count++;
    return true;
}

void container_watch_stop(container_watch *w, bool told)
{
    const char word = told ? WORD_END : WORD_DONE;
    for (unsigned i = 0; i < w->sending_count; i++) {
        finish(&w->sending[i]);
    }
    w->sending_count = 0;
    if (w->engine == NULL || w->fd < 0) {
        return;
    }
    (void)!write(w->fd, &word, 1);
    close(w->fd);
    w->fd = -1;
    while (waitpid(w->pid, NULL, 0) < 0 && errno == EINTR) {
    }
}
