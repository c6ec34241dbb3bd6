/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/check.h"
#include "tests/unit/trace/heard.h"
#include "trace/span/propagators.h"

#include <stdlib.h>

enum { TC = PROPAGATOR_TRACECONTEXT, BAGGAGE = PROPAGATOR_BAGGAGE, B3 = PROPAGATOR_B3, MULTI = PROPAGATOR_B3MULTI };

/* OpenTelemetry, SDK environment variables: OTEL_PROPAGATORS, "Parsing empty value", "Enum value". */
static void a_list_of_names_is_a_set(void **state)
{
    (void)state;
    static const struct {
        const char *list;
        unsigned set, told;
    } vectors[] = {
        {NULL, TC | BAGGAGE, 0},
        {"", TC | BAGGAGE, 0},
        {" ,, ", TC | BAGGAGE, 0},
        {"tracecontext", TC, 0},
        {"b3", B3, 0},
        {"b3multi,b3", B3 | MULTI, 0},
        {" TraceContext , BAGGAGE,B3Multi,", TC | BAGGAGE | MULTI, 0},
        {"baggage,baggage", BAGGAGE, 0},
        {"x-trace-id,B3", B3 | PROPAGATOR_X_TRACE_ID, 0},
        {"none", 0, 0},
        {"NONE", 0, 0},
        {"none,b3", B3, 1},
        {"jaeger,tracecontext", TC, 1},
        {"xray", TC | BAGGAGE, 1},
        {"ottrace,nothing", TC | BAGGAGE, 2},
        {"none,xray", 0, 1},
        {"b3 multi", TC | BAGGAGE, 1},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        heard t = {.count = 0};
        assert_int_equal(vectors[i].set, propagators_parse(vectors[i].list, &(env_report){hear, &t}));
        assert_int_equal(vectors[i].told, t.count);
        assert_int_equal(vectors[i].set, propagators_parse(vectors[i].list, NULL));
    }
}

static void what_is_left_out_is_named(void **state)
{
    (void)state;
    heard t = {.count = 0};
    setenv("OTEL_PROPAGATORS", "xray,b4,b3", 1);
    assert_int_equal(B3, propagators_from_env(&(env_report){hear, &t}));
    assert_non_null(strstr(t.text, "OTEL_PROPAGATORS: \"xray\" is not supported; using the others of the list"));
    assert_non_null(strstr(t.text, "OTEL_PROPAGATORS: \"b4\" is no propagator; using the others of the list"));
    unsetenv("OTEL_PROPAGATORS");
    assert_int_equal(PROPAGATORS_DEFAULT, propagators_from_env(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_of_names_is_a_set),
        cmocka_unit_test(what_is_left_out_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
