/* SPDX-License-Identifier: Apache-2.0 */
/* The initiator of a contract net: calls for proposals, awards the best, waits for the results.
 *
 * One exchange hears everything, and tells what it hears by its type and its sender. It lies on the stack of the waiting
 * call; what is collected is the caller's in the end. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "sdk-c/collaboration/agent_set.h"
#include "sdk-c/collaboration/contract.h"
#include "sdk-c/collaboration/contract_score.h"
#include "sdk-c/collaboration/joining.h"

#define WINDOW_DEFAULT_MS 1000u

/* Guard: the agent's lock, but for what is fixed. */
typedef struct negotiation {
    exchange call;
    const loom_contract_options *options;
    loom_contract *contract;
    loom_proposal *items;     /* the contract's; fixed, but for states and results, once awarding */
    size_t capacity;
    agent_set proposers;
    loom_envelope **refused;  /* to be rejected: further proposals of an agent, late ones, and those without a score */
    size_t refused_count, refused_capacity;
    bool awarding;
    uint32_t settled;         /* awards with a result, and such as could not be sent */
    uint64_t proposed_at, finished_at; /* Unix ns: the first proposal and the first result */
} negotiation;

/* ---- proposals ---- */

static bool grow(void **items, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity) {
        return true;
    }
    size_t more = *capacity > 0 ? *capacity * 2 : 8;
    void *moved = realloc(*items, more * size);
    if (moved == NULL) {
        return false;
    }
    *items = moved;
    *capacity = more;
    return true;
}

static void refuse(negotiation *n, loom_envelope *event)
{
    n->contract->ignored++;
    void *items = n->refused;
    if (n->refused_count < LOOM_CONTRIBUTIONS_MAX &&
        grow(&items, n->refused_count, &n->refused_capacity, sizeof *n->refused)) {
        n->refused = items;
        n->refused[n->refused_count++] = loom_envelope_ref(event);
    } /* without memory for it, its agent's own deadline ends it */
}

/* Behind those that are as good. */
static size_t place_of(const negotiation *n, double score)
{
    size_t low = 0, high = n->contract->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        double other = n->items[middle].score;
        bool better = n->options->lowest_first ? score < other : score > other;
        if (better) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

static loom_status add_proposal(negotiation *n, loom_envelope *event, double score)
{
    loom_contract *c = n->contract;
    loom_str sender = loom_envelope_sender(event);
    void *items = n->items;
    if (!grow(&items, c->count, &n->capacity, sizeof *n->items)) {
        return LOOM_ENOMEM;
    }
    c->proposals = n->items = items;
    char *agent = strndup(sender.len > 0 ? sender.data : "", sender.len);
    if (agent == NULL) {
        return LOOM_ENOMEM;
    }
    loom_status st = agent_set_add(&n->proposers, sender, LOOM_CONTRIBUTIONS_MAX);
    if (st != LOOM_OK) {
        free(agent);
        return st;
    }
    size_t at = place_of(n, score);
    memmove(n->items + at + 1, n->items + at, (c->count - at) * sizeof *n->items);
    n->items[at] = (loom_proposal){.agent = agent, .score = score, .event = loom_envelope_ref(event)};
    n->proposed_at = c->count++ == 0 ? clock_unix_ns() : n->proposed_at;
    return LOOM_OK;
}

static void take_proposal(loom_agent *a, negotiation *n, loom_envelope *event)
{
    loom_str text;
    double score;
    (void)loom_envelope_header(event, CONTRACT_SCORE, &text);
    if (n->awarding || !contract_score_from_text(&score, text) || add_proposal(n, event, score) != LOOM_OK) {
        refuse(n, event);
    } else if (n->options->enough > 0 && n->contract->count >= n->options->enough) {
        loop_changed(&a->loop);
    }
}

/* ---- results ---- */

static void take_result(loom_agent *a, negotiation *n, loom_envelope *event, bool completed)
{
    for (uint32_t i = 0; i < n->contract->awarded; i++) {
        loom_proposal *p = &n->items[i];
        if (p->result == NULL && str_is(loom_envelope_sender(event), p->agent)) {
            p->state = completed ? LOOM_PROPOSAL_COMPLETED : LOOM_PROPOSAL_FAILED;
            p->result = loom_envelope_ref(event);
            n->finished_at = n->finished_at == 0 ? clock_unix_ns() : n->finished_at;
            n->settled++;
            loop_changed(&a->loop);
            return;
        }
    }
}

static void take(loom_agent *a, exchange *x, loom_envelope *event)
{
    negotiation *n = (negotiation *)((char *)x - offsetof(negotiation, call));
    loom_str type = loom_envelope_type(event);
    if (str_is(type, CONTRACT_PROPOSAL)) {
        take_proposal(a, n, event);
    } else if (str_is(type, CONTRACT_RESULT) || str_is(type, CONTRACT_FAILURE)) {
        take_result(a, n, event, str_is(type, CONTRACT_RESULT));
    }
}

static bool has_enough(void *user)
{
    const negotiation *n = user;
    return n->options->enough > 0 && n->contract->count >= n->options->enough;
}

static bool is_settled(void *user)
{
    const negotiation *n = user;
    return n->settled >= n->contract->awarded;
}

/* ---- the spans of what was collected ---- */

/* A join needs memory of its own; without it, its span is missing, and nothing else. */
static void join_proposals(loom_agent *a, const negotiation *n, bool results)
{
    const loom_contract *c = n->contract;
    uint32_t expected = results ? c->awarded : n->options->enough;
    join_tally tally = {.expected = expected, .needed = expected};
    join *j = join_create((loom_str){"", 0}, &tally);
    loom_status st = j != NULL ? join_set_parent(j, NULL, NULL) : LOOM_ENOMEM;
    for (size_t i = 0; st == LOOM_OK && i < (results ? c->awarded : c->count); i++) {
        loom_envelope *event = results ? c->proposals[i].result : c->proposals[i].event;
        if (event != NULL) {
            bool failed = results && c->proposals[i].state == LOOM_PROPOSAL_FAILED;
            st = join_add(j, str_of(c->proposals[i].agent), i, failed ? LOOM_EREMOTE : LOOM_OK, event, NULL);
        }
    }
    if (st == LOOM_OK) {
        j->first_unix_ns = results ? n->finished_at : n->proposed_at;
        bool all = results ? c->missing == 0 && c->failed == 0 : c->count > 0 && c->count >= expected;
        loom_join_outcome otherwise = results && c->failed > 0 ? LOOM_JOIN_FAILED : LOOM_JOIN_TIMEOUT;
        loom_join_outcome outcome = all ? LOOM_JOIN_COMPLETE : otherwise;
        (void)join_finish(j, outcome);
        current_span span = join_span_begin(a, j);
        current_span_end(&span);
    }
    join_free(j);
}

/* ---- the course of it ---- */

static loom_status call(loom_agent *a, negotiation *n, const char *topic, loom_bytes task, uint32_t window_ms)
{
    char window[16];
    snprintf(window, sizeof window, "%" PRIu32, window_ms);
    loom_header header = {str_of(CONTRACT_WINDOW), str_of(window)};
    loom_emit_options options = {.type = CONTRACT_CALL,
                                 .thread_id = n->options->thread_id,
                                 .content_type = n->options->content_type,
                                 .headers = &header,
                                 .header_count = 1};
    pthread_mutex_lock(&a->loop.lock);
    loom_status st = exchange_open(a, &n->call, NULL);
    exchange_address address = {0};
    if (st == LOOM_OK) {
        address = exchange_address_of(a, &n->call);
    }
    pthread_mutex_unlock(&a->loop.lock);
    return st == LOOM_OK ? exchange_emit(a, &address, topic, task, &options) : st;
}

/* The window is over: what comes now is late. */
static void choose(loom_agent *a, negotiation *n, uint32_t awards)
{
    pthread_mutex_lock(&a->loop.lock);
    loom_contract *c = n->contract;
    n->awarding = true;
    c->awarded = awards < c->count ? awards : (uint32_t)c->count;
    for (size_t i = 0; i < c->count; i++) {
        n->items[i].state = i < c->awarded ? LOOM_PROPOSAL_MISSING : LOOM_PROPOSAL_REJECTED;
    }
    pthread_mutex_unlock(&a->loop.lock);
}

static void reject(loom_agent *a, loom_envelope *proposal)
{
    loom_emit_options options = {.type = CONTRACT_REJECT};
    if (reply_with(a, proposal, (loom_bytes){0}, &options, NULL, 0, NULL) != LOOM_OK) {
        loom_span_add_event(loom_span_current(), "loom.contract.rejection.untold", NULL, 0);
    }
}

static void reject_refused(loom_agent *a, negotiation *n)
{
    pthread_mutex_lock(&a->loop.lock);
    loom_envelope **refused = n->refused;
    size_t count = n->refused_count;
    n->refused = NULL;
    n->refused_count = n->refused_capacity = 0;
    pthread_mutex_unlock(&a->loop.lock);
    for (size_t i = 0; i < count; i++) {
        reject(a, refused[i]);
        loom_envelope_unref(refused[i]);
    }
    free(refused);
}

/* The award brings the task along: the proposer need not have kept the call. */
static void tell(loom_agent *a, negotiation *n, loom_bytes task)
{
    const loom_contract *c = n->contract;
    loom_emit_options options = {.type = CONTRACT_AWARD, .content_type = n->options->content_type};
    pthread_mutex_lock(&a->loop.lock);
    exchange_address address = exchange_address_of(a, &n->call);
    pthread_mutex_unlock(&a->loop.lock);
    for (size_t i = 0; i < c->awarded; i++) {
        if (reply_with(a, n->items[i].event, task, &options, NULL, 0, &address) != LOOM_OK) {
            loom_span_add_event(loom_span_current(), "loom.contract.award.unsent", NULL, 0);
            pthread_mutex_lock(&a->loop.lock);
            n->settled += n->items[i].result == NULL;
            pthread_mutex_unlock(&a->loop.lock);
        }
    }
    for (size_t i = c->awarded; i < c->count; i++) {
        reject(a, n->items[i].event);
    }
    reject_refused(a, n);
}

/* Nobody adds to it any more. */
static void count_states(negotiation *n)
{
    loom_contract *c = n->contract;
    for (size_t i = 0; i < c->awarded; i++) {
        c->completed += n->items[i].state == LOOM_PROPOSAL_COMPLETED;
        c->failed += n->items[i].state == LOOM_PROPOSAL_FAILED;
        c->missing += n->items[i].state == LOOM_PROPOSAL_MISSING;
    }
}

static loom_status close_call(loom_agent *a, negotiation *n, loom_status st)
{
    pthread_mutex_lock(&a->loop.lock);
    count_states(n);
    const loom_contract *c = n->contract;
    exchange_close(a, &n->call, c->count == 0 || c->missing > 0);
    pthread_mutex_unlock(&a->loop.lock);
    if (c->awarded > 0) {
        join_proposals(a, n, true);
    }
    reject_refused(a, n);
    agent_set_fini(&n->proposers);
    if (st != LOOM_OK && st != LOOM_ETIMEDOUT) {
        return st;
    }
    if (c->count == 0) {
        return LOOM_ENORESPONDERS;
    }
    return c->failed > 0 ? LOOM_EREMOTE : c->missing > 0 ? LOOM_ETIMEDOUT : LOOM_OK;
}

/* Proposals have been asked for. When waiting goes wrong, all are rejected. */
static loom_status negotiate(loom_agent *a, negotiation *n, loom_bytes task, uint32_t window_ms)
{
    loom_status st = agent_wait_for(a, has_enough, n, deadline_in(window_ms, 0));
    bool goes_on = st == LOOM_OK || st == LOOM_ETIMEDOUT;
    uint32_t awards = n->options->awards > 0 ? n->options->awards : 1;
    choose(a, n, goes_on ? awards : 0);
    if (n->contract->count > 0) {
        join_proposals(a, n, false);
    }
    tell(a, n, task);
    if (goes_on && n->contract->awarded > 0) {
        st = agent_wait_for(a, is_settled, n, deadline_in(n->options->result_ms, WAIT_DEFAULT_MS));
    }
    return close_call(a, n, st);
}

static loom_status begin(loom_agent *a, const char *topic, loom_bytes task, const loom_contract_options *options,
                         loom_contract **out)
{
    negotiation n = {.call = {.take = take}, .options = options, .contract = calloc(1, sizeof *n.contract)};
    uint32_t window_ms = options->window_ms > 0 ? options->window_ms : WINDOW_DEFAULT_MS;
    if (n.contract == NULL) {
        return LOOM_ENOMEM;
    }
    loom_status st = agent_may_wait(a);
    if (st == LOOM_OK) {
        st = collaboration_wait_ready(a, deadline_in(options->result_ms, WAIT_DEFAULT_MS));
    }
    if (st != LOOM_OK) {
        free(n.contract);
        return st;
    }
    current_span span = fanout_span_begin(a, 1);
    if ((st = call(a, &n, topic, task, window_ms)) == LOOM_OK) {
        st = negotiate(a, &n, task, window_ms);
        *out = n.contract;
        loom_span_set_int(span.span, "loom.contract.proposals", (int64_t)n.contract->count);
        loom_span_set_int(span.span, "loom.contract.awarded", n.contract->awarded);
    } else {
        (void)close_call(a, &n, st); /* it may have been received all the same */
        loom_contract_free(n.contract);
    }
    if (st != LOOM_OK) {
        loom_span_record_error(span.span, loom_status_name(st), loom_status_text(st));
    }
    current_span_end(&span);
    return st;
}

loom_status loom_agent_call_for_proposals(loom_agent *a, const char *topic, loom_bytes task,
                                          const loom_contract_options *options, loom_contract **out)
{
    static const loom_contract_options none;
    if (out == NULL) {
        return last_error_null("the place for the contract");
    }
    *out = NULL;
    loom_status st = agent_check_payload(a, task);
    if (st != LOOM_OK || topic == NULL) {
        return st != LOOM_OK ? st : last_error_null("the topic");
    }
    loop_guest_enter(&a->loop);
    st = begin(a, topic, task, options != NULL ? options : &none, out);
    loop_guest_leave(&a->loop);
    return st;
}

void loom_contract_free(loom_contract *c)
{
    if (c == NULL) {
        return;
    }
    for (size_t i = 0; i < c->count; i++) {
        free((char *)(uintptr_t)c->proposals[i].agent);
        loom_envelope_unref(c->proposals[i].event);
        loom_envelope_unref(c->proposals[i].result);
    }
    free((loom_proposal *)(uintptr_t)c->proposals);
    free(c);
}
