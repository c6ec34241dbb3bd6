/* SPDX-License-Identifier: Apache-2.0 */
/* Spans that agents send over their links: which are taken, whose they are, and how many may come. */
#include <endian.h>
#include <loom/metrics.h>
#include <stdio.h>
#include <stdlib.h>

#include "bridge/spans/check.h"
#include "bridge/spans/intake.h"
#include "tests/unit/bridge/fake_bus.h"
#include "tests/unit/bridge/spans_request.h"
#include "tests/unit/trace/recorded.h"

enum { RATE = 1000 };

typedef struct fixture {
    loop_clock clock;
    recorded recorded;
    span_intake *intake;
    fake_bus bus;
    bridge *bridge;
    fake_agent a, b;
} fixture;

static int setup_with(void **state, size_t queue)
{
    fixture *f = calloc(1, sizeof *f);
    f->clock.now_ms = 10000;
    recorded_open_with(&f->recorded, &(loom_span_processor_options){.max_queue_size = queue, .schedule_delay_ms = 60000}, NULL);
    assert_status(LOOM_OK, span_intake_create(&f->intake, f->recorded.processor, &f->clock, RATE));
    fake_bus_init(&f->bus);
    assert_status(LOOM_OK, bridge_create(&f->bridge, &f->clock, &(bridge_options){
        .id = "bridge-1", .software = "test", .bus = &f->bus.base, .spans = f->intake}));
    *state = f;
    return 0;
}

static int setup(void **state)
{
    return setup_with(state, 2048);
}

static int setup_short_queue(void **state)
{
    return setup_with(state, 64);
}

static int teardown(void **state)
{
    fixture *f = *state;
    fake_agent_close(&f->a);
    fake_agent_close(&f->b);
    bridge_destroy(f->bridge);
    assert_int_equal(0, span_intake_get_stats(f->intake).senders);
    span_intake_destroy(f->intake);
    recorded_close(&f->recorded);
    free(f);
    return 0;
}

/* Returns the credit that it gets. */
static uint64_t enter(fixture *f, fake_agent *a, const char *id, const char *service, const char *tenant)
{
    assert_status(LOOM_OK, fake_agent_open(a, f->bridge));
    assert_status(LOOM_OK, frame_put_hello(&a->say, &(frame_hello){
        .protocol = LINK_PROTOCOL, .agent = {id, strlen(id)}, .service = {service, strlen(service)},
        .service_instance = STR("i-1"), .tenant = {tenant, strlen(tenant)}}));
    fake_agent_send(a);
    fake_agent_hear(a);
    return fake_agent_frame(a, FRAME_WELCOME)->u.welcome.span_credit;
}

static void send_bytes(fake_agent *a, uint64_t spans, loom_bytes request)
{
    /* frame_put_spans() does not write what is too large for a frame. */
    frame_writer *w = &a->say;
    const uint8_t head[] = {0, 0, 0, 0, 0x93, FRAME_SPANS, 0xce, 0, 0, 0, 0, 0xc6, 0, 0, 0, 0};
    assert_true(frame_writer_reserve(w, sizeof head + request.len));
    uint8_t *at = w->data + w->len;
    memcpy(at, head, sizeof head);
    const uint32_t sizes[] = {htobe32((uint32_t)(sizeof head - 4 + request.len)), htobe32((uint32_t)spans), htobe32((uint32_t)request.len)};
    memcpy(at, &sizes[0], 4);
    memcpy(at + 7, &sizes[1], 4);
    memcpy(at + 12, &sizes[2], 4);
    memcpy(at + sizeof head, request.data, request.len);
    w->len += sizeof head + request.len;
    fake_agent_send(a);
}

/* The answer to these spans. */
static frame_span_credit send(fake_agent *a, const spans_request *r)
{
    pb_buf b = spans_request_make(r);
    send_bytes(a, r->spans > 0 ? r->spans : 1, (loom_bytes){b.data, b.len});
    pb_fini(&b);
    fake_agent_hear(a);
    return fake_agent_frame(a, FRAME_SPAN_CREDIT)->u.span_credit;
}

static uint64_t refused(const fixture *f, span_refusal why)
{
    return span_intake_get_stats(f->intake).refused[why];
}

static const spans_request own = {.service = "orders", .instance = "i-1"};

static void spans_of_an_agent_are_exported_under_its_name(void **state)
{
    fixture *f = *state;
    assert_int_equal(SPAN_WINDOW, enter(f, &f->a, "a", "orders", ""));
    const frame_span_credit answer = send(&f->a, &(spans_request){.service = "orders", .instance = "i-1", .spans = 3});
    assert_int_equal(3, answer.spans);
    assert_int_equal(0, answer.refused);
    assert_in_range(answer.bytes, SPAN_WINDOW + 1, SPAN_WINDOW + 1000);
    recorded_read(&f->recorded);
    assert_int_equal(3, json_array_size(f->recorded.spans));
    assert_string_equal("work", recorded_string(json_array_get(f->recorded.spans, 0), "name"));
    json_t *resource = json_object_get(json_array_get(json_object_get(json_array_get(f->recorded.lines, 0), "resourceSpans"), 0), "resource");
    recorded_has_string(resource, "service.name", "orders");
    recorded_has_string(resource, "service.instance.id", "i-1");
    recorded_has_string(resource, "loom.agent.id", "a");
    const loom_span_counts c = loom_span_processor_counts(f->recorded.processor);
    assert_int_equal(3, c.ended);
    assert_int_equal(3, c.exported);
    assert_int_equal(0, loom_span_processor_metrics(f->recorded.processor).span_live);
}

static void scopes_that_differ_in_their_schema_stay_apart(void **state)
{
    fixture *f = *state;
    static const char *const urls[] = {NULL, "https://opentelemetry.io/schemas/1.30.0", NULL, "https://opentelemetry.io/schemas/1.31.0"};
    (void)enter(f, &f->a, "a", "orders", "");
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        assert_int_equal(i + 1, send(&f->a, &(spans_request){.service = "orders", .instance = "i-1", .schema_url = urls[i]}).spans);
    }
    const frame_span_credit answer = send(&f->a, &(spans_request){.service = "orders", .instance = "i-1", .schema_url = "\xff"});
    assert_int_equal(1, answer.refused);
    assert_int_equal(1, refused(f, SPAN_REFUSED_MALFORMED));
    recorded_read(&f->recorded);
    json_t *scopes = json_object_get(json_array_get(json_object_get(json_array_get(f->recorded.lines, 0), "resourceSpans"), 0), "scopeSpans");
    assert_int_equal(3, json_array_size(scopes));
    assert_int_equal(2, json_array_size(json_object_get(json_array_get(scopes, 0), "spans")));
    assert_string_equal("", recorded_string(json_array_get(scopes, 0), "schemaUrl"));
    assert_string_equal(urls[1], recorded_string(json_array_get(scopes, 1), "schemaUrl"));
    assert_string_equal(urls[3], recorded_string(json_array_get(scopes, 2), "schemaUrl"));
}

static void a_resource_stays_until_its_spans_have_left(void **state)
{
    fixture *f = *state;
    enter(f, &f->a, "a", "orders", "");
    send(&f->a, &own);
    fake_agent_close(&f->a);
    recorded_read(&f->recorded);
    assert_int_equal(1, json_array_size(f->recorded.spans));
}

static void an_agent_that_does_not_ask_gets_no_credit(void **state)
{
    fixture *f = *state;
    assert_int_equal(0, enter(f, &f->a, "a", "", ""));
    pb_buf b = spans_request_make(&own);
    send_bytes(&f->a, 1, (loom_bytes){b.data, b.len});
    pb_fini(&b);
    assert_int_equal(1, refused(f, SPAN_REFUSED_CREDIT));
    assert_int_equal(0, f->a.ended);
}

static void a_bridge_that_exports_nothing_gives_no_credit(void **state)
{
    fixture *f = *state;
    bridge *plain;
    assert_status(LOOM_OK, bridge_create(&plain, &f->clock, &(bridge_options){.id = "p", .software = "t", .bus = &f->bus.base}));
    bridge *with = f->bridge;
    f->bridge = plain;
    assert_int_equal(0, enter(f, &f->a, "a", "orders", ""));
    pb_buf b = spans_request_make(&own);
    send_bytes(&f->a, 1, (loom_bytes){b.data, b.len});
    pb_fini(&b);
    assert_int_equal(0, f->a.ended);
    fake_agent_close(&f->a);
    bridge_destroy(plain);
    f->bridge = with;
}

static void nobody_may_speak_for_the_broker_or_for_another_agent(void **state)
{
    static const char *const names[] = {"loom-broker", "loom-bridge", "loom-gateway", "agent-b"};
    fixture *f = *state;
    enter(f, &f->b, "b", "payments", "");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_int_equal(0, enter(f, &f->a, "a", names[i], ""));
        fake_agent_close(&f->a);
    }
    assert_int_equal(SPAN_WINDOW, enter(f, &f->a, "a", "agent-a", ""));
    fake_agent_close(&f->a);
    assert_int_equal(SPAN_WINDOW, enter(f, &f->a, "a", "agent-of-nobody", ""));
    fake_agent_close(&f->a);
    assert_int_equal(SPAN_WINDOW, enter(f, &f->a, "a", "payments", "")); /* a replica */
}

static void spans_that_claim_another_identity_are_refused(void **state)
{
    static const spans_request claims[] = {
        {.service = "payments", .instance = "i-1"},
        {.service = "loom-broker", .instance = "i-1"},
        {.service = "agent-b", .instance = "i-1"},
        {.service = "orders", .instance = "i-2"},
        {.service = "orders"},
        {.service = "orders", .instance = "i-1", .key = "loom.agent.id", .value = "b"},
        {.service = "library", .key = "loom.agent.id", .value = "b"},
        {.service = "orders", .instance = "i-1", .key = "service.name", .value = "loom-broker"}, /* twice */
        {.service = "orders", .instance = "i-1", .key = "loom.agent.id", .value = "a", .number = 7},
        {.service = "orders", .instance = "i-1", .key = "loom.agent.id", .number = 7},
    };
    fixture *f = *state;
    enter(f, &f->b, "b", "payments", "");
    enter(f, &f->a, "a", "orders", "");
    for (size_t i = 0; i < sizeof claims / sizeof *claims; i++) {
        assert_int_equal(i + 1, send(&f->a, &claims[i]).refused);
        assert_int_equal(i + 1, refused(f, SPAN_REFUSED_IDENTITY));
    }
    assert_int_equal(0, f->a.ended);
    assert_int_equal(0, loom_span_processor_counts(f->recorded.processor).ended);
}

static json_t *resource_of_first(fixture *f)
{
    recorded_read(&f->recorded);
    return json_object_get(json_array_get(json_object_get(json_array_get(f->recorded.lines, 0), "resourceSpans"), 0), "resource");
}

static spans_request hop_of(const char *agent)
{
    return (spans_request){.service = "orders", .instance = "i-1", .name = "agent.on_event", .span_key = "agent_id", .span_value = agent};
}

static void a_hop_is_of_its_agent_and_not_of_one_that_is_connected(void **state)
{
    fixture *f = *state;
    enter(f, &f->b, "b", "payments", "");
    enter(f, &f->a, "a", "orders", "");
    const spans_request forged = hop_of("b"), own_hop = hop_of("a");
    spans_request twice = hop_of("a"), other_span = hop_of("b");
    twice.span_value_too = "b";
    other_span.name = "work"; /* where agent_id may say anything */
    assert_int_equal(1, send(&f->a, &forged).refused);
    assert_int_equal(2, send(&f->a, &twice).refused);
    assert_int_equal(2, refused(f, SPAN_REFUSED_IDENTITY));
    assert_int_equal(2, send(&f->a, &own_hop).refused);
    assert_int_equal(2, send(&f->a, &other_span).refused);
    recorded_has_string(resource_of_first(f), "loom.agent.id", "a");
}

/* Agents of one process that share their telemetry: its spans take the session of any of them. */
static void a_hop_of_another_agent_is_not_said_to_be_the_sessions(void **state)
{
    fixture *f = *state;
    enter(f, &f->a, "a", "orders", "");
    enter(f, &f->b, "b", "orders", "");
    const spans_request connected = hop_of("b"), gone = hop_of("c");
    assert_int_equal(0, send(&f->a, &connected).refused);
    assert_int_equal(0, send(&f->a, &gone).refused);
    json_t *const resource = resource_of_first(f);
    recorded_has_string(resource, "service.name", "orders");
    assert_int_equal(0, recorded_attr(resource, "loom.agent.id", &(json_t *){NULL}));
    assert_int_equal(2, json_array_size(f->recorded.spans));
}

static void other_services_of_the_agent_are_taken(void **state)
{
    fixture *f = *state;
    enter(f, &f->a, "a", "orders", "");
    assert_int_equal(0, send(&f->a, &(spans_request){.service = "etl-tool", .instance = "x"}).refused);
    assert_int_equal(0, send(&f->a, &(spans_request){.service = "orders", .instance = "i-1", .key = "loom.agent.id", .value = "a"}).refused);
    assert_int_equal(2, span_intake_get_stats(f->intake).accepted);
}

static void spans_of_another_tenant_are_refused(void **state)
{
    fixture *f = *state;
    enter(f, &f->a, "a", "orders", "acme");
    assert_int_equal(0, send(&f->a, &(spans_request){.service = "orders", .instance = "i-1", .span_key = "tenant_id", .span_value = "acme"}).refused);
    assert_int_equal(1, send(&f->a, &(spans_request){.service = "orders", .instance = "i-1", .span_key = "tenant_id", .span_value = "evil"}).refused);
    assert_int_equal(2, send(&f->a, &(spans_request){.service = "orders", .instance = "i-1", .key = "tenant_id", .value = "evil"}).refused);
    assert_int_equal(3, send(&f->a, &(spans_request){.service = "orders", .instance = "i-1", .span_key = "tenant_id", .span_value = "acme",
                                                      .span_value_too = "evil"}).refused);
    assert_int_equal(4, send(&f->a, &(spans_request){.service = "orders", .instance = "i-1", .key = "tenant_id", .value = "acme",
                                                      .number = 7}).refused);
    assert_int_equal(5, send(&f->a, &(spans_request){.service = "orders", .instance = "i-1", .key = "tenant_id", .number = 7}).refused);
    assert_int_equal(5, refused(f, SPAN_REFUSED_TENANT));
}

static void what_makes_no_sense_is_refused_and_costs_nobody_else_a_span(void **state)
{
    static const struct {
        spans_request r;
        span_refusal why;
    } wrong[] = {
        {{.trace_id_len = 15}, SPAN_REFUSED_MALFORMED},
        {{.trace_id_len = 17}, SPAN_REFUSED_MALFORMED},
        {{.name = "\xff"}, SPAN_REFUSED_MALFORMED},
        {{.name = "\xed\xa0\x80"}, SPAN_REFUSED_MALFORMED},
        {{.span_key = "k", .span_value = "\xc0\xaf"}, SPAN_REFUSED_MALFORMED},
        {{.span_key = "\xfe", .span_value = "v"}, SPAN_REFUSED_MALFORMED},
        {{.depth = 8}, SPAN_REFUSED_MALFORMED},
        {{.name = ""}, SPAN_REFUSED_INVALID},
        {{.start_ns = 3000000000}, SPAN_REFUSED_INVALID},
        {{.end_ns = UINT64_MAX}, SPAN_REFUSED_INVALID},
        {{.padding = 64 * 1024}, SPAN_REFUSED_TOO_LARGE},
        {{.key = "k", .value = "\xff"}, SPAN_REFUSED_MALFORMED},
    };
    fixture *f = *state;
    enter(f, &f->a, "a", "orders", "");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        spans_request r = wrong[i].r;
        r.service = "orders";
        r.instance = "i-1";
        const uint64_t before = refused(f, wrong[i].why);
        f->clock.now_ms += 1000;
        assert_int_equal(i + 1, send(&f->a, &r).refused);
        assert_int_equal(before + 1, refused(f, wrong[i].why));
    }
    assert_int_equal(sizeof wrong / sizeof *wrong, send(&f->a, &(spans_request){.service = "orders", .instance = "i-1", .depth = 3}).refused);
    assert_int_equal(1, loom_span_processor_counts(f->recorded.processor).ended);
}

static void a_request_that_breaks_off_loses_what_is_behind(void **state)
{
    fixture *f = *state;
    enter(f, &f->a, "a", "orders", "");
    pb_buf b = spans_request_make(&(spans_request){.service = "orders", .instance = "i-1", .spans = 4});
    const uint64_t all = span_intake_get_stats(f->intake).received;
    uint64_t sent = 0;
    for (size_t len = 0; len < b.len; len++) {
        send_bytes(&f->a, 4, (loom_bytes){b.data, len});
        sent += 4 < len / 24 + 1 ? 4 : len / 24 + 1; /* no more fit */
        fake_agent_hear(&f->a);
        f->clock.now_ms += 10;
    }
    const span_intake_stats s = span_intake_get_stats(f->intake);
    assert_int_equal(sent, s.received - all);
    assert_int_equal(s.received, s.accepted + s.refused[SPAN_REFUSED_MALFORMED]);
    assert_int_equal(0, f->a.ended);
    pb_fini(&b);
}

static void a_frame_that_lies_about_its_spans_counts_no_more_than_fit(void **state)
{
    fixture *f = *state;
    enter(f, &f->a, "a", "orders", "");
    send_bytes(&f->a, UINT32_MAX, (loom_bytes){(const uint8_t *)"", 0});
    assert_int_equal(1, span_intake_get_stats(f->intake).received);
}

static void the_33rd_resource_is_refused(void **state)
{
    fixture *f = *state;
    char value[16];
    enter(f, &f->a, "a", "orders", "");
    for (int i = 0; i < SPAN_RESOURCES_MAX + 2; i++) {
        snprintf(value, sizeof value, "%d", i);
        send(&f->a, &(spans_request){.service = "orders", .instance = "i-1", .key = "k", .value = value});
    }
    assert_int_equal(2, refused(f, SPAN_REFUSED_RESOURCES));
}

static void who_sends_without_credit_loses_that_and_stays(void **state)
{
    fixture *f = *state;
    enter(f, &f->a, "a", "orders", "");
    frame_span_credit answer = {0};
    for (int i = 0; i < 20; i++) { /* 2000 spans in no time, of 1000 a second */
        pb_buf b = spans_request_make(&(spans_request){.service = "orders", .instance = "i-1", .spans = 100});
        send_bytes(&f->a, 100, (loom_bytes){b.data, b.len});
        pb_fini(&b);
    }
    fake_agent_hear(&f->a);
    for (size_t i = 0; i < f->a.count; i++) {
        answer = f->a.frames[i].type == FRAME_SPAN_CREDIT ? f->a.frames[i].u.span_credit : answer;
    }
    const span_intake_stats s = span_intake_get_stats(f->intake);
    assert_int_equal(2000, s.received);
    assert_true(s.refused[SPAN_REFUSED_CREDIT] > 0);
    assert_true(s.accepted < RATE + 100 + SPAN_WINDOW / 50); /* a second of them, and the window */
    assert_int_equal(1, s.waiting);
    assert_int_equal(0, f->a.ended);
    f->clock.now_ms += 2000;
    assert_status(LOOM_OK, loom_span_processor_flush(f->recorded.processor, 5000));
    bridge_new_round(f->bridge);
    fake_agent_hear(&f->a);
    const frame_span_credit *more = &fake_agent_frame(&f->a, FRAME_SPAN_CREDIT)->u.span_credit;
    assert_true(more->bytes > answer.bytes);
    assert_int_equal(s.refused[SPAN_REFUSED_CREDIT], more->refused);
    assert_int_equal(2000, more->spans);
    assert_int_equal(0, span_intake_get_stats(f->intake).waiting);
}

static void half_of_the_queue_is_kept_for_our_own_spans(void **state)
{
    fixture *f = *state;
    enter(f, &f->a, "a", "orders", "");
    const frame_span_credit answer = send(&f->a, &(spans_request){.service = "orders", .instance = "i-1", .spans = 40});
    assert_int_equal(SPAN_WINDOW, answer.bytes);
    assert_int_equal(0, answer.refused);
    assert_int_equal(1, span_intake_get_stats(f->intake).waiting);
    f->clock.now_ms += 5000;
    bridge_new_round(f->bridge);
    assert_int_equal(1, span_intake_get_stats(f->intake).waiting);
    assert_status(LOOM_OK, loom_span_processor_flush(f->recorded.processor, 5000));
    bridge_new_round(f->bridge);
    fake_agent_hear(&f->a);
    assert_true(fake_agent_frame(&f->a, FRAME_SPAN_CREDIT)->u.span_credit.bytes > SPAN_WINDOW);
}

static void a_session_that_ends_while_it_waits_is_forgotten(void **state)
{
    fixture *f = *state;
    enter(f, &f->a, "a", "orders", "");
    send(&f->a, &(spans_request){.service = "orders", .instance = "i-1", .spans = 40});
    assert_int_equal(1, span_intake_get_stats(f->intake).waiting);
    fake_agent_close(&f->a);
    assert_int_equal(0, span_intake_get_stats(f->intake).waiting);
    bridge_new_round(f->bridge);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(spans_of_an_agent_are_exported_under_its_name),
        T(scopes_that_differ_in_their_schema_stay_apart),
        T(a_resource_stays_until_its_spans_have_left),
        T(an_agent_that_does_not_ask_gets_no_credit),
        T(a_bridge_that_exports_nothing_gives_no_credit),
        T(nobody_may_speak_for_the_broker_or_for_another_agent),
        T(spans_that_claim_another_identity_are_refused),
        T(a_hop_is_of_its_agent_and_not_of_one_that_is_connected),
        T(a_hop_of_another_agent_is_not_said_to_be_the_sessions),
        T(other_services_of_the_agent_are_taken),
        T(spans_of_another_tenant_are_refused),
        T(what_makes_no_sense_is_refused_and_costs_nobody_else_a_span),
        T(a_request_that_breaks_off_loses_what_is_behind),
        T(a_frame_that_lies_about_its_spans_counts_no_more_than_fit),
        T(the_33rd_resource_is_refused),
        T(who_sends_without_credit_loses_that_and_stays),
        cmocka_unit_test_setup_teardown(half_of_the_queue_is_kept_for_our_own_spans, setup_short_queue, teardown),
        cmocka_unit_test_setup_teardown(a_session_that_ends_while_it_waits_is_forgotten, setup_short_queue, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
