/* SPDX-License-Identifier: Apache-2.0 */
/* libloom as bindings of other languages have it: loaded while the program runs, its functions looked up by name. One pointer
 * of it has a fixed place in every thread, of which a program has some hundred bytes left for what it loads. */
#define LOOM_TRACE_NO_INLINE
#include "tests/support/check.h"

#include <dlfcn.h>
#include <loom/trace.h>
#include <pthread.h>

static void *library;

#define FUNCTION(name) ((__typeof__(&(name)))(uintptr_t)dlsym(library, #name))

static int load(void **state)
{
    (void)state;
    library = dlopen(LIBLOOM, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        print_error("%s\n", dlerror());
    }
    return library == NULL;
}

static bool count(void *user, loom_bytes request)
{
    *(size_t *)user += request.len;
    return true;
}

static void *make_spans(void *tracer)
{
    for (int i = 0; i < 100; i++) {
        loom_span *span = FUNCTION(loom_span_start)(tracer, "loaded", NULL);
        FUNCTION(loom_span_make_current)(span);
        loom_span *plain = FUNCTION(loom_span_start)(NULL, "plain", NULL);
        FUNCTION(loom_span_set_string)(span, "key", "value");
        FUNCTION(loom_span_end)(plain);
        FUNCTION(loom_span_end)(span);
    }
    return NULL;
}

/* Also in a thread that was there before it. */
static void it_traces_in_every_thread(void **state)
{
    (void)state;
    size_t bytes = 0;
    loom_span_processor *processor;
    loom_tracer_provider *provider;
    const loom_span_processor_options options = {.exporter = LOOM_EXPORTER_CALLBACK, .export_batch = count, .user = &bytes};
    const loom_sampler always = {.kind = LOOM_SAMPLER_ALWAYS_ON};
    assert_status(LOOM_OK, FUNCTION(loom_span_processor_create)(&processor, &options));
    assert_status(LOOM_OK, FUNCTION(loom_tracer_provider_create)(
                               &provider, &(loom_tracer_provider_options){.sampler = &always, .processor = processor}));
    loom_tracer *tracer = FUNCTION(loom_tracer_get)(provider, "loaded", NULL);
    pthread_t thread;
    assert_int_equal(0, pthread_create(&thread, NULL, make_spans, tracer));
    make_spans(tracer);
    assert_int_equal(0, pthread_join(thread, NULL));
    assert_status(LOOM_OK, FUNCTION(loom_span_processor_shutdown)(processor, 10000));
    assert_int_equal(200, FUNCTION(loom_span_processor_counts)(processor).exported);
    assert_true(bytes > 0);
    FUNCTION(loom_tracer_provider_unref)(provider);
    FUNCTION(loom_span_processor_unref)(processor);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(it_traces_in_every_thread)};
    return cmocka_run_group_tests(tests, load, NULL);
}
