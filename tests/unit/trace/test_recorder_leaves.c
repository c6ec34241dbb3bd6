/* SPDX-License-Identifier: Apache-2.0 */
/* The flight recorder of a process that leaves the bus: what it hands over, in which order, and what becomes of it here. */
#include "tests/unit/trace/recorded.h"

#include <loom/pipeline.h>
#include <loom/recorder.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/str.h"
#include "trace/otlp/fields.h"
#include "trace/otlp/protobuf_read.h"
#include "trace/otlp/read.h"
#include "trace/record/recorder.h"

enum { SMALLEST = 512 * 1024, TAKEN_MAX = 4096 };

typedef struct heir {
    recorder_heir base;
    size_t count, most; /* spans, and of how many at most; 0: all */
    uint64_t number[TAKEN_MAX];
    bool masked;        /* a text of one was */
} heir;

typedef struct fixture {
    recorded spans;
    heir heir;
} fixture;

static bool take(recorder_heir *self, const span_scope *scope, loom_bytes field)
{
    heir *h = (heir *)self;
    pb_cursor c = pb_cursor_on(field);
    pb_field f;
    assert_true(scope->encoded.len > 0 && scope->resource->encoded.len > 0);
    assert_true(pb_next(&c, &f) && pb_is(&f, SCOPE_SPANS_SPANS, PB_LENGTH) && c.at == c.end);
    self->full = h->most > 0 && h->count == h->most;
    if (self->full) {
        return false;
    }
    const loom_str number = otlp_span_string(f.bytes, "number"), secret = otlp_span_string(f.bytes, "password");
    char text[16] = "";
    memcpy(text, number.data, number.len);
    h->number[h->count++] = strtoull(text, NULL, 10);
    h->masked |= str_is(secret, "[masked]");
    return true;
}

static int open_with(void **state, const loom_span_processor_options *options)
{
    fixture *f = calloc(1, sizeof *f);
    f->heir.base.take = take;
    assert_status(LOOM_OK, loom_recorder_configure(SMALLEST, NULL));
    recorded_open_with(&f->spans, options, &(loom_sampler){.kind = LOOM_SAMPLER_PARENTBASED_ALWAYS_OFF});
    *state = f;
    return 0;
}

static int setup(void **state)
{
    return open_with(state, &(loom_span_processor_options){.exporter = LOOM_EXPORTER_FILE});
}

static int setup_masked(void **state)
{
    loom_span_stage *mask;
    assert_status(LOOM_OK, loom_mask_create(&mask, NULL));
    const int st = open_with(state, &(loom_span_processor_options){.stages = &mask, .stage_count = 1});
    loom_span_stage_unref(mask);
    return st;
}

static int teardown(void **state)
{
    fixture *f = *state;
    recorded_close(&f->spans);
    free(f);
    return 0;
}

/* parent: NULL for a trace of its own. */
static loom_trace_context span_of(fixture *f, uint64_t number, const loom_trace_context *parent)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    loom_span *span = loom_span_start(f->spans.tracer, "work", &(loom_span_options){.kind = LOOM_SPAN_INTERNAL, .parent = parent});
    const loom_trace_context ctx = *loom_span_context(span);
    loom_span_set_string(span, "number", text);
    loom_span_set_string(span, "password", "hunter2");
    loom_span_end(span);
    return ctx;
}

static loom_trace_context one_span(fixture *f, uint64_t number)
{
    return span_of(f, number, NULL);
}

static size_t exported(fixture *f)
{
    recorded_read(&f->spans);
    return json_array_size(f->spans.spans);
}

static void what_nobody_asked_for_is_handed_over_once(void **state)
{
    fixture *f = *state;
    const loom_trace_context asked = one_span(f, 1);
    (void)one_span(f, 2);
    recorder_keep_here(asked.trace_id, STR("asked"));
    assert_int_equal(1, exported(f));
    assert_int_equal(0, recorder_hand_over(&f->heir.base, NULL));
    assert_int_equal(1, f->heir.count);
    assert_int_equal(2, f->heir.number[0]);
    assert_int_equal(0, recorder_hand_over(&f->heir.base, NULL));
    assert_int_equal(1, f->heir.count);
}

static void it_is_exported_from_there_unless_this_process_finds_that_it_matters(void **state)
{
    fixture *f = *state;
    const loom_trace_context heard = one_span(f, 1), found = one_span(f, 2);
    assert_int_equal(0, recorder_hand_over(&f->heir.base, NULL));
    assert_int_equal(2, f->heir.count);
    recorder_keep_here(heard.trace_id, STR("error"));
    assert_int_equal(0, exported(f));
    loom_trace_keep(&found, "mine");
    assert_int_equal(1, exported(f));
    loom_trace_keep(&found, "mine");
    assert_int_equal(1, exported(f));
}

static void of_one_resource_that_goes_the_others_stay(void **state)
{
    fixture *f = *state;
    const span_resource other = {.encoded = {NULL, 0}};
    (void)one_span(f, 1);
    assert_int_equal(0, recorder_hand_over(&f->heir.base, &other));
    assert_int_equal(0, f->heir.count);
    assert_int_equal(0, recorder_hand_over(&f->heir.base, NULL));
    assert_int_equal(1, f->heir.count);
}

static void it_leaves_masked(void **state)
{
    fixture *f = *state;
    (void)one_span(f, 1);
    assert_int_equal(0, recorder_hand_over(&f->heir.base, NULL));
    assert_int_equal(1, f->heir.count);
    assert_true(f->heir.masked);
}

static void *spans_of_a_thread(void *user)
{
    for (uint64_t i = 1000; i < 1100; i++) {
        (void)one_span(user, i);
    }
    return NULL;
}

static void the_newest_chunks_go_first_and_the_rest_is_counted(void **state)
{
    enum { OLDER = 1000, FEW = 50 };
    fixture *f = *state;
    for (uint64_t i = 0; i < OLDER; i++) {
        (void)one_span(f, i);
    }
    f->heir.most = FEW;
    const uint64_t left = recorder_hand_over(&f->heir.base, NULL);
    assert_int_equal(FEW, f->heir.count);
    assert_in_range(left, OLDER - FEW, OLDER); /* of other tests there may be some, whose provider is gone */
    for (size_t i = 0; i < FEW; i++) {
        assert_in_range(f->heir.number[i], OLDER / 2, OLDER);
    }
}

static void threads_that_have_exited_and_those_that_live_are_looked_at(void **state)
{
    fixture *f = *state;
    pthread_t thread;
    assert_int_equal(0, pthread_create(&thread, NULL, spans_of_a_thread, f));
    assert_int_equal(0, pthread_join(thread, NULL));
    (void)one_span(f, 1);
    assert_int_equal(0, recorder_hand_over(&f->heir.base, NULL));
    assert_int_equal(101, f->heir.count);
    assert_int_equal(1, f->heir.number[0]);
}

static void a_trace_is_looked_for_by_people(void **state)
{
    fixture *f = *state;
    const loom_trace_context ctx = one_span(f, 1), other = {.trace_id = {9}};
    assert_int_equal(1, recorder_look_for(ctx.trace_id, NULL, NULL).spans);
    assert_int_equal(0, recorder_look_for(other.trace_id, NULL, NULL).spans);
    assert_false(recorder_look_for(ctx.trace_id, NULL, NULL).cut);
    for (uint64_t i = 0; i < 10000; i++) { /* of one trace: what is remembered of others stays */
        (void)span_of(f, i, &(loom_trace_context){{0xcc, 1}, {0xbb, 2}, 0});
    }
    const recorder_trace gone = recorder_look_for(ctx.trace_id, NULL, NULL);
    assert_int_equal(0, gone.spans);
    assert_true(gone.cut);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(what_nobody_asked_for_is_handed_over_once),
        T(it_is_exported_from_there_unless_this_process_finds_that_it_matters),
        T(of_one_resource_that_goes_the_others_stay),
        cmocka_unit_test_setup_teardown(it_leaves_masked, setup_masked, teardown),
        T(the_newest_chunks_go_first_and_the_rest_is_counted),
        T(threads_that_have_exited_and_those_that_live_are_looked_at),
        T(a_trace_is_looked_for_by_people),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
