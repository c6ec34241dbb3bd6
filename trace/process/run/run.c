/* SPDX-License-Identifier: Apache-2.0 */
/* A command is started by posix_spawn(), which does not copy our page tables. A tracer and a guard have something to do in the
 * child, and need a fork. */
#include "trace/process/run/run.h"

#include <errno.h>
#include <fcntl.h>
#include <paths.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LOOK_MS = 5 /* between two looks at a process that there was no descriptor for */ };

static int spawn(pid_t *pid, const process_options *o, char *const *argv)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    short flags = POSIX_SPAWN_SETSIGMASK;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    int error = 0;
    for (int i = 0; i < 3 && error == 0; i++) {
        if (o->fds[i] != PROCESS_INHERIT) {
            error = posix_spawn_file_actions_adddup2(&actions, o->fds[i], i);
        }
    }
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes, o->mask != NULL ? o->mask : &none);
    if (o->defaults != NULL) {
        posix_spawnattr_setsigdefault(&attributes, o->defaults);
        flags |= POSIX_SPAWN_SETSIGDEF;
    }
    if (o->own_group) {
        posix_spawnattr_setpgroup(&attributes, 0);
        flags |= POSIX_SPAWN_SETPGROUP;
    }
    posix_spawnattr_setflags(&attributes, flags);
    error = error != 0 ? error : posix_spawnp(pid, argv[0], &actions, &attributes, argv, o->environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

/* ---- where the program is ---- */

static const char *path_of(char *const *environment)
{
    static const char name[] = "PATH=";
    for (; *environment != NULL; environment++) {
        if (strncmp(*environment, name, sizeof name - 1) == 0) {
            return *environment + sizeof name - 1;
        }
    }
    return _PATH_DEFPATH;
}

static bool is_program(const char *file)
{
    struct stat info;
    return access(file, X_OK) == 0 && stat(file, &info) == 0 && S_ISREG(info.st_mode);
}

/* Where PATH has the program, on the heap; NULL: nowhere, or no memory. */
static char *find_program(const char *name, char *const *environment)
{
    if (strchr(name, '/') != NULL) {
        return strdup(name);
    }
    for (const char *path = path_of(environment); path != NULL;) {
        const char *end = strchrnul(path, ':');
        char *file = NULL;
        if (asprintf(&file, "%.*s%s%s", (int)(end - path), path, end > path ? "/" : "", name) < 0) {
            return NULL;
        }
        if (is_program(file)) {
            return file;
        }
        free(file);
        path = *end == ':' ? end + 1 : NULL;
    }
    return NULL;
}

/* ---- with a tracer or a guard ---- */

/* In the child; async-signal-safe. file: so that the search for it is not in the trace. Does not return. */
static _Noreturn void become(const process_options *o, const char *file, int report)
{
    sigset_t none;
    sigemptyset(&none);
    for (int signal = 1; o->defaults != NULL && signal < NSIG; signal++) {
        if (sigismember(o->defaults, signal) == 1) {
            (void)sigaction(signal, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
        }
    }
    bool ready = !o->own_group || setpgid(0, 0) == 0;
    for (int i = 0; i < 3 && ready; i++) {
        ready = o->fds[i] == PROCESS_INHERIT || dup2(o->fds[i], i) >= 0;
    }
    if (ready && o->guard != NULL) {
        guard_add(o->guard, getpid()); /* by the child: whoever started it may be killed at any moment */
    }
    if (ready) {
        if (o->tracer != NULL) {
            o->tracer->in_child(o->tracer->user);
        }
        (void)sigprocmask(SIG_SETMASK, o->mask != NULL ? o->mask : &none, NULL);
        (void)execvpe(file, o->argv, o->environment);
    }
    const int error = errno;
    (void)!write(report, &error, sizeof error);
    _exit(127);
}

/* The errno value of a child that did not become the command, 0 of one that did. */
static int read_report(int fd)
{
    int error = 0;
    ssize_t n;
    while ((n = read(fd, &error, sizeof error)) < 0 && errno == EINTR) {
    }
    return n == (ssize_t)sizeof error ? error : 0;
}

/* A process that has failed to become the command. */
static void reap(process *p)
{
    int status;
    if (p->tracer != NULL) {
        (void)p->tracer->wait(p->tracer->user, -1, &status);
        return;
    }
    while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR) {
    }
}

static int start_forked(process *p, const process_options *o)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return errno;
    }
    char *file = find_program(o->argv[0], o->environment);
    p->pid = fork();
    if (p->pid == 0) {
        become(o, file != NULL ? file : o->argv[0], ends[1]);
    }
    int error = p->pid < 0 ? errno : 0;
    free(file);
    close(ends[1]);
    if (error == 0) {
        p->tracer = o->tracer != NULL && o->tracer->started(o->tracer->user, p->pid) == 0 ? o->tracer : NULL;
        error = read_report(ends[0]);
        if (error != 0) {
            if (o->guard != NULL) {
                guard_remove(o->guard, p->pid);
            }
            reap(p);
        }
    }
    close(ends[0]);
    return error;
}

/* ---- scripts without a first line that names their shell ---- */

static int spawn_script(pid_t *pid, const process_options *o)
{
    size_t count = 1;
    while (o->argv[count] != NULL) {
        count++;
    }
    char *file = find_program(o->argv[0], o->environment);
    char **argv = file != NULL ? calloc(count + 2, sizeof *argv) : NULL;
    int error = ENOMEM;
    if (argv != NULL) {
        char shell[] = _PATH_BSHELL;
        argv[0] = shell;
        argv[1] = file;
        memcpy(argv + 2, o->argv + 1, (count - 1) * sizeof *argv);
        error = spawn(pid, o, argv);
    }
    free(argv);
    free(file);
    return error;
}

/* ---- all of them ---- */

int process_start(process *p, const process_options *options)
{
    *p = (process){.pid = -1, .fd = -1};
    int error;
    if (options->argv[0] == NULL) {
        return EINVAL;
    }
    if (options->tracer != NULL || options->guard != NULL) {
        error = start_forked(p, options);
    } else {
        error = spawn(&p->pid, options, options->argv);
        error = error == ENOEXEC ? spawn_script(&p->pid, options) : error;
    }
    if (error == 0) {
        p->fd = p->tracer != NULL ? p->tracer->fd(p->tracer->user) : pidfd_open(p->pid, 0);
    }
    return error;
}

/* One look. *stopped: see process_wait(). */
static bool has_ended(const process *p, int *status, int *stopped)
{
    int seen;
    pid_t pid;
    while ((pid = waitpid(p->pid, &seen, WNOHANG | (stopped != NULL ? WUNTRACED : 0))) == p->pid && WIFSTOPPED(seen)) {
        if (stopped != NULL) {
            *stopped = WSTOPSIG(seen);
        }
    }
    if (pid == 0 || (pid < 0 && errno == EINTR)) {
        return false;
    }
    *status = pid == p->pid ? seen : 0; /* ECHILD: somebody else has taken its status */
    return true;
}

bool process_wait(process *p, int timeout_ms, int *status, int *stopped)
{
    if (p->tracer != NULL) {
        return p->tracer->wait(p->tracer->user, timeout_ms, status) != 0;
    }
    for (;;) {
        if (has_ended(p, status, stopped)) {
            return true;
        }
        if (timeout_ms == 0) {
            return false;
        }
        const int slice = p->fd >= 0 ? timeout_ms : timeout_ms > 0 && timeout_ms < LOOK_MS ? timeout_ms : LOOK_MS;
        (void)poll(&(struct pollfd){p->fd, POLLIN, 0}, 1, slice);
        timeout_ms = timeout_ms < 0 ? timeout_ms : timeout_ms - slice;
    }
}

void process_close(process *p)
{
    if (p->fd >= 0 && p->tracer == NULL) {
        close(p->fd);
    }
    p->fd = -1;
}

int process_exit_code(int status)
{
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
