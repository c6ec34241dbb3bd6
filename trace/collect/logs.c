/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/collect/logs.h"

#include <string.h>

#include "base/hex.h"
#include "trace/collect/spans.h"
#include "trace/otlp/fields.h"
#include "trace/otlp/json.h"
#include "trace/otlp/protobuf_read.h"

typedef struct walk {
    bool (*visit)(void *user, const log_record *log);
    void *user;
    bool stopped;
} walk;

/* An id of the wrong length is refused; an empty one counts as absent. */
static bool read_id(uint8_t *to, size_t size, loom_bytes id)
{
    if (id.len == size) {
        memcpy(to, id.data, size);
    }
    return id.len == size || id.len == 0;
}

static bool read_bytes(log_record *out, const pb_field *f)
{
    const loom_str text = {(const char *)f->bytes.data, f->bytes.len};
    switch (f->number) {
    case LOG_TRACE_ID: return read_id(out->trace_id, sizeof out->trace_id, f->bytes);
    case LOG_SPAN_ID: return read_id(out->span_id, sizeof out->span_id, f->bytes);
    case LOG_SEVERITY_TEXT: out->severity_text = text; return true;
    case LOG_EVENT_NAME: out->event = text; return true;
    case LOG_BODY: out->body = f->bytes; return true;
    default: return true;
    }
}

bool log_read(log_record *out, loom_bytes record)
{
    pb_cursor c = pb_cursor_on(record);
    pb_field f;
    uint64_t observed = 0;
    *out = (log_record){.record = record};
    while (pb_next(&c, &f)) {
        if (f.wire == PB_LENGTH && !read_bytes(out, &f)) {
            return false;
        }
        if (pb_is(&f, LOG_TIME, PB_FIXED64)) {
            out->time_unix_ns = f.value;
        } else if (pb_is(&f, LOG_OBSERVED_TIME, PB_FIXED64)) {
            observed = f.value;
        } else if (pb_is(&f, LOG_SEVERITY_NUMBER, PB_VARINT)) {
            out->severity = (uint32_t)f.value;
        }
    }
    out->time_unix_ns = out->time_unix_ns != 0 ? out->time_unix_ns : observed;
    return !c.bad;
}

static bool walk_scope(walk *w, loom_bytes resource, loom_bytes scope_logs)
{
    pb_cursor c = pb_cursor_on(scope_logs);
    pb_field f;
    while (!w->stopped && pb_next(&c, &f)) {
        log_record log;
        if (!pb_is(&f, SCOPE_LOGS_LOG_RECORDS, PB_LENGTH)) {
            continue;
        }
        if (!log_read(&log, f.bytes)) {
            return false;
        }
        log.resource = resource;
        w->stopped = !w->visit(w->user, &log);
    }
    return !c.bad;
}

/* The resource may come after the records it is of, so it is looked for first. */
static bool walk_resource(walk *w, loom_bytes resource_logs)
{
    loom_bytes resource = {0};
    pb_field f;
    pb_cursor c = pb_cursor_on(resource_logs);
    while (pb_next(&c, &f)) {
        resource = pb_is(&f, RESOURCE_LOGS_RESOURCE, PB_LENGTH) ? f.bytes : resource;
    }
    if (c.bad) {
        return false;
    }
    c = pb_cursor_on(resource_logs);
    while (!w->stopped && pb_next(&c, &f)) {
        if (pb_is(&f, RESOURCE_LOGS_SCOPE_LOGS, PB_LENGTH) && !walk_scope(w, resource, f.bytes)) {
            return false;
        }
    }
    return true;
}

loom_status logs_read(loom_bytes request, bool (*visit)(void *user, const log_record *log), void *user)
{
    walk w = {.visit = visit, .user = user};
    pb_cursor c = pb_cursor_on(request);
    pb_field f;
    while (!w.stopped && pb_next(&c, &f)) {
        if (pb_is(&f, LOGS_REQUEST_RESOURCE_LOGS, PB_LENGTH) && !walk_resource(&w, f.bytes)) {
            return LOOM_EMALFORMED;
        }
    }
    return c.bad ? LOOM_EMALFORMED : LOOM_OK;
}

void log_read_attrs(loom_bytes record, bool (*visit)(void *user, otlp_attr attr), void *user)
{
    pb_cursor c = pb_cursor_on(record);
    pb_field f, part;
    bool more = true;
    while (more && pb_next(&c, &f)) {
        if (!pb_is(&f, LOG_ATTRIBUTES, PB_LENGTH)) {
            continue;
        }
        loom_bytes key = {0}, value = {0};
        pb_cursor pair = pb_cursor_on(f.bytes);
        while (pb_next(&pair, &part)) {
            key = pb_is(&part, KEYVALUE_KEY, PB_LENGTH) ? part.bytes : key;
            value = pb_is(&part, KEYVALUE_VALUE, PB_LENGTH) ? part.bytes : value;
        }
        more = visit(user, (otlp_attr){{(const char *)key.data, key.len}, value});
    }
}

/* ---- as JSON ---- */

typedef struct attr_output {
    pb_buf *json;
    const char *before;
} attr_output;

static bool print_attr(void *user, otlp_attr attr)
{
    attr_output *o = user;
    json_put_format(o->json, "%s[", o->before);
    json_put_string(o->json, attr.key);
    json_put_format(o->json, ",");
    json_put_plain_value(o->json, attr.value);
    json_put_format(o->json, "]");
    o->before = ",";
    return true;
}

static void print_attributes(pb_buf *out, loom_bytes record)
{
    attr_output o = {out, ",\"attributes\":["};
    log_read_attrs(record, print_attr, &o);
    if (o.before[1] == '\0') {
        json_put_format(out, "]");
    }
}

void log_print_json(pb_buf *out, const log_record *log, loom_str service)
{
    char id[2 * LOOM_SPAN_ID_SIZE + 1];
    json_put_format(out, "{\"time_unix_ns\":\"%llu\"", (unsigned long long)log->time_unix_ns);
    if (!span_id_is_zero(log->span_id)) {
        hex_encode(id, log->span_id, sizeof log->span_id);
        json_put_format(out, ",\"span_id\":\"%.*s\"", 2 * LOOM_SPAN_ID_SIZE, id);
    }
    json_put_count_field(out, "severity", log->severity);
    json_put_text_field(out, "severity_text", log->severity_text);
    json_put_text_field(out, "event", log->event);
    json_put_text_field(out, "service", service);
    if (log->body.data != NULL) {
        json_put_format(out, ",\"body\":");
        json_put_plain_value(out, log->body);
    }
    print_attributes(out, log->record);
    json_put_format(out, "}");
}
