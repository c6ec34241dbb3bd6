/* SPDX-License-Identifier: Apache-2.0 */
/* What the store has, as JSON. */
#include <stdlib.h>
#include <string.h>

#include "base/duration.h"
#include "base/hex.h"
#include "base/str.h"
#include "host/http/query.h"
#include "tools/loom/view/internal.h"
#include "trace/collect/logs.h"
#include "trace/otlp/json.h"
#include "trace/view/summary.h"
#include "trace/view/trace_json.h"

enum {
    LIST_MAX = 500,
    LIST = 50,
    SPANS_MAX = 20000,                /* of one trace: more than a page can draw */
    SPAN_BYTES_MAX = 8 * 1024 * 1024, /* of those, as they are stored; as JSON they are some three times as long */
    READ_SPANS_MAX = 100000,          /* among which they are the earliest */
    READ_BYTES_MAX = 32 * 1024 * 1024,
    JSON_MAX = 64 * 1024 * 1024,
    LOGS_MAX = 2000                   /* of one trace */
};

/* ---- the list ---- */

typedef struct list_query {
    store_filter filter;
    char *texts[1 + STORE_ATTRS_MAX]; /* of the filter */
    size_t text_count;
    bool has_limit;
} list_query;

static bool keep(list_query *q, const char *text, loom_str *out)
{
    char *copy = q->text_count < sizeof q->texts / sizeof q->texts[0] ? strdup(text) : NULL;
    if (copy != NULL) {
        q->texts[q->text_count++] = copy;
        *out = str_of(copy);
    }
    return copy != NULL;
}

static const char *add_attribute(list_query *q, const char *value)
{
    const char *equals = strchr(value, '=');
    loom_str whole;
    if (equals == NULL || equals == value) {
        return "takes KEY=VALUE";
    }
    if (q->filter.attr_count == STORE_ATTRS_MAX) {
        return "there are too many of them";
    }
    if (!keep(q, value, &whole)) {
        return "out of memory";
    }
    const size_t key = (size_t)(equals - value);
    q->filter.attrs[q->filter.attr_count++] = (store_attr){{whole.data, key}, {whole.data + key + 1, whole.len - key - 1}};
    return NULL;
}

static const char *read_parameter(void *user, const char *name, const char *value)
{
    list_query *q = user;
    if (strcmp(name, "service") == 0) {
        return q->filter.service.len > 0 ? "is there twice" : keep(q, value, &q->filter.service) ? NULL : "out of memory";
    }
    if (strcmp(name, "attribute") == 0) {
        return add_attribute(q, value);
    }
    if (strcmp(name, "limit") == 0) {
        if (q->has_limit) {
            return "is there twice";
        }
        q->has_limit = true;
        return http_decode_number(&q->filter.limit, str_of(value), 1, LIST_MAX) ? NULL : "is a number from 1 to 500";
    }
    if (strcmp(name, "min_duration") == 0 || strcmp(name, "max_duration") == 0) {
        uint64_t *ns = name[1] == 'i' ? &q->filter.min_duration_ns : &q->filter.max_duration_ns;
        return duration_parse(ns, str_of(value)) ? NULL : "is a duration such as 500us, 5ms or 2s";
    }
    if (strcmp(name, "order") == 0) {
        q->filter.slowest_first = strcmp(value, "slowest") == 0;
        return q->filter.slowest_first || strcmp(value, "newest") == 0 ? NULL : "is newest or slowest";
    }
    if (strcmp(name, "failed") == 0) {
        q->filter.failed = strcmp(value, "true") == 0;
        return q->filter.failed || strcmp(value, "false") == 0 ? NULL : "is true or false";
    }
    return "is not known here; there are service=NAME, attribute=KEY=VALUE, min_duration and max_duration, order=slowest, failed=true "
           "and limit=1 to 500";
}

typedef struct list_output {
    FILE *out;
    size_t count;
} list_output;

static bool write_row(void *user, const trace_summary *summary)
{
    list_output *l = user;
    if (l->count++ > 0) {
        fputc(',', l->out);
    }
    return trace_summary_print_json(l->out, summary) == LOOM_OK;
}

static void list_traces(view_job *job)
{
    list_query q = {.filter = {.limit = LIST}};
    if (view_query(job, read_parameter, &q)) {
        list_output l = {.out = job->out};
        fputs("{\"traces\":[", job->out);
        const loom_status st = store_list(job->reader, &q.filter, write_row, &l);
        if (st != LOOM_OK && st != LOOM_ETIMEDOUT) {
            view_job_fail_read(job, st);
        } else {
            fputs(st == LOOM_ETIMEDOUT ? "],\"truncated\":true}\n" : "]}\n", job->out);
        }
    }
    for (size_t i = 0; i < q.text_count; i++) {
        free(q.texts[i]);
    }
}

void view_traces(void *user, http_request *r)
{
    view_job_start(user, r, list_traces);
}

/* ---- one trace ---- */

static void write_trace(view_job *job, const span_list *list, uint64_t total)
{
    const loom_status st = trace_print_otlp_json(job->out, (span_range){list->items, list->count}, total, JSON_MAX);
    if (st != LOOM_OK) {
        view_job_fail(job, 500, "cannot write the trace: %s", loom_status_text(st));
    }
}

bool view_read_trace_id(view_job *job, uint8_t id[LOOM_TRACE_ID_SIZE])
{
    if (strlen(job->rest) == LOOM_TRACE_ID_SIZE * 2 && hex_decode(id, job->rest, LOOM_TRACE_ID_SIZE)) {
        return true;
    }
    view_job_fail(job, 400, "a trace id has 32 digits, 0 to 9 and a to f");
    return false;
}

static void load_trace(view_job *job)
{
    static const store_limits limits = {.read_spans = READ_SPANS_MAX, .read_bytes = READ_BYTES_MAX, .spans = SPANS_MAX, .bytes = SPAN_BYTES_MAX};
    uint8_t id[LOOM_TRACE_ID_SIZE];
    span_list list;
    if (!view_query(job, NULL, NULL) || !view_read_trace_id(job, id)) {
        return;
    }
    uint64_t total = 0;
    span_list_init(&list);
    const loom_status st = store_load_some(job->reader, id, &limits, &list, &total);
    if (st == LOOM_OK) {
        write_trace(job, &list, total);
    } else if (st == LOOM_ENOTFOUND) {
        view_job_fail(job, 404, "there is no trace %s: it was not received, or has been dropped for newer ones", job->rest);
    } else {
        view_job_fail_read(job, st);
    }
    span_list_fini(&list);
}

/* ---- the log of one trace ---- */

typedef struct log_output {
    pb_buf json;
    size_t count;
} log_output;

static bool write_log(void *user, const log_record *log, loom_str service)
{
    log_output *o = user;
    if (o->count++ > 0) {
        json_put_format(&o->json, ",");
    }
    log_print_json(&o->json, log, service);
    return !o->json.failed;
}

static void load_logs(view_job *job)
{
    uint8_t id[LOOM_TRACE_ID_SIZE];
    log_output o = {.count = 0};
    if (!view_query(job, NULL, NULL) || !view_read_trace_id(job, id)) {
        return;
    }
    pb_init(&o.json, NULL, 0, JSON_MAX);
    json_put_format(&o.json, "{\"logs\":[");
    const loom_status st = store_visit_logs(job->reader, id, LOGS_MAX, write_log, &o);
    json_put_format(&o.json, "]%s}\n", o.count == LOGS_MAX || st == LOOM_ETIMEDOUT ? ",\"truncated\":true" : "");
    if (st != LOOM_OK && st != LOOM_ETIMEDOUT) {
        view_job_fail_read(job, st);
    } else if (o.json.failed) {
        view_job_fail(job, 500, "cannot write the log: %s", loom_status_text(LOOM_ENOMEM));
    } else {
        fwrite(o.json.data, 1, o.json.len, job->out);
    }
    pb_fini(&o.json);
}

void view_logs(void *user, http_request *r)
{
    view_job_start(user, r, load_logs);
}

void view_trace(void *user, http_request *r)
{
    view_job_start(user, r, load_trace);
}
