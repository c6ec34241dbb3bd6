/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/collect/source.h"

#include "base/str.h"
#include "envelope/id.h"

#include <errno.h>
#include <loom/trace.h>
#include <stdlib.h>
#include <string.h>

#define AMBIGUOUS_MAX 4 /* ids named when a prefix fits several */

static loom_status say(trace_source *source, loom_status st, const char *what)
{
    snprintf(source->problem, sizeof source->problem, "%s", what);
    return st;
}

static loom_status open_file(trace_source *source, const char *path)
{
    bool standard_input = strcmp(path, "-") == 0;
    const char *name = standard_input ? "standard input" : path;
    FILE *in = standard_input ? stdin : fopen(path, "re");
    snprintf(source->name, sizeof source->name, "%s", name);
    if (in == NULL) {
        snprintf(source->problem, sizeof source->problem, "cannot read %s: %s", path, strerror(errno));
        return LOOM_EIO;
    }
    loom_status st = source_file_read(&source->file, in, name, &source->report, source->problem, sizeof source->problem);
    if (!standard_input) {
        fclose(in);
    }
    return st;
}

static loom_status open_db(trace_source *source, const char *path)
{
    char *fallback = NULL;
    if (path == NULL) {
        loom_status st = store_default_path(&fallback);
        if (st != LOOM_OK) {
            return say(source, st, st == LOOM_ENOTFOUND ? "HOME is not set: name the database with --db" : loom_status_text(st));
        }
        path = fallback;
    }
    char problem[STORE_PROBLEM_SIZE];
    snprintf(source->name, sizeof source->name, "%s", path);
    loom_status st = store_open_reader(&source->db, path, problem);
    if (st != LOOM_OK) {
        say(source, st, problem);
    }
    free(fallback);
    return st;
}

loom_status trace_source_open(trace_source *source, const char *db, const char *file)
{
    source->db = NULL;
    source->report = (source_file_report){0};
    source->problem[0] = '\0';
    span_list_init(&source->file);
    loom_status st = file != NULL ? open_file(source, file) : open_db(source, db);
    if (st != LOOM_OK) {
        trace_source_close(source);
    }
    return st;
}

void trace_source_close(trace_source *source)
{
    store_close(source->db);
    source->db = NULL;
    span_list_fini(&source->file);
}

/* The store's failures get SQLite's words. */
static loom_status told(trace_source *source, loom_status st)
{
    if (st != LOOM_OK && source->problem[0] == '\0') {
        say(source, st, source->db != NULL && (st == LOOM_EIO || st == LOOM_EBUSY) ? store_problem(source->db) : loom_status_text(st));
    }
    return st;
}

/* ---- list, of a file ---- */

typedef struct attr_search {
    store_attr wanted;
    bool found;
} attr_search;

static bool visit_attr(void *user, otlp_attr attr)
{
    attr_search *search = user;
    char value[1024];
    size_t len;
    search->found = str_equal(attr.key, search->wanted.key) && span_value_text(value, sizeof value, &len, attr.value) &&
                    str_equal((loom_str){value, len}, search->wanted.value);
    return !search->found;
}

static bool has_attr(span_range trace, store_attr wanted)
{
    attr_search search = {.wanted = wanted};
    for (size_t i = 0; i < trace.count && !search.found; i++) {
        otlp_read_span_attrs(trace.spans[i].otlp.span, visit_attr, &search);
    }
    return search.found;
}

static size_t error_count(span_range trace)
{
    size_t count = 0;
    for (size_t i = 0; i < trace.count; i++) {
        count += trace.spans[i].otlp.status == LOOM_SPAN_ERROR;
    }
    return count;
}

/* From the first start to the last end. */
static uint64_t duration(span_range trace)
{
    const uint64_t start = trace.spans[0].otlp.start_unix_ns;
    uint64_t end = start;
    for (size_t i = 0; i < trace.count; i++) {
        end = trace.spans[i].otlp.end_unix_ns > end ? trace.spans[i].otlp.end_unix_ns : end;
    }
    return end - start;
}

static bool passes(span_range trace, const store_filter *filter)
{
    bool service = filter->service.len == 0;
    for (size_t i = 0; i < trace.count && !service; i++) {
        service = str_equal(trace.spans[i].service, filter->service);
    }
    if (!service || trace.spans[0].otlp.start_unix_ns < filter->since_unix_ns) {
        return false;
    }
    const size_t errors = error_count(trace);
    const uint64_t took = duration(trace);
    if ((filter->failed && errors == 0) || took < filter->min_duration_ns || (filter->max_duration_ns > 0 && took > filter->max_duration_ns)) {
        return false;
    }
    for (size_t i = 0; i < filter->attr_count; i++) {
        if (!has_attr(trace, filter->attrs[i])) {
            return false;
        }
    }
    return true;
}

/* The spans of a trace are sorted by start, so its first one says when it started. */
static int newest_first(const void *left, const void *right)
{
    const otlp_span *a = &((const span_range *)left)->spans[0].otlp;
    const otlp_span *b = &((const span_range *)right)->spans[0].otlp;
    int order = (a->start_unix_ns < b->start_unix_ns) - (a->start_unix_ns > b->start_unix_ns);
    return order != 0 ? order : memcmp(a->trace_id, b->trace_id, LOOM_TRACE_ID_SIZE);
}

static int slowest_first(const void *left, const void *right)
{
    const uint64_t a = duration(*(const span_range *)left), b = duration(*(const span_range *)right);
    return a != b ? (a < b) - (a > b) : newest_first(left, right);
}

static loom_status list_file(const span_list *list, const store_filter *filter,
                             bool (*visit)(void *user, const trace_summary *summary), void *user)
{
    span_range *traces = calloc(list->count + 1, sizeof *traces);
    if (traces == NULL) {
        return LOOM_ENOMEM;
    }
    size_t count = 0;
    size_t cursor = 0;
    while (span_list_next_trace(list, &cursor, &traces[count])) {
        count += passes(traces[count], filter);
    }
    qsort(traces, count, sizeof *traces, filter->slowest_first ? slowest_first : newest_first);
    loom_status st = LOOM_OK;
    bool more = true;
    for (size_t i = 0; i < count && i < filter->limit && more && st == LOOM_OK; i++) {
        trace_summary summary;
        if ((st = trace_summary_init(&summary, traces[i])) == LOOM_OK) {
            more = visit(user, &summary);
            trace_summary_fini(&summary);
        }
    }
    free(traces);
    return st;
}

loom_status trace_source_list(trace_source *source, const store_filter *filter,
                              bool (*visit)(void *user, const trace_summary *summary), void *user)
{
    source->problem[0] = '\0';
    return told(source, source->db != NULL ? store_list(source->db, filter, visit, user)
                                           : list_file(&source->file, filter, visit, user));
}

/* ---- find ---- */

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The smallest and the largest id with this prefix, which may be a whole UUID. */
static bool prefix_bounds(const char *prefix, uint8_t first[LOOM_TRACE_ID_SIZE], uint8_t last[LOOM_TRACE_ID_SIZE])
{
    size_t len = strlen(prefix);
    if (trace_id_from_text(first, (loom_str){prefix, len}) == LOOM_OK) {
        memcpy(last, first, LOOM_TRACE_ID_SIZE);
        return true;
    }
    if (len == 0 || len > 2 * LOOM_TRACE_ID_SIZE) {
        return false;
    }
    for (size_t i = 0; i < 2 * LOOM_TRACE_ID_SIZE; i++) {
        int low = i < len ? hex_value(prefix[i]) : 0x0;
        int high = i < len ? low : 0xf;
        if (low < 0) {
            return false;
        }
        first[i / 2] = (uint8_t)(first[i / 2] << 4 | low);
        last[i / 2] = (uint8_t)(last[i / 2] << 4 | high);
    }
    return true;
}

static size_t find_in_file(const span_list *list, const uint8_t *first, const uint8_t *last,
                           uint8_t (*ids)[LOOM_TRACE_ID_SIZE], size_t max)
{
    size_t count = 0;
    size_t cursor = 0;
    span_range trace;
    while (count < max && span_list_next_trace(list, &cursor, &trace)) {
        const uint8_t *id = trace.spans[0].otlp.trace_id;
        if (memcmp(id, first, LOOM_TRACE_ID_SIZE) >= 0 && memcmp(id, last, LOOM_TRACE_ID_SIZE) <= 0) {
            memcpy(ids[count++], id, LOOM_TRACE_ID_SIZE);
        }
    }
    return count;
}

static loom_status not_one(trace_source *source, const char *prefix, uint8_t (*ids)[LOOM_TRACE_ID_SIZE], size_t count)
{
    size_t len = (size_t)snprintf(source->problem, sizeof source->problem,
                                  count == 0 ? "no trace begins with %s in %s" : "more than one trace begins with %s:", prefix,
                                  source->name);
    for (size_t i = 0; i < count; i++) {
        char hex[LOOM_TRACE_ID_HEX_SIZE];
        loom_trace_id_to_hex(hex, ids[i]);
        len += (size_t)snprintf(source->problem + len, sizeof source->problem - len, " %s", hex);
    }
    if (count == AMBIGUOUS_MAX) {
        snprintf(source->problem + len, sizeof source->problem - len, " …");
    }
    return LOOM_ENOTFOUND;
}

loom_status trace_source_find(trace_source *source, const char *prefix, uint8_t id[LOOM_TRACE_ID_SIZE])
{
    uint8_t first[LOOM_TRACE_ID_SIZE] = {0};
    uint8_t last[LOOM_TRACE_ID_SIZE] = {0};
    uint8_t ids[AMBIGUOUS_MAX][LOOM_TRACE_ID_SIZE];
    size_t count = 0;
    source->problem[0] = '\0';
    if (!prefix_bounds(prefix, first, last)) {
        return say(source, LOOM_EINVAL, "a trace id is up to 32 hex digits, or a UUID");
    }
    if (source->db != NULL) {
        loom_status st = store_find(source->db, first, last, ids, AMBIGUOUS_MAX, &count);
        if (st != LOOM_OK) {
            return told(source, st);
        }
    } else {
        count = find_in_file(&source->file, first, last, ids, AMBIGUOUS_MAX);
    }
    if (count != 1) {
        return not_one(source, prefix, ids, count);
    }
    memcpy(id, ids[0], LOOM_TRACE_ID_SIZE);
    return LOOM_OK;
}

loom_status trace_source_latest(trace_source *source, uint8_t id[LOOM_TRACE_ID_SIZE])
{
    source->problem[0] = '\0';
    loom_status st = LOOM_ENOTFOUND;
    if (source->db != NULL) {
        st = store_latest(source->db, id);
    } else {
        size_t cursor = 0;
        span_range trace;
        span_range latest = {0};
        while (span_list_next_trace(&source->file, &cursor, &trace)) {
            latest = latest.count == 0 || newest_first(&trace, &latest) < 0 ? trace : latest;
        }
        if (latest.count > 0) {
            memcpy(id, latest.spans[0].otlp.trace_id, LOOM_TRACE_ID_SIZE);
            st = LOOM_OK;
        }
    }
    if (st == LOOM_ENOTFOUND) {
        snprintf(source->problem, sizeof source->problem, "there are no traces in %s yet", source->name);
    }
    return told(source, st);
}

/* ---- load ---- */

loom_status trace_source_load(trace_source *source, const uint8_t id[LOOM_TRACE_ID_SIZE], span_list *list, span_range *trace)
{
    source->problem[0] = '\0';
    span_list_init(list);
    *trace = (span_range){0};
    const span_list *from = &source->file;
    if (source->db != NULL) {
        loom_status st = store_load(source->db, id, list);
        if (st != LOOM_OK) {
            span_list_fini(list);
            return told(source, st);
        }
        span_list_sort(list);
        from = list;
    }
    size_t cursor = 0;
    while (span_list_next_trace(from, &cursor, trace)) {
        if (memcmp(trace->spans[0].otlp.trace_id, id, LOOM_TRACE_ID_SIZE) == 0) {
            return LOOM_OK;
        }
    }
    *trace = (span_range){0};
    return told(source, LOOM_ENOTFOUND);
}

typedef struct log_loading {
    log_list *list;
    loom_status st;
} log_loading;

static bool add_log(void *user, const log_record *log, loom_str service)
{
    log_loading *l = user;
    l->st = log_list_add(l->list, log, service);
    return l->st == LOOM_OK;
}

loom_status trace_source_load_logs(trace_source *source, const uint8_t id[LOOM_TRACE_ID_SIZE], log_list *list)
{
    log_loading loading = {.list = list};
    uint64_t total = 0;
    source->problem[0] = '\0';
    *list = (log_list){0};
    if (source->db == NULL) {
        return LOOM_OK;
    }
    loom_status st = store_visit_logs(source->db, id, LOG_LIST_MAX, add_log, &loading);
    st = st == LOOM_OK ? loading.st : st;
    if (st == LOOM_OK && list->count == LOG_LIST_MAX && (st = store_count_logs(source->db, id, &total)) == LOOM_OK) {
        list->more = total > list->count ? total - list->count : 0;
    }
    log_list_sort(list);
    return told(source, st);
}
