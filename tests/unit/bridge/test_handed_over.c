/* SPDX-License-Identifier: Apache-2.0 */
/* What an agent that leaves has recorded: it stays in the bridge's flight recorder until somebody asks for its trace. */
#include <loom/recorder.h>
#include <stdlib.h>

#include "base/str.h"
#include "bridge/spans/intake.h"
#include "tests/unit/bridge/fake_bus.h"
#include "tests/unit/bridge/spans_request.h"
#include "tests/unit/trace/recorded.h"
#include "trace/record/recorder.h"

/* The recorder is the process's: each test has its trace. */
enum { ASKED_FOR = 1, KEPT_ALREADY, LISTED, WRONG, LARGE, OF_ANOTHER };

static const uint8_t *trace_id(uint8_t trace)
{
    static uint8_t id[LOOM_TRACE_ID_SIZE] = {1, 2, 3};
    id[LOOM_TRACE_ID_SIZE - 1] = trace;
    return id;
}

typedef struct fixture {
    loop_clock clock;
    recorded spans;
    span_intake *intake;
    fake_bus bus;
    bridge *bridge;
    fake_agent a;
} fixture;

static int open_with(void **state, size_t recorder_bytes)
{
    fixture *f = calloc(1, sizeof *f);
    f->clock.now_ms = 10000;
    assert_status(LOOM_OK, loom_recorder_configure(recorder_bytes, NULL));
    recorded_open(&f->spans, &(loom_sampler){.kind = LOOM_SAMPLER_PARENTBASED_ALWAYS_OFF});
    assert_status(LOOM_OK, span_intake_create(&f->intake, f->spans.processor, &f->clock, 1000));
    fake_bus_init(&f->bus);
    assert_status(LOOM_OK, bridge_create(&f->bridge, &f->clock, &(bridge_options){
        .id = "bridge-1", .software = "test", .bus = &f->bus.base, .spans = f->intake}));
    *state = f;
    return 0;
}

static int setup(void **state)
{
    return open_with(state, 2 * 1024 * 1024);
}

static int setup_off(void **state)
{
    return open_with(state, 0);
}

static int teardown(void **state)
{
    fixture *f = *state;
    fake_agent_close(&f->a);
    bridge_destroy(f->bridge);
    span_intake_destroy(f->intake);
    recorded_close(&f->spans);
    free(f);
    return 0;
}

/* Returns what the welcome says of the recorder. */
static uint64_t enter(fixture *f, const char *service, const char *tenant)
{
    assert_status(LOOM_OK, fake_agent_open(&f->a, f->bridge));
    assert_status(LOOM_OK, frame_put_hello(&f->a.say, &(frame_hello){
        .protocol = LINK_PROTOCOL, .agent = STR("a"), .service = str_of(service), .service_instance = STR("i-1"),
        .tenant = str_of(tenant), .recorder = 1}));
    fake_agent_send(&f->a);
    fake_agent_hear(&f->a);
    return fake_agent_frame(&f->a, FRAME_WELCOME)->u.welcome.recorder;
}

static void hand_over(fixture *f, const spans_request *r, uint64_t left)
{
    pb_buf b = spans_request_make(r);
    assert_status(LOOM_OK, frame_put_recorded(&f->a.say, &(frame_spans){r->spans > 0 ? r->spans : 1, {b.data, b.len}, left}));
    pb_fini(&b);
    fake_agent_send(&f->a);
}

static const spans_request own = {.service = "orders", .instance = "i-1"};

static span_intake_stats stats(const fixture *f)
{
    return span_intake_get_stats(f->intake);
}

static size_t exported(fixture *f)
{
    recorded_read(&f->spans);
    return json_array_size(f->spans.spans);
}

static json_t *resource_of_first(fixture *f)
{
    return json_object_get(json_array_get(json_object_get(json_array_get(f->spans.lines, 0), "resourceSpans"), 0), "resource");
}

static void it_stays_until_its_trace_is_asked_for_and_is_the_agents(void **state)
{
    fixture *f = *state;
    assert_int_equal(2, enter(f, "orders", ""));
    hand_over(f, &(spans_request){.trace = ASKED_FOR, .service = "orders", .instance = "i-1", .spans = 3}, 7);
    hand_over(f, &(spans_request){.trace = ASKED_FOR, .service = "orders", .instance = "i-1", .trace_id_len = 15}, UINT64_MAX);
    fake_agent_close(&f->a);
    assert_int_equal(0, exported(f));
    assert_int_equal(3, stats(f).recorded);
    assert_int_equal(7, stats(f).left); /* once, whatever it says then */
    assert_int_equal(0, stats(f).received);
    recorder_keep_here(trace_id(ASKED_FOR), STR("asked"));
    assert_int_equal(3, exported(f));
    recorded_has_string(json_array_get(f->spans.spans, 0), "loom.kept", "asked");
    recorded_has_string(resource_of_first(f), "service.name", "orders");
    recorded_has_string(resource_of_first(f), "loom.agent.id", "a");
    recorder_keep_here(trace_id(ASKED_FOR), STR("asked"));
    assert_int_equal(3, exported(f));
}

/* Of 5,000 at once, 4,000 are passed on; the agent that found the others has exported its part of them alone. */
static void what_is_not_passed_on_can_be_asked_for_later(void **state)
{
    fixture *f = *state;
    enum { TOLD = 4000, MORE = 10 };
    uint8_t id[LOOM_TRACE_ID_SIZE] = {9};
    recorder_recent recent[RECORDER_RECENT];
    enter(f, "orders", "");
    for (unsigned i = 0; i < TOLD + MORE; i++) {
        id[1] = (uint8_t)(i >> 8);
        id[2] = (uint8_t)i;
        assert_status(LOOM_OK, frame_put_keep(&f->a.say, &(frame_keep){.trace_id = id, .reason = STR("error")}));
    }
    fake_agent_send(&f->a);
    assert_int_equal(MORE, bridge_get_stats(f->bridge).keeps_dropped);
    recorder_drain();
    recorder_keep_limited(MORE);
    const size_t count = recorder_list_recent(recent);
    assert_true(count >= MORE);
    for (size_t i = 0; i < MORE; i++) { /* the newest were kept first */
        assert_memory_equal(((uint8_t[]){9, (uint8_t)((TOLD + i) >> 8), (uint8_t)(TOLD + i)}), recent[i].trace_id, 3);
        assert_false(recent[i].limited);
    }
}

static void it_is_exported_at_once_when_its_trace_is_kept_already(void **state)
{
    fixture *f = *state;
    enter(f, "orders", "");
    recorder_keep_here(trace_id(KEPT_ALREADY), STR("error"));
    assert_int_equal(0, exported(f));
    hand_over(f, &(spans_request){.trace = KEPT_ALREADY, .service = "orders", .instance = "i-1"}, 0);
    assert_int_equal(1, exported(f));
    recorded_has_string(json_array_get(f->spans.spans, 0), "loom.kept", "error");
}

static void it_is_listed_with_what_else_is_held(void **state)
{
    fixture *f = *state;
    recorder_held held[16];
    enter(f, "orders", "");
    hand_over(f, &(spans_request){.trace = LISTED, .service = "orders", .instance = "i-1", .span_key = "topic", .span_value = "orders.new"}, 0);
    size_t i = 0;
    for (const size_t count = recorder_list_held(held, 16); i < count && memcmp(held[i].trace_id, trace_id(LISTED), LOOM_TRACE_ID_SIZE) != 0; i++) {
    }
    assert_string_equal("work", held[i].name);
    assert_string_equal("orders.new", held[i].about);
    assert_int_equal(1000000000, held[i].start_unix_ns);
    assert_int_equal(1, recorder_look_for(trace_id(LISTED), NULL, NULL).spans);
}

static void what_is_not_the_agents_or_makes_no_sense_is_refused_and_counted(void **state)
{
    static const spans_request wrong[] = {
        {.trace = WRONG, .service = "loom-broker", .instance = "i-1"},
        {.trace = WRONG, .service = "orders", .instance = "i-1", .span_key = "tenant_id", .span_value = "evil"},
        {.trace = WRONG, .service = "orders", .instance = "i-1", .end_ns = UINT64_MAX},
        {.trace = WRONG, .service = "orders", .instance = "i-1", .name = "\xff"},
        {.trace = WRONG, .service = "orders", .instance = "i-1", .trace_id_len = 15},
    };
    fixture *f = *state;
    enter(f, "orders", "acme");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        hand_over(f, &wrong[i], 0);
        assert_int_equal(i + 1, stats(f).recorded_refused);
    }
    assert_int_equal(0, stats(f).recorded);
    assert_int_equal(0, f->a.ended);
    recorder_keep_here(trace_id(WRONG), STR("asked"));
    assert_int_equal(0, exported(f));
}

/* Several agents of a process share their telemetry, and the last of them hands over what the others have made. */
static void what_another_agent_has_made_is_handed_over_as_that_and_forged_is_refused(void **state)
{
    fixture *f = *state;
    fake_agent victim;
    enter(f, "orders", "");
    assert_status(LOOM_OK, fake_agent_open(&victim, f->bridge));
    assert_status(LOOM_OK, frame_put_hello(&victim.say, &(frame_hello){.protocol = LINK_PROTOCOL, .agent = STR("victim")}));
    fake_agent_send(&victim);
    spans_request hop = {.trace = OF_ANOTHER, .service = "orders", .instance = "i-1", .name = "agent.on_event",
                         .span_key = "agent_id", .span_value = "victim"};
    hand_over(f, &hop, 0);
    assert_int_equal(1, stats(f).recorded_refused);
    hop.span_value = "that-left";
    hand_over(f, &hop, 0);
    assert_int_equal(1, stats(f).recorded_refused);
    assert_int_equal(1, stats(f).recorded);
    recorder_keep_here(trace_id(OF_ANOTHER), STR("asked"));
    assert_int_equal(1, exported(f));
    recorded_has_string(json_array_get(f->spans.spans, 0), "agent_id", "that-left");
    assert_int_equal(0, recorded_attr(resource_of_first(f), "loom.agent.id", &(json_t *){NULL}));
    fake_agent_close(&victim);
}

static void one_agent_hands_over_a_mebibyte_and_no_more(void **state)
{
    fixture *f = *state;
    const spans_request large = {.trace = LARGE, .service = "orders", .instance = "i-1", .padding = 30 * 1024};
    enter(f, "orders", "");
    for (unsigned i = 0; i < 64; i++) {
        hand_over(f, &large, 0);
    }
    assert_in_range(stats(f).recorded, SPAN_HAND_OVER_MAX / (32 * 1024), SPAN_HAND_OVER_MAX / (30 * 1024));
    assert_int_equal(64, stats(f).recorded + stats(f).recorded_refused);
}

static void all_agents_together_hand_over_four_and_then_one_a_second(void **state)
{
    fixture *f = *state;
    const spans_request large = {.trace = LARGE, .service = "orders", .instance = "i-1", .padding = 56 * 1024};
    for (unsigned i = 0; i < 10; i++) {
        enter(f, "orders", "");
        for (unsigned k = 0; k < 16; k++) {
            hand_over(f, &large, 0);
        }
        fake_agent_close(&f->a);
    }
    const uint64_t at_once = stats(f).recorded;
    assert_in_range(at_once, SPAN_HAND_OVER_BURST / (58 * 1024), SPAN_HAND_OVER_BURST / (56 * 1024) + 1);
    f->clock.now_ms += 1000;
    enter(f, "orders", "");
    for (unsigned k = 0; k < 32; k++) {
        hand_over(f, &large, 0);
    }
    assert_in_range(stats(f).recorded - at_once, 15, 18);
}

static void without_a_recorder_none_is_taken(void **state)
{
    fixture *f = *state;
    assert_int_equal(1, enter(f, "orders", ""));
    hand_over(f, &own, 0);
    assert_int_equal(1, stats(f).recorded_refused);
    assert_int_equal(0, f->a.ended);
}

static void an_agent_that_names_no_service_is_not_asked_for_it(void **state)
{
    fixture *f = *state;
    assert_int_equal(1, enter(f, "", ""));
    hand_over(f, &own, 0);
    assert_int_equal(1, stats(f).recorded_refused);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(it_stays_until_its_trace_is_asked_for_and_is_the_agents),
        T(it_is_exported_at_once_when_its_trace_is_kept_already),
        T(it_is_listed_with_what_else_is_held),
        T(what_is_not_the_agents_or_makes_no_sense_is_refused_and_counted),
        T(what_another_agent_has_made_is_handed_over_as_that_and_forged_is_refused),
        T(one_agent_hands_over_a_mebibyte_and_no_more),
        T(all_agents_together_hand_over_four_and_then_one_a_second),
        cmocka_unit_test_setup_teardown(without_a_recorder_none_is_taken, setup_off, teardown),
        T(an_agent_that_names_no_service_is_not_asked_for_it),
        T(what_is_not_passed_on_can_be_asked_for_later), /* the last: every session after it is told of what is kept */
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
