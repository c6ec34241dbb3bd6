/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/alloc_fault.h"
#include "tests/support/check.h"

#include "trace/export/request_body.h"
#include "trace/export/rewrite.h"
#include "trace/otlp/fields.h"
#include "trace/span/sampler.h"
#include "trace/span/start.h"

#include <loom/pipeline.h>

#include <stdlib.h>

static loom_status create_processor(void *user)
{
    loom_span_processor *processor;
    loom_status st = loom_span_processor_create(&processor, user);
    if (st == LOOM_OK) {
        st = loom_span_processor_shutdown(processor, 1000);
    } else {
        assert_null(processor);
    }
    loom_span_processor_unref(processor);
    return st;
}

static bool throw_away(void *user, loom_bytes request)
{
    (void)user, (void)request;
    return true;
}

static void creating_a_processor_survives(void **state)
{
    (void)state;
    loom_span_processor_options options[] = {
        {.exporter = LOOM_EXPORTER_NONE},
        {.exporter = LOOM_EXPORTER_CONSOLE, .also_file = "/dev/null"},
        {.exporter = LOOM_EXPORTER_FILE, .endpoint = "/dev/null", .log_spans = "all,attr:a"},
        {.exporter = LOOM_EXPORTER_FILE, .endpoint = "/dev/null"},
        {.exporter = LOOM_EXPORTER_CALLBACK, .export_batch = throw_away},
        {.exporter = LOOM_EXPORTER_OTLP_HTTP, .endpoint = "http://127.0.0.1:9", .headers = "a=b,c=d"},
        {.exporter = LOOM_EXPORTER_OTLP_GRPC, .endpoint = "http://127.0.0.1:9", .gzip = true},
        {.exporter = LOOM_EXPORTER_OTLP_HTTP_JSON, .endpoint = "127.0.0.1:9", .ca_file = "/dev/null",
         .client_certificate_file = "/dev/null", .client_key_file = "/dev/null"},
        {.exporter = LOOM_EXPORTER_CONSOLE, .also_file = "/dev/null", .also_stdout = true},
        {.exporter = LOOM_EXPORTER_NONE, .also_stdout = true, .also_console = true},
        {.exporter = LOOM_EXPORTER_LINES, .also_lines = true},
    };
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        assert_true(alloc_fault_each(create_processor, &options[i]) > 0);
    }
}

static loom_status encode_body(void *kind)
{
    static uint8_t value[20000]; /* an unknown field of that many bytes: more than one allocation holds */
    uint8_t request[sizeof value + 16];
    const size_t len = pb_put_bytes(request, 15, value, sizeof value);
    for (int gzip = 0; gzip < 2; gzip++) {
        request_body b;
        loom_bytes out;
        request_body_init(&b, *(const loom_exporter_kind *)kind, gzip ? zlib_library_get() : NULL);
        const bool made = request_body_make(&b, (loom_bytes){request, len}, &out);
        request_body_sent(&b);
        request_body_fini(&b);
        if (!made) {
            return LOOM_ENOMEM;
        }
    }
    return LOOM_OK;
}

static void encoding_a_request_survives(void **state)
{
    (void)state;
    assert_non_null(zlib_library_get());
    const loom_exporter_kind kinds[] = {LOOM_EXPORTER_OTLP_GRPC, LOOM_EXPORTER_OTLP_HTTP, LOOM_EXPORTER_OTLP_HTTP_JSON};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        assert_true(alloc_fault_each(encode_body, (void *)(uintptr_t)&kinds[i]) > 0);
    }
}

static loom_span_processor *make_processor(const char *path)
{
    loom_span_processor *processor = NULL;
    loom_span_processor_options options = {.exporter = path != NULL ? LOOM_EXPORTER_FILE : LOOM_EXPORTER_NONE, .endpoint = path};
    assert_status(LOOM_OK, loom_span_processor_create(&processor, &options));
    return processor;
}

static loom_status create_provider(void *processor)
{
    loom_attr attr = {.key = "deployment", .type = LOOM_ATTR_STRING, .value.string = STR("test")};
    loom_tracer_provider *provider;
    loom_status st = loom_tracer_provider_create(&provider, &(loom_tracer_provider_options){
                                                                .default_service_name = "oom", .resource = &attr,
                                                                .resource_count = 1, .processor = processor});
    if (st == LOOM_OK && loom_tracer_get(provider, "scope", "1") == NULL) {
        st = LOOM_ENOMEM;
    }
    loom_tracer_provider_unref(provider);
    return st;
}

static void creating_a_provider_and_a_tracer_survives(void **state)
{
    (void)state;
    setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=env,a=b", 1);
    loom_span_processor *processor = make_processor(NULL);
    assert_true(alloc_fault_each(create_provider, processor) > 0);
    loom_span_processor_unref(processor);
    unsetenv("OTEL_RESOURCE_ATTRIBUTES");
}

static loom_status run_spans(void *tracer)
{
    static char large[4000];
    memset(large, 'l', sizeof large);
    const loom_trace_context parent = {.trace_id = {1}, .span_id = {2}};
    loom_span *spans[40]; /* more than the free lists hold */
    for (size_t i = 0; i < 40; i++) {
        spans[i] = loom_span_start(i % 2 == 0 ? tracer : NULL, "span",
                                   &(loom_span_options){.parent = &parent, .tracestate = STR("a=1")});
        assert_true(loom_trace_context_valid(loom_span_context(spans[i])));
        loom_span_make_current(spans[i]);
        loom_span_set_str(spans[i], "large", (loom_str){large, sizeof large});
        loom_span_add_event(spans[i], "event", NULL, 0);
    }
    loom_trace_context ctx = *loom_span_context(spans[0]);
    uint64_t token = loom_context_push(&ctx, STR("b=2"));
    loom_context_pop(token);
    for (size_t i = 0; i < 40; i++) {
        loom_span_end(spans[i]);
    }
    return LOOM_OK;
}

static loom_status run_decided_spans(void *tracer)
{
    static const attr_key key = ATTR_STRING_KEY("large");
    static char large[4000];
    memset(large, 'l', sizeof large);
    const fixed_attr attr = {.key = &key, .string = {large, sizeof large}};
    loom_span *spans[40]; /* more than the free lists hold */
    for (size_t i = 0; i < 40; i++) {
        loom_trace_context decided;
        assert_true(span_decide(tracer, &(span_what){"hop", LOOM_SPAN_INTERNAL}, NULL, false, &decided));
        spans[i] = span_start_decided(tracer, "span", &(loom_span_options){.root = true}, &decided, &attr, 1);
        assert_true(loom_trace_context_valid(loom_span_context(spans[i])));
        assert_memory_equal(decided.trace_id, loom_span_context(spans[i])->trace_id, LOOM_TRACE_ID_SIZE);
    }
    for (size_t i = 0; i < 40; i++) {
        loom_span_end(spans[i]);
    }
    return LOOM_OK;
}

static void spans_carry_their_context_even_without_memory(void **state)
{
    (void)state;
    loom_sampler always = {.kind = LOOM_SAMPLER_ALWAYS_ON};
    loom_span_processor *processor = make_processor("/dev/null");
    loom_tracer_provider *provider;
    assert_status(LOOM_OK, loom_tracer_provider_create(&provider, &(loom_tracer_provider_options){
                                                                      .service_name = "oom", .sampler = &always,
                                                                      .processor = processor}));
    (void)alloc_fault_each_survived(run_spans, loom_tracer_get(provider, "oom", NULL));
    (void)alloc_fault_each_survived(run_decided_spans, loom_tracer_get(provider, "oom", NULL));
    (void)loom_span_processor_shutdown(processor, 5000);
    loom_span_counts c = loom_span_processor_counts(processor);
    assert_int_equal(c.ended, c.exported + c.dropped_full + c.dropped_failed + c.dropped_shutdown);
    loom_tracer_provider_unref(provider);
    loom_span_processor_unref(processor);
}

static loom_status create_mask(void *unused)
{
    (void)unused;
    static const char *const patterns[] = {"a*", "b"};
    loom_span_stage *stage;
    loom_status st = loom_mask_create(&stage, &(loom_mask_options){.keys = patterns,
                                                                   .key_count = 2,
                                                                   .allow_keys = patterns,
                                                                   .allow_key_count = 2,
                                                                   .allow_values = patterns,
                                                                   .allow_value_count = 1});
    loom_span_stage_unref(stage);
    return st;
}

static loom_status create_filter(void *unused)
{
    (void)unused;
    static const loom_filter_rule rules[] = {{LOOM_FILTER_DROP, "a*", NULL}, {LOOM_FILTER_RENAME, "b", "c"}};
    loom_span_stage *stage;
    loom_status st = loom_attr_filter_create(&stage, rules, 2, "key");
    loom_span_stage_unref(stage);
    return st;
}

static loom_status create_enrichment(void *unused)
{
    (void)unused;
    const loom_attr attr = {.key = "a", .type = LOOM_ATTR_BOOL, .value.boolean = true};
    loom_span_stage *stage;
    loom_status st = loom_enrich_create(&stage, &(loom_enrich_options){.attrs = &attr, .attr_count = 1});
    loom_span_stage_unref(stage);
    return st;
}

static loom_status stages_of_environment(void *unused)
{
    (void)unused;
    span_chain chain = {0};
    loom_status st = chain_add_from_env(&chain, NULL);
    span_chain_fini(&chain);
    return st;
}

static void creating_stages_survives(void **state)
{
    (void)state;
    assert_true(alloc_fault_each(create_mask, NULL) > 0);
    assert_true(alloc_fault_each(create_filter, NULL) > 0);
    assert_true(alloc_fault_each(create_enrichment, NULL) > 0);
    setenv("LOOM_TRACE_ATTRIBUTES", "a=b,c=d", 1);
    setenv("LOOM_TRACE_FILTER", "drop:x,rename:y=z", 1);
    setenv("LOOM_TRACE_MASK_KEYS", "x,y", 1);
    setenv("LOOM_TRACE_MASK_ALLOW", "z", 1);
    assert_true(alloc_fault_each(stages_of_environment, NULL) > 0);
    setenv("LOOM_TRACE_FILTER", ",", 1);
    assert_true(alloc_fault_each(stages_of_environment, NULL) > 0);
    unsetenv("LOOM_TRACE_ATTRIBUTES");
    unsetenv("LOOM_TRACE_FILTER");
    unsetenv("LOOM_TRACE_MASK_KEYS");
    unsetenv("LOOM_TRACE_MASK_ALLOW");
}

/* A span with a secret in it, through all stages. */
static loom_status rewrite_span(void *stages)
{
    static uint8_t bytes[4096];
    static const uint8_t id[16] = {1};
    pb_buf b;
    pb_init(&b, bytes, sizeof bytes, sizeof bytes);
    const size_t field = pb_open(&b, SCOPE_SPANS_SPANS);
    pb_bytes_field(&b, SPAN_TRACE_ID, id, sizeof id);
    pb_string_field(&b, SPAN_NAME, STR("for secret@example.com"));
    for (int i = 0; i < 100; i++) { /* more than the first buffer holds */
        pb_string_field(&b, SPAN_NAME, STR("and for secret@example.com"));
    }
    pb_close(&b, field);
    assert_false(b.failed);
    span_chain chain = {0};
    loom_status st = span_chain_add(&chain, stages, 2);
    if (st == LOOM_OK) {
        const loom_bytes out = span_chain_run(&chain, b.data, b.len);
        assert_true(out.len >= 2 + 2 + sizeof id);
        assert_null(memmem(out.data, out.len, "secret", 6));
    }
    span_chain_fini(&chain);
    return st;
}

static void no_span_leaves_unmasked_for_want_of_memory(void **state)
{
    (void)state;
    const loom_attr attr = {.key = "a", .type = LOOM_ATTR_BOOL, .value.boolean = true};
    loom_span_stage *stages[2];
    assert_status(LOOM_OK, loom_enrich_create(&stages[0], &(loom_enrich_options){.attrs = &attr, .attr_count = 1}));
    assert_status(LOOM_OK, loom_mask_create(&stages[1], NULL));
    assert_true(alloc_fault_each_survived(rewrite_span, stages) > 1);
    loom_span_stage_unref(stages[0]);
    loom_span_stage_unref(stages[1]);
}

static loom_status make_sampler(void *unused)
{
    (void)unused;
    const loom_sampler off = {.kind = LOOM_SAMPLER_ALWAYS_OFF};
    const loom_attr_pattern attr = {"a", "b"};
    const loom_sampler_rule rules[] = {{.name = "a*", .sampler = &off}, {.attrs = &attr, .attr_count = 1, .sampler = &off}};
    const loom_sampler root = {.kind = LOOM_SAMPLER_RULES, .rules = &(loom_sampler_rules){rules, 2, &off}};
    const loom_sampler all = {.kind = LOOM_SAMPLER_PARENTBASED, .parents = &(loom_sampler_parents){.root = &root, .local_sampled = &root}};
    span_sampler s;
    const loom_status st = sampler_init(&s, &all);
    if (st == LOOM_OK) {
        sampler_fini(&s);
    }
    return st;
}

static void making_a_sampler_survives(void **state)
{
    (void)state;
    assert_true(alloc_fault_each(make_sampler, NULL) > 5);
}

static loom_status start_and_end_unsampled(void *unused)
{
    (void)unused;
    loom_span *span = loom_span_start(NULL, "unsampled", NULL);
    loom_span_make_current(span);
    loom_span *child = loom_span_start(NULL, "child", NULL);
    loom_span_end(child);
    loom_span_end(span);
    return LOOM_OK;
}

static void an_unsampled_span_allocates_nothing_once_warm(void **state)
{
    (void)state;
    (void)start_and_end_unsampled(NULL);
    assert_int_equal(0, alloc_fault_each(start_and_end_unsampled, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(creating_a_processor_survives),
        cmocka_unit_test(encoding_a_request_survives),
        cmocka_unit_test(creating_a_provider_and_a_tracer_survives),
        cmocka_unit_test(spans_carry_their_context_even_without_memory),
        cmocka_unit_test(creating_stages_survives),
        cmocka_unit_test(no_span_leaves_unmasked_for_want_of_memory),
        cmocka_unit_test(making_a_sampler_survives),
        cmocka_unit_test(an_unsampled_span_allocates_nothing_once_warm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
