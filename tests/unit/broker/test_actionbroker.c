/* SPDX-License-Identifier: Apache-2.0 */
/* Providing, invoking, answering: who gets which call, and how it ends. */
#include <stdlib.h>

#include "tests/unit/broker/action_fixture.h"
#include "trace/messaging/call_span.h"

typedef struct fixture {
    loop_clock clock;
    actionbroker *broker;
    test_party caller, a, b, c;
} fixture;

static int open_broker(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    assert_status(LOOM_OK, actionbroker_create(&f->broker, &f->clock, &(actionbroker_options){
        .max_pending = 4, .max_capabilities = 3, .payload_max = 100, .cache_entries = 8}));
    f->clock.now_ms = 1000;
    assert_status(LOOM_OK, test_party_open(&f->caller, f->broker, "caller"));
    assert_status(LOOM_OK, test_party_open(&f->a, f->broker, "a"));
    assert_status(LOOM_OK, test_party_open(&f->b, f->broker, "b"));
    assert_status(LOOM_OK, test_party_open(&f->c, f->broker, "c"));
    *state = f;
    return 0;
}

static int close_broker(void **state)
{
    fixture *f = *state;
    assert_calls_conserved(f->broker);
    test_party_close(&f->caller);
    test_party_close(&f->a);
    test_party_close(&f->b);
    test_party_close(&f->c);
    assert_calls_conserved(f->broker);
    const action_stats stats = actionbroker_get_stats(f->broker);
    assert_int_equal(0, stats.pending + stats.running + stats.capabilities + stats.parties);
    assert_int_equal(0, stats.kept_bytes);
    actionbroker_destroy(f->broker);
    free(f);
    return 0;
}

static loom_status invoke(fixture *f, const char *capability)
{
    return test_invoke(&f->caller, &(test_call){.capability = capability});
}

/* ---- parties and providing ---- */

static void party_needs_an_agent_and_the_handlers_every_call_needs(void **state)
{
    fixture *f = *state;
    char agent[LOOM_AGENT_ID_MAX + 2] = {0};
    memset(agent, 'a', LOOM_AGENT_ID_MAX + 1);
    test_party party;
    assert_status(LOOM_EINVAL, test_party_open(&party, f->broker, ""));
    assert_status(LOOM_EINVAL, test_party_open(&party, f->broker, agent));
    action_party *handle;
    assert_status(LOOM_EINVAL, action_party_open(f->broker, &handle, &(action_handlers){0}, NULL, STR("a")));
    assert_null(handle);
    action_party_close(NULL);
}

static void capability_needs_a_name_in_the_form_of_a_topic_and_a_known_kind(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_EINVAL, test_provide(&f->a, "", "1"));
    assert_status(LOOM_EINVAL, test_provide(&f->a, "weather..lookup", "1"));
    assert_status(LOOM_EINVAL, test_provide(&f->a, "weather.*", "1"));
    assert_status(LOOM_EINVAL, test_provide_kind(&f->a, "weather.lookup", "toolbox"));
    assert_status(LOOM_OK, test_provide_kind(&f->a, "weather.lookup", "agent"));
}

static void fields_of_a_capability_over_their_limits_are_too_big(void **state)
{
    fixture *f = *state;
    static char large[LOOM_HEADERS_MAX + 1];
    memset(large, 'x', sizeof large);
    const loom_str over_schema = {large, ACTION_SCHEMA_MAX + 1};
    action_capability capability = {.name = STR("n"), .version = {large, ACTION_VERSION_MAX + 1}};
    assert_status(LOOM_ETOOBIG, action_provide(f->a.handle, &capability));
    capability = (action_capability){.name = {large, ACTION_CAPABILITY_MAX + 1}};
    assert_status(LOOM_ETOOBIG, action_provide(f->a.handle, &capability));
    capability = (action_capability){.name = STR("n"), .description = {large, ACTION_DESCRIPTION_MAX + 1}};
    assert_status(LOOM_ETOOBIG, action_provide(f->a.handle, &capability));
    capability = (action_capability){.name = STR("n"), .input_schema = over_schema};
    assert_status(LOOM_ETOOBIG, action_provide(f->a.handle, &capability));
    capability = (action_capability){.name = STR("n"), .output_schema = over_schema};
    assert_status(LOOM_ETOOBIG, action_provide(f->a.handle, &capability));
    const loom_header header = {STR("k"), {large, LOOM_HEADERS_MAX - 2}};
    capability = (action_capability){.name = STR("n"), .metadata = &header, .metadata_count = 1};
    assert_status(LOOM_ETOOBIG, action_provide(f->a.handle, &capability));
    capability.input_schema = capability.output_schema = (loom_str){large, ACTION_SCHEMA_MAX};
    capability.metadata = &(loom_header){STR("k"), {large, LOOM_HEADERS_MAX - 3}};
    assert_status(LOOM_OK, action_provide(f->a.handle, &capability));
}

static void a_party_provides_no_more_than_its_limit(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_provide(&f->a, "x", "1"));
    assert_status(LOOM_OK, test_provide(&f->a, "x", "2"));
    assert_status(LOOM_OK, test_provide(&f->a, "y", "1"));
    assert_status(LOOM_EFULL, test_provide(&f->a, "z", "1"));
    assert_status(LOOM_OK, test_provide(&f->a, "y", "1")); /* says it again: no new one */
    assert_status(LOOM_OK, action_withdraw(f->a.handle, STR("x"), STR("1")));
    assert_status(LOOM_OK, test_provide(&f->a, "z", "1"));
    assert_int_equal(3, actionbroker_get_stats(f->broker).capabilities);
}

static loom_status say(test_party *party, const char *name, size_t len)
{
    static char text[ACTION_DESCRIPTION_MAX];
    memset(text, 'd', sizeof text);
    return action_provide(party->handle, &(action_capability){.name = str_of(name), .description = {text, len}});
}

static void what_a_party_says_about_its_capabilities_is_bounded_in_bytes_and_so_is_what_all_say(void **state)
{
    fixture *f = *state;
    actionbroker *broker;
    test_party a, b;
    const action_capability capability = {.name = STR("x")};
    assert_status(LOOM_OK, actionbroker_create(&broker, &f->clock, &(actionbroker_options){
        .capability_bytes = 6000, .total_capability_bytes = 9000}));
    assert_status(LOOM_OK, test_party_open(&a, broker, "a"));
    assert_status(LOOM_OK, test_party_open(&b, broker, "b"));
    assert_status(LOOM_OK, say(&a, "x", 4000));
    assert_status(LOOM_EFULL, say(&a, "y", 3000));
    assert_string_equal("the agent's capabilities take as much memory as one agent's may take",
                        action_provide_limit(a.handle, &(action_capability){.name = STR("y"), .description = {NULL, 3000}}));
    assert_status(LOOM_OK, say(&a, "x", 10)); /* in place of what it said */
    assert_status(LOOM_OK, say(&a, "y", 3000));
    assert_status(LOOM_EFULL, say(&a, "x", 4000));
    assert_status(LOOM_OK, say(&b, "x", 4000));
    assert_status(LOOM_EFULL, say(&b, "y", 1500)); /* its own bytes would do */
    test_party_close(&a);
    assert_status(LOOM_OK, say(&b, "y", 1000));
    assert_in_range(actionbroker_get_stats(broker).capability_bytes, 5000, 6000);
    test_party_close(&b);
    assert_int_equal(0, actionbroker_get_stats(broker).capability_bytes);
    actionbroker_destroy(broker);
    assert_string_equal(loom_status_text(LOOM_EFULL), action_provide_limit(f->a.handle, &capability)); /* none is reached */
}

static bool note_info(void *user, const action_provider_info *info)
{
    *(action_provider_info *)user = *info;
    return true;
}

static void what_is_provided_can_be_read_back_and_replaced(void **state)
{
    fixture *f = *state;
    const loom_header metadata[] = {{STR("region"), STR("eu")}, {STR("cost"), STR("")}};
    assert_status(LOOM_OK, action_provide(f->a.handle, &(action_capability){
        .name = STR("weather.lookup"), .description = STR("old"), .metadata = metadata, .metadata_count = 2}));
    assert_status(LOOM_OK, action_provide(f->a.handle, &(action_capability){
        .name = STR("weather.lookup"), .version = STR("0"), .description = STR("new"), .kind = STR("tool"),
        .input_schema = STR("{}"), .metadata = metadata, .metadata_count = 1}));
    action_provider_info info;
    actionbroker_visit(f->broker, note_info, &info);
    assert_int_equal(1, actionbroker_get_stats(f->broker).capabilities);
    assert_str("a", info.agent);
    assert_str("weather.lookup", info.capability->name);
    assert_str("0", info.capability->version); /* what the empty version means */
    assert_str("new", info.capability->description);
    assert_str("tool", info.capability->kind);
    assert_str("{}", info.capability->input_schema);
    assert_str("", info.capability->output_schema);
    assert_int_equal(1, info.capability->metadata_count);
    assert_str("region", info.capability->metadata[0].key);
    assert_str("eu", info.capability->metadata[0].value);
}

static void providers_are_counted_call_by_call(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_provide(&f->a, "x", "1"));
    assert_status(LOOM_OK, invoke(f, "x"));
    action_provider_info info;
    actionbroker_visit(f->broker, note_info, &info);
    assert_int_equal(1, info.outstanding);
    assert_int_equal(1, info.calls);
    assert_status(LOOM_OK, test_answer(&f->a, last_request(&f->a)->ref, FRAME_CALL_ERROR, "broken"));
    assert_status(LOOM_OK, invoke(f, "x"));
    assert_status(LOOM_OK, test_answer_ok(&f->a, ""));
    actionbroker_visit(f->broker, note_info, &info);
    assert_int_equal(0, info.outstanding);
    assert_int_equal(2, info.calls);
    assert_int_equal(1, info.errors);
}

/* ---- who gets the call ---- */

static void a_call_reaches_the_provider_with_what_it_needs_to_know(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_provide(&f->a, "weather.lookup", "1.2"));
    assert_status(LOOM_OK, test_invoke(&f->caller, &(test_call){.capability = "weather.lookup", .deadline_ms = 700, .streams = true}));
    const seen_request *request = last_request(&f->a);
    assert_string_equal("weather.lookup", request->capability);
    assert_string_equal("1.2", request->version);
    assert_string_equal("weather.lookup", request->payload);
    assert_int_equal(700, request->deadline_ms);
    assert_true(request->streams);
    assert_int_equal(0, f->caller.results);
}

static void the_answer_reaches_the_caller(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_provide(&f->a, "x", "1"));
    assert_status(LOOM_OK, test_invoke(&f->caller, &(test_call){.capability = "x", .id = "id-1"}));
    assert_status(LOOM_OK, test_answer_ok(&f->a, "sunny"));
    assert_result(&f->caller, 1, FRAME_CALL_OK, "");
    assert_string_equal("sunny", last_result(&f->caller)->payload);
    assert_int_equal(4, last_result(&f->caller)->call_id_len);
    assert_memory_equal("id-1", last_result(&f->caller)->call_id, 4);
}

static void a_call_without_an_id_gets_one(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_provide(&f->a, "x", "1"));
    uint8_t id[ACTION_CALL_ID_MAX];
    size_t len = 0;
    assert_status(LOOM_OK, test_invoke_id(&f->caller, &(test_call){.capability = "x"}, id, &len));
    assert_int_equal(LOOM_UUID_SIZE, len);
    assert_status(LOOM_OK, test_answer_ok(&f->a, ""));
    assert_memory_equal(id, last_result(&f->caller)->call_id, len);
}

static void a_call_id_over_its_limit_is_invalid_and_has_no_result(void **state)
{
    fixture *f = *state;
    char id[ACTION_CALL_ID_MAX + 2] = {0};
    memset(id, 'i', ACTION_CALL_ID_MAX + 1);
    assert_status(LOOM_OK, test_provide(&f->a, "x", "1"));
    assert_status(LOOM_EINVAL, test_invoke(&f->caller, &(test_call){.capability = "x", .id = id}));
    assert_int_equal(0, f->caller.results + f->a.requests);
    id[ACTION_CALL_ID_MAX] = '\0';
    assert_status(LOOM_OK, test_invoke(&f->caller, &(test_call){.capability = "x", .id = id}));
    assert_int_equal(1, f->a.requests);
}

static void without_a_provider_the_outcome_is_no_responders_at_once(void **state)
{
    fixture *f = *state;
    char name[ACTION_CAPABILITY_MAX + 2] = {0};
    memset(name, 'n', ACTION_CAPABILITY_MAX + 1);
    assert_status(LOOM_OK, invoke(f, "x"));
    assert_result(&f->caller, 1, FRAME_CALL_NO_RESPONDERS, "no_provider");
    assert_status(LOOM_OK, invoke(f, ""));
    assert_status(LOOM_OK, invoke(f, name));
    assert_status(LOOM_OK, test_provide(&f->a, "x", "1"));
    assert_status(LOOM_OK, test_invoke(&f->caller, &(test_call){.capability = "x", .version = "2"}));
    assert_status(LOOM_OK, test_invoke(&f->caller, &(test_call){.capability = "x", .version = name}));
    assert_result(&f->caller, 5, FRAME_CALL_NO_RESPONDERS, "no_provider");
    assert_int_equal(0, f->a.requests);
}

static void without_a_version_the_highest_is_called(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_provide(&f->a, "x", "1.9"));
    assert_status(LOOM_OK, test_provide(&f->b, "x", "1.10"));
    assert_status(LOOM_OK, test_provide(&f->c, "x", "1.11-rc"));
    assert_status(LOOM_OK, invoke(f, "x"));
    assert_int_equal(1, f->c.requests); /* 1.11-rc is below 1.11, and above 1.10 */
    assert_status(LOOM_OK, action_withdraw(f->c.handle, STR("x"), STR("1.11-rc")));
    assert_status(LOOM_OK, invoke(f, "x"));
    assert_int_equal(1, f->b.requests);
    assert_status(LOOM_OK, test_invoke(&f->caller, &(test_call){.capability = "x", .version = "1.9"}));
    assert_int_equal(1, f->a.requests);
    assert_string_equal("1.9", last_request(&f->a)->version);
}

static void version_zero_is_what_no_version_means_to_a_provider(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_provide(&f->a, "x", ""));
    assert_status(LOOM_OK, test_invoke(&f->caller, &(test_call){.capability = "x", .version = "0"}));
    assert_string_equal("0", last_request(&f->a)->version);
    assert_status(LOOM_OK, action_withdraw(f->a.handle, STR("x"), STR("")));
    assert_status(LOOM_ENOTFOUND, action_withdraw(f->a.handle, STR("x"), STR("")));
}

static void idle_providers_take_turns(void **state)
{
    fixture *f = *state;
    test_party *const parties[] = {&f->a, &f->b, &f->c};
    for (int i = 0; i < 3; i++) {
        assert_status(LOOM_OK, test_provide(parties[i], "x", "1"));
    }
    for (size_t i = 0; i < 6; i++) {
        assert_status(LOOM_OK, invoke(f, "x"));
        assert_int_equal(i / 3 + 1, parties[i % 3]->requests);
        assert_status(LOOM_OK, test_answer_ok(parties[i % 3], ""));
    }
}

static void the_provider_with_the_fewest_calls_gets_the_next_one(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_provide(&f->a, "x", "1"));
    assert_status(LOOM_OK, test_provide(&f->b, "x", "1"));
    assert_status(LOOM_OK, test_provide(&f->a, "other", "1"));
    assert_status(LOOM_OK, invoke(f, "other")); /* makes a busy, with another capability */
    assert_status(LOOM_OK, invoke(f, "x"));
    assert_int_equal(1, f->b.requests);
    assert_status(LOOM_OK, test_answer_ok(&f->b, ""));
    assert_status(LOOM_OK, invoke(f, "x"));
    assert_int_equal(2, f->b.requests);
    assert_int_equal(1, f->a.requests);
}

static void a_party_may_call_itself(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_provide(&f->a, "x", "1"));
    assert_status(LOOM_OK, test_invoke(&f->a, &(test_call){.capability = "x"}));
    assert_status(LOOM_OK, test_answer_ok(&f->a, "me"));
    assert_result(&f->a, 1, FRAME_CALL_OK, "");
    assert_status(LOOM_OK, test_invoke(&f->a, &(test_call){.capability = "x", .idempotent = true}));
    test_party_close(&f->a); /* in the middle of it */
    assert_int_equal(1, f->a.results);
    assert_int_equal(0, f->a.cancels);
}

/* ---- answers ---- */

static void outcomes_of_the_provider_are_passed_on_as_they_are(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_provide(&f->a, "x", "1"));
    for (int outcome = 0; outcome < ACTION_OUTCOMES; outcome++) {
        assert_status(LOOM_OK, invoke(f, "x"));
        assert_status(LOOM_OK, test_answer(&f->a, last_request(&f->a)->ref, (frame_call_outcome)outcome, "some_code"));
        assert_result(&f->caller, (size_t)outcome + 1, (frame_call_outcome)outcome, "some_code");
        assert_int_equal(1, actionbroker_get_stats(f->broker).outcomes[outcome]);
    }
}

static void a_second_answer_is_not_found_and_counted(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_provide(&f->a, "x", "1"));
    assert_status(LOOM_OK, invoke(f, "x"));
    assert_status(LOOM_OK, test_answer_ok(&f->a, ""));
    assert_status(LOOM_ENOTFOUND, test_answer_ok(&f->a, ""));
    assert_status(LOOM_ENOTFOUND, test_chunk(&f->a, 0, ""));
    assert_result(&f->caller, 1, FRAME_CALL_OK, "");
    assert_int_equal(2, actionbroker_get_stats(f->broker).late);
}

static void nobody_answers_for_another_provider(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_provide(&f->a, "x", "1"));
    assert_status(LOOM_OK, invoke(f, "x"));
    const uint64_t ref = last_request(&f->a)->ref;
    assert_status(LOOM_ENOTFOUND, test_answer(&f->b, ref, FRAME_CALL_OK, ""));
    assert_status(LOOM_ENOTFOUND, test_answer(&f->caller, ref, FRAME_CALL_OK, ""));
    assert_status(LOOM_ENOTFOUND, test_answer(&f->a, ref + 1, FRAME_CALL_OK, ""));
    assert_status(LOOM_ENOTFOUND, action_report(f->b.handle, ref, ACTION_PROGRESS, 0, (loom_bytes){0}));
    assert_int_equal(0, f->caller.results);
    assert_int_equal(4, actionbroker_get_stats(f->broker).late);
    assert_status(LOOM_OK, test_answer_ok(&f->a, ""));
    assert_result(&f->caller, 1, FRAME_CALL_OK, "");
}

static void an_outcome_that_does_not_exist_is_an_error(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_provide(&f->a, "x", "1"));
    assert_status(LOOM_OK, invoke(f, "x"));
    assert_status(LOOM_EINVAL, test_answer(&f->a, last_request(&f->a)->ref, (frame_call_outcome)ACTION_OUTCOMES, ""));
    assert_result(&f->caller, 1, FRAME_CALL_ERROR, "bad_result");
    assert_int_equal(1, actionbroker_get_stats(f->broker).invalid);
    assert_string_equal("?", call_outcome_name(ACTION_OUTCOMES));
}

static void a_result_over_the_limit_is_too_large_for_the_caller(void **state)
{
    fixture *f = *state;
    char payload[102] = {0};
    memset(payload, 'p', 101);
    assert_status(LOOM_OK, test_provide(&f->a, "x", "1"));
    assert_status(LOOM_OK, invoke(f, "x"));
    assert_status(LOOM_ETOOBIG, test_answer_ok(&f->a, payload));
    assert_result(&f->caller, 1, FRAME_CALL_TOO_LARGE, "result_too_large");
    assert_int_equal(0, last_result(&f->caller)->payload_len);
    payload[100] = '\0';
    assert_status(LOOM_OK, invoke(f, "x"));
    assert_status(LOOM_OK, test_answer_ok(&f->a, payload));
    assert_result(&f->caller, 2, FRAME_CALL_OK, "");
}

static void texts_that_are_too_long_are_cut_between_characters(void **state)
{
    fixture *f = *state;
    char text[ACTION_TEXT_MAX + 16];
    memset(text, 't', sizeof text);
    memcpy(text + ACTION_TEXT_MAX - 1, "\xe2\x82\xac", 3); /* a character of three bytes across the limit */
    assert_status(LOOM_OK, test_provide(&f->a, "x", "1"));
    assert_status(LOOM_OK, invoke(f, "x"));
    assert_status(LOOM_OK, action_answer(f->a.handle, last_request(&f->a)->ref, &(action_result){
        .outcome = FRAME_CALL_ERROR, .code = {text, sizeof text}, .text = {text, sizeof text}}));
    assert_int_equal(ACTION_TEXT_MAX - 1, last_result(&f->caller)->text_len);
    assert_int_equal(ACTION_TEXT_MAX - 1, last_result(&f->caller)->code_len);
}

/* ---- hops ---- */

static void the_ttl_is_counted_down_by_one(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_provide(&f->a, "x", "1"));
    assert_status(LOOM_OK, test_invoke(&f->caller, &(test_call){.capability = "x", .ttl = 7}));
    assert_int_equal(6, last_request(&f->a)->ttl);
    assert_status(LOOM_OK, test_invoke(&f->caller, &(test_call){.capability = "x", .ttl = 1})); /* the last one that passes */
    assert_int_equal(0, last_request(&f->a)->ttl);
    assert_int_equal(2, f->a.requests);
}

static void a_call_whose_ttl_is_used_up_is_denied(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_provide(&f->a, "x", "1"));
    assert_status(LOOM_OK, test_invoke(&f->caller, &(test_call){.capability = "x", .id = "1", .used_up = true}));
    assert_result(&f->caller, 1, FRAME_CALL_DENIED, "ttl_exhausted");
    assert_int_equal(0, f->a.requests);
    assert_status(LOOM_OK, test_invoke(&f->caller, &(test_call){.capability = "x", .id = "1"})); /* the id is free */
    assert_int_equal(1, f->a.requests);
}

static void a_duplicate_is_no_dispatch_and_needs_no_ttl(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_provide(&f->a, "x", "1"));
    assert_status(LOOM_OK, test_invoke(&f->caller, &(test_call){.capability = "x", .id = "1"}));
    assert_status(LOOM_OK, test_invoke(&f->caller, &(test_call){.capability = "x", .id = "1", .used_up = true}));
    assert_status(LOOM_OK, test_answer_ok(&f->a, ""));
    assert_result(&f->caller, 2, FRAME_CALL_OK, "");
    assert_status(LOOM_OK, test_invoke(&f->caller, &(test_call){.capability = "x", .id = "1", .used_up = true}));
    assert_result(&f->caller, 3, FRAME_CALL_OK, "");
    assert_int_equal(1, f->a.requests);
}

/* ---- limits of a caller ---- */

static void one_call_more_than_the_limit_is_denied(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_provide(&f->a, "x", "1"));
    for (int i = 0; i < 4; i++) {
        assert_status(LOOM_OK, invoke(f, "x"));
    }
    assert_int_equal(0, f->caller.results);
    assert_status(LOOM_OK, invoke(f, "x"));
    assert_result(&f->caller, 1, FRAME_CALL_DENIED, "too_many_calls");
    assert_int_equal(4, f->a.requests);
    assert_status(LOOM_OK, test_invoke(&f->b, &(test_call){.capability = "x"})); /* others are not concerned */
    assert_int_equal(5, f->a.requests);
    assert_status(LOOM_OK, test_answer(&f->a, f->a.request[0].ref, FRAME_CALL_OK, ""));
    assert_status(LOOM_OK, invoke(f, "x"));
    assert_int_equal(6, f->a.requests);
}

static void a_joined_call_counts_for_the_limit_too(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_provide(&f->a, "x", "1"));
    for (int i = 0; i < 5; i++) {
        assert_status(LOOM_OK, test_invoke(&f->caller, &(test_call){.capability = "x", .id = "same"}));
    }
    assert_result(&f->caller, 1, FRAME_CALL_DENIED, "too_many_calls");
    assert_int_equal(1, f->a.requests);
    assert_int_equal(3, actionbroker_get_stats(f->broker).joined);
}

/* ---- withdrawing ---- */

static void calls_that_run_go_on_when_their_capability_is_withdrawn(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_provide(&f->a, "x", "1"));
    assert_status(LOOM_OK, invoke(f, "x"));
    assert_status(LOOM_OK, action_withdraw(f->a.handle, STR("x"), STR("1")));
    assert_status(LOOM_OK, invoke(f, "x"));
    assert_result(&f->caller, 1, FRAME_CALL_NO_RESPONDERS, "no_provider");
    assert_status(LOOM_OK, test_answer_ok(&f->a, "still"));
    assert_result(&f->caller, 2, FRAME_CALL_OK, "");
}

static void only_what_one_provides_itself_can_be_withdrawn(void **state)
{
    fixture *f = *state;
    assert_status(LOOM_OK, test_provide(&f->a, "x", "1"));
    assert_status(LOOM_ENOTFOUND, action_withdraw(f->b.handle, STR("x"), STR("1")));
    assert_status(LOOM_ENOTFOUND, action_withdraw(f->a.handle, STR("x"), STR("2")));
    assert_status(LOOM_ENOTFOUND, action_withdraw(f->a.handle, STR(""), STR("")));
    assert_int_equal(1, actionbroker_get_stats(f->broker).capabilities);
}

int main(void)
{
#define BROKER_TEST(name) cmocka_unit_test_setup_teardown(name, open_broker, close_broker)
    const struct CMUnitTest tests[] = {
        BROKER_TEST(party_needs_an_agent_and_the_handlers_every_call_needs),
        BROKER_TEST(capability_needs_a_name_in_the_form_of_a_topic_and_a_known_kind),
        BROKER_TEST(fields_of_a_capability_over_their_limits_are_too_big),
        BROKER_TEST(a_party_provides_no_more_than_its_limit),
        BROKER_TEST(what_a_party_says_about_its_capabilities_is_bounded_in_bytes_and_so_is_what_all_say),
        BROKER_TEST(what_is_provided_can_be_read_back_and_replaced),
        BROKER_TEST(providers_are_counted_call_by_call),
        BROKER_TEST(a_call_reaches_the_provider_with_what_it_needs_to_know),
        BROKER_TEST(the_answer_reaches_the_caller),
        BROKER_TEST(a_call_without_an_id_gets_one),
        BROKER_TEST(a_call_id_over_its_limit_is_invalid_and_has_no_result),
        BROKER_TEST(without_a_provider_the_outcome_is_no_responders_at_once),
        BROKER_TEST(without_a_version_the_highest_is_called),
        BROKER_TEST(version_zero_is_what_no_version_means_to_a_provider),
        BROKER_TEST(idle_providers_take_turns),
        BROKER_TEST(the_provider_with_the_fewest_calls_gets_the_next_one),
        BROKER_TEST(a_party_may_call_itself),
        BROKER_TEST(outcomes_of_the_provider_are_passed_on_as_they_are),
        BROKER_TEST(a_second_answer_is_not_found_and_counted),
        BROKER_TEST(nobody_answers_for_another_provider),
        BROKER_TEST(an_outcome_that_does_not_exist_is_an_error),
        BROKER_TEST(a_result_over_the_limit_is_too_large_for_the_caller),
        BROKER_TEST(texts_that_are_too_long_are_cut_between_characters),
        BROKER_TEST(the_ttl_is_counted_down_by_one),
        BROKER_TEST(a_call_whose_ttl_is_used_up_is_denied),
        BROKER_TEST(a_duplicate_is_no_dispatch_and_needs_no_ttl),
        BROKER_TEST(one_call_more_than_the_limit_is_denied),
        BROKER_TEST(a_joined_call_counts_for_the_limit_too),
        BROKER_TEST(calls_that_run_go_on_when_their_capability_is_withdrawn),
        BROKER_TEST(only_what_one_provides_itself_can_be_withdrawn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
