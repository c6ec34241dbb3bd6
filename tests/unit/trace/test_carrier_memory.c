/* SPDX-License-Identifier: Apache-2.0 */
/* Every entry point of <loom/propagation.h> that allocates, with the n-th allocation failing. */
#include "tests/support/alloc_fault.h"
#include "tests/unit/trace/carried.h"

static const loom_header incoming[] = {HEADER("traceparent", PARENT), HEADER("tracestate", "a=1"), HEADER("baggage", "k=v")};
#define INCOMING 3

static loom_status extract(void *user)
{
    loom_headers list = {.items = incoming, .count = INCOMING};
    const loom_carrier from = loom_headers_carrier(&list);
    loom_propagation in;
    (void)user;
    loom_status st = loom_propagation_extract(&in, &from, LOOM_PROPAGATORS_DEFAULT, NULL);
    assert_context(PARENT, &in.context); /* the context needs no memory */
    loom_propagation_fini(&in);
    return st;
}

static loom_status read_b3_debug(void *user)
{
    static const loom_header debug[] = {HEADER("b3", TRACE_ID "-" SPAN_ID "-d")};
    loom_headers list = {.items = debug, .count = 1};
    const loom_carrier from = loom_headers_carrier(&list);
    loom_propagation in;
    (void)user;
    loom_status st = loom_propagation_extract(&in, &from, LOOM_PROPAGATOR_B3, NULL);
    assert_context(PARENT, &in.context);
    loom_propagation_fini(&in);
    return st;
}

static loom_status forward(void *user)
{
    loom_headers list = {.items = incoming, .count = INCOMING};
    const loom_carrier to = loom_headers_carrier(&list);
    loom_status st = loom_propagation_inject(&to, user, LOOM_PROPAGATORS_DEFAULT | LOOM_PROPAGATOR_B3MULTI);
    loom_headers_fini(&list);
    return st;
}

static loom_status make_child(void *user)
{
    char path[] = "PATH=/bin", parent[] = "TRACEPARENT=x";
    char *const base[] = {path, parent, NULL};
    loom_child_environment *env;
    loom_status st = loom_child_environment_create(&env, base, user, LOOM_PROPAGATORS_DEFAULT);
    for (unsigned i = 0; st == LOOM_OK && i < 30; i++) {
        char name[8];
        snprintf(name, sizeof name, "N%u", i);
        st = loom_child_environment_set(env, name, STR("v"));
    }
    loom_child_environment_free(env);
    return st;
}

static void each_failure_is_reported_and_nothing_leaks(void **state)
{
    (void)state;
    loom_propagation what = {.tracestate = STR("a=1"), .baggage = STR("k=v")};
    assert_status(LOOM_OK, loom_traceparent_parse(&what.context, STR(PARENT)));
    assert_true(alloc_fault_each(extract, NULL) > 0);
    assert_true(alloc_fault_each(read_b3_debug, NULL) > 0);
    assert_true(alloc_fault_each(forward, &what) > 0);
    assert_true(alloc_fault_each(make_child, &what) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_failure_is_reported_and_nothing_leaks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
