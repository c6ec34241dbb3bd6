/* SPDX-License-Identifier: Apache-2.0 */
/* The parties of a contract net: a proposal, the answer to it, and the result.
 *
 * A proposal belongs to the loop once it is sent: the answer, its deadline or the agent's end finishes and frees it. While
 * it is being sent, on any thread, the sender shares it, and the last of the two to finish frees it. */
#include <math.h>
#include <stdlib.h>

#include "base/str.h"
#include "sdk-c/collaboration/contract.h"
#include "sdk-c/collaboration/contract_score.h"

/* After the window the initiator chooses, and what it sends travels. */
#define AFTER_WINDOW_MS 30000u
#define WINDOW_MAX_MS 86400000u

/* Guard: the agent's lock, but for what is fixed. */
typedef struct party {
    exchange answer;
    agent_timer deadline;
    loom_on_award on_award;
    void *user;
    loom_envelope *award; /* for after_answer() */
    bool sending, over;
    char correlation[LOOM_THREAD_ID_MAX + 1];
    char initiator[LOOM_AGENT_ID_MAX + 1]; /* nobody else may answer: the call and its ids are known to all it reached */
} party;

static party *party_of(exchange *x)
{
    return (party *)((char *)x - offsetof(party, answer));
}

static void free_party(party *p)
{
    loom_envelope_unref(p->award);
    free(p);
}

/* On the loop, or its agent closes; lock not held, the exchange closed. */
static void finish(loom_agent *a, party *p)
{
    loom_status st = p->on_award(a, p->award, p->user);
    if (p->award != NULL && st != LOOM_OK && loom_agent_finish_award(a, p->award, st, (loom_bytes){0}) != LOOM_OK) {
        loom_span_add_event(loom_span_current(), "loom.contract.failure.untold", NULL, 0);
    }
    pthread_mutex_lock(&a->loop.lock);
    bool sending = p->sending;
    p->over = true;
    pthread_mutex_unlock(&a->loop.lock);
    if (!sending) {
        free_party(p);
    }
}

static void take_answer(loom_agent *a, exchange *x, loom_envelope *event)
{
    party *p = party_of(x);
    bool award = str_is(loom_envelope_type(event), CONTRACT_AWARD);
    if (!str_is(loom_envelope_sender(event), p->initiator)) {
        return;
    }
    if (!award && !str_is(loom_envelope_type(event), CONTRACT_REJECT)) {
        return;
    }
    p->award = award ? loom_envelope_ref(event) : NULL;
    loop_timer_clear(&a->loop, &p->deadline);
    exchange_close(a, x, false);
}

static void after_answer(loom_agent *a, exchange *x)
{
    finish(a, party_of(x));
}

static void abandon(loom_agent *a, exchange *x)
{
    party *p = party_of(x);
    pthread_mutex_lock(&a->loop.lock);
    loop_timer_clear(&a->loop, &p->deadline);
    pthread_mutex_unlock(&a->loop.lock);
    finish(a, p);
}

/* No answer. over: the proposal was not sent after all. */
static void on_deadline(loom_agent *a, agent_timer *timer)
{
    party *p = (party *)((char *)timer - offsetof(party, deadline));
    pthread_mutex_lock(&a->loop.lock);
    bool over = p->over;
    exchange_close(a, &p->answer, true);
    pthread_mutex_unlock(&a->loop.lock);
    if (over) {
        free_party(p);
    } else {
        finish(a, p);
    }
}

/* ---- proposing ---- */

static uint64_t deadline_of(const loom_envelope *call)
{
    loom_str text;
    uint32_t ms = 0;
    (void)loom_envelope_header(call, CONTRACT_WINDOW, &text);
    for (size_t i = 0; i < text.len && text.data[i] >= '0' && text.data[i] <= '9' && ms < WINDOW_MAX_MS; i++) {
        ms = ms * 10 + (uint32_t)(text.data[i] - '0');
    }
    return deadline_in((ms < WINDOW_MAX_MS ? ms : WINDOW_MAX_MS) + AFTER_WINDOW_MS, 0);
}

static loom_status make(party **out, const loom_envelope *call, loom_on_award on_award, void *user)
{
    char buf[LOOM_UUID_TEXT_SIZE];
    loom_str correlation = loom_envelope_correlation_id(call, buf), sender = loom_envelope_sender(call);
    if (correlation.len > LOOM_THREAD_ID_MAX || memchr(correlation.data, '\0', correlation.len) != NULL ||
        sender.len > LOOM_AGENT_ID_MAX) {
        return last_error(LOOM_EINVAL, "the call's correlation_id or sender is too long, or holds a NUL");
    }
    party *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return LOOM_ENOMEM;
    }
    memcpy(p->correlation, correlation.data, correlation.len);
    memcpy(p->initiator, sender.len > 0 ? sender.data : "", sender.len);
    p->answer.keyed = true;
    p->on_award = on_award;
    p->user = user;
    p->sending = true;
    p->answer.take = take_answer;
    p->answer.after = after_answer;
    p->answer.abandon = abandon;
    p->deadline.fire = on_deadline;
    *out = p;
    return LOOM_OK;
}

static loom_status open_answer(loom_agent *a, party *p, uint64_t deadline_ns, exchange_address *address)
{
    pthread_mutex_lock(&a->loop.lock);
    loom_status st = exchange_open(a, &p->answer, p->correlation);
    if (st == LOOM_OK) {
        *address = exchange_address_of(a, &p->answer);
        if ((st = loop_timer_set(&a->loop, &p->deadline, deadline_ns)) != LOOM_OK) {
            exchange_close(a, &p->answer, false);
        }
    }
    pthread_mutex_unlock(&a->loop.lock);
    return st;
}

/* What was not sent is answered by nobody. LOOM_OK: it was answered all the same, and on_award has run or does. */
static loom_status stop_sending(loom_agent *a, party *p, loom_status st)
{
    pthread_mutex_lock(&a->loop.lock);
    bool answered = p->answer.number == 0, over = p->over, firing = !answered && !agent_timer_is_set(&p->deadline);
    p->sending = false;
    if (st != LOOM_OK && !answered) {
        exchange_close(a, &p->answer, false);
        loop_timer_clear(&a->loop, &p->deadline);
        p->over = true;
    }
    pthread_mutex_unlock(&a->loop.lock);
    if (over || (st != LOOM_OK && !answered && !firing)) {
        free_party(p);
    }
    return answered ? LOOM_OK : st;
}

static loom_status propose(loom_agent *a, loom_envelope *call, double score, loom_bytes payload, party *p)
{
    char text[SCORE_SIZE];
    exchange_address address;
    loom_status st = open_answer(a, p, deadline_of(call), &address);
    if (st != LOOM_OK) {
        free_party(p);
        return st;
    }
    contract_score_to_text(text, score);
    loom_header header = {str_of(CONTRACT_SCORE), str_of(text)};
    loom_emit_options options = {.type = CONTRACT_PROPOSAL};
    return stop_sending(a, p, reply_with(a, call, payload, &options, &header, 1, &address));
}

loom_status loom_agent_propose(loom_agent *a, loom_envelope *call, double score, loom_bytes payload,
                               loom_on_award on_award, void *user)
{
    party *p;
    loom_status st = agent_check_payload(a, payload);
    if (st != LOOM_OK || call == NULL || on_award == NULL) {
        return st != LOOM_OK ? st : last_error_null(call == NULL ? "the call" : "on_award");
    }
    if (!isfinite(score)) {
        return last_error(LOOM_EINVAL, "the score is not a finite number");
    }
    st = make(&p, call, on_award, user);
    if (st != LOOM_OK) {
        return st;
    }
    loop_guest_enter(&a->loop);
    st = propose(a, call, score, payload, p);
    loop_guest_leave(&a->loop);
    return st;
}

loom_status loom_agent_finish_award(loom_agent *a, loom_envelope *award, loom_status status, loom_bytes payload)
{
    loom_status st = agent_check_payload(a, payload);
    if (st != LOOM_OK || award == NULL) {
        return st != LOOM_OK ? st : last_error_null("the award");
    }
    loom_emit_options options = {.type = status == LOOM_OK ? CONTRACT_RESULT : CONTRACT_FAILURE};
    return reply_with(a, award, payload, &options, NULL, 0, NULL);
}
