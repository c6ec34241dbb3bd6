/* SPDX-License-Identifier: Apache-2.0 */
/* What counts as slow: rules as text, and times that are learned. */
#include "tests/support/check.h"

#include "base/str.h"
#include "trace/record/rules.h"

static slow_rules parsed(const char *text)
{
    slow_rules rules = {.count = 0};
    const char *fault;
    assert_status(LOOM_OK, slow_rules_parse(&rules, str_of(text), &fault));
    return rules;
}

static void the_first_rule_that_fits_counts(void **state)
{
    (void)state;
    slow_rules rules = parsed(" agent.on_event > 50ms , workflow.*>2s,work*>1us, *>7ns");
    assert_int_equal(50000000, slow_rules_limit(&rules, STR("agent.on_event"), 0));
    assert_int_equal(2000000000, slow_rules_limit(&rules, STR("workflow.step"), 0));
    assert_int_equal(1000, slow_rules_limit(&rules, STR("work"), 0));
    assert_int_equal(7, slow_rules_limit(&rules, STR("agent.on_events"), 0));
    slow_rules_fini(&rules);
}

static void without_a_rule_nothing_is_slow(void **state)
{
    (void)state;
    slow_rules rules = parsed("");
    assert_true(slow_rules_limit(&rules, STR("agent.on_event"), 0) == UINT64_MAX);
    assert_int_equal(0, slow_rules_name(&rules, STR("agent.on_event")));
}

static void a_rule_that_makes_no_sense_is_refused_and_says_why(void **state)
{
    (void)state;
    static const struct {
        const char *text, *fault;
    } bad[] = {
        {"agent.on_event", "is neither NAME>TIME nor slowest=PERCENT"},
        {"a>1s,>5ms", "has a rule whose name is empty or longer than 63 bytes"},
        {"a*b>5ms", "has a * that is not at the end of a name"},
        {"a**>5ms", "has a * that is not at the end of a name"},
        {"a>5", "has a rule whose time is no duration such as 50ms"},
        {"a>ms", "has a rule whose time is no duration such as 50ms"},
        {"a>-1ms", "has a rule whose time is no duration such as 50ms"},
        {"slowest=5", "has a share of the slowest that is no percentage up to 50%"},
        {"slowest=51%", "has a share of the slowest that is no percentage up to 50%"},
        {"slowest=", "has a share of the slowest that is no percentage up to 50%"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        slow_rules rules = parsed("kept>1s");
        const char *fault;
        assert_status(LOOM_EINVAL, slow_rules_parse(&rules, str_of(bad[i].text), &fault));
        assert_string_equal(bad[i].fault, fault);
        assert_int_equal(1, rules.count);
    }
}

static void more_rules_than_there_is_room_for_are_refused(void **state)
{
    (void)state;
    char text[40 * 8] = "";
    slow_rules rules = {.count = 0};
    const char *fault;
    for (unsigned i = 0; i < RULES_MAX; i++) {
        strcat(text, "a>1s,");
    }
    assert_status(LOOM_OK, slow_rules_parse(&rules, str_of(text), &fault));
    assert_int_equal(RULES_MAX, rules.count);
    strcat(text, "a>1s");
    assert_status(LOOM_EINVAL, slow_rules_parse(&rules, str_of(text), &fault));
    assert_string_equal("has more than 32 rules", fault);
}

/* A thousand spans of 1 to 1000 µs: the slowest percent took more than 990. */
static void the_slowest_share_of_a_name_is_learned(void **state)
{
    (void)state;
    slow_rules rules = parsed("slowest=1%");
    const uint32_t number = slow_rules_name(&rules, STR("agent.on_event"));
    assert_int_not_equal(0, number);
    assert_int_equal(number, slow_rules_name(&rules, STR("agent.on_event")));
    for (uint64_t us = 1; us < 1000; us++) {
        slow_rules_learn(&rules, number, us * 1000);
    }
    assert_true(slow_rules_limit(&rules, STR("agent.on_event"), number) == UINT64_MAX);
    slow_rules_learn(&rules, number, 1000000);
    const uint64_t limit = slow_rules_limit(&rules, STR("agent.on_event"), number);
    assert_true(limit >= 990000);
    assert_true(limit <= 990000 * 5 / 4);
    slow_rules_fini(&rules);
}

static void names_are_bounded(void **state)
{
    (void)state;
    slow_rules rules = parsed("slowest=0.1%");
    char name[16];
    for (unsigned i = 0; i < RULES_NAMES_MAX; i++) {
        (void)snprintf(name, sizeof name, "name-%u", i);
        assert_int_equal(i + 1, slow_rules_name(&rules, str_of(name)));
    }
    assert_int_equal(0, slow_rules_name(&rules, STR("one more")));
    slow_rules_fini(&rules);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_rule_that_fits_counts),
        cmocka_unit_test(without_a_rule_nothing_is_slow),
        cmocka_unit_test(a_rule_that_makes_no_sense_is_refused_and_says_why),
        cmocka_unit_test(more_rules_than_there_is_room_for_are_refused),
        cmocka_unit_test(the_slowest_share_of_a_name_is_learned),
        cmocka_unit_test(names_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
