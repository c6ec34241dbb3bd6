/* SPDX-License-Identifier: Apache-2.0 */
/* The log of a process: lines of text or JSON, written by a thread of its own.
 *
 * A caller formats its line, copies it into a bounded ring and goes on: a reader that stalls (a full pipe, a stopped
 * terminal) delays nobody. What finds no room is counted and told as soon as lines flow again.
 *
 * The format is printf's, and the compiler checks it. Words like "agent=%s" become fields, the rest is the message:
 *     log_info(l, "agent connected agent=%s url=tcp://%s:%d", id, host, port);
 * gives, as text and as JSON,
 *     2026-01-02T03:04:05.678Z INFO  loom-broker: agent connected agent=sensor url=tcp://127.0.0.1:7700
 *     {"time":"…","level":"info","service":"loom-broker","message":"agent connected","agent":"sensor","url":"tcp:…"}
 * A field of exactly one number stays a number in JSON. Values are quoted where they need it, so that no input can
 * forge a line. Known conversions: d i u x X o c s p e f g %, with the usual flags, widths, precisions and lengths.
 *
 * Threads: any, at once. A NULL logger is allowed everywhere and writes nothing. */
#ifndef LOOM_HOST_LOG_LOG_H
#define LOOM_HOST_LOG_LOG_H

#include <loom/status.h>
#include <stdarg.h>

#include "base/log_level.h"

#define LOG_LINE_MAX 2048                /* bytes with the newline; longer lines are cut and end in "..." */
#define LOG_RING_DEFAULT (256 * 1024)    /* bytes waiting at most */

/* Not called `log`, which is a function of the C library. */
typedef struct logger logger;

typedef struct logger_options {
    int fd;              /* not closed by the log */
    const char *path;    /* a file to append to instead, copied; NULL: none */
    log_level level;
    bool json;
    bool color;          /* text only */
    bool priority;       /* <N> in front of each line, and no time: for a reader that notes it itself */
    const char *journal; /* socket of the journal, borrowed: records with fields go there, and what it does not take to fd; NULL: none */
    const char *service; /* copied; NULL: none is written */
    size_t ring_bytes;   /* 0: LOG_RING_DEFAULT; at least LOG_LINE_MAX */
} logger_options;

/* LOOM_ENOMEM, LOOM_EIO when no thread can be had, LOOM_ENOTFOUND when path cannot be opened (errno says why). */
LOOM_MUST_CHECK loom_status logger_open(logger **out, const logger_options *options);
/* Stops within about timeout_ms: writes what it can, gives up the rest. Returns how many lines were lost in all.
 * No other thread may use the log any more. */
uint64_t logger_close(logger *l, uint32_t timeout_ms);
/* Waits until everything logged before is written. LOOM_ETIMEDOUT. */
loom_status logger_flush(logger *l, uint32_t timeout_ms);
/* Opens the file at path anew, once what was logged before is written: after it was renamed, lines go into a new one. When
 * that fails the old one stays, and a line in it says so. False: there is no file. Any thread; does not wait. */
bool logger_reopen(logger *l);
void logger_set_level(logger *l, log_level level);
/* Whether such a line would be written: for values that cost something to compute. */
bool logger_enabled(const logger *l, log_level level);
/* Lines lost so far because the ring was full or the descriptor failed. */
uint64_t logger_dropped(logger *l);

/* "error", "warn", "info", "debug". False, and *out unchanged, for anything else. */
bool log_level_parse(log_level *out, const char *text);
const char *log_level_name(log_level level);

void log_write(logger *l, log_level level, const char *format, ...) __attribute__((format(printf, 3, 4)));
void log_vwrite(logger *l, log_level level, const char *format, va_list args) __attribute__((format(printf, 3, 0)));
#define log_error(l, ...) log_write((l), LOG_ERROR, __VA_ARGS__)
#define log_warn(l, ...) log_write((l), LOG_WARN, __VA_ARGS__)
#define log_info(l, ...) log_write((l), LOG_INFO, __VA_ARGS__)
#define log_debug(l, ...) log_write((l), LOG_DEBUG, __VA_ARGS__)

#endif
