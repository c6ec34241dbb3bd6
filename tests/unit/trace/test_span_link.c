/* SPDX-License-Identifier: Apache-2.0 */
/* The exporter `loom`: requests are cut, taken by a carrier, and count when they are answered. */
#include "tests/support/check.h"
#include "tests/support/wait_until.h"
#include "trace/export/processor.h"
#include "trace/export/span_link.h"
#include "trace/export/span_pieces.h"
#include "trace/otlp/read.h"

#include <loom/trace.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CREDIT = 32 * 1024 };

typedef struct carrier_end {
    span_carrier carrier; /* first */
    atomic_uint wakes;
    uint64_t spans; /* taken in this session */
    uint64_t bytes;
    size_t largest, requests;
} carrier_end;

typedef struct fixture {
    loom_span_processor *processor;
    loom_tracer_provider *provider;
    loom_tracer *tracer;
    span_link *link;
    carrier_end a, b;
    atomic_int errors;
    char error[256];
} fixture;

static void on_error(void *user, const char *message)
{
    fixture *f = user;
    snprintf(f->error, sizeof f->error, "%s", message);
    atomic_fetch_add(&f->errors, 1);
}

static void on_wake(span_carrier *c)
{
    atomic_fetch_add(&((carrier_end *)c)->wakes, 1);
}

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    const loom_sampler always = {.kind = LOOM_SAMPLER_ALWAYS_ON};
    assert_status(LOOM_OK, loom_span_processor_create(&f->processor, &(loom_span_processor_options){
        .exporter = LOOM_EXPORTER_LINK, .schedule_delay_ms = 60000, .on_error = on_error, .user = f}));
    assert_status(LOOM_OK, loom_tracer_provider_create(&f->provider, &(loom_tracer_provider_options){
        .service_name = "test", .sampler = &always, .processor = f->processor}));
    f->tracer = loom_tracer_get(f->provider, "tests", "1");
    f->link = processor_span_link(f->processor);
    assert_non_null(f->link);
    f->a.carrier.wake = f->b.carrier.wake = on_wake;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    loom_tracer_provider_unref(f->provider);
    (void)loom_span_processor_shutdown(f->processor, 0);
    const loom_span_counts c = loom_span_processor_counts(f->processor);
    assert_int_equal(c.ended, c.exported + c.dropped_full + c.dropped_failed + c.dropped_shutdown);
    loom_span_processor_unref(f->processor);
    free(f);
    return 0;
}

static void make_spans(fixture *f, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        loom_span *span = loom_span_start(f->tracer, "work", NULL);
        loom_span_set_string(span, "k", "0123456789012345678901234567890123456789");
        loom_span_end(span);
    }
}

static bool check_span(void *user, const otlp_span *span)
{
    assert_str("work", span->name);
    assert_str("test", otlp_resource_string(span->resource, "service.name"));
    loom_str name, version;
    otlp_read_scope(span->scope, &name, &version);
    assert_str("tests", name);
    ++*(uint64_t *)user;
    return true;
}

static loom_status put(void *user, uint64_t spans, loom_bytes request)
{
    carrier_end *c = user;
    uint64_t found = 0;
    assert_status(LOOM_OK, otlp_read_request(request, check_span, &found));
    assert_int_equal(spans, found);
    c->spans += spans;
    c->bytes += request.len;
    c->largest = request.len > c->largest ? request.len : c->largest;
    c->requests++;
    return LOOM_OK;
}

static void up(fixture *f, carrier_end *c, uint64_t credit)
{
    c->spans = c->bytes = 0;
    span_link_up(f->link, &c->carrier, credit);
}

static void take_all(fixture *f, carrier_end *c)
{
    while (span_link_take(f->link, &c->carrier, put, c)) {
    }
}

static bool was_woken(carrier_end *c)
{
    return atomic_load(&c->wakes) > 0;
}

static bool all_done(const fixture *f)
{
    const loom_span_counts c = loom_span_processor_counts(f->processor);
    return c.ended == c.exported + c.dropped_full + c.dropped_failed + c.dropped_shutdown;
}

/* Without waiting for it. */
static void ask_to_flush(fixture *f)
{
    assert_status(LOOM_ETIMEDOUT, loom_span_processor_flush(f->processor, 0));
}

static void spans_count_when_they_are_answered(void **state)
{
    fixture *f = *state;
    span_link_attach(f->link, &f->a.carrier);
    up(f, &f->a, CREDIT);
    make_spans(f, 10);
    ask_to_flush(f);
    wait_until(was_woken(&f->a), 5000);
    take_all(f, &f->a);
    assert_int_equal(10, f->a.spans);
    assert_int_equal(0, loom_span_processor_counts(f->processor).exported);
    span_link_answered(f->link, &f->a.carrier, CREDIT + f->a.bytes, 10, 0);
    wait_until(all_done(f), 5000);
    assert_int_equal(10, loom_span_processor_counts(f->processor).exported);
    span_link_detach(f->link, &f->a.carrier);
}

static void what_the_bridge_refuses_counts_as_failed(void **state)
{
    fixture *f = *state;
    span_link_attach(f->link, &f->a.carrier);
    up(f, &f->a, CREDIT);
    make_spans(f, 10);
    ask_to_flush(f);
    wait_until(was_woken(&f->a), 5000);
    take_all(f, &f->a);
    span_link_answered(f->link, &f->a.carrier, CREDIT + f->a.bytes, 10, 4);
    wait_until(all_done(f), 5000);
    assert_int_equal(6, loom_span_processor_counts(f->processor).exported);
    assert_int_equal(4, loom_span_processor_counts(f->processor).dropped_failed);
    assert_non_null(strstr(f->error, "refused"));
    span_link_detach(f->link, &f->a.carrier);
}

static void requests_are_small_and_wait_for_credit(void **state)
{
    fixture *f = *state;
    span_link_attach(f->link, &f->a.carrier);
    up(f, &f->a, 8 * 1024);
    make_spans(f, 500);
    ask_to_flush(f);
    wait_until(was_woken(&f->a), 5000);
    while (f->a.spans < 500) {
        take_all(f, &f->a);
        assert_in_range(f->a.bytes, 1, f->a.carrier.credit + 8 * 1024);
        assert_false(span_link_has(f->link, &f->a.carrier));
        span_link_answered(f->link, &f->a.carrier, f->a.bytes + 8 * 1024, f->a.spans, 0);
    }
    assert_true(f->a.requests > 5);
    assert_in_range(f->a.largest, 1, 8 * 1024);
    wait_until(all_done(f), 5000);
    assert_int_equal(500, loom_span_processor_counts(f->processor).exported);
    span_link_detach(f->link, &f->a.carrier);
}

static void the_next_carrier_goes_on_with_what_was_not_answered(void **state)
{
    fixture *f = *state;
    span_link_attach(f->link, &f->a.carrier);
    span_link_attach(f->link, &f->b.carrier);
    up(f, &f->b, CREDIT);
    up(f, &f->a, CREDIT);
    make_spans(f, 300);
    ask_to_flush(f);
    wait_until(was_woken(&f->a), 5000); /* the first that was attached */
    assert_int_equal(0, atomic_load(&f->b.wakes));
    assert_true(span_link_take(f->link, &f->a.carrier, put, &f->a));
    const uint64_t first = f->a.spans;
    assert_true(span_link_take(f->link, &f->a.carrier, put, &f->a));
    span_link_answered(f->link, &f->a.carrier, CREDIT, first, 1);
    span_link_down(f->link, &f->a.carrier);
    assert_false(span_link_take(f->link, &f->a.carrier, put, &f->a));
    wait_until(was_woken(&f->b), 5000);
    while (f->b.spans < 300 - first) {
        take_all(f, &f->b);
        span_link_answered(f->link, &f->b.carrier, f->b.bytes + CREDIT, f->b.spans, 0);
    }
    wait_until(all_done(f), 5000);
    assert_int_equal(300 - first, f->b.spans);
    assert_int_equal(299, loom_span_processor_counts(f->processor).exported);
    span_link_detach(f->link, &f->a.carrier);
    span_link_detach(f->link, &f->b.carrier);
}

static void a_session_that_begins_anew_sends_again_what_the_last_one_left_open(void **state)
{
    fixture *f = *state;
    span_link_attach(f->link, &f->a.carrier);
    up(f, &f->a, CREDIT);
    make_spans(f, 10);
    ask_to_flush(f);
    wait_until(was_woken(&f->a), 5000);
    take_all(f, &f->a);
    span_link_down(f->link, &f->a.carrier);
    atomic_store(&f->a.wakes, 0);
    up(f, &f->a, CREDIT);
    wait_until(was_woken(&f->a), 5000);
    take_all(f, &f->a);
    assert_int_equal(10, f->a.spans);
    span_link_answered(f->link, &f->a.carrier, CREDIT, 10, 0);
    wait_until(all_done(f), 5000);
    assert_int_equal(10, loom_span_processor_counts(f->processor).exported);
    span_link_detach(f->link, &f->a.carrier);
}

static void spans_wait_for_the_first_connection(void **state)
{
    fixture *f = *state;
    make_spans(f, 10);
    ask_to_flush(f);
    span_link_attach(f->link, &f->a.carrier);
    assert_int_equal(0, atomic_load(&f->a.wakes));
    up(f, &f->a, CREDIT);
    wait_until(was_woken(&f->a), 5000);
    take_all(f, &f->a);
    span_link_answered(f->link, &f->a.carrier, CREDIT, 10, 0);
    wait_until(all_done(f), 5000);
    assert_int_equal(10, loom_span_processor_counts(f->processor).exported);
    span_link_detach(f->link, &f->a.carrier);
}

static void a_bridge_that_takes_none_costs_the_spans_and_says_so(void **state)
{
    fixture *f = *state;
    span_link_attach(f->link, &f->a.carrier);
    up(f, &f->a, 0);
    make_spans(f, 10);
    assert_status(LOOM_EIO, loom_span_processor_flush(f->processor, 5000));
    assert_int_equal(10, loom_span_processor_counts(f->processor).dropped_failed);
    assert_int_equal(0, atomic_load(&f->a.wakes));
    assert_non_null(strstr(f->error, "takes no spans"));
    span_link_detach(f->link, &f->a.carrier);
}

static void a_program_without_a_link_ends_at_once(void **state)
{
    fixture *f = *state;
    make_spans(f, 10);
    const loom_status st = loom_span_processor_shutdown(f->processor, 60000);
    assert_true(st == LOOM_EIO || st == LOOM_ETIMEDOUT);
    assert_non_null(strstr(f->error, "no agent in this process"));
}

static void a_span_that_fits_in_no_frame_is_lost_alone(void **state)
{
    static char text[70 * 1024];
    fixture *f = *state;
    memset(text, 'x', sizeof text - 1);
    span_link_attach(f->link, &f->a.carrier);
    up(f, &f->a, CREDIT);
    loom_span *span = loom_span_start(f->tracer, "large", NULL);
    loom_span_set_string(span, "k", text);
    loom_span_end(span);
    make_spans(f, 1);
    ask_to_flush(f);
    wait_until(was_woken(&f->a), 5000);
    take_all(f, &f->a);
    assert_int_equal(1, f->a.spans);
    span_link_answered(f->link, &f->a.carrier, CREDIT, 1, 0);
    wait_until(all_done(f), 5000);
    assert_int_equal(1, loom_span_processor_counts(f->processor).exported);
    assert_int_equal(1, loom_span_processor_counts(f->processor).dropped_failed);
    span_link_detach(f->link, &f->a.carrier);
}

static void another_exporter_has_no_link(void **state)
{
    (void)state;
    loom_span_processor *p;
    assert_status(LOOM_OK, loom_span_processor_create(&p, &(loom_span_processor_options){.exporter = LOOM_EXPORTER_NONE}));
    assert_null(processor_span_link(p));
    assert_null(processor_span_link(NULL));
    loom_span_processor_unref(p);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(spans_count_when_they_are_answered),
        T(what_the_bridge_refuses_counts_as_failed),
        T(requests_are_small_and_wait_for_credit),
        T(the_next_carrier_goes_on_with_what_was_not_answered),
        T(a_session_that_begins_anew_sends_again_what_the_last_one_left_open),
        T(spans_wait_for_the_first_connection),
        T(a_bridge_that_takes_none_costs_the_spans_and_says_so),
        T(a_program_without_a_link_ends_at_once),
        T(a_span_that_fits_in_no_frame_is_lost_alone),
        cmocka_unit_test(another_exporter_has_no_link),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
