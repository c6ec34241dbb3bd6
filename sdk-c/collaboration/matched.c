/* SPDX-License-Identifier: Apache-2.0 */
/* An event whose publisher wants to know how many subscriptions it matched. */
#include "sdk-c/collaboration/mailbox.h"

typedef struct counted_event {
    exchange x;
    loom_agent *agent;
    emit_ask ask;
    bool answered;
    uint64_t matched;
} counted_event;

static void take_nothing(loom_agent *a, exchange *x, loom_envelope *event)
{
    (void)x;
    (void)event;
    a->collaboration->stats.replies--; /* its key is in no message: somebody has guessed it */
}

static void take_count(loom_agent *a, exchange *x, uint64_t found)
{
    counted_event *e = (counted_event *)x;
    e->answered = true;
    e->matched = found;
    exchange_close(a, x, false);
    loop_changed(&a->loop);
}

static bool is_over(void *user)
{
    const counted_event *e = user;
    return e->answered || e->agent->session.connection != e->ask.connection;
}

static loom_status emit_and_wait(counted_event *e, const char *topic, loom_bytes payload, const loom_emit_options *options,
                                 uint64_t deadline)
{
    loom_status st = emit_asking(e->agent, topic, payload, options, &e->ask);
    if (st != LOOM_OK || !e->ask.sent) {
        return st != LOOM_OK ? st : LOOM_EVERSION;
    }
    st = agent_wait_for(e->agent, is_over, e, deadline);
    return st == LOOM_OK && !e->answered ? LOOM_ENOTCONN : st;
}

static loom_status count(counted_event *e, const char *topic, loom_bytes payload, const loom_emit_options *options,
                         uint64_t deadline)
{
    loom_agent *a = e->agent;
    loom_status st = agent_may_wait(a);
    if (st != LOOM_OK || (st = collaboration_wait_ready(a, deadline)) != LOOM_OK) {
        return st;
    }
    pthread_mutex_lock(&a->loop.lock);
    st = exchange_open(a, &e->x, NULL);
    e->ask.number = e->x.number;
    pthread_mutex_unlock(&a->loop.lock);
    if (st != LOOM_OK) {
        return st;
    }
    st = emit_and_wait(e, topic, payload, options, deadline);
    pthread_mutex_lock(&a->loop.lock);
    exchange_close(a, &e->x, false);
    pthread_mutex_unlock(&a->loop.lock);
    return e->answered ? LOOM_OK : st;
}

loom_status loom_agent_emit_matched(loom_agent *a, const char *topic, loom_bytes payload, const loom_emit_options *options,
                                    uint32_t timeout_ms, uint64_t *matched)
{
    loom_status st = agent_check_payload(a, payload);
    if (st != LOOM_OK) {
        return st;
    }
    if (topic == NULL || matched == NULL) {
        return last_error_null(topic == NULL ? "the topic" : "the place for the number");
    }
    *matched = 0;
    if ((st = emit_check(topic, options)) != LOOM_OK) {
        return st;
    }
    counted_event e = {.x = {.take = take_nothing, .matched = take_count}, .agent = a, .ask.how = FRAME_ASK_ALWAYS};
    loop_guest_enter(&a->loop);
    st = count(&e, topic, payload, options, deadline_in(timeout_ms, WAIT_DEFAULT_MS));
    loop_guest_leave(&a->loop);
    *matched = e.matched;
    return st == LOOM_OK && e.matched == 0 ? LOOM_ENORESPONDERS : st;
}
