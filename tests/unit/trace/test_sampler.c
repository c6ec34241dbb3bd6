/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/check.h"
#include "trace/span/sampler.h"

#include <stdlib.h>

static const uint8_t any_id[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

static bool decide(loom_sampler_kind kind, const loom_trace_context *parent)
{
    return sampler_decide(&(loom_sampler){.kind = kind, .ratio = 0.0}, parent, any_id);
}

static void parent_based_samplers_follow_a_parent(void **state)
{
    (void)state;
    const loom_trace_context on = {.trace_flags = LOOM_TRACE_FLAG_SAMPLED | LOOM_TRACE_FLAG_RANDOM};
    const loom_trace_context off = {.trace_flags = LOOM_TRACE_FLAG_RANDOM};
    for (loom_sampler_kind kind = LOOM_SAMPLER_PARENTBASED_ALWAYS_ON; kind <= LOOM_SAMPLER_PARENTBASED_RATIO; kind++) {
        assert_true(decide(kind, &on));
        assert_false(decide(kind, &off));
    }
    assert_true(decide(LOOM_SAMPLER_ALWAYS_ON, &off));
    assert_false(decide(LOOM_SAMPLER_ALWAYS_OFF, &on));
}

static void roots_are_sampled_as_the_kind_says(void **state)
{
    (void)state;
    assert_true(decide(LOOM_SAMPLER_PARENTBASED_ALWAYS_ON, NULL));
    assert_false(decide(LOOM_SAMPLER_PARENTBASED_ALWAYS_OFF, NULL));
    assert_false(decide(LOOM_SAMPLER_PARENTBASED_RATIO, NULL));
}

/* go.opentelemetry.io/otel/sdk/trace: trace_id[8:16] big endian >> 1 < ratio * 2^63. */
static void ratio_compares_the_last_eight_bytes_as_the_go_sdk_does(void **state)
{
    (void)state;
    static const struct {
        double ratio;
        uint8_t low[8]; /* the last eight bytes of the trace id */
        bool sampled;
    } vectors[] = {
        {0.5, {0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, true},
        {0.5, {0x80, 0, 0, 0, 0, 0, 0, 0}, false},
        {0.25, {0x3f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, true},
        {0.25, {0x40, 0, 0, 0, 0, 0, 0, 0}, false},
        {1.0, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, true},
        {0.0, {0, 0, 0, 0, 0, 0, 0, 0}, false},
        {1e-18, {0, 0, 0, 0, 0, 0, 0, 0x11}, true},  /* bound 9 */
        {1e-18, {0, 0, 0, 0, 0, 0, 0, 0x12}, false},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        uint8_t id[16];
        memset(id, 0xff, sizeof id); /* the first eight bytes do not matter */
        memcpy(id + 8, vectors[i].low, 8);
        loom_sampler sampler = {.kind = LOOM_SAMPLER_RATIO, .ratio = vectors[i].ratio};
        assert_int_equal(vectors[i].sampled, sampler_decide(&sampler, NULL, id));
    }
}

static void a_ratio_keeps_its_share_of_random_traces(void **state)
{
    (void)state;
    loom_sampler sampler = {.kind = LOOM_SAMPLER_RATIO, .ratio = 0.1};
    int kept = 0;
    for (int i = 0; i < 20000; i++) {
        uint8_t id[16];
        loom_trace_id_generate(id);
        kept += sampler_decide(&sampler, NULL, id);
    }
    assert_in_range(kept, 1750, 2250);
}

static void the_environment_chooses_the_sampler(void **state)
{
    (void)state;
    setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio", 1);
    setenv("OTEL_TRACES_SAMPLER_ARG", "0.25", 1);
    loom_sampler sampler = loom_sampler_from_env();
    assert_int_equal(LOOM_SAMPLER_PARENTBASED_RATIO, sampler.kind);
    assert_true(sampler.ratio == 0.25);
    setenv("OTEL_TRACES_SAMPLER_ARG", "1.5", 1);
    assert_true(loom_sampler_from_env().ratio == 1.0);
    setenv("OTEL_TRACES_SAMPLER", "sometimes", 1);
    assert_int_equal(LOOM_SAMPLER_PARENTBASED_ALWAYS_ON, loom_sampler_from_env().kind);
    unsetenv("OTEL_TRACES_SAMPLER");
    setenv("OTEL_TRACE_SAMPLER", "always_off", 1);
    assert_int_equal(LOOM_SAMPLER_ALWAYS_OFF, loom_sampler_from_env().kind);
    unsetenv("OTEL_TRACE_SAMPLER");
    unsetenv("OTEL_TRACES_SAMPLER_ARG");
}

static void a_ratio_outside_zero_to_one_is_not_valid(void **state)
{
    (void)state;
    assert_true(sampler_valid(&(loom_sampler){.kind = LOOM_SAMPLER_RATIO, .ratio = 1.0}));
    assert_false(sampler_valid(&(loom_sampler){.kind = LOOM_SAMPLER_RATIO, .ratio = -0.1}));
    assert_false(sampler_valid(&(loom_sampler){.kind = LOOM_SAMPLER_RATIO, .ratio = 1.1}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parent_based_samplers_follow_a_parent),
        cmocka_unit_test(roots_are_sampled_as_the_kind_says),
        cmocka_unit_test(ratio_compares_the_last_eight_bytes_as_the_go_sdk_does),
        cmocka_unit_test(a_ratio_keeps_its_share_of_random_traces),
        cmocka_unit_test(the_environment_chooses_the_sampler),
        cmocka_unit_test(a_ratio_outside_zero_to_one_is_not_valid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
