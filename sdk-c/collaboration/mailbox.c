/* SPDX-License-Identifier: Apache-2.0 */
/* The mailbox agent.{id}.replies, and the table of those who wait for something in it. */
#include "sdk-c/collaboration/mailbox.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/random.h"
#include "base/str.h"
#include "sdk-c/collaboration/own_headers.h"
#include "sdk-c/events/subscribe.h"

/* ---- keys ---- */

/* The number in a key of this agent. 0: it is none. */
static uint64_t number_of(const collaboration *c, loom_str key)
{
    enum { TAG = sizeof c->tag - 1 };
    if (key.len <= TAG + 1 || key.len >= EXCHANGE_KEY_SIZE || memcmp(key.data, c->tag, TAG) != 0 || key.data[TAG] != '-') {
        return 0;
    }
    uint64_t number = 0;
    for (size_t i = TAG + 1; i < key.len; i++) {
        const char *digits = "0123456789abcdef", *at = memchr(digits, key.data[i], 16);
        if (at == NULL) {
            return 0;
        }
        number = number << 4 | (uint64_t)(at - digits);
    }
    return number <= c->last_number ? number : 0;
}

static void write_key(const collaboration *c, char key[EXCHANGE_KEY_SIZE], uint64_t number)
{
    snprintf(key, EXCHANGE_KEY_SIZE, "%s-%" PRIx64, c->tag, number);
}

/* ---- the table ---- */

loom_status exchange_open(loom_agent *a, exchange *x, const char *correlation)
{
    collaboration *c = collaboration_of(a);
    if (a->loop.over) {
        return LOOM_ECLOSED;
    }
    if (c == NULL) {
        return LOOM_ENOMEM;
    }
    if (bytes_table_count(&c->by_correlation) >= LOOM_REQUESTS_MAX) {
        return LOOM_EFULL;
    }
    x->number = ++c->last_number;
    write_key(c, x->key, x->number);
    x->correlation = correlation != NULL ? correlation : x->key;
    bytes_table_add(&c->by_correlation, &x->by_correlation, bytes_of(x->keyed ? x->key : x->correlation));
    hash_index_insert(&c->by_number, &x->by_number, x->number);
    return LOOM_OK;
}

void exchange_close(loom_agent *a, exchange *x, bool timed_out)
{
    collaboration *c = a->collaboration;
    if (x->number == 0) {
        return;
    }
    bytes_table_remove(&c->by_correlation, &x->by_correlation);
    hash_index_remove(&c->by_number, &x->by_number);
    if (timed_out) {
        c->timed_out[x->number % TIMED_OUT_KNOWN] = x->number;
        c->stats.timeouts++;
    }
    x->number = 0;
}

exchange *exchange_find(loom_agent *a, uint64_t number)
{
    const collaboration *c = a->collaboration;
    hash_node *node = c != NULL ? hash_index_first(&c->by_number, number) : NULL;
    return node != NULL ? (exchange *)((uint8_t *)node - offsetof(exchange, by_number)) : NULL;
}

/* Who waits for this event. With a key, exactly that one; without, the oldest of the correlation. */
static exchange *exchange_for(loom_agent *a, loom_str correlation, loom_str key)
{
    const collaboration *c = a->collaboration;
    exchange *x;
    if (key.len == 0) {
        x = (exchange *)bytes_table_find(&c->by_correlation, (loom_bytes){(const uint8_t *)correlation.data, correlation.len});
        return x != NULL && !x->keyed ? x : NULL;
    }
    x = exchange_find(a, number_of(c, key));
    return x != NULL && str_is(correlation, x->correlation) && str_is(key, x->key) ? x : NULL;
}

/* ---- mail ---- */

/* Mail that nobody waits for is either late, or an ordinary event for the agent's handler. */
static bool is_left_over(collaboration *c, loom_str correlation, loom_str key)
{
    uint64_t number = number_of(c, key.len > 0 ? key : correlation);
    if (number == 0) {
        return false;
    }
    if (c->timed_out[number % TIMED_OUT_KNOWN] == number) {
        c->stats.late_replies++;
        loom_span_add_event(loom_span_current(), "loom.reply.late", NULL, 0);
    } else {
        c->stats.surplus_replies++;
    }
    return true;
}

static loom_status on_mail(loom_agent *a, const char *topic, loom_envelope *event, void *user)
{
    collaboration *c = user;
    char buf[LOOM_UUID_TEXT_SIZE];
    loom_str correlation = loom_envelope_correlation_id(event, buf), key;
    (void)loom_envelope_header(event, HEADER_IN_REPLY_TO, &key); /* empty without */
    void (*after)(loom_agent *, exchange *) = NULL;
    pthread_mutex_lock(&a->loop.lock);
    exchange *x = exchange_for(a, correlation, key);
    bool ours = x != NULL || is_left_over(c, correlation, key);
    if (x != NULL) {
        c->stats.replies++;
        after = x->after;
        x->take(a, x, event);
        after = x->number == 0 ? after : NULL;
    }
    pthread_mutex_unlock(&a->loop.lock);
    if (after != NULL) {
        after(a, x);
    }
    if (ours || events_answer_ping(a, event) || a->options.on_event == NULL) {
        return LOOM_OK;
    }
    return a->options.on_event(a, topic, event, a->options.user);
}

void collaboration_make_immediate(loom_agent *a, uint64_t number)
{
    subscription *sub = subscriptions_find(&a->events->subs, number);
    if (sub != NULL) {
        subscription_make_immediate(a, sub);
    }
}

/* The agent has subscribed to its mailbox when it opened, for its handler: now we look first. */
static bool take_mailbox(loom_agent *a, collaboration *c)
{
    const subscriptions *subs = &a->events->subs;
    events_mailbox(c->mailbox, a->id);
    for (size_t i = 0; i < subs->count; i++) {
        subscription *sub = subs->items[i];
        if (sub->internal && strcmp(sub->filter, c->mailbox) == 0) {
            sub->on_event = on_mail;
            sub->user = c;
            c->mailbox_number = sub->number;
            subscription_make_immediate(a, sub);
            return true;
        }
    }
    return false;
}

collaboration *collaboration_of(loom_agent *a)
{
    if (a->collaboration != NULL) {
        return a->collaboration;
    }
    collaboration *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return NULL;
    }
    uint8_t random[8];
    random_take(random, sizeof random);
    hex_encode(c->tag, random, sizeof random);
    if (!take_mailbox(a, c)) {
        free(c);
        return NULL;
    }
    bytes_table_init(&c->by_correlation);
    hash_index_init(&c->by_number);
    a->collaboration = c;
    return c;
}

void exchanges_close(loom_agent *a)
{
    collaboration *c = a->collaboration;
    bool looping = loop_enter(&a->loop); /* callbacks are on the loop, as ever */
    size_t hint = 0;
    for (exchange *x; (x = (exchange *)bytes_table_any(&c->by_correlation, &hint)) != NULL;) {
        pthread_mutex_lock(&a->loop.lock);
        void (*abandon)(loom_agent *, exchange *) = x->abandon;
        exchange_close(a, x, false);
        pthread_mutex_unlock(&a->loop.lock);
        if (abandon != NULL) {
            abandon(a, x);
        }
    }
    if (looping) {
        loop_leave(&a->loop);
    }
}

/* ---- how many subscriptions a message matched ---- */

void exchanges_on_matched(loom_agent *a, const frame_matched *f)
{
    pthread_mutex_lock(&a->loop.lock);
    exchange *x = exchange_find(a, f->number); /* NULL: it was faster otherwise */
    if (x != NULL && x->matched != NULL) {
        x->matched(a, x, f->subscriptions);
    }
    pthread_mutex_unlock(&a->loop.lock);
}

/* ---- being ready ---- */

typedef struct awaited_subscription {
    loom_agent *agent;
    uint64_t number;
    loom_status answer;
} awaited_subscription;

static bool is_answered(void *user)
{
    awaited_subscription *w = user;
    const subscription *sub = subscriptions_find(&w->agent->events->subs, w->number);
    if (w->agent->session.state == LOOM_AGENT_CLOSED) {
        w->answer = LOOM_ECLOSED;
        return true;
    }
    w->answer = sub != NULL ? sub->answer : LOOM_ENOTFOUND;
    return sub == NULL || (sub->answered && w->agent->session.state == LOOM_AGENT_CONNECTED);
}

loom_status collaboration_wait_subscribed(loom_agent *a, uint64_t number, uint64_t deadline_ns)
{
    awaited_subscription w = {a, number, LOOM_OK};
    pthread_mutex_lock(&a->loop.lock);
    bool answered = is_answered(&w);
    pthread_mutex_unlock(&a->loop.lock);
    if (answered) {
        return w.answer;
    }
    loom_status st = agent_wait_for(a, is_answered, &w, deadline_ns);
    return st == LOOM_ETIMEDOUT ? LOOM_ENOTCONN : st != LOOM_OK ? st : w.answer;
}

loom_status collaboration_wait_ready(loom_agent *a, uint64_t deadline_ns)
{
    pthread_mutex_lock(&a->loop.lock);
    const collaboration *c = collaboration_of(a);
    pthread_mutex_unlock(&a->loop.lock);
    return c != NULL ? collaboration_wait_subscribed(a, c->mailbox_number, deadline_ns) : LOOM_ENOMEM;
}

/* ---- asking ---- */

exchange_address exchange_address_of(loom_agent *a, const exchange *x)
{
    exchange_address address = {.mailbox = a->collaboration->mailbox, .ask = x->matched != NULL ? x->number : 0};
    memcpy(address.key, x->key, sizeof address.key);
    snprintf(address.correlation, sizeof address.correlation, "%s", x->correlation);
    return address;
}

loom_status exchange_emit(loom_agent *a, const exchange_address *address, const char *topic, loom_bytes payload,
                          const loom_emit_options *options)
{
    loom_emit_options asking = options != NULL ? *options : (loom_emit_options){0};
    loom_header key = {str_of(HEADER_REQUEST), str_of(address->key)};
    asking.correlation_id = address->correlation;
    asking.reply_to = address->mailbox;
    bool own = strcmp(address->key, address->correlation) == 0;
    emit_ask ask = {.number = address->ask, .how = FRAME_ASK_IF_NONE};
    return emit_with_headers(a, topic, payload, &asking, &key, own ? 0 : 1, address->ask != 0 ? &ask : NULL);
}

loom_collaboration_stats loom_agent_collaboration(const loom_agent *agent)
{
    loom_agent *a = (loom_agent *)(uintptr_t)agent; /* only the lock changes */
    loom_collaboration_stats stats = {0};
    if (agent_check(a) != LOOM_OK) {
        return stats;
    }
    pthread_mutex_lock(&a->loop.lock);
    if (a->collaboration != NULL) {
        stats = a->collaboration->stats;
        stats.open = bytes_table_count(&a->collaboration->by_correlation);
    }
    pthread_mutex_unlock(&a->loop.lock);
    return stats;
}
