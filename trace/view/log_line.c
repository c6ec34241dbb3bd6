/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/view/log_line.h"

#include "base/str.h"
#include "trace/view/text.h"

enum { TEXT_MAX = 512, SEVERITY_MAX = 16, SEVERITY_ERROR = 17 }; /* columns; OTLP's numbers have four to a word */

static loom_str severity_of(const log_record *log)
{
    static const char *const words[] = {"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"};
    const uint32_t word = log->severity > 0 ? (log->severity - 1) / 4 : UINT32_MAX;
    if (log->severity_text.len > 0) {
        return log->severity_text;
    }
    return word < sizeof words / sizeof words[0] ? str_of(words[word]) : str_of("LOG");
}

static bool put_attr(void *user, otlp_attr attr)
{
    FILE *out = user;
    fputc(' ', out);
    text_put(out, attr.key, TEXT_MAX);
    fputc('=', out);
    text_put_value(out, attr.value);
    return true;
}

void log_line_put(FILE *out, const log_record *log, uint64_t start_unix_ns)
{
    char at[TEXT_DURATION_SIZE];
    text_put(out, severity_of(log), SEVERITY_MAX);
    if (log->event.len > 0) {
        fputc(' ', out);
        text_put(out, log->event, TEXT_MAX);
    }
    const otlp_any body = otlp_read_any(log->body);
    if (log->body.len > 0) {
        fputc(' ', out);
        if (body.type == OTLP_ANY_STRING) {
            text_put(out, (loom_str){(const char *)body.bytes.data, body.bytes.len}, TEXT_MAX);
        } else {
            text_put_value(out, log->body);
        }
    }
    log_read_attrs(log->record, put_attr, out);
    text_duration(at, log->time_unix_ns > start_unix_ns ? log->time_unix_ns - start_unix_ns : 0);
    fprintf(out, " at %s", at);
}

bool log_line_is_bad(const log_record *log)
{
    return log->severity >= SEVERITY_ERROR;
}
