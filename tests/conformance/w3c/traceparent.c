/* SPDX-License-Identifier: Apache-2.0 */
/* traceparent against W3C Trace Context level 2, section 3.2, and the cases of the W3C's own test suite (test/test.py of
 * github.com/w3c/trace-context, named here without their common prefix test_traceparent_). */
#include <loom/context.h>

#include "tests/support/check.h"

#define TRACE_ID "12345678901234567890123456789012"
#define SPAN_ID "1234567890123456"

typedef struct vector {
    const char *clause;
    const char *text;
    int flags; /* what is read; -1: refused */
} vector;

static const vector vectors[] = {
    /* What the specification shows and says. */
    {"3.2.3, example 1", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", 0x01},
    {"3.2.3, example 2", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", 0x00},
    {"3.2.2.5.2 random flag", "00-" TRACE_ID "-" SPAN_ID "-02", 0x02},
    {"3.2.2.5.2 both flags", "00-" TRACE_ID "-" SPAN_ID "-03", 0x03},
    {"3.2.2.5 flags are bits", "00-" TRACE_ID "-" SPAN_ID "-09", 0x01},
    {"3.2.2.5.3 other flags are dropped", "00-" TRACE_ID "-" SPAN_ID "-ff", 0x03},
    {"3.2.2.5.3 other flags are dropped", "00-" TRACE_ID "-" SPAN_ID "-fc", 0x00},
    {"3.2.2.1 upper-case version", "CC-" TRACE_ID "-" SPAN_ID "-01", -1},
    {"3.2.2.3 upper-case trace-id", "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", -1},
    {"3.2.2.4 upper-case parent-id", "00-4bf92f3577b34da6a3ce929d0e0e4736-00F067AA0BA902B7-01", -1},
    {"3.2.2.5 upper-case flags", "00-" TRACE_ID "-" SPAN_ID "-0A", -1},
    {"3.2.2 wrong delimiters", "00_" TRACE_ID "_" SPAN_ID "_01", -1},
    {"3.2.2 wrong delimiter", "00-" TRACE_ID "-" SPAN_ID ".01", -1},
    {"4.3 shorter than 55", "cc-" TRACE_ID "-" SPAN_ID "-0", -1},
    {"4.3 higher version, all zero", "cc-00000000000000000000000000000000-" SPAN_ID "-01", -1},
    {"4.3 higher version, trailing dash", "01-" TRACE_ID "-" SPAN_ID "-01-", 0x01},
    {"4.3 higher version, white space", " fe-" TRACE_ID "-" SPAN_ID "-01-x y\t", 0x01},
    {"3.2.1 nothing", "", -1},
    {"3.2.1 white space alone", " \t ", -1},
    /* The test suite of the W3C. */
    {"duplicated", "00-" TRACE_ID "-" SPAN_ID "-01,00-" TRACE_ID "-" SPAN_ID "-01", -1},
    {"version_0x00", "00-" TRACE_ID "-" SPAN_ID "-01.", -1},
    {"version_0x00", "00-" TRACE_ID "-" SPAN_ID "-01-what-the-future-will-be-like", -1},
    {"version_0xcc", "cc-" TRACE_ID "-" SPAN_ID "-01", 0x01},
    {"version_0xcc", "cc-" TRACE_ID "-" SPAN_ID "-01-what-the-future-will-be-like", 0x01},
    {"version_0xcc", "cc-" TRACE_ID "-" SPAN_ID "-01.what-the-future-will-be-like", -1},
    {"version_0xff", "ff-" TRACE_ID "-" SPAN_ID "-01", -1},
    {"version_illegal_characters", ".0-" TRACE_ID "-" SPAN_ID "-01", -1},
    {"version_illegal_characters", "0.-" TRACE_ID "-" SPAN_ID "-01", -1},
    {"version_too_long", "000-" TRACE_ID "-" SPAN_ID "-01", -1},
    {"version_too_long", "0000-" TRACE_ID "-" SPAN_ID "-01", -1},
    {"version_too_short", "0-" TRACE_ID "-" SPAN_ID "-01", -1},
    {"trace_id_all_zero", "00-00000000000000000000000000000000-" SPAN_ID "-01", -1},
    {"trace_id_illegal_characters", "00-.2345678901234567890123456789012-" SPAN_ID "-01", -1},
    {"trace_id_illegal_characters", "00-1234567890123456789012345678901.-" SPAN_ID "-01", -1},
    {"trace_id_too_long", "00-123456789012345678901234567890123-" SPAN_ID "-01", -1},
    {"trace_id_too_short", "00-1234567890123456789012345678901-" SPAN_ID "-01", -1},
    {"parent_id_all_zero", "00-" TRACE_ID "-0000000000000000-01", -1},
    {"parent_id_illegal_characters", "00-" TRACE_ID "-.234567890123456-01", -1},
    {"parent_id_illegal_characters", "00-" TRACE_ID "-123456789012345.-01", -1},
    {"parent_id_too_long", "00-" TRACE_ID "-12345678901234567-01", -1},
    {"parent_id_too_short", "00-" TRACE_ID "-123456789012345-01", -1},
    {"trace_flags_illegal_characters", "00-" TRACE_ID "-" SPAN_ID "-.0", -1},
    {"trace_flags_illegal_characters", "00-" TRACE_ID "-" SPAN_ID "-0.", -1},
    {"trace_flags_too_long", "00-" TRACE_ID "-" SPAN_ID "-001", -1},
    {"trace_flags_too_short", "00-" TRACE_ID "-" SPAN_ID "-1", -1},
    {"ows_handling", " 00-" TRACE_ID "-" SPAN_ID "-01", 0x01},
    {"ows_handling", "\t00-" TRACE_ID "-" SPAN_ID "-01", 0x01},
    {"ows_handling", "00-" TRACE_ID "-" SPAN_ID "-01 ", 0x01},
    {"ows_handling", "00-" TRACE_ID "-" SPAN_ID "-01\t", 0x01},
    {"ows_handling", "\t 00-" TRACE_ID "-" SPAN_ID "-01 \t", 0x01},
};

static void assert_zero(const loom_trace_context *ctx)
{
    const loom_trace_context zero = {0};
    assert_memory_equal(&zero, ctx, sizeof zero);
}

static void each_vector_is_read_or_refused_as_its_clause_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        const vector *v = &vectors[i];
        loom_trace_context ctx;
        memset(&ctx, 0xaa, sizeof ctx);
        const loom_status status = loom_traceparent_parse(&ctx, str_of(v->text));
        if (status != (v->flags < 0 ? LOOM_EMALFORMED : LOOM_OK)) {
            fail_msg("%s: \"%s\" gave LOOM_%s", v->clause, v->text, loom_status_name(status));
        }
        if (v->flags < 0) {
            assert_zero(&ctx);
        } else if (ctx.trace_flags != v->flags) {
            fail_msg("%s: \"%s\" has flags %02x", v->clause, v->text, ctx.trace_flags);
        }
    }
}

/* Every prefix is cut inside the text, so a read past it would be one past the buffer. */
static void no_prefix_of_a_traceparent_is_one(void **state)
{
    (void)state;
    const char text[] = "00-" TRACE_ID "-" SPAN_ID "-01";
    for (size_t len = 0; len < sizeof text - 1; len++) {
        loom_trace_context ctx;
        assert_status(LOOM_EMALFORMED, loom_traceparent_parse(&ctx, (loom_str){text, len}));
        assert_zero(&ctx);
    }
}

static void ids_are_read_in_byte_order_and_formatted_as_version_00(void **state)
{
    (void)state;
    static const uint8_t trace_id[] = {0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6,
                                       0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e, 0x47, 0x36};
    static const uint8_t span_id[] = {0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7};
    loom_trace_context ctx;
    assert_status(LOOM_OK,
                  loom_traceparent_parse(&ctx, STR("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff-later")));
    assert_memory_equal(trace_id, ctx.trace_id, sizeof trace_id);
    assert_memory_equal(span_id, ctx.span_id, sizeof span_id);
    char text[LOOM_TRACEPARENT_SIZE];
    loom_traceparent_format(text, &ctx);
    assert_string_equal("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03", text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_vector_is_read_or_refused_as_its_clause_says),
        cmocka_unit_test(no_prefix_of_a_traceparent_is_one),
        cmocka_unit_test(ids_are_read_in_byte_order_and_formatted_as_version_00),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
