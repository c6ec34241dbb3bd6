/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log_sink.h"

#include <inttypes.h>
#include <stdarg.h>
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

void log_to_limited(const log_sink *sink, rate_limit *limit, unsigned lines_a_second, uint64_t now_ms, log_level level,
                    const char *format, ...)
{
    va_list args;
    uint64_t suppressed;
    if (sink->write == NULL || !rate_limit_pass(limit, now_ms, SECOND_MS, lines_a_second, &suppressed)) {
        return;
    }
    va_start(args, format);
    write_line(sink, level, format, args);
    va_end(args);
    if (suppressed > 0) {
        log_to(sink, level, "suppressed similar messages count=%" PRIu64, suppressed);
    }
}
