/* SPDX-License-Identifier: Apache-2.0 */
/* Barriers: agents that wait for one another, with nobody in charge.
 *
 * An agent first listens and then announces its arrival; those already there answer. So an agent that counts another has
 * always made itself known to it before: by its answer, or by the arrival that was answered. A barrier that was complete
 * once stays so, even if an agent gives up afterwards.
 * A barrier belongs to the call that waits at it, and is found by its topic under the loop's lock. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <loom/topic.h>

#include "base/str.h"
#include "sdk-c/collaboration/agent_set.h"
#include "sdk-c/collaboration/reply.h"

#define TYPE_ARRIVE "loom.barrier.arrive"
#define TYPE_PRESENT "loom.barrier.present"
#define TYPE_LEAVE "loom.barrier.leave"
#define TOPIC_PREFIX "barrier."

/* Guard: the loop's lock, but for what is fixed. */
typedef struct barrier {
    list_node node;         /* of the agent's */
    loom_agent *agent;
    exchange present;       /* answers to our arrival */
    uint64_t subscription;  /* 0: none yet */
    uint64_t told_in;       /* reconnects when we announced ourselves: others may have arrived unnoticed since */
    uint32_t parties;
    agent_set there;        /* this one too */
    bool complete;
    char topic[LOOM_TOPIC_MAX + 1];
} barrier;

static uint64_t reconnects(const loom_agent *a)
{
    return atomic_load_explicit(&a->session.reconnects, memory_order_relaxed);
}

/* Lock held. */
static barrier *find(const loom_agent *a, const char *topic)
{
    list_node *node = a->collaboration->barriers.first;
    while (node != NULL && strcmp(list_item(node, barrier, node)->topic, topic) != 0) {
        node = node->next;
    }
    return list_item(node, barrier, node);
}

/* ---- who is there ---- */

/* Lock held. */
static loom_status add_party(barrier *b, loom_str agent)
{
    loom_status st = agent_set_add(&b->there, agent, LOOM_CONTRIBUTIONS_MAX);
    if (!b->complete && b->there.count >= b->parties) {
        b->complete = true;
        loop_changed(&b->agent->loop);
    }
    return st == LOOM_EEXIST ? LOOM_OK : st;
}

static void take_present(loom_agent *a, exchange *x, loom_envelope *event)
{
    (void)a;
    barrier *b = (barrier *)((char *)x - offsetof(barrier, present));
    if (str_is(loom_envelope_type(event), TYPE_PRESENT)) {
        (void)add_party(b, loom_envelope_sender(event));
    }
}

/* The newcomer learns of us before we count it. */
static loom_status on_arrive(loom_agent *a, const char *topic, loom_envelope *event)
{
    pthread_mutex_lock(&a->loop.lock);
    bool here = find(a, topic) != NULL;
    pthread_mutex_unlock(&a->loop.lock);
    if (!here) {
        return LOOM_OK;
    }
    loom_emit_options options = {.type = TYPE_PRESENT};
    loom_status st = reply_with(a, event, (loom_bytes){0}, &options, NULL, 0, NULL);
    if (st != LOOM_OK) {
        return st;
    }
    pthread_mutex_lock(&a->loop.lock);
    barrier *b = find(a, topic);
    if (b != NULL) {
        st = add_party(b, loom_envelope_sender(event));
    }
    pthread_mutex_unlock(&a->loop.lock);
    return st;
}

static void on_leave(loom_agent *a, const char *topic, loom_envelope *event)
{
    pthread_mutex_lock(&a->loop.lock);
    barrier *b = find(a, topic);
    if (b != NULL) {
        (void)agent_set_remove(&b->there, loom_envelope_sender(event));
    }
    pthread_mutex_unlock(&a->loop.lock);
}

static loom_status on_barrier_event(loom_agent *a, const char *topic, loom_envelope *event, void *user)
{
    (void)user;
    loom_str type = loom_envelope_type(event);
    if (str_equal(loom_envelope_sender(event), a->id)) {
        return LOOM_OK; /* our own come back */
    }
    if (str_is(type, TYPE_ARRIVE)) {
        return on_arrive(a, topic, event);
    }
    if (str_is(type, TYPE_LEAVE)) {
        on_leave(a, topic, event);
    }
    return LOOM_OK;
}

/* ---- waiting ---- */

static bool has_news(void *user)
{
    const barrier *b = user;
    return b->complete || (b->agent->session.state == LOOM_AGENT_CONNECTED && b->told_in != reconnects(b->agent));
}

static loom_status arrive(loom_agent *a, barrier *b, uint64_t deadline_ns)
{
    pthread_mutex_lock(&a->loop.lock);
    exchange_address address = exchange_address_of(a, &b->present);
    b->told_in = reconnects(a);
    pthread_mutex_unlock(&a->loop.lock);
    loom_status st = collaboration_wait_ready(a, deadline_ns);
    if (st == LOOM_OK) {
        st = collaboration_wait_subscribed(a, b->subscription, deadline_ns);
    }
    if (st != LOOM_OK) {
        return st;
    }
    /* Nobody answers an answer: this cannot go round, and need not count against the hops of what is being handled. */
    loom_emit_options options = {.type = TYPE_ARRIVE, .ttl = LOOM_TTL_DEFAULT};
    return exchange_emit(a, &address, b->topic, (loom_bytes){0}, &options);
}

/* The first attempt reports what is wrong; after a lost connection only the deadline ends it. */
static loom_status meet(loom_agent *a, barrier *b, uint64_t deadline_ns)
{
    loom_subscribe_options options = {.on_event = on_barrier_event};
    loom_status st = loom_agent_subscribe(a, b->topic, &options, &b->subscription);
    if (st != LOOM_OK) {
        return st;
    }
    pthread_mutex_lock(&a->loop.lock);
    collaboration_make_immediate(a, b->subscription);
    pthread_mutex_unlock(&a->loop.lock);
    for (bool again = false;; again = true) {
        st = arrive(a, b, deadline_ns);
        if (st == LOOM_OK) {
            st = agent_wait_for(a, has_news, b, deadline_ns);
        } else if (again && st == LOOM_ENOTCONN) {
            st = LOOM_ETIMEDOUT;
        }
        pthread_mutex_lock(&a->loop.lock);
        bool complete = b->complete;
        pthread_mutex_unlock(&a->loop.lock);
        if (complete || st != LOOM_OK) {
            return complete ? LOOM_OK : st;
        }
    }
}

/* ---- opening and closing ---- */

/* Into the agent's list, so that there is one of it. */
static loom_status enlist(loom_agent *a, barrier *b)
{
    pthread_mutex_lock(&a->loop.lock);
    collaboration *c = collaboration_of(a);
    loom_status st = c == NULL ? LOOM_ENOMEM : find(a, b->topic) != NULL ? LOOM_EEXIST : LOOM_OK;
    if (st == LOOM_OK && (st = add_party(b, a->id)) == LOOM_OK &&
        (st = exchange_open(a, &b->present, NULL)) == LOOM_OK) {
        list_append(&c->barriers, &b->node);
    }
    pthread_mutex_unlock(&a->loop.lock);
    return st;
}

/* Frees. How many were there, and whether that is enough after all: *st. */
static uint32_t discharge(loom_agent *a, barrier *b, loom_status *st)
{
    pthread_mutex_lock(&a->loop.lock);
    *st = b->complete && *st == LOOM_ETIMEDOUT ? LOOM_OK : *st;
    list_remove(&a->collaboration->barriers, &b->node);
    exchange_close(a, &b->present, *st == LOOM_ETIMEDOUT);
    pthread_mutex_unlock(&a->loop.lock);
    uint32_t arrived = (uint32_t)b->there.count;
    if (*st != LOOM_OK && b->subscription != 0) { /* for those who know of us */
        loom_emit_options options = {.type = TYPE_LEAVE, .ttl = LOOM_TTL_DEFAULT};
        if (loom_agent_emit(a, b->topic, (loom_bytes){0}, &options) != LOOM_OK) {
            loom_span_add_event(loom_span_current(), "loom.barrier.leave.untold", NULL, 0);
        }
    }
    if (b->subscription != 0) {
        (void)loom_agent_unsubscribe(a, b->subscription);
    }
    agent_set_fini(&b->there);
    free(b);
    return arrived;
}

static loom_status make(barrier **out, loom_agent *a, const char *name, uint32_t parties)
{
    const char *reason = "its name is missing, or too long";
    loom_status st = agent_check(a);
    if (st != LOOM_OK) {
        return st;
    }
    if (parties == 0 || parties > LOOM_CONTRIBUTIONS_MAX) {
        return last_error(LOOM_EINVAL, "a barrier has 1 to %u parties", LOOM_CONTRIBUTIONS_MAX);
    }
    barrier *b = calloc(1, sizeof *b);
    if (b == NULL) {
        return LOOM_ENOMEM;
    }
    int len = snprintf(b->topic, sizeof b->topic, TOPIC_PREFIX "%s", name != NULL ? name : "");
    if (name == NULL || (size_t)len >= sizeof b->topic || loom_topic_check(str_of(b->topic), &reason) != LOOM_OK) {
        free(b);
        return last_error(LOOM_EINVAL, "barrier \"%.100s\": %s", name != NULL ? name : "", reason);
    }
    b->agent = a;
    b->parties = parties;
    b->present.take = take_present;
    *out = b;
    return LOOM_OK;
}

loom_status loom_agent_barrier(loom_agent *a, const char *name, uint32_t parties, uint32_t timeout_ms, uint32_t *arrived)
{
    barrier *b;
    uint32_t unused;
    arrived = arrived != NULL ? arrived : &unused;
    *arrived = 0;
    loom_status st = make(&b, a, name, parties);
    if (st != LOOM_OK) {
        return st;
    }
    loop_guest_enter(&a->loop);
    if ((st = enlist(a, b)) == LOOM_OK) {
        st = meet(a, b, deadline_in(timeout_ms, WAIT_DEFAULT_MS));
        *arrived = discharge(a, b, &st);
    } else {
        agent_set_fini(&b->there);
        free(b);
    }
    loop_guest_leave(&a->loop);
    return st;
}
