/* SPDX-License-Identifier: Apache-2.0 */
/* One line of the log: a printf format with its arguments, as text or JSON. No memory, no lock, no I/O. */
#ifndef LOOM_HOST_LOG_LINE_H
#define LOOM_HOST_LOG_LINE_H

#include "host/log/log.h"

#include <stdarg.h>
#include <time.h>

#define LOG_FIELD_END '\x1e' /* in place of the newline that the journal wants, since a line ends a record of the ring */

typedef struct log_style {
    bool json;
    bool priority;       /* <N> in front, as journald and the kernel read it, instead of the time and the level */
    bool journal;        /* FIELD=value, separated by LOG_FIELD_END: a record of the journal (systemd's JOURNAL_NATIVE_PROTOCOL) */
    bool color;
    const char *service; /* NULL: none */
} log_style;

/* Writes the line with its newline, no NUL; returns its length, at most LOG_LINE_MAX. */
size_t log_line_format(char out[LOG_LINE_MAX], const log_style *style, log_level level, const struct timespec *now,
                       const char *format, va_list args);

#endif
