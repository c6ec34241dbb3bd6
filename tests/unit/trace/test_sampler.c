/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "tests/support/check.h"
#include "trace/span/sampler.h"

#include <pthread.h>
#include <stdlib.h>

static const uint8_t any_id[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
static const loom_trace_context sampled = {.trace_flags = LOOM_TRACE_FLAG_SAMPLED | LOOM_TRACE_FLAG_RANDOM};
static const loom_trace_context not_sampled = {.trace_flags = LOOM_TRACE_FLAG_RANDOM};
static const loom_sampler on = {.kind = LOOM_SAMPLER_ALWAYS_ON}, off = {.kind = LOOM_SAMPLER_ALWAYS_OFF};

/* As a span's start decides. */
static bool decide(span_sampler *s, const loom_sampler_question *q)
{
    if (q->parent != NULL && s->follows_parent) {
        return (q->parent->trace_flags & LOOM_TRACE_FLAG_SAMPLED) != 0;
    }
    return s->answer == SAMPLER_ASKS ? sampler_ask(s, q, NULL) : s->answer == SAMPLER_ALWAYS;
}

static bool decide_once(const loom_sampler *description, loom_sampler_question q)
{
    span_sampler s;
    if (q.trace_id == NULL) {
        q.trace_id = any_id;
    }
    assert_status(LOOM_OK, sampler_init(&s, description));
    const bool answer = decide(&s, &q);
    sampler_fini(&s);
    return answer;
}

static bool decide_kind(loom_sampler_kind kind, const loom_trace_context *parent)
{
    return decide_once(&(loom_sampler){.kind = kind}, (loom_sampler_question){.parent = parent});
}

static void parent_based_samplers_follow_a_parent(void **state)
{
    (void)state;
    static const loom_sampler_kind kinds[] = {LOOM_SAMPLER_PARENTBASED_ALWAYS_ON, LOOM_SAMPLER_PARENTBASED_ALWAYS_OFF,
                                              LOOM_SAMPLER_PARENTBASED_RATIO, LOOM_SAMPLER_PARENTBASED_RATE_LIMITED};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        assert_true(decide_kind(kinds[i], &sampled));
        assert_false(decide_kind(kinds[i], &not_sampled));
    }
    assert_true(decide_kind(LOOM_SAMPLER_ALWAYS_ON, &not_sampled));
    assert_false(decide_kind(LOOM_SAMPLER_ALWAYS_OFF, &sampled));
}

static void roots_are_sampled_as_the_kind_says(void **state)
{
    (void)state;
    assert_true(decide_kind(LOOM_SAMPLER_PARENTBASED_ALWAYS_ON, NULL));
    assert_false(decide_kind(LOOM_SAMPLER_PARENTBASED_ALWAYS_OFF, NULL));
    assert_false(decide_kind(LOOM_SAMPLER_PARENTBASED_RATIO, NULL));
    assert_false(decide_kind(LOOM_SAMPLER_PARENTBASED_RATE_LIMITED, NULL));
}

/* OpenTelemetry, "Probability sampling": R, the right-most 56 bits, is sampled if R >= T, the ratio's rejection threshold. */
static void ratio_compares_the_right_most_seven_bytes_with_a_threshold(void **state)
{
    (void)state;
    static const struct {
        double ratio;
        uint8_t low[7];
        bool sampled;
    } vectors[] = {
        {0.5, {0x80, 0, 0, 0, 0, 0, 0}, true},
        {0.5, {0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, false},
        {0.25, {0xc0, 0, 0, 0, 0, 0, 0}, true},
        {0.25, {0xbf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, false},
        {1.0, {0, 0, 0, 0, 0, 0, 0}, true},
        {0.0, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, false},
        {1e-300, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, true},
        {1e-300, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe}, false},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        uint8_t id[16];
        memset(id, i % 2 == 0 ? 0xff : 0x01, sizeof id); /* the first nine bytes do not matter */
        memcpy(id + 9, vectors[i].low, 7);
        const loom_sampler ratio = {.kind = LOOM_SAMPLER_RATIO, .ratio = vectors[i].ratio};
        assert_int_equal(vectors[i].sampled, decide_once(&ratio, (loom_sampler_question){.trace_id = id}));
    }
}

static void a_larger_ratio_keeps_what_a_smaller_one_keeps(void **state)
{
    (void)state;
    int kept_tenth = 0;
    for (int i = 0; i < 20000; i++) {
        uint8_t id[16];
        loom_trace_id_generate(id);
        const loom_sampler_question q = {.trace_id = id};
        const bool tenth = decide_once(&(loom_sampler){.kind = LOOM_SAMPLER_RATIO, .ratio = 0.1}, q);
        const bool half = decide_once(&(loom_sampler){.kind = LOOM_SAMPLER_RATIO, .ratio = 0.5}, q);
        assert_true(!tenth || half);
        kept_tenth += tenth;
    }
    assert_in_range(kept_tenth, 1750, 2250);
}

static void each_case_of_the_parent_has_its_delegate(void **state)
{
    (void)state;
    static const struct {
        const loom_trace_context *parent;
        bool remote;
    } cases[] = {{NULL, false}, {&sampled, true}, {&not_sampled, true}, {&sampled, false}, {&not_sampled, false}};
    for (size_t i = 0; i < 5; i++) {
        const loom_sampler *d[5] = {&off, &off, &off, &off, &off};
        d[i] = &on;
        const loom_sampler_parents parents = {d[0], d[1], d[2], d[3], d[4]};
        const loom_sampler described = {.kind = LOOM_SAMPLER_PARENTBASED, .parents = &parents};
        for (size_t j = 0; j < 5; j++) {
            const loom_sampler_question q = {.parent = cases[j].parent, .parent_is_remote = cases[j].remote};
            assert_int_equal(i == j, decide_once(&described, q));
        }
    }
}

static void a_parent_based_sampler_that_only_follows_asks_nobody(void **state)
{
    (void)state;
    const loom_sampler ratio = {.kind = LOOM_SAMPLER_RATIO, .ratio = 0.5};
    span_sampler s;
    const loom_sampler described = {.kind = LOOM_SAMPLER_PARENTBASED, .parents = &(loom_sampler_parents){.root = &ratio}};
    assert_status(LOOM_OK, sampler_init(&s, &described));
    assert_true(s.follows_parent);
    uint8_t high[16], low[16] = {0};
    memset(high, 0xff, sizeof high);
    assert_true(decide(&s, &(loom_sampler_question){.trace_id = high}));
    assert_false(decide(&s, &(loom_sampler_question){.trace_id = low}));
    sampler_fini(&s);
}

static void the_first_rule_that_matches_decides(void **state)
{
    (void)state;
    const loom_attr_pattern of_tenant[] = {{"tenant", "test-*"}, {"http.*", NULL}};
    const loom_sampler_rule rules[] = {
        {.name = "GET /health*", .sampler = &off},
        {.name = "GET *", .kind = LOOM_SPAN_SERVER, .sampler = &on},
        {.attrs = of_tenant, .attr_count = 2, .sampler = &on},
        {.attrs = &(loom_attr_pattern){"retry", "3"}, .attr_count = 1, .sampler = &on},
        {.attrs = &(loom_attr_pattern){"debug", "true"}, .attr_count = 1, .sampler = &on},
        {.attrs = &(loom_attr_pattern){"tags", "vip"}, .attr_count = 1, .sampler = &on},
    };
    const loom_sampler described = {.kind = LOOM_SAMPLER_RULES, .rules = &(loom_sampler_rules){rules, 6, &off}};
    const loom_str tags[] = {STR("x"), STR("vip")};
    const loom_attr tenant[] = {{.key = "tenant", .type = LOOM_ATTR_STRING, .value.string = STR("test-1")},
                                {.key = "http.route", .type = LOOM_ATTR_DOUBLE, .value.real = 0.5}};
    const loom_attr retry = {.key = "retry", .type = LOOM_ATTR_INT, .value.integer = 3};
    const loom_attr debug = {.key = "debug", .type = LOOM_ATTR_BOOL, .value.boolean = true};
    const loom_attr list = {.key = "tags", .type = LOOM_ATTR_STRINGS, .value.array = {tags, 2}};
    const struct {
        loom_sampler_question question;
        bool sampled;
    } vectors[] = {
        {{.name = "GET /healthz", .kind = LOOM_SPAN_SERVER}, false},
        {{.name = "GET /x", .kind = LOOM_SPAN_SERVER}, true},
        {{.name = "GET /x", .kind = LOOM_SPAN_CLIENT}, false},
        {{.name = "x", .attrs = tenant, .attr_count = 2}, true},
        {{.name = "x", .attrs = tenant, .attr_count = 1}, false},
        {{.name = "x", .attrs = &retry, .attr_count = 1}, true},
        {{.name = "x", .attrs = &debug, .attr_count = 1}, true},
        {{.name = "x", .attrs = &list, .attr_count = 1}, true},
        {{.name = NULL}, false},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        if (decide_once(&described, vectors[i].question) != vectors[i].sampled) {
            fail_msg("question %zu", i);
        }
    }
    assert_true(decide_once(&(loom_sampler){.kind = LOOM_SAMPLER_RULES, .rules = &(loom_sampler_rules){0}},
                            (loom_sampler_question){.name = "x"})); /* none: always on */
}

static bool is_even(void *user, const loom_sampler_question *question)
{
    ++*(int *)user;
    return question->trace_id[15] % 2 == 0;
}

static void a_function_may_decide(void **state)
{
    (void)state;
    int asked = 0;
    const loom_sampler described = {.kind = LOOM_SAMPLER_CUSTOM, .custom = &(loom_sampler_custom){.decide = is_even, .user = &asked}};
    assert_true(decide_once(&described, (loom_sampler_question){0}));
    assert_int_equal(1, asked);
}

static void the_rate_is_limited(void **state)
{
    (void)state;
    span_sampler s;
    assert_status(LOOM_OK, sampler_init(&s, &(loom_sampler){.kind = LOOM_SAMPLER_RATE_LIMITED, .per_second = 0.001}));
    int kept = 0;
    for (int i = 0; i < 1000; i++) {
        kept += decide(&s, &(loom_sampler_question){.trace_id = any_id});
    }
    assert_int_equal(1, kept); /* the first, and the next in a thousand seconds */
    sampler_fini(&s);
}

typedef struct asker {
    span_sampler *sampler;
    pthread_t thread;
    unsigned kept;
} asker;

static void *ask_often(void *arg)
{
    asker *a = arg;
    for (int i = 0; i < 2000; i++) {
        a->kept += decide(a->sampler, &(loom_sampler_question){.trace_id = any_id});
    }
    return NULL;
}

static void threads_share_one_rate(void **state)
{
    (void)state;
    enum { THREADS = 4, PER_SECOND = 50 };
    span_sampler s;
    asker askers[THREADS];
    unsigned kept = 0;
    assert_status(LOOM_OK, sampler_init(&s, &(loom_sampler){.kind = LOOM_SAMPLER_RATE_LIMITED, .per_second = PER_SECOND}));
    const uint64_t start = clock_monotonic_ns();
    for (size_t i = 0; i < THREADS; i++) {
        askers[i] = (asker){.sampler = &s};
        assert_int_equal(0, pthread_create(&askers[i].thread, NULL, ask_often, &askers[i]));
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(askers[i].thread, NULL);
        kept += askers[i].kept;
    }
    const double seconds = (double)(clock_monotonic_ns() - start) / 1e9;
    assert_true(kept >= PER_SECOND && (double)kept <= PER_SECOND * (1.0 + seconds) + 1.0);
    sampler_fini(&s);
}

static void the_environment_chooses_the_sampler(void **state)
{
    (void)state;
    setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio", 1);
    setenv("OTEL_TRACES_SAMPLER_ARG", "0.25", 1);
    loom_sampler chosen = loom_sampler_from_env();
    assert_int_equal(LOOM_SAMPLER_PARENTBASED_RATIO, chosen.kind);
    assert_true(chosen.ratio == 0.25);
    setenv("OTEL_TRACES_SAMPLER_ARG", "1.5", 1);
    assert_true(loom_sampler_from_env().ratio == 1.0);
    setenv("OTEL_TRACES_SAMPLER", "Parentbased_Rate_Limited", 1);
    chosen = loom_sampler_from_env();
    assert_int_equal(LOOM_SAMPLER_PARENTBASED_RATE_LIMITED, chosen.kind);
    assert_true(chosen.per_second == 1.5);
    setenv("OTEL_TRACES_SAMPLER_ARG", "-1", 1);
    assert_true(loom_sampler_from_env().per_second == 100.0);
    setenv("OTEL_TRACES_SAMPLER", "sometimes", 1);
    assert_int_equal(LOOM_SAMPLER_PARENTBASED_ALWAYS_ON, loom_sampler_from_env().kind);
    unsetenv("OTEL_TRACES_SAMPLER");
    setenv("OTEL_TRACE_SAMPLER", "always_off", 1);
    assert_int_equal(LOOM_SAMPLER_ALWAYS_OFF, loom_sampler_from_env().kind);
    unsetenv("OTEL_TRACE_SAMPLER");
    unsetenv("OTEL_TRACES_SAMPLER_ARG");
}

static void descriptions_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    span_sampler s;
    loom_sampler nested[20];
    loom_sampler_parents parents[20];
    const loom_sampler_rule without_sampler = {.name = "x"}, bad_kind = {.kind = (loom_span_kind)99, .sampler = &on};
    const struct {
        loom_sampler described;
        loom_status status;
    } vectors[] = {
        {{.kind = (loom_sampler_kind)99}, LOOM_EINVAL},
        {{.kind = (loom_sampler_kind)-1}, LOOM_EINVAL},
        {{.kind = LOOM_SAMPLER_RATIO, .ratio = -0.1}, LOOM_EINVAL},
        {{.kind = LOOM_SAMPLER_RATIO, .ratio = 1.1}, LOOM_EINVAL},
        {{.kind = LOOM_SAMPLER_RATE_LIMITED, .per_second = -1}, LOOM_EINVAL},
        {{.kind = LOOM_SAMPLER_PARENTBASED}, LOOM_EINVAL},
        {{.kind = LOOM_SAMPLER_RULES}, LOOM_EINVAL},
        {{.kind = LOOM_SAMPLER_CUSTOM}, LOOM_EINVAL},
        {{.kind = LOOM_SAMPLER_RULES, .rules = &(loom_sampler_rules){NULL, 1, NULL}}, LOOM_EINVAL},
        {{.kind = LOOM_SAMPLER_RULES, .rules = &(loom_sampler_rules){&without_sampler, 1, NULL}}, LOOM_EINVAL},
        {{.kind = LOOM_SAMPLER_RULES, .rules = &(loom_sampler_rules){&bad_kind, 1, NULL}}, LOOM_EINVAL},
        {{.kind = LOOM_SAMPLER_RULES, .rules = &(loom_sampler_rules){&bad_kind, 5000, NULL}}, LOOM_ETOOBIG},
    };
    for (size_t i = 0; i < 20; i++) { /* each the root of the one before */
        nested[i] = (loom_sampler){.kind = LOOM_SAMPLER_PARENTBASED, .parents = &parents[i]};
        parents[i] = (loom_sampler_parents){.root = i + 1 < 20 ? &nested[i + 1] : &on};
    }
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        assert_status(vectors[i].status, sampler_init(&s, &vectors[i].described));
    }
    assert_status(LOOM_ETOOBIG, sampler_init(&s, &nested[0]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parent_based_samplers_follow_a_parent),
        cmocka_unit_test(roots_are_sampled_as_the_kind_says),
        cmocka_unit_test(ratio_compares_the_right_most_seven_bytes_with_a_threshold),
        cmocka_unit_test(a_larger_ratio_keeps_what_a_smaller_one_keeps),
        cmocka_unit_test(each_case_of_the_parent_has_its_delegate),
        cmocka_unit_test(a_parent_based_sampler_that_only_follows_asks_nobody),
        cmocka_unit_test(the_first_rule_that_matches_decides),
        cmocka_unit_test(a_function_may_decide),
        cmocka_unit_test(the_rate_is_limited),
        cmocka_unit_test(threads_share_one_rate),
        cmocka_unit_test(the_environment_chooses_the_sampler),
        cmocka_unit_test(descriptions_that_make_no_sense_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
