/* SPDX-License-Identifier: Apache-2.0 */
/* The flight recorder where more threads make spans than it has memory for: each fills a chunk of its own. */
#include "tests/unit/trace/recorded.h"

#include <loom/recorder.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/str.h"
#include "trace/record/recorder.h"

enum { SMALLEST = 512 * 1024, CHUNKS = 8, THREADS = 24 };

typedef struct fixture {
    recorded spans;
    loom_recorder_counts before;
    pthread_barrier_t all_have_one;
    loom_trace_context root;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_status(LOOM_OK, loom_recorder_configure(SMALLEST, NULL));
    recorded_open(&f->spans, &(loom_sampler){.kind = LOOM_SAMPLER_PARENTBASED_ALWAYS_OFF});
    f->before = loom_recorder_counts_now();
    assert_int_equal(0, pthread_barrier_init(&f->all_have_one, NULL, THREADS));
    f->root = (loom_trace_context){{0xaa, 1}, {0xbb, 2}, 0};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    (void)pthread_barrier_destroy(&f->all_have_one);
    recorded_close(&f->spans);
    free(f);
    return 0;
}

static size_t exported(fixture *f)
{
    recorded_read(&f->spans);
    return json_array_size(f->spans.spans);
}

static void one_span(fixture *f)
{
    loom_span_end(loom_span_start(f->spans.tracer, "work", &(loom_span_options){.kind = LOOM_SPAN_INTERNAL, .parent = &f->root}));
}

static void *span_of_a_thread(void *user)
{
    fixture *f = user;
    one_span(f);
    (void)pthread_barrier_wait(&f->all_have_one); /* nobody gives his chunk back before everybody has tried */
    return NULL;
}

static void who_finds_no_room_is_counted_and_the_trace_says_so(void **state)
{
    fixture *f = *state;
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(0, pthread_create(&threads[i], NULL, span_of_a_thread, f));
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(0, pthread_join(threads[i], NULL));
    }
    const loom_recorder_counts now = loom_recorder_counts_now();
    assert_int_equal(CHUNKS, now.recorded - f->before.recorded);
    assert_int_equal(THREADS - CHUNKS, now.lost - f->before.lost);
    recorder_keep_here(f->root.trace_id, STR("asked"));
    assert_int_equal(CHUNKS, exported(f));
    json_t *cut;
    assert_int_equal(1, recorded_attr(json_array_get(f->spans.spans, 0), "loom.kept.cut", &cut));
    one_span(f); /* and there is room again */
    assert_int_equal(CHUNKS + 1, exported(f));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_finds_no_room_is_counted_and_the_trace_says_so, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
