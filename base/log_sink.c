/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log_sink.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

enum { SECOND_MS = 1000 };

static void write_line(const log_sink *sink, log_level level, const char *format, va_list args)
{
    char line[LOG_SINK_LINE_MAX];
    vsnprintf(line, sizeof line, format, args);
    sink->write(sink->user, level, line);
}

void log_to(const log_sink *sink, log_level level, const char *format, ...)
{
    va_list args;
    if (sink->write == NULL) {
        return;
    }
    va_start(args, format);
    write_line(sink, level, format, args);
    va_end(args);
}

static bool may_write(log_limit *limit, unsigned lines_a_second, uint64_t now_ms)
{
    if (limit->lines == 0 || now_ms - limit->since_ms >= SECOND_MS) {
        limit->since_ms = now_ms;
        limit->lines = 0;
    }
    if (limit->lines == lines_a_second) {
        limit->suppressed++;
        return false;
    }
    limit->lines++;
    return true;
}

void log_to_limited(const log_sink *sink, log_limit *limit, unsigned lines_a_second, uint64_t now_ms, log_level level,
                    const char *format, ...)
{
    va_list args;
    if (sink->write == NULL || !may_write(limit, lines_a_second, now_ms)) {
        return;
    }
    va_start(args, format);
    write_line(sink, level, format, args);
    va_end(args);
    if (limit->suppressed > 0) {
        log_to(sink, level, "suppressed similar messages count=%" PRIu64, limit->suppressed);
        limit->suppressed = 0;
    }
}
