/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of conversation: who is in them, and posts to the others.
 *
 * To take part in a thread is a subscription to thread.{id} and an exchange, in which the participants answer a newcomer.
 * system.agents reports agents that vanish without leaving. It does so too for an agent that lost its connection, so that
 * agent joins again once it is back. The handler finds the thread by its topic under the lock and copies what it needs: the
 * thread may be left, from any thread, while one of its events is being handled. */
#include "sdk-c/collaboration/thread.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <loom/topic.h>

#include "base/str.h"
#include "sdk-c/collaboration/agent_set.h"
#include "sdk-c/collaboration/reply.h"

#define TYPE_PREFIX "loom.thread."
#define TYPE_JOIN TYPE_PREFIX "join"
#define TYPE_PRESENT TYPE_PREFIX "present"
#define TYPE_LEAVE TYPE_PREFIX "leave"
#define TOPIC_PREFIX "thread."

enum { PARTICIPANTS_MAX = 65536 };
#define REJOIN_NS (1000 * MS_NS) /* how often it is looked */

struct loom_thread {
    loom_agent *agent;
    list_node node;           /* of the agent's; guarded by its lock */
    exchange present;         /* answers to our joining */
    uint64_t subscription;    /* 0: none yet */
    loom_on_event on_event;
    void *user;
    agent_set participants;   /* guarded by the agent's lock, and so are the rest */
    bool told;                /* our join has been announced */
    uint64_t told_in;         /* reconnects then */
    char topic[sizeof TOPIC_PREFIX + LOOM_THREAD_ID_MAX];
};

static const char *id_of(const loom_thread *t)
{
    return t->topic + sizeof TOPIC_PREFIX - 1;
}

/* Lock held. */
static loom_thread *find(const loom_agent *a, loom_str topic)
{
    list_node *node = a->collaboration->threads.first;
    while (node != NULL && !str_is(topic, list_item(node, loom_thread, node)->topic)) {
        node = node->next;
    }
    return list_item(node, loom_thread, node);
}

/* ---- who is there ---- */

/* LOOM_OK also when it is known. Lock held. */
static loom_status add_participant(loom_thread *t, loom_str agent)
{
    loom_status st = agent_set_add(&t->participants, agent, PARTICIPANTS_MAX);
    return st == LOOM_EEXIST ? LOOM_OK : st;
}

static void take_present(loom_agent *a, exchange *x, loom_envelope *event)
{
    (void)a;
    loom_thread *t = (loom_thread *)((char *)x - offsetof(loom_thread, present));
    if (str_is(loom_envelope_type(event), TYPE_PRESENT)) {
        (void)add_participant(t, loom_envelope_sender(event)); /* without memory it is missing, and nobody can be notified */
    }
}

static loom_status on_join(loom_agent *a, const char *topic, loom_envelope *event)
{
    pthread_mutex_lock(&a->loop.lock);
    loom_thread *t = find(a, str_of(topic));
    loom_status st = t != NULL ? add_participant(t, loom_envelope_sender(event)) : LOOM_OK;
    pthread_mutex_unlock(&a->loop.lock);
    if (t == NULL) {
        return LOOM_OK;
    }
    loom_emit_options options = {.type = TYPE_PRESENT};
    loom_status replied = reply_with(a, event, (loom_bytes){0}, &options, NULL, 0, NULL);
    return st != LOOM_OK ? st : replied;
}

static void on_leave(loom_agent *a, const char *topic, loom_envelope *event)
{
    pthread_mutex_lock(&a->loop.lock);
    loom_thread *t = find(a, str_of(topic));
    if (t != NULL) {
        (void)agent_set_remove(&t->participants, loom_envelope_sender(event));
    }
    pthread_mutex_unlock(&a->loop.lock);
}

static loom_status on_thread_event(loom_agent *a, const char *topic, loom_envelope *event, void *user)
{
    (void)user;
    loom_on_event on_event = NULL;
    void *owner = NULL;
    loom_str type = loom_envelope_type(event);
    if (str_equal(loom_envelope_sender(event), a->id)) {
        return LOOM_OK; /* our own come back */
    }
    if (str_is(type, TYPE_JOIN)) {
        return on_join(a, topic, event);
    }
    if (str_is(type, TYPE_LEAVE)) {
        on_leave(a, topic, event);
        return LOOM_OK;
    }
    pthread_mutex_lock(&a->loop.lock);
    const loom_thread *t = find(a, str_of(topic));
    if (t != NULL) {
        on_event = t->on_event;
        owner = t->user;
    }
    pthread_mutex_unlock(&a->loop.lock);
    return on_event != NULL ? on_event(a, topic, event, owner) : LOOM_OK;
}

/* ---- who vanishes ---- */

/* The agent of the directory's news: {"agent":"…". Ids hold no control characters, so that only quotes and backslashes are
 * escaped. LOOM_EMALFORMED. */
static loom_status agent_in_news(char out[LOOM_AGENT_ID_MAX + 1], loom_bytes json)
{
    static const char begin[] = "{\"agent\":\"";
    size_t at = sizeof begin - 1, len = 0;
    if (json.len < at || memcmp(json.data, begin, at) != 0) {
        return LOOM_EMALFORMED;
    }
    for (; at < json.len && json.data[at] != '"' && len < LOOM_AGENT_ID_MAX; at++) {
        if (json.data[at] == '\\' && ++at == json.len) {
            return LOOM_EMALFORMED;
        }
        out[len++] = (char)json.data[at];
    }
    out[len] = '\0';
    return at < json.len && json.data[at] == '"' ? LOOM_OK : LOOM_EMALFORMED;
}

static loom_status on_directory(loom_agent *a, const char *topic, loom_envelope *event, void *user)
{
    (void)topic;
    (void)user;
    char agent[LOOM_AGENT_ID_MAX + 1];
    if (!str_is(loom_envelope_type(event), "agent.unregistered")) {
        return LOOM_OK;
    }
    loom_status st = agent_in_news(agent, loom_envelope_payload(event));
    if (st != LOOM_OK || str_is(a->id, agent)) {
        return st; /* our own last session */
    }
    pthread_mutex_lock(&a->loop.lock);
    for (list_node *node = a->collaboration->threads.first; node != NULL; node = node->next) {
        (void)agent_set_remove(&list_item(node, loom_thread, node)->participants, str_of(agent));
    }
    pthread_mutex_unlock(&a->loop.lock);
    return LOOM_OK;
}

/* As the agent's own subscription: where it is not permitted, one knows of those only who say that they leave. */
static loom_status watch_directory(loom_agent *a)
{
    uint64_t number;
    pthread_mutex_lock(&a->loop.lock);
    bool watched = a->collaboration->directory_subscription != 0;
    pthread_mutex_unlock(&a->loop.lock);
    if (watched) {
        return LOOM_OK;
    }
    loom_status st = loom_agent_subscribe(a, "system.agents", &(loom_subscribe_options){.on_event = on_directory}, &number);
    if (st != LOOM_OK) {
        return st;
    }
    pthread_mutex_lock(&a->loop.lock);
    watched = a->collaboration->directory_subscription != 0; /* another thread may have been faster */
    if (!watched) {
        a->collaboration->directory_subscription = number;
        subscription *sub = subscriptions_find(&a->events->subs, number);
        if (sub != NULL) {
            sub->internal = true;
        }
        collaboration_make_immediate(a, number);
    }
    pthread_mutex_unlock(&a->loop.lock);
    if (watched) {
        (void)loom_agent_unsubscribe(a, number);
    }
    return LOOM_OK;
}

/* ---- joining ---- */

static loom_status announce(loom_agent *a, const exchange_address *address, const char *topic)
{
    /* Nobody answers an answer: this cannot go round, and need not count against the hops of what is being handled. */
    loom_emit_options options = {.type = TYPE_JOIN, .thread_id = topic + sizeof TOPIC_PREFIX - 1, .ttl = LOOM_TTL_DEFAULT};
    return exchange_emit(a, address, topic, (loom_bytes){0}, &options);
}

static uint64_t reconnects(const loom_agent *a)
{
    return atomic_load_explicit(&a->session.reconnects, memory_order_relaxed);
}

static bool is_subscribed(const loom_agent *a, uint64_t number)
{
    const subscription *sub = subscriptions_find(&a->events->subs, number);
    return sub != NULL && sub->answered && sub->answer == LOOM_OK;
}

/* One that was joined in an earlier session, and can be joined again. Lock held. */
static loom_thread *find_forgotten(const loom_agent *a)
{
    const collaboration *c = a->collaboration;
    if (a->session.state != LOOM_AGENT_CONNECTED || !is_subscribed(a, c->mailbox_number)) {
        return NULL;
    }
    for (list_node *node = c->threads.first; node != NULL; node = node->next) {
        loom_thread *t = list_item(node, loom_thread, node);
        if (t->told && t->told_in != reconnects(a) && is_subscribed(a, t->subscription)) {
            return t;
        }
    }
    return NULL;
}

/* Who is there says so again. Lock held; given up meanwhile. */
static void rejoin(loom_agent *a, loom_thread *t)
{
    char topic[sizeof t->topic];
    exchange_address address = exchange_address_of(a, &t->present);
    memcpy(topic, t->topic, sizeof topic);
    t->told_in = reconnects(a);
    agent_set_fini(&t->participants);
    (void)agent_set_add(&t->participants, a->id, PARTICIPANTS_MAX);
    pthread_mutex_unlock(&a->loop.lock);
    loom_status st = announce(a, &address, topic);
    pthread_mutex_lock(&a->loop.lock);
    if (st != LOOM_OK && (t = find(a, str_of(topic))) != NULL) {
        t->told_in = NEVER; /* the next time */
    }
}

static void on_timer(loom_agent *a, agent_timer *timer)
{
    pthread_mutex_lock(&a->loop.lock);
    collaboration *c = a->collaboration;
    loom_thread *t;
    size_t left = 0;
    for (const list_node *node = c->threads.first; node != NULL; node = node->next) {
        left++;
    }
    while (left-- > 0 && (t = find_forgotten(a)) != NULL) {
        rejoin(a, t);
    }
    if (c->threads.first != NULL) {
        loom_status st = loop_timer_set(&a->loop, timer, clock_monotonic_ns() + REJOIN_NS);
        (void)st; /* its old place among the timers is free; had another timer taken it and memory were short, the next join
                     sets it */
    }
    pthread_mutex_unlock(&a->loop.lock);
}

/* Lock held. */
static loom_status watch_connection(loom_agent *a)
{
    agent_timer *timer = &a->collaboration->thread_timer;
    timer->fire = on_timer;
    return agent_timer_is_set(timer) ? LOOM_OK : loop_timer_set(&a->loop, timer, clock_monotonic_ns() + REJOIN_NS);
}

/* Into the agent's list, so that there is one of it. */
static loom_status enlist(loom_agent *a, loom_thread *t)
{
    pthread_mutex_lock(&a->loop.lock);
    collaboration *c = collaboration_of(a);
    loom_status st = c == NULL ? LOOM_ENOMEM : find(a, str_of(t->topic)) != NULL ? LOOM_EEXIST : LOOM_OK;
    if (st == LOOM_OK) {
        st = agent_set_add(&t->participants, a->id, PARTICIPANTS_MAX);
    }
    if (st == LOOM_OK && (st = watch_connection(a)) == LOOM_OK && (st = exchange_open(a, &t->present, NULL)) == LOOM_OK) {
        list_append(&c->threads, &t->node);
    }
    pthread_mutex_unlock(&a->loop.lock);
    return st;
}

static loom_status subscribe_and_tell(loom_agent *a, loom_thread *t, uint64_t deadline_ns)
{
    loom_subscribe_options options = {.on_event = on_thread_event};
    loom_status st = loom_agent_subscribe(a, t->topic, &options, &t->subscription);
    if (st == LOOM_OK && (st = watch_directory(a)) == LOOM_OK &&
        (st = collaboration_wait_ready(a, deadline_ns)) == LOOM_OK) {
        st = collaboration_wait_subscribed(a, t->subscription, deadline_ns);
    }
    if (st != LOOM_OK) {
        return st;
    }
    pthread_mutex_lock(&a->loop.lock);
    exchange_address address = exchange_address_of(a, &t->present);
    t->told = true;
    t->told_in = reconnects(a);
    pthread_mutex_unlock(&a->loop.lock);
    return announce(a, &address, t->topic);
}

/* Out of the agent's list, with its subscriptions; and frees. */
static void discharge(loom_agent *a, loom_thread *t)
{
    uint64_t directory = 0;
    pthread_mutex_lock(&a->loop.lock);
    collaboration *c = a->collaboration;
    exchange_close(a, &t->present, false);
    list_remove(&c->threads, &t->node);
    if (c->threads.first == NULL) {
        loop_timer_clear(&a->loop, &c->thread_timer);
    }
    if (c->threads.first == NULL && c->directory_subscription != 0) {
        directory = c->directory_subscription;
        c->directory_subscription = 0;
        subscription *sub = subscriptions_find(&a->events->subs, directory);
        if (sub != NULL) {
            sub->internal = false;
        }
    }
    pthread_mutex_unlock(&a->loop.lock);
    if (t->subscription != 0) {
        (void)loom_agent_unsubscribe(a, t->subscription);
    }
    if (directory != 0) {
        (void)loom_agent_unsubscribe(a, directory);
    }
    agent_set_fini(&t->participants);
    free(t);
}

static loom_status check(const loom_agent *a, const char *thread_id, loom_on_event on_event)
{
    const char *reason = "it is missing";
    loom_status st = agent_check(a);
    if (st != LOOM_OK || on_event == NULL) {
        return st != LOOM_OK ? st : last_error_null("on_event");
    }
    if (thread_id == NULL || loom_topic_check(str_of(thread_id), &reason) != LOOM_OK) {
        return last_error(LOOM_EINVAL, "thread_id \"%.100s\": %s", thread_id != NULL ? thread_id : "", reason);
    }
    return strlen(thread_id) <= LOOM_THREAD_ID_MAX
               ? LOOM_OK
               : last_error(LOOM_EINVAL, "thread_id has %zu bytes, and at most %u are allowed", strlen(thread_id),
                            LOOM_THREAD_ID_MAX);
}

loom_status loom_agent_thread_join(loom_thread **out, loom_agent *a, const char *thread_id, loom_on_event on_event,
                                   void *user, uint32_t timeout_ms)
{
    if (out == NULL) {
        return last_error_null("the place for the thread");
    }
    *out = NULL;
    loom_status st = check(a, thread_id, on_event);
    if (st != LOOM_OK) {
        return st;
    }
    loom_thread *t = calloc(1, sizeof *t);
    if (t == NULL) {
        return LOOM_ENOMEM;
    }
    t->agent = a;
    t->on_event = on_event;
    t->user = user;
    t->present.take = take_present;
    snprintf(t->topic, sizeof t->topic, TOPIC_PREFIX "%s", thread_id);
    loop_guest_enter(&a->loop);
    if ((st = enlist(a, t)) != LOOM_OK) {
        agent_set_fini(&t->participants);
        free(t);
    } else if ((st = subscribe_and_tell(a, t, deadline_in(timeout_ms, WAIT_DEFAULT_MS))) != LOOM_OK) {
        discharge(a, t);
    } else {
        *out = t;
    }
    loop_guest_leave(&a->loop);
    return st;
}

/* ---- being in it ---- */

void loom_thread_leave(loom_thread *t)
{
    if (t == NULL || agent_check(t->agent) != LOOM_OK) {
        return; /* of the parent of a fork(): it is still in the thread */
    }
    loom_agent *a = t->agent;
    loom_emit_options options = {.type = TYPE_LEAVE, .thread_id = id_of(t), .ttl = LOOM_TTL_DEFAULT};
    loom_status st = loom_agent_emit(a, t->topic, (loom_bytes){0}, &options);
    if (st != LOOM_OK) {
        loom_span_add_event(loom_span_current(), "loom.thread.leave.untold", NULL, 0);
    }
    discharge(a, t);
}

loom_status loom_thread_post(loom_thread *t, loom_bytes payload, const loom_emit_options *options)
{
    if (t == NULL) {
        return last_error_null("the thread");
    }
    loom_emit_options post = options != NULL ? *options : (loom_emit_options){0};
    if (post.type != NULL && strncmp(post.type, TYPE_PREFIX, sizeof TYPE_PREFIX - 1) == 0) {
        return last_error(LOOM_EINVAL, "type \"%.100s\": " TYPE_PREFIX "* is not taken for a post", post.type);
    }
    post.thread_id = id_of(t);
    return loom_agent_emit(t->agent, t->topic, payload, &post);
}

size_t loom_thread_participants(loom_thread *t, bool (*visit)(void *user, const char *agent), void *user)
{
    agent_set there;
    if (t == NULL || agent_check(t->agent) != LOOM_OK) {
        return 0;
    }
    pthread_mutex_lock(&t->agent->loop.lock);
    loom_status st = agent_set_copy(&there, &t->participants);
    pthread_mutex_unlock(&t->agent->loop.lock);
    if (st != LOOM_OK) {
        return 0;
    }
    size_t count = there.count;
    for (size_t i = 0; visit != NULL && i < count && visit(user, there.items[i]); i++) {
    }
    agent_set_fini(&there);
    return count;
}

void threads_close(loom_agent *a)
{
    pthread_mutex_lock(&a->loop.lock);
    loop_timer_clear(&a->loop, &a->collaboration->thread_timer);
    pthread_mutex_unlock(&a->loop.lock);
    linked_list *threads = &a->collaboration->threads;
    for (loom_thread *t; (t = list_item(list_take_first(threads), loom_thread, node)) != NULL;) {
        agent_set_fini(&t->participants);
        free(t); /* its exchange is closed */
    }
}
