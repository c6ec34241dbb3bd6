/* SPDX-License-Identifier: Apache-2.0 */
/* Where code without a log of its own puts its lines: a callback of its user's, who has one.
 *
 * Threads: the caller's; the callback runs in the call. */
#ifndef LOOM_BASE_LOG_SINK_H
#define LOOM_BASE_LOG_SINK_H

#include <stdarg.h>
#include <stdint.h>

#include "base/log_level.h"
#include "base/rate_limit.h"

typedef struct log_sink {
    /* The format and its values, not the finished line: a log of fields tells key=%s from text that looks like it. NULL: the
     * lines go nowhere. */
    void (*write)(void *user, log_level level, const char *format, va_list args);
    void *user;
} log_sink;

void log_to(const log_sink *sink, log_level level, const char *format, ...) __attribute__((format(printf, 3, 4)));
void log_to_v(const log_sink *sink, log_level level, const char *format, va_list args) __attribute__((format(printf, 3, 0)));

/* For lines of one kind that somebody outside could cause at will. At most so many lines a second (now_ms is any monotonic
 * clock's); the next line that is written is followed by how many were not. */
void log_to_limited(const log_sink *sink, rate_limit *limit, unsigned lines_a_second, uint64_t now_ms, log_level level,
                    const char *format, ...) __attribute__((format(printf, 6, 7)));

#endif
