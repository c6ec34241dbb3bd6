/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "broker/eventbus/topic_trie.h"
#include "tests/support/alloc_fault.h"
#include "tests/support/check.h"

static topic_trie *new_trie(void)
{
    topic_trie *trie;
    assert_status(LOOM_OK, topic_trie_create(&trie));
    return trie;
}

/* A value that counts its visits. */
typedef struct counted {
    topic_trie_value in_trie; /* first */
    unsigned visits;
} counted;

static void count_visit(void *user, topic_trie_value *value)
{
    (void)user;
    ((counted *)value)->visits++;
}

static size_t match(const topic_trie *trie, const char *topic)
{
    const size_t matched = topic_trie_match(trie, str_of(topic), count_visit, NULL, NULL);
    assert_int_equal(matched, topic_trie_count(trie, str_of(topic), false));
    return matched;
}

static void add(topic_trie *trie, const char *filter, counted *value)
{
    assert_status(LOOM_OK, topic_trie_add(trie, str_of(filter), &value->in_trie));
}

static void overlapping_filters_are_visited_once_each(void **state)
{
    (void)state;
    static const char *const filters[] = {"a.b.c", "a.b.*", "a.*.c", "*.b.c", "*.*.*", "a.b.>", "a.>", ">", "*.*.>"};
    enum { FILTERS = sizeof filters / sizeof filters[0] };
    counted visits[FILTERS] = {0};
    counted others[4] = {0};
    topic_trie *trie = new_trie();
    for (size_t i = 0; i < FILTERS; i++) {
        add(trie, filters[i], &visits[i]);
    }
    add(trie, "a.b", &others[0]);
    add(trie, "a.b.c.d", &others[1]);
    add(trie, "a.b.c.>", &others[2]);
    add(trie, "*", &others[3]);
    assert_int_equal(FILTERS, match(trie, "a.b.c"));
    for (size_t i = 0; i < FILTERS; i++) {
        assert_int_equal(1, visits[i].visits);
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        assert_int_equal(0, others[i].visits);
    }
    topic_trie_destroy(trie);
}

static void values_of_one_filter_come_and_go_in_any_order(void **state)
{
    (void)state;
    enum { VALUES = 37 };
    counted visits[VALUES];
    topic_trie *trie = new_trie();
    for (unsigned step = 1; step < VALUES; step++) { /* VALUES is prime: each step walks through all of them */
        memset(visits, 0, sizeof visits);
        for (unsigned i = 0; i < VALUES; i++) {
            add(trie, "one.filter", &visits[i]);
        }
        for (unsigned i = 0; i < VALUES; i++) {
            assert_int_equal(VALUES - i, match(trie, "one.filter"));
            topic_trie_remove(trie, &visits[i * step % VALUES].in_trie);
        }
        for (unsigned i = 0; i < VALUES; i++) {
            assert_int_equal(i + 1, visits[i * step % VALUES].visits);
        }
        assert_int_equal(0, topic_trie_node_count(trie));
    }
    topic_trie_destroy(trie);
}

static void a_bad_filter_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    topic_trie_value value = {0};
    topic_trie *trie = new_trie();
    assert_status(LOOM_EINVAL, topic_trie_add(trie, STR(""), &value));
    assert_status(LOOM_EINVAL, topic_trie_add(trie, STR("a..b"), &value));
    assert_status(LOOM_EINVAL, topic_trie_add(trie, STR("a.>.b"), &value));
    assert_null(value.node);
    assert_int_equal(0, topic_trie_node_count(trie));
    assert_int_equal(1, topic_trie_generation(trie));
    topic_trie_destroy(trie);
}

static void a_bad_topic_matches_nothing(void **state)
{
    (void)state;
    counted visits[2] = {0};
    char dots[LOOM_TOPIC_MAX + 2];
    memset(dots, '.', sizeof dots);
    topic_trie *trie = new_trie();
    add(trie, ">", &visits[0]);
    add(trie, "a.*", &visits[1]);
    assert_int_equal(0, match(trie, ""));
    assert_int_equal(0, match(trie, "a."));
    assert_int_equal(0, match(trie, "a..b"));
    for (size_t len = 1; len <= sizeof dots; len++) {
        assert_int_equal(0, topic_trie_match(trie, (loom_str){dots, len}, count_visit, NULL, NULL));
    }
    assert_int_equal(0, visits[0].visits + visits[1].visits);
    topic_trie_destroy(trie);
}

static void filters_that_match_nearly_are_counted_as_looked_at(void **state)
{
    (void)state;
    enum { DEPTH = 4, FILTERS = 1 << DEPTH };
    counted visits[FILTERS] = {0};
    topic_trie *trie = new_trie();
    for (unsigned i = 0; i < FILTERS; i++) {
        char filter[2 * DEPTH + 2];
        for (unsigned at = 0; at < DEPTH; at++) {
            filter[2 * at] = (i >> at & 1) != 0 ? '*' : 'a';
            filter[2 * at + 1] = '.';
        }
        filter[2 * DEPTH] = 'b';
        filter[2 * DEPTH + 1] = '\0';
        add(trie, filter, &visits[i]);
    }
    size_t nodes;
    assert_int_equal(0, topic_trie_match(trie, STR("a.a.a.a.x"), count_visit, NULL, &nodes));
    assert_int_equal(2 * FILTERS - 1, nodes);
    topic_trie_destroy(trie);
}

static void the_deepest_topic_and_filters_fit(void **state)
{
    (void)state;
    counted visits[2] = {0};
    char topic[LOOM_TOPIC_MAX];
    char stars[LOOM_TOPIC_MAX];
    for (size_t i = 0; i < sizeof topic; i++) {
        topic[i] = i % 2 == 0 ? 'a' : '.';
        stars[i] = i % 2 == 0 ? '*' : '.';
    }
    const size_t len = sizeof topic - 1; /* 128 segments, 255 bytes */
    topic_trie *trie = new_trie();
    assert_status(LOOM_OK, topic_trie_add(trie, (loom_str){topic, len}, &visits[0].in_trie));
    assert_status(LOOM_OK, topic_trie_add(trie, (loom_str){stars, len}, &visits[1].in_trie));
    assert_int_equal(2, topic_trie_match(trie, (loom_str){topic, len}, count_visit, NULL, NULL));
    topic_trie_destroy(trie);
}

static void the_generation_changes_with_each_change(void **state)
{
    (void)state;
    counted value = {0};
    topic_trie *trie = new_trie();
    const uint64_t at_first = topic_trie_generation(trie);
    assert_int_not_equal(0, at_first);
    add(trie, "a", &value);
    const uint64_t added = topic_trie_generation(trie);
    assert_int_not_equal(at_first, added);
    match(trie, "a");
    assert_int_equal(added, topic_trie_generation(trie));
    topic_trie_remove(trie, &value.in_trie);
    assert_int_not_equal(added, topic_trie_generation(trie));
    assert_int_not_equal(at_first, topic_trie_generation(trie));
    topic_trie_destroy(trie);
}

/* A small generator with a fixed seed, so that a failure comes back (xorshift64). */
static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* One to four segments out of few words, so that filters overlap and topics meet them. */
static size_t random_text(char out[32], uint64_t *seed, bool wildcards)
{
    static const char *const words[] = {"a", "b", "c", "dd", "*", ">"};
    const size_t depth = 1 + next_random(seed) % 4;
    size_t len = 0;
    for (size_t i = 0; i < depth; i++) {
        size_t word = next_random(seed) % (wildcards ? 6 : 4);
        if (word == 5 && i + 1 < depth) {
            word = 4; /* ">" is for the last segment */
        }
        len += (size_t)snprintf(out + len, 32 - len, "%s%s", i > 0 ? "." : "", words[word]);
    }
    return len;
}

typedef struct random_filter {
    char text[32];
    size_t len;
    bool present;
    counted counted;
} random_filter;

static void compare_with_naive(const topic_trie *trie, random_filter *filters, size_t count, uint64_t *seed)
{
    char topic[32];
    const loom_str text = {.data = topic, .len = random_text(topic, seed, false)};
    for (size_t i = 0; i < count; i++) {
        filters[i].counted.visits = 0;
    }
    size_t expected = 0;
    const size_t visited = topic_trie_match(trie, text, count_visit, NULL, NULL);
    for (size_t i = 0; i < count; i++) {
        const bool selects =
            filters[i].present && loom_filter_matches((loom_str){filters[i].text, filters[i].len}, text);
        if (filters[i].counted.visits != (selects ? 1u : 0u)) {
            fail_msg("filter %s visited %u times for topic %s", filters[i].text, filters[i].counted.visits, topic);
        }
        expected += selects;
    }
    assert_int_equal(expected, visited);
}

static void random_sets_match_as_the_naive_way_does(void **state)
{
    (void)state;
    enum { FILTERS = 300, CHANGES = 6000 };
    static random_filter filters[FILTERS]; /* zeroed; too large for comfort on the stack */
    uint64_t seed = UINT64_C(0x10035eed);
    topic_trie *trie = new_trie();
    for (size_t i = 0; i < FILTERS; i++) {
        filters[i].len = random_text(filters[i].text, &seed, true);
    }
    for (size_t change = 0; change < CHANGES; change++) {
        random_filter *f = &filters[next_random(&seed) % FILTERS];
        if (f->present) {
            topic_trie_remove(trie, &f->counted.in_trie);
        } else {
            add(trie, f->text, &f->counted);
        }
        f->present = !f->present;
        compare_with_naive(trie, filters, FILTERS, &seed);
    }
    for (size_t i = 0; i < FILTERS; i++) {
        if (filters[i].present) {
            topic_trie_remove(trie, &filters[i].counted.in_trie);
        }
    }
    assert_int_equal(0, topic_trie_node_count(trie));
    assert_int_equal(0, topic_trie_value_count(trie));
    topic_trie_destroy(trie);
}

static const char *numbered_filter(char out[48], unsigned i)
{
    static const char *const shapes[] = {"agent.%u.replies", "agent.%u.*", "agent.%u.>", "sensor.%u", "*.%u.deep.er"};
    snprintf(out, 48, shapes[i % 5], i / 5);
    return out;
}

static void a_hundred_thousand_filters_leave_no_node_behind(void **state)
{
    (void)state;
    enum { FILTERS = 100000 };
    counted *visits = calloc(FILTERS, sizeof *visits);
    assert_non_null(visits);
    topic_trie *trie = new_trie();
    char filter[48];
    for (unsigned i = 0; i < FILTERS; i++) {
        add(trie, numbered_filter(filter, i), &visits[i]);
    }
    assert_int_equal(FILTERS, topic_trie_value_count(trie));
    assert_int_equal(3, match(trie, "agent.777.replies"));
    assert_int_equal(1, match(trie, "sensor.19999"));
    assert_int_equal(1, visits[777 * 5].visits);
    for (unsigned i = 0; i < FILTERS; i++) {
        const unsigned which = (unsigned)((uint64_t)i * 77773 % FILTERS); /* coprime: all of them, in no order */
        topic_trie_remove(trie, &visits[which].in_trie);
        if (i == FILTERS / 2) {
            assert_int_equal(FILTERS - i - 1, topic_trie_value_count(trie));
        }
    }
    assert_int_equal(0, topic_trie_node_count(trie));
    assert_int_equal(0, topic_trie_value_count(trie));
    topic_trie_destroy(trie);
    free(visits);
}

enum { FILLED = 60 }; /* enough to make the table grow; two values under each filter, to make arrays of them */

static loom_status fill_and_empty(void *user)
{
    counted *values = user;
    topic_trie *trie;
    loom_status status = topic_trie_create(&trie);
    if (status != LOOM_OK) {
        assert_null(trie);
        return status;
    }
    char filter[48];
    unsigned added = 0;
    while (added < FILLED && status == LOOM_OK) {
        const size_t nodes = topic_trie_node_count(trie);
        status = topic_trie_add(trie, str_of(numbered_filter(filter, added / 2)), &values[added].in_trie);
        if (status == LOOM_OK) {
            added++;
        } else {
            assert_null(values[added].in_trie.node);
            assert_int_equal(nodes, topic_trie_node_count(trie)); /* a failed add leaves nothing half-built */
        }
    }
    while (added > 0) {
        topic_trie_remove(trie, &values[--added].in_trie);
    }
    assert_int_equal(0, topic_trie_node_count(trie));
    topic_trie_destroy(trie);
    return status;
}

static void every_failed_allocation_is_reported_and_undone(void **state)
{
    (void)state;
    counted values[FILLED] = {0};
    /* Removing may fail to shrink the table, which is no error: the last allocations are survived, not reported. */
    assert_true(alloc_fault_each_survived(fill_and_empty, values) > 60);
}

static loom_status create_and_add(void *user)
{
    counted values[40] = {0};
    topic_trie *trie;
    loom_status status = topic_trie_create(&trie);
    (void)user;
    for (unsigned i = 0; status == LOOM_OK && i < 40; i++) {
        char filter[48];
        status = topic_trie_add(trie, str_of(numbered_filter(filter, i / 2)), &values[i].in_trie);
    }
    topic_trie_destroy(trie);
    return status;
}

static void adding_reports_every_failed_allocation(void **state)
{
    (void)state;
    assert_true(alloc_fault_each(create_and_add, NULL) > 40);
}

/* A hundred thousand of one filter go in the time of a hundred thousand of many. */
static void values_of_one_filter_go_without_a_search(void **state)
{
    (void)state;
    enum { VALUES = 200000 };
    counted *values = calloc(VALUES, sizeof *values);
    assert_non_null(values);
    topic_trie *trie = new_trie();
    for (unsigned i = 0; i < VALUES; i++) {
        add(trie, "one.filter", &values[i]);
    }
    for (unsigned i = 0; i < VALUES; i++) { /* the oldest first: a search from either end would take minutes for one of both */
        topic_trie_remove(trie, &values[i % 2 == 0 ? i / 2 : VALUES - 1 - i / 2].in_trie);
    }
    assert_int_equal(0, topic_trie_node_count(trie));
    topic_trie_destroy(trie);
    free(values);
}

static void a_match_allocates_nothing(void **state)
{
    (void)state;
    counted visits[2] = {0};
    topic_trie *trie = new_trie();
    add(trie, "a.*", &visits[0]);
    add(trie, "a.>", &visits[1]);
    alloc_fault_arm(0);
    const size_t visited = match(trie, "a.b");
    assert_false(alloc_fault_disarm());
    assert_int_equal(2, visited);
    topic_trie_destroy(trie);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(overlapping_filters_are_visited_once_each),
        cmocka_unit_test(values_of_one_filter_come_and_go_in_any_order),
        cmocka_unit_test(a_bad_filter_is_refused_and_changes_nothing),
        cmocka_unit_test(a_bad_topic_matches_nothing),
        cmocka_unit_test(filters_that_match_nearly_are_counted_as_looked_at),
        cmocka_unit_test(the_deepest_topic_and_filters_fit),
        cmocka_unit_test(the_generation_changes_with_each_change),
        cmocka_unit_test(random_sets_match_as_the_naive_way_does),
        cmocka_unit_test(a_hundred_thousand_filters_leave_no_node_behind),
        cmocka_unit_test(every_failed_allocation_is_reported_and_undone),
        cmocka_unit_test(adding_reports_every_failed_allocation),
        cmocka_unit_test(values_of_one_filter_go_without_a_search),
        cmocka_unit_test(a_match_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
