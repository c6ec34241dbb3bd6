/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/trace/recorded.h"

#include <pthread.h>

static recorded shared;

static int open_recorded(void **state)
{
    (void)state;
    recorded_open(&shared, NULL);
    return 0;
}

static int close_recorded(void **state)
{
    (void)state;
    recorded_close(&shared);
    return 0;
}

static loom_trace_context some_context(void)
{
    loom_trace_context ctx = {.trace_flags = LOOM_TRACE_FLAG_SAMPLED};
    loom_trace_id_generate(ctx.trace_id);
    loom_span_id_generate(ctx.span_id);
    return ctx;
}

static void ending_the_current_span_restores_the_one_before(void **state)
{
    (void)state;
    assert_null(loom_context_current());
    loom_span *outer = loom_span_start(shared.tracer, "outer", NULL);
    loom_span_make_current(outer);
    loom_span *inner = loom_span_start(shared.tracer, "inner", NULL);
    assert_memory_equal(loom_span_context(outer)->trace_id, loom_span_context(inner)->trace_id, LOOM_TRACE_ID_SIZE);
    loom_span_make_current(inner);
    assert_ptr_equal(inner, loom_span_current());
    loom_span_end(inner);
    assert_ptr_equal(outer, loom_span_current());
    loom_span_end(outer);
    assert_null(loom_span_current());
    assert_null(loom_context_current());
}

static void ending_out_of_order_leaves_the_inner_span_current(void **state)
{
    (void)state;
    loom_span *outer = loom_span_start(shared.tracer, "outer", NULL);
    loom_span_make_current(outer);
    loom_span *inner = loom_span_start(shared.tracer, "inner", NULL);
    loom_span_make_current(inner);
    loom_span_end(outer);
    assert_ptr_equal(inner, loom_span_current());
    loom_span_end(inner);
    assert_null(loom_span_current());
}

static void a_span_made_current_twice_is_gone_with_one_end(void **state)
{
    (void)state;
    loom_span *span = loom_span_start(shared.tracer, "twice", NULL);
    loom_span_make_current(span);
    loom_span_make_current(span);
    loom_span_end(span);
    assert_null(loom_context_current());
}

static void root_ignores_the_current_span(void **state)
{
    (void)state;
    loom_span *outer = loom_span_start(shared.tracer, "outer", NULL);
    loom_span_make_current(outer);
    loom_span *root = loom_span_start(shared.tracer, "root", &(loom_span_options){.root = true});
    assert_memory_not_equal(loom_span_context(outer)->trace_id, loom_span_context(root)->trace_id, LOOM_TRACE_ID_SIZE);
    loom_span_end(root);
    loom_span_end(outer);
}

static void a_bare_context_is_a_parent_but_no_span(void **state)
{
    (void)state;
    loom_trace_context ctx = some_context();
    uint64_t token = loom_context_push(&ctx, STR("vendor=7"));
    assert_true(token != 0);
    assert_memory_equal(&ctx, loom_context_current(), sizeof ctx);
    assert_str("vendor=7", loom_context_current_tracestate());
    assert_null(loom_span_current());
    loom_span *child = loom_span_start(shared.tracer, "child", NULL);
    assert_memory_equal(ctx.trace_id, loom_span_context(child)->trace_id, LOOM_TRACE_ID_SIZE);
    assert_str("vendor=7", loom_span_tracestate(child));
    loom_span_end(child);
    loom_context_pop(token);
    assert_null(loom_context_current());
}

static void a_pop_takes_everything_above_with_it(void **state)
{
    (void)state;
    loom_trace_context ctx = some_context();
    uint64_t first = loom_context_push(&ctx, (loom_str){0});
    uint64_t second = loom_context_push(&ctx, (loom_str){0});
    uint64_t third = loom_context_push(&ctx, (loom_str){0});
    loom_span *span = loom_span_start(shared.tracer, "above", NULL);
    loom_span_make_current(span);
    loom_context_pop(second);
    assert_non_null(loom_context_current());
    assert_null(loom_span_current());
    loom_context_pop(third);  /* gone already */
    loom_context_pop(second); /* likewise */
    assert_non_null(loom_context_current());
    loom_context_pop(first);
    assert_null(loom_context_current());
    loom_span_end(span);
}

static void the_stack_is_bounded(void **state)
{
    (void)state;
    loom_trace_context ctx = some_context();
    uint64_t first = loom_context_push(&ctx, (loom_str){0});
    for (int i = 1; i < 1024; i++) {
        assert_true(loom_context_push(&ctx, (loom_str){0}) != 0);
    }
    assert_true(loom_context_push(&ctx, (loom_str){0}) == 0);
    loom_context_pop(0);
    assert_non_null(loom_context_current());
    loom_context_pop(first);
    assert_null(loom_context_current());
}

static void *end_here(void *span)
{
    loom_span_end(span);
    return loom_span_current();
}

static void a_span_ended_in_another_thread_leaves_this_stack_safe(void **state)
{
    (void)state;
    loom_span *outer = loom_span_start(shared.tracer, "outer", NULL);
    loom_span_make_current(outer);
    loom_span *span = loom_span_start(shared.tracer, "handed over", NULL);
    loom_span_make_current(span);
    pthread_t thread;
    void *current;
    assert_int_equal(0, pthread_create(&thread, NULL, end_here, span));
    pthread_join(thread, &current);
    assert_null(current);
    assert_ptr_equal(outer, loom_span_current());
    loom_span_end(outer);
    assert_null(loom_span_current());
}

static void *leave_current(void *span)
{
    loom_span_make_current(span);
    loom_trace_context ctx = some_context();
    (void)loom_context_push(&ctx, STR("a=1"));
    return NULL;
}

static void a_thread_may_exit_with_contexts_on_its_stack(void **state)
{
    (void)state;
    loom_span *span = loom_span_start(shared.tracer, "left", NULL);
    pthread_t thread;
    assert_int_equal(0, pthread_create(&thread, NULL, leave_current, span));
    pthread_join(thread, NULL);
    assert_true(loom_trace_context_valid(loom_span_context(span)));
    loom_span_end(span);
}

static void an_unsampled_current_span_is_the_parent_of_what_follows(void **state)
{
    (void)state;
    loom_trace_context ctx = some_context();
    ctx.trace_flags = 0;
    loom_span *outer = loom_span_start(shared.tracer, "unsampled", &(loom_span_options){.parent = &ctx});
    loom_span_make_current(outer);
    loom_span *inner = loom_span_start(shared.tracer, "inner", NULL);
    assert_false(loom_span_is_recording(inner));
    assert_memory_equal(ctx.trace_id, loom_span_context(inner)->trace_id, sizeof ctx.trace_id);
    assert_memory_not_equal(loom_span_context(outer)->span_id, loom_span_context(inner)->span_id, sizeof ctx.span_id);
    loom_span_end(inner);
    loom_span_end(outer);
}

/* A context that a span without a tracer hides is no parent, and no error. */
static void a_current_span_without_a_context_makes_what_follows_a_root(void **state)
{
    (void)state;
    loom_span *outer = loom_span_start(NULL, "nothing", NULL);
    loom_span_make_current(outer);
    loom_span *inner = loom_span_start(shared.tracer, "root", NULL);
    assert_true(loom_span_is_recording(inner));
    loom_span_end(inner);
    loom_span_end(outer);
}

/* The spans of no tracer and no parent are one and the same, which no end wears out. */
static void a_span_of_nothing_hides_what_is_current_until_it_ends(void **state)
{
    (void)state;
    loom_span *nothing = loom_span_start(NULL, "nothing", NULL);
    loom_span_make_current(nothing);
    loom_trace_context ctx = {.trace_flags = LOOM_TRACE_FLAG_SAMPLED};
    loom_trace_id_generate(ctx.trace_id);
    loom_span_id_generate(ctx.span_id);
    uint64_t token = loom_context_push(&ctx, (loom_str){0});
    loom_span_make_current(nothing);
    loom_span_make_current(nothing);
    assert_false(loom_trace_context_valid(loom_context_current()));
    for (int i = 0; i < 2; i++) {
        loom_span_end(nothing);
        assert_memory_equal(&ctx, loom_context_current(), sizeof ctx);
    }
    loom_context_pop(token);
    assert_null(loom_context_current());
    nothing = loom_span_start(NULL, "again", NULL);
    assert_non_null(nothing);
    assert_false(loom_trace_context_valid(loom_span_context(nothing)));
    loom_span_end(nothing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_span_of_nothing_hides_what_is_current_until_it_ends), /* first: nothing was ever current */
        cmocka_unit_test(ending_the_current_span_restores_the_one_before),
        cmocka_unit_test(ending_out_of_order_leaves_the_inner_span_current),
        cmocka_unit_test(a_span_made_current_twice_is_gone_with_one_end),
        cmocka_unit_test(root_ignores_the_current_span),
        cmocka_unit_test(a_bare_context_is_a_parent_but_no_span),
        cmocka_unit_test(a_pop_takes_everything_above_with_it),
        cmocka_unit_test(the_stack_is_bounded),
        cmocka_unit_test(a_span_ended_in_another_thread_leaves_this_stack_safe),
        cmocka_unit_test(a_thread_may_exit_with_contexts_on_its_stack),
        cmocka_unit_test(an_unsampled_current_span_is_the_parent_of_what_follows),
        cmocka_unit_test(a_current_span_without_a_context_makes_what_follows_a_root),
    };
    return cmocka_run_group_tests(tests, open_recorded, close_recorded);
}
