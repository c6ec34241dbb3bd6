/* SPDX-License-Identifier: Apache-2.0 */
/* Two spans with everything that a span can have. test_otlp.py decodes them with the official definitions.
 *   all_kinds PROTOBUF JSON    the two files that are written: one OTLP request, in both encodings */
#include <loom/trace.h>
#include <stdio.h>
#include <stdlib.h>

static bool write_request(void *user, loom_bytes request)
{
    return fwrite(request.data, 1, request.len, user) == request.len && fflush(user) == 0;
}

static void set_all(loom_span *span)
{
    const loom_str strings[] = {{"a", 1}, {"\xc3\xbc", 2}};
    const bool bools[] = {true, false};
    const int64_t ints[] = {INT64_MIN, INT64_MAX};
    const double reals[] = {0.5, -1e300};
    const loom_attr arrays[] = {
        {.key = "strings", .type = LOOM_ATTR_STRINGS, .value.array = {strings, 2}},
        {.key = "bools", .type = LOOM_ATTR_BOOLS, .value.array = {bools, 2}},
        {.key = "ints", .type = LOOM_ATTR_INTS, .value.array = {ints, 2}},
        {.key = "doubles", .type = LOOM_ATTR_DOUBLES, .value.array = {reals, 2}},
    };
    loom_span_set_string(span, "empty", "");
    loom_span_set_str(span, "broken", (loom_str){"x\xff", 2});
    loom_span_set_string(span, "a.key.of.more.than.sixteen.and.of.more.than.thirty-two.bytes",
                         "a value that is long enough for a length of two bytes, which takes one hundred and twenty-eight of "
                         "them at the least, and so many there are");
    loom_span_set_bool(span, "yes", true);
    loom_span_set_int(span, "negative", -1);
    loom_span_set_double(span, "double", 129.95);
    loom_span_set_int(span, "again", 1);
    loom_span_set_string(span, "again", "twice");
    for (size_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++) {
        loom_span_set_attr(span, &arrays[i]);
    }
}

static void make_spans(loom_tracer *tracer)
{
    const loom_trace_context remote = {.trace_id = {1, 2, 3}, .span_id = {4, 5, 6}, .trace_flags = LOOM_TRACE_FLAG_SAMPLED};
    const loom_attr of_link = {.key = "why", .type = LOOM_ATTR_STRING, .value.string = {"cause", 5}};
    loom_span *parent = loom_span_start(tracer, "parent",
                                        &(loom_span_options){.kind = LOOM_SPAN_SERVER, .parent = &remote, .parent_is_remote = true,
                                                             .tracestate = {"v=1", 3}, .start_unix_ns = 1700000000000000001u});
    set_all(parent);
    loom_span_add_link(parent, &(loom_link){.context = remote, .attrs = &of_link, .attr_count = 1, .tracestate = {"l=2", 3},
                                            .context_is_remote = true});
    loom_span *child = loom_span_start(tracer, "child", &(loom_span_options){.kind = LOOM_SPAN_PRODUCER,
                                                                             .parent = loom_span_context(parent),
                                                                             .start_unix_ns = 1700000000000000002u});
    loom_span_record_error(child, "Timeout", "no answer");
    loom_span_end_at(child, 1700000000000000003u);
    for (int i = 0; i < 130; i++) { /* two more than there is room for */
        loom_span_add_event(parent, "tick", NULL, 0);
    }
    loom_span_set_status(parent, LOOM_SPAN_OK, NULL);
    loom_span_end_at(parent, 1700000000000000004u);
}

int main(int argc, char *argv[])
{
    FILE *out = argc == 3 ? fopen(argv[1], "wbe") : NULL;
    loom_span_processor *processor = NULL;
    loom_tracer_provider *provider = NULL;
    if (out == NULL) {
        fputs("Usage: all_kinds PROTOBUF JSON\n", stderr);
        return 2;
    }
    const loom_sampler always = {.kind = LOOM_SAMPLER_ALWAYS_ON};
    const loom_span_processor_options options = {
        .exporter = LOOM_EXPORTER_CALLBACK, .export_batch = write_request, .user = out, .also_file = argv[2]};
    bool ok = loom_span_processor_create(&processor, &options) == LOOM_OK &&
              loom_tracer_provider_create(&provider, &(loom_tracer_provider_options){.service_name = "all", .sampler = &always,
                                                                                     .processor = processor}) == LOOM_OK;
    if (ok) {
        const loom_attr attributes[] = {{.key = "team", .type = LOOM_ATTR_STRING, .value.string = {"payments", 8}},
                                        {.key = "shard", .type = LOOM_ATTR_INT, .value.integer = 7}};
        make_spans(loom_tracer_get_scope(provider, &(loom_scope){.name = "kinds", .version = "2", .schema_url = "https://opentelemetry.io/schemas/1.30.0",
                                                                 .attributes = attributes, .attribute_count = 2}));
        ok = loom_span_processor_shutdown(processor, 5000) == LOOM_OK;
    }
    loom_tracer_provider_unref(provider);
    loom_span_processor_unref(processor);
    return fclose(out) == 0 && ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
