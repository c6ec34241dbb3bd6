/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/trace/carried.h"
#include "trace/carrier/trace_variables.h"

#include <stdlib.h>
#include <unistd.h>

#define OTHER "00-80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-01"
#define THIRD "00-11111111111111111111111111111111-2222222222222222-01"

static char *const none[] = {NULL};

/* Replaces the environment for one reading. */
static loom_propagation started_with(char **variables, const loom_propagation_arguments *arguments, unsigned propagators, heard *told)
{
    loom_propagation out;
    char **before = environ;
    environ = variables;
    loom_status st = loom_propagation_from_environment(&out, arguments, propagators, &(loom_propagation_report){hear, told});
    environ = before;
    assert_status(LOOM_OK, st);
    return out;
}

typedef struct level {
    const char *variables[8];
    loom_propagation_arguments arguments;
    const char *context, *field, *tracestate, *baggage; /* context NULL: none */
    const char *told[3];
} level;

static const level levels[] = {
    {.variables = {NULL}},
    {.variables = {"TRACEPARENT=" PARENT}, .context = PARENT, .field = "TRACEPARENT"},
    {.variables = {"TRACEPARENT= " PARENT "\r\n", "TRACESTATE=a=1,b=2\n", "BAGGAGE= user = x ,k=v\n"},
     .context = PARENT, .field = "TRACEPARENT", .tracestate = "a=1,b=2", .baggage = "user=x,k=v"},
    {.variables = {"TRACEPARENT=", "OTEL_TRACEPARENT=" OTHER, "TRACESTATE=a=1"}, .context = OTHER, .field = "OTEL_TRACEPARENT"},
    {.variables = {"TRACEPARENT=" PARENT, "OTEL_TRACEPARENT=" OTHER, "LOOM_TRACE_ID=nonsense"}, .context = PARENT, .field = "TRACEPARENT"},
    {.variables = {"TRACEPARENT=nonsense", "TRACESTATE=a=1", "OTEL_TRACEPARENT=" OTHER}, .context = OTHER, .field = "OTEL_TRACEPARENT",
     .told = {"TRACEPARENT: \"nonsense\" is shorter"}},
    {.variables = {"TRACEPARENT=x", "OTEL_TRACEPARENT=y", "LOOM_TRACE_ID=11111111-1111-1111-1111-111111111111", "LOOM_SPAN_ID=2222222222222222"},
     .context = THIRD, .field = "LOOM_TRACE_ID", .told = {"TRACEPARENT: \"x\" is", "OTEL_TRACEPARENT: \"y\" is"}},
    {.variables = {"LOOM_TRACE_ID=test-trace-123", "LOOM_SPAN_ID=2222222222222222"}, .told = {"LOOM_TRACE_ID: \"test-trace-123\" is neither"}},
    {.variables = {"LOOM_TRACE_ID=11111111111111111111111111111111", "LOOM_SPAN_ID=2"}, .told = {"LOOM_SPAN_ID: \"2\" is neither"}},
    {.variables = {"LOOM_SPAN_ID=2222222222222222"}, .told = {"LOOM_SPAN_ID: \"2222222222222222\" comes without a trace id"}},
    {.variables = {"LOOM_TRACE_BAGGAGE=tenant_id=foo,org_id=bar"}, .baggage = "tenant_id=foo,org_id=bar"},
    {.variables = {"BAGGAGE=k=v", "LOOM_TRACE_BAGGAGE=tenant_id=foo"}, .baggage = "k=v"},
    {.variables = {"BAGGAGE=no member", "LOOM_TRACE_BAGGAGE=tenant_id=foo"}, .baggage = "tenant_id=foo", .told = {"BAGGAGE: \"no member\" has 1 invalid or excess member ("}},
    {.variables = {"TRACEPARENT=" PARENT, "TRACESTATE=B=1"}, .context = PARENT, .field = "TRACEPARENT", .told = {"TRACESTATE: \"B=1\" is no tracestate"}},
    {.variables = {"TRACEPARENT=" PARENT, "TRACESTATE=a=1"}, .arguments = {.trace_parent = OTHER}, .context = OTHER, .field = "--trace-parent"},
    {.variables = {"TRACEPARENT=bad"}, .arguments = {.trace_parent = OTHER, .trace_state = "c=3", .baggage = "l=1"}, .context = OTHER,
     .field = "--trace-parent", .tracestate = "c=3", .baggage = "l=1"},
    {.variables = {"TRACEPARENT=" PARENT, "TRACESTATE=a=1", "BAGGAGE=k=v"}, .arguments = {.trace_parent = "00-x", .trace_state = "c=3", .baggage = "l"},
     .context = PARENT, .field = "TRACEPARENT", .tracestate = "a=1", .baggage = "k=v",
     .told = {"--trace-parent: \"00-x\" is shorter", "--baggage: \"l\" has 1 invalid or excess member ("}},
    {.variables = {"TRACEPARENT=" PARENT}, .arguments = {.trace_parent = ""}, .context = PARENT, .field = "TRACEPARENT",
     .told = {"--trace-parent: \"\" is shorter"}},
    {.variables = {"TRACEPARENT=" PARENT}, .arguments = {.trace_state = "c=3"}, .context = PARENT, .field = "TRACEPARENT",
     .told = {"--trace-state: \"c=3\" comes without --trace-parent"}},
    {.variables = {"traceparent=" PARENT, "TraceParent=" PARENT}},
};

static void each_level_is_asked_in_its_turn(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        const level *v = &levels[i];
        heard told = {.count = 0};
        loom_propagation in = started_with((char **)(uintptr_t)v->variables, &v->arguments, LOOM_PROPAGATORS_DEFAULT, &told);
        unsigned expected = 0;
        for (; expected < 3 && v->told[expected] != NULL; expected++) {
            if (strstr(told.text, v->told[expected]) == NULL) {
                fail_msg("level %zu: told \"%s\" and not \"%s\"", i, told.text, v->told[expected]);
            }
        }
        assert_int_equal(expected, told.count);
        if (v->context != NULL) {
            assert_context(v->context, &in.context);
            assert_string_equal(v->field, in.field);
        } else {
            assert_null(in.field);
            assert_int_equal(0, in.answered);
        }
        assert_str(v->tracestate != NULL ? v->tracestate : "", in.tracestate);
        assert_str(v->baggage != NULL ? v->baggage : "", in.baggage);
        loom_propagation_fini(&in);
    }
}

static void the_set_decides_which_variables_count(void **state)
{
    (void)state;
    char *variables[] = {(char[]){"TRACEPARENT=" PARENT}, (char[]){"B3=80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1"},
                         (char[]){"X_TRACE_ID=11111111-1111-1111-1111-111111111111"}, (char[]){"X_SPAN_ID=2222222222222222"},
                         (char[]){"BAGGAGE=k=v"}, (char[]){"LOOM_TRACE_ID=" TRACE_ID}, (char[]){"LOOM_SPAN_ID=" SPAN_ID}, NULL};
    static const struct {
        unsigned set;
        const char *field, *context;
    } rows[] = {
        {LOOM_PROPAGATOR_TRACECONTEXT | LOOM_PROPAGATOR_B3, "TRACEPARENT", PARENT},
        {LOOM_PROPAGATOR_B3, "B3", OTHER},
        {LOOM_PROPAGATOR_X_TRACE_ID, "X_TRACE_ID", THIRD},
        {LOOM_PROPAGATOR_BAGGAGE, "LOOM_TRACE_ID", PARENT},
        {0, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        heard told = {.count = 0};
        loom_propagation in = started_with(variables, NULL, rows[i].set, &told);
        assert_int_equal(0, told.count);
        if (rows[i].field == NULL) {
            assert_null(in.field);
        } else {
            assert_string_equal(rows[i].field, in.field);
            assert_context(rows[i].context, &in.context);
        }
        assert_str((rows[i].set & LOOM_PROPAGATOR_BAGGAGE) != 0 ? "k=v" : "", in.baggage);
        loom_propagation_fini(&in);
    }
    heard told = {.count = 0};
    loom_propagation in = started_with(variables, &(loom_propagation_arguments){.trace_parent = OTHER}, 0, &told);
    assert_context(OTHER, &in.context); /* who says it on the command line means it */
    loom_propagation_fini(&in);
}

static void what_tells_of_a_trace_can_be_forgotten(void **state)
{
    (void)state;
    static const char *const told[] = {
        "TRACEPARENT", "TRACESTATE", "BAGGAGE", "B3", "X_B3_TRACEID", "X_B3_SPANID", "X_B3_PARENTSPANID", "X_B3_SAMPLED",
        "X_B3_FLAGS", "X_TRACE_ID", "X_SPAN_ID", "OTEL_TRACEPARENT", "LOOM_TRACE_ID", "LOOM_SPAN_ID", "LOOM_TRACE_BAGGAGE"};
    for (size_t i = 0; i < sizeof told / sizeof told[0]; i++) {
        setenv(told[i], PARENT, 1);
    }
    setenv("LOOM_TRACE_DB", "kept", 1);
    trace_variables_unset();
    for (size_t i = 0; i < sizeof told / sizeof told[0]; i++) {
        assert_null(getenv(told[i]));
    }
    assert_string_equal("kept", getenv("LOOM_TRACE_DB"));
}

static bool count_key(void *to, loom_str name)
{
    unsigned *count = to;
    *count += str_is(name, "TRACEPARENT") || str_is(name, "EMPTY");
    return true;
}

static void the_environment_is_a_carrier(void **state)
{
    (void)state;
    char *variables[] = {(char[]){"X_B3_TRACEID=" TRACE_ID}, (char[]){"X_B3_SPANID=" SPAN_ID}, (char[]){"X_B3_SAMPLED=0"},
                         (char[]){"TRACEPARENT=" PARENT}, (char[]){"EMPTY="}, NULL};
    const loom_carrier carrier = loom_environment_carrier();
    char **before = environ;
    loom_propagation in;
    unsigned count = 0;
    environ = variables;
    loom_status st = loom_propagation_extract(&in, &carrier, LOOM_PROPAGATOR_B3, NULL);
    carrier.keys(carrier.user, count_key, &count);
    environ = before;
    assert_status(LOOM_OK, st);
    assert_context("00-" TRACE_ID "-" SPAN_ID "-00", &in.context);
    assert_int_equal(2, count);
    assert_status(LOOM_EINVAL, loom_propagation_inject(&carrier, &in, LOOM_PROPAGATORS_DEFAULT));
}

/* ---- a child's ---- */

static const char *value_of(const loom_child_environment *env, const char *name)
{
    const char *found = NULL;
    size_t len = strlen(name);
    for (char *const *at = loom_child_environment_list(env); *at != NULL; at++) {
        if (strncmp(*at, name, len) == 0 && (*at)[len] == '=') {
            assert_null(found); /* once */
            found = *at + len + 1;
        }
    }
    return found;
}

static const char *const inherited_text[] = {
    "PATH=/bin", "TRACEPARENT=" PARENT, "TRACESTATE=a=1", "BAGGAGE=k=v",
    "B3=0", "X_B3_SAMPLED=0", "OTEL_TRACEPARENT=" PARENT, "LOOM_TRACE_ID=" TRACE_ID, "LOOM_SPAN_ID=" SPAN_ID,
    "LOOM_TRACE_BAGGAGE=k=v", "TRACEPARENTS=mine", "EMPTY=", "no equals sign", NULL,
};
#define inherited ((char *const *)(uintptr_t)inherited_text)

static size_t count_of(const loom_child_environment *env)
{
    size_t count = 0;
    while (loom_child_environment_list(env)[count] != NULL) {
        count++;
    }
    return count;
}

static void a_child_works_under_the_current_span_and_never_under_what_was_inherited(void **state)
{
    (void)state;
    loom_child_environment *env;
    assert_status(LOOM_OK, loom_child_environment_create(&env, inherited, NULL, LOOM_PROPAGATORS_DEFAULT));
    assert_int_equal(4, count_of(env)); /* nothing is current */
    assert_string_equal("/bin", value_of(env, "PATH"));
    assert_string_equal("mine", value_of(env, "TRACEPARENTS"));
    assert_string_equal("", value_of(env, "EMPTY"));
    loom_child_environment_free(env);

    loom_trace_context ctx;
    assert_status(LOOM_OK, loom_traceparent_parse(&ctx, STR(OTHER)));
    uint64_t token = loom_context_push(&ctx, STR("c=3"));
    assert_status(LOOM_OK, loom_child_environment_create(&env, inherited, NULL, LOOM_PROPAGATORS_DEFAULT));
    loom_context_pop(token);
    assert_string_equal(OTHER, value_of(env, "TRACEPARENT"));
    assert_string_equal("c=3", value_of(env, "TRACESTATE"));
    assert_string_equal("80f198ee56343ba864fe8b2a57d3eff7", value_of(env, "LOOM_TRACE_ID"));
    assert_string_equal("e457b5a2e4d86bd1", value_of(env, "LOOM_SPAN_ID"));
    assert_null(value_of(env, "BAGGAGE"));
    assert_int_equal(8, count_of(env));
    loom_child_environment_free(env);
}

static void a_child_gets_the_fields_of_the_set(void **state)
{
    (void)state;
    loom_child_environment *env;
    loom_propagation what = {.baggage = STR("k=v, bad member"), .tracestate = STR("a=1")};
    assert_status(LOOM_OK, loom_traceparent_parse(&what.context, STR(OTHER)));
    assert_status(LOOM_OK, loom_child_environment_create(&env, none, &what, LOOM_PROPAGATOR_B3 | LOOM_PROPAGATOR_B3MULTI | LOOM_PROPAGATOR_BAGGAGE));
    assert_null(value_of(env, "TRACEPARENT"));
    assert_string_equal("80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1", value_of(env, "B3"));
    assert_string_equal("1", value_of(env, "X_B3_SAMPLED"));
    assert_string_equal("k=v", value_of(env, "BAGGAGE"));
    assert_string_equal("k=v", value_of(env, "LOOM_TRACE_BAGGAGE"));
    loom_child_environment_free(env);
    assert_status(LOOM_OK, loom_child_environment_create(&env, inherited, &what, 0));
    assert_int_equal(4, count_of(env));
    loom_child_environment_free(env);
}

/* They have no flag that could say so. */
static void loom_variables_do_not_tell_of_a_trace_that_is_not_sampled(void **state)
{
    (void)state;
    loom_child_environment *env;
    loom_propagation what = {0};
    assert_status(LOOM_OK, loom_traceparent_parse(&what.context, STR("00-" TRACE_ID "-" SPAN_ID "-00")));
    assert_status(LOOM_OK, loom_child_environment_create(&env, inherited, &what, LOOM_PROPAGATORS_DEFAULT));
    assert_string_equal("00-" TRACE_ID "-" SPAN_ID "-00", value_of(env, "TRACEPARENT"));
    assert_null(value_of(env, "LOOM_TRACE_ID"));
    assert_null(value_of(env, "TRACESTATE"));
    loom_child_environment_free(env);
}

static void more_variables_may_be_set_and_set_again(void **state)
{
    (void)state;
    loom_child_environment *env;
    char name[16], value[16];
    assert_status(LOOM_OK, loom_child_environment_create(&env, none, NULL, LOOM_PROPAGATORS_DEFAULT));
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 100; i++) {
            snprintf(name, sizeof name, "NAME%u", i);
            snprintf(value, sizeof value, "%u.%u", i, round);
            assert_status(LOOM_OK, loom_child_environment_set(env, name, str_of(value)));
        }
    }
    assert_int_equal(100, count_of(env));
    assert_string_equal("99.1", value_of(env, "NAME99"));
    assert_status(LOOM_OK, loom_child_environment_set(env, "NAME99", (loom_str){0}));
    assert_string_equal("", value_of(env, "NAME99"));
    assert_status(LOOM_EINVAL, loom_child_environment_set(env, "", STR("x")));
    assert_status(LOOM_EINVAL, loom_child_environment_set(env, "A=B", STR("x")));
    assert_status(LOOM_EINVAL, loom_child_environment_set(env, "A", STR("x\0y")));
    loom_child_environment_free(env);
    loom_child_environment_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_level_is_asked_in_its_turn),
        cmocka_unit_test(the_set_decides_which_variables_count),
        cmocka_unit_test(what_tells_of_a_trace_can_be_forgotten),
        cmocka_unit_test(the_environment_is_a_carrier),
        cmocka_unit_test(a_child_works_under_the_current_span_and_never_under_what_was_inherited),
        cmocka_unit_test(a_child_gets_the_fields_of_the_set),
        cmocka_unit_test(loom_variables_do_not_tell_of_a_trace_that_is_not_sampled),
        cmocka_unit_test(more_variables_may_be_set_and_set_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
