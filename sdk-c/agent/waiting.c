/* SPDX-License-Identifier: Apache-2.0 */
/* The three ways to wait: asleep while another thread is the loop, as the loop in poll mode, as the loop in a handler. */
#include "sdk-c/agent/waiting.h"

#include <stdlib.h>
#include <string.h>

#include <loom/trace.h>

loom_status agent_may_wait(loom_agent *a)
{
    if (agent_on_loop(a)) {
        return a->nested < NESTED_MAX ? LOOM_OK : LOOM_EBUSY;
    }
    pthread_mutex_lock(&a->lock);
    bool polled_elsewhere = a->options.poll_mode && a->looping;
    pthread_mutex_unlock(&a->lock);
    return polled_elsewhere ? LOOM_EBUSY : LOOM_OK;
}

/* Lock held. LOOM_EBUSY: not yet. */
static loom_status look(loom_agent *a, bool (*done)(void *user), void *user)
{
    if (done(user)) {
        return LOOM_OK;
    }
    return a->closing || a->state == LOOM_AGENT_CLOSED ? LOOM_ECLOSED : LOOM_EBUSY;
}

static loom_status look_once(loom_agent *a, bool (*done)(void *user), void *user)
{
    pthread_mutex_lock(&a->lock);
    loom_status st = look(a, done, user);
    pthread_mutex_unlock(&a->lock);
    return st;
}

/* Another thread is the loop. */
static loom_status sleep_until(loom_agent *a, bool (*done)(void *user), void *user, uint64_t deadline_ns)
{
    loom_status st;
    bool in_time = true;
    pthread_mutex_lock(&a->lock);
    agent_guest_enter(a);
    while ((st = look(a, done, user)) == LOOM_EBUSY && in_time) {
        in_time = agent_wait_change(a, deadline_ns);
    }
    agent_guest_leave(a);
    pthread_mutex_unlock(&a->lock);
    return st == LOOM_EBUSY ? LOOM_ETIMEDOUT : st;
}

static loom_status go_round(loom_agent *a, bool (*done)(void *user), void *user, uint64_t deadline_ns)
{
    loom_status st;
    while ((st = look_once(a, done, user)) == LOOM_EBUSY) {
        uint64_t now = clock_monotonic_ns();
        if (now >= deadline_ns) {
            return LOOM_ETIMEDOUT;
        }
        agent_round(a, agent_ms_until(deadline_ns, now));
    }
    return st;
}

/* ---- inside a handler ---- */

/* The frame that the handler was called from lies in the receive buffer. What follows it goes on in another one. */
static loom_status set_buffer_aside(loom_agent *a)
{
    receive_buffer *in = &a->in;
    if (!in->parsing) {
        return LOOM_OK;
    }
    size_t rest = in->end - in->begin;
    uint8_t *data = malloc(in->capacity);
    if (data == NULL || held_buffers_add(&a->held, in->data) != LOOM_OK) {
        free(data);
        return LOOM_ENOMEM;
    }
    memcpy(data, in->data + in->begin, rest);
    *in = (receive_buffer){.data = data, .capacity = in->capacity, .end = rest};
    return LOOM_OK;
}

static loom_status wait_nested(loom_agent *a, bool (*done)(void *user), void *user, uint64_t deadline_ns)
{
    loom_status st = look_once(a, done, user);
    if (st != LOOM_EBUSY) {
        return st;
    }
    if (a->nested == NESTED_MAX) {
        return LOOM_EBUSY;
    }
    if ((st = set_buffer_aside(a)) != LOOM_OK) {
        return st;
    }
    current_message message = dispatch_set_current((current_message){0}); /* what runs in between does not belong to it */
    struct waiting_handler self = {a->waiting, message.envelope};
    dispatch_set_aside(a);
    a->waiting = &self;
    a->nested++;
    if ((st = dispatch_kept_immediate(a)) != LOOM_OK) {
        session_break(a, st, a->session.text);
    }
    session_read_on(a); /* what was read together with the frame being handled */
    agent_write_left(a);
    st = go_round(a, done, user, deadline_ns);
    a->nested--;
    a->waiting = self.outer;
    (void)dispatch_set_current(message);
    return st;
}

/* ---- both ---- */

loom_status agent_wait_for(loom_agent *a, bool (*done)(void *user), void *user, uint64_t deadline_ns)
{
    if (agent_on_loop(a)) {
        return wait_nested(a, done, user, deadline_ns);
    }
    if (!a->options.poll_mode) {
        return sleep_until(a, done, user, deadline_ns);
    }
    loom_status st = look_once(a, done, user);
    if (st != LOOM_EBUSY || !agent_loop_enter(a)) {
        return st;
    }
    pthread_mutex_lock(&a->lock);
    agent_guest_enter(a);
    pthread_mutex_unlock(&a->lock);
    agent_write_left(a);
    st = go_round(a, done, user, deadline_ns);
    agent_loop_leave(a);
    pthread_mutex_lock(&a->lock);
    agent_guest_leave(a);
    pthread_mutex_unlock(&a->lock);
    return st;
}
