/* SPDX-License-Identifier: Apache-2.0 */
/* The three ways to wait: asleep while another thread is the loop, as the loop in poll mode, as the loop in a handler. */
#include "sdk-c/agent/waiting.h"

#include "sdk-c/agent/current.h"

typedef struct condition {
    bool (*done)(void *user);
    void *user;
    uint64_t deadline_ns;
} condition;

loom_status agent_may_wait(loom_agent *a)
{
    if (loop_is_this_thread(&a->loop)) {
        return a->nested < NESTED_MAX ? LOOM_OK : LOOM_EBUSY;
    }
    if (!a->options.poll_mode) {
        return LOOM_OK;
    }
    pthread_mutex_lock(&a->loop.lock);
    bool polled_elsewhere = a->loop.looping;
    pthread_mutex_unlock(&a->loop.lock);
    return polled_elsewhere ? LOOM_EBUSY : LOOM_OK;
}

/* Lock held. Whether waiting has come to its end, and how. */
static bool is_over(const loom_agent *a, const condition *c, loom_status *st)
{
    bool done = c->done(c->user);
    *st = done ? LOOM_OK : LOOM_ECLOSED;
    return done || a->loop.over;
}

/* Lock not held. */
static bool is_over_now(loom_agent *a, const condition *c, loom_status *st)
{
    pthread_mutex_lock(&a->loop.lock);
    bool over = is_over(a, c, st);
    pthread_mutex_unlock(&a->loop.lock);
    return over;
}

/* Another thread is the loop. */
static loom_status sleep_until(loom_agent *a, const condition *c)
{
    loom_status st;
    bool over, in_time = true;
    loop_guest_enter(&a->loop);
    pthread_mutex_lock(&a->loop.lock);
    while (!(over = is_over(a, c, &st)) && in_time) {
        in_time = loop_wait_change(&a->loop, c->deadline_ns);
    }
    pthread_mutex_unlock(&a->loop.lock);
    loop_guest_leave(&a->loop);
    return over ? st : LOOM_ETIMEDOUT;
}

static loom_status go_round(loom_agent *a, const condition *c)
{
    loom_status st;
    while (!is_over_now(a, c, &st)) {
        uint64_t now = clock_monotonic_ns();
        if (now >= c->deadline_ns) {
            return LOOM_ETIMEDOUT;
        }
        a->rounds->go(a, loop_ms_until(c->deadline_ns, now));
    }
    return st;
}

/* In a handler. */
static loom_status wait_nested(loom_agent *a, const condition *c)
{
    loom_status st;
    if (is_over_now(a, c, &st)) {
        return st;
    }
    if ((st = agent_may_wait(a)) != LOOM_OK || (st = receive_buffer_set_aside(&a->session.in)) != LOOM_OK) {
        return st;
    }
    set_aside aside = current_set_aside(); /* what runs in between does not belong to the handler */
    waiting_handler self = {a->waiting, aside.message.envelope};
    a->waiting = &self;
    a->nested++;
    a->rounds->go_inside(a);
    loop_write_all(&a->loop, false);
    st = go_round(a, c);
    a->nested--;
    a->waiting = self.outer;
    current_take_back(aside);
    return st;
}

/* In poll mode, outside of handlers. */
static loom_status poll_until(loom_agent *a, const condition *c)
{
    loom_status st;
    if (is_over_now(a, c, &st)) {
        return st;
    }
    if (!loop_enter(&a->loop)) {
        return LOOM_EBUSY;
    }
    loop_guest_enter(&a->loop);
    loop_write_all(&a->loop, false);
    st = go_round(a, c);
    loop_leave(&a->loop);
    loop_guest_leave(&a->loop);
    return st;
}

loom_status agent_wait_for(loom_agent *a, bool (*done)(void *user), void *user, uint64_t deadline_ns)
{
    const condition c = {done, user, deadline_ns};
    if (loop_is_this_thread(&a->loop)) {
        return wait_nested(a, &c);
    }
    return a->options.poll_mode ? poll_until(a, &c) : sleep_until(a, &c);
}
