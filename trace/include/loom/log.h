/* SPDX-License-Identifier: Apache-2.0 */
/* A structured logger whose records name the span they were written in.
 *
 *     loom_logger *log;
 *     loom_logger_create(&log, NULL);                                  JSON on standard error, OTEL_LOG_LEVEL
 *     loom_log(log, LOOM_SEVERITY_WARN, "cache is cold", attrs, 2);    with the ids of the current span
 *
 * A record is one line:
 *     {"time":"2026-01-02T03:04:05.678901Z","level":"warn","severity_number":13,"service":"shop",
 *      "trace_id":"…","span_id":"…","trace_flags":"01","message":"cache is cold","attributes":{"shard":3,"ratio":0.5}}
 * or as text:
 *     2026-01-02T03:04:05.678901Z WARN  shop: cache is cold trace_id=… span_id=… trace_flags=01 shard=3 ratio=0.5
 *
 * Values are escaped, so none of them can begin a line or a field; a name that the record has itself (trace_id, level …)
 * stays inside "attributes", or stands as attributes.trace_id= in text. Numbers are the same in every locale.
 *
 * One record is one write(2) of at most LOOM_LOG_LINE_MAX bytes, which neither a pipe nor a file takes in pieces: lines of
 * several threads and processes never mix. When nobody reads, the first record waits for wait_ms and those behind it not at
 * all; what found no room is counted, and told by a record of its own once there is room again.
 *
 * Threads: any, at once, with no lock. The child of a fork() may go on using a logger. Logging leaves errno alone and
 * raises no SIGPIPE. A NULL logger writes nothing. */
#ifndef LOOM_LOG_H
#define LOOM_LOG_H

#include <loom/trace.h>

LOOM_BEGIN_DECLS

#define LOOM_LOG_LINE_MAX 4096 /* bytes with the newline: PIPE_BUF; longer records are cut and say "cut":true */

/* OpenTelemetry's SeverityNumber. The numbers between are finer steps of the same: 10 is "info2" (Logs Data Model). */
typedef enum loom_severity {
    LOOM_SEVERITY_TRACE = 1,
    LOOM_SEVERITY_DEBUG = 5,
    LOOM_SEVERITY_INFO = 9,
    LOOM_SEVERITY_WARN = 13,
    LOOM_SEVERITY_ERROR = 17,
    LOOM_SEVERITY_FATAL = 21,
    LOOM_SEVERITY_OFF = 25 /* as a minimum: nothing is written */
} loom_severity;

/* "trace", "debug", "info", "warn" or "warning", "error", "fatal", "all", "none" or "off", in any letter case.
 * False, and *out unchanged, for anything else. */
LOOM_API bool loom_severity_parse(loom_severity *out, loom_str text);
/* "info", "info2", …; a number outside 1 to 24 is "unknown". Static storage. */
LOOM_API const char *loom_severity_name(loom_severity severity);
/* OTEL_LOG_LEVEL; info when it is not set or makes no sense. */
LOOM_API loom_severity loom_severity_from_env(void);

typedef enum loom_log_format { LOOM_LOG_JSON, LOOM_LOG_TEXT } loom_log_format;

typedef struct loom_logger_options {
    int fd;                   /* 0: standard error. Never closed by the logger */
    const char *path;         /* a file to append to, instead of fd; made when it is not there. A FIFO needs a reader */
    loom_log_format format;
    loom_severity minimum;    /* 0: loom_severity_from_env() */
    const char *service_name; /* as of loom_tracer_provider_service_name(); NULL: OTEL_SERVICE_NAME, or none */
    bool nanoseconds;         /* in times; else microseconds */
    uint32_t wait_ms;         /* for a reader that stalls, once until it reads again; 0: 50 */
} loom_logger_options;

typedef struct loom_logger loom_logger; /* reference counted */

/* options NULL: all defaults. LOOM_EINVAL: a descriptor that is not open, a minimum that is no severity.
 * LOOM_EIO: the file cannot be opened (errno says why).  LOOM_ENOMEM. */
LOOM_API LOOM_MUST_CHECK loom_status loom_logger_create(loom_logger **out, const loom_logger_options *options);
LOOM_API loom_logger *loom_logger_ref(loom_logger *logger); /* returns logger; NULL is allowed */
LOOM_API void loom_logger_unref(loom_logger *logger);       /* NULL is allowed */
LOOM_API void loom_logger_set_minimum(loom_logger *logger, loom_severity minimum);
/* Whether such a record would be written: for values that cost something to compute. */
LOOM_API bool loom_logger_enabled(const loom_logger *logger, loom_severity severity);

/* A record of the current span or context of this thread. body is UTF-8; bytes that are not become U+FFFD. Of two attributes
 * with one key the last counts; more than 128 are cut. */
LOOM_API void loom_log(loom_logger *logger, loom_severity severity, const char *body, const loom_attr *attrs,
                       size_t attr_count);
/* The same of a given context, such as loom_span_context()'s; NULL or an invalid one: of none. */
LOOM_API void loom_log_in(loom_logger *logger, loom_severity severity, const loom_trace_context *context, const char *body,
                          const loom_attr *attrs, size_t attr_count);
/* The body as printf() makes it, but for a decimal point that is always one. No attributes. */
LOOM_API void loom_logf(loom_logger *logger, loom_severity severity, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

typedef struct loom_logger_counts {
    uint64_t written;
    uint64_t cut;     /* of those written */
    uint64_t dropped; /* nobody read, the disk is full, the reader has gone */
} loom_logger_counts;
LOOM_API loom_logger_counts loom_logger_get_counts(const loom_logger *logger);

/* ---- finished spans ---- */

/* Spans as records, written when their batch is exported. LOOM_LOG_SPANS, or log_spans of loom_span_processor_options, says
 * which, in a list:
 *     all          every span: at info; one that failed (status ERROR) at error
 *     slow:100ms   those that took so long or longer: at warn (ns, us, ms, s, m, h); and those that failed
 *     errors       those that failed
 *     attr:KEY     with attribute KEY of the span, up to 32 of them; attr:* with all
 *     json, text   the form
 * Each is a line with the time the span ended, which grep finds by its trace id:
 *     {"time":"…","level":"warn","severity_number":13,"service":"backend","trace_id":"…","span_id":"…","trace_flags":"01",
 *      "message":"span completed","parent_id":"…","operation":"CreateProcess","kind":"SERVER","duration_ms":145.200000,
 *      "status_code":"ERROR","status_message":"no such image","attributes":{"tenant_id":"acme"}}
 * A span_logger leaves out what is below its minimum; OTEL_LOG_LEVEL does not silence the records. Spans that are not sampled are not logged. */

/* Whether text is such a list. If not, *bad is the first item that is wrong, or all of a text that names no spans. */
LOOM_API bool loom_log_spans_valid(loom_str text, loom_str *bad);

LOOM_END_DECLS
#endif
