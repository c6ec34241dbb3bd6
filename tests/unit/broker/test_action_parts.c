/* SPDX-License-Identifier: Apache-2.0 */
/* The order of versions, and the cache of results. */
#include "broker/actions/cache.h"
#include "broker/actions/version.h"
#include "tests/support/check.h"

/* ---- versions ---- */

static void versions_are_in_the_order_that_is_documented(void **state)
{
    (void)state;
    static const char *const ascending[] = {
        "0-rc", "0", "0.0.1", "0.9", "0.10", "1-alpha", "1-alpha.1", "1-alpha.2", "1-alpha.10", "1-alpha.beta",
        "1-beta", "1-rc-1", "1", "1.0", "1.0+built.9", "1.0.0", "1.0.1-rc", "1.0.1", "1.9", "1.10-rc.2", "1.10-rc.10",
        "1.10", "1.10.1", "1.99999999999999999999999999", "1.100000000000000000000000000", "1.x", "1.y", "2", "10",
        "beta", "v1"};
    const size_t count = sizeof ascending / sizeof ascending[0];
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++) {
            const int order = action_version_compare(str_of(ascending[i]), str_of(ascending[j]));
            if ((i < j) != (order < 0) || (i > j) != (order > 0)) {
                print_error("\"%s\" and \"%s\" compare as %d\n", ascending[i], ascending[j], order);
                fail();
            }
        }
    }
}

static void leading_zeros_do_not_count_but_keep_versions_apart(void **state)
{
    (void)state;
    assert_true(action_version_compare(STR("1.09"), STR("1.10")) < 0);
    assert_true(action_version_compare(STR("1.010"), STR("1.9")) > 0);
    assert_int_not_equal(0, action_version_compare(STR("1.09"), STR("1.9")));
    assert_int_equal(0, action_version_compare(STR("1.09"), STR("1.09")));
}

/* A total order, so that a sorted list is one; over all short strings of what matters. */
static void order_of_versions_is_total(void **state)
{
    (void)state;
    static const char letters[] = "01a.-+";
    enum { LETTERS = 6, COUNT = 1 + LETTERS + LETTERS * LETTERS + LETTERS * LETTERS * LETTERS };
    static char texts[COUNT][4];
    size_t count = 1;
    for (size_t from = 0, level = 0; level < 3; level++) {
        const size_t until = count;
        for (; from < until; from++) {
            for (size_t l = 0; l < LETTERS; l++) {
                memcpy(texts[count], texts[from], level);
                texts[count][level] = letters[l];
                count++;
            }
        }
    }
    assert_int_equal(COUNT, count);
    static signed char order[COUNT][COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t j = 0; j < COUNT; j++) {
            const int o = action_version_compare(str_of(texts[i]), str_of(texts[j]));
            order[i][j] = (signed char)((o > 0) - (o < 0));
            assert_int_equal(i == j, o == 0);
        }
    }
    size_t faults = 0;
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t j = 0; j < COUNT; j++) {
            faults += order[i][j] != -order[j][i];
            for (size_t k = 0; order[i][j] < 0 && k < COUNT; k++) {
                faults += order[j][k] < 0 && order[i][k] >= 0;
            }
        }
    }
    assert_int_equal(0, faults);
}

/* ---- the cache ---- */

static action_key key_of(const char *agent, const char *id)
{
    return (action_key){.agent = str_of(agent), .call_id = {(const uint8_t *)id, strlen(id)}, .capability = STR("c")};
}

static void put(action_cache *cache, const char *id, const char *payload, uint64_t now_ms)
{
    static const loom_trace_context none;
    const action_key key = key_of("a", id);
    action_cache_put(cache, &key, 7, &(action_result){.payload = {(const uint8_t *)payload, strlen(payload)}}, &none, now_ms);
}

/* All under one hash, so that keys are told apart by what they are. */
static const action_cache_entry *find(const action_cache *cache, const char *agent, const char *id)
{
    const action_key key = key_of(agent, id);
    return action_cache_find(cache, &key, 7);
}

static void results_are_found_by_agent_and_id_together(void **state)
{
    (void)state;
    action_cache cache;
    action_cache_init(&cache, 10, 100, 1000);
    put(&cache, "1", "one", 0);
    put(&cache, "2", "two", 0);
    assert_memory_equal("two", find(&cache, "a", "2")->result.payload.data, 3);
    assert_memory_equal("one", find(&cache, "a", "1")->result.payload.data, 3);
    assert_null(find(&cache, "b", "1"));
    assert_null(find(&cache, "a1", ""));
    action_cache_fini(&cache);
}

static void the_oldest_result_goes_when_there_are_too_many(void **state)
{
    (void)state;
    action_cache cache;
    action_cache_init(&cache, 2, 100, 1000);
    put(&cache, "1", "x", 0);
    put(&cache, "2", "x", 0);
    put(&cache, "3", "x", 0);
    assert_null(find(&cache, "a", "1"));
    assert_non_null(find(&cache, "a", "2"));
    assert_non_null(find(&cache, "a", "3"));
    assert_int_equal(2, cache.index.count);
    action_cache_fini(&cache);
}

static void as_many_old_results_go_as_the_bytes_of_a_new_one_take(void **state)
{
    (void)state;
    action_cache cache;
    action_cache_init(&cache, 10, 10, 1000);
    put(&cache, "1", "1234", 0);
    put(&cache, "2", "1234", 0);
    put(&cache, "3", "12", 0);
    assert_int_equal(10, cache.bytes);
    put(&cache, "4", "12345", 0);
    assert_null(find(&cache, "a", "1"));
    assert_null(find(&cache, "a", "2"));
    assert_non_null(find(&cache, "a", "3"));
    assert_int_equal(7, cache.bytes);
    put(&cache, "5", "12345678901", 0); /* would never fit: nothing goes for it */
    assert_int_equal(7, cache.bytes);
    action_cache_fini(&cache);
}

static void results_are_forgotten_when_their_time_has_passed(void **state)
{
    (void)state;
    action_cache cache;
    action_cache_init(&cache, 10, 100, 1000);
    assert_true(action_cache_next_ms(&cache) == UINT64_MAX);
    put(&cache, "1", "x", 0);
    put(&cache, "2", "x", 500);
    assert_int_equal(1000, action_cache_next_ms(&cache));
    action_cache_expire(&cache, 999);
    assert_int_equal(2, cache.index.count);
    action_cache_expire(&cache, 1000);
    assert_int_equal(1, cache.index.count);
    assert_int_equal(1500, action_cache_next_ms(&cache));
    action_cache_fini(&cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_are_in_the_order_that_is_documented),
        cmocka_unit_test(leading_zeros_do_not_count_but_keep_versions_apart),
        cmocka_unit_test(order_of_versions_is_total),
        cmocka_unit_test(results_are_found_by_agent_and_id_together),
        cmocka_unit_test(the_oldest_result_goes_when_there_are_too_many),
        cmocka_unit_test(as_many_old_results_go_as_the_bytes_of_a_new_one_take),
        cmocka_unit_test(results_are_forgotten_when_their_time_has_passed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
