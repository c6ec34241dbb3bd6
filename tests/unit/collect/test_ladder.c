/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/collect/trace_fixture.h"
#include "trace/view/ladder.h"

#include <stdlib.h>

typedef struct verdict {
    size_t differences;
    char *report;
} verdict;

static verdict check(const fixture_span *spans, size_t count, const char *name)
{
    verdict v = {0};
    size_t len = 0;
    span_list list;
    fixture_list(&list, 1, spans, count);
    FILE *out = open_memstream(&v.report, &len);
    assert_non_null(out);
    assert_status(LOOM_OK, ladder_check(out, name != NULL ? ladder_find(name) : NULL, fixture_range(&list), &v.differences));
    fclose(out);
    span_list_fini(&list);
    return v;
}

/* The good ladder with a change, to be undone by the next call. */
static fixture_span *ladder_copy(void)
{
    static fixture_span copy[FIXTURE_LADDER_COUNT + 4];
    memcpy(copy, fixture_ladder, sizeof fixture_ladder);
    return copy;
}

static void assert_differs(verdict v, const char *line)
{
    if (v.differences != 1 || strcmp(v.report, line) != 0) {
        print_error("%zu differences:\n%sexpected:\n%s", v.differences, v.report, line);
    }
    assert_int_equal(v.differences, 1);
    assert_string_equal(v.report, line);
    free(v.report);
}

static void assert_right(verdict v)
{
    assert_string_equal(v.report, "");
    assert_int_equal(v.differences, 0);
    free(v.report);
}

static void demo_ladder_is_right(void **state)
{
    (void)state;
    assert_right(check(fixture_ladder, FIXTURE_LADDER_COUNT, "trace-test"));
}

static void user_spans_may_stand_between_a_handler_and_its_next_message(void **state)
{
    (void)state;
    fixture_span *spans = ladder_copy();
    spans[11] = (fixture_span){.id = 20, .parent = 6, .name = "processor.process", .kind = LOOM_SPAN_INTERNAL, .service = "agent-processor", .start_us = 550, .end_us = 560};
    spans[6].parent = 20;
    spans[12] = (fixture_span){.id = 21, .parent = 11, .name = "output.print", .kind = LOOM_SPAN_INTERNAL, .service = "agent-output", .start_us = 960, .end_us = 970};
    assert_right(check(spans, 13, "trace-test"));
}

static void user_span_of_another_service_is_not_expected(void **state)
{
    (void)state;
    fixture_span *spans = ladder_copy();
    spans[11] = (fixture_span){.id = 20, .parent = 4, .name = "extra", .kind = LOOM_SPAN_INTERNAL, .service = "loom-broker", .start_us = 550, .end_us = 560};
    assert_differs(check(spans, 12, "trace-test"),
                   "  extra 0000000000000014 (internal, loom-broker): not expected here, below eventbus.publish\n");
}

static void missing_last_span_is_named(void **state)
{
    (void)state;
    assert_differs(check(fixture_ladder, FIXTURE_LADDER_COUNT - 1, "trace-test"),
                   "  missing: agent.on_event (consumer, agent-output) below bridge.forward of loom-bridge\n");
}

static void orphan_is_one_difference(void **state)
{
    (void)state;
    fixture_span *spans = ladder_copy();
    spans[3].parent = 99;
    assert_differs(check(spans, FIXTURE_LADDER_COUNT, "trace-test"),
                   "  eventbus.publish 0000000000000004 (internal, loom-broker): orphan, its parent 0000000000000063 is not in the trace\n");
}

static void star_instead_of_a_ladder_is_named(void **state)
{
    (void)state;
    fixture_span *spans = ladder_copy();
    spans[4].parent = 3;
    assert_differs(check(spans, FIXTURE_LADDER_COUNT, "trace-test"),
                   "  bridge.forward 0000000000000005 (producer, loom-bridge): it is below bridge.publish, expected below eventbus.publish of loom-broker\n");
}

static void wrong_kind_is_named(void **state)
{
    (void)state;
    fixture_span *spans = ladder_copy();
    spans[2].kind = LOOM_SPAN_SERVER;
    assert_differs(check(spans, FIXTURE_LADDER_COUNT, "trace-test"),
                   "  bridge.publish 0000000000000003 (server, loom-bridge): its kind is server, expected consumer\n");
}

static void wrong_service_is_named(void **state)
{
    (void)state;
    fixture_span *spans = ladder_copy();
    spans[10].service = "agent-input";
    assert_differs(check(spans, FIXTURE_LADDER_COUNT, "trace-test"),
                   "  agent.on_event 000000000000000b (consumer, agent-input): its service is agent-input, expected agent-output\n");
}

static void link_to_another_span_is_named(void **state)
{
    (void)state;
    fixture_span *spans = ladder_copy();
    spans[10].link = 2;
    assert_differs(check(spans, FIXTURE_LADDER_COUNT, "trace-test"),
                   "  agent.on_event 000000000000000b (consumer, agent-output): its link points to 0000000000000002, expected 0000000000000007\n");
}

static void handler_without_its_link_is_named(void **state)
{
    (void)state;
    fixture_span *spans = ladder_copy();
    spans[5].link = 0;
    assert_differs(check(spans, FIXTURE_LADDER_COUNT, "trace-test"),
                   "  agent.on_event 0000000000000006 (consumer, agent-processor): it has no link to agent.emit of agent-sensor\n");
}

static void second_delivery_is_not_expected(void **state)
{
    (void)state;
    fixture_span *spans = ladder_copy();
    spans[11] = spans[10];
    spans[11].id = 30;
    assert_differs(check(spans, 12, "trace-test"),
                   "  agent.on_event 000000000000001e (consumer, agent-output): not expected here, below bridge.forward\n");
}

/* What broker and bridge kept of one that the agent knows nothing of any more, and of one that it handled. */
static void a_kept_trace_says_what_is_missing(void **state)
{
    (void)state;
    fixture_span kept[] = {
        {.id = 1, .name = "agent.emit", .kind = LOOM_SPAN_PRODUCER, .service = "a", .key = "loom.kept", .value = "error"},
        {.id = 2, .parent = 1, .name = "bridge.forward", .kind = LOOM_SPAN_PRODUCER, .service = "loom-bridge", .key = "loom.kept", .value = "error"},
        {.id = 3, .parent = 2, .name = "agent.on_event", .kind = LOOM_SPAN_CONSUMER, .service = "b", .key = "loom.kept", .value = "error"},
    };
    assert_right(check(kept, 3, NULL));
    assert_differs(check(kept, 2, NULL),
                   "  bridge.forward 0000000000000002 (producer, loom-bridge): nothing of the agent that it was passed to is in the trace\n");
    assert_differs(check(kept, 1, NULL), "  agent.emit 0000000000000001 (producer, a): where it went is not in the trace\n");
    kept[1].status = LOOM_SPAN_ERROR; /* it was passed to nobody */
    assert_right(check(kept, 2, NULL));
    kept[1] = (fixture_span){.id = 2, .parent = 1, .name = "bridge.forward", .kind = LOOM_SPAN_PRODUCER, .service = "loom-bridge"};
    assert_right(check(kept, 2, NULL)); /* sampled: the agent may have no tracing at all */
    kept[1].key = "loom.kept";
    kept[1].value = "error";
    kept[1].other_key = "agent_id";
    kept[1].other_value = "gateway-broker-1"; /* a client of the HTTP gateway */
    assert_right(check(kept, 2, NULL));
    static const char *const others[] = {"gateway-1", "gateway-", "gateway", "my-gateway-a-1", "gateway-broker-1a"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        kept[1].other_value = others[i];
        const verdict v = check(kept, 2, NULL);
        assert_int_equal(1, v.differences);
        free(v.report);
    }
}

static void second_root_breaks_any_tree(void **state)
{
    (void)state;
    static const fixture_span spans[] = {
        {.id = 1, .name = "a", .kind = LOOM_SPAN_INTERNAL, .service = "s", .start_us = 0},
        {.id = 2, .name = "b", .kind = LOOM_SPAN_INTERNAL, .service = "s", .start_us = 1},
    };
    assert_differs(check(spans, 2, NULL), "  b 0000000000000002 (internal, s): a second root\n");
}

static void id_used_twice_breaks_any_tree(void **state)
{
    (void)state;
    static const fixture_span spans[] = {
        {.id = 1, .name = "a", .kind = LOOM_SPAN_INTERNAL, .service = "s", .start_us = 0},
        {.id = 2, .parent = 1, .name = "b", .kind = LOOM_SPAN_INTERNAL, .service = "s", .start_us = 1},
        {.id = 2, .parent = 1, .name = "c", .kind = LOOM_SPAN_INTERNAL, .service = "s", .start_us = 2},
    };
    assert_differs(check(spans, 3, NULL), "  c 0000000000000002 (internal, s): its span id is used by another span, too\n");
}

enum { MARKET_MAX = 40 };

/* The spans that a ladder asks for, as a demo would make them; times in the order of the steps. */
static size_t spans_of(const ladder *l, fixture_span spans[MARKET_MAX])
{
    assert_in_range(l->count, 1, MARKET_MAX);
    for (size_t i = 0; i < l->count; i++) {
        const ladder_step *step = &l->steps[i];
        spans[i] = (fixture_span){.id = (uint8_t)(i + 1), .parent = (uint8_t)(step->parent == LADDER_NONE ? 0 : step->parent + 1),
                                  .name = step->name, .kind = step->kind, .service = step->service,
                                  .start_us = (uint32_t)i * 10, .end_us = (uint32_t)i * 10 + 5,
                                  .key = step->attrs[0].key, .value = step->attrs[0].value,
                                  .other_key = step->attrs[1].key, .other_value = step->attrs[1].value};
        for (size_t target = 0, n = 0; target < l->count; target++) {
            if ((step->links >> target & 1) != 0) {
                spans[i].links[n++] = (uint8_t)(target + 1);
            }
        }
    }
    return l->count;
}

static size_t step_named(const ladder *l, const char *name)
{
    for (size_t i = 0; i < l->count; i++) {
        if (strcmp(l->steps[i].name, name) == 0) {
            return i;
        }
    }
    fail_msg("no step %s", name);
    return 0;
}

static void every_ladder_is_right_about_its_own_spans(void **state)
{
    (void)state;
    for (size_t i = 0; ladder_at(i) != NULL; i++) {
        fixture_span spans[MARKET_MAX];
        size_t count = spans_of(ladder_at(i), spans);
        assert_right(check(spans, count, ladder_at(i)->name));
    }
}

/* Spans of one message with several subscribers are alike but for what is below them. */
static void branches_may_come_in_any_order(void **state)
{
    (void)state;
    const ladder *l = ladder_find("market-analyst");
    fixture_span spans[MARKET_MAX];
    size_t count = spans_of(l, spans);
    for (size_t i = 4; i < 25; i++) {
        spans[i].start_us = 10000 - (uint32_t)i * 10;
    }
    assert_right(check(spans, count, "market-analyst"));
}

static void join_may_hang_on_any_of_its_handlers(void **state)
{
    (void)state;
    const ladder *l = ladder_find("market-analyst");
    fixture_span spans[MARKET_MAX];
    size_t count = spans_of(l, spans), join = step_named(l, "agent.join");
    spans[join].parent = 25; /* the handler of the third partial */
    assert_right(check(spans, count, "market-analyst"));
    spans[join].parent = 6; /* that of an analyst */
    assert_differs(check(spans, count, "market-analyst"),
                   "  agent.join 000000000000001a (consumer, agent-planner): it is below agent.on_event, expected below agent.on_event of agent-planner\n");
}

static void join_without_one_of_its_links_is_named(void **state)
{
    (void)state;
    const ladder *l = ladder_find("market-analyst");
    fixture_span spans[MARKET_MAX];
    size_t count = spans_of(l, spans), join = step_named(l, "agent.join");
    spans[join].links[1] = 0;
    assert_differs(check(spans, count, "market-analyst"),
                   "  agent.join 000000000000001a (consumer, agent-planner): it has no link to agent.emit of agent-risk\n");
}

static void wrong_attribute_is_named(void **state)
{
    (void)state;
    const ladder *l = ladder_find("market-analyst-timeout");
    fixture_span spans[MARKET_MAX];
    size_t count = spans_of(l, spans), join = step_named(l, "agent.join");
    spans[join].value = "complete";
    assert_differs(check(spans, count, "market-analyst-timeout"),
                   "  agent.join 0000000000000013 (consumer, agent-planner): its attribute loom.join.outcome is complete, expected timeout\n");
}

static void every_ladder_is_within_its_bounds(void **state)
{
    (void)state;
    for (size_t i = 0; ladder_at(i) != NULL; i++) {
        const ladder *l = ladder_at(i);
        assert_in_range(l->count, 1, LADDER_STEPS_MAX);
        for (size_t step = 0; step < l->count; step++) {
            assert_true(l->steps[step].parent == LADDER_NONE ? step == 0 : l->steps[step].parent < step);
            assert_int_equal(0, l->steps[step].links >> step);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(demo_ladder_is_right),
        cmocka_unit_test(user_spans_may_stand_between_a_handler_and_its_next_message),
        cmocka_unit_test(user_span_of_another_service_is_not_expected),
        cmocka_unit_test(missing_last_span_is_named),
        cmocka_unit_test(orphan_is_one_difference),
        cmocka_unit_test(a_kept_trace_says_what_is_missing),
        cmocka_unit_test(star_instead_of_a_ladder_is_named),
        cmocka_unit_test(wrong_kind_is_named),
        cmocka_unit_test(wrong_service_is_named),
        cmocka_unit_test(link_to_another_span_is_named),
        cmocka_unit_test(handler_without_its_link_is_named),
        cmocka_unit_test(second_delivery_is_not_expected),
        cmocka_unit_test(second_root_breaks_any_tree),
        cmocka_unit_test(id_used_twice_breaks_any_tree),
        cmocka_unit_test(every_ladder_is_right_about_its_own_spans),
        cmocka_unit_test(branches_may_come_in_any_order),
        cmocka_unit_test(join_may_hang_on_any_of_its_handlers),
        cmocka_unit_test(join_without_one_of_its_links_is_named),
        cmocka_unit_test(wrong_attribute_is_named),
        cmocka_unit_test(every_ladder_is_within_its_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
