/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/otlp/json.h"

#include "trace/otlp/json_value.h"
#include "trace/otlp/read.h"

#include <inttypes.h>
#include <string.h>

/* Where the walk is: which resource and scope are open. Spans come grouped, so a change closes and opens. */
typedef struct json_put_walk {
    pb_buf *out;
    const uint8_t *resource_spans, *scope_spans; /* the open ones */
    bool any_span;
} json_put_walk;

static void put(pb_buf *out, const char *literal)
{
    pb_raw(out, literal, strlen(literal));
}

static bool is_zero(const uint8_t *id, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (id[i] != 0) {
            return false;
        }
    }
    return true;
}

static void put_trace_id(pb_buf *out, const char *name, const uint8_t id[LOOM_TRACE_ID_SIZE])
{
    char hex[LOOM_TRACE_ID_HEX_SIZE];
    loom_trace_id_to_hex(hex, id);
    json_put_format(out, "\"%s\":\"%s\"", name, is_zero(id, LOOM_TRACE_ID_SIZE) ? "" : hex);
}

static void put_span_id(pb_buf *out, const char *name, const uint8_t id[LOOM_SPAN_ID_SIZE])
{
    char hex[LOOM_SPAN_ID_HEX_SIZE];
    loom_span_id_to_hex(hex, id);
    json_put_format(out, "\"%s\":\"%s\"", name, is_zero(id, LOOM_SPAN_ID_SIZE) ? "" : hex);
}

void json_put_text_field(pb_buf *out, const char *name, loom_str text)
{
    if (text.len > 0) {
        json_put_format(out, ",\"%s\":", name);
        json_put_string(out, text);
    }
}

void json_put_count_field(pb_buf *out, const char *name, uint64_t count)
{
    if (count > 0) {
        json_put_format(out, ",\"%s\":%" PRIu64, name, count);
    }
}

/* ---- events and links ---- */

typedef struct json_put_list {
    pb_buf *out;
    const char *name;
    size_t count;
} json_put_list;

/* The list's name appears with its first item, so that an empty list leaves nothing. */
static void open_item(json_put_list *list)
{
    if (list->count++ == 0) {
        json_put_format(list->out, ",\"%s\":[", list->name);
    } else {
        put(list->out, ",");
    }
}

static void close_list(const json_put_list *list)
{
    if (list->count > 0) {
        put(list->out, "]");
    }
}

static bool put_event(void *user, const otlp_event *event)
{
    json_put_list *list = user;
    open_item(list);
    json_put_format(list->out, "{\"timeUnixNano\":\"%" PRIu64 "\",\"name\":", event->time_unix_ns);
    json_put_string(list->out, event->name);
    json_put_attrs_open(list->out);
    otlp_read_event_attrs(event->event, json_put_attr, list->out);
    json_put_attrs_close(list->out);
    json_put_count_field(list->out, "droppedAttributesCount", event->dropped_attributes);
    put(list->out, "}");
    return !list->out->failed;
}

static bool put_link(void *user, const otlp_link *link)
{
    json_put_list *list = user;
    pb_buf *out = list->out;
    open_item(list);
    put(out, "{");
    put_trace_id(out, "traceId", link->trace_id);
    put(out, ",");
    put_span_id(out, "spanId", link->span_id);
    json_put_text_field(out, "traceState", link->tracestate);
    json_put_attrs_open(out);
    otlp_read_link_attrs(link->link, json_put_attr, out);
    json_put_attrs_close(out);
    json_put_count_field(out, "droppedAttributesCount", link->dropped_attributes);
    json_put_count_field(out, "flags", link->flags);
    put(out, "}");
    return !out->failed;
}

/* ---- spans ---- */

static void put_status(pb_buf *out, const otlp_span *span)
{
    json_put_format(out, ",\"status\":{\"code\":%d", span->status);
    json_put_text_field(out, "message", span->status_message);
    put(out, "}");
}

static void put_span(pb_buf *out, const otlp_span *span)
{
    put(out, "{");
    put_trace_id(out, "traceId", span->trace_id);
    put(out, ",");
    put_span_id(out, "spanId", span->span_id);
    json_put_text_field(out, "traceState", span->tracestate);
    if (!is_zero(span->parent_span_id, sizeof span->parent_span_id)) {
        put(out, ",");
        put_span_id(out, "parentSpanId", span->parent_span_id);
    }
    json_put_count_field(out, "flags", span->flags);
    put(out, ",\"name\":");
    json_put_string(out, span->name);
    json_put_format(out, ",\"kind\":%d,\"startTimeUnixNano\":\"%" PRIu64 "\",\"endTimeUnixNano\":\"%" PRIu64 "\"", span->kind,
                span->start_unix_ns, span->end_unix_ns);
    json_put_attrs_open(out);
    otlp_read_span_attrs(span->span, json_put_attr, out);
    json_put_attrs_close(out);
    json_put_count_field(out, "droppedAttributesCount", span->dropped_attributes);
    json_put_list events = {.out = out, .name = "events"};
    otlp_read_span_events(span->span, put_event, &events);
    close_list(&events);
    json_put_count_field(out, "droppedEventsCount", span->dropped_events);
    json_put_list links = {.out = out, .name = "links"};
    otlp_read_span_links(span->span, put_link, &links);
    close_list(&links);
    json_put_count_field(out, "droppedLinksCount", span->dropped_links);
    put_status(out, span);
    put(out, "}");
}

static void open_scope(json_put_walk *w, const otlp_span *span)
{
    loom_str name, version;
    otlp_read_scope(span->scope, &name, &version);
    put(w->out, "{\"scope\":{\"name\":");
    json_put_string(w->out, name);
    json_put_text_field(w->out, "version", version);
    json_put_attrs_open(w->out);
    otlp_read_scope_attrs(span->scope, json_put_attr, w->out);
    json_put_attrs_close(w->out);
    put(w->out, "}");
    json_put_text_field(w->out, "schemaUrl", span->scope_schema_url);
    put(w->out, ",\"spans\":[");
}

static void open_resource(json_put_walk *w, const otlp_span *span)
{
    put(w->out, "{\"resource\":{\"attributes\":[");
    otlp_read_resource_attrs(span->resource, json_put_attr, w->out);
    put(w->out, "]}");
    json_put_text_field(w->out, "schemaUrl", span->resource_schema_url);
    put(w->out, ",\"scopeSpans\":[");
}

static bool visit_span(void *user, const otlp_span *span)
{
    json_put_walk *w = user;
    bool same_resource = w->any_span && span->resource_spans == w->resource_spans;
    bool same_scope = same_resource && span->scope_spans == w->scope_spans;
    if (!same_resource) {
        put(w->out, w->any_span ? "]}]}," : "");
        open_resource(w, span);
        open_scope(w, span);
    } else if (!same_scope) {
        put(w->out, "]},");
        open_scope(w, span);
    } else {
        put(w->out, ",");
    }
    w->any_span = true;
    w->resource_spans = span->resource_spans;
    w->scope_spans = span->scope_spans;
    put_span(w->out, span);
    return !w->out->failed;
}

loom_status otlp_json_request(pb_buf *out, loom_bytes request)
{
    json_put_walk w = {.out = out};
    put(out, "{\"resourceSpans\":[");
    loom_status st = otlp_read_request(request, visit_span, &w);
    put(out, w.any_span ? "]}]}]}" : "]}");
    if (st == LOOM_OK && out->failed) {
        st = LOOM_ENOMEM;
    }
    return st;
}
