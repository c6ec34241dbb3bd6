/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/collect/trace_fixture.h"
#include "trace/collect/tree.h"

#include <stdlib.h>

static void open_tree(span_list *list, span_tree *tree, const fixture_span *spans, size_t count)
{
    fixture_list(list, 1, spans, count);
    assert_status(LOOM_OK, span_tree_init(tree, fixture_range(list)));
    assert_int_equal(tree->count, count);
}

static void close_tree(span_list *list, span_tree *tree)
{
    span_tree_fini(tree);
    span_list_fini(list);
}

static void each_span_of_a_ladder_stands_below_its_parent(void **state)
{
    (void)state;
    span_list list;
    span_tree tree;
    open_tree(&list, &tree, fixture_ladder, FIXTURE_LADDER_COUNT);
    for (size_t i = 0; i < tree.count; i++) {
        assert_int_equal(tree.nodes[i].depth, i);
        assert_int_equal(tree.nodes[i].fault, TREE_SOUND);
        assert_int_equal(tree.nodes[i].parent, i == 0 ? TREE_NONE : i - 1);
    }
    close_tree(&list, &tree);
}

static void siblings_are_ordered_by_their_start(void **state)
{
    (void)state;
    static const fixture_span spans[] = {
        {.id = 1, .name = "root", .service = "s", .start_us = 0, .end_us = 9},
        {.id = 2, .parent = 1, .name = "late", .service = "s", .start_us = 5, .end_us = 6},
        {.id = 3, .parent = 1, .name = "early", .service = "s", .start_us = 2, .end_us = 3},
    };
    span_list list;
    span_tree tree;
    open_tree(&list, &tree, spans, 3);
    assert_str("early", tree.nodes[1].span->otlp.name);
    assert_false(tree.nodes[1].last_child);
    assert_str("late", tree.nodes[2].span->otlp.name);
    assert_true(tree.nodes[2].last_child);
    assert_int_equal(tree.nodes[0].child_count, 2);
    close_tree(&list, &tree);
}

static void span_without_its_parent_is_an_orphan_and_comes_after_the_roots(void **state)
{
    (void)state;
    static const fixture_span spans[] = {
        {.id = 2, .parent = 99, .name = "orphan", .service = "s", .start_us = 0},
        {.id = 1, .name = "root", .service = "s", .start_us = 5},
    };
    span_list list;
    span_tree tree;
    open_tree(&list, &tree, spans, 2);
    assert_str("root", tree.nodes[0].span->otlp.name);
    assert_int_equal(tree.nodes[1].fault, TREE_ORPHAN);
    assert_int_equal(tree.nodes[1].depth, 0);
    close_tree(&list, &tree);
}

static void cycle_is_cut_at_its_earliest_span(void **state)
{
    (void)state;
    static const fixture_span spans[] = {
        {.id = 1, .parent = 2, .name = "a", .service = "s", .start_us = 0},
        {.id = 2, .parent = 1, .name = "b", .service = "s", .start_us = 1},
        {.id = 3, .parent = 3, .name = "own parent", .service = "s", .start_us = 2},
    };
    span_list list;
    span_tree tree;
    open_tree(&list, &tree, spans, 3);
    assert_int_equal(tree.nodes[0].fault, TREE_CYCLE);
    assert_int_equal(tree.nodes[1].parent, 0);
    assert_int_equal(tree.nodes[2].fault, TREE_CYCLE);
    close_tree(&list, &tree);
}

static void second_span_with_an_id_is_marked_and_has_no_children(void **state)
{
    (void)state;
    static const fixture_span spans[] = {
        {.id = 1, .name = "root", .service = "s", .start_us = 0},
        {.id = 2, .parent = 1, .name = "first", .service = "s", .start_us = 1},
        {.id = 2, .parent = 1, .name = "second", .service = "s", .start_us = 2},
        {.id = 3, .parent = 2, .name = "child", .service = "s", .start_us = 3},
    };
    span_list list;
    span_tree tree;
    open_tree(&list, &tree, spans, 4);
    assert_false(tree.nodes[1].duplicate_id);
    assert_int_equal(tree.nodes[1].child_count, 1);
    assert_str("second", tree.nodes[3].span->otlp.name);
    assert_true(tree.nodes[3].duplicate_id);
    assert_int_equal(span_tree_find(&tree, tree.nodes[3].span->otlp.span_id), 1);
    close_tree(&list, &tree);
}

static void hundred_thousand_levels_need_no_stack(void **state)
{
    (void)state;
    enum { COUNT = 100000 };
    trace_span *spans = calloc(COUNT, sizeof *spans);
    assert_non_null(spans);
    for (uint32_t i = 0; i < COUNT; i++) {
        uint32_t id = i + 1;
        memcpy(spans[i].otlp.span_id, &id, sizeof id);
        memcpy(spans[i].otlp.parent_span_id, &i, sizeof i);
        spans[i].otlp.start_unix_ns = i;
    }
    span_tree tree;
    assert_status(LOOM_OK, span_tree_init(&tree, (span_range){spans, COUNT}));
    assert_int_equal(tree.nodes[COUNT - 1].depth, COUNT - 1);
    span_tree_fini(&tree);
    free(spans);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_span_of_a_ladder_stands_below_its_parent),
        cmocka_unit_test(siblings_are_ordered_by_their_start),
        cmocka_unit_test(span_without_its_parent_is_an_orphan_and_comes_after_the_roots),
        cmocka_unit_test(cycle_is_cut_at_its_earliest_span),
        cmocka_unit_test(second_span_with_an_id_is_marked_and_has_no_children),
        cmocka_unit_test(hundred_thousand_levels_need_no_stack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
