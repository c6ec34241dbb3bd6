/* SPDX-License-Identifier: Apache-2.0 */
#include <loom/log.h>

#include "tests/unit/trace/recorded.h"

#include <fcntl.h>
#include <unistd.h>

#define START 1700000000000000000u

/* A provider whose finished spans go to a log in a file. */
typedef struct logging {
    char path[32];
    loom_logger *log;
    loom_span_processor *processor;
    loom_tracer_provider *provider;
    loom_tracer *tracer;
    char text[32 * 1024];
} logging;

static void logging_open(logging *l, const char *spans, loom_log_format format)
{
    (void)snprintf(l->path, sizeof l->path, "/tmp/loom-log-XXXXXX");
    int fd = mkstemp(l->path);
    assert_true(fd >= 0);
    close(fd);
    assert_status(LOOM_OK, loom_logger_create(&l->log, &(loom_logger_options){.path = l->path, .format = format,
                                                                              .service_name = "not this one"}));
    loom_span_processor_options options = {.exporter = LOOM_EXPORTER_NONE, .log_spans = spans, .span_logger = l->log};
    loom_sampler always = {.kind = LOOM_SAMPLER_ALWAYS_ON};
    assert_status(LOOM_OK, loom_span_processor_create(&l->processor, &options));
    assert_status(LOOM_OK, loom_tracer_provider_create(&l->provider, &(loom_tracer_provider_options){
                                                                         .service_name = "backend", .sampler = &always,
                                                                         .processor = l->processor}));
    l->tracer = loom_tracer_get(l->provider, "tests", NULL);
}

static void logging_span(logging *l, const char *name, uint64_t ns, bool fails)
{
    const loom_trace_context parent = {.trace_id = {0xab}, .span_id = {0xcd}, .trace_flags = 1};
    loom_span *span = loom_span_start(l->tracer, name, &(loom_span_options){.kind = LOOM_SPAN_SERVER, .parent = &parent,
                                                                            .start_unix_ns = START});
    loom_span_set_string(span, "tenant_id", "acme");
    loom_span_set_int(span, "size", 3);
    loom_span_set_double(span, "ratio", 0.5);
    if (fails) {
        loom_span_set_status(span, LOOM_SPAN_ERROR, "no such image");
    }
    loom_span_end_at(span, START + ns);
}

static const char *logging_text(logging *l)
{
    assert_status(LOOM_OK, loom_span_processor_flush(l->processor, 10000));
    int fd = open(l->path, O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, l->text, sizeof l->text - 1);
    assert_true(n >= 0);
    l->text[n] = '\0';
    close(fd);
    return l->text;
}

static void logging_close(logging *l)
{
    loom_tracer_provider_unref(l->provider);
    loom_span_processor_unref(l->processor);
    loom_logger_unref(l->log);
    unlink(l->path);
}

static void a_finished_span_is_a_line_that_grep_finds(void **state)
{
    (void)state;
    logging l;
    logging_open(&l, "all,attr:tenant_id,attr:ratio", LOOM_LOG_JSON);
    logging_span(&l, "CreateProcess", 45200000, false);
    const char *text = logging_text(&l);
    assert_ptr_equal(text + strlen(text) - 1, strchr(text, '\n'));
    json_error_t error;
    json_t *record = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    assert_non_null(record);
    assert_string_equal("span completed", recorded_string(record, "message"));
    assert_string_equal("2023-11-14T22:13:20.045200Z", recorded_string(record, "time"));
    assert_string_equal("info", recorded_string(record, "level"));
    assert_string_equal("backend", recorded_string(record, "service"));
    assert_string_equal("ab000000000000000000000000000000", recorded_string(record, "trace_id"));
    assert_int_equal(16, strlen(recorded_string(record, "span_id")));
    assert_string_equal("01", recorded_string(record, "trace_flags"));
    assert_string_equal("cd00000000000000", recorded_string(record, "parent_id"));
    assert_string_equal("CreateProcess", recorded_string(record, "operation"));
    assert_string_equal("SERVER", recorded_string(record, "kind"));
    assert_string_equal("UNSET", recorded_string(record, "status_code"));
    assert_null(json_object_get(record, "status_message"));
    assert_non_null(strstr(text, "\"duration_ms\":45.200000,"));
    assert_non_null(strstr(text, "\"attributes\":{\"tenant_id\":\"acme\",\"ratio\":0.5}}\n"));
    json_decref(record);
    logging_close(&l);
}

static void slow_spans_are_warnings_and_failed_ones_errors(void **state)
{
    (void)state;
    logging l;
    logging_open(&l, "all, SLOW:100ms, attr:*", LOOM_LOG_TEXT);
    logging_span(&l, "quick", 99999999, false);
    logging_span(&l, "slow", 100000000, false);
    logging_span(&l, "slow and failed", 200000000, true);
    const char *text = logging_text(&l);
    const char *quick = strstr(text, " INFO  backend: span completed "), *slow = strstr(text, " WARN  backend: span completed ");
    const char *failed = strstr(text, " ERROR backend: span completed ");
    assert_true(quick != NULL && slow > quick && failed > slow);
    assert_non_null(strstr(quick, " operation=quick kind=SERVER duration_ms=99.999999 status_code=UNSET tenant_id=acme size=3 ratio=0.5\n"));
    assert_non_null(strstr(failed, " operation=\"slow and failed\" kind=SERVER duration_ms=200.000000 status_code=ERROR "
                                   "status_message=\"no such image\" tenant_id=acme"));
    logging_close(&l);
}

static void check_logged(const char *spans, const char *expected)
{
    logging l;
    char names[100] = "";
    logging_open(&l, spans, LOOM_LOG_JSON);
    logging_span(&l, "quick", 1000, false);
    logging_span(&l, "slow", 1000000000, false);
    logging_span(&l, "failed", 1000, true);
    for (const char *at = logging_text(&l); (at = strstr(at, "\"operation\":\"")) != NULL;) {
        at += strlen("\"operation\":\"");
        (void)snprintf(names + strlen(names), sizeof names - strlen(names), "%.*s ", (int)strcspn(at, "\""), at);
    }
    assert_string_equal(expected, names);
    loom_span_counts c = loom_span_processor_counts(l.processor);
    assert_int_equal(3, c.exported);
    logging_close(&l);
}

static void the_rules_say_which_spans_are_logged(void **state)
{
    (void)state;
    check_logged("all", "quick slow failed ");
    check_logged("slow:1s", "slow failed ");
    check_logged("slow:2s", "failed ");
    check_logged("errors", "failed ");
    check_logged("errors,slow:0ns", "quick slow failed ");
}

static void a_span_of_any_size_is_one_record_with_all_its_fields(void **state)
{
    (void)state;
    static char large[20000];
    memset(large, 'l', sizeof large - 1);
    logging l;
    logging_open(&l, "all,attr:*", LOOM_LOG_JSON);
    loom_span *span = loom_span_start(l.tracer, large, NULL);
    loom_span_set_string(span, "large", large);
    loom_span_set_status(span, LOOM_SPAN_ERROR, large);
    loom_span_end(span);
    const char *text = logging_text(&l);
    assert_in_range(strlen(text), 3000, LOOM_LOG_LINE_MAX);
    json_error_t error;
    json_t *record = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    assert_non_null(record);
    assert_true(json_is_true(json_object_get(record, "cut")));
    assert_string_equal("ERROR", recorded_string(record, "status_code"));
    assert_true(json_is_real(json_object_get(record, "duration_ms")));
    assert_true(strlen(recorded_string(record, "status_message")) > 500);
    assert_true(strlen(recorded_string(record, "operation")) > 500);
    assert_true(strlen(recorded_string(json_object_get(record, "attributes"), "large")) > 500);
    json_decref(record);
    logging_close(&l);
}

static void lists_that_make_no_sense_are_told_by_their_item(void **state)
{
    (void)state;
    static const struct {
        const char *text, *bad;
    } lists[] = {
        {"", ""},          {"json", "json"},         {"all,loud", "loud"},         {"slow:", "slow:"},
        {"slow:5", "slow:5"}, {"slow:ms", "slow:ms"}, {"slow:-5ms", "slow:-5ms"}, {"slow:9999999999999s", "slow:9999999999999s"},
        {"all,attr:", "attr:"}, {"attr:x", "attr:x"}, {"slow:5 ms", "slow:5 ms"},
    };
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        loom_str bad = STR("?");
        assert_false(loom_log_spans_valid(str_of(lists[i].text), &bad));
        assert_str(lists[i].bad, bad);
    }
    loom_str bad;
    assert_true(loom_log_spans_valid(STR(" slow:9000000000s ,, text, attr:a.b"), &bad));
}

typedef struct told {
    size_t count;
    char text[400];
} told;

static void note(void *user, const char *text)
{
    told *t = user;
    t->count++;
    (void)snprintf(t->text, sizeof t->text, "%s", text);
}

static void the_variable_is_read_and_a_bad_one_told(void **state)
{
    (void)state;
    loom_span_processor_options options;
    told t = {0};
    setenv("LOOM_LOG_SPANS", "slow:100ms", 1);
    loom_span_processor_options_from_env(&options, NULL);
    assert_string_equal("slow:100ms", options.log_spans);
    setenv("LOOM_LOG_SPANS", "slow:100 parsecs", 1);
    loom_span_processor_options_from_env(&options, NULL);
    assert_null(options.log_spans);
    loom_telemetry_check_env(note, &t);
    assert_int_equal(1, t.count);
    assert_non_null(strstr(t.text, "LOOM_LOG_SPANS: \"slow:100 parsecs\" names no spans to log"));
    unsetenv("LOOM_LOG_SPANS");
    loom_span_processor_options_from_env(&options, NULL);
    assert_null(options.log_spans);
}

static void options_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    told t = {0};
    loom_span_processor *processor;
    assert_status(LOOM_EINVAL, loom_span_processor_create(&processor, &(loom_span_processor_options){
                                                                          .exporter = LOOM_EXPORTER_NONE, .log_spans = "loud",
                                                                          .on_error = note, .user = &t}));
    assert_null(processor);
    assert_string_equal("these do not say which spans to log: loud", t.text);
}

static void other_exporters_get_the_same_spans(void **state)
{
    (void)state;
    char path[] = "/tmp/loom-spans-XXXXXX", log[] = "/tmp/loom-log-XXXXXX";
    int fd = mkstemp(path), log_fd = mkstemp(log), saved = dup(STDERR_FILENO);
    assert_true(fd >= 0 && log_fd >= 0);
    loom_span_processor_options options = {.exporter = LOOM_EXPORTER_FILE, .endpoint = path, .log_spans = "all,text"};
    logging l;
    loom_sampler always = {.kind = LOOM_SAMPLER_ALWAYS_ON};
    setenv("OTEL_LOG_LEVEL", "error", 1); /* is about tracing's own problems, not about what it exports */
    assert_status(LOOM_OK, loom_span_processor_create(&l.processor, &options));
    unsetenv("OTEL_LOG_LEVEL");
    assert_true(dup2(log_fd, STDERR_FILENO) >= 0);
    assert_status(LOOM_OK, loom_tracer_provider_create(&l.provider, &(loom_tracer_provider_options){
                                                                        .service_name = "backend", .sampler = &always,
                                                                        .processor = l.processor}));
    l.tracer = loom_tracer_get(l.provider, "tests", NULL);
    logging_span(&l, "both", 1000, false);
    assert_status(LOOM_OK, loom_span_processor_flush(l.processor, 10000));
    dup2(saved, STDERR_FILENO);
    char text[2000];
    ssize_t n = pread(log_fd, text, sizeof text - 1, 0);
    assert_true(n > 0);
    text[n] = '\0';
    assert_non_null(strstr(text, " operation=both "));
    n = pread(fd, text, sizeof text - 1, 0);
    assert_true(n > 0);
    text[n] = '\0';
    assert_non_null(strstr(text, "\"name\":\"both\""));
    loom_tracer_provider_unref(l.provider);
    loom_span_processor_unref(l.processor);
    close(saved);
    close(fd);
    close(log_fd);
    unlink(path);
    unlink(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_finished_span_is_a_line_that_grep_finds),
        cmocka_unit_test(slow_spans_are_warnings_and_failed_ones_errors),
        cmocka_unit_test(the_rules_say_which_spans_are_logged),
        cmocka_unit_test(a_span_of_any_size_is_one_record_with_all_its_fields),
        cmocka_unit_test(lists_that_make_no_sense_are_told_by_their_item),
        cmocka_unit_test(the_variable_is_read_and_a_bad_one_told),
        cmocka_unit_test(options_that_make_no_sense_are_refused),
        cmocka_unit_test(other_exporters_get_the_same_spans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
