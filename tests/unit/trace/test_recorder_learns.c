/* SPDX-License-Identifier: Apache-2.0 */
/* The flight recorder learns what is slow from the spans it has seen. */
#include "tests/unit/trace/recorded.h"

#include <loom/recorder.h>

#define START UINT64_C(1700000000000000000)

enum { SMALLEST = 512 * 1024, US = 1000, SEEN = 3000 };

static recorded spans;

static int setup(void **state)
{
    (void)state;
    assert_status(LOOM_OK, loom_recorder_configure(SMALLEST, "slowest=1%"));
    recorded_open(&spans, &(loom_sampler){.kind = LOOM_SAMPLER_PARENTBASED_ALWAYS_OFF});
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    recorded_close(&spans);
    return 0;
}

static size_t exported(void)
{
    recorded_read(&spans);
    return json_array_size(spans.spans);
}

static void span_that_takes(const char *name, uint64_t ns)
{
    loom_span_end_at(loom_span_start(spans.tracer, name, &(loom_span_options){.kind = LOOM_SPAN_INTERNAL, .start_unix_ns = START}),
                     START + ns);
}

/* Some thousand are a few chunks: it looks at those that are full. */
static void one_that_is_slower_than_nearly_all_before_it_is_kept(void **state)
{
    (void)state;
    span_that_takes("work", 5000 * US);
    assert_int_equal(0, exported()); /* nothing is known yet */
    for (unsigned i = 0; i < SEEN; i++) {
        span_that_takes("work", (uint64_t)(100 + i % 10) * US);
    }
    assert_int_equal(0, exported());
    span_that_takes("work", 5000 * US);
    assert_int_equal(1, exported());
    recorded_has_string(recorded_span(&spans, "work"), "loom.kept", "slow");
    span_that_takes("rare", 5000 * US);
    assert_int_equal(1, exported());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_that_is_slower_than_nearly_all_before_it_is_kept, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
