/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/str.h"
#include "tests/support/alloc_fault.h"
#include "tests/unit/collect/trace_fixture.h"
#include "trace/collect/logs.h"
#include "trace/collect/otlp_from_json.h"
#include "trace/collect/store.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct fixture {
    char folder[64];
    char path[128];
    char problem[STORE_PROBLEM_SIZE];
    store *db;
} fixture;

static fixture *open_keeping(store_retention keep)
{
    static fixture f;
    fixture_folder_make(f.folder);
    snprintf(f.path, sizeof f.path, "%s/state/loom/traces.db", f.folder);
    assert_status(LOOM_OK, store_open_writer(&f.db, f.path, &keep, f.problem));
    return &f;
}

static fixture *open_fixture(uint64_t retention_spans)
{
    return open_keeping((store_retention){.spans = retention_spans});
}

static void close_fixture(fixture *f)
{
    store_close(f->db);
    fixture_folder_remove(f->folder);
}

static store_receipt add(store *db, uint8_t trace, const fixture_span *spans, size_t count)
{
    pb_buf request;
    store_receipt receipt;
    pb_init(&request, NULL, 0, 1 << 24);
    fixture_request(&request, trace, spans, count);
    assert_status(LOOM_OK, store_add(db, (loom_bytes){request.data, request.len}, &receipt));
    pb_fini(&request);
    return receipt;
}

static fixture_span at_time(uint32_t start_us)
{
    return (fixture_span){.id = 1, .name = "root", .kind = LOOM_SPAN_INTERNAL, .service = "s", .start_us = start_us, .end_us = start_us + 1};
}

typedef struct seen {
    uint8_t traces[16];
    size_t count;
    trace_summary last; /* names are not kept */
} seen;

static bool see(void *user, const trace_summary *summary)
{
    seen *s = user;
    s->traces[s->count++] = summary->trace_id[0];
    s->last = *summary;
    return true;
}

static seen list(store *db, store_filter filter)
{
    seen s = {0};
    filter.limit = filter.limit == 0 ? 16 : filter.limit;
    assert_status(LOOM_OK, store_list(db, &filter, see, &s));
    return s;
}

static void stored_trace_is_loaded_as_it_came(void **state)
{
    (void)state;
    fixture *f = open_fixture(0);
    assert_int_equal(add(f->db, 1, fixture_ladder, FIXTURE_LADDER_COUNT).stored, FIXTURE_LADDER_COUNT);
    span_list sent;
    span_list loaded;
    fixture_list(&sent, 1, fixture_ladder, FIXTURE_LADDER_COUNT);
    span_list_init(&loaded);
    uint8_t id[LOOM_TRACE_ID_SIZE];
    memset(id, 1, sizeof id);
    assert_status(LOOM_OK, store_load(f->db, id, &loaded));
    span_list_sort(&loaded);
    assert_int_equal(loaded.count, sent.count);
    for (size_t i = 0; i < sent.count; i++) {
        assert_int_equal(loaded.items[i].otlp.span.len, sent.items[i].otlp.span.len);
        assert_memory_equal(loaded.items[i].otlp.span.data, sent.items[i].otlp.span.data, sent.items[i].otlp.span.len);
        assert_int_equal(loaded.items[i].service.len, sent.items[i].service.len);
        assert_memory_equal(loaded.items[i].service.data, sent.items[i].service.data, sent.items[i].service.len);
    }
    span_list_fini(&loaded);
    span_list_fini(&sent);
    close_fixture(f);
}

static void assert_schema_urls(const char *resource, const char *scope, const otlp_span *span)
{
    assert_true(str_is(span->resource_schema_url, resource));
    assert_true(str_is(span->scope_schema_url, scope));
}

/* OTLP, ResourceSpans.schema_url and ScopeSpans.schema_url. All else of the two is the same. */
static void schema_urls_stay_with_their_spans(void **state)
{
    (void)state;
    static const char json[] =
        "{\"resourceSpans\":["
        "{\"schemaUrl\":\"r1\",\"scopeSpans\":[{\"schemaUrl\":\"s1\",\"spans\":[{\"name\":\"a\",\"startTimeUnixNano\":\"1\","
        "\"traceId\":\"01010101010101010101010101010101\",\"spanId\":\"0000000000000001\"}]},"
        "{\"spans\":[{\"name\":\"b\",\"startTimeUnixNano\":\"2\","
        "\"traceId\":\"01010101010101010101010101010101\",\"spanId\":\"0000000000000002\"}]}]},"
        "{\"scopeSpans\":[{\"schemaUrl\":\"s1\",\"spans\":[{\"name\":\"c\",\"startTimeUnixNano\":\"3\","
        "\"traceId\":\"01010101010101010101010101010101\",\"spanId\":\"0000000000000003\"}]}]}]}";
    fixture *f = open_fixture(0);
    char problem[OTLP_JSON_PROBLEM_SIZE];
    store_receipt receipt;
    pb_buf request;
    pb_init(&request, NULL, 0, 1 << 16);
    assert_status(LOOM_OK, otlp_from_json(&request, str_of(json), problem));
    assert_status(LOOM_OK, store_add(f->db, (loom_bytes){request.data, request.len}, &receipt));
    pb_fini(&request);
    uint8_t id[LOOM_TRACE_ID_SIZE];
    span_list loaded;
    memset(id, 1, sizeof id);
    span_list_init(&loaded);
    assert_status(LOOM_OK, store_load(f->db, id, &loaded));
    span_list_sort(&loaded);
    assert_int_equal(3, loaded.count);
    assert_schema_urls("r1", "s1", &loaded.items[0].otlp);
    assert_schema_urls("r1", "", &loaded.items[1].otlp);
    assert_schema_urls("", "s1", &loaded.items[2].otlp);
    span_list_fini(&loaded);
    close_fixture(f);
}

static void span_delivered_twice_is_stored_once(void **state)
{
    (void)state;
    fixture *f = open_fixture(0);
    add(f->db, 1, fixture_ladder, 3);
    store_receipt again = add(f->db, 1, fixture_ladder, 5);
    assert_int_equal(again.stored, 2);
    assert_int_equal(again.known, 3);
    assert_int_equal(list(f->db, (store_filter){0}).last.span_count, 5);
    close_fixture(f);
}

static void spans_without_ids_are_rejected_and_the_others_stored(void **state)
{
    (void)state;
    fixture *f = open_fixture(0);
    fixture_span spans[2] = {at_time(0), at_time(1)};
    spans[0].id = 0;
    store_receipt receipt = add(f->db, 1, spans, 2);
    assert_int_equal(receipt.rejected, 1);
    assert_int_equal(receipt.stored, 1);
    close_fixture(f);
}

static void a_trace_is_loaded_as_far_as_the_limits_let(void **state)
{
    (void)state;
    enum { SPANS = 8 };
    static const struct {
        store_limits limits;
        size_t loaded;
    } cases[] = {{{0}, SPANS}, {{.spans = 3}, 3}, {{.spans = SPANS + 1}, SPANS}, {{.bytes = 1}, 1}, {{.read_bytes = 1}, 1},
                 {{.read_spans = 5, .spans = 2}, 2}, {{.read_spans = 5}, 5}};
    fixture *f = open_fixture(0);
    uint8_t id[LOOM_TRACE_ID_SIZE];
    memset(id, 1, sizeof id);
    for (uint8_t i = SPANS; i > 0; i--) { /* each in a block of its own, the latest first */
        fixture_span span = at_time(i);
        span.id = i;
        add(f->db, 1, &span, 1);
    }
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        span_list loaded;
        uint64_t total;
        span_list_init(&loaded);
        assert_status(LOOM_OK, store_load_some(f->db, id, &cases[i].limits, &loaded, &total));
        assert_int_equal(SPANS, total);
        assert_int_equal(cases[i].loaded, loaded.count);
        span_list_sort(&loaded);
        if (cases[i].limits.read_bytes == 0 && cases[i].limits.read_spans == 0) { /* the earliest of all */
            assert_int_equal(1, loaded.items[0].otlp.span_id[LOOM_SPAN_ID_SIZE - 1]);
        }
        span_list_fini(&loaded);
    }
    close_fixture(f);
}

static bool see_and_stop(void *user, const trace_summary *summary)
{
    (void)summary;
    atomic_store((atomic_bool *)user, true);
    return true;
}

static void a_question_ends_when_it_is_told_to(void **state)
{
    (void)state;
    fixture *f = open_fixture(0);
    fixture_span span = at_time(0);
    atomic_bool stop = false;
    span_list list_;
    uint8_t id[LOOM_TRACE_ID_SIZE];
    memset(id, 1, sizeof id);
    for (uint8_t i = 1; i < 5; i++) {
        add(f->db, i, &span, 1);
    }
    store_set_budget(f->db, 60000, &stop);
    assert_int_equal(4, list(f->db, (store_filter){0}).count);
    assert_status(LOOM_ETIMEDOUT, store_list(f->db, &(store_filter){.limit = 16}, see_and_stop, &stop));
    span_list_init(&list_);
    assert_status(LOOM_ETIMEDOUT, store_load(f->db, id, &list_));
    span_list_fini(&list_);
    store_set_budget(f->db, 0, NULL);
    assert_int_equal(4, list(f->db, (store_filter){0}).count);
    close_fixture(f);
}

static void a_list_tells_of_spans_that_came_since_the_last(void **state)
{
    (void)state;
    fixture *f = open_fixture(0);
    fixture_span span = at_time(0);
    add(f->db, 1, &span, 1);
    assert_int_equal(1, list(f->db, (store_filter){0}).last.span_count);
    assert_int_equal(1, list(f->db, (store_filter){0}).last.span_count); /* this one was kept */
    span.id = 2;
    add(f->db, 1, &span, 1);
    assert_int_equal(2, list(f->db, (store_filter){0}).last.span_count);
    close_fixture(f);
}

static void broken_request_leaves_nothing_behind(void **state)
{
    (void)state;
    fixture *f = open_fixture(0);
    pb_buf request;
    store_receipt receipt;
    pb_init(&request, NULL, 0, 1 << 20);
    fixture_request(&request, 1, fixture_ladder, FIXTURE_LADDER_COUNT);
    assert_status(LOOM_EMALFORMED, store_add(f->db, (loom_bytes){request.data, request.len - 1}, &receipt));
    assert_int_equal(receipt.stored, 0);
    assert_int_equal(list(f->db, (store_filter){0}).count, 0);
    pb_fini(&request);
    add(f->db, 1, fixture_ladder, 1); /* the transaction was closed */
    close_fixture(f);
}

static void traces_are_listed_newest_first_up_to_the_limit(void **state)
{
    (void)state;
    fixture *f = open_fixture(0);
    for (uint8_t trace = 1; trace <= 5; trace++) {
        const fixture_span span = at_time(trace == 3 ? 900 : trace);
        add(f->db, trace, &span, 1);
    }
    seen s = list(f->db, (store_filter){.limit = 3});
    assert_int_equal(s.count, 3);
    assert_memory_equal(s.traces, ((uint8_t[]){3, 5, 4}), 3);
    s = list(f->db, (store_filter){.since_unix_ns = FIXTURE_START_NS + 5000});
    assert_memory_equal(s.traces, ((uint8_t[]){3, 5}), 2);
    assert_int_equal(s.count, 2);
    close_fixture(f);
}

static void trace_is_found_by_service_and_by_all_of_its_attributes(void **state)
{
    (void)state;
    fixture *f = open_fixture(0);
    fixture_span spans[2] = {at_time(0), at_time(1)};
    spans[0].key = "topic";
    spans[0].value = "sensor.data";
    spans[1].id = 2;
    spans[1].key = "event_id";
    spans[1].value = "e-1";
    spans[1].service = "other";
    add(f->db, 1, spans, 2);
    add(f->db, 2, spans, 1);
    const store_attr topic = {STR("topic"), STR("sensor.data")};
    const store_attr event = {STR("event_id"), STR("e-1")};
    assert_int_equal(list(f->db, (store_filter){.attrs = {topic}, .attr_count = 1}).count, 2);
    assert_int_equal(list(f->db, (store_filter){.attrs = {topic, event}, .attr_count = 2}).count, 1);
    assert_int_equal(list(f->db, (store_filter){.service = STR("other")}).traces[0], 1);
    assert_int_equal(list(f->db, (store_filter){.service = STR("nobody")}).count, 0);
    assert_int_equal(list(f->db, (store_filter){.attrs = {{STR("topic"), STR("' OR 1=1 --")}}, .attr_count = 1}).count, 0);
    close_fixture(f);
}

static void retention_drops_the_oldest_traces_whole(void **state)
{
    (void)state;
    fixture *f = open_fixture(25);
    for (uint8_t trace = 1; trace <= 4; trace++) {
        fixture_span spans[10];
        for (size_t i = 0; i < 10; i++) {
            spans[i] = at_time(trace * 100u + (uint32_t)i);
            spans[i].id = (uint8_t)(i + 1);
        }
        add(f->db, trace, spans, 10);
    }
    seen s = list(f->db, (store_filter){0});
    assert_int_equal(s.count, 2);
    assert_memory_equal(s.traces, ((uint8_t[]){4, 3}), 2);
    assert_int_equal(s.last.span_count, 10);
    close_fixture(f);
}

/* A trace of one span, which began so many seconds after the first, with an attribute of so many bytes. */
static void add_at(store *db, uint8_t trace, uint32_t start_s, size_t bytes)
{
    pb_buf request;
    store_receipt receipt;
    char *value = malloc(bytes + 1);
    memset(value, 'x', bytes);
    value[bytes] = '\0';
    fixture_span span = at_time(start_s * 1000000u);
    span.key = "k";
    span.value = value;
    pb_init(&request, NULL, 0, 1 << 24);
    fixture_request(&request, trace, &span, 1);
    assert_status(LOOM_OK, store_add(db, (loom_bytes){request.data, request.len}, &receipt));
    pb_fini(&request);
    free(value);
}

/* To keep what began later than so many seconds after the first. */
static store_retention since_second(uint32_t s)
{
    return (store_retention){.age_ns = clock_unix_ns() - FIXTURE_START_NS - s * UINT64_C(1000000000)};
}

static void what_began_too_long_ago_is_dropped_when_spans_come_and_when_none_do(void **state)
{
    (void)state;
    fixture *f = open_keeping(since_second(100));
    add_at(f->db, 1, 0, 1);
    add_at(f->db, 2, 2000, 1); /* which drops the first */
    seen s = list(f->db, (store_filter){0});
    assert_int_equal(s.count, 1);
    assert_int_equal(s.traces[0], 2);
    add_at(f->db, 3, 1000, 1);
    store_close(f->db);
    const store_retention younger = since_second(1500);
    bool more;
    assert_status(LOOM_OK, store_open_writer(&f->db, f->path, &younger, f->problem));
    assert_int_equal(list(f->db, (store_filter){0}).count, 2);
    assert_status(LOOM_OK, store_tidy(f->db, &more));
    assert_false(more);
    s = list(f->db, (store_filter){0});
    assert_int_equal(s.count, 1);
    assert_int_equal(s.traces[0], 2);
    close_fixture(f);
}

static void a_store_stays_below_its_size(void **state)
{
    (void)state;
    enum { MIB = 1024 * 1024 };
    fixture *f = open_keeping((store_retention){.bytes = 4 * MIB});
    for (uint8_t i = 1; i <= 20; i++) {
        add_at(f->db, i, i, MIB / 2);
    }
    seen s = list(f->db, (store_filter){0});
    assert_in_range(s.count, 4, 8);
    assert_int_equal(s.traces[0], 20); /* the newest are kept */
    assert_int_equal(s.traces[s.count - 1], 21 - s.count);
    struct stat info;
    assert_int_equal(0, stat(f->path, &info));
    assert_in_range(info.st_size, 1, 8 * MIB); /* what was dropped made room */
    close_fixture(f);
}

static void more_than_a_transaction_may_drop_is_dropped_by_the_next(void **state)
{
    (void)state;
    enum { SPANS = 200, TRACES = 150 };
    bool more = true;
    unsigned times = 0;
    fixture *f = open_fixture(0);
    static fixture_span spans[SPANS];
    for (unsigned trace = 1; trace <= TRACES; trace++) {
        for (size_t i = 0; i < SPANS; i++) {
            spans[i] = at_time((uint8_t)trace);
            spans[i].id = (uint8_t)(i + 1);
        }
        add(f->db, (uint8_t)trace, spans, SPANS);
    }
    store_close(f->db);
    assert_status(LOOM_OK, store_open_writer(&f->db, f->path, &(store_retention){.spans = SPANS}, f->problem));
    for (; more; times++) {
        assert_status(LOOM_OK, store_tidy(f->db, &more));
    }
    assert_int_equal(2, times);
    assert_int_equal(1, list(f->db, (store_filter){0}).count);
    close_fixture(f);
}

static void a_file_that_may_not_be_written_is_refused_at_once(void **state)
{
    (void)state;
    fixture *f = open_fixture(0);
    store *db;
    store_close(f->db);
    f->db = NULL;
    assert_int_equal(0, chmod(f->path, 0400));
    if (access(f->path, W_OK) == 0) { /* root */
        assert_int_equal(0, chmod(f->path, 0600));
    } else {
        assert_status(LOOM_EDENIED, store_open_writer(&db, f->path, &(store_retention){0}, f->problem));
        assert_non_null(strstr(f->problem, "cannot be written to"));
    }
    assert_status(LOOM_EIO, store_open_writer(&db, f->folder, &(store_retention){0}, f->problem));
    assert_non_null(strstr(f->problem, "is a folder"));
    assert_status(LOOM_EIO, store_open_writer(&db, "/proc/none/traces.db", &(store_retention){0}, f->problem));
    assert_non_null(strstr(f->problem, "No such file or directory"));
    close_fixture(f);
}

static void newest_trace_is_kept_however_large(void **state)
{
    (void)state;
    fixture *f = open_fixture(2);
    add(f->db, 1, fixture_ladder, FIXTURE_LADDER_COUNT);
    assert_int_equal(list(f->db, (store_filter){0}).last.span_count, FIXTURE_LADDER_COUNT);
    close_fixture(f);
}

static void reader_sees_what_a_writer_has_stored_meanwhile(void **state)
{
    (void)state;
    fixture *f = open_fixture(0);
    store *reader;
    assert_status(LOOM_OK, store_open_reader(&reader, f->path, f->problem));
    uint8_t id[LOOM_TRACE_ID_SIZE];
    assert_status(LOOM_ENOTFOUND, store_latest(reader, id));
    add(f->db, 9, fixture_ladder, 1);
    assert_status(LOOM_OK, store_latest(reader, id));
    assert_int_equal(id[0], 9);
    store_close(reader);
    close_fixture(f);
}

static void stored_spans_survive_closing(void **state)
{
    (void)state;
    fixture *f = open_fixture(0);
    add(f->db, 9, fixture_ladder, 4);
    store_close(f->db);
    assert_status(LOOM_OK, store_open_writer(&f->db, f->path, &(store_retention){0}, f->problem));
    assert_int_equal(list(f->db, (store_filter){0}).last.span_count, 4);
    close_fixture(f);
}

static void reading_a_database_that_is_not_there_says_so(void **state)
{
    (void)state;
    char problem[STORE_PROBLEM_SIZE];
    store *db;
    assert_status(LOOM_ENOTFOUND, store_open_reader(&db, "/nowhere/at/all.db", problem));
    assert_null(db);
    assert_non_null(strstr(problem, "/nowhere/at/all.db"));
}

static void file_of_another_program_is_refused(void **state)
{
    (void)state;
    char folder[64];
    char path[128];
    char problem[STORE_PROBLEM_SIZE];
    fixture_folder_make(folder);
    snprintf(path, sizeof path, "%s/other.db", folder);
    sqlite3 *other;
    assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "CREATE TABLE mine (a)", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(other);
    store *db;
    assert_status(LOOM_EVERSION, store_open_writer(&db, path, &(store_retention){0}, problem));
    assert_null(db);
    assert_status(LOOM_EVERSION, store_open_reader(&db, path, problem));
    snprintf(path, sizeof path, "%s/text", folder);
    FILE *text = fopen(path, "w");
    assert_non_null(text);
    for (int i = 0; i < 1000; i++) {
        fputs("this is no database\n", text);
    }
    fclose(text);
    assert_status(LOOM_EIO, store_open_reader(&db, path, problem));
    assert_null(db);
    fixture_folder_remove(folder);
}

/* ---- by duration, failure and link ---- */

static void slowest_and_failed_traces_are_found_among_all(void **state)
{
    (void)state;
    fixture *f = open_fixture(0);
    for (uint8_t trace = 1; trace <= 5; trace++) {
        fixture_span spans[2] = {at_time(trace * 10), at_time(trace * 10)};
        spans[0].end_us = spans[0].start_us + 1000u * (trace % 4); /* 1, 2, 3, 0, 1 ms */
        spans[1].id = 2;
        spans[1].status = trace == 2 ? LOOM_SPAN_ERROR : LOOM_SPAN_UNSET;
        add(f->db, trace, spans, 2);
    }
    const seen slow = list(f->db, (store_filter){.slowest_first = true, .limit = 2});
    assert_int_equal(slow.count, 2);
    assert_int_equal(slow.traces[0], 3);
    assert_int_equal(slow.traces[1], 2);
    const seen failed = list(f->db, (store_filter){.failed = true});
    assert_int_equal(failed.count, 1);
    assert_int_equal(failed.traces[0], 2);
    const seen between = list(f->db, (store_filter){.min_duration_ns = 1000000, .max_duration_ns = 2000000});
    assert_int_equal(between.count, 3);
    assert_int_equal(list(f->db, (store_filter){.failed = true, .service = STR("nobody")}).count, 0);
    fixture_span more = at_time(40); /* a span that comes later makes its trace the slowest, and a failed one */
    more.id = 3;
    more.end_us = 50000;
    more.status = LOOM_SPAN_ERROR;
    add(f->db, 4, &more, 1);
    assert_int_equal(list(f->db, (store_filter){.slowest_first = true}).traces[0], 4);
    assert_int_equal(list(f->db, (store_filter){.failed = true}).count, 2);
    close_fixture(f);
}

static void run_sql(const char *path, const char *sql)
{
    sqlite3 *raw;
    assert_int_equal(sqlite3_open(path, &raw), SQLITE_OK);
    assert_int_equal(sqlite3_exec(raw, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(raw);
}

/* ---- logs ---- */

static loom_status add_logs(store *db, const char *json, store_receipt *receipt)
{
    pb_buf request;
    char why[OTLP_JSON_PROBLEM_SIZE];
    pb_init(&request, NULL, 0, 1 << 20);
    assert_status(LOOM_OK, otlp_logs_from_json(&request, str_of(json), why));
    const loom_status st = store_add_logs(db, (loom_bytes){request.data, request.len}, receipt);
    pb_fini(&request);
    return st;
}

#define TRACE_1 "01010101010101010101010101010101"
#define LOGS(records) "{\"resourceLogs\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{\"stringValue\":\"shop\"}}]},\"scopeLogs\":[{\"logRecords\":[" records "]}]}]}"
#define LOG(time, text) "{\"traceId\":\"" TRACE_1 "\",\"spanId\":\"0000000000000007\",\"timeUnixNano\":\"" time "\",\"severityNumber\":17,\"severityText\":\"ERROR\",\"body\":{\"stringValue\":\"" text "\"},\"attributes\":[{\"key\":\"n\",\"value\":{\"intValue\":\"3\"}}]}"

static bool print_log(void *user, const log_record *log, loom_str service)
{
    log_print_json(user, log, service);
    return true;
}

/* The logs of trace 1 as JSON, one behind the other. */
static void assert_logs(store *db, const char *expected)
{
    pb_buf out;
    uint8_t id[LOOM_TRACE_ID_SIZE];
    memset(id, 1, sizeof id);
    pb_init(&out, NULL, 0, 1 << 16);
    assert_status(LOOM_OK, store_visit_logs(db, id, 10, print_log, &out));
    pb_raw(&out, "", 1);
    assert_string_equal(expected, (const char *)out.data);
    pb_fini(&out);
}

#define SHOWN(time, text) "{\"time_unix_ns\":\"" time "\",\"span_id\":\"0000000000000007\",\"severity\":17,\"severity_text\":\"ERROR\",\"service\":\"shop\",\"body\":\"" text "\",\"attributes\":[[\"n\",3]]}"

static void log_records_are_found_by_their_trace_in_the_order_of_their_times(void **state)
{
    (void)state;
    fixture *f = open_fixture(0);
    store_receipt receipt;
    uint64_t count;
    uint8_t id[LOOM_TRACE_ID_SIZE];
    memset(id, 1, sizeof id);
    assert_logs(f->db, "");
    assert_status(LOOM_OK, add_logs(f->db, LOGS(LOG("2000", "later") "," LOG("1000", "first")), &receipt)); /* before any span */
    assert_int_equal(2, receipt.stored);
    assert_logs(f->db, SHOWN("1000", "first") SHOWN("2000", "later"));
    assert_status(LOOM_OK, store_count_logs(f->db, id, &count));
    assert_int_equal(2, count);
    close_fixture(f);
}

static void log_records_without_a_place_are_rejected_and_those_sent_again_are_known(void **state)
{
    (void)state;
    fixture *f = open_fixture(0);
    store_receipt receipt;
    char large[STORE_LOG_MAX + 1024];
    assert_status(LOOM_OK, add_logs(f->db, LOGS("{\"body\":{\"stringValue\":\"of no trace\"}}," LOG("1", "kept")), &receipt));
    assert_int_equal(1, receipt.stored);
    assert_int_equal(1, receipt.rejected);
    assert_status(LOOM_OK, add_logs(f->db, LOGS(LOG("1", "kept")), &receipt));
    assert_int_equal(0, receipt.stored);
    assert_int_equal(1, receipt.known);
    const int head = snprintf(large, sizeof large, "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"traceId\":\"" TRACE_1 "\",\"severityText\":\"");
    memset(large + head, 'x', STORE_LOG_MAX);
    snprintf(large + head + STORE_LOG_MAX, sizeof large - (size_t)head - STORE_LOG_MAX, "\"}]}]}]}");
    assert_status(LOOM_OK, add_logs(f->db, large, &receipt));
    assert_int_equal(1, receipt.rejected);
    assert_logs(f->db, SHOWN("1", "kept"));
    close_fixture(f);
}

static void log_records_go_with_their_trace(void **state)
{
    (void)state;
    fixture *f = open_fixture(1); /* one span is kept */
    store_receipt receipt;
    fixture_span spans[2] = {at_time(1), at_time(2)};
    add(f->db, 1, &spans[0], 1);
    assert_status(LOOM_OK, add_logs(f->db, LOGS(LOG("1", "gone")), &receipt));
    add(f->db, 2, &spans[1], 1);
    assert_int_equal(1, list(f->db, (store_filter){0}).count);
    assert_logs(f->db, "");
    close_fixture(f);
}

static void a_request_of_logs_that_is_none_stores_nothing(void **state)
{
    (void)state;
    static const uint8_t bad[] = {0x0a, 8, 0x12, 6, 0x12, 4, 0x4a, 2, 1, 1}; /* a trace id of two bytes */
    static const uint8_t cut[] = {0x0a, 8, 0x12};
    fixture *f = open_fixture(0);
    store_receipt receipt;
    assert_status(LOOM_EMALFORMED, store_add_logs(f->db, (loom_bytes){bad, sizeof bad}, &receipt));
    assert_status(LOOM_EMALFORMED, store_add_logs(f->db, (loom_bytes){cut, sizeof cut}, &receipt));
    assert_status(LOOM_OK, store_add_logs(f->db, (loom_bytes){0}, &receipt));
    assert_status(LOOM_OK, add_logs(f->db, LOGS(LOG("1", "goes on")), &receipt));
    assert_logs(f->db, SHOWN("1", "goes on"));
    close_fixture(f);
}

static void database_of_version_3_is_brought_up_to_date(void **state)
{
    (void)state;
    fixture *f = open_fixture(0);
    store_receipt receipt;
    fixture_span span = at_time(1);
    add(f->db, 1, &span, 1);
    store_close(f->db);
    run_sql(f->path, "DROP TABLE logs; PRAGMA user_version = 3;");
    assert_status(LOOM_OK, store_open_writer(&f->db, f->path, &(store_retention){0}, f->problem));
    assert_int_equal(1, list(f->db, (store_filter){0}).count);
    assert_status(LOOM_OK, add_logs(f->db, LOGS(LOG("1", "now")), &receipt));
    assert_logs(f->db, SHOWN("1", "now"));
    close_fixture(f);
}

static void database_of_version_2_is_brought_up_to_date(void **state)
{
    (void)state;
    fixture *f = open_fixture(0);
    fixture_span spans[2] = {at_time(1), at_time(2)};
    spans[0].end_us = 7000;
    spans[0].status = LOOM_SPAN_ERROR;
    add(f->db, 1, &spans[0], 1);
    add(f->db, 2, &spans[1], 1);
    store_close(f->db);
    run_sql(f->path, "DROP INDEX traces_by_duration; DROP INDEX traces_failed; DROP TABLE links; DROP TABLE logs; ALTER TABLE traces DROP COLUMN finish;"
                     "ALTER TABLE traces DROP COLUMN errors; PRAGMA user_version = 2;");
    store *reader;
    assert_status(LOOM_EVERSION, store_open_reader(&reader, f->path, f->problem));
    assert_non_null(strstr(f->problem, "loom trace collect"));
    assert_status(LOOM_OK, store_open_writer(&f->db, f->path, &(store_retention){0}, f->problem));
    assert_int_equal(list(f->db, (store_filter){.failed = true}).traces[0], 1);
    assert_int_equal(list(f->db, (store_filter){.slowest_first = true}).traces[0], 1);
    assert_int_equal(list(f->db, (store_filter){.min_duration_ns = 6999000, .max_duration_ns = 6999000}).count, 1);
    spans[1].id = 9;
    assert_int_equal(add(f->db, 3, &spans[1], 1).stored, 1);
    close_fixture(f);
}

/* A span of one trace that links to a span of another. */
static void add_linking(store *db, uint8_t trace, uint8_t to)
{
    pb_buf request;
    store_receipt receipt;
    uint8_t trace_id[LOOM_TRACE_ID_SIZE], to_id[LOOM_TRACE_ID_SIZE], span_id[LOOM_SPAN_ID_SIZE] = {trace};
    memset(trace_id, trace, sizeof trace_id);
    memset(to_id, to, sizeof to_id);
    pb_init(&request, NULL, 0, 1 << 16);
    const size_t resource_spans = pb_open(&request, 1), scope_spans = pb_open(&request, 2), span = pb_open(&request, 2);
    pb_bytes_field(&request, 1, trace_id, sizeof trace_id);
    pb_bytes_field(&request, 2, span_id, sizeof span_id);
    pb_fixed64_field(&request, 7, FIXTURE_START_NS);
    const size_t link = pb_open(&request, 13);
    pb_bytes_field(&request, 1, to_id, sizeof to_id);
    pb_bytes_field(&request, 2, span_id, sizeof span_id);
    pb_close(&request, link);
    pb_close(&request, span);
    pb_close(&request, scope_spans);
    pb_close(&request, resource_spans);
    assert_status(LOOM_OK, store_add(db, (loom_bytes){request.data, request.len}, &receipt));
    pb_fini(&request);
}

static void traces_that_link_to_one_are_found_until_they_are_dropped(void **state)
{
    (void)state;
    fixture *f = open_fixture(3);
    uint8_t id[LOOM_TRACE_ID_SIZE], found[4][LOOM_TRACE_ID_SIZE];
    size_t count;
    memset(id, 1, sizeof id);
    add_linking(f->db, 2, 1);
    add_linking(f->db, 3, 1);
    add_linking(f->db, 1, 1); /* to itself: its own spans tell */
    assert_status(LOOM_OK, store_linking(f->db, id, found, 4, &count));
    assert_int_equal(count, 2);
    assert_int_equal(found[0][0], 3);
    assert_status(LOOM_OK, store_linking(f->db, id, found, 1, &count));
    assert_int_equal(count, 1);
    const fixture_span late = at_time(1);
    add(f->db, 4, &late, 1); /* one of those that are older goes */
    add(f->db, 5, &late, 1);
    add(f->db, 6, &late, 1);
    assert_status(LOOM_OK, store_linking(f->db, id, found, 4, &count));
    assert_int_equal(count, 0);
    close_fixture(f);
}

static void default_path_follows_the_xdg_directories(void **state)
{
    (void)state;
    char *path;
    setenv("HOME", "/home/someone", 1);
    setenv("XDG_STATE_HOME", "/state", 1);
    assert_status(LOOM_OK, store_default_path(&path));
    assert_string_equal(path, "/state/loom/traces.db");
    free(path);
    setenv("XDG_STATE_HOME", "relative", 1);
    assert_status(LOOM_OK, store_default_path(&path));
    assert_string_equal(path, "/home/someone/.local/state/loom/traces.db");
    free(path);
    unsetenv("HOME");
    assert_status(LOOM_ENOTFOUND, store_default_path(&path));
    setenv("LOOM_TRACE_DB", "here.db", 1);
    assert_status(LOOM_OK, store_default_path(&path));
    assert_string_equal(path, "here.db");
    free(path);
    unsetenv("LOOM_TRACE_DB");
}

/* ---- requests of more spans than a slice ---- */

/* Span ids from first on, one after the other, of a few traces in turn. */
static void put_numbered_spans(pb_buf *out, uint32_t first, uint32_t count, uint8_t traces)
{
    size_t resource_spans = pb_open(out, 1);
    size_t scope_spans = pb_open(out, 2);
    for (uint32_t i = first; i < first + count; i++) {
        uint8_t trace_id[LOOM_TRACE_ID_SIZE], span_id[LOOM_SPAN_ID_SIZE] = {1, 0, 0, 0, (uint8_t)(i >> 24), (uint8_t)(i >> 16),
                                                                            (uint8_t)(i >> 8), (uint8_t)i};
        memset(trace_id, 1 + (int)(i % traces), sizeof trace_id);
        size_t span = pb_open(out, 2);
        pb_bytes_field(out, 1, trace_id, sizeof trace_id);
        pb_bytes_field(out, 2, span_id, sizeof span_id);
        pb_fixed64_field(out, 7, FIXTURE_START_NS + i);
        pb_fixed64_field(out, 8, FIXTURE_START_NS + i + 1);
        pb_close(out, span);
    }
    pb_close(out, scope_spans);
    pb_close(out, resource_spans);
}

static store_receipt add_numbered(store *db, uint32_t first, uint32_t count, uint8_t traces)
{
    pb_buf request;
    store_receipt receipt;
    pb_init(&request, NULL, 0, 1 << 24);
    put_numbered_spans(&request, first, count, traces);
    assert_status(LOOM_OK, store_add(db, (loom_bytes){request.data, request.len}, &receipt));
    pb_fini(&request);
    return receipt;
}

static void large_request_is_stored_whole_and_known_when_it_comes_again(void **state)
{
    (void)state;
    fixture *f = open_fixture(0);
    assert_int_equal(add_numbered(f->db, 0, 30000, 3).stored, 30000);
    store_receipt again = add_numbered(f->db, 20000, 20000, 3);
    assert_int_equal(again.known, 10000);
    assert_int_equal(again.stored, 10000);
    seen s = list(f->db, (store_filter){0});
    assert_int_equal(s.count, 3);
    assert_int_equal(s.last.span_count, 40000 / 3 + 1);
    assert_int_equal(s.last.start_unix_ns, FIXTURE_START_NS);
    close_fixture(f);
}

static void span_twice_in_one_request_is_stored_once(void **state)
{
    (void)state;
    fixture *f = open_fixture(0);
    fixture_span spans[3] = {at_time(5), at_time(6), at_time(7)};
    spans[2].id = 2;
    store_receipt receipt = add(f->db, 1, spans, 3);
    assert_int_equal(receipt.stored, 2);
    assert_int_equal(receipt.known, 1);
    seen s = list(f->db, (store_filter){0});
    assert_int_equal(s.last.span_count, 2);
    assert_int_equal(s.last.start_unix_ns, FIXTURE_START_NS + 5000); /* the first of the two is kept */
    close_fixture(f);
}

static void dropped_trace_leaves_nothing_and_may_come_again(void **state)
{
    (void)state;
    fixture *f = open_fixture(1);
    const fixture_span early = at_time(1), late = at_time(2);
    add(f->db, 1, &early, 1);
    add(f->db, 2, &late, 1);
    assert_int_equal(list(f->db, (store_filter){0}).count, 1);
    assert_int_equal(add(f->db, 1, &late, 1).stored, 1); /* neither of the two is the older: one is dropped */
    assert_int_equal(list(f->db, (store_filter){0}).count, 1);
    sqlite3 *raw;
    sqlite3_stmt *rows;
    assert_int_equal(sqlite3_open(f->path, &raw), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(raw, "SELECT (SELECT count(*) FROM span_ids), (SELECT count(*) FROM blocks)", -1, &rows, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(rows), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(rows, 0), 1);
    assert_int_equal(sqlite3_column_int(rows, 1), 1);
    sqlite3_finalize(rows);
    sqlite3_close(raw);
    close_fixture(f);
}

static loom_status store_scenario(void *user)
{
    fixture *f = user;
    char problem[STORE_PROBLEM_SIZE];
    store *db;
    loom_status st = store_open_reader(&db, f->path, problem);
    if (st != LOOM_OK) {
        return st;
    }
    span_list spans;
    uint8_t id[LOOM_TRACE_ID_SIZE];
    memset(id, 1, sizeof id);
    span_list_init(&spans);
    st = store_load(db, id, &spans);
    seen s = {0};
    if (st == LOOM_OK) {
        st = store_list(db, &(store_filter){.limit = 1}, see, &s);
    }
    span_list_fini(&spans);
    store_close(db);
    return st;
}

static void reading_reports_every_failed_allocation(void **state)
{
    (void)state;
    fixture *f = open_fixture(0);
    add(f->db, 1, fixture_ladder, FIXTURE_LADDER_COUNT);
    assert_true(alloc_fault_each(store_scenario, f) > 3);
    close_fixture(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stored_trace_is_loaded_as_it_came),
        cmocka_unit_test(schema_urls_stay_with_their_spans),
        cmocka_unit_test(span_delivered_twice_is_stored_once),
        cmocka_unit_test(spans_without_ids_are_rejected_and_the_others_stored),
        cmocka_unit_test(a_trace_is_loaded_as_far_as_the_limits_let),
        cmocka_unit_test(a_question_ends_when_it_is_told_to),
        cmocka_unit_test(a_list_tells_of_spans_that_came_since_the_last),
        cmocka_unit_test(broken_request_leaves_nothing_behind),
        cmocka_unit_test(traces_are_listed_newest_first_up_to_the_limit),
        cmocka_unit_test(trace_is_found_by_service_and_by_all_of_its_attributes),
        cmocka_unit_test(retention_drops_the_oldest_traces_whole),
        cmocka_unit_test(what_began_too_long_ago_is_dropped_when_spans_come_and_when_none_do),
        cmocka_unit_test(a_store_stays_below_its_size),
        cmocka_unit_test(more_than_a_transaction_may_drop_is_dropped_by_the_next),
        cmocka_unit_test(a_file_that_may_not_be_written_is_refused_at_once),
        cmocka_unit_test(newest_trace_is_kept_however_large),
        cmocka_unit_test(reader_sees_what_a_writer_has_stored_meanwhile),
        cmocka_unit_test(stored_spans_survive_closing),
        cmocka_unit_test(slowest_and_failed_traces_are_found_among_all),
        cmocka_unit_test(database_of_version_2_is_brought_up_to_date),
        cmocka_unit_test(database_of_version_3_is_brought_up_to_date),
        cmocka_unit_test(log_records_are_found_by_their_trace_in_the_order_of_their_times),
        cmocka_unit_test(log_records_without_a_place_are_rejected_and_those_sent_again_are_known),
        cmocka_unit_test(log_records_go_with_their_trace),
        cmocka_unit_test(a_request_of_logs_that_is_none_stores_nothing),
        cmocka_unit_test(traces_that_link_to_one_are_found_until_they_are_dropped),
        cmocka_unit_test(reading_a_database_that_is_not_there_says_so),
        cmocka_unit_test(file_of_another_program_is_refused),
        cmocka_unit_test(default_path_follows_the_xdg_directories),
        cmocka_unit_test(large_request_is_stored_whole_and_known_when_it_comes_again),
        cmocka_unit_test(span_twice_in_one_request_is_stored_once),
        cmocka_unit_test(dropped_trace_leaves_nothing_and_may_come_again),
        cmocka_unit_test(reading_reports_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
