/* SPDX-License-Identifier: Apache-2.0 */
/* The contract net: proposals, awards, rejections, results. */
#include <loom/loom.h>

#include <locale.h>
#include <math.h>
#include <stdlib.h>

#include "sdk-c/collaboration/contract.h"
#include "sdk-c/collaboration/contract_score.h"
#include "tests/support/alloc_fault.h"
#include "tests/unit/sdk/fake_hub.h"
#include "tests/unit/sdk/span_file.h"

#define TEXT(literal) ((loom_bytes){(const uint8_t *)literal, sizeof literal - 1})

typedef enum conduct { SILENT, WORKS, FAILS, REFUSES, DAWDLES, PROPOSES_TWICE, BABBLES, KEEPS } conduct;

typedef struct contractor {
    loom_agent *agent;
    double score;
    conduct conduct;
    atomic_uint proposed, awarded, rejected;
    loom_envelope *kept; /* an award, of one that dawdles; its loop's, until awarded has been read */
    _Atomic(loom_envelope *) proposal; /* of one that keeps it */
} contractor;

typedef struct fixture {
    fake_hub hub;
    span_file spans;
    contractor parties[3]; /* the first one calls */
} fixture;

static const char *const names[] = {"ann", "ben", "cat", NULL};

static loom_status on_award(loom_agent *agent, loom_envelope *award, void *user)
{
    contractor *c = user;
    if (award == NULL) {
        atomic_fetch_add(&c->rejected, 1);
        return LOOM_OK;
    }
    loom_status st = LOOM_OK;
    switch (c->conduct) {
    case FAILS: st = loom_agent_finish_award(agent, award, LOOM_EIO, TEXT("broken")); break;
    case REFUSES: st = LOOM_EBUSY; break;
    case DAWDLES: c->kept = loom_envelope_ref(award); break;
    default: st = loom_agent_finish_award(agent, award, LOOM_OK, loom_envelope_payload(award)); break;
    }
    atomic_fetch_add(&c->awarded, 1);
    return st;
}

static loom_status on_call(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    (void)topic;
    contractor *c = user;
    if (c->conduct == SILENT) {
        return LOOM_OK;
    }
    if (c->conduct == KEEPS) {
        atomic_store(&c->proposal, loom_envelope_ref(event));
        return LOOM_OK;
    }
    if (c->conduct == BABBLES) {
        return loom_agent_reply(agent, event, TEXT("me"), &(loom_emit_options){.type = CONTRACT_PROPOSAL});
    }
    loom_status st = loom_agent_propose(agent, event, c->score, TEXT("mine"), on_award, c);
    if (st == LOOM_OK) {
        atomic_fetch_add(&c->proposed, 1);
    }
    if (st == LOOM_OK && c->conduct == PROPOSES_TWICE) {
        st = loom_agent_propose(agent, event, c->score + 100, TEXT("mine too"), on_award, c);
    }
    return st;
}

static int set_up(void **state)
{
    static const char *const topics[] = {"jobs", NULL};
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    setenv("LOOM_TELEMETRY_AUTO", "0", 1);
    fake_hub_start(&f->hub, names);
    span_file_open(&f->spans, f->hub.bridges[0].folder, LOOM_SAMPLER_ALWAYS_ON);
    for (unsigned i = 0; i < 3; i++) {
        contractor *c = &f->parties[i];
        loom_agent_options options = {.id = names[i],
                                      .url = f->hub.bridges[i].url,
                                      .topics = topics,
                                      .on_event = on_call,
                                      .user = c,
                                      .telemetry = i == 0 ? f->spans.provider : NULL};
        c->conduct = i == 0 ? SILENT : WORKS;
        c->score = i;
        assert_status(LOOM_OK, loom_agent_open(&c->agent, &options));
        assert_status(LOOM_OK, loom_agent_wait_connected(c->agent, FAKE_DEADLINE_MS));
    }
    *state = f;
    return 0;
}

static void close_agents(fixture *f)
{
    for (unsigned i = 0; i < 3; i++) {
        loom_agent_close_within(f->parties[i].agent, 100);
        f->parties[i].agent = NULL;
        loom_envelope_unref(f->parties[i].kept);
        f->parties[i].kept = NULL;
        loom_envelope_unref(atomic_exchange(&f->parties[i].proposal, NULL));
    }
}

static int tear_down(void **state)
{
    fixture *f = *state;
    close_agents(f);
    span_file_close(&f->spans);
    fake_hub_end(&f->hub);
    free(f);
    return 0;
}

static loom_status call(fixture *f, loom_contract_options options, loom_contract **out)
{
    options.window_ms = options.window_ms > 0 ? options.window_ms : FAKE_DEADLINE_MS;
    options.enough = options.enough > 0 ? options.enough : 2;
    return loom_agent_call_for_proposals(f->parties[0].agent, "jobs", TEXT("dig"), &options, out);
}

static bool told(const contractor *c, unsigned awarded, unsigned rejected)
{
    return atomic_load(&c->awarded) == awarded && atomic_load(&c->rejected) == rejected;
}

/* ---- tests ---- */

static void the_best_is_awarded_and_the_others_are_told(void **state)
{
    fixture *f = *state;
    loom_contract *c;
    assert_status(LOOM_OK, call(f, (loom_contract_options){0}, &c));
    assert_int_equal(2, c->count);
    assert_string_equal("cat", c->proposals[0].agent);
    assert_int_equal(LOOM_PROPOSAL_COMPLETED, c->proposals[0].state);
    assert_int_equal(3, loom_envelope_payload(c->proposals[0].result).len);
    assert_memory_equal("dig", loom_envelope_payload(c->proposals[0].result).data, 3);
    assert_string_equal("ben", c->proposals[1].agent);
    assert_int_equal(LOOM_PROPOSAL_REJECTED, c->proposals[1].state);
    assert_null(c->proposals[1].result);
    assert_int_equal(1, c->awarded);
    assert_int_equal(1, c->completed);
    loom_contract_free(c);
    wait_until(told(&f->parties[1], 0, 1) && told(&f->parties[2], 1, 0), FAKE_DEADLINE_MS);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(0, loom_agent_collaboration(f->parties[i].agent).open);
    }
}

static void the_lowest_may_be_the_best(void **state)
{
    fixture *f = *state;
    loom_contract *c;
    f->parties[1].score = -0.5;
    assert_status(LOOM_OK, call(f, (loom_contract_options){.lowest_first = true}, &c));
    assert_string_equal("ben", c->proposals[0].agent);
    assert_true(fabs(c->proposals[0].score + 0.5) < 1e-12);
    loom_contract_free(c);
}

static void several_may_be_awarded(void **state)
{
    fixture *f = *state;
    loom_contract *c;
    assert_status(LOOM_OK, call(f, (loom_contract_options){.awards = 5}, &c));
    assert_int_equal(2, c->awarded);
    assert_int_equal(2, c->completed);
    loom_contract_free(c);
}

static void without_proposals_there_is_nobody_to_award(void **state)
{
    fixture *f = *state;
    loom_contract *c;
    f->parties[1].conduct = f->parties[2].conduct = SILENT;
    assert_status(LOOM_ENORESPONDERS, call(f, (loom_contract_options){.window_ms = 30}, &c));
    assert_int_equal(0, c->count);
    loom_contract_free(c);
}

static void a_failure_is_told_to_the_initiator(void **state)
{
    fixture *f = *state;
    static const conduct bad[] = {FAILS, REFUSES};
    for (size_t i = 0; i < 2; i++) {
        loom_contract *c;
        f->parties[2].conduct = bad[i];
        assert_status(LOOM_EREMOTE, call(f, (loom_contract_options){.awards = 2}, &c));
        assert_int_equal(1, c->failed);
        assert_int_equal(1, c->completed);
        assert_int_equal(LOOM_PROPOSAL_FAILED, c->proposals[0].state);
        assert_non_null(c->proposals[0].result);
        loom_contract_free(c);
    }
}

static void no_result_in_time_is_missing(void **state)
{
    fixture *f = *state;
    loom_contract *c;
    f->parties[2].conduct = DAWDLES;
    assert_status(LOOM_ETIMEDOUT, call(f, (loom_contract_options){.result_ms = 50}, &c));
    assert_int_equal(1, c->missing);
    assert_int_equal(LOOM_PROPOSAL_MISSING, c->proposals[0].state);
    assert_null(c->proposals[0].result);
    loom_contract_free(c);
    wait_until(told(&f->parties[2], 1, 0), FAKE_DEADLINE_MS);
    assert_status(LOOM_OK, loom_agent_finish_award(f->parties[2].agent, f->parties[2].kept, LOOM_OK, TEXT("late")));
    wait_until(loom_agent_collaboration(f->parties[0].agent).late_replies == 1, FAKE_DEADLINE_MS);
}

static void second_proposals_and_such_without_a_score_do_not_count(void **state)
{
    fixture *f = *state;
    loom_contract *c;
    f->parties[1].conduct = PROPOSES_TWICE;
    f->parties[2].conduct = BABBLES;
    assert_status(LOOM_OK, call(f, (loom_contract_options){.window_ms = 200}, &c));
    assert_int_equal(1, c->count);
    assert_true(fabs(c->proposals[0].score - 1) < 1e-12);
    assert_int_equal(2, c->ignored);
    loom_contract_free(c);
    wait_until(told(&f->parties[1], 1, 1), FAKE_DEADLINE_MS);
}

static void closing_answers_a_proposal(void **state)
{
    fixture *f = *state;
    loom_contract *c;
    f->parties[2].conduct = SILENT;
    assert_status(LOOM_OK, loom_agent_emit_text(f->parties[0].agent, "jobs", "no call", NULL)); /* nobody answers it */
    wait_until(atomic_load(&f->parties[1].proposed) == 1, FAKE_DEADLINE_MS); /* it is open before it is made, which may still fail */
    loom_agent_close_within(f->parties[1].agent, 100);
    f->parties[1].agent = NULL;
    assert_true(told(&f->parties[1], 0, 1));
    assert_status(LOOM_ENORESPONDERS, call(f, (loom_contract_options){.window_ms = 10}, &c));
    loom_contract_free(c);
}

static void the_spans_are_a_fanout_over_two_joins(void **state)
{
    fixture *f = *state;
    loom_contract *c;
    unsigned joins = 0;
    assert_status(LOOM_OK, call(f, (loom_contract_options){0}, &c));
    loom_contract_free(c);
    close_agents(f);
    assert_true(span_file_read(&f->spans) > 0);
    json_t *fanout = span_file_named(&f->spans, "agent.fanout"), *span;
    size_t i;
    json_array_foreach(f->spans.spans, i, span) {
        if (strcmp(span_text(span, "name"), "agent.join") == 0) {
            size_t links = json_array_size(json_object_get(span, "links"));
            assert_string_equal(span_text(fanout, "spanId"), span_text(span, "parentSpanId"));
            assert_int_equal(joins++ == 0 ? 2 : 1, links);
        }
    }
    assert_int_equal(2, joins);
}

static void *close_soon(void *user)
{
    fixture *f = user;
    wait_until(loom_agent_collaboration(f->parties[1].agent).open == 1, FAKE_DEADLINE_MS);
    loom_agent_close_within(f->parties[0].agent, 100);
    return NULL;
}

static void closing_ends_the_window_and_awards_nobody(void **state)
{
    fixture *f = *state;
    loom_contract *c;
    pthread_t closer;
    assert_int_equal(0, pthread_create(&closer, NULL, close_soon, f));
    assert_status(LOOM_ECLOSED, call(f, (loom_contract_options){.enough = 3}, &c));
    pthread_join(closer, NULL);
    f->parties[0].agent = NULL;
    assert_non_null(c);
    assert_int_equal(0, c->awarded + c->missing);
    loom_contract_free(c);
}

static void in_poll_mode_the_caller_drives(void **state)
{
    fixture *f = *state;
    loom_contract *c;
    contractor *ann = &f->parties[0];
    loom_agent_close_within(ann->agent, 100);
    loom_agent_options options = {.id = "ann", .url = f->hub.bridges[0].url, .poll_mode = true};
    assert_status(LOOM_OK, loom_agent_open(&ann->agent, &options));
    assert_status(LOOM_OK, call(f, (loom_contract_options){.awards = 2}, &c));
    assert_int_equal(2, c->completed);
    loom_contract_free(c);
}

static void bad_arguments_are_refused(void **state)
{
    fixture *f = *state;
    loom_contract *c;
    loom_agent *agent = f->parties[0].agent;
    assert_status(LOOM_EINVAL, loom_agent_call_for_proposals(NULL, "jobs", TEXT("x"), NULL, &c));
    assert_status(LOOM_EINVAL, loom_agent_call_for_proposals(agent, NULL, TEXT("x"), NULL, &c));
    assert_status(LOOM_EINVAL, loom_agent_call_for_proposals(agent, "a b", TEXT("x"), NULL, &c));
    assert_null(c);
    loom_envelope *env;
    assert_status(LOOM_OK, loom_envelope_create(&env, &(loom_envelope_fields){.topic = STR("jobs")}));
    assert_status(LOOM_EINVAL, loom_agent_propose(agent, env, (double)NAN, TEXT("x"), on_award, NULL));
    assert_status(LOOM_EINVAL, loom_agent_propose(agent, env, (double)INFINITY, TEXT("x"), on_award, NULL));
    assert_status(LOOM_EINVAL, loom_agent_propose(agent, NULL, 1, TEXT("x"), on_award, NULL));
    assert_status(LOOM_EINVAL, loom_agent_propose(agent, env, 1, TEXT("x"), NULL, NULL));
    assert_status(LOOM_EINVAL, loom_agent_finish_award(agent, NULL, LOOM_OK, TEXT("x")));
    loom_envelope_unref(env);
    loom_contract_free(NULL);
}

/* The call was public, and so are its ids. */
static void an_award_is_the_initiators_and_names_the_proposal(void **state)
{
    fixture *f = *state;
    contractor *ann = &f->parties[0], *ben = &f->parties[1], *cat = &f->parties[2];
    loom_envelope *env;
    loom_emit_options award = {.type = CONTRACT_AWARD, .correlation_id = "known-to-all"};
    loom_envelope_fields fields = {.topic = STR("jobs"), .sender = STR("ann"), .reply_to = STR("agent.ann.replies"),
                                   .correlation_id = STR("known-to-all")};
    ann->conduct = KEEPS;
    ben->conduct = DAWDLES;
    assert_status(LOOM_OK, loom_envelope_create(&env, &fields));
    assert_status(LOOM_OK, loom_agent_propose(ben->agent, env, 1, TEXT("mine"), on_award, ben));
    loom_envelope_unref(env);
    wait_until(atomic_load(&ann->proposal) != NULL, FAKE_DEADLINE_MS);
    ben->conduct = SILENT; /* what is no award comes to its handler */
    assert_status(LOOM_OK, loom_agent_reply(cat->agent, ann->proposal, TEXT("not ann's"), &award));
    wait_until(loom_agent_collaboration(ben->agent).replies == 1, FAKE_DEADLINE_MS);
    uint64_t received = loom_agent_get_stats(ben->agent).received;
    assert_status(LOOM_OK, loom_agent_emit(ann->agent, "agent.ben.replies", TEXT("without a key"), &award));
    wait_until(loom_agent_get_stats(ben->agent).received > received, FAKE_DEADLINE_MS);
    assert_int_equal(0, atomic_load(&ben->awarded));
    ben->conduct = DAWDLES;
    assert_status(LOOM_OK, loom_agent_reply(ann->agent, ann->proposal, TEXT("ann's"), &award));
    wait_until(atomic_load(&ben->awarded) == 1, FAKE_DEADLINE_MS);
    assert_str("ann", loom_envelope_sender(ben->kept));
    assert_int_equal(sizeof "ann's" - 1, loom_envelope_payload(ben->kept).len);
}

static void scores_travel_as_decimal_numbers(void **state)
{
    (void)state;
    static const double scores[] = {0, 1, -1, 0.1, 1e300, -2.5e-300, 123456789.125};
    static const char *const locales[] = {"C", "de_DE.UTF-8"};
    static const char *const bad[] = {"", "nan", "inf", "1,5", "0x10", "1 ", " 1", "1e999", "--1", "1.2.3", "e"};
    double score;
    for (size_t l = 0; l < 2; l++) {
        if (setlocale(LC_NUMERIC, locales[l]) == NULL) {
            continue;
        }
        for (size_t i = 0; i < sizeof scores / sizeof *scores; i++) {
            char text[SCORE_SIZE];
            contract_score_to_text(text, scores[i]);
            assert_null(strchr(text, ','));
            assert_true(contract_score_from_text(&score, str_of(text)));
            assert_memory_equal(&scores[i], &score, sizeof score);
        }
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
            assert_false(contract_score_from_text(&score, str_of(bad[i])));
        }
    }
    setlocale(LC_NUMERIC, "C");
}

static loom_status contract_of_one(void *user)
{
    fixture *f = user;
    loom_contract *c;
    loom_status st = call(f, (loom_contract_options){.enough = 1}, &c);
    loom_contract_free(c);
    return st;
}

static loom_status propose_once(void *user)
{
    fixture *f = user;
    loom_envelope *env;
    loom_envelope_fields fields = {.topic = STR("jobs"), .sender = STR("ann"), .reply_to = STR("nowhere")};
    loom_status st = loom_envelope_create(&env, &fields);
    if (st == LOOM_OK) {
        st = loom_agent_propose(f->parties[1].agent, env, 1, TEXT("x"), on_award, &f->parties[1]);
        loom_envelope_unref(env);
    }
    return st;
}

static void without_memory_nothing_is_left_behind(void **state)
{
    fixture *f = *state;
    assert_true(alloc_fault_each_survived(contract_of_one, f) > 2);
    assert_int_equal(0, loom_agent_collaboration(f->parties[0].agent).open);
    assert_true(alloc_fault_each_survived(propose_once, f) >= 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_best_is_awarded_and_the_others_are_told),
        TEST(the_lowest_may_be_the_best),
        TEST(several_may_be_awarded),
        TEST(without_proposals_there_is_nobody_to_award),
        TEST(a_failure_is_told_to_the_initiator),
        TEST(no_result_in_time_is_missing),
        TEST(second_proposals_and_such_without_a_score_do_not_count),
        TEST(closing_answers_a_proposal),
        TEST(the_spans_are_a_fanout_over_two_joins),
        TEST(closing_ends_the_window_and_awards_nobody),
        TEST(in_poll_mode_the_caller_drives),
        TEST(bad_arguments_are_refused),
        cmocka_unit_test(scores_travel_as_decimal_numbers),
        TEST(an_award_is_the_initiators_and_names_the_proposal),
        TEST(without_memory_nothing_is_left_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
