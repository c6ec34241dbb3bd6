/* SPDX-License-Identifier: Apache-2.0 */
/* When a join is over, and how. */
#include "sdk-c/collaboration/join_rule.h"

#include "tests/support/check.h"

enum { OPEN = -1 };

/* The outcome of so many received and failed, or OPEN. */
static int outcome_of(const loom_join_rule *rule, size_t candidates, uint32_t received, uint32_t failed)
{
    join_tally t;
    loom_join_outcome outcome;
    assert_status(LOOM_OK, join_tally_init(&t, rule, candidates));
    t.received = received;
    t.failed = failed;
    return join_tally_over(&t, &outcome) ? (int)outcome : OPEN;
}

static void all_is_over_when_the_last_one_has_come(void **state)
{
    (void)state;
    const loom_join_rule rule = {.strategy = LOOM_JOIN_ALL, .expected = 3};
    assert_int_equal(OPEN, outcome_of(&rule, 0, 0, 0));
    assert_int_equal(OPEN, outcome_of(&rule, 0, 2, 0));
    assert_int_equal(LOOM_JOIN_COMPLETE, outcome_of(&rule, 0, 3, 0));
}

static void as_many_are_expected_as_there_are_candidates(void **state)
{
    (void)state;
    const loom_join_rule rule = {.strategy = LOOM_JOIN_ALL};
    assert_int_equal(OPEN, outcome_of(&rule, 2, 1, 0));
    assert_int_equal(LOOM_JOIN_COMPLETE, outcome_of(&rule, 2, 2, 0));
}

static void the_first_k_are_a_quorum_or_complete(void **state)
{
    (void)state;
    const loom_join_rule rule = {.strategy = LOOM_JOIN_FIRST, .k = 2};
    assert_int_equal(OPEN, outcome_of(&rule, 5, 1, 0));
    assert_int_equal(LOOM_JOIN_QUORUM, outcome_of(&rule, 5, 2, 0));
    assert_int_equal(LOOM_JOIN_COMPLETE, outcome_of(&rule, 2, 2, 0));
    assert_int_equal(LOOM_JOIN_COMPLETE, outcome_of(&rule, 0, 2, 0));
}

static void any_is_over_with_the_first_one(void **state)
{
    (void)state;
    const loom_join_rule rule = {.strategy = LOOM_JOIN_ANY};
    assert_int_equal(LOOM_JOIN_QUORUM, outcome_of(&rule, 3, 1, 0));
    assert_int_equal(LOOM_JOIN_COMPLETE, outcome_of(&rule, 1, 1, 0));
    assert_int_equal(LOOM_JOIN_COMPLETE, outcome_of(&rule, 0, 1, 0));
}

static void a_majority_is_more_than_half(void **state)
{
    (void)state;
    const loom_join_rule rule = {.strategy = LOOM_JOIN_MAJORITY};
    assert_int_equal(OPEN, outcome_of(&rule, 4, 2, 0));
    assert_int_equal(LOOM_JOIN_QUORUM, outcome_of(&rule, 4, 3, 0));
    assert_int_equal(OPEN, outcome_of(&rule, 5, 2, 0));
    assert_int_equal(LOOM_JOIN_QUORUM, outcome_of(&rule, 5, 3, 0));
    assert_int_equal(LOOM_JOIN_COMPLETE, outcome_of(&rule, 1, 1, 0));
}

static void it_has_failed_when_too_few_are_left(void **state)
{
    (void)state;
    const loom_join_rule all = {.strategy = LOOM_JOIN_ALL}, any = {.strategy = LOOM_JOIN_ANY};
    const loom_join_rule majority = {.strategy = LOOM_JOIN_MAJORITY}, two = {.strategy = LOOM_JOIN_ALL, .expected = 2};
    assert_int_equal(LOOM_JOIN_FAILED, outcome_of(&all, 3, 2, 1));
    assert_int_equal(OPEN, outcome_of(&any, 3, 0, 2));
    assert_int_equal(LOOM_JOIN_FAILED, outcome_of(&any, 3, 0, 3));
    assert_int_equal(OPEN, outcome_of(&majority, 5, 0, 2));
    assert_int_equal(LOOM_JOIN_FAILED, outcome_of(&majority, 5, 0, 3));
    assert_int_equal(OPEN, outcome_of(&two, 3, 0, 1));
    assert_int_equal(LOOM_JOIN_FAILED, outcome_of(&two, 3, 0, 2));
}

static void a_rule_that_cannot_be_satisfied_is_invalid(void **state)
{
    (void)state;
    static const struct {
        loom_join_rule rule;
        size_t candidates;
    } bad[] = {
        {{.strategy = LOOM_JOIN_ALL}, 0},
        {{.strategy = LOOM_JOIN_MAJORITY}, 0},
        {{.strategy = LOOM_JOIN_FIRST}, 3},
        {{.strategy = LOOM_JOIN_FIRST, .k = 4}, 3},
        {{.strategy = LOOM_JOIN_FIRST, .k = 4, .expected = 3}, 0},
        {{.strategy = LOOM_JOIN_FIRST, .k = LOOM_CONTRIBUTIONS_MAX + 1}, 0},
        {{.strategy = LOOM_JOIN_ALL, .expected = 4}, 3},
        {{.strategy = LOOM_JOIN_ALL, .expected = LOOM_CONTRIBUTIONS_MAX + 1}, 0},
        {{.strategy = LOOM_JOIN_ALL}, LOOM_CONTRIBUTIONS_MAX + 1},
        {{.strategy = (loom_join_strategy)9}, 3},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        join_tally t;
        assert_status(LOOM_EINVAL, join_tally_init(&t, &bad[i].rule, bad[i].candidates));
    }
}

static void without_a_list_everybody_counts(void **state)
{
    (void)state;
    static const char *const two[] = {"a", "bc", NULL}, *const nobody[] = {NULL};
    assert_true(join_source_counts(NULL, STR("x")));
    assert_true(join_source_counts(two, STR("bc")));
    assert_false(join_source_counts(two, STR("b")));
    assert_false(join_source_counts(nobody, STR("a")));
    assert_int_equal(2, join_source_count(two));
    assert_int_equal(0, join_source_count(NULL));
}

static void outcomes_have_names(void **state)
{
    (void)state;
    assert_string_equal("complete", loom_join_outcome_name(LOOM_JOIN_COMPLETE));
    assert_string_equal("quorum", loom_join_outcome_name(LOOM_JOIN_QUORUM));
    assert_string_equal("timeout", loom_join_outcome_name(LOOM_JOIN_TIMEOUT));
    assert_string_equal("failed", loom_join_outcome_name(LOOM_JOIN_FAILED));
    assert_string_equal("?", loom_join_outcome_name((loom_join_outcome)9));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_is_over_when_the_last_one_has_come),
        cmocka_unit_test(as_many_are_expected_as_there_are_candidates),
        cmocka_unit_test(the_first_k_are_a_quorum_or_complete),
        cmocka_unit_test(any_is_over_with_the_first_one),
        cmocka_unit_test(a_majority_is_more_than_half),
        cmocka_unit_test(it_has_failed_when_too_few_are_left),
        cmocka_unit_test(a_rule_that_cannot_be_satisfied_is_invalid),
        cmocka_unit_test(without_a_list_everybody_counts),
        cmocka_unit_test(outcomes_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
