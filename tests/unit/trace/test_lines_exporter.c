/* SPDX-License-Identifier: Apache-2.0 */
/* The line format of trace/process/libraries/FORMAT.md, as libloom writes it. What the libraries of other languages have in
 * common with it is in tests/integration/libraries. */
#include "tests/support/check.h"
#include "trace/export/exporter.h"

#include <fcntl.h>
#include <loom/span.h>
#include <stdlib.h>
#include <unistd.h>

enum { PLENTY_MS = 20000 };
static const uint64_t began_ns = 1700000000123456789u;

static void make_span(loom_tracer_provider *provider, const char *text)
{
    const loom_attr with = {.key = "n", .type = LOOM_ATTR_DOUBLE, .value.real = 0.5};
    const loom_trace_context other = {.trace_id = {1}, .span_id = {2}, .trace_flags = LOOM_TRACE_FLAG_SAMPLED};
    loom_span *span = loom_span_start(loom_tracer_get(provider, "scope", "1.2"), "work",
                                      &(loom_span_options){.kind = LOOM_SPAN_CONSUMER, .start_unix_ns = began_ns});
    loom_span_set_string(span, "text", text);
    loom_span_add_event_at(span, "done", began_ns + 1, &with, 1);
    loom_span_add_link(span, &(loom_link){.context = other});
    loom_span_set_status(span, LOOM_SPAN_ERROR, "queue is full");
    loom_span_end_at(span, began_ns + 2500000);
}

static void export_spans(const char *text, size_t count, uint32_t shutdown_ms)
{
    loom_span_processor *processor;
    loom_tracer_provider *provider;
    const loom_sampler always = {.kind = LOOM_SAMPLER_ALWAYS_ON};
    const loom_span_processor_options options = {.exporter = LOOM_EXPORTER_LINES};
    assert_status(LOOM_OK, loom_span_processor_create(&processor, &options));
    assert_status(LOOM_OK, loom_tracer_provider_create(&provider, &(loom_tracer_provider_options){
                                                                      .service_name = "s", .sampler = &always, .processor = processor}));
    for (size_t i = 0; i < count; i++) {
        make_span(provider, text);
    }
    (void)loom_span_processor_shutdown(processor, shutdown_ms);
    loom_tracer_provider_unref(provider);
    loom_span_processor_unref(processor);
}

/* Standard error is file while the spans are exported. */
static void export_to(int fd, const char *text, size_t count, uint32_t shutdown_ms)
{
    const int saved = dup(STDERR_FILENO);
    assert_true(dup2(fd, STDERR_FILENO) >= 0);
    export_spans(text, count, shutdown_ms);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    close(saved);
}

static char *written(const char *text, size_t count)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    export_to(fileno(file), text, count, PLENTY_MS);
    const long size = ftell((fseek(file, 0, SEEK_END), file));
    char *out = calloc(1, (size_t)size + 1);
    assert_non_null(out);
    rewind(file);
    assert_int_equal(size, fread(out, 1, (size_t)size, file));
    fclose(file);
    return out;
}

static void a_span_is_one_line_with_all_that_it_has(void **state)
{
    (void)state;
    char *line = written("a \"b\"\n", 1);
    assert_int_equal(0, strncmp(line, "__LOOM_TRACE__:{\"trace_id\":\"", 28));
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
    assert_non_null(strstr(line, ",\"name\":\"work\",\"start_time\":\"2023-11-14T22:13:20.123456789Z\","
                                 "\"end_time\":\"2023-11-14T22:13:20.125956789Z\",\"attributes\":{\"text\":\"a \\\"b\\\"\\n\"},"
                                 "\"status\":\"error\",\"status_message\":\"queue is full\",\"kind\":\"consumer\","
                                 "\"events\":[{\"name\":\"done\",\"time\":\"2023-11-14T22:13:20.123456790Z\",\"attributes\":{\"n\":0.5}}],"
                                 "\"links\":[{\"trace_id\":\"01000000000000000000000000000000\",\"span_id\":\"0200000000000000\","
                                 "\"attributes\":{}}],\"service\":\"s\",\"scope\":{\"name\":\"scope\",\"version\":\"1.2\"}}\n"));
    assert_null(strstr(line, "parent_id"));
    free(line);
}

static void a_line_that_would_be_too_long_leaves_out_what_makes_it_so(void **state)
{
    (void)state;
    char *text = calloc(1, 60001);
    assert_non_null(text);
    memset(text, 1, 60000); /* six characters each, as JSON */
    char *line = written(text, 1);
    assert_true(strlen(line) < 262144);
    assert_non_null(strstr(line, "\"attributes\":{},\"status\":\"error\",\"status_message\":\"queue is full\""));
    assert_non_null(strstr(line, ",\"dropped_events\":1,\"dropped_links\":1,\"dropped_attributes\":1,"));
    free(line);
    free(text);
}

static void tenant_and_organisation_are_those_of_the_baggage_unless_a_span_has_its_own(void **state)
{
    (void)state;
    assert_int_equal(0, setenv("LOOM_TRACE_BAGGAGE", "tenant_id=foo;DROP TABLE users,org_id=a%20b,org_id=%C3%A9", 1));
    char *line = written("x", 1);
    assert_non_null(strstr(line, "{\"text\":\"x\",\"tenant_id\":\"foo\",\"org_id\":\"\xc3\xa9\"}"));
    free(line);
    assert_int_equal(0, unsetenv("LOOM_TRACE_BAGGAGE"));
}

static void a_pipe_without_a_reader_does_not_kill_the_program(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(0, pipe(ends));
    close(ends[0]);
    export_to(ends[1], "x", 100, PLENTY_MS); /* SIGPIPE has its default action here */
    close(ends[1]);
}

static void a_pipe_that_nobody_reads_does_not_keep_a_shutdown(void **state)
{
    (void)state;
    int ends[2];
    static const char page[4096];
    assert_int_equal(0, pipe2(ends, O_NONBLOCK));
    while (write(ends[1], page, sizeof page) > 0) {
    }
    assert_int_equal(0, fcntl(ends[1], F_SETFL, 0)); /* a write would wait now */
    export_to(ends[1], "x", 1, 200);
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_span_is_one_line_with_all_that_it_has),
        cmocka_unit_test(a_line_that_would_be_too_long_leaves_out_what_makes_it_so),
        cmocka_unit_test(tenant_and_organisation_are_those_of_the_baggage_unless_a_span_has_its_own),
        cmocka_unit_test(a_pipe_without_a_reader_does_not_kill_the_program),
        cmocka_unit_test(a_pipe_that_nobody_reads_does_not_keep_a_shutdown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
