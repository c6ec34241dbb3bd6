/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/log/logger.h"

#include "base/clock.h"
#include "base/last_error.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WAIT_MS_DEFAULT 50u
#define LOG_OPEN_FLAGS (O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK) /* a FIFO may have no reader */
#define ATTRS_MAX 128u /* OpenTelemetry's default, as of a span */

/* ---- from create to unref ---- */

static loom_status open_output(loom_logger *l, const loom_logger_options *o)
{
    l->own_fd = -1;
    int fd = o->fd != 0 ? o->fd : STDERR_FILENO;
    if (o->path != NULL && (fd = l->own_fd = open(o->path, LOG_OPEN_FLAGS, 0644)) < 0) {
        return LOOM_EIO;
    }
    return output_init(&l->out, fd, o->wait_ms != 0 ? o->wait_ms : WAIT_MS_DEFAULT);
}

static void logger_free(loom_logger *l)
{
    const int error = errno;
    if (l->own_fd >= 0) {
        (void)close(l->own_fd);
    }
    free(l->service);
    free(l);
    errno = error;
}

static const char *service_of(const loom_logger_options *o)
{
    return o->service_name != NULL ? o->service_name : getenv("OTEL_SERVICE_NAME");
}

loom_status loom_logger_create(loom_logger **out, const loom_logger_options *options)
{
    static const loom_logger_options defaults = {.fd = STDERR_FILENO};
    const loom_logger_options *o = options != NULL ? options : &defaults;
    const loom_severity minimum = o->minimum != 0 ? o->minimum : loom_severity_from_env();
    if (out == NULL) {
        return last_error_null("the place for the logger");
    }
    *out = NULL;
    if ((!severity_valid(minimum) && minimum != LOOM_SEVERITY_OFF) ||
        (o->format != LOOM_LOG_JSON && o->format != LOOM_LOG_TEXT)) {
        return last_error(LOOM_EINVAL, "the logger's minimum is no severity, or its format neither JSON nor text");
    }
    loom_logger *l = calloc(1, sizeof *l);
    if (l == NULL) {
        return LOOM_ENOMEM;
    }
    atomic_init(&l->refs, 1);
    atomic_init(&l->minimum, (int)minimum);
    atomic_init(&l->cut, 0);
    l->format = o->format;
    l->nanoseconds = o->nanoseconds;
    loom_status st = open_output(l, o);
    const char *service = service_of(o);
    if (st == LOOM_OK && service != NULL && service[0] != '\0' && (l->service = strdup(service)) == NULL) {
        st = LOOM_ENOMEM;
    }
    if (st != LOOM_OK) {
        logger_free(l);
        return st;
    }
    *out = l;
    return LOOM_OK;
}

loom_logger *loom_logger_ref(loom_logger *logger)
{
    if (logger != NULL) {
        atomic_fetch_add_explicit(&logger->refs, 1, memory_order_relaxed);
    }
    return logger;
}

void loom_logger_unref(loom_logger *logger)
{
    if (logger != NULL && atomic_fetch_sub_explicit(&logger->refs, 1, memory_order_acq_rel) == 1) {
        logger_free(logger);
    }
}

void loom_logger_set_minimum(loom_logger *logger, loom_severity minimum)
{
    if (logger != NULL) {
        atomic_store_explicit(&logger->minimum, (int)minimum, memory_order_relaxed);
    }
}

bool loom_logger_enabled(const loom_logger *logger, loom_severity severity)
{
    return logger != NULL && severity_valid(severity) &&
           (int)severity >= atomic_load_explicit(&logger->minimum, memory_order_relaxed);
}

loom_logger_counts loom_logger_get_counts(const loom_logger *logger)
{
    if (logger == NULL) {
        return (loom_logger_counts){0};
    }
    return (loom_logger_counts){.written = atomic_load(&logger->out.written), .cut = atomic_load(&logger->cut),
                                .dropped = atomic_load(&logger->out.dropped)};
}

/* ---- records ---- */

record_head logger_head(const loom_logger *l, loom_severity severity, const loom_trace_context *context,
                        uint64_t time_unix_ns)
{
    return (record_head){.format = l->format, .nanoseconds = l->nanoseconds, .time_unix_ns = time_unix_ns,
                         .severity = severity, .service = str_of(l->service), .context = context};
}

/* Where they were dropped: before the next record that finds room. */
static void tell_drops(loom_logger *l)
{
    uint64_t dropped = atomic_load_explicit(&l->out.untold, memory_order_relaxed);
    if (dropped == 0 || (dropped = atomic_exchange(&l->out.untold, 0)) == 0) {
        return;
    }
    record r;
    const record_head head = logger_head(l, LOOM_SEVERITY_WARN, NULL, clock_unix_ns());
    record_begin(&r, &head);
    record_message(&r, str_of("log records dropped, nobody read them"), true);
    record_attr(&r, &(loom_attr){.key = "count", .type = LOOM_ATTR_INT, .value.integer = (int64_t)dropped});
    const loom_bytes line = record_end(&r);
    if (output_write(&l->out, r.storage + 1, line.len)) {
        atomic_fetch_sub(&l->out.written, 1); /* nobody asked for this one */
    } else {
        atomic_fetch_sub(&l->out.dropped, 1);
        atomic_fetch_add(&l->out.untold, dropped - 1);
    }
}

bool logger_write(loom_logger *l, record *r)
{
    const loom_bytes line = record_end(r);
    tell_drops(l);
    const bool written = output_write(&l->out, r->storage + 1, line.len);
    if (written && r->cut) {
        atomic_fetch_add_explicit(&l->cut, 1, memory_order_relaxed);
    }
    return written;
}

/* Whether one behind it has the same key: the last one counts. */
static bool is_set_again(const loom_attr *attrs, size_t count, size_t i)
{
    for (size_t k = i + 1; k < count; k++) {
        if (attrs[k].key != NULL && strcmp(attrs[i].key, attrs[k].key) == 0) {
            return true;
        }
    }
    return false;
}

static void write_record(loom_logger *l, loom_severity severity, const loom_trace_context *context, const char *body,
                         const loom_attr *attrs, size_t count)
{
    const int error = errno;
    const record_head head = logger_head(l, severity, context, clock_unix_ns());
    record r;
    record_begin(&r, &head);
    record_message(&r, str_of(body), count > 0);
    r.cut = r.cut || count > ATTRS_MAX;
    count = count < ATTRS_MAX ? count : ATTRS_MAX;
    for (size_t i = 0; i < count; i++) {
        if (attrs[i].key != NULL && !is_set_again(attrs, count, i)) {
            record_attr(&r, &attrs[i]);
        }
    }
    (void)logger_write(l, &r);
    errno = error;
}

void loom_log(loom_logger *logger, loom_severity severity, const char *body, const loom_attr *attrs, size_t attr_count)
{
    if (loom_logger_enabled(logger, severity)) {
        write_record(logger, severity, loom_context_current(), body, attrs, attrs != NULL ? attr_count : 0);
    }
}

void loom_log_in(loom_logger *logger, loom_severity severity, const loom_trace_context *context, const char *body,
                 const loom_attr *attrs, size_t attr_count)
{
    if (loom_logger_enabled(logger, severity)) {
        write_record(logger, severity, context, body, attrs, attrs != NULL ? attr_count : 0);
    }
}

/* What C's locale cannot print, such as wide characters, is left to the program's. */
static int format_body(char *out, size_t size, const char *format, va_list args) __attribute__((format(printf, 3, 0)));
static int format_body(char *out, size_t size, const char *format, va_list args)
{
    const int error = errno; /* for %m */
    va_list again;
    va_copy(again, args);
    const locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0); /* static: nothing is allocated */
    const locale_t before = c != (locale_t)0 ? uselocale(c) : (locale_t)0;
    errno = error;
    int n = vsnprintf(out, size, format, args);
    if (before != (locale_t)0) {
        (void)uselocale(before);
    }
    errno = error;
    n = n < 0 ? vsnprintf(out, size, format, again) : n;
    va_end(again);
    return n;
}

void loom_logf(loom_logger *logger, loom_severity severity, const char *format, ...)
{
    if (!loom_logger_enabled(logger, severity)) {
        return;
    }
    const int error = errno;
    char body[LOOM_LOG_LINE_MAX + 1]; /* with the head more than a line: what is cut here is marked */
    va_list args;
    va_start(args, format);
    int n = format_body(body, sizeof body, format, args);
    va_end(args);
    write_record(logger, severity, loom_context_current(), n >= 0 ? body : format, NULL, 0);
    errno = error;
}
