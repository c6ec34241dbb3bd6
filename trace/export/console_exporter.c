/* SPDX-License-Identifier: Apache-2.0 */
/* A line a span on standard error: time, service, name, kind, duration, ids, status, attributes. */
#include "base/rfc3339.h"
#include "trace/export/exporter.h"
#include "trace/otlp/json.h"
#include "trace/otlp/read.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONSOLE_TEXT_MAX (64u * 1024u * 1024u) /* bytes of one batch */

typedef struct console_exporter {
    exporter base;
    bool torn; /* our last line has no end */
} console_exporter;

static const char *kind_name(int kind)
{
    static const char *const names[] = {"UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"};
    return kind >= 0 && kind < (int)(sizeof names / sizeof names[0]) ? names[kind] : "?";
}

static const char *status_name(int status)
{
    static const char *const names[] = {"UNSET", "OK", "ERROR"};
    return status >= 0 && status < (int)(sizeof names / sizeof names[0]) ? names[status] : "?";
}

static void put_time(pb_buf *out, uint64_t unix_ns)
{
    char text[RFC3339_SIZE];
    pb_raw(out, text, rfc3339_put(text, unix_ns, 6));
    pb_raw(out, " ", 1);
}

/* Control bytes of a message must not reach a terminal: texts are written as JSON strings unless they are plain words. */
static void put_text(pb_buf *out, loom_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c <= ' ' || c >= 0x7f || c == '"' || c == '\\') {
            json_put_string(out, text);
            return;
        }
    }
    pb_raw(out, text.data, text.len);
}

static bool put_attr(void *user, otlp_attr attr)
{
    pb_buf *out = user;
    pb_raw(out, " ", 1);
    put_text(out, attr.key);
    pb_raw(out, "=", 1);
    otlp_any any = otlp_read_any(attr.value);
    if (any.type == OTLP_ANY_STRING) {
        put_text(out, (loom_str){(const char *)any.bytes.data, any.bytes.len});
    } else {
        json_put_plain_value(out, attr.value);
    }
    return !out->failed;
}

static bool put_event(void *user, const otlp_event *event)
{
    pb_buf *out = user;
    pb_raw(out, " [", 2);
    put_text(out, event->name);
    otlp_read_event_attrs(event->event, put_attr, out);
    pb_raw(out, "]", 1);
    return !out->failed;
}

static bool put_span(void *user, const otlp_span *span)
{
    pb_buf *out = user;
    char trace_id[LOOM_TRACE_ID_HEX_SIZE], span_id[LOOM_SPAN_ID_HEX_SIZE], parent[LOOM_SPAN_ID_HEX_SIZE];
    static const uint8_t none[LOOM_SPAN_ID_SIZE] = {0};
    loom_trace_id_to_hex(trace_id, span->trace_id);
    loom_span_id_to_hex(span_id, span->span_id);
    loom_span_id_to_hex(parent, span->parent_span_id);
    uint64_t us = span->end_unix_ns > span->start_unix_ns ? (span->end_unix_ns - span->start_unix_ns) / 1000u : 0;
    put_time(out, span->start_unix_ns);
    put_text(out, otlp_resource_string(span->resource, "service.name"));
    pb_raw(out, " ", 1);
    put_text(out, span->name);
    json_put_format(out, " %s %" PRIu64 ".%03u ms trace=%s span=%s parent=%s %s", kind_name(span->kind), us / 1000u,
                (unsigned)(us % 1000u), trace_id, span_id,
                memcmp(none, span->parent_span_id, sizeof none) == 0 ? "-" : parent, status_name(span->status));
    if (span->status_message.len > 0) {
        pb_raw(out, " ", 1);
        json_put_string(out, span->status_message);
    }
    otlp_read_span_attrs(span->span, put_attr, out);
    otlp_read_span_events(span->span, put_event, out);
    pb_raw(out, "\n", 1);
    return !out->failed;
}

static void print(console_exporter *e, const pb_buf *out, export_deadline until, export_result *result)
{
    const size_t written = stream_write(STDERR_FILENO, out->data, out->len, until);
    if (written > 0) {
        e->torn = out->data[written - 1] != '\n';
    }
    if (written == out->len) {
        result->outcome = EXPORT_OK;
    } else {
        (void)snprintf(result->message, sizeof result->message, "console: standard error %s",
                       errno == EAGAIN ? "is not read" : "cannot be written");
    }
}

static void console_send(exporter *self, loom_bytes request, export_deadline until, export_result *result)
{
    console_exporter *e = (console_exporter *)self;
    pb_buf out;
    pb_init(&out, NULL, 0, CONSOLE_TEXT_MAX);
    pb_raw(&out, "\n", e->torn ? 1 : 0);
    loom_status st = otlp_read_request(request, put_span, &out);
    if (st != LOOM_OK || out.failed) {
        (void)snprintf(result->message, sizeof result->message, "console: %s",
                       loom_status_text(st != LOOM_OK ? st : LOOM_ENOMEM));
    } else {
        print(e, &out, until, result);
    }
    pb_fini(&out);
}

static void console_close(exporter *self)
{
    free(self);
}

loom_status console_exporter_open(exporter **out)
{
    static const exporter_ops ops = {.send = console_send, .close = console_close};
    console_exporter *e = calloc(1, sizeof *e);
    *out = e != NULL ? &e->base : NULL;
    if (e == NULL) {
        return LOOM_ENOMEM;
    }
    e->base.ops = &ops;
    return LOOM_OK;
}
