/* SPDX-License-Identifier: Apache-2.0 */
/* The latest spans that failed, those of lost messages among them: what the page groups by reason. */
#include <jansson.h>
#include <loom/trace.h>
#include <string.h>

#include "base/str.h"
#include "base/utf8.h"
#include "tools/loom/view/internal.h"

enum { TRACES = 100, SPANS_OF_TRACE = 20, TEXT_MAX = 500 };

typedef struct errors {
    json_t *spans;
    uint64_t more; /* failed spans of traces with more of them than are told */
} errors;

/* A message that was lost says to whom, in an event. */
static bool find_drop(void *user, const otlp_event *event)
{
    loom_bytes *drop = user;
    if (!str_is(event->name, "loom.drop")) {
        return true;
    }
    *drop = event->event;
    return false;
}

static bool set_drop_attr(void *user, otlp_attr attr)
{
    json_t *to = user;
    const otlp_any value = otlp_read_any(attr.value);
    const loom_str text = {(const char *)value.bytes.data, value.bytes.len};
    if (value.type == OTLP_ANY_STRING && str_is(attr.key, "loom.drop.subscriber")) {
        view_set_text(to, "subscriber", text);
    } else if (value.type == OTLP_ANY_STRING && str_is(attr.key, "loom.drop.filter")) {
        view_set_text(to, "filter", text);
    }
    return true;
}

static json_t *failed_span(const trace_span *span)
{
    static const char *const told[] = {"agent_id", "topic", "capability", "error.type"};
    const otlp_span *otlp = &span->otlp;
    char trace_id[LOOM_TRACE_ID_HEX_SIZE], span_id[LOOM_SPAN_ID_HEX_SIZE];
    loom_bytes drop = {0};
    loom_trace_id_to_hex(trace_id, otlp->trace_id);
    loom_span_id_to_hex(span_id, otlp->span_id);
    json_t *one = json_pack("{s:s, s:s, s:I, s:I}", "trace_id", trace_id, "span_id", span_id, "start_unix_ns", (json_int_t)otlp->start_unix_ns,
                            "duration_ns", (json_int_t)span_duration_ns(span));
    view_set_text(one, "name", utf8_cut(otlp->name, TEXT_MAX));
    view_set_text(one, "service", utf8_cut(span->service, TEXT_MAX));
    view_set_text(one, "message", utf8_cut(otlp->status_message, TEXT_MAX));
    for (size_t i = 0; i < sizeof told / sizeof told[0]; i++) {
        view_set_text(one, told[i], utf8_cut(view_span_text(span, told[i]), TEXT_MAX));
    }
    otlp_read_span_events(otlp->span, find_drop, &drop);
    if (drop.data != NULL) {
        json_object_set_new(one, "dropped", json_true());
        otlp_read_event_attrs(drop, set_drop_attr, one);
    }
    return one;
}

static void add_failed(void *user, span_range trace)
{
    errors *e = user;
    size_t count = 0;
    for (size_t i = 0; i < trace.count; i++) {
        if (trace.spans[i].otlp.status != LOOM_SPAN_ERROR) {
            continue;
        }
        if (count++ < SPANS_OF_TRACE) {
            json_array_append_new(e->spans, failed_span(&trace.spans[i]));
        } else {
            e->more++;
        }
    }
}

static void list_errors(view_job *job)
{
    store_filter filter = {.limit = TRACES, .failed = true};
    errors e = {.spans = json_array()};
    bool cut;
    if (view_query(job, view_read_limit, &filter) && view_walk(job, &filter, add_failed, &e, &cut)) {
        view_write_json(job, json_pack("{s:O, s:I, s:b}", "errors", e.spans, "more", (json_int_t)e.more, "truncated", cut));
    }
    json_decref(e.spans);
}

void view_errors(void *user, http_request *r)
{
    view_job_start(user, r, list_errors);
}
