/* SPDX-License-Identifier: Apache-2.0 */
/* Made for the thread sanitizer: everything that threads may do at once. */
#include "tests/unit/trace/http_stub.h"
#include "tests/unit/trace/recorded.h"

#include <pthread.h>

#define THREADS 4
#define SPANS 2000

typedef struct worker {
    recorded *r;
    pthread_t thread;
    _Atomic(loom_span *) handed; /* to the neighbour */
} worker;

static worker workers[THREADS];

static void *make_spans(void *user)
{
    worker *w = user;
    worker *next = &workers[(size_t)(w - workers + 1) % THREADS];
    for (int i = 0; i < SPANS; i++) {
        loom_tracer *tracer = loom_tracer_get(w->r->provider, "threads", i % 2 == 0 ? "1" : "2");
        loom_span *outer = loom_span_start(tracer, "outer", NULL);
        loom_span_make_current(outer);
        loom_span *inner = loom_span_start(tracer, "inner", NULL);
        loom_span_set_int(inner, "i", i);
        if (i % 16 == 0) {
            loom_span_make_current(inner);
            loom_span_end(atomic_exchange(&next->handed, inner)); /* ended by whoever comes next */
        } else {
            loom_span_end(inner);
        }
        loom_span_end(atomic_exchange(&w->handed, NULL));
        loom_span_end(outer);
        if (i % 500 == 0) {
            (void)loom_span_processor_flush(w->r->processor, 1000);
        }
    }
    return NULL;
}

static void spans_of_four_threads_are_all_accounted_for(void **state)
{
    (void)state;
    recorded r;
    recorded_open(&r, NULL);
    for (size_t i = 0; i < THREADS; i++) {
        workers[i] = (worker){.r = &r};
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(0, pthread_create(&workers[i].thread, NULL, make_spans, &workers[i]));
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
    }
    for (size_t i = 0; i < THREADS; i++) {
        loom_span_end(atomic_exchange(&workers[i].handed, NULL));
    }
    assert_status(LOOM_OK, loom_span_processor_shutdown(r.processor, 20000));
    loom_span_counts c = loom_span_processor_counts(r.processor);
    assert_int_equal(2 * THREADS * SPANS, c.ended);
    assert_int_equal(c.ended, c.exported + c.dropped_full);
    assert_int_equal(0, c.dropped_failed + c.dropped_shutdown);
    recorded_close(&r);
}

static void *shut_down(void *processor)
{
    (void)loom_span_processor_shutdown(processor, 300);
    return NULL;
}

static void two_threads_may_shut_down_while_others_end_spans(void **state)
{
    (void)state;
    const char *const answers[] = {NULL};
    http_stub stub;
    http_stub_start(&stub, answers, 1);
    recorded r = {0};
    loom_sampler always = {.kind = LOOM_SAMPLER_ALWAYS_ON};
    loom_span_processor_options options = {.exporter = LOOM_EXPORTER_OTLP_HTTP, .endpoint = stub.url};
    assert_status(LOOM_OK, loom_span_processor_create(&r.processor, &options));
    assert_status(LOOM_OK, loom_tracer_provider_create(&r.provider, &(loom_tracer_provider_options){
                                                                        .sampler = &always, .processor = r.processor}));
    workers[0] = (worker){.r = &r};
    pthread_t first, second;
    assert_int_equal(0, pthread_create(&workers[0].thread, NULL, make_spans, &workers[0]));
    assert_int_equal(0, pthread_create(&first, NULL, shut_down, r.processor));
    assert_int_equal(0, pthread_create(&second, NULL, shut_down, r.processor));
    pthread_join(first, NULL);
    pthread_join(second, NULL);
    pthread_join(workers[0].thread, NULL);
    loom_span_end(atomic_exchange(&workers[1].handed, NULL));
    loom_span_counts c = loom_span_processor_counts(r.processor);
    assert_int_equal(c.ended, c.exported + c.dropped_full + c.dropped_failed + c.dropped_shutdown);
    loom_tracer_provider_unref(r.provider);
    loom_span_processor_unref(r.processor);
    http_stub_stop(&stub);
}

/* ---- one span, ended by two threads ---- */

enum { ENDS = 20000 };
static struct {
    _Atomic(loom_span *) span;
    atomic_int ended_by_other;
} twice;

static void *end_as_well(void *user)
{
    (void)user;
    for (int i = 0; i < ENDS; i++) {
        loom_span *span;
        while ((span = atomic_load(&twice.span)) == NULL) {
        }
        atomic_store(&twice.span, NULL);
        loom_span_end(span);
        atomic_fetch_add(&twice.ended_by_other, 1);
    }
    return NULL;
}

static void a_span_that_two_threads_end_at_once_ends_once(void **state)
{
    (void)state;
    recorded r;
    recorded_open(&r, NULL);
    loom_tracer *tracer = loom_tracer_get(r.provider, "twice", "");
    pthread_t other;
    atomic_store(&twice.ended_by_other, 0);
    assert_int_equal(0, pthread_create(&other, NULL, end_as_well, NULL));
    for (int i = 0; i < ENDS; i++) {
        const loom_span_options unsampled = {.parent = &(loom_trace_context){.trace_id = {1}, .span_id = {1}}};
        loom_span *span = loom_span_start(tracer, "twice", i % 2 == 0 ? NULL : &unsampled);
        atomic_store(&twice.span, span);
        loom_span_end(span);
        while (atomic_load(&twice.ended_by_other) <= i) {
        }
    }
    pthread_join(other, NULL);
    assert_int_equal(ENDS / 2, loom_span_processor_counts(r.processor).ended);
    recorded_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_of_four_threads_are_all_accounted_for),
        cmocka_unit_test(two_threads_may_shut_down_while_others_end_spans),
        cmocka_unit_test(a_span_that_two_threads_end_at_once_ends_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
