/* SPDX-License-Identifier: Apache-2.0 */
/* The ring and its writer. Callers append whole lines under the lock; the writer takes whole lines out under it and
 * writes them with no lock held. Only the writer touches the descriptor, so only the writer can be held up by it.
 *
 * Before each write it polls, in short turns, so that a close with a deadline is noticed while nobody reads. A chunk is
 * at most PIPE_BUF: what poll calls writable then takes it whole and lines of several processes stay apart. Should a
 * write block all the same (another process filled the pipe in between), close cancels the thread. */
#include "host/log/log.h"

#include "host/log/line.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/thread.h"

#define CHUNK_MAX PIPE_BUF
#define POLL_TURN_MS 50 /* how soon a stalled writer notices that the log closes */

static_assert(LOG_LINE_MAX <= CHUNK_MAX, "a chunk holds at least one line");

struct logger {
    int fd;               /* of a file: the writer's, once it runs */
    const char *journal;  /* NULL: none */
    int journal_fd;       /* the writer's */
    char *path;           /* owned; NULL: fd is somebody else's */
    log_style style; /* service is owned */
    _Atomic log_level level;
    pthread_t writer;
    pthread_mutex_t lock;
    pthread_cond_t work;    /* the ring is not empty, or closing */
    pthread_cond_t written; /* the ring is empty and nothing is being written, or the writer has ended */
    /* under lock: */
    char *ring;
    size_t size, head, used; /* head: of the oldest byte */
    uint64_t untold;         /* lines dropped since the last line that told of drops */
    uint64_t dropped;
    bool busy;               /* the writer holds a chunk */
    bool reopen;             /* the writer is to open the file anew */
    bool closing;            /* no more lines; the writer ends when the ring is empty */
    bool abandon;            /* the deadline has passed: the writer ends at once */
    bool ended;
    /* of the writer: */
    char chunk[CHUNK_MAX];
    bool torn; /* what was written last is half a line */
};

bool log_level_parse(log_level *out, const char *text)
{
    for (log_level level = LOG_ERROR; level <= LOG_DEBUG; level++) {
        if (strcmp(text, log_level_name(level)) == 0) {
            *out = level;
            return true;
        }
    }
    return false;
}

const char *log_level_name(log_level level)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    return names[level];
}

/* ---- the ring; all under lock ---- */

static void ring_put(logger *l, const char *bytes, size_t length)
{
    size_t at = (l->head + l->used) % l->size;
    size_t first = length < l->size - at ? length : l->size - at;
    memcpy(l->ring + at, bytes, first);
    memcpy(l->ring, bytes + first, length - first);
    l->used += length;
}

static char ring_at(const logger *l, size_t offset)
{
    return l->ring[(l->head + offset) % l->size];
}

/* As many whole lines as a chunk holds. */
static size_t ring_take(logger *l)
{
    size_t length = l->used < CHUNK_MAX ? l->used : CHUNK_MAX;
    while (length > 0 && ring_at(l, length - 1) != '\n') {
        length--;
    }
    size_t first = length < l->size - l->head ? length : l->size - l->head;
    memcpy(l->chunk, l->ring + l->head, first);
    memcpy(l->chunk + first, l->ring, length - first);
    l->head = (l->head + length) % l->size;
    l->used -= length;
    return length;
}

static size_t format_line(const logger *l, char line[LOG_LINE_MAX], log_level level, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static size_t format_line(const logger *l, char line[LOG_LINE_MAX], log_level level, const char *format, ...)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    va_list args;
    va_start(args, format);
    size_t length = log_line_format(line, &l->style, level, &now, format, args);
    va_end(args);
    return length;
}

/* Tells of drops where they happened: before the next line that finds room. */
static bool tell_drops(logger *l)
{
    char line[LOG_LINE_MAX];
    if (l->untold == 0) {
        return true;
    }
    size_t length = format_line(l, line, LOG_WARN, "log lines dropped, nobody read them count=%llu",
                                (unsigned long long)l->untold);
    if (length > l->size - l->used) {
        return false;
    }
    ring_put(l, line, length);
    l->untold = 0;
    return true;
}

static void count_drops(logger *l, uint64_t lines)
{
    l->untold += lines;
    l->dropped += lines;
}

/* ---- the writer ---- */

static uint64_t count_lines(const char *bytes, size_t length)
{
    uint64_t lines = 0;
    for (size_t i = 0; i < length; i++) {
        lines += bytes[i] == '\n' ? 1 : 0;
    }
    return lines;
}

static bool is_abandoned(logger *l)
{
    pthread_mutex_lock(&l->lock);
    bool abandon = l->abandon;
    pthread_mutex_unlock(&l->lock);
    return abandon;
}

static size_t write_bytes(logger *l, const char *data, size_t length)
{
    size_t done = 0;
    while (done < length && !is_abandoned(l)) {
        struct pollfd ready = {.fd = l->fd, .events = POLLOUT};
        int n = poll(&ready, 1, POLL_TURN_MS);
        if (n == 0 || (n < 0 && errno == EINTR)) {
            continue;
        }
        int unused;
        pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &unused);
        ssize_t wrote = write(l->fd, data + done, length - done);
        int error = errno;
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &unused);
        if (wrote < 0 && error != EINTR && error != EAGAIN) {
            break;
        }
        done += wrote > 0 ? (size_t)wrote : 0;
    }
    return done;
}

/* ---- the journal ---- */

static bool send_record(logger *l, const char *record, size_t length)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    char text[LOG_LINE_MAX];
    memcpy(text, record, length);
    for (char *at = text; (at = memchr(at, LOG_FIELD_END, length - (size_t)(at - text))) != NULL;) {
        *at = '\n';
    }
    snprintf(addr.sun_path, sizeof addr.sun_path, "%s", l->journal);
    for (unsigned tries = 0;; tries++) { /* by its path each time: the journal may have been restarted */
        if (sendto(l->journal_fd, text, length, MSG_NOSIGNAL | MSG_DONTWAIT, (const struct sockaddr *)&addr, sizeof addr) >= 0) {
            return true;
        }
        struct pollfd room = {.fd = l->journal_fd, .events = POLLOUT};
        if (errno != EAGAIN || tries == 20 || is_abandoned(l) || poll(&room, 1, POLL_TURN_MS) < 0) {
            return false;
        }
    }
}

/* Its message alone, with the priority in front. */
static size_t write_message(logger *l, const char *record, size_t length)
{
    static const char priority[] = "PRIORITY=", message[] = "MESSAGE=";
    char text[LOG_LINE_MAX + 8];
    const char *from = memmem(record, length, message, sizeof message - 1);
    from = from != NULL ? from + sizeof message - 1 : record;
    const char *end = memchr(from, LOG_FIELD_END, length - (size_t)(from - record));
    const size_t len = end != NULL ? (size_t)(end - from) : length - (size_t)(from - record) - 1;
    const int n = snprintf(text, sizeof text, "<%c>%.*s\n", record[sizeof priority - 1], (int)len, from);
    return write_bytes(l, text, (size_t)n) == (size_t)n ? length : 0;
}

static size_t write_records(logger *l, size_t length)
{
    size_t done = 0;
    while (done < length) {
        const size_t record = (size_t)((const char *)memchr(l->chunk + done, '\n', length - done) - l->chunk) + 1 - done;
        if (!send_record(l, l->chunk + done, record) && write_message(l, l->chunk + done, record) == 0) {
            break;
        }
        done += record;
    }
    return done;
}

/* Returns how many bytes reached the descriptor. A failing descriptor loses the chunk, not the process. After half a line,
 * as a full disk leaves it, the next begins on a line of its own. */
static size_t write_chunk(logger *l, size_t length)
{
    l->torn = l->torn && write_bytes(l, "\n", 1) == 0;
    size_t done = l->torn ? 0 : write_bytes(l, l->chunk, length);
    l->torn = l->torn || (done > 0 && l->chunk[done - 1] != '\n');
    return done;
}

static int open_file(const char *path)
{
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
}

/* Under lock, which is let go meanwhile; with nothing left in the ring. */
static void reopen(logger *l)
{
    char line[LOG_LINE_MAX], why[128];
    l->reopen = false;
    l->busy = true;
    pthread_mutex_unlock(&l->lock);
    const int fd = open_file(l->path);
    const int error = errno;
    if (fd >= 0) {
        close(l->fd);
        l->fd = fd;
        l->torn = false;
    }
    pthread_mutex_lock(&l->lock);
    l->busy = false;
    const size_t length = fd >= 0 ? 0 : format_line(l, line, LOG_ERROR, "cannot open the log file again, keeping the old one path=%s reason=%s",
                                                    l->path, strerror_r(error, why, sizeof why));
    if (length > 0 && length <= l->size - l->used) {
        ring_put(l, line, length);
    }
}

static void *run_writer(void *arg)
{
    logger *l = arg;
    int unused;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &unused);
    pthread_mutex_lock(&l->lock);
    while (!l->abandon) {
        if (l->used == 0) {
            tell_drops(l);
        }
        if (l->used == 0 && l->reopen) {
            reopen(l);
            continue;
        }
        if (l->used == 0) {
            pthread_cond_broadcast(&l->written);
            if (l->closing) {
                break;
            }
            pthread_cond_wait(&l->work, &l->lock);
            continue;
        }
        size_t length = ring_take(l);
        l->busy = true;
        pthread_mutex_unlock(&l->lock);
        size_t done = l->journal != NULL ? write_records(l, length) : write_chunk(l, length);
        pthread_mutex_lock(&l->lock);
        l->busy = false;
        if (done < length) {
            /* a dead descriptor would be told of its own drops for ever */
            l->dropped += count_lines(l->chunk + done, length - done);
        }
    }
    l->ended = true;
    pthread_cond_broadcast(&l->written);
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

/* ---- the interface ---- */

static void init_locks(logger *l)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->work, NULL);
    pthread_cond_init(&l->written, &attr);
    pthread_condattr_destroy(&attr);
}

static void free_logger(logger *l)
{
    pthread_cond_destroy(&l->written);
    pthread_cond_destroy(&l->work);
    pthread_mutex_destroy(&l->lock);
    free((char *)l->style.service);
    if (l->path != NULL && l->fd >= 0) {
        close(l->fd);
    }
    free(l->path);
    if (l->journal_fd >= 0) {
        close(l->journal_fd);
    }
    free(l->ring);
    free(l);
}

loom_status logger_open(logger **out, const logger_options *options)
{
    *out = NULL;
    logger *l = calloc(1, sizeof *l);
    if (l == NULL) {
        return LOOM_ENOMEM;
    }
    init_locks(l);
    l->fd = options->fd;
    l->style = (log_style){.json = options->json, .color = options->color && !options->json && !options->priority,
                           .priority = options->priority};
    l->journal_fd = options->journal != NULL && !options->json ? socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) : -1;
    l->journal = l->journal_fd >= 0 ? options->journal : NULL;
    l->style.journal = l->journal != NULL;
    atomic_init(&l->level, options->level);
    l->size = options->ring_bytes == 0 ? LOG_RING_DEFAULT : options->ring_bytes;
    l->size = l->size < LOG_LINE_MAX ? LOG_LINE_MAX : l->size;
    l->ring = malloc(l->size);
    loom_status st = l->ring == NULL ? LOOM_ENOMEM : LOOM_OK;
    if (st == LOOM_OK && options->service != NULL) {
        l->style.service = strndup(options->service, 64);
        st = l->style.service == NULL ? LOOM_ENOMEM : LOOM_OK;
    }
    if (st == LOOM_OK && options->path != NULL) {
        l->path = strdup(options->path);
        l->fd = l->path != NULL ? open_file(l->path) : -1;
        st = l->path == NULL ? LOOM_ENOMEM : l->fd < 0 ? LOOM_ENOTFOUND : LOOM_OK;
    }
    if (st == LOOM_OK && thread_start(&l->writer, NULL, run_writer, l) != 0) {
        st = LOOM_EIO;
    }
    if (st != LOOM_OK) {
        const int error = errno;
        free_logger(l);
        errno = error;
        return st;
    }
    *out = l;
    return LOOM_OK;
}

static struct timespec deadline_in(uint32_t timeout_ms)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += timeout_ms / 1000;
    at.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_nsec -= 1000000000;
        at.tv_sec++;
    }
    return at;
}

/* Under lock. False when the deadline passed first. */
static bool wait_until_ended(logger *l, const struct timespec *deadline)
{
    while (!l->ended) {
        if (pthread_cond_timedwait(&l->written, &l->lock, deadline) == ETIMEDOUT) {
            return l->ended;
        }
    }
    return true;
}

uint64_t logger_close(logger *l, uint32_t timeout_ms)
{
    if (l == NULL) {
        return 0;
    }
    struct timespec deadline = deadline_in(timeout_ms);
    pthread_mutex_lock(&l->lock);
    l->closing = true;
    pthread_cond_signal(&l->work);
    bool busy = false;
    if (!wait_until_ended(l, &deadline)) {
        l->abandon = true;
        deadline = deadline_in(2 * POLL_TURN_MS);
        if (!wait_until_ended(l, &deadline)) {
            busy = l->busy;
            pthread_cancel(l->writer);
        }
    }
    pthread_mutex_unlock(&l->lock);
    pthread_join(l->writer, NULL);
    if (busy && !l->ended) {
        /* cancelled inside write(): what its chunk became of is not known, so it counts as lost */
        l->dropped++;
    }
    for (size_t i = 0; i < l->used; i++) {
        l->dropped += ring_at(l, i) == '\n' ? 1 : 0;
    }
    uint64_t dropped = l->dropped;
    free_logger(l);
    return dropped;
}

loom_status logger_flush(logger *l, uint32_t timeout_ms)
{
    if (l == NULL) {
        return LOOM_OK;
    }
    struct timespec deadline = deadline_in(timeout_ms);
    loom_status st = LOOM_OK;
    pthread_mutex_lock(&l->lock);
    while ((l->used > 0 || l->busy || l->untold > 0) && st == LOOM_OK) {
        if (pthread_cond_timedwait(&l->written, &l->lock, &deadline) == ETIMEDOUT) {
            st = l->used > 0 || l->busy ? LOOM_ETIMEDOUT : LOOM_OK;
            break;
        }
    }
    pthread_mutex_unlock(&l->lock);
    return st;
}

bool logger_reopen(logger *l)
{
    if (l == NULL || l->path == NULL) {
        return false;
    }
    pthread_mutex_lock(&l->lock);
    l->reopen = true;
    pthread_cond_signal(&l->work);
    pthread_mutex_unlock(&l->lock);
    return true;
}

void logger_set_level(logger *l, log_level level)
{
    if (l != NULL) {
        atomic_store_explicit(&l->level, level, memory_order_relaxed);
    }
}

bool logger_enabled(const logger *l, log_level level)
{
    return l != NULL && level <= atomic_load_explicit(&l->level, memory_order_relaxed);
}

uint64_t logger_dropped(logger *l)
{
    if (l == NULL) {
        return 0;
    }
    pthread_mutex_lock(&l->lock);
    uint64_t dropped = l->dropped;
    pthread_mutex_unlock(&l->lock);
    return dropped;
}

void log_write(logger *l, log_level level, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_vwrite(l, level, format, args);
    va_end(args);
}

void log_vwrite(logger *l, log_level level, const char *format, va_list args)
{
    if (!logger_enabled(l, level)) {
        return;
    }
    char line[LOG_LINE_MAX];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    size_t length = log_line_format(line, &l->style, level, &now, format, args);

    pthread_mutex_lock(&l->lock);
    if (!tell_drops(l) || length > l->size - l->used) {
        count_drops(l, 1);
    } else {
        ring_put(l, line, length);
        pthread_cond_signal(&l->work);
    }
    pthread_mutex_unlock(&l->lock);
}
