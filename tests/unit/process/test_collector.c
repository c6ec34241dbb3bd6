/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of lines with a real SDK behind them; tests/integration/test_exec_spans.py has the rules case by case. */
#include "trace/process/collect/collector.h"

#include "base/str.h"
#include "tests/support/alloc_fault.h"
#include "tests/unit/trace/recorded.h"

#include <string.h>

#define TIMES "\"start_time\":\"2026-01-15T10:30:00.123Z\",\"end_time\":\"2026-01-15T10:30:00.456Z\""

static void ignore_text(void *user, loom_bytes text)
{
    (void)text;
    (*(unsigned *)user)++;
}

static const loom_trace_context command = {.trace_id = {1}, .span_id = {2}, .trace_flags = LOOM_TRACE_FLAG_SAMPLED};

static void a_span_keeps_its_times_and_gets_its_hosts_trace(void **state)
{
    (void)state;
    recorded r;
    collector *c;
    collector_counts counts = {0};
    unsigned texts = 0;
    recorded_open(&r, NULL);
    assert_status(LOOM_OK, collector_open(&c, &(collector_options){.tracer = r.tracer, .command = command, .counts = &counts,
                                                                   .baggage = str_of("tenant_id=a%20b;p=1"), .text = ignore_text, .user = &texts}));
    collector_feed(c, bytes_of("__LOOM_TRACE__:{\"trace_id\":\"other\",\"span_id\":\"00000000000000ff\",\"name\":\"q\"," TIMES
                               ",\"attributes\":{\"tenant_id\":\"evil\",\"k\\u0065y\":\"v\\n\"}}\n"));
    collector_end(c);
    collector_close(c);
    recorded_read(&r);
    json_t *span = recorded_span(&r, "q");
    assert_string_equal("01000000000000000000000000000000", recorded_string(span, "traceId"));
    assert_string_equal("0200000000000000", recorded_string(span, "parentSpanId"));
    assert_string_equal("1768473000123000000", recorded_string(span, "startTimeUnixNano"));
    assert_string_equal("1768473000456000000", recorded_string(span, "endTimeUnixNano"));
    recorded_has_string(span, "tenant_id", "a b");
    recorded_has_string(span, "key", "v\n");
    recorded_has_string(span, "loom.original_trace_id", "other");
    const collector_stats stats = collector_read(&counts);
    assert_int_equal(1, stats.collected);
    assert_int_equal(1, stats.restamped);
    assert_int_equal(1, stats.tenant_violations);
    assert_int_equal(0, texts);
    recorded_close(&r);
}

/* Opened, fed one span, closed. */
static loom_status collect_one(void *user)
{
    recorded *r = user;
    unsigned texts = 0;
    collector_counts counts = {0};
    collector *c;
    const loom_status st = collector_open(&c, &(collector_options){.tracer = r->tracer, .command = command, .counts = &counts,
                                                                   .baggage = str_of("a=b"), .text = ignore_text, .user = &texts});
    if (st != LOOM_OK) {
        assert_null(c);
        return st;
    }
    collector_feed(c, bytes_of("__LOOM_TRACE__:{\"trace_id\":\"1\",\"span_id\":\"2\",\"name\":\"q\"," TIMES "}\nx"));
    collector_close(c);
    assert_int_equal(1, texts);
    const collector_stats stats = collector_read(&counts);
    assert_int_equal(1, stats.collected + stats.oversize);
    return LOOM_OK;
}

static void without_memory_it_does_not_open_or_leaves_the_span_out(void **state)
{
    (void)state;
    recorded r;
    recorded_open(&r, NULL);
    (void)alloc_fault_each_survived(collect_one, &r);
    recorded_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_span_keeps_its_times_and_gets_its_hosts_trace),
        cmocka_unit_test(without_memory_it_does_not_open_or_leaves_the_span_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
