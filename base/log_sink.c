/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log_sink.h"

#include <inttypes.h>
#include <stddef.h>

enum { SECOND_MS = 1000 };

void log_to_v(const log_sink *sink, log_level level, const char *format, va_list args)
{
    if (sink->write != NULL) {
        sink->write(sink->user, level, format, args);
    }
}

void log_to(const log_sink *sink, log_level level, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_to_v(sink, level, format, args);
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
    log_to_v(sink, level, format, args);
    va_end(args);
    if (suppressed > 0) {
        log_to(sink, level, "suppressed similar messages count=%" PRIu64, suppressed);
    }
}
