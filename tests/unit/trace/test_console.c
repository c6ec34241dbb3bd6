/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/check.h"
#include "trace/export/exporter.h"

#include <loom/trace.h>
#include <stdlib.h>
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_span_is_one_line_that_says_everything),
        cmocka_unit_test(control_bytes_of_a_message_do_not_reach_the_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
