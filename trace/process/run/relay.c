/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/process/run/relay.h"

#include "base/clock.h"
#include "base/thread.h"
#include "trace/process/run/run.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

enum { READ_SIZE = 256 * 1024, IDLE_MS = 40, TERMINAL_REST = 64 * 1024 /* bytes, more than a terminal holds */, LAST_MS = 1000 };
#define GUARD_AFTER_NS 20000000u /* short commands end before, and are spared the fork */

struct relay {
    relay_filter filter;
    int in;          /* our end */
    int theirs;      /* the command's; -1 once it runs */
    int ended;       /* an eventfd: the command has ended */
    int done;        /* an eventfd: the thread has ended */
    bool terminal;
    bool both;       /* standard output as well */
    bool running;    /* the thread */
    atomic_bool gone; /* nobody reads our standard error any more */
    bool writers;    /* the command has ended, and others still hold its stream. Written by the thread, read when it has ended */
    _Atomic pid_t guardian; /* -1: none. Written by the thread, and when that has ended */
    pthread_t thread;
    uint8_t buffer[READ_SIZE];
};

/* ---- opening ---- */

/* Without output processing: what is written passes as it is, and the real terminal does what terminals do. */
static int open_terminal(relay *r)
{
    struct termios modes;
    struct winsize size = {0};
    if (tcgetattr(STDERR_FILENO, &modes) != 0) {
        return errno;
    }
    modes.c_oflag &= ~(tcflag_t)OPOST;
    modes.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
    (void)ioctl(STDERR_FILENO, TIOCGWINSZ, &size);
    if (openpty(&r->in, &r->theirs, NULL, &modes, &size) != 0) {
        return errno;
    }
    (void)fcntl(r->in, F_SETFD, FD_CLOEXEC);
    (void)fcntl(r->theirs, F_SETFD, FD_CLOEXEC);
    return 0;
}

static int open_pipe(relay *r)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return errno;
    }
    r->in = ends[0];
    r->theirs = ends[1];
    (void)fcntl(r->in, F_SETPIPE_SZ, READ_SIZE); /* fewer turns; without it does as well */
    return 0;
}

/* Whether what is written to either comes out of one: a pipe or socket by its number, a file if it has one position. */
static bool are_one_stream(void)
{
    struct stat out, err;
    if (fstat(STDOUT_FILENO, &out) != 0 || fstat(STDERR_FILENO, &err) != 0 || out.st_dev != err.st_dev || out.st_ino != err.st_ino) {
        return false;
    }
    if (S_ISFIFO(out.st_mode) || S_ISSOCK(out.st_mode)) {
        return true;
    }
    const pid_t self = getpid();
    return S_ISREG(out.st_mode) && syscall(SYS_kcmp, self, self, KCMP_FILE, STDOUT_FILENO, STDERR_FILENO) == 0;
}

int relay_open(relay **out)
{
    *out = NULL;
    if (fcntl(STDERR_FILENO, F_GETFL) < 0) {
        return errno; /* closed: nothing can be passed on */
    }
    relay *r = calloc(1, sizeof *r); /* pages that are never read into need not be touched */
    if (r == NULL) {
        return ENOMEM;
    }
    r->in = r->theirs = -1;
    r->guardian = -1;
    r->terminal = isatty(STDERR_FILENO) == 1;
    r->ended = eventfd(0, EFD_CLOEXEC);
    r->done = eventfd(0, EFD_CLOEXEC);
    const int error = r->ended < 0 || r->done < 0 ? errno : r->terminal ? open_terminal(r) : open_pipe(r);
    if (error != 0) {
        relay_close(r);
        return error;
    }
    r->both = !r->terminal && are_one_stream();
    (void)fcntl(r->in, F_SETFL, O_NONBLOCK);
    *out = r;
    return 0;
}

int relay_stdout(const relay *r)
{
    return r->both ? r->theirs : PROCESS_INHERIT;
}

int relay_stderr(const relay *r)
{
    return r->theirs;
}

void relay_resize(relay *r)
{
    struct winsize size;
    if (r->terminal && ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0) {
        (void)ioctl(r->in, TIOCSWINSZ, &size);
    }
}

/* ---- copying ---- */

void relay_write(relay *r, loom_bytes bytes)
{
    while (bytes.len > 0 && !atomic_load_explicit(&r->gone, memory_order_relaxed)) {
        const ssize_t n = write(STDERR_FILENO, bytes.data, bytes.len);
        if (n >= 0) {
            bytes.data += n;
            bytes.len -= (size_t)n;
        } else if (errno == EAGAIN) {
            (void)poll(&(struct pollfd){STDERR_FILENO, POLLOUT, 0}, 1, -1);
        } else if (errno == EPIPE) {
            atomic_store_explicit(&r->gone, true, memory_order_relaxed);
        } else if (errno != EINTR) {
            return; /* a full disk: lost, as the command would have lost it */
        }
    }
}

/* Whether there may be more. A reader that has gone ends it: the command then learns from its own write. */
static bool copy_some(relay *r, size_t most, size_t *copied)
{
    const ssize_t n = read(r->in, r->buffer, most < READ_SIZE ? most : READ_SIZE);
    *copied = n > 0 ? (size_t)n : 0;
    if (n > 0) {
        r->filter.feed(r->filter.user, (loom_bytes){r->buffer, (size_t)n});
        return !atomic_load_explicit(&r->gone, memory_order_relaxed);
    }
    return n < 0 && (errno == EAGAIN || errno == EINTR);
}

/* What the command has left in its stream, and no more, since others may be writing there without end. */
static void copy_rest(relay *r)
{
    int left = 0;
    if (r->terminal || ioctl(r->in, FIONREAD, &left) != 0) {
        left = TERMINAL_REST;
    }
    struct pollfd in = {r->in, POLLIN, 0};
    bool open = true;
    size_t copied;
    while (open && left > 0 && poll(&in, 1, 0) > 0 && (in.revents & (POLLIN | POLLHUP)) != 0) {
        open = copy_some(r, (size_t)left, &copied);
        left -= (int)copied;
    }
    r->writers = open && (poll(&in, 1, 0) == 0 || (in.revents & POLLHUP) == 0);
}

static void ring(int bell)
{
    const uint64_t one = 1;
    (void)!write(bell, &one, sizeof one);
}

/* ---- processes of our own ---- */

/* The process that was forked has nothing of ours but the two ends, and `more` (-1: nothing) in the place of standard output. */
static void become_relay(relay *r, int more)
{
    (void)setsid(); /* what the terminal sends is not for it */
    (void)prctl(PR_SET_NAME, "relay"); /* nor what is sent to all of our name */
    for (int number = 1; number < NSIG; number++) {
        (void)signal(number, number == SIGKILL || number == SIGSTOP ? SIG_DFL : SIG_IGN);
    }
    if (dup2(r->in, STDIN_FILENO) < 0 || (more >= 0 && dup2(more, STDOUT_FILENO) < 0)) {
        _exit(1);
    }
    r->in = STDIN_FILENO;
    if (more < 0) {
        close(STDOUT_FILENO);
    }
    (void)close_range(STDERR_FILENO + 1, ~0u, 0);
    r->filter.mute(r->filter.user);
}

/* Passes on what is written, until nobody writes or nobody reads any more. */
static _Noreturn void pass_on(relay *r)
{
    struct pollfd in = {r->in, POLLIN, 0};
    size_t copied;
    for (bool open = true; open;) {
        const int ready = poll(&in, 1, r->filter.waits(r->filter.user) ? IDLE_MS : -1);
        if (ready == 0) {
            r->filter.idle(r->filter.user);
        } else {
            open = copy_some(r, READ_SIZE, &copied);
        }
    }
    r->filter.end(r->filter.user);
    _exit(0);
}

/* Somebody may kill us by SIGKILL, and the command would die of SIGPIPE at its next line. So another process has our end as
 * well. It reads nothing while we live, and then goes on, without what we had of an unfinished line. */
static void post_guardian(relay *r)
{
    const int us = pidfd_open(getpid(), 0);
    if (us < 0) {
        return;
    }
    const pid_t pid = fork();
    if (pid == 0) {
        become_relay(r, us);
        r->filter.forget(r->filter.user);
        struct pollfd end = {STDOUT_FILENO, POLLIN, 0};
        while (poll(&end, 1, -1) <= 0) {
        }
        close(STDOUT_FILENO);
        pass_on(r);
    }
    atomic_store(&r->guardian, pid);
    close(us);
}

static void dismiss_guardian(relay *r)
{
    const pid_t pid = atomic_load(&r->guardian);
    if (pid > 0) {
        (void)kill(pid, SIGKILL);
    }
}

/* Only then may its number be somebody else's. */
static void bury_guardian(relay *r)
{
    const pid_t pid = atomic_exchange(&r->guardian, -1);
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
}

static void *run(void *user)
{
    relay *r = user;
    struct pollfd fds[2] = {{r->in, POLLIN, 0}, {r->ended, POLLIN, 0}};
    const uint64_t guard_at = clock_monotonic_ns() + GUARD_AFTER_NS;
    size_t copied;
    for (bool guarded = false;;) {
        const int ready = poll(fds, 2, !guarded || r->filter.waits(r->filter.user) ? IDLE_MS : -1);
        if (!guarded && clock_monotonic_ns() >= guard_at && fds[1].revents == 0) {
            post_guardian(r);
            guarded = true;
        }
        if (ready == 0) {
            r->filter.idle(r->filter.user);
        } else if (ready > 0 && fds[1].revents != 0) {
            copy_rest(r);
            break;
        } else if (ready > 0 && !copy_some(r, READ_SIZE, &copied)) {
            break;
        }
    }
    if (atomic_load(&r->gone)) { /* the command's next write fails, or kills it, as it would without us */
        dismiss_guardian(r);
        close(r->in);
        r->in = -1;
    }
    ring(r->done);
    return NULL;
}

int relay_start(relay *r, const relay_filter *filter)
{
    r->filter = *filter;
    const int error = thread_start(&r->thread, NULL, run, r);
    r->running = error == 0;
    return error;
}

void relay_handed_over(relay *r)
{
    if (r->theirs >= 0) {
        close(r->theirs);
        r->theirs = -1;
    }
}

/* ---- the end ---- */

/* Others still write. Twice forked, so that it is no child of ours. */
static void leave_behind(relay *r)
{
    const pid_t pid = fork();
    if (pid == 0) {
        if (fork() == 0) {
            become_relay(r, -1);
            pass_on(r);
        }
        _exit(0);
    }
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
}

/* false: whoever reads our standard error has stopped, and we have been told to end. */
static bool wait_for_thread(relay *r, int interrupt)
{
    struct pollfd fds[2] = {{r->done, POLLIN, 0}, {interrupt, POLLIN, 0}};
    while (poll(fds, 2, -1) < 0 && errno == EINTR) {
    }
    return fds[0].revents != 0 || poll(fds, 1, LAST_MS) > 0;
}

bool relay_finish(relay *r, int interrupt)
{
    if (!r->running) {
        return true;
    }
    dismiss_guardian(r);
    ring(r->ended);
    if (!wait_for_thread(r, interrupt)) {
        (void)pthread_detach(r->thread);
        return false;
    }
    (void)pthread_join(r->thread, NULL);
    r->running = false;
    dismiss_guardian(r); /* it may have been posted meanwhile */
    bury_guardian(r);
    if (r->writers) {
        leave_behind(r);
    } else {
        r->filter.end(r->filter.user);
    }
    return true;
}

void relay_close(relay *r)
{
    if (r == NULL) {
        return;
    }
    const int fds[] = {r->in, r->theirs, r->ended, r->done};
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
    free(r);
}
