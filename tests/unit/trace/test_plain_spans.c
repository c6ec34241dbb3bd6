/* SPDX-License-Identifier: Apache-2.0 */
/* Spans that do not record: their memory is given out and taken back without locks, by whichever thread ends them. */
#include "tests/unit/trace/recorded.h"

#include "trace/span/start.h"

#include <loom/metrics.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define MANY 1000
#define ROUNDS 50
#define MEMORY(span) ((uintptr_t)(span) & ~(uintptr_t)255)

static recorded r;

static int open_never(void **state)
{
    (void)state;
    recorded_open(&r, &(loom_sampler){.kind = LOOM_SAMPLER_ALWAYS_OFF});
    return 0;
}

static int close_recorded(void **state)
{
    (void)state;
    recorded_close(&r);
    return 0;
}

static uint64_t started(void)
{
    return loom_span_processor_metrics(r.processor).span_started_unsampled;
}

static int by_span_id(const void *a, const void *b)
{
    return memcmp(((const loom_trace_context *)a)->span_id, ((const loom_trace_context *)b)->span_id, LOOM_SPAN_ID_SIZE);
}

static void each_of_many_at_once_has_a_context_of_its_own(void **state)
{
    (void)state;
    static loom_span *spans[MANY];
    static loom_trace_context contexts[MANY];
    for (int round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < MANY; i++) {
            spans[i] = loom_span_start(r.tracer, "plain", NULL);
            contexts[i] = *loom_span_context(spans[i]);
            assert_true(loom_trace_context_valid(&contexts[i]));
        }
        for (size_t i = 0; i < MANY; i++) {
            assert_memory_equal(&contexts[i], loom_span_context(spans[i]), sizeof contexts[i]);
        }
        qsort(contexts, MANY, sizeof contexts[0], by_span_id);
        for (size_t i = 1; i < MANY; i++) {
            assert_true(by_span_id(&contexts[i - 1], &contexts[i]) < 0);
        }
        for (size_t i = 0; i < MANY; i++) { /* in another order than they were started in */
            loom_span_end(spans[i * 7 % MANY]);
            loom_span_end(spans[i * 7 % MANY]);
        }
    }
}

/* ---- threads ---- */

typedef struct handed {
    loom_span **spans;
    size_t count;
} handed;

static void *end_all(void *user)
{
    const handed *h = user;
    for (size_t i = 0; i < h->count; i++) {
        loom_span_end(h->spans[i]);
    }
    return NULL;
}

static void in_a_thread(void *(*run)(void *), void *user)
{
    pthread_t thread;
    assert_int_equal(0, pthread_create(&thread, NULL, run, user));
    assert_int_equal(0, pthread_join(thread, NULL));
}

static void what_another_thread_ends_is_used_again(void **state)
{
    (void)state;
    static loom_span *spans[MANY];
    static uintptr_t seen[4 * MANY];
    size_t places = 0;
    for (int round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < MANY; i++) {
            spans[i] = loom_span_start(r.tracer, "plain", NULL);
            size_t at = 0;
            while (at < places && seen[at] != MEMORY(spans[i])) {
                at++;
            }
            if (at == places) {
                assert_true(places < sizeof seen / sizeof seen[0]);
                seen[places++] = MEMORY(spans[i]);
            }
        }
        in_a_thread(end_all, &(handed){spans, MANY});
        assert_false(loom_trace_context_valid(loom_span_context(spans[0])));
    }
}

static void *start_all(void *user)
{
    const handed *h = user;
    for (size_t i = 0; i < h->count; i++) {
        h->spans[i] = loom_span_start(r.tracer, "plain", NULL);
        (void)loom_span_context(h->spans[i]);
    }
    return NULL;
}

static void spans_outlive_the_thread_that_started_them(void **state)
{
    (void)state;
    loom_span *first[40], *second[40];
    in_a_thread(start_all, &(handed){first, 40});
    const loom_trace_context kept = *loom_span_context(first[39]);
    assert_true(loom_trace_context_valid(&kept));
    in_a_thread(start_all, &(handed){second, 40}); /* gets the memory that the first one has left, but for the spans in use */
    for (size_t i = 0; i < 40; i++) {
        for (size_t j = 0; j < 40; j++) {
            assert_true(MEMORY(first[i]) != MEMORY(second[j]));
        }
    }
    assert_memory_equal(&kept, loom_span_context(first[39]), sizeof kept);
    for (int twice = 0; twice < 2; twice++) {
        end_all(&(handed){first, 40});
        end_all(&(handed){second, 40});
    }
    assert_false(loom_trace_context_valid(loom_span_context(first[39])));
}

static void one_that_another_thread_has_as_its_current_span_is_not_used_again(void **state)
{
    (void)state;
    loom_span *current = loom_span_start(r.tracer, "plain", NULL), *more[MANY];
    loom_span_make_current(current);
    in_a_thread(end_all, &(handed){&current, 1});
    for (size_t i = 0; i < MANY; i++) {
        more[i] = loom_span_start(r.tracer, "more", &(loom_span_options){.root = true});
        assert_true(MEMORY(more[i]) != MEMORY(current));
    }
    assert_null(loom_span_current()); /* and so takes it off the stack */
    end_all(&(handed){more, MANY});
}

/* ---- every thread ends what it gets hold of, some of it twice ---- */

enum { THREADS = 4, SPANS = 20000, SHARED = 8 };
static _Atomic(loom_span *) shared[SHARED];

static void *start_and_swap(void *user)
{
    (void)user;
    for (size_t i = 0; i < SPANS; i++) {
        loom_span *span = loom_span_start(r.tracer, "swapped", NULL);
        const loom_trace_context before = *loom_span_context(span);
        loom_span *inner = loom_span_start(r.tracer, "inner", &(loom_span_options){.parent = &before});
        if (memcmp(before.trace_id, loom_span_context(inner)->trace_id, LOOM_TRACE_ID_SIZE) != 0 ||
            memcmp(&before, loom_span_context(span), sizeof before) != 0) {
            return user; /* somebody else has it as well */
        }
        loom_span_end(inner);
        loom_span *other = atomic_exchange(&shared[i % SHARED], span);
        loom_span_end(other);
        loom_span_end(i % 64 == 0 ? other : NULL);
    }
    return NULL;
}

static void no_two_threads_get_the_same_memory(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(0, pthread_create(&threads[i], NULL, start_and_swap, &r));
    }
    for (size_t i = 0; i < THREADS; i++) {
        void *shared_memory;
        assert_int_equal(0, pthread_join(threads[i], &shared_memory));
        assert_null(shared_memory);
    }
    for (size_t i = 0; i < SHARED; i++) {
        loom_span_end(atomic_exchange(&shared[i], NULL));
    }
    assert_int_equal(2 * THREADS * SPANS, started());
}

/* ---- counting ---- */

static void every_start_is_counted_by_whichever_way_it_comes(void **state)
{
    (void)state;
    loom_trace_context trace = {.trace_flags = LOOM_TRACE_FLAG_SAMPLED}, decided;
    memset(trace.trace_id, 7, sizeof trace.trace_id);
    const loom_span_options ways[] = {{.root = true}, {.kind = LOOM_SPAN_SERVER}, {.parent = &trace}};
    loom_span_end(loom_span_start(r.tracer, "plain", NULL));
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        loom_span_end(loom_span_start(r.tracer, "way", &ways[i]));
    }
    assert_int_equal(4, started());
    assert_false(span_decide(r.tracer, &(span_what){"hop", LOOM_SPAN_PRODUCER}, NULL, false, &decided));
    assert_int_equal(5, started());
    /* below one that is not sampled a hop makes no span: the context goes on as it is */
    const loom_trace_context before = decided;
    assert_false(span_decide(r.tracer, &(span_what){"hop", LOOM_SPAN_PRODUCER}, &before, true, &decided));
    assert_int_equal(5, started());
    assert_int_equal(0, loom_span_processor_metrics(r.processor).span_started);
    assert_int_equal(0, loom_span_processor_metrics(r.processor).span_live);
}

static void *decide_hops(void *user)
{
    loom_trace_context decided;
    for (int i = 0; i < 10; i++) {
        (void)span_decide(r.tracer, &(span_what){"hop", LOOM_SPAN_PRODUCER}, NULL, false, &decided);
    }
    loom_span_end(loom_span_start(r.tracer, "between", NULL));
    return user;
}

static void hops_are_counted_in_a_thread_that_had_no_span(void **state)
{
    (void)state;
    for (unsigned i = 1; i <= 3; i++) {
        in_a_thread(decide_hops, NULL);
        assert_int_equal(11 * i, started());
    }
}

static loom_tracer_provider *make_provider(loom_span_processor *processor)
{
    loom_tracer_provider *provider;
    assert_status(LOOM_OK, loom_tracer_provider_create(&provider, &(loom_tracer_provider_options){
                                                                      .service_name = "s",
                                                                      .processor = processor,
                                                                      .sampler = &(loom_sampler){.kind = LOOM_SAMPLER_ALWAYS_OFF}}));
    return provider;
}

static void providers_count_apart_and_what_they_counted_stays(void **state)
{
    (void)state;
    enum { PROVIDERS = 40, COUNTED = 24 }; /* <loom/metrics.h> */
    loom_span_processor *processors[PROVIDERS];
    loom_tracer_provider *providers[PROVIDERS];
    unsigned counted = 0;
    for (unsigned i = 0; i < PROVIDERS; i++) {
        assert_status(LOOM_OK, loom_span_processor_create(&processors[i], &(loom_span_processor_options){.exporter = LOOM_EXPORTER_NONE}));
        providers[i] = make_provider(processors[i]);
        for (unsigned k = 0; k <= i; k++) {
            loom_span_end(loom_span_start(loom_tracer_get(providers[i], "t", NULL), "plain", NULL));
        }
    }
    for (unsigned i = 0; i < PROVIDERS; i++) {
        const uint64_t found = loom_span_processor_metrics(processors[i]).span_started_unsampled;
        assert_true(found == i + 1 || found == 0);
        counted += found != 0;
        loom_tracer_provider_unref(providers[i]);
        assert_int_equal(found, loom_span_processor_metrics(processors[i]).span_started_unsampled);
    }
    assert_int_equal(COUNTED - 1, counted); /* one is the fixture's */
    assert_int_equal(0, started());
    /* a new one of the same processor begins at nothing, in a counter that another has used */
    providers[0] = make_provider(processors[0]);
    loom_span_end(loom_span_start(loom_tracer_get(providers[0], "t", NULL), "plain", NULL));
    assert_int_equal(2, loom_span_processor_metrics(processors[0]).span_started_unsampled);
    loom_tracer_provider_unref(providers[0]);
    for (unsigned i = 0; i < PROVIDERS; i++) {
        loom_span_processor_unref(processors[i]);
    }
}

int main(void)
{
#define NEVER(test) cmocka_unit_test_setup_teardown(test, open_never, close_recorded)
    const struct CMUnitTest tests[] = {
        NEVER(each_of_many_at_once_has_a_context_of_its_own),
        NEVER(what_another_thread_ends_is_used_again),
        NEVER(spans_outlive_the_thread_that_started_them),
        NEVER(one_that_another_thread_has_as_its_current_span_is_not_used_again),
        NEVER(no_two_threads_get_the_same_memory),
        NEVER(every_start_is_counted_by_whichever_way_it_comes),
        NEVER(hops_are_counted_in_a_thread_that_had_no_span),
        NEVER(providers_count_apart_and_what_they_counted_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
