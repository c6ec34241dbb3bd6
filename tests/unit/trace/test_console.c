/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/check.h"
#include "trace/export/exporter.h"

#include <fcntl.h>
#include <loom/trace.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Runs one span through the console exporter with standard error in a file; returns what was written. */
static void print_span(char *out, size_t size)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    int saved = dup(STDERR_FILENO);
    assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
    loom_span_processor *processor;
    loom_tracer_provider *provider;
    loom_sampler always = {.kind = LOOM_SAMPLER_ALWAYS_ON};
    loom_span_processor_options options = {.exporter = LOOM_EXPORTER_CONSOLE};
    assert_status(LOOM_OK, loom_span_processor_create(&processor, &options));
    assert_status(LOOM_OK, loom_tracer_provider_create(&provider, &(loom_tracer_provider_options){
                                                                      .service_name = "loom-bridge", .sampler = &always,
                                                                      .processor = processor}));
    loom_span *span = loom_span_start(loom_tracer_get(provider, "t", NULL), "bridge.publish",
                                      &(loom_span_options){.kind = LOOM_SPAN_CONSUMER, .start_unix_ns = 1700000000123456789u});
    loom_span_set_string(span, "topic", "a.b");
    loom_span_set_int(span, "n", -3);
    loom_span_set_string(span, "evil", "x\033[31m y\n");
    loom_span_add_event(span, "loom.drop", NULL, 0);
    loom_span_set_status(span, LOOM_SPAN_ERROR, "queue is full");
    loom_span_end_at(span, 1700000000125956789u);
    loom_tracer_provider_unref(provider);
    loom_span_processor_unref(processor);
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(file);
    size_t len = fread(out, 1, size - 1, file);
    out[len] = '\0';
    fclose(file);
}

static void a_span_is_one_line_that_says_everything(void **state)
{
    (void)state;
    char text[2000];
    print_span(text, sizeof text);
    assert_int_equal(0, strncmp(text, "2023-11-14T22:13:20.123456Z loom-bridge bridge.publish CONSUMER 2.500 ms trace=", 79));
    assert_non_null(strstr(text, " parent=- ERROR \"queue is full\" topic=a.b n=-3 "));
    assert_non_null(strstr(text, " [loom.drop]\n"));
    assert_ptr_equal(text + strlen(text) - 1, strchr(text, '\n'));
}

static void control_bytes_of_a_message_do_not_reach_the_terminal(void **state)
{
    (void)state;
    char text[2000];
    print_span(text, sizeof text);
    assert_null(strchr(text, '\033'));
    assert_non_null(strstr(text, "evil=\"x\\u001b[31m y\\n\""));
}

/* Exports a span of 100 KiB to standard error that is one end of something else, within 200 ms. */
static void print_into(int fd, loom_span_counts *counts)
{
    int saved = dup(STDERR_FILENO);
    assert_true(dup2(fd, STDERR_FILENO) >= 0);
    loom_span_processor *processor;
    loom_tracer_provider *provider;
    loom_sampler always = {.kind = LOOM_SAMPLER_ALWAYS_ON};
    loom_span_processor_options options = {.exporter = LOOM_EXPORTER_CONSOLE};
    assert_status(LOOM_OK, loom_span_processor_create(&processor, &options));
    assert_status(LOOM_OK, loom_tracer_provider_create(&provider, &(loom_tracer_provider_options){.sampler = &always,
                                                                                                   .processor = processor}));
    static char text[100 * 1024];
    memset(text, 'x', sizeof text - 1);
    loom_span *span = loom_span_start(loom_tracer_get(provider, "t", NULL), "s", NULL);
    loom_span_set_string(span, "long", text);
    loom_span_end(span);
    (void)loom_span_processor_shutdown(processor, 200);
    *counts = loom_span_processor_counts(processor);
    dup2(saved, STDERR_FILENO);
    close(saved);
    loom_tracer_provider_unref(provider);
    loom_span_processor_unref(processor);
}

static void a_reader_that_has_stopped_costs_the_deadline_and_no_more(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        int ends[2];
        loom_span_counts counts;
        assert_int_equal(0, i == 0 ? pipe2(ends, O_CLOEXEC) : socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
        assert_int_equal(0, i == 0 ? fcntl(ends[1], F_SETPIPE_SZ, 4096) < 0 : 0);
        const int size = 4096;
        assert_int_equal(0, i == 1 ? setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof size) : 0);
        const int flags = fcntl(ends[1], F_GETFL);
        print_into(ends[1], &counts);
        assert_int_equal(0, counts.exported);
        assert_int_equal(1, counts.dropped_shutdown + counts.dropped_failed);
        assert_int_equal(flags, fcntl(ends[1], F_GETFL)); /* which are everybody's */
        close(ends[0]);
        close(ends[1]);
    }
}

static void a_reader_that_has_gone_is_no_signal(void **state)
{
    (void)state;
    int ends[2];
    loom_span_counts counts;
    assert_int_equal(0, pipe2(ends, O_CLOEXEC));
    close(ends[0]);
    print_into(ends[1], &counts);
    assert_int_equal(1, counts.dropped_failed);
    close(ends[1]);
    assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    close(ends[0]);
    print_into(ends[1], &counts);
    assert_int_equal(1, counts.dropped_failed);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_span_is_one_line_that_says_everything),
        cmocka_unit_test(a_reader_that_has_stopped_costs_the_deadline_and_no_more),
        cmocka_unit_test(a_reader_that_has_gone_is_no_signal),
        cmocka_unit_test(control_bytes_of_a_message_do_not_reach_the_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
