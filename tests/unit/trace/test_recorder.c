/* SPDX-License-Identifier: Apache-2.0 */
/* The flight recorder: what is not sampled is there when somebody asks for it, whole, and says why. */
#include "tests/unit/trace/recorded.h"

#include <loom/recorder.h>
#include <pthread.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "envelope/encode.h"
#include "trace/messaging/message_span.h"
#include "trace/record/kinds.h"
#include "trace/record/recorder.h"

enum { SMALLEST = 512 * 1024 };

typedef struct fixture {
    recorded spans;
    loom_recorder_counts before;
    size_t seen; /* spans that were exported before */
} fixture;

static int open_with(void **state, const char *slow, loom_sampler_kind sampler)
{
    static fixture f;
    assert_status(LOOM_OK, loom_recorder_configure(SMALLEST, slow));
    recorded_open(&f.spans, &(loom_sampler){.kind = sampler});
    f.before = loom_recorder_counts_now();
    *state = &f;
    return 0;
}

static int set_up(void **state)
{
    return open_with(state, NULL, LOOM_SAMPLER_PARENTBASED_ALWAYS_OFF);
}

static int set_up_slow(void **state)
{
    return open_with(state, "slow.*>1ms", LOOM_SAMPLER_PARENTBASED_ALWAYS_OFF);
}

static int set_up_sampled(void **state)
{
    return open_with(state, NULL, LOOM_SAMPLER_PARENTBASED_ALWAYS_ON);
}

static int tear_down(void **state)
{
    fixture *f = *state;
    recorded_close(&f->spans);
    return 0;
}

static size_t exported(fixture *f)
{
    recorded_read(&f->spans);
    return json_array_size(f->spans.spans);
}

static loom_trace_context one_span(fixture *f, const char *name, const loom_trace_context *parent)
{
    loom_span *span = loom_span_start(f->spans.tracer, name, &(loom_span_options){.kind = LOOM_SPAN_INTERNAL, .parent = parent});
    const loom_trace_context ctx = *loom_span_context(span);
    loom_span_set_string(span, "what", name);
    loom_span_end(span);
    return ctx;
}

/* ---- spans ---- */

static void a_span_that_is_not_sampled_records_and_stays(void **state)
{
    fixture *f = *state;
    loom_span *span = loom_span_start(f->spans.tracer, "work", NULL);
    assert_true(loom_span_is_recording(span));
    assert_int_equal(0, loom_span_context(span)->trace_flags & LOOM_TRACE_FLAG_SAMPLED);
    loom_span_end(span);
    assert_int_equal(0, exported(f));
    assert_int_equal(f->before.recorded + 1, loom_recorder_counts_now().recorded);
}

static void a_trace_that_is_asked_for_comes_whole_and_says_why(void **state)
{
    fixture *f = *state;
    const loom_trace_context root = one_span(f, "root", NULL), child = one_span(f, "child", &root);
    (void)one_span(f, "other", NULL);
    loom_trace_keep(&root, "a customer asked");
    assert_int_equal(2, exported(f));
    json_t *span = recorded_span(&f->spans, "child");
    recorded_has_string(span, "what", "child");
    recorded_has_string(span, "loom.kept", "a customer asked");
    recorded_has_string(recorded_span(&f->spans, "root"), "loom.kept", "a customer asked");
    char id[33];
    for (unsigned i = 0; i < 8; i++) {
        (void)snprintf(id + 2 * i, 3, "%02x", root.span_id[i]);
    }
    assert_string_equal(id, recorded_string(span, "parentSpanId"));
    assert_memory_equal(root.trace_id, child.trace_id, sizeof root.trace_id);
}

static void an_error_keeps_what_came_before_it_and_after(void **state)
{
    fixture *f = *state;
    const loom_trace_context root = one_span(f, "before", NULL);
    loom_span *span = loom_span_start(f->spans.tracer, "fails", &(loom_span_options){.parent = &root});
    loom_span_record_error(span, "broken", "it does not work");
    loom_span_end(span);
    assert_int_equal(2, exported(f));
    recorded_has_string(recorded_span(&f->spans, "before"), "loom.kept", "error");
    (void)one_span(f, "after", &root);
    assert_int_equal(3, exported(f));
    recorded_has_string(recorded_span(&f->spans, "after"), "loom.kept", "error");
}

static void a_span_is_exported_once_however_often_it_is_asked_for(void **state)
{
    fixture *f = *state;
    const loom_trace_context root = one_span(f, "root", NULL);
    for (unsigned i = 0; i < 3; i++) {
        loom_trace_keep(&root, "again");
        assert_int_equal(1, exported(f));
    }
    assert_int_equal(f->before.kept + 1, loom_recorder_counts_now().kept);
}

static void what_comes_later_is_exported_once_wherever_it_lies(void **state)
{
    fixture *f = *state;
    enum { LATER = 5, OTHERS = 400 }; /* which are more than a chunk holds */
    const loom_trace_context root = one_span(f, "root", NULL);
    loom_trace_keep(&root, "asked");
    assert_int_equal(1, exported(f));
    for (unsigned i = 0; i < LATER; i++) {
        (void)one_span(f, "later", &root);
        for (unsigned k = 0; k < OTHERS; k++) {
            (void)one_span(f, "other", NULL);
        }
        assert_int_equal(2 + i, exported(f));
    }
    assert_int_equal(f->before.kept + 1 + LATER, loom_recorder_counts_now().kept);
}

static void what_is_sampled_goes_as_ever_and_is_not_recorded(void **state)
{
    fixture *f = *state;
    const loom_trace_context root = one_span(f, "root", NULL);
    loom_trace_keep(&root, "no need");
    assert_int_equal(1, exported(f));
    assert_int_equal(0, recorded_attr(recorded_span(&f->spans, "root"), "loom.kept", &(json_t *){NULL}));
    assert_int_equal(f->before.recorded, loom_recorder_counts_now().recorded);
    assert_int_equal(f->before.triggers, loom_recorder_counts_now().triggers);
}

static void a_slow_span_keeps_its_trace(void **state)
{
    fixture *f = *state;
    const uint64_t now = loom_time_unix_ns();
    loom_span *quick = loom_span_start(f->spans.tracer, "slow.not", &(loom_span_options){.start_unix_ns = now});
    loom_span_end_at(quick, now + 999999);
    assert_int_equal(0, exported(f));
    loom_span *slow = loom_span_start(f->spans.tracer, "slow.yes", &(loom_span_options){.start_unix_ns = now});
    loom_span_end_at(slow, now + 1000000);
    assert_int_equal(1, exported(f));
    recorded_has_string(recorded_span(&f->spans, "slow.yes"), "loom.kept", "slow");
}

static void the_oldest_are_overwritten(void **state)
{
    fixture *f = *state;
    const loom_trace_context first = one_span(f, "first", NULL);
    for (unsigned i = 0; i < SMALLEST / 64; i++) {
        (void)one_span(f, "many", NULL);
    }
    const loom_trace_context last = one_span(f, "last", NULL);
    const loom_recorder_counts now = loom_recorder_counts_now();
    assert_true(now.overwritten > f->before.overwritten);
    assert_int_equal(f->before.lost, now.lost);
    loom_trace_keep(&first, "late");
    loom_trace_keep(&last, "in time");
    assert_int_equal(1, exported(f));
    (void)recorded_span(&f->spans, "last");
}

/* Until what was recorded before is overwritten: by one trace, since of many one might take the place of what is remembered. */
static void fill_the_ring(fixture *f)
{
    const loom_trace_context many = {.trace_id = {1, 2, 3}, .span_id = {4}};
    const uint64_t before = loom_recorder_counts_now().overwritten;
    while (loom_recorder_counts_now().overwritten == before) {
        (void)one_span(f, "many", &many);
    }
}

static void it_knows_how_far_back_it_reaches(void **state)
{
    fixture *f = *state;
    const uint64_t begun = clock_monotonic_ns();
    (void)one_span(f, "first", NULL);
    const uint64_t since = clock_monotonic_ns() - begun;
    assert_true(recorder_reach_ns() > since); /* it is older than that */
    fill_the_ring(f);
    const uint64_t reach = recorder_reach_ns();
    assert_true(reach > 0 && reach < clock_monotonic_ns() - begun); /* the first is gone */
}

static void a_trace_of_which_a_part_was_overwritten_says_so(void **state)
{
    fixture *f = *state;
    enum { TRACES = 4 };
    loom_trace_context traces[TRACES];
    size_t said = 0;
    for (unsigned i = 0; i < TRACES; i++) {
        traces[i] = one_span(f, "begin", NULL);
    }
    fill_the_ring(f);
    for (unsigned i = 0; i < TRACES; i++) {
        (void)one_span(f, "end", &traces[i]);
        loom_trace_keep(&traces[i], "late");
    }
    assert_int_equal(TRACES, exported(f));
    for (size_t i = 0; i < TRACES; i++) {
        json_t *cut = NULL;
        said += recorded_attr(json_array_get(f->spans.spans, i), "loom.kept.cut", &cut) == 1 && json_is_true(json_object_get(cut, "boolValue"));
    }
    assert_int_equal(f->before.cut + said, loom_recorder_counts_now().cut);
    assert_in_range(said, 2, TRACES); /* one in seventy is forgotten, for one that has its place */
}

static void a_whole_trace_does_not_say_that_it_was_cut(void **state)
{
    fixture *f = *state;
    json_t *cut = NULL;
    fill_the_ring(f); /* others were */
    const loom_trace_context trace = one_span(f, "begin", NULL);
    (void)one_span(f, "end", &trace);
    loom_trace_keep(&trace, "in time");
    assert_int_equal(2, exported(f));
    assert_int_equal(0, recorded_attr(recorded_span(&f->spans, "end"), "loom.kept.cut", &cut));
    assert_int_equal(f->before.cut, loom_recorder_counts_now().cut);
}

static void what_was_exported_before_it_was_overwritten_is_no_gap(void **state)
{
    fixture *f = *state;
    json_t *cut = NULL;
    const loom_trace_context trace = one_span(f, "begin", NULL);
    loom_trace_keep(&trace, "in time");
    assert_int_equal(1, exported(f));
    fill_the_ring(f);
    (void)one_span(f, "end", &trace);
    assert_int_equal(2, exported(f));
    assert_int_equal(0, recorded_attr(recorded_span(&f->spans, "end"), "loom.kept.cut", &cut));
}

static void a_span_larger_than_a_chunk_is_lost_and_counted(void **state)
{
    fixture *f = *state;
    static char large[100000];
    memset(large, 'x', sizeof large - 1);
    loom_span *span = loom_span_start(f->spans.tracer, "large", NULL);
    const loom_trace_context ctx = *loom_span_context(span);
    loom_span_set_string(span, "text", large);
    loom_span_end(span);
    (void)one_span(f, "small", &ctx);
    loom_trace_keep(&ctx, "large");
    json_t *cut = NULL;
    assert_int_equal(1, exported(f));
    assert_int_equal(1, recorded_attr(recorded_span(&f->spans, "small"), "loom.kept.cut", &cut));
    assert_int_equal(f->before.lost + 1, loom_recorder_counts_now().lost);
}

typedef struct work {
    fixture *f;
    loom_trace_context root;
} work;

static void *on_a_thread(void *user)
{
    work *w = user;
    for (unsigned i = 0; i < 100; i++) {
        (void)one_span(w->f, "thread", &w->root);
        if (i == 50) {
            loom_trace_keep(&w->root, "from a thread");
        }
    }
    return NULL;
}

static void spans_of_all_threads_come_also_when_those_have_exited(void **state)
{
    fixture *f = *state;
    enum { THREADS = 12 }; /* more than there are chunks */
    pthread_t threads[THREADS];
    work works[THREADS];
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < THREADS / 2; i++) {
            works[i] = (work){f, one_span(f, "root", NULL)};
            assert_int_equal(0, pthread_create(&threads[i], NULL, on_a_thread, &works[i]));
        }
        for (unsigned i = 0; i < THREADS / 2; i++) {
            assert_int_equal(0, pthread_join(threads[i], NULL));
        }
        assert_int_equal((round + 1) * (THREADS / 2) * 101, exported(f));
    }
}

static void what_a_provider_left_goes_with_it(void **state)
{
    fixture *f = *state;
    loom_tracer_provider *other;
    assert_status(LOOM_OK, loom_tracer_provider_create(&other, &(loom_tracer_provider_options){
                                                                   .service_name = "other",
                                                                   .sampler = &(loom_sampler){.kind = LOOM_SAMPLER_PARENTBASED_ALWAYS_OFF},
                                                                   .processor = f->spans.processor}));
    const loom_trace_context root = one_span(f, "root", NULL);
    loom_span_end(loom_span_start(loom_tracer_get(other, "gone", NULL), "gone", &(loom_span_options){.parent = &root}));
    loom_tracer_provider_unref(other);
    loom_trace_keep(&root, "asked");
    assert_int_equal(1, exported(f));
}

static void triggers_beyond_what_is_allowed_are_counted(void **state)
{
    fixture *f = *state;
    enum { FAILURES = 3000 }; /* more than may be at once, and no more than the ring holds */
    for (unsigned i = 0; i < FAILURES; i++) {
        loom_span *span = loom_span_start(f->spans.tracer, "fails", NULL);
        loom_span_set_status(span, LOOM_SPAN_ERROR, "");
        loom_span_end(span);
    }
    const loom_recorder_counts now = loom_recorder_counts_now();
    assert_int_equal(f->before.triggers + FAILURES, now.triggers);
    assert_true(now.triggers_limited > f->before.triggers_limited);
    assert_true(exported(f) > 0);
}

static void one_failure(fixture *f, const loom_trace_context *parent)
{
    loom_span *span = loom_span_start(f->spans.tracer, "fails", &(loom_span_options){.parent = parent});
    loom_span_set_status(span, LOOM_SPAN_ERROR, "");
    loom_span_end(span);
}

typedef struct counting_carrier {
    recorder_carrier carrier;
    size_t told, most; /* at once; 0: all */
    bool away;
} counting_carrier;

static size_t count_told(recorder_carrier *self, const recorder_trigger_item *items, size_t count)
{
    counting_carrier *c = (counting_carrier *)self;
    const size_t told = c->away ? 0 : c->most > 0 && count > c->most ? c->most : count;
    (void)items;
    c->told += told; /* under the recorder's lock for carriers */
    return c->away ? RECORDER_AWAY : told;
}

static void a_trace_that_fails_again_and_again_is_told_once(void **state)
{
    fixture *f = *state;
    enum { TRACES = 50, TIMES = 20 }; /* fewer spans than an exporter's queue takes */
    counting_carrier others = {.carrier = {.carry = count_told, .where = "test"}};
    loom_trace_context traces[TRACES];
    recorder_add_carrier(&others.carrier);
    for (unsigned i = 0; i < TRACES; i++) {
        traces[i] = one_span(f, "begin", NULL);
    }
    for (unsigned i = 0; i < TRACES * TIMES; i++) {
        one_failure(f, &traces[i % TRACES]);
    }
    const size_t kept = exported(f);
    recorder_remove_carrier(&others.carrier);
    assert_int_equal(TRACES * (1 + TIMES), kept);
    assert_int_equal(TRACES, others.told);
    assert_int_equal(f->before.triggers_limited, loom_recorder_counts_now().triggers_limited);
}

static void a_storm_is_told_within_bounds_and_the_rest_is_counted(void **state)
{
    fixture *f = *state;
    enum { FAILURES = 20000, AT_ONCE = 2000, A_SECOND = 1000 };
    counting_carrier others = {.carrier = {.carry = count_told, .where = "test"}};
    recorder_add_carrier(&others.carrier);
    const uint64_t begun = loom_time_unix_ns();
    for (unsigned i = 0; i < FAILURES; i++) {
        one_failure(f, NULL);
    }
    const double seconds = (double)(loom_time_unix_ns() - begun) / 1e9;
    (void)exported(f);
    recorder_remove_carrier(&others.carrier);
    const uint64_t limited = loom_recorder_counts_now().triggers_limited - f->before.triggers_limited;
    recorder_recent list[RECORDER_RECENT];
    assert_int_equal(RECORDER_RECENT, recorder_list_kept_now(list)); /* which those who come are told of */
    assert_int_equal(FAILURES, others.told + limited);
    assert_true((double)others.told <= AT_ONCE + 1 + A_SECOND * (seconds + 1));
}

static void keep_traces(fixture *f, unsigned count)
{
    f->seen = exported(f);
    for (unsigned i = 0; i < count; i++) {
        const loom_trace_context ctx = one_span(f, "work", NULL);
        loom_trace_keep(&ctx, NULL);
    }
    assert_int_equal(count, exported(f) - f->seen);
}

static void what_nobody_carries_to_a_bus_is_counted(void **state)
{
    fixture *f = *state;
    counting_carrier full = {.carrier = {.carry = count_told, .where = "one"}, .most = 1},
                     next = {.carrier = {.carry = count_told, .where = "one"}, .away = true},
                     other = {.carrier = {.carry = count_told, .where = "other"}};
    const uint64_t before = loom_recorder_counts_now().triggers_untold;
    recorder_add_carrier(&next.carrier);
    recorder_add_carrier(&full.carrier); /* which is asked first */
    recorder_add_carrier(&other.carrier);
    keep_traces(f, 10);
    assert_int_equal(10, other.told);
    assert_true(full.told >= 1 && full.told <= 10); /* of each lot the first */
    assert_int_equal(10 - full.told, loom_recorder_counts_now().triggers_untold - before);
    next.away = false;
    const size_t by_first = full.told;
    keep_traces(f, 10);
    assert_int_equal(10, full.told - by_first + next.told);
    assert_int_equal(10 - by_first, loom_recorder_counts_now().triggers_untold - before);
    recorder_remove_carrier(&full.carrier);
    recorder_remove_carrier(&next.carrier);
    recorder_remove_carrier(&other.carrier);
}

static void nobody_there_is_told_when_somebody_comes(void **state)
{
    fixture *f = *state;
    counting_carrier away = {.carrier = {.carry = count_told, .where = "bus"}, .away = true};
    recorder_recent kept[RECORDER_RECENT];
    const uint64_t before = loom_recorder_counts_now().triggers_untold;
    recorder_add_carrier(&away.carrier);
    keep_traces(f, 3);
    recorder_remove_carrier(&away.carrier);
    assert_int_equal(before, loom_recorder_counts_now().triggers_untold);
    assert_true(recorder_list_kept_now(kept) >= 3);
    assert_true(kept[0].found_here);
}

static size_t times_in(const recorder_recent *list, size_t count, const loom_trace_context *ctx)
{
    size_t times = 0;
    for (size_t i = 0; i < count; i++) {
        times += memcmp(list[i].trace_id, ctx->trace_id, sizeof ctx->trace_id) == 0;
    }
    return times;
}

static void a_trace_that_fails_for_long_hides_no_other_from_those_who_come(void **state)
{
    fixture *f = *state;
    recorder_recent list[RECORDER_RECENT];
    const loom_trace_context other = one_span(f, "other", NULL), failing = one_span(f, "failing", NULL), heard = one_span(f, "heard", NULL);
    loom_trace_keep(&other, NULL);
    for (unsigned i = 0; i < RECORDER_RECENT; i++) {
        one_failure(f, &failing);
        recorder_keep_here(heard.trace_id, STR("error"));
        recorder_drain();
    }
    size_t count = recorder_list_kept_now(list);
    assert_int_equal(1, times_in(list, count, &other));
    assert_int_equal(1, times_in(list, count, &failing));
    assert_int_equal(1, times_in(list, count, &heard));
    count = recorder_list_recent(list);
    assert_int_equal(1, times_in(list, count, &failing));
}

static void the_list_of_what_is_held_has_the_newest_first(void **state)
{
    fixture *f = *state;
    recorder_held held[3];
    const loom_trace_context first = one_span(f, "first", NULL);
    (void)one_span(f, "inside", &first);
    (void)one_span(f, "second", NULL);
    const loom_trace_context last = one_span(f, "last", NULL);
    loom_trace_keep(&last, "asked");
    assert_int_equal(1, exported(f));
    assert_int_equal(3, recorder_list_held(held, 3));
    assert_string_equal("last", held[0].name);
    assert_true(held[0].kept);
    assert_string_equal("second", held[1].name);
    assert_string_equal("first", held[2].name);
    assert_int_equal(2, held[2].spans);
    assert_false(held[2].kept);
    assert_memory_equal(first.trace_id, held[2].trace_id, sizeof first.trace_id);
    assert_true(held[2].start_unix_ns <= held[1].start_unix_ns && held[2].start_unix_ns <= held[2].end_unix_ns);
    assert_int_equal(2, recorder_list_held(held, 2));
}

/* ---- hops of messages ---- */

typedef struct message {
    uint8_t wire[512];
    envelope_view view;
} message;

static void make_message_of(message *m, const loom_trace_context *context, uint8_t number, const char *topic, const char *thread,
                            const char *correlation)
{
    const uint8_t id[LOOM_UUID_SIZE] = {number, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    loom_envelope_fields fields = {.topic = str_of(topic), .sender = STR("sensor"), .payload = {id, 5},
                                   .thread_id = str_of(thread), .correlation_id = str_of(correlation)};
    uint8_t given[LOOM_UUID_SIZE];
    size_t size;
    const char *reason;
    memcpy(fields.id, id, sizeof id);
    loom_envelope_inject(&fields, context);
    assert_status(LOOM_OK, envelope_encode_check(&fields, &size));
    assert_in_range(size, 1, sizeof m->wire);
    size = envelope_encode(m->wire, &fields, given);
    assert_status(LOOM_OK, envelope_scan(&m->view, (loom_bytes){m->wire, size}, NULL, &reason));
}

static void make_message(message *m, const loom_trace_context *context, const char *thread, const char *correlation)
{
    make_message_of(m, context, 1, "readings.raw", thread, correlation);
}

/* As broker and bridge do it. group: the receiver's; NULL for none. */
static void pass_on(fixture *f, message *m, const char *group)
{
    const message_counts counts = {3, 2, 1};
    message_pass publish, bus, forward;
    message_pass_begin(&publish, f->spans.tracer, HOP_BRIDGE_PUBLISH, &m->view, STR("bridge"), true, m->wire);
    message_pass_begin(&bus, f->spans.tracer, HOP_EVENTBUS_PUBLISH, &m->view, STR("sensor"), false, m->wire);
    uint8_t copy[sizeof m->wire];
    memcpy(copy, m->wire, sizeof copy);
    message_pass_begin(&forward, f->spans.tracer, HOP_BRIDGE_FORWARD, &m->view, STR("output"), false, copy);
    message_pass_set_group(&forward, str_of(group));
    message_pass_end(&forward, NULL);
    message_pass_end(&bus, &counts);
    message_pass_end(&publish, NULL);
}

/* What differs from run to run is made the same: ids and times; and what only a kept span has is taken away. */
static char *comparable(json_t *span)
{
    json_t *copy = json_deep_copy(span), *attributes = json_object_get(copy, "attributes"), *attribute;
    size_t i;
    json_array_foreach(attributes, i, attribute) {
        if (strcmp(recorded_string(attribute, "key"), "loom.kept") == 0) {
            json_array_remove(attributes, i);
            break;
        }
    }
    static const char *const differ[] = {"traceId", "spanId", "parentSpanId", "startTimeUnixNano", "endTimeUnixNano", "flags"};
    for (i = 0; i < sizeof differ / sizeof *differ; i++) {
        if (json_object_get(copy, differ[i]) != NULL) {
            json_object_set_new(copy, differ[i], json_true());
        }
    }
    char *text = json_dumps(copy, JSON_SORT_KEYS);
    json_decref(copy);
    return text;
}

/* Of the three from there on, which are found in no order. */
static json_t *span_among(fixture *f, size_t first, const char *name)
{
    for (size_t i = first; i < first + 3; i++) {
        json_t *span = json_array_get(f->spans.spans, i);
        if (strcmp(recorded_string(span, "name"), name) == 0) {
            return span;
        }
    }
    fail_msg("no span is called %s", name);
    return NULL;
}

static void a_kept_hop_is_as_a_sampled_one(void **state)
{
    fixture *f = *state;
    static const char *const names[] = {"bridge.publish", "eventbus.publish", "bridge.forward"};
    static const char *const texts[][2] = {{NULL, NULL}, {"thread-1", NULL}, {NULL, "order-7"}, {"thread-1", "order-7"},
                                           {NULL, NULL}, {"thread-1", "order-7"}};
    static const char *const groups[] = {NULL, NULL, NULL, NULL, "workers", "workers"};
    for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) {
        char *kept[3], *sampled[3];
        message m;
        const loom_trace_context not_sampled = {{0xaa, (uint8_t)t}, {0xbb, 2}, LOOM_TRACE_FLAG_RANDOM};
        make_message(&m, &not_sampled, texts[t][0], texts[t][1]);
        pass_on(f, &m, groups[t]);
        loom_trace_keep(&not_sampled, "to compare");
        const size_t before = 6 * t;
        assert_int_equal(before + 3, exported(f));
        for (size_t i = 0; i < 3; i++) {
            kept[i] = comparable(span_among(f, before, names[2 - i]));
        }
        const loom_trace_context is_sampled = {{0xcc, (uint8_t)t}, {0xbb, 2}, LOOM_TRACE_FLAG_SAMPLED};
        make_message(&m, &is_sampled, texts[t][0], texts[t][1]);
        pass_on(f, &m, groups[t]);
        assert_int_equal(before + 6, exported(f));
        for (size_t i = 0; i < 3; i++) {
            sampled[i] = comparable(json_array_get(f->spans.spans, before + 3 + i));
        }
        for (size_t i = 0; i < 3; i++) {
            assert_non_null(strstr(kept[i], names[2 - i]));
            assert_string_equal(sampled[i], kept[i]);
            free(kept[i]);
            free(sampled[i]);
        }
    }
}

/* ---- kinds of traces ---- */

static trace_kind kind_of(bool capability, const char *filter, uint32_t per_second)
{
    trace_kind kind = {.capability = capability, .reason = "looked into", .per_second = per_second, .until_ns = UINT64_MAX};
    (void)snprintf(kind.filter, sizeof kind.filter, "%s", filter);
    return kind;
}

static void pass_message_of(fixture *f, uint8_t number, const char *topic)
{
    message m;
    const loom_trace_context context = {.trace_id = {7, number}, .span_id = {9}, .trace_flags = 0};
    make_message_of(&m, &context, number, topic, "t", "c");
    pass_on(f, &m, NULL);
}

static void messages_of_a_kind_are_kept_from_then_on(void **state)
{
    fixture *f = *state;
    uint32_t number;
    pass_message_of(f, 1, "orders.new");
    const trace_kind kind = kind_of(false, "orders.*", 10);
    assert_status(LOOM_OK, recorder_add_kind(&kind, &number));
    pass_message_of(f, 2, "orders.new");
    pass_message_of(f, 3, "readings.raw");
    assert_int_equal(3, exported(f));
    recorded_has_string(recorded_span(&f->spans, "bridge.publish"), "topic", "orders.new");
    recorded_has_string(recorded_span(&f->spans, "bridge.publish"), "loom.kept", "looked into");
    assert_true(recorder_remove_kind(number));
    assert_false(recorder_remove_kind(number));
    pass_message_of(f, 4, "orders.new");
    assert_int_equal(3, exported(f));
}

static void a_kind_ends_with_its_time(void **state)
{
    fixture *f = *state;
    uint32_t number;
    trace_kind kind = kind_of(false, ">", 10);
    kind.until_ns = 1;
    assert_status(LOOM_OK, recorder_add_kind(&kind, &number));
    pass_message_of(f, 1, "orders.new");
    assert_int_equal(0, exported(f));
    trace_kind listed[KINDS_MAX];
    assert_int_equal(0, recorder_list_kinds(listed));
}

static void spans_of_a_kind_are_kept_as_often_as_it_allows(void **state)
{
    fixture *f = *state;
    enum { CALLS = 50, ALLOWED = 5 };
    uint32_t number;
    const trace_kind kind = kind_of(true, "words.count", ALLOWED);
    assert_status(LOOM_OK, recorder_add_kind(&kind, &number));
    for (unsigned i = 0; i < 2 * CALLS; i++) {
        const loom_trace_context caller = {.trace_id = {8, (uint8_t)i}, .span_id = {1}};
        loom_span *span = loom_span_start(f->spans.tracer, "action.dispatch", &(loom_span_options){.parent = &caller});
        loom_span_set_string(span, "capability", i % 2 == 0 ? "words.count" : "words.sort");
        loom_span_end(span);
    }
    trace_kind listed[KINDS_MAX];
    assert_int_equal(1, recorder_list_kinds(listed));
    assert_in_range(listed[0].kept + listed[0].limited, CALLS - 2, CALLS); /* one that is taken for a kept one costs its kind nothing */
    assert_in_range(listed[0].kept, ALLOWED, CALLS / 2); /* one more each fifth of a second */
    assert_int_equal(listed[0].kept, exported(f));
    for (size_t i = 0; i < listed[0].kept; i++) {
        recorded_has_string(json_array_get(f->spans.spans, i), "capability", "words.count");
    }
    assert_true(recorder_remove_kind(number));
}

static void kinds_are_few_and_their_settings_are_checked(void **state)
{
    (void)state;
    uint32_t number, first = 0;
    trace_kind kind;
    for (unsigned i = 0; i < KINDS_MAX; i++) {
        char filter[16];
        (void)snprintf(filter, sizeof filter, "kind.%u", i);
        kind = kind_of(false, filter, 1);
        assert_status(LOOM_OK, recorder_add_kind(&kind, &number));
        first = i == 0 ? number : first;
    }
    kind = kind_of(false, "one.more", 1);
    assert_status(LOOM_EBUSY, recorder_add_kind(&kind, &number));
    kind = kind_of(false, "kind.0", 2); /* is renewed */
    assert_status(LOOM_OK, recorder_add_kind(&kind, &number));
    assert_int_equal(first, number);
    kind = kind_of(false, "a..b", 1);
    assert_status(LOOM_EINVAL, recorder_add_kind(&kind, &number));
    kind = kind_of(false, "kind.0", KINDS_PER_SECOND_MAX + 1);
    assert_status(LOOM_EINVAL, recorder_add_kind(&kind, &number));
}

static void hops_are_each_others_parents_and_their_times_nest(void **state)
{
    fixture *f = *state;
    message m;
    const loom_trace_context root = {{0xdd, 1}, {0xbb, 2}, 0};
    make_message(&m, &root, NULL, NULL);
    pass_on(f, &m, NULL);
    loom_trace_keep(&root, "asked");
    assert_int_equal(3, exported(f));
    json_t *publish = recorded_span(&f->spans, "bridge.publish"), *bus = recorded_span(&f->spans, "eventbus.publish"),
           *forward = recorded_span(&f->spans, "bridge.forward");
    assert_string_equal("bb02000000000000", recorded_string(publish, "parentSpanId"));
    assert_string_equal(recorded_string(publish, "spanId"), recorded_string(bus, "parentSpanId"));
    assert_string_equal(recorded_string(bus, "spanId"), recorded_string(forward, "parentSpanId"));
    json_t *const order[] = {publish, bus, forward};
    for (size_t i = 0; i < 3; i++) {
        assert_true(strcmp(recorded_string(order[i], "startTimeUnixNano"), recorded_string(order[i], "endTimeUnixNano")) <= 0);
        if (i > 0) {
            assert_true(strcmp(recorded_string(order[i - 1], "startTimeUnixNano"), recorded_string(order[i], "startTimeUnixNano")) <= 0);
            assert_true(strcmp(recorded_string(order[i], "endTimeUnixNano"), recorded_string(order[i - 1], "endTimeUnixNano")) <= 0);
        }
    }
    const uint64_t start = strtoull(recorded_string(publish, "startTimeUnixNano"), NULL, 10);
    assert_true(loom_time_unix_ns() - start < UINT64_C(60000000000));
}

static void each_receiver_of_a_message_has_its_hop(void **state)
{
    fixture *f = *state;
    enum { RECEIVERS = 5 };
    message m;
    const loom_trace_context root = {{0xab, 1}, {0xbb, 2}, LOOM_TRACE_FLAG_RANDOM};
    make_message(&m, &root, "thread-1", NULL);
    message_pass bus;
    uint8_t parent[LOOM_SPAN_ID_SIZE];
    message_pass_begin(&bus, f->spans.tracer, HOP_EVENTBUS_PUBLISH, &m.view, STR("sensor"), true, m.wire);
    memcpy(parent, bus.ctx.span_id, sizeof parent);
    for (int i = 0; i < RECEIVERS; i++) {
        message_pass forward;
        const char agent[] = {'a', (char)('0' + i)};
        message_pass_begin(&forward, f->spans.tracer, HOP_BRIDGE_FORWARD, &m.view, (loom_str){agent, sizeof agent}, false, NULL);
        assert_memory_equal(parent, forward.parent_id, sizeof parent);
        message_pass_end(&forward, NULL);
    }
    message_pass_end(&bus, &(message_counts){70000, RECEIVERS, 3});
    loom_trace_keep(&root, "asked");
    assert_int_equal(RECEIVERS + 1, exported(f));
    json_t *publish = recorded_span(&f->spans, "eventbus.publish");
    recorded_has_int(publish, "loom.matched", "70000");
    recorded_has_int(publish, "loom.delivered", "5");
    recorded_has_int(publish, "loom.dropped", "3");
    assert_string_equal("bb02000000000000", recorded_string(publish, "parentSpanId"));
    unsigned seen = 0;
    for (size_t i = 0; i < RECEIVERS + 1; i++) {
        json_t *span = json_array_get(f->spans.spans, i), *agent;
        if (span != publish) {
            assert_string_equal(recorded_string(publish, "spanId"), recorded_string(span, "parentSpanId"));
            assert_int_equal(1, recorded_attr(span, "agent_id", &agent));
            seen |= 1u << (recorded_string(agent, "stringValue")[1] - '0');
            recorded_has_string(span, "topic", "readings.raw");
            recorded_has_string(span, "thread_id", "thread-1");
        }
    }
    assert_int_equal((1u << RECEIVERS) - 1, seen);
}

/* As many as fill the ring some times over, in batches, all at the same place of a read buffer, with topics in turn. */
static void what_is_kept_of_many_is_of_the_message_asked_for(void **state)
{
    fixture *f = *state;
    enum { MESSAGES = 30000, IN_BATCH = 7 };
    message m;
    message_batch batch;
    loom_trace_context last = {{0}, {1}, 0};
    for (uint32_t i = 0; i < MESSAGES; i++) {
        if (i % IN_BATCH == 0) {
            message_batch_begin(&batch, f->spans.tracer);
        }
        last = (loom_trace_context){{0x12, (uint8_t)i, (uint8_t)(i >> 8)}, {1, (uint8_t)i}, LOOM_TRACE_FLAG_RANDOM};
        make_message_of(&m, &last, (uint8_t)i, i % 2 == 0 ? "readings.raw" : "readings.mean", NULL, NULL);
        pass_on(f, &m, i % 3 == 0 ? "workers" : NULL);
        if (i % IN_BATCH == IN_BATCH - 1 || i == MESSAGES - 1) {
            message_batch_end(&batch);
        }
    }
    loom_trace_keep(&last, "asked");
    assert_int_equal(3, exported(f));
    for (size_t i = 0; i < 3; i++) {
        json_t *span = json_array_get(f->spans.spans, i), *id;
        recorded_has_string(span, "topic", "readings.mean");
        assert_int_equal(1, recorded_attr(span, "event_id", &id));
        char expected[3];
        (void)snprintf(expected, sizeof expected, "%02x", (uint8_t)(MESSAGES - 1));
        assert_memory_equal(expected, recorded_string(id, "stringValue"), 2);
    }
    const loom_recorder_counts now = loom_recorder_counts_now();
    assert_int_equal(3 * MESSAGES, now.recorded - f->before.recorded);
    assert_int_equal(0, now.lost - f->before.lost);
}

/* As if the system's clock had been set between the two ends of a hop. */
static uint64_t duration_when_the_clock_is_set(fixture *f, int64_t by_ns)
{
    message m;
    message_pass pass;
    const loom_trace_context root = {{0xdd, (uint8_t)(by_ns < 0 ? 3 : 4)}, {0xbb, 2}, 0};
    make_message(&m, &root, NULL, NULL);
    message_pass_begin(&pass, f->spans.tracer, HOP_BRIDGE_PUBLISH, &m.view, STR("bridge"), true, m.wire);
    pass.start_ns -= (uint64_t)by_ns;
    message_pass_end(&pass, NULL);
    loom_trace_keep(&root, "asked");
    assert_int_equal(1, exported(f) - f->seen++);
    json_t *span = json_array_get(f->spans.spans, json_array_size(f->spans.spans) - 1);
    return strtoull(recorded_string(span, "endTimeUnixNano"), NULL, 10) - strtoull(recorded_string(span, "startTimeUnixNano"), NULL, 10);
}

static void a_hop_across_a_clock_that_is_set_is_kept_and_never_ends_before_it_began(void **state)
{
    fixture *f = *state;
    f->seen = 0;
    const int64_t hour_ns = INT64_C(3600000000000);
    assert_int_equal(1, duration_when_the_clock_is_set(f, -hour_ns));
    assert_true(duration_when_the_clock_is_set(f, hour_ns) >= (uint64_t)hour_ns);
}

static void a_hop_that_has_something_to_say_becomes_a_span(void **state)
{
    fixture *f = *state;
    message m;
    message_pass pass;
    const loom_trace_context root = {{0xee, 1}, {0xbb, 2}, 0};
    make_message(&m, &root, NULL, NULL);
    message_pass_begin(&pass, f->spans.tracer, HOP_BRIDGE_PUBLISH, &m.view, STR("bridge"), true, m.wire);
    const loom_trace_context ctx = pass.ctx;
    loom_span_record_error(message_pass_span(&pass), "refused", "the sender is not the agent of this session");
    assert_memory_equal(&ctx, loom_span_context(pass.span), sizeof ctx);
    message_pass_end(&pass, NULL);
    assert_int_equal(1, exported(f));
    recorded_has_string(recorded_span(&f->spans, "bridge.publish"), "loom.kept", "error");
    recorded_has_string(recorded_span(&f->spans, "bridge.publish"), "topic", "readings.raw");
}

/* It is recorded as what differs all the same, whatever else there is to say of it. */
static void a_handler_that_fails_keeps_its_trace_and_says_why(void **state)
{
    fixture *f = *state;
    const loom_trace_context root = {{0xef, 1}, {0xbb, 2}, LOOM_TRACE_FLAG_RANDOM};
    const loom_link link = {.context = {{0xef, 1}, {0xcc, 3}, 0}, .context_is_remote = true};
    const uint8_t id[LOOM_UUID_SIZE] = {1};
    enum { HOPS = 4 };
    for (int i = 0; i < HOPS; i++) {
        const message_facts facts = {.agent = STR("output"), .topic = STR("readings.mean"), .id = id, .payload_len = 9,
                                     .thread_id = str_of(i % 2 == 0 ? "thread-1" : NULL), .failure = i < 3 ? LOOM_EIO : LOOM_OK};
        message_pass pass;
        message_pass_begin_record(&pass, f->spans.tracer, HOP_AGENT_ON_EVENT, &root, true, &root, 0);
        message_pass_end_record(&pass, &facts, i > 0 ? &link : NULL);
        assert_null(pass.span);
    }
    assert_int_equal(HOPS, exported(f));
    size_t failed = 0;
    for (size_t i = 0; i < HOPS; i++) {
        json_t *span = json_array_get(f->spans.spans, i), *status = json_object_get(span, "status"), *thread;
        recorded_has_string(span, "loom.kept", "error");
        recorded_has_string(span, "topic", "readings.mean");
        assert_int_equal(1, recorded_attr(span, "thread_id", &thread));
        const bool fails = json_integer_value(json_object_get(status, "code")) == LOOM_SPAN_ERROR;
        assert_int_equal(fails ? 1 : 0, json_array_size(json_object_get(span, "events")));
        if (fails) {
            assert_string_equal(loom_status_text(LOOM_EIO), json_string_value(json_object_get(status, "message")));
            recorded_has_string(span, "error.type", loom_status_name(LOOM_EIO));
        }
        failed += fails;
    }
    assert_int_equal(HOPS - 1, failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_span_that_is_not_sampled_records_and_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_trace_that_is_asked_for_comes_whole_and_says_why, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_error_keeps_what_came_before_it_and_after, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_span_is_exported_once_however_often_it_is_asked_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_comes_later_is_exported_once_wherever_it_lies, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_sampled_goes_as_ever_and_is_not_recorded, set_up_sampled, tear_down),
        cmocka_unit_test_setup_teardown(a_slow_span_keeps_its_trace, set_up_slow, tear_down),
        cmocka_unit_test_setup_teardown(the_oldest_are_overwritten, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_knows_how_far_back_it_reaches, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_trace_of_which_a_part_was_overwritten_says_so, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_whole_trace_does_not_say_that_it_was_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_exported_before_it_was_overwritten_is_no_gap, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_span_larger_than_a_chunk_is_lost_and_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(spans_of_all_threads_come_also_when_those_have_exited, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_provider_left_goes_with_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_trace_that_fails_again_and_again_is_told_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_list_of_what_is_held_has_the_newest_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_hop_across_a_clock_that_is_set_is_kept_and_never_ends_before_it_began, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_kept_hop_is_as_a_sampled_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(messages_of_a_kind_are_kept_from_then_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_kind_ends_with_its_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(spans_of_a_kind_are_kept_as_often_as_it_allows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(kinds_are_few_and_their_settings_are_checked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(hops_are_each_others_parents_and_their_times_nest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_receiver_of_a_message_has_its_hop, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_kept_of_many_is_of_the_message_asked_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_hop_that_has_something_to_say_becomes_a_span, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_handler_that_fails_keeps_its_trace_and_says_why, set_up, tear_down),
        /* the last ones: they leave nothing to trigger with */
        cmocka_unit_test_setup_teardown(what_nobody_carries_to_a_bus_is_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nobody_there_is_told_when_somebody_comes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_trace_that_fails_for_long_hides_no_other_from_those_who_come, set_up, tear_down),
        cmocka_unit_test_setup_teardown(triggers_beyond_what_is_allowed_are_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_storm_is_told_within_bounds_and_the_rest_is_counted, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
