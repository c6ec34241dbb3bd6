/* SPDX-License-Identifier: Apache-2.0 */
/* Traces that matter, on their way from an agent's flight recorder to its bridge. */
#include <loom/loom.h>
#include <loom/recorder.h>

#include <pthread.h>
#include <stdlib.h>

#include "tests/unit/sdk/fake_bridge.h"
#include "trace/record/recorder.h"

typedef struct fixture {
    fake_bridge bridge;
    loom_span_processor *processor;
    loom_tracer_provider *provider;
    loom_agent *agent;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    const loom_sampler off = {.kind = LOOM_SAMPLER_PARENTBASED_ALWAYS_OFF};
    assert_status(LOOM_OK, loom_recorder_configure(LOOM_RECORDER_BYTES_MIN, NULL));
    fake_bridge_open(&f->bridge);
    f->bridge.recorder = 1;
    assert_status(LOOM_OK, loom_span_processor_create(&f->processor, &(loom_span_processor_options){
        .exporter = LOOM_EXPORTER_LINK, .schedule_delay_ms = 60000}));
    assert_status(LOOM_OK, loom_tracer_provider_create(&f->provider, &(loom_tracer_provider_options){
        .service_name = "orders", .sampler = &off, .processor = f->processor}));
    assert_status(LOOM_OK, loom_agent_open(&f->agent, &(loom_agent_options){
        .id = "a", .url = f->bridge.url, .telemetry = f->provider, .poll_mode = true}));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    fake_bridge_drop(&f->bridge);
    loom_agent_close_within(f->agent, 0);
    loom_tracer_provider_unref(f->provider);
    (void)loom_span_processor_shutdown(f->processor, 0);
    loom_span_processor_unref(f->processor);
    fake_bridge_close(&f->bridge);
    free(f);
    return 0;
}

/* Returns how many traces it was told of before it was asked for the mailbox. */
static void *serve_session(void *user)
{
    fake_bridge *b = user;
    uintptr_t told = 0;
    (void)fake_bridge_session(b, 0);
    frame got = fake_bridge_next(b);
    for (; got.type != FRAME_SUBSCRIBE; got = fake_bridge_next(b)) {
        told += got.type == FRAME_KEEP;
    }
    assert_status(LOOM_OK, frame_put_outcome(&b->out, FRAME_ACK, &(frame_outcome){.request = got.u.subscribe.request}));
    fake_bridge_flush(b);
    return (void *)told;
}

/* The bridge answers in a thread, as this one polls. */
static uint64_t connect(fixture *f)
{
    pthread_t server;
    void *told;
    assert_int_equal(0, pthread_create(&server, NULL, serve_session, &f->bridge));
    assert_status(LOOM_OK, loom_agent_wait_connected(f->agent, FAKE_DEADLINE_MS));
    pthread_join(server, &told);
    return (uintptr_t)told;
}

static void keep_traces(fixture *f, unsigned count, const char *reason)
{
    for (unsigned i = 0; i < count; i++) {
        loom_span *span = loom_span_start(loom_tracer_get(f->provider, "tests", NULL), "work", NULL);
        loom_trace_keep(loom_span_context(span), reason);
        loom_span_end(span);
    }
    recorder_drain();
}

/* Until it says goodbye. */
static void *count_told(void *user)
{
    fixture *f = user;
    uintptr_t told = 0;
    for (frame got = fake_bridge_next(&f->bridge); got.type != FRAME_BYE; got = fake_bridge_next(&f->bridge)) {
        told += got.type == FRAME_KEEP;
    }
    fake_bridge_drop(&f->bridge);
    return (void *)told;
}

static uint64_t told_until_the_end(fixture *f)
{
    pthread_t server;
    void *told;
    assert_int_equal(0, pthread_create(&server, NULL, count_told, f));
    (void)loom_agent_close_within(f->agent, FAKE_DEADLINE_MS);
    pthread_join(server, &told);
    f->agent = NULL;
    return (uintptr_t)told;
}

/* The reason of the first trace that it is told of. */
static void *hear_reason(void *user)
{
    fixture *f = user;
    frame got = fake_bridge_next(&f->bridge);
    while (got.type != FRAME_KEEP) {
        got = fake_bridge_next(&f->bridge);
    }
    return strndup(got.u.keep.reason.data, got.u.keep.reason.len);
}

static void a_reason_that_is_cut_or_no_text_is_text_when_it_leaves(void **state)
{
    static const char *const reasons[][2] = {{"ten and twelve letters\xc3\xa4", "ten and twelve letters"},
                                             {"\xff\xc3", "??"},
                                             {"a reason of many letters", "a reason of many letter"},
                                             {"", "asked"}};
    fixture *f = *state;
    (void)connect(f);
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        pthread_t server;
        void *heard;
        keep_traces(f, 1, reasons[i][0]);
        assert_int_equal(0, pthread_create(&server, NULL, hear_reason, f));
        assert_status(LOOM_OK, loom_agent_poll(f->agent, 0));
        pthread_join(server, &heard);
        assert_string_equal(reasons[i][1], heard);
        free(heard);
    }
}

static uint64_t untold(void)
{
    return loom_recorder_counts_now().triggers_untold;
}

static void what_a_full_queue_has_no_room_for_is_counted(void **state)
{
    fixture *f = *state;
    enum { TRACES = 1900 }; /* fewer than may be found at once, and more than 64 KiB hold */
    const uint64_t before = untold();
    (void)connect(f);
    keep_traces(f, TRACES, "a reason of many letters"); /* while nobody polls nothing is sent */
    const uint64_t lost = untold() - before;
    assert_in_range(lost, 1, TRACES - 1);
    assert_int_equal(TRACES - lost, told_until_the_end(f));
}

static void what_is_found_before_there_is_a_session_is_told_in_it(void **state)
{
    fixture *f = *state;
    const uint64_t before = untold();
    keep_traces(f, 3, NULL);
    assert_int_equal(3, connect(f));
    assert_int_equal(0, told_until_the_end(f));
    assert_int_equal(before, untold());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_found_before_there_is_a_session_is_told_in_it, setup, teardown),
        cmocka_unit_test_setup_teardown(a_reason_that_is_cut_or_no_text_is_text_when_it_leaves, setup, teardown),
        cmocka_unit_test_setup_teardown(what_a_full_queue_has_no_room_for_is_counted, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
