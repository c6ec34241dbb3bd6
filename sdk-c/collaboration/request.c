/* SPDX-License-Identifier: Apache-2.0 */
/* Request and reply. A request that waits lives on its caller's stack; one that does not belongs to the loop: only the
 * loop ends and frees it, so that its timer and its reply cannot meet. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <loom/topic.h>

#include "base/str.h"
#include "sdk-c/agent/current.h"
#include "sdk-c/collaboration/mailbox.h"

loom_emit_options emit_options_of(const loom_request_options *o)
{
    if (o == NULL) {
        return (loom_emit_options){0};
    }
    return (loom_emit_options){.type = o->type,
                               .thread_id = o->thread_id,
                               .content_type = o->content_type,
                               .baggage = o->baggage,
                               .headers = o->headers,
                               .header_count = o->header_count,
                               .ttl = o->ttl};
}

static loom_status check(const loom_agent *a, const char *topic, loom_bytes payload, const loom_request_options *o)
{
    const char *reason = "it is missing";
    loom_status st = agent_check_payload(a, payload);
    if (st != LOOM_OK) {
        return st;
    }
    if (topic == NULL || loom_topic_check(str_of(topic), &reason) != LOOM_OK) {
        return last_error(LOOM_EINVAL, "topic \"%.100s\": %s", topic != NULL ? topic : "", reason);
    }
    if (o != NULL && o->header_count > 0 && o->headers == NULL) {
        return last_error(LOOM_EINVAL, "header_count is set, and headers is NULL");
    }
    if (o != NULL && o->correlation_id != NULL && strlen(o->correlation_id) > LOOM_THREAD_ID_MAX) {
        return last_error(LOOM_ETOOBIG, "correlation_id has %zu bytes, and at most %u are allowed", strlen(o->correlation_id),
                          LOOM_THREAD_ID_MAX);
    }
    return LOOM_OK;
}

static uint64_t deadline_of(const loom_request_options *o)
{
    return deadline_in(o != NULL ? o->timeout_ms : 0, WAIT_DEFAULT_MS);
}

/* An empty one is no correlation. */
static const char *correlation_of(const loom_request_options *o)
{
    return o != NULL && o->correlation_id != NULL && o->correlation_id[0] != '\0' ? o->correlation_id : NULL;
}

/* ---- waiting for it ---- */

typedef struct waiting_request {
    exchange x;
    loom_envelope *reply;
    bool nobody; /* there is nobody who could reply */
} waiting_request;

static void keep_reply(loom_agent *a, exchange *x, loom_envelope *event)
{
    waiting_request *r = (waiting_request *)x;
    r->reply = loom_envelope_ref(event);
    exchange_close(a, x, false);
    loop_changed(&a->loop);
}

static void note_nobody(loom_agent *a, exchange *x, uint64_t found)
{
    if (found == 0) {
        ((waiting_request *)x)->nobody = true;
        exchange_close(a, x, false);
        loop_changed(&a->loop);
    }
}

static bool is_over(void *user)
{
    const waiting_request *r = user;
    return r->reply != NULL || r->nobody;
}

static loom_status wait_for_reply(loom_agent *a, waiting_request *r, uint64_t deadline, loom_request_report *report)
{
    uint64_t start = clock_monotonic_ns();
    loom_status st = agent_wait_for(a, is_over, r, deadline);
    pthread_mutex_lock(&a->loop.lock);
    exchange_close(a, &r->x, st == LOOM_ETIMEDOUT); /* not open any more: it has come in the last moment */
    pthread_mutex_unlock(&a->loop.lock);
    report->waited_ns = clock_monotonic_ns() - start;
    return r->reply != NULL ? LOOM_OK : r->nobody ? LOOM_ENORESPONDERS : st;
}

static loom_status ask_and_wait(loom_agent *a, waiting_request *r, const char *topic, loom_bytes payload,
                                const loom_request_options *o, loom_request_report *report)
{
    uint64_t deadline = deadline_of(o);
    loom_status st = agent_may_wait(a);
    if (st != LOOM_OK || (st = collaboration_wait_ready(a, deadline)) != LOOM_OK) {
        return st;
    }
    exchange_address address;
    pthread_mutex_lock(&a->loop.lock);
    st = exchange_open(a, &r->x, correlation_of(o));
    if (st == LOOM_OK) {
        a->collaboration->stats.requests++;
        address = exchange_address_of(a, &r->x);
    }
    pthread_mutex_unlock(&a->loop.lock);
    if (st != LOOM_OK) {
        return st;
    }
    loom_emit_options options = emit_options_of(o);
    st = exchange_emit(a, &address, topic, payload, &options);
    if (st == LOOM_OK) {
        report->sent = true;
        return wait_for_reply(a, r, deadline, report);
    }
    pthread_mutex_lock(&a->loop.lock);
    exchange_close(a, &r->x, false);
    pthread_mutex_unlock(&a->loop.lock);
    loom_envelope_unref(r->reply); /* from somebody who knew the correlation without having been asked */
    r->reply = NULL;
    return st;
}

loom_status loom_agent_request(loom_agent *a, const char *topic, loom_bytes payload, const loom_request_options *o,
                               loom_envelope **reply)
{
    waiting_request r = {.x = {.take = keep_reply, .matched = note_nobody}};
    loom_request_report report = {0};
    if (reply == NULL) {
        return last_error_null("the place for the reply");
    }
    *reply = NULL;
    loom_status st = check(a, topic, payload, o);
    if (st == LOOM_OK) {
        loop_guest_enter(&a->loop);
        st = ask_and_wait(a, &r, topic, payload, o, &report);
        pthread_mutex_lock(&a->loop.lock);
        report.late = a->collaboration != NULL ? a->collaboration->stats.late_replies : 0;
        pthread_mutex_unlock(&a->loop.lock);
        loop_guest_leave(&a->loop);
    }
    if (o != NULL && o->report != NULL) {
        *o->report = report;
    }
    *reply = r.reply;
    return st;
}

/* ---- being called back ---- */

typedef struct called_request {
    exchange x;
    agent_timer timer;
    loom_on_reply on_reply; /* NULL: it was never sent, and there is nobody to call */
    void *user;
    loom_envelope *reply;
    loom_status status;     /* when the timer fires */
    origin from;            /* what is emitted when no reply comes goes on there */
    char correlation[];
} called_request;

static called_request *of_timer(agent_timer *timer)
{
    return (called_request *)(void *)((char *)timer - offsetof(called_request, timer));
}

static void called_free(called_request *r)
{
    loom_envelope_unref(r->reply);
    origin_fini(&r->from);
    free(r);
}

/* On the loop; the exchange is closed. A reply is passed on inside its own event's handler. */
static void tell(loom_agent *a, called_request *r, loom_status status)
{
    if (r->reply != NULL) {
        r->on_reply(a, LOOM_OK, r->reply, r->user);
    } else if (r->on_reply != NULL) {
        callback_scope scope = callback_begin(&a->loop, &r->from);
        r->on_reply(a, status, NULL, r->user);
        callback_end(&a->loop, scope);
    }
    called_free(r);
}

static void take_reply(loom_agent *a, exchange *x, loom_envelope *event)
{
    called_request *r = (called_request *)x;
    if (r->on_reply == NULL || r->status == LOOM_ECANCELED) {
        a->collaboration->stats.replies--;
        a->collaboration->stats.surplus_replies++;
        return; /* the timer is about to end it */
    }
    r->reply = loom_envelope_ref(event);
    loop_timer_clear(&a->loop, &r->timer);
    exchange_close(a, x, false);
}

static void tell_reply(loom_agent *a, exchange *x)
{
    tell(a, (called_request *)x, LOOM_OK);
}

static void tell_closed(loom_agent *a, exchange *x)
{
    called_request *r = (called_request *)x;
    pthread_mutex_lock(&a->loop.lock);
    loop_timer_clear(&a->loop, &r->timer);
    pthread_mutex_unlock(&a->loop.lock);
    tell(a, r, r->status == LOOM_ECANCELED ? LOOM_ECANCELED : LOOM_ECLOSED);
}

static void give_up(loom_agent *a, agent_timer *timer)
{
    called_request *r = of_timer(timer);
    pthread_mutex_lock(&a->loop.lock);
    loop_timer_clear(&a->loop, timer);
    exchange_close(a, &r->x, r->status == LOOM_ETIMEDOUT && r->on_reply != NULL);
    pthread_mutex_unlock(&a->loop.lock);
    tell(a, r, r->status);
}

static void end_now(loom_agent *a, called_request *r, loom_status status)
{
    r->status = status;
    loom_status st = loop_timer_set(&a->loop, &r->timer, 1);
    (void)st; /* moving one needs no memory */
}

static bool goes_on(const called_request *r)
{
    return r->status == LOOM_ETIMEDOUT && agent_timer_is_set(&r->timer);
}

static void tell_nobody(loom_agent *a, exchange *x, uint64_t found)
{
    called_request *r = (called_request *)x;
    if (found == 0 && goes_on(r)) {
        end_now(a, r, LOOM_ENORESPONDERS);
    }
}

static called_request *called_create(const char *correlation, loom_on_reply on_reply, void *user)
{
    size_t size = correlation != NULL ? strlen(correlation) + 1 : 0;
    called_request *r = calloc(1, sizeof *r + size);
    if (r == NULL) {
        return NULL;
    }
    if (size > 0) {
        memcpy(r->correlation, correlation, size);
    }
    r->x.take = take_reply;
    r->x.matched = tell_nobody;
    r->x.after = tell_reply;
    r->x.abandon = tell_closed;
    r->timer.fire = give_up;
    r->on_reply = on_reply;
    r->user = user;
    r->status = LOOM_ETIMEDOUT;
    if (origin_take(&r->from) != LOOM_OK) {
        called_free(r);
        return NULL;
    }
    return r;
}

/* Ends it soon, on the loop. False: it has ended, or is about to. */
static bool end_soon(loom_agent *a, uint64_t number, loom_status status, bool told)
{
    pthread_mutex_lock(&a->loop.lock);
    exchange *x = exchange_find(a, number);
    called_request *r = x != NULL && x->abandon == tell_closed ? (called_request *)x : NULL;
    const bool ends = r != NULL && goes_on(r);
    if (ends) {
        r->on_reply = told ? r->on_reply : NULL;
        end_now(a, r, status);
    }
    pthread_mutex_unlock(&a->loop.lock);
    return ends;
}

static loom_status open_called(loom_agent *a, called_request *r, const char *correlation, uint64_t deadline,
                               exchange_address *address, uint64_t *number, uint64_t *request)
{
    pthread_mutex_lock(&a->loop.lock);
    loom_status st = exchange_open(a, &r->x, correlation != NULL ? r->correlation : NULL);
    if (st == LOOM_OK && (st = loop_timer_set(&a->loop, &r->timer, deadline)) != LOOM_OK) {
        exchange_close(a, &r->x, false);
    }
    if (st == LOOM_OK) {
        a->collaboration->stats.requests++;
        *address = exchange_address_of(a, &r->x);
        *number = r->x.number;
        if (request != NULL) {
            *request = r->x.number; /* before on_reply can run */
        }
    }
    pthread_mutex_unlock(&a->loop.lock);
    return st;
}

/* What the bridge has said of the mailbox in this session. While it has said nothing, the subscription precedes the request
 * on the link. */
static loom_status mailbox_status(loom_agent *a)
{
    pthread_mutex_lock(&a->loop.lock);
    const collaboration *c = collaboration_of(a);
    const subscription *sub = c != NULL ? subscriptions_find(&a->events->subs, c->mailbox_number) : NULL;
    loom_status st = c == NULL ? LOOM_ENOMEM : sub != NULL && sub->answered ? sub->answer : LOOM_OK;
    pthread_mutex_unlock(&a->loop.lock);
    return st;
}

loom_status loom_agent_request_async(loom_agent *a, const char *topic, loom_bytes payload,
                                     const loom_request_options *o, loom_on_reply on_reply, void *user, uint64_t *request)
{
    loom_status st = on_reply != NULL ? check(a, topic, payload, o) : last_error_null("on_reply");
    if (st != LOOM_OK || (st = mailbox_status(a)) != LOOM_OK) {
        return st;
    }
    called_request *r = called_create(correlation_of(o), on_reply, user);
    if (r == NULL) {
        return LOOM_ENOMEM;
    }
    exchange_address address;
    uint64_t number; /* r may be gone as soon as it is open, and what request points to, too */
    if ((st = open_called(a, r, correlation_of(o), deadline_of(o), &address, &number, request)) != LOOM_OK) {
        called_free(r);
        return st;
    }
    loom_emit_options options = emit_options_of(o);
    st = exchange_emit(a, &address, topic, payload, &options);
    if (st != LOOM_OK && !end_soon(a, number, st, false)) {
        return LOOM_OK; /* its timer was faster, and tells */
    }
    return st;
}

loom_status loom_agent_request_cancel(loom_agent *a, uint64_t request)
{
    loom_status st = agent_check(a);
    if (st != LOOM_OK) {
        return st;
    }
    return request != 0 && end_soon(a, request, LOOM_ECANCELED, true) ? LOOM_OK : LOOM_ENOTFOUND;
}
