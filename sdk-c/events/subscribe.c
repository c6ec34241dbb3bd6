/* SPDX-License-Identifier: Apache-2.0 */
/* Subscribing, from any thread, and what the bridge answers. Guard: the loop's lock. */
#include "sdk-c/events/subscribe.h"

#include <stdio.h>

#include "sdk-c/agent/report.h"

/* Requests are numbered by what they ask: a subscription's number, doubled. */
static uint64_t subscribe_request(uint64_t number)
{
    return number * 2;
}

static uint64_t unsubscribe_request(uint64_t number)
{
    return number * 2 + 1;
}

/* NULL: the request was another one, or its subscription has gone. */
static subscription *find_requested(const loom_agent *a, uint64_t request)
{
    return request % 2 == 0 ? subscriptions_find(&a->events->subs, request / 2) : NULL;
}

static loom_status put(loom_agent *a, const subscription *sub)
{
    return subscription_put(sub, &a->loop.out.control, subscribe_request(sub->number));
}

/* ---- the session ---- */

loom_status subscriptions_announce(loom_agent *a)
{
    const subscriptions *subs = &a->events->subs;
    loom_status st = LOOM_OK;
    for (size_t i = 0; i < subs->count && st == LOOM_OK; i++) {
        st = put(a, subs->items[i]);
    }
    return st;
}

void subscriptions_broken(loom_agent *a)
{
    subscriptions_forget_answers(&a->events->subs);
}

void subscriptions_on_ack(loom_agent *a, const frame_outcome *ack)
{
    char text[SESSION_TEXT_SIZE] = "";
    loom_status answer = ack->status == LOOM_OK ? LOOM_OK : session_status_of(ack->status, LOOM_EPROTO);
    pthread_mutex_lock(&a->loop.lock);
    subscription *sub = find_requested(a, ack->request);
    if (sub != NULL) {
        subscription_answered(sub, answer);
        loop_changed(&a->loop);
        snprintf(text, sizeof text, "subscription to %.100s %s: %.*s", sub->filter, answer == LOOM_OK ? "does not get all it asks for" : "refused",
                 (int)(ack->text.len < 160 ? ack->text.len : 160), ack->text.len > 0 ? ack->text.data : "");
    }
    pthread_mutex_unlock(&a->loop.lock);
    if (sub != NULL && (answer != LOOM_OK || ack->text.len > 0)) {
        report_refusal(a, answer != LOOM_OK ? answer : LOOM_ETOOBIG, text);
    }
}

uint64_t subscriptions_last(loom_agent *a)
{
    pthread_mutex_lock(&a->loop.lock);
    uint64_t number = a->events->subs.last_number;
    pthread_mutex_unlock(&a->loop.lock);
    return number;
}

bool subscriptions_answer(const loom_agent *a, uint64_t last_number, loom_status *answer)
{
    return subscriptions_answered(&a->events->subs, last_number, answer);
}

void subscription_make_immediate(loom_agent *a, subscription *sub)
{
    sub->immediate = true;
    atomic_fetch_add(&a->events->generation, 1);
}

/* ---- subscribe and unsubscribe ---- */

loom_status loom_agent_subscribe(loom_agent *a, const char *filter, const loom_subscribe_options *options,
                                 uint64_t *number)
{
    const char *reason;
    loom_status st = agent_check(a);
    if (st != LOOM_OK) {
        return st;
    }
    if (subscription_check(filter, options, &reason) != LOOM_OK) {
        return last_error(LOOM_EINVAL, "subscription to \"%.100s\": %s", filter != NULL ? filter : "", reason);
    }
    if (a->options.on_event == NULL && (options == NULL || options->on_event == NULL)) {
        return last_error(LOOM_EINVAL, "subscription to \"%.100s\": there is no on_event to handle it", filter);
    }
    subscriptions *subs = &a->events->subs;
    subscription *sub;
    pthread_mutex_lock(&a->loop.lock);
    st = a->loop.over ? LOOM_ECLOSED : LOOM_OK;
    if (st == LOOM_OK) {
        st = subscriptions_add(subs, &sub, filter, options, a->options.on_event, a->options.user);
    }
    if (st == LOOM_OK && a->loop.out.up && (st = put(a, sub)) != LOOM_OK) {
        (void)subscriptions_remove(subs, sub->number);
    }
    if (st == LOOM_OK && number != NULL) {
        *number = sub->number;
    }
    if (st == LOOM_OK && a->loop.out.up) {
        loop_write_soon(&a->loop, clock_unix_ns()); /* last: it gives up the lock, and sub may go meanwhile */
    }
    pthread_mutex_unlock(&a->loop.lock);
    return st;
}

loom_status loom_agent_unsubscribe(loom_agent *a, uint64_t number)
{
    loom_status st = agent_check(a);
    if (st != LOOM_OK) {
        return st;
    }
    subscriptions *subs = &a->events->subs;
    pthread_mutex_lock(&a->loop.lock);
    const subscription *sub = subscriptions_find(subs, number);
    st = sub == NULL || sub->internal ? LOOM_ENOTFOUND : LOOM_OK;
    if (st == LOOM_OK && a->loop.out.up) {
        st = frame_put_unsubscribe(&a->loop.out.control, &(frame_unsubscribe){.request = unsubscribe_request(number),
                                                                              .subscription = number});
    }
    if (st == LOOM_OK) {
        (void)subscriptions_remove(subs, number);
        atomic_fetch_add(&a->events->generation, 1);
        loop_changed(&a->loop);
        loop_write_soon(&a->loop, clock_unix_ns());
    }
    pthread_mutex_unlock(&a->loop.lock);
    return st;
}
