/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/alloc_fault.h"
#include "tests/unit/collect/trace_fixture.h"
#include "trace/collect/source.h"
#include "trace/otlp/json.h"

#include <stdlib.h>

typedef struct files {
    char folder[64];
    char path[128];
} files;

/* Three traces, one a line; the ladder of trace 0x20 is in two lines. */
static void make_files(files *f, const char *tail)
{
    fixture_folder_make(f->folder);
    snprintf(f->path, sizeof f->path, "%s/spans.jsonl", f->folder);
    FILE *out = fopen(f->path, "w");
    assert_non_null(out);
    const struct {
        uint8_t trace;
        size_t first, count;
    } lines[] = {{0x20, 0, 6}, {0x21, 0, 1}, {0x30, 2, 2}, {0x20, 6, 5}};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        pb_buf request;
        pb_buf json;
        pb_init(&request, NULL, 0, 1 << 20);
        pb_init(&json, NULL, 0, 1 << 20);
        fixture_request(&request, lines[i].trace, fixture_ladder + lines[i].first, lines[i].count);
        assert_status(LOOM_OK, otlp_json_request(&json, (loom_bytes){request.data, request.len}));
        fprintf(out, "%.*s\n", (int)json.len, (const char *)json.data);
        pb_fini(&json);
        pb_fini(&request);
    }
    fputs(tail, out);
    fclose(out);
}

static void spans_of_one_trace_are_collected_from_several_lines(void **state)
{
    (void)state;
    files f;
    trace_source source;
    make_files(&f, "\n  \n");
    assert_status(LOOM_OK, trace_source_open(&source, NULL, f.path));
    assert_false(source.report.cut);
    uint8_t id[LOOM_TRACE_ID_SIZE];
    span_list list;
    span_range trace;
    assert_status(LOOM_OK, trace_source_find(&source, "20", id));
    assert_status(LOOM_OK, trace_source_load(&source, id, &list, &trace));
    assert_int_equal(trace.count, FIXTURE_LADDER_COUNT);
    span_list_fini(&list);
    trace_source_close(&source);
    fixture_folder_remove(f.folder);
}

static void prefix_of_several_traces_names_them(void **state)
{
    (void)state;
    files f;
    trace_source source;
    uint8_t id[LOOM_TRACE_ID_SIZE];
    make_files(&f, "");
    assert_status(LOOM_OK, trace_source_open(&source, NULL, f.path));
    assert_status(LOOM_ENOTFOUND, trace_source_find(&source, "2", id));
    assert_string_equal(source.problem, "more than one trace begins with 2: 20202020202020202020202020202020 21212121212121212121212121212121");
    assert_status(LOOM_ENOTFOUND, trace_source_find(&source, "f", id));
    assert_int_equal(0, strncmp(source.problem, "no trace begins with f in /", 27));
    assert_status(LOOM_EINVAL, trace_source_find(&source, "xyz", id));
    assert_status(LOOM_EINVAL, trace_source_find(&source, "", id));
    trace_source_close(&source);
    fixture_folder_remove(f.folder);
}

static void trace_that_started_last_is_the_latest(void **state)
{
    (void)state;
    files f;
    trace_source source;
    uint8_t id[LOOM_TRACE_ID_SIZE];
    make_files(&f, "");
    assert_status(LOOM_OK, trace_source_open(&source, NULL, f.path));
    assert_status(LOOM_OK, trace_source_latest(&source, id));
    assert_int_equal(id[0], 0x30);
    trace_source_close(&source);
    fixture_folder_remove(f.folder);
}

static bool count_trace(void *user, const trace_summary *summary)
{
    (void)summary;
    ++*(size_t *)user;
    return true;
}

static void file_is_filtered_like_a_database(void **state)
{
    (void)state;
    files f;
    trace_source source;
    make_files(&f, "");
    assert_status(LOOM_OK, trace_source_open(&source, NULL, f.path));
    size_t count = 0;
    const store_filter output = {.service = STR("agent-output"), .limit = 10};
    assert_status(LOOM_OK, trace_source_list(&source, &output, count_trace, &count));
    assert_int_equal(count, 1);
    count = 0;
    const store_filter late = {.since_unix_ns = FIXTURE_START_NS + 1000, .limit = 10};
    assert_status(LOOM_OK, trace_source_list(&source, &late, count_trace, &count));
    assert_int_equal(count, 1);
    count = 0;
    const store_filter two = {.limit = 2};
    assert_status(LOOM_OK, trace_source_list(&source, &two, count_trace, &count));
    assert_int_equal(count, 2);
    trace_source_close(&source);
    fixture_folder_remove(f.folder);
}

static void half_a_line_at_the_end_is_left_out(void **state)
{
    (void)state;
    files f;
    trace_source source;
    make_files(&f, "{\"resourceSpans\":[{\"sco");
    assert_status(LOOM_OK, trace_source_open(&source, NULL, f.path));
    assert_true(source.report.cut);
    assert_int_equal(source.file.count, 14);
    trace_source_close(&source);
    fixture_folder_remove(f.folder);
}

/* As jq, an editor or Jaeger's /api/v3 leave it. */
static void a_document_may_be_indented_marked_and_wrapped(void **state)
{
    (void)state;
    static const char span[] = "{\n  \"resourceSpans\": [\n    {\n      \"scopeSpans\": [{\"spans\": [{\n"
                               "        \"traceId\": \"0af7651916cd43dd8448eb211c80319c\",\n"
                               "        \"spanId\": \"b7ad6b7169203331\", \"name\": \"a \\\"}{ b\"\n"
                               "      }]}]\n    }\n  ]\n}\n";
    static const char *const around[][3] = {{"", "", "\n"}, {"\xef\xbb\xbf", "", ""}, {"{\"result\": ", "}", "\n"},
                                            {"\xef\xbb\xbf{\n \"result\":", "}", ""}};
    for (size_t i = 0; i < sizeof around / sizeof *around; i++) {
        char text[2048];
        files f;
        trace_source source;
        snprintf(text, sizeof text, "%s%.*s%s%s", around[i][0], (int)sizeof span - 2, span, around[i][1], around[i][2]);
        make_files(&f, i == 1 || i == 3 ? "" : text);
        if (i == 1 || i == 3) { /* the mark is at the beginning of a file */
            FILE *out = fopen(f.path, "w");
            assert_non_null(out);
            fputs(text, out);
            fclose(out);
        }
        assert_status(LOOM_OK, trace_source_open(&source, NULL, f.path));
        assert_false(source.report.cut);
        assert_int_equal(source.file.count, i == 1 || i == 3 ? 1 : 15);
        trace_source_close(&source);
        fixture_folder_remove(f.folder);
    }
}

static void bad_lines_are_stepped_over_and_the_first_is_named(void **state)
{
    (void)state;
    files f;
    trace_source source;
    make_files(&f, "{\"resourceSpans\":7}\n{\"resourceSpans\":[{\"resource\n{\"resourceSpans\":8}\n");
    assert_status(LOOM_OK, trace_source_open(&source, NULL, f.path));
    assert_int_equal(14, source.file.count);
    assert_int_equal(3, source.report.bad);
    assert_false(source.report.cut);
    assert_non_null(strstr(source.problem, "spans.jsonl:5: resourceSpans has to be an array"));
    trace_source_close(&source);
    fixture_folder_remove(f.folder);
}

static void a_file_of_bad_lines_alone_is_refused(void **state)
{
    (void)state;
    span_list list;
    source_file_report report;
    char text[] = "not spans\nnor these\n", problem[256];
    FILE *in = fmemopen(text, sizeof text - 1, "r");
    assert_non_null(in);
    span_list_init(&list);
    assert_status(LOOM_EMALFORMED, source_file_read(&list, in, "some", &report, problem, sizeof problem));
    assert_int_equal(2, report.bad);
    assert_int_equal(0, strncmp(problem, "some:1:", 7));
    span_list_fini(&list);
    fclose(in);
}

static void file_that_is_not_there_is_named(void **state)
{
    (void)state;
    trace_source source;
    assert_status(LOOM_EIO, trace_source_open(&source, NULL, "/nowhere/spans.jsonl"));
    assert_string_equal(source.problem, "cannot read /nowhere/spans.jsonl: No such file or directory");
}

static loom_status file_scenario(void *user)
{
    const files *f = user;
    trace_source source;
    loom_status st = trace_source_open(&source, NULL, f->path);
    if (st != LOOM_OK) {
        return st;
    }
    size_t count = 0;
    st = trace_source_list(&source, &(store_filter){.limit = 5}, count_trace, &count);
    trace_source_close(&source);
    return st;
}

static void reading_a_file_reports_every_failed_allocation(void **state)
{
    (void)state;
    files f;
    make_files(&f, "");
    assert_true(alloc_fault_each(file_scenario, &f) > 5);
    fixture_folder_remove(f.folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_of_one_trace_are_collected_from_several_lines),
        cmocka_unit_test(prefix_of_several_traces_names_them),
        cmocka_unit_test(trace_that_started_last_is_the_latest),
        cmocka_unit_test(file_is_filtered_like_a_database),
        cmocka_unit_test(half_a_line_at_the_end_is_left_out),
        cmocka_unit_test(a_document_may_be_indented_marked_and_wrapped),
        cmocka_unit_test(bad_lines_are_stepped_over_and_the_first_is_named),
        cmocka_unit_test(a_file_of_bad_lines_alone_is_refused),
        cmocka_unit_test(file_that_is_not_there_is_named),
        cmocka_unit_test(reading_a_file_reports_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
