/* SPDX-License-Identifier: Apache-2.0 */
/* A line a span on standard error, for whoever collects them there, such as `loom exec`: trace/process/libraries/FORMAT.md.
 *
 * A write holds whole lines, and no more than a pipe keeps in one piece. It is asked first whether there is room, so that a
 * reader that has stopped costs the exporter's thread no more than its deadline, and one that has gone no SIGPIPE. */
#include "base/clock.h"
#include "base/rfc3339.h"
#include "base/str.h"
#include "trace/export/exporter.h"
#include "trace/otlp/json.h"
#include "trace/otlp/read.h"

#include <fcntl.h>
#include <limits.h>
#include <loom/baggage.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_SIZE 262144u /* bytes, marker and line feed included */
#define BATCH_MAX_SIZE (64u * 1024u * 1024u)
#define ROOM_POLL_MS 50
#define PIPE_MAX (1024 * 1024) /* bytes that a pipe may be made to hold; what /proc/sys/fs/pipe-max-size usually is */
#define DEPTH_MAX 8u
#define MESSAGE_MAX 1024u /* bytes of a status message in a line that is short of room */

static const char *const default_keys[] = {"tenant_id", "org_id"};
enum { DEFAULT_COUNT = sizeof default_keys / sizeof default_keys[0] };

typedef struct lines_exporter {
    exporter base;
    pb_buf lines; /* kept between batches */
    bool torn;    /* our last line has no end */
    char *defaults[DEFAULT_COUNT]; /* of the baggage that the program was given; NULL: none */
} lines_exporter;

static void put(pb_buf *out, const char *literal)
{
    pb_raw(out, literal, strlen(literal));
}

static void put_time(pb_buf *out, const char *name, uint64_t unix_ns)
{
    char text[RFC3339_SIZE];
    json_put_format(out, ",\"%s\":\"", name);
    pb_raw(out, text, rfc3339_put(text, unix_ns, 9));
    put(out, "\"");
}

/* ---- values: those of json_put_plain_value(), with objects ---- */

typedef struct value_list {
    pb_buf *out;
    unsigned depth;
    size_t count;
} value_list;

static void put_value(pb_buf *out, loom_bytes any_value, unsigned depth);

static bool put_item(void *user, loom_bytes any_value)
{
    value_list *list = user;
    put(list->out, list->count++ > 0 ? "," : "");
    put_value(list->out, any_value, list->depth);
    return !list->out->failed;
}

static bool put_entry(void *user, otlp_attr attr)
{
    value_list *list = user;
    put(list->out, list->count++ > 0 ? "," : "");
    json_put_string(list->out, attr.key);
    put(list->out, ":");
    put_value(list->out, attr.value, list->depth);
    return !list->out->failed;
}

static void put_value(pb_buf *out, loom_bytes any_value, unsigned depth)
{
    const otlp_any any = otlp_read_any(any_value);
    value_list list = {.out = out, .depth = depth + 1};
    if (any.type != OTLP_ANY_ARRAY && any.type != OTLP_ANY_KVLIST) {
        json_put_plain_value(out, any_value);
    } else if (depth == DEPTH_MAX) {
        put(out, "\"\xe2\x80\xa6\"");
    } else if (any.type == OTLP_ANY_ARRAY) {
        put(out, "[");
        otlp_read_array(any.bytes, put_item, &list);
        put(out, "]");
    } else {
        put(out, "{");
        otlp_read_kvlist(any.bytes, put_entry, &list);
        put(out, "}");
    }
}

/* ---- attributes ---- */

typedef struct attr_list {
    pb_buf *out;
    size_t limit; /* len of out that this list may reach */
    uint64_t count, dropped;
    bool has_default[DEFAULT_COUNT];
} attr_list;

static bool put_attr(void *user, otlp_attr attr)
{
    attr_list *list = user;
    const size_t before = list->out->len;
    if (attr.key.len == 0 || otlp_read_any(attr.value).type == OTLP_ANY_NONE) {
        return true;
    }
    for (size_t i = 0; i < DEFAULT_COUNT; i++) {
        list->has_default[i] |= str_is(attr.key, default_keys[i]);
    }
    put(list->out, list->count > 0 ? "," : "");
    json_put_string(list->out, attr.key);
    put(list->out, ":");
    put_value(list->out, attr.value, 0);
    if (list->out->len > list->limit && !list->out->failed) {
        pb_rollback(list->out, before);
        list->dropped++;
    } else {
        list->count++;
    }
    return !list->out->failed;
}

static void put_defaults(attr_list *list, const lines_exporter *e)
{
    for (size_t i = 0; i < DEFAULT_COUNT; i++) {
        if (e->defaults[i] != NULL && !list->has_default[i]) {
            put(list->out, list->count++ > 0 ? ",\"" : "\"");
            put(list->out, default_keys[i]);
            put(list->out, "\":");
            json_put_string(list->out, str_of(e->defaults[i]));
        }
    }
}

/* ---- events and links ---- */

static bool put_event(void *user, const otlp_event *event)
{
    value_list *list = user;
    attr_list attrs = {.out = list->out, .limit = SIZE_MAX};
    put(list->out, list->count++ > 0 ? ",{\"name\":" : ",\"events\":[{\"name\":");
    json_put_string(list->out, event->name.len > 0 ? event->name : str_of("unnamed"));
    put_time(list->out, "time", event->time_unix_ns);
    put(list->out, ",\"attributes\":{");
    otlp_read_event_attrs(event->event, put_attr, &attrs);
    put(list->out, "}}");
    return !list->out->failed;
}

static bool put_link(void *user, const otlp_link *link)
{
    value_list *list = user;
    attr_list attrs = {.out = list->out, .limit = SIZE_MAX};
    char trace_id[LOOM_TRACE_ID_HEX_SIZE], span_id[LOOM_SPAN_ID_HEX_SIZE];
    loom_trace_id_to_hex(trace_id, link->trace_id);
    loom_span_id_to_hex(span_id, link->span_id);
    put(list->out, list->count++ > 0 ? "," : ",\"links\":[");
    json_put_format(list->out, "{\"trace_id\":\"%s\",\"span_id\":\"%s\"", trace_id, span_id);
    json_put_text_field(list->out, "trace_state", link->tracestate);
    put(list->out, ",\"attributes\":{");
    otlp_read_link_attrs(link->link, put_attr, &attrs);
    put(list->out, "}}");
    return !list->out->failed;
}

static bool count_event(void *user, const otlp_event *event)
{
    (void)event;
    ++*(uint64_t *)user;
    return true;
}

static bool count_link(void *user, const otlp_link *link)
{
    (void)link;
    ++*(uint64_t *)user;
    return true;
}

/* Those of the span, or how many there were when the line is short of room. */
static void put_lists(pb_buf *out, const otlp_span *span, bool is_short)
{
    value_list events = {.out = out}, links = {.out = out};
    uint64_t dropped_events = span->dropped_events, dropped_links = span->dropped_links;
    if (is_short) {
        otlp_read_span_events(span->span, count_event, &dropped_events);
        otlp_read_span_links(span->span, count_link, &dropped_links);
    } else {
        otlp_read_span_events(span->span, put_event, &events);
        put(out, events.count > 0 ? "]" : "");
        otlp_read_span_links(span->span, put_link, &links);
        put(out, links.count > 0 ? "]" : "");
    }
    json_put_count_field(out, "dropped_events", dropped_events);
    json_put_count_field(out, "dropped_links", dropped_links);
}

/* ---- spans ---- */

static void put_ids(pb_buf *out, const otlp_span *span)
{
    static const uint8_t none[LOOM_SPAN_ID_SIZE];
    char trace_id[LOOM_TRACE_ID_HEX_SIZE], span_id[LOOM_SPAN_ID_HEX_SIZE], parent_id[LOOM_SPAN_ID_HEX_SIZE];
    loom_trace_id_to_hex(trace_id, span->trace_id);
    loom_span_id_to_hex(span_id, span->span_id);
    json_put_format(out, "__LOOM_TRACE__:{\"trace_id\":\"%s\",\"span_id\":\"%s\"", trace_id, span_id);
    if (memcmp(none, span->parent_span_id, sizeof none) != 0) {
        loom_span_id_to_hex(parent_id, span->parent_span_id);
        json_put_format(out, ",\"parent_id\":\"%s\"", parent_id);
    }
}

static loom_str cut(loom_str text, bool is_short)
{
    return (loom_str){text.data, is_short && text.len > MESSAGE_MAX ? MESSAGE_MAX : text.len};
}

static void put_status(pb_buf *out, const otlp_span *span, bool is_short)
{
    static const char *const kinds[] = {"", "", "server", "client", "producer", "consumer"};
    static const char *const statuses[] = {"unset", "ok", "error"};
    const int count = sizeof statuses / sizeof statuses[0], kind_count = sizeof kinds / sizeof kinds[0];
    json_put_text_field(out, "status", str_of(statuses[span->status >= 0 && span->status < count ? span->status : 0]));
    json_put_text_field(out, "status_message", cut(span->status_message, is_short));
    json_put_text_field(out, "kind", str_of(kinds[span->kind >= 0 && span->kind < kind_count ? span->kind : 0]));
}

static void put_line(const lines_exporter *e, pb_buf *out, const otlp_span *span, bool is_short)
{
    loom_str scope_name, scope_version;
    attr_list attrs = {.out = out, .limit = is_short ? out->len + LINE_MAX_SIZE / 2 : SIZE_MAX};
    put_ids(out, span);
    json_put_text_field(out, "name", span->name.len > 0 ? cut(span->name, is_short) : str_of("unnamed"));
    put_time(out, "start_time", span->start_unix_ns);
    put_time(out, "end_time", span->end_unix_ns > span->start_unix_ns ? span->end_unix_ns : span->start_unix_ns);
    put(out, ",\"attributes\":{");
    otlp_read_span_attrs(span->span, put_attr, &attrs);
    put_defaults(&attrs, e);
    put(out, "}");
    put_status(out, span, is_short);
    put_lists(out, span, is_short);
    json_put_count_field(out, "dropped_attributes", attrs.dropped + span->dropped_attributes);
    json_put_text_field(out, "trace_state", span->tracestate);
    json_put_text_field(out, "service", cut(otlp_resource_string(span->resource, "service.name"), is_short));
    otlp_read_scope(span->scope, &scope_name, &scope_version);
    if (scope_name.len > 0) {
        put(out, ",\"scope\":{\"name\":");
        json_put_string(out, cut(scope_name, is_short));
        json_put_text_field(out, "version", cut(scope_version, is_short));
        put(out, "}");
    }
    put(out, "}\n");
}

static bool put_span(void *user, const otlp_span *span)
{
    lines_exporter *e = user;
    const size_t before = e->lines.len;
    put_line(e, &e->lines, span, false);
    if (!e->lines.failed && e->lines.len - before > LINE_MAX_SIZE) {
        pb_rollback(&e->lines, before);
        put_line(e, &e->lines, span, true);
    }
    return !e->lines.failed;
}

/* ---- writing ---- */

static bool wait_for_room(export_deadline until, const char **why)
{
    while (clock_monotonic_ns() < export_deadline_ns(until)) {
        struct pollfd room = {.fd = STDERR_FILENO, .events = POLLOUT};
        const int n = poll(&room, 1, ROOM_POLL_MS);
        if (n > 0 && (room.revents & (POLLERR | POLLHUP | POLLNVAL)) != 0) {
            *why = "nobody reads standard error";
            return false;
        }
        if (n > 0) {
            return true;
        }
    }
    *why = "standard error is not read";
    return false;
}

/* As many of the lines as a pipe keeps in one piece; one line, when it is longer than that. */
static size_t next_write(const uint8_t *data, size_t len)
{
    size_t size = 0;
    while (size < len) {
        const uint8_t *end = memchr(data + size, '\n', len - size);
        const size_t next = end != NULL ? (size_t)(end - data) + 1 : len;
        if (size > 0 && next > PIPE_BUF) {
            break;
        }
        size = next;
    }
    return size;
}

static bool put_bytes(lines_exporter *e, const uint8_t *data, size_t len, export_deadline until)
{
    if (e->torn && stream_write(STDERR_FILENO, (const uint8_t *)"\n", 1, until) != 1) {
        return false;
    }
    const size_t done = stream_write(STDERR_FILENO, data, len, until);
    e->torn = done > 0 && done < len;
    return done == len;
}

/* How many bytes of whole lines were written. */
static size_t write_lines(lines_exporter *e, export_deadline until, const char **why)
{
    size_t done = 0;
    while (done < e->lines.len && wait_for_room(until, why)) {
        const size_t size = next_write(e->lines.data + done, e->lines.len - done);
        if (!put_bytes(e, e->lines.data + done, size, until)) {
            *why = "standard error cannot be written";
            break;
        }
        done += size;
    }
    return done;
}

static uint64_t count_lines(const uint8_t *data, size_t len)
{
    uint64_t count = 0;
    for (size_t i = 0; i < len; i++) {
        count += data[i] == '\n';
    }
    return count;
}

static void lines_send(exporter *self, loom_bytes request, export_deadline until, export_result *result)
{
    lines_exporter *e = (lines_exporter *)self;
    const char *why = "out of memory";
    pb_rollback(&e->lines, 0);
    const loom_status st = otlp_read_request(request, put_span, e);
    const size_t done = st == LOOM_OK && !e->lines.failed ? write_lines(e, until, &why) : 0;
    if (st == LOOM_OK && !e->lines.failed && (done > 0 || e->lines.len == 0)) {
        result->outcome = EXPORT_OK;
        result->rejected = count_lines(e->lines.data + done, e->lines.len - done);
    }
    if (result->outcome != EXPORT_OK || result->rejected > 0) {
        (void)snprintf(result->message, sizeof result->message, "loom/stderr: %s", st != LOOM_OK ? loom_status_text(st) : why);
    }
}

/* A pipe that is full is made larger for it, since nobody writes to it later. */
static void lines_lost(exporter *self, uint64_t spans)
{
    static const atomic_uint_fast64_t now = 0;
    char line[96];
    const int len = snprintf(line, sizeof line, "__LOOM_TRACE_ERROR__: %llu spans lost: standard error was not read\n",
                             (unsigned long long)spans);
    (void)fcntl(STDERR_FILENO, F_SETPIPE_SZ, PIPE_MAX);
    (void)put_bytes((lines_exporter *)self, (const uint8_t *)line, (size_t)len, (export_deadline){0, &now});
}

/* ---- life ---- */

static void lines_close(exporter *self)
{
    lines_exporter *e = (lines_exporter *)self;
    for (size_t i = 0; i < DEFAULT_COUNT; i++) {
        free(e->defaults[i]);
    }
    pb_fini(&e->lines);
    free(e);
}

/* *any: text has a valid member. */
static loom_status keep_defaults(lines_exporter *e, loom_str text, bool *any)
{
    loom_baggage *baggage;
    loom_status st = loom_baggage_parse(&baggage, text, NULL);
    if (st != LOOM_OK) {
        return st;
    }
    *any = loom_baggage_count(baggage) > 0;
    for (size_t i = 0; i < DEFAULT_COUNT && st == LOOM_OK; i++) {
        const loom_baggage_member *found = loom_baggage_find(baggage, str_of(default_keys[i]));
        if (found != NULL) {
            e->defaults[i] = strndup(found->value.data, found->value.len);
            st = e->defaults[i] != NULL ? LOOM_OK : LOOM_ENOMEM;
        }
    }
    loom_baggage_unref(baggage);
    return st;
}

static loom_status read_defaults(lines_exporter *e)
{
    static const char *const names[] = {"BAGGAGE", "LOOM_TRACE_BAGGAGE"};
    bool any = false;
    loom_status st = LOOM_OK;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && !any && st == LOOM_OK; i++) {
        st = keep_defaults(e, str_of(getenv(names[i])), &any);
    }
    return st;
}

loom_status lines_exporter_open(exporter **out)
{
    static const exporter_ops ops = {.send = lines_send, .lost = lines_lost, .close = lines_close};
    *out = NULL;
    lines_exporter *e = calloc(1, sizeof *e);
    if (e == NULL) {
        return LOOM_ENOMEM;
    }
    e->base.ops = &ops;
    pb_init(&e->lines, NULL, 0, BATCH_MAX_SIZE);
    const loom_status st = read_defaults(e);
    if (st != LOOM_OK) {
        lines_close(&e->base);
        return st;
    }
    *out = &e->base;
    return LOOM_OK;
}
