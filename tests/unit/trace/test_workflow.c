/* SPDX-License-Identifier: Apache-2.0 */
#include <loom/workflow.h>

#include "base/str.h"
#include "tests/support/alloc_fault.h"
#include "tests/unit/trace/recorded.h"

#include <pthread.h>

/* ---- what was exported ---- */

static void is_child_of(recorded *r, const char *child, const char *parent)
{
    assert_string_equal(recorded_string(recorded_span(r, parent), "spanId"),
                        recorded_string(recorded_span(r, child), "parentSpanId"));
    assert_string_equal(recorded_string(recorded_span(r, parent), "traceId"),
                        recorded_string(recorded_span(r, child), "traceId"));
}

static void has_none(json_t *span, const char *key)
{
    json_t *found = NULL;
    assert_int_equal(0, recorded_attr(span, key, &found));
}

static int status_of(json_t *span)
{
    return (int)json_integer_value(json_object_get(json_object_get(span, "status"), "code"));
}

/* The index-th span of this name, in the order they ended. */
static json_t *nth_span(recorded *r, const char *name, size_t index)
{
    size_t i;
    json_t *span;
    json_array_foreach(r->spans, i, span) {
        if (strcmp(recorded_string(span, "name"), name) == 0 && index-- == 0) {
            return span;
        }
    }
    fail();
    return NULL;
}

static void has_ids(json_t *span, const char *workflow_id, const char *component)
{
    recorded_has_string(span, "tenant_id", "acme");
    recorded_has_string(span, "workflow_id", workflow_id);
    recorded_has_string(span, "execution_id", "ex-17");
    recorded_has_string(span, "component", component);
}

static loom_workflow_options execution(recorded *r)
{
    return (loom_workflow_options){.tracer = r->tracer, .tenant_id = "acme", .workflow_id = "order", .execution_id = "ex-17"};
}

/* ---- one process ---- */

static loom_status succeed(loom_workflow *work, void *user)
{
    (void)user;
    loom_span_add_event(loom_workflow_span(work), "step.started", NULL, 0);
    return LOOM_OK;
}

static loom_status fetch(loom_workflow *step, void *user)
{
    loom_workflow_options action = {.kind = LOOM_WORKFLOW_ACTION, .parent = step, .name = "http.action",
                                    .component = "http_action"};
    return loom_workflow_run(&action, succeed, user);
}

static loom_status bill(loom_workflow *sub, void *user)
{
    loom_workflow_options inner = {.kind = LOOM_WORKFLOW_STEP, .parent = sub, .node_id = "charge", .node_type = "transform"};
    return loom_workflow_run(&inner, succeed, user);
}

static loom_status order(loom_workflow *flow, void *user)
{
    loom_workflow_options step = {.kind = LOOM_WORKFLOW_STEP, .parent = flow, .node_id = "fetch", .node_type = "http"};
    assert_status(LOOM_OK, loom_workflow_run(&step, fetch, user));
    loom_workflow_options sub = {.kind = LOOM_WORKFLOW_SUB, .parent = flow, .workflow_id = "billing"};
    return loom_workflow_run(&sub, bill, user);
}

/* parent: the span that child has to be under. */
static void under(json_t *child, json_t *parent)
{
    assert_string_equal(recorded_string(parent, "spanId"), recorded_string(child, "parentSpanId"));
    assert_string_equal(recorded_string(parent, "traceId"), recorded_string(child, "traceId"));
}

static void a_workflow_is_a_tree_with_the_names_people_search_for(void **state)
{
    (void)state;
    recorded r;
    recorded_open(&r, NULL);
    loom_workflow_options o = execution(&r);
    assert_status(LOOM_OK, loom_workflow_run(&o, order, NULL));
    assert_null(loom_context_current());
    recorded_read(&r);
    assert_int_equal(5, json_array_size(r.spans));
    json_t *root = recorded_span(&r, "workflow.execute"), *action = recorded_span(&r, "http.action");
    json_t *step = nth_span(&r, "workflow.step.execute", 0), *sub = recorded_span(&r, "workflow.sub_workflow");
    json_t *inner = nth_span(&r, "workflow.step.execute", 1);
    assert_string_equal("", recorded_string(root, "parentSpanId"));
    under(step, root);
    under(action, step);
    under(sub, root);
    under(inner, sub);
    has_ids(root, "order", "executor");
    has_ids(step, "order", "executor");
    has_ids(action, "order", "http_action");
    has_ids(sub, "billing", "executor");
    has_ids(inner, "billing", "executor");
    recorded_has_string(step, "node_id", "fetch");
    recorded_has_string(step, "node_type", "http");
    recorded_has_string(sub, "parent_workflow_id", "order");
    recorded_has_string(sub, "child_workflow_id", "billing");
    recorded_has_int(sub, "depth", "1");
    assert_string_equal("step.started", recorded_string(json_array_get(json_object_get(action, "events"), 0), "name"));
    size_t i;
    json_t *span;
    json_array_foreach(r.spans, i, span) {
        assert_int_equal(LOOM_SPAN_OK, status_of(span));
        assert_int_equal(LOOM_SPAN_INTERNAL, json_integer_value(json_object_get(span, "kind")));
    }
    recorded_close(&r);
}

static loom_status run_out_of_time(loom_workflow *work, void *user)
{
    (void)work;
    (void)user;
    return LOOM_ETIMEDOUT;
}

static loom_status run_into_a_wall(loom_workflow *work, void *user)
{
    (void)user;
    loom_workflow_fail(work, "WallError", "there is a wall");
    loom_workflow_fail(work, "Later", "not the cause");
    return LOOM_EREMOTE;
}

static void check_failure(json_t *span, const char *type, const char *message)
{
    assert_int_equal(LOOM_SPAN_ERROR, status_of(span));
    assert_string_equal(message, recorded_string(json_object_get(span, "status"), "message"));
    recorded_has_string(span, "error.type", type);
    json_t *events = json_object_get(span, "events");
    assert_int_equal(1, json_array_size(events));
    assert_string_equal("exception", recorded_string(json_array_get(events, 0), "name"));
    recorded_has_string(json_array_get(events, 0), "exception.type", type);
    recorded_has_string(json_array_get(events, 0), "exception.message", message);
}

static void what_the_function_returns_is_the_status_of_its_span(void **state)
{
    (void)state;
    recorded r;
    recorded_open(&r, NULL);
    loom_workflow_options step = {.kind = LOOM_WORKFLOW_STEP, .tracer = r.tracer}, action = {.kind = LOOM_WORKFLOW_ACTION,
                                                                                             .tracer = r.tracer};
    assert_status(LOOM_ETIMEDOUT, loom_workflow_run(&step, run_out_of_time, NULL));
    assert_status(LOOM_EREMOTE, loom_workflow_run(&action, run_into_a_wall, NULL));
    recorded_read(&r);
    check_failure(recorded_span(&r, "workflow.step.execute"), "ETIMEDOUT", "deadline passed");
    check_failure(recorded_span(&r, "workflow.action"), "WallError", "there is a wall");
    recorded_close(&r);
}

static void what_failed_stays_failed_though_it_ends_well(void **state)
{
    (void)state;
    recorded r;
    recorded_open(&r, NULL);
    loom_workflow work;
    loom_workflow_begin(&work, &(loom_workflow_options){.kind = LOOM_WORKFLOW_STEP, .tracer = r.tracer});
    loom_workflow_fail(&work, NULL, NULL);
    loom_workflow_end(&work, LOOM_OK);
    recorded_read(&r);
    json_t *span = recorded_span(&r, "workflow.step.execute");
    assert_int_equal(LOOM_SPAN_ERROR, status_of(span));
    has_none(span, "error.type");
    recorded_close(&r);
}

static void rounds_of_a_loop_are_numbered(void **state)
{
    (void)state;
    recorded r;
    recorded_open(&r, NULL);
    loom_workflow flow, round;
    loom_workflow_options o = execution(&r);
    loom_workflow_begin(&flow, &o);
    for (uint32_t i = 0; i < 3; i++) {
        loom_workflow_begin(&round, &(loom_workflow_options){.kind = LOOM_WORKFLOW_ITERATION, .parent = &flow, .index = i,
                                                             .count = i < 2 ? 3 : 0, .node_id = "each"});
        loom_span *manual = loom_span_start(r.tracer, "query", NULL);
        loom_span_make_current(manual);
        loom_workflow step;
        loom_workflow_begin(&step, &(loom_workflow_options){.kind = LOOM_WORKFLOW_STEP, .parent = &round});
        loom_workflow_end(&step, LOOM_OK);
        loom_span_end(manual);
        loom_workflow_end(&round, LOOM_OK);
    }
    loom_workflow_end(&flow, LOOM_OK);
    recorded_read(&r);
    for (size_t i = 0; i < 3; i++) {
        static const char *const numbers[] = {"0", "1", "2"};
        json_t *span = nth_span(&r, "workflow.loop.iteration", i);
        under(span, recorded_span(&r, "workflow.execute"));
        under(nth_span(&r, "query", i), span);
        under(nth_span(&r, "workflow.step.execute", i), nth_span(&r, "query", i)); /* the current span of that trace */
        recorded_has_int(span, "iteration", numbers[i]);
        recorded_has_string(span, "node_id", "each");
    }
    recorded_has_int(nth_span(&r, "workflow.loop.iteration", 0), "iteration_count", "3");
    has_none(nth_span(&r, "workflow.loop.iteration", 2), "iteration_count");
    recorded_close(&r);
}

/* ---- threads ---- */

typedef struct branch {
    recorded *r;
    loom_workflow *flow;
    uint32_t index;
} branch;

static void *run_branch(void *user)
{
    const branch *b = user;
    static const char *const names[] = {"left", "right"};
    loom_span *before = loom_span_start(b->r->tracer, "before", NULL); /* the thread was busy with another trace */
    loom_span_make_current(before);
    loom_workflow_options options = {.kind = LOOM_WORKFLOW_BRANCH, .parent = b->flow, .index = b->index,
                                     .name = names[b->index]};
    assert_status(LOOM_OK, loom_workflow_run(&options, fetch, NULL));
    loom_workflow_options step = {.kind = LOOM_WORKFLOW_STEP, .parent = b->flow, .node_id = "beside"};
    assert_status(LOOM_OK, loom_workflow_run(&step, succeed, NULL));
    loom_span_end(before);
    return NULL;
}

static void branches_on_other_threads_are_under_the_workflow(void **state)
{
    (void)state;
    recorded r;
    recorded_open(&r, NULL);
    loom_workflow flow;
    loom_workflow_options o = execution(&r);
    loom_workflow_begin(&flow, &o);
    branch branches[2] = {{&r, &flow, 0}, {&r, &flow, 1}};
    pthread_t threads[2];
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(0, pthread_create(&threads[i], NULL, run_branch, &branches[i]));
    }
    for (size_t i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    loom_workflow_end(&flow, LOOM_OK);
    recorded_read(&r);
    json_t *root = recorded_span(&r, "workflow.execute");
    size_t names = 0;
    for (size_t i = 0; i < 2; i++) {
        json_t *span = nth_span(&r, "workflow.parallel.branch", i), *name = NULL;
        under(span, root);
        under(nth_span(&r, "workflow.step.execute", i), root);
        has_ids(span, "order", "executor");
        assert_int_equal(1, recorded_attr(span, "branch_name", &name));
        names += strlen(recorded_string(name, "stringValue"));
    }
    assert_int_equal(strlen("left") + strlen("right"), names);
    recorded_close(&r);
}

static void *end_work(void *work)
{
    loom_workflow_end(work, LOOM_OK);
    return NULL;
}

static void work_may_end_on_another_thread(void **state)
{
    (void)state;
    recorded r;
    recorded_open(&r, NULL);
    loom_workflow flow;
    loom_workflow_options o = execution(&r);
    loom_workflow_begin(&flow, &o);
    pthread_t thread;
    assert_int_equal(0, pthread_create(&thread, NULL, end_work, &flow));
    pthread_join(thread, NULL);
    assert_null(loom_context_current());
    recorded_read(&r);
    assert_int_equal(1, json_array_size(r.spans));
    recorded_close(&r);
}

/* ---- retry ---- */

typedef struct trial {
    unsigned fails, calls;
    loom_status outcome;
    uint32_t pauses[8];
    size_t pause_count;
} trial;

static loom_status try_once(loom_workflow *attempt, void *user)
{
    trial *t = user;
    (void)attempt;
    return t->calls++ < t->fails ? t->outcome : LOOM_OK;
}

static void note_pause(void *user, uint32_t delay_ms)
{
    trial *t = user;
    t->pauses[t->pause_count++] = delay_ms;
}

static void attempts_are_spans_of_their_own(void **state)
{
    (void)state;
    recorded r;
    recorded_open(&r, NULL);
    trial t = {.fails = 2, .outcome = LOOM_ETIMEDOUT};
    loom_workflow flow;
    loom_workflow_options o = execution(&r);
    loom_workflow_begin(&flow, &o);
    const loom_retry_policy policy = {.max_attempts = 5, .first_delay_ms = 100, .max_delay_ms = 150, .pause = note_pause, .user = &t};
    assert_status(LOOM_OK, loom_workflow_retry(&(loom_workflow_options){.parent = &flow, .name = "charge"}, &policy, try_once, &t));
    loom_workflow_end(&flow, LOOM_OK);
    recorded_read(&r);
    assert_int_equal(4, json_array_size(r.spans));
    assert_int_equal(2, t.pause_count);
    assert_in_range(t.pauses[0], 50, 100);
    assert_in_range(t.pauses[1], 75, 150);
    for (size_t i = 0; i < 3; i++) {
        static const char *const numbers[] = {"0", "1", "2", "3"};
        json_t *span = nth_span(&r, "action.retry", i), *needed = NULL;
        under(span, recorded_span(&r, "workflow.execute"));
        has_ids(span, "order", "retry_strategy");
        recorded_has_string(span, "action_name", "charge");
        recorded_has_int(span, "attempt", numbers[i + 1]);
        recorded_has_int(span, "retry_count", numbers[i]);
        assert_int_equal(1, recorded_attr(span, "retry_needed", &needed));
        assert_int_equal(i < 2, json_is_true(json_object_get(needed, "boolValue")));
        assert_int_equal(i < 2 ? LOOM_SPAN_ERROR : LOOM_SPAN_OK, status_of(span));
    }
    recorded_close(&r);
}

static void retries_end_with_the_last_outcome(void **state)
{
    (void)state;
    trial used_up = {.fails = 99, .outcome = LOOM_EIO}, hopeless = {.fails = 99, .outcome = LOOM_EINVAL};
    loom_retry_policy policy = {.pause = note_pause, .user = &used_up};
    assert_status(LOOM_EIO, loom_workflow_retry(&(loom_workflow_options){.name = "a"}, &policy, try_once, &used_up));
    assert_int_equal(3, used_up.calls);
    policy.user = &hopeless;
    assert_status(LOOM_EINVAL, loom_workflow_retry(&(loom_workflow_options){.name = "a"}, &policy, try_once, &hopeless));
    assert_int_equal(1, hopeless.calls);
    trial sleeps = {.fails = 1, .outcome = LOOM_EIO};
    assert_status(LOOM_OK, loom_workflow_retry(&(loom_workflow_options){.name = "a"},
                                               &(loom_retry_policy){.first_delay_ms = 1}, try_once, &sleeps));
    assert_int_equal(2, sleeps.calls);
}

/* ---- between processes ---- */

static void a_queue_message_continues_the_workflow_of_its_sender(void **state)
{
    (void)state;
    recorded r;
    recorded_open(&r, NULL);
    loom_workflow flow, message, step;
    loom_workflow_options o = execution(&r);
    loom_baggage *base, *baggage, *received;
    assert_status(LOOM_OK, loom_baggage_parse(&base, STR("user=ann,tenant_id=other"), NULL));
    loom_workflow_begin(&flow, &o);
    assert_status(LOOM_OK, loom_workflow_baggage(&baggage, &flow, base));
    const loom_trace_context context = *loom_span_context(loom_workflow_span(&flow));
    loom_workflow_end(&flow, LOOM_OK);
    assert_str("user=ann,tenant_id=acme,workflow_id=order,execution_id=ex-17", loom_baggage_text(baggage));

    assert_status(LOOM_OK, loom_baggage_parse(&received, loom_baggage_text(baggage), NULL));
    loom_workflow_begin(&message, &(loom_workflow_options){.kind = LOOM_WORKFLOW_MESSAGE, .tracer = r.tracer, .context = &context,
                                                           .baggage = received, .queue_name = "orders", .message_id = "m-1",
                                                           .retry_count = 2});
    loom_workflow_begin(&step, &(loom_workflow_options){.kind = LOOM_WORKFLOW_STEP, .parent = &message, .node_id = "ship"});
    loom_workflow_end(&step, LOOM_OK);
    loom_workflow_end(&message, LOOM_OK);
    recorded_read(&r);
    json_t *span = recorded_span(&r, "queue.process_message");
    is_child_of(&r, "queue.process_message", "workflow.execute");
    is_child_of(&r, "workflow.step.execute", "queue.process_message");
    has_ids(span, "order", "queue_consumer");
    has_ids(recorded_span(&r, "workflow.step.execute"), "order", "executor");
    recorded_has_string(span, "queue.name", "orders");
    recorded_has_string(span, "queue.message_id", "m-1");
    recorded_has_int(span, "retry_count", "2");
    assert_int_equal(LOOM_SPAN_CONSUMER, json_integer_value(json_object_get(span, "kind")));
    assert_int_equal(0x300, json_integer_value(json_object_get(span, "flags")) & 0x300); /* the parent is remote */
    loom_baggage_unref(received);
    loom_baggage_unref(baggage);
    loom_baggage_unref(base);
    recorded_close(&r);
}

static void a_sub_workflow_in_another_process_knows_what_it_is_part_of(void **state)
{
    (void)state;
    recorded r;
    recorded_open(&r, NULL);
    loom_workflow flow, sub;
    loom_baggage *outer, *inner;
    loom_workflow_options o = execution(&r);
    loom_workflow_begin(&flow, &o);
    assert_status(LOOM_OK, loom_workflow_baggage(&outer, &flow, NULL));
    loom_workflow_begin(&sub, &(loom_workflow_options){.kind = LOOM_WORKFLOW_SUB, .tracer = r.tracer, .baggage = outer,
                                                       .workflow_id = "billing"});
    assert_status(LOOM_OK, loom_workflow_baggage(&inner, &sub, outer));
    assert_str("tenant_id=acme,workflow_id=billing,execution_id=ex-17,workflow_depth=1", loom_baggage_text(inner));
    loom_workflow_end(&sub, LOOM_OK);
    loom_baggage_unref(outer);
    assert_status(LOOM_OK, loom_workflow_baggage(&outer, &flow, inner)); /* the depth of other work is not this one's */
    assert_str("tenant_id=acme,workflow_id=order,execution_id=ex-17", loom_baggage_text(outer));
    loom_workflow_end(&flow, LOOM_OK);
    loom_workflow_begin(&sub, &(loom_workflow_options){.kind = LOOM_WORKFLOW_SUB, .tracer = r.tracer, .baggage = inner,
                                                       .workflow_id = "taxes"});
    loom_workflow_end(&sub, LOOM_OK);
    recorded_read(&r);
    json_t *first = nth_span(&r, "workflow.sub_workflow", 0), *second = nth_span(&r, "workflow.sub_workflow", 1);
    recorded_has_string(first, "parent_workflow_id", "order");
    recorded_has_string(first, "child_workflow_id", "billing");
    recorded_has_int(first, "depth", "1");
    recorded_has_string(second, "parent_workflow_id", "billing");
    recorded_has_int(second, "depth", "2");
    loom_baggage_unref(outer);
    loom_baggage_unref(inner);
    recorded_close(&r);
}

static void a_depth_that_is_none_counts_as_no_depth(void **state)
{
    (void)state;
    for (const char **text = (const char *[]){"workflow_depth=-1", "workflow_depth=99999999999", "workflow_depth=1x", NULL};
         *text != NULL; text++) {
        loom_workflow work;
        loom_baggage *sent, *received;
        assert_status(LOOM_OK, loom_baggage_parse(&received, str_of(*text), NULL));
        loom_workflow_begin(&work, &(loom_workflow_options){.kind = LOOM_WORKFLOW_SUB, .baggage = received});
        assert_status(LOOM_OK, loom_workflow_baggage(&sent, &work, NULL));
        assert_str("workflow_depth=1", loom_baggage_text(sent));
        loom_workflow_end(&work, LOOM_OK);
        loom_baggage_unref(sent);
        loom_baggage_unref(received);
    }
}

static void ids_that_cannot_travel_stay(void **state)
{
    (void)state;
    loom_workflow work;
    loom_baggage *baggage;
    loom_workflow_begin(&work, &(loom_workflow_options){.tenant_id = "\xff", .workflow_id = ""});
    assert_status(LOOM_OK, loom_workflow_baggage(&baggage, &work, NULL));
    assert_null(baggage);
    loom_workflow_end(&work, LOOM_OK);
}

static loom_status make_baggage(void *work)
{
    loom_baggage *baggage;
    loom_status st = loom_workflow_baggage(&baggage, work, NULL);
    if (st != LOOM_OK) {
        assert_null(baggage);
    }
    loom_baggage_unref(baggage);
    return st;
}

static void making_baggage_survives_without_memory(void **state)
{
    (void)state;
    loom_workflow work;
    loom_workflow_begin(&work, &(loom_workflow_options){.kind = LOOM_WORKFLOW_SUB, .tenant_id = "acme", .workflow_id = "order",
                                                        .execution_id = "ex-17"});
    assert_true(alloc_fault_each(make_baggage, &work) > 0);
    loom_workflow_end(&work, LOOM_OK);
}

/* ---- what callers may do wrong ---- */

static void attributes_of_the_user_cannot_take_our_names(void **state)
{
    (void)state;
    recorded r;
    recorded_open(&r, NULL);
    const loom_attr attrs[] = {{.key = "tenant_id", .type = LOOM_ATTR_STRING, .value.string = STR("forged")},
                               {.key = "attempt", .type = LOOM_ATTR_INT, .value.integer = 7},
                               {.key = NULL},
                               {.key = "customer", .type = LOOM_ATTR_STRING, .value.string = STR("ann")}};
    loom_workflow_options o = execution(&r);
    o.attrs = attrs;
    o.attr_count = 4;
    assert_status(LOOM_OK, loom_workflow_run(&o, succeed, NULL));
    recorded_read(&r);
    json_t *span = recorded_span(&r, "workflow.execute");
    has_ids(span, "order", "executor");
    recorded_has_string(span, "customer", "ann");
    has_none(span, "attempt");
    recorded_close(&r);
}

static void without_a_tracer_the_work_is_done_all_the_same(void **state)
{
    (void)state;
    assert_status(LOOM_OK, loom_workflow_run(&(loom_workflow_options){.kind = (loom_workflow_kind)99}, order, NULL));
    assert_status(LOOM_EINVAL, loom_workflow_run(NULL, order, NULL));
    assert_status(LOOM_EINVAL, loom_workflow_run(&(loom_workflow_options){0}, NULL, NULL));
    assert_status(LOOM_EINVAL, loom_workflow_retry(NULL, NULL, order, NULL));
    loom_workflow work;
    loom_workflow_begin(&work, &(loom_workflow_options){.kind = LOOM_WORKFLOW_STEP});
    loom_workflow_end(&work, LOOM_OK);
    loom_workflow_end(&work, LOOM_EIO); /* once is enough */
    assert_null(loom_workflow_span(&work));
    loom_workflow_begin(&work, NULL);
    loom_workflow_end(&work, LOOM_OK);
    loom_workflow_fail(NULL, "type", "message");
    loom_workflow_end(NULL, LOOM_OK);
    assert_null(loom_workflow_span(NULL));
    loom_baggage *baggage;
    assert_status(LOOM_OK, loom_workflow_baggage(&baggage, NULL, NULL));
    assert_null(baggage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_workflow_is_a_tree_with_the_names_people_search_for),
        cmocka_unit_test(what_the_function_returns_is_the_status_of_its_span),
        cmocka_unit_test(what_failed_stays_failed_though_it_ends_well),
        cmocka_unit_test(rounds_of_a_loop_are_numbered),
        cmocka_unit_test(branches_on_other_threads_are_under_the_workflow),
        cmocka_unit_test(work_may_end_on_another_thread),
        cmocka_unit_test(attempts_are_spans_of_their_own),
        cmocka_unit_test(retries_end_with_the_last_outcome),
        cmocka_unit_test(a_queue_message_continues_the_workflow_of_its_sender),
        cmocka_unit_test(a_sub_workflow_in_another_process_knows_what_it_is_part_of),
        cmocka_unit_test(a_depth_that_is_none_counts_as_no_depth),
        cmocka_unit_test(ids_that_cannot_travel_stay),
        cmocka_unit_test(making_baggage_survives_without_memory),
        cmocka_unit_test(attributes_of_the_user_cannot_take_our_names),
        cmocka_unit_test(without_a_tracer_the_work_is_done_all_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
