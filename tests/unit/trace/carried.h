/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of carriers share: ids, and a report that keeps what it is told. */
#ifndef LOOM_TESTS_TRACE_CARRIED_H
#define LOOM_TESTS_TRACE_CARRIED_H

#include <loom/propagation.h>

#include "tests/unit/trace/heard.h"
#include "tests/support/check.h"

#define TRACE_ID "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN_ID "00f067aa0ba902b7"
#define HEADER(k, v) {{.data = "" k, .len = sizeof(k) - 1}, {.data = "" v, .len = sizeof(v) - 1}} /* of a static array */
#define PARENT "00-" TRACE_ID "-" SPAN_ID "-01"

static inline void assert_context(const char *traceparent, const loom_trace_context *actual)
{
    char text[LOOM_TRACEPARENT_SIZE];
    assert_true(loom_trace_context_valid(actual));
    loom_traceparent_format(text, actual);
    assert_string_equal(traceparent, text);
}

#endif
