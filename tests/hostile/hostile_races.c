/* SPDX-License-Identifier: Apache-2.0 */
/* hostile_races MODE URL: one interleaving that a scheduler may choose, made certain. pthread_cond_timedwait(), write() and
 * free() are wrapped by the linker; what the wrappers do is allowed to the real ones: to take long, and to wake for nothing.
 *   wait_connected, flush, emit   another thread closes the agent meanwhile
 *   run                           the same of loom_agent_run()
 *   signal                        a signal handler that is slow to write, while loom_agent_run_until_signal() returns
 * Prints "safe", or what went wrong. */
#include <loom/loom.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LONG_MS = 400, NAP_MS = 2 };

static struct {
    loom_agent *agent;
    _Atomic(void *) memory;  /* the agent's; free() looks from every thread */
    const char *mode;
    atomic_bool asleep;      /* the waiting thread is between its waking and the lock */
    atomic_bool freed;       /* the agent's memory */
    atomic_bool closed;      /* loom_agent_close() has returned */
    atomic_bool left;        /* the other thread's function has returned */
    atomic_bool in_handler;  /* the signal handler is about to write */
    atomic_bool reused;      /* its descriptor is a file of ours now */
    int file;
} shared;

static _Thread_local bool slow_to_wake, slow_to_write;

int __real_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *lock, const struct timespec *until);
int __wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *lock, const struct timespec *until);
ssize_t __real_write(int fd, const void *data, size_t len);
ssize_t __wrap_write(int fd, const void *data, size_t len);
void __real_free(void *p);
void __wrap_free(void *p);

static void nap(void)
{
    nanosleep(&(struct timespec){0, NAP_MS * 1000000}, NULL);
}

/* Waits for what may never come. */
static bool wait_for(atomic_bool *flag)
{
    for (int i = 0; i < LONG_MS / NAP_MS && !atomic_load(flag); i++) {
        nap();
    }
    return atomic_load(flag);
}

static void end(const char *what)
{
    puts(what);
    fflush(stdout);
    _exit(0);
}

int __wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *lock, const struct timespec *until)
{
    if (!slow_to_wake) {
        return __real_pthread_cond_timedwait(cond, lock, until);
    }
    pthread_mutex_unlock(lock);
    atomic_store(&shared.asleep, true);
    (void)wait_for(&shared.closed);
    if (atomic_load(&shared.freed)) {
        end("the lock that the waiting thread has to take is in freed memory");
    }
    pthread_mutex_lock(lock);
    return 0;
}

ssize_t __wrap_write(int fd, const void *data, size_t len)
{
    if (slow_to_write) {
        atomic_store(&shared.in_handler, true);
        (void)wait_for(&shared.reused);
    }
    return __real_write(fd, data, len);
}

void __wrap_free(void *p)
{
    if (p != NULL && p == atomic_load(&shared.memory)) {
        atomic_store(&shared.freed, true);
    }
    __real_free(p);
}

/* ---- an agent that is closed while another thread is in one of its functions ---- */

static loom_status enter(const char *mode)
{
    static const uint8_t large[4096];
    if (strcmp(mode, "wait_connected") == 0) {
        return loom_agent_wait_connected(shared.agent, 5000);
    }
    if (strcmp(mode, "run") == 0) {
        return loom_agent_run(shared.agent);
    }
    if (strcmp(mode, "flush") == 0) {
        return loom_agent_flush(shared.agent, 5000);
    }
    loom_status st = LOOM_OK; /* emit, until it has to wait for room */
    for (int i = 0; i < 100 && st == LOOM_OK; i++) {
        st = loom_agent_emit(shared.agent, "a.b", (loom_bytes){large, sizeof large}, NULL);
    }
    return st;
}

static void *waiting_thread(void *unused)
{
    slow_to_wake = strcmp(shared.mode, "run") != 0;
    (void)enter(shared.mode);
    atomic_store(&shared.left, true);
    return unused;
}

static void close_meanwhile(void)
{
    pthread_t thread;
    if (strcmp(shared.mode, "flush") == 0 && loom_agent_emit_text(shared.agent, "a.b", "x", NULL) != LOOM_OK) {
        end("emit failed");
    }
    if (pthread_create(&thread, NULL, waiting_thread, NULL) != 0) {
        end("no thread");
    }
    if (strcmp(shared.mode, "run") == 0) {
        for (int i = 0; i < 25; i++) {
            nap();
        }
    } else if (!wait_for(&shared.asleep)) {
        end("nothing waits");
    }
    (void)loom_agent_close_within(shared.agent, 10);
    atomic_store(&shared.closed, true);
    end(wait_for(&shared.left) ? "safe" : "the agent is freed, and the other thread is still inside");
}

/* ---- a signal ---- */

static void *running_thread(void *path)
{
    (void)loom_agent_run_until_signal(shared.agent);
    shared.file = open(path, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600); /* the lowest number that is free */
    atomic_store(&shared.reused, true);
    return NULL;
}

static void *stopping_thread(void *unused)
{
    (void)wait_for(&shared.in_handler);
    loom_agent_stop(shared.agent);
    return unused;
}

static void be_slow_to_write(void)
{
    char path[] = "/tmp/loom-hostile-XXXXXX";
    pthread_t running, stopping;
    sigset_t term;
    struct stat st = {0};
    int fd = mkstemp(path);
    close(fd);
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &term, NULL);
    if (pthread_create(&running, NULL, running_thread, path) != 0 || pthread_create(&stopping, NULL, stopping_thread, NULL) != 0) {
        end("no thread");
    }
    struct sigaction now = {.sa_handler = SIG_DFL};
    for (int i = 0; i < 500 && now.sa_handler == SIG_DFL; i++) {
        nap(); /* until the handler is there */
        sigaction(SIGTERM, NULL, &now);
    }
    slow_to_write = true;
    kill(getpid(), SIGTERM);
    pthread_sigmask(SIG_UNBLOCK, &term, NULL); /* handled here, and now */
    slow_to_write = false;
    pthread_join(running, NULL);
    pthread_join(stopping, NULL);
    fstat(shared.file, &st);
    unlink(path);
    end(st.st_size == 0 ? "safe" : "the handler wrote into a file that was opened since");
}

int main(int argc, char *argv[])
{
    if (argc != 3) {
        return 2;
    }
    shared.mode = argv[1];
    loom_agent_options options = {.id = "racing", .url = argv[2], .send_buffer_bytes = 16384, .emit_timeout_ms = 5000};
    if (loom_agent_open(&shared.agent, &options) != LOOM_OK) {
        return 1;
    }
    atomic_store(&shared.memory, shared.agent);
    if (strcmp(shared.mode, "signal") == 0) {
        be_slow_to_write();
    } else {
        if (strcmp(shared.mode, "emit") == 0 && loom_agent_wait_connected(shared.agent, 5000) != LOOM_OK) {
            return 1;
        }
        close_meanwhile();
    }
}
