// SPDX-License-Identifier: Apache-2.0
// <loom/span.h> in C++: scopes are objects, and an exception that leaves one is an error. The status of each span is seen by an
// enrichment callback.
#include <loom/pipeline.h>
#include <loom/span.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <stdexcept>
#include <string>

namespace {

#define CHECK(condition)                                                          \
    do {                                                                          \
        if (!(condition)) {                                                       \
            std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            std::exit(1);                                                         \
        }                                                                         \
    } while (0)

struct seen {
    loom_span_status status;
    std::string text;
};

void on_span(void *user, loom_ended_span *span)
{
    auto &spans = *static_cast<std::map<std::string, seen> *>(user);
    const loom_str name = loom_ended_span_name(span), text = loom_ended_span_string(span, "text");
    spans[std::string(name.data, name.len)] = {loom_ended_span_status(span), std::string(text.data, text.len)};
}

void throws(loom_tracer *tracer)
{
    LOOM_SPAN_SCOPE(span, tracer, "throws");
    loom_span_set(span, "text", "before");
    throw std::runtime_error("no");
}

void use(loom_tracer *tracer)
{
    try {
        throws(tracer);
    } catch (const std::runtime_error &) {
        LOOM_SPAN_SCOPE(span, tracer, "catches");
        loom_span_set(span, "n", 1);
        loom_span_set(span, "u", 1u);
        loom_span_set(span, "d", 0.5f);
        loom_span_set(span, "b", true);
        loom_span_set(span, "text", std::string("after"));
        loom_span_set(span, "view", std::string_view("a\0b", 3));
        loom_span_set(span, "literal", "c");
        CHECK(loom_span_current() == span);
    }
    CHECK(loom_span_current() == nullptr);
}

} // namespace

int main()
{
    std::map<std::string, seen> spans;
    loom_enrich_options enrich = {};
    enrich.on_span = on_span;
    enrich.user = &spans;
    loom_span_stage *stage = nullptr;
    CHECK(loom_enrich_create(&stage, &enrich) == LOOM_OK);

    loom_span_processor_options options = {};
    options.exporter = LOOM_EXPORTER_FILE;
    options.endpoint = "/dev/null";
    options.stages = &stage;
    options.stage_count = 1;
    loom_span_processor *processor = nullptr;
    CHECK(loom_span_processor_create(&processor, &options) == LOOM_OK);
    loom_span_stage_unref(stage);

    loom_sampler always = {};
    always.kind = LOOM_SAMPLER_ALWAYS_ON;
    loom_tracer_provider_options of_provider = {};
    of_provider.service_name = "cpp";
    of_provider.sampler = &always;
    of_provider.processor = processor;
    loom_tracer_provider *provider = nullptr;
    CHECK(loom_tracer_provider_create(&provider, &of_provider) == LOOM_OK);

    use(loom_tracer_get(provider, "cpp", nullptr));
    CHECK(loom_span_processor_flush(processor, 10000) == LOOM_OK);
    CHECK(spans.size() == 2);
    CHECK(spans["throws"].status == LOOM_SPAN_ERROR && spans["throws"].text == "before");
    CHECK(spans["catches"].status == LOOM_SPAN_UNSET && spans["catches"].text == "after");
    loom_tracer_provider_unref(provider);
    loom_span_processor_unref(processor);
    return 0;
}
