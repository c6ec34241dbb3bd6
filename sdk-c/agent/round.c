/* SPDX-License-Identifier: Apache-2.0 */
/* The order of a round: write what collected while we slept, read, then time, then what waiting handlers have left, then
 * write what all that has led to. Runs on the loop. */
#include "sdk-c/agent/round.h"

#include <sys/epoll.h>

#include "sdk-c/actions/actions.h"
#include "sdk-c/agent/session_receive.h"
#include "sdk-c/events/dispatch.h"

/* Handlers that waited have left deliveries and calls to be handled. */
static void handle_kept(loom_agent *a)
{
    actions_run_waiting(a);
    loom_status st = dispatch_kept_immediate(a);
    if (st == LOOM_OK) {
        st = dispatch_kept(a);
    }
    if (st != LOOM_OK) {
        session_break(&a->session, st, a->session.text);
    }
}

static void begin_round(loom_agent *a)
{
    pthread_mutex_lock(&a->loop.lock);
    loop_arm(&a->loop, session_next_deadline(&a->session));
    pthread_mutex_unlock(&a->loop.lock);
}

/* In poll mode, a caller that has read something next queues what belongs to it, a request or an answer: that is no burst,
 * and nobody else would write it. */
static void end_round(loom_agent *a, bool link_event)
{
    pthread_mutex_lock(&a->loop.lock);
    if (a->options.poll_mode && link_event) {
        a->loop.last_write = 0;
    }
    loop_arm(&a->loop, session_next_deadline(&a->session));
    pthread_mutex_unlock(&a->loop.lock);
}

void agent_round(loom_agent *a, int timeout_ms)
{
    struct epoll_event ready[4];
    begin_round(a);
    int count = epoll_wait(a->loop.epoll_fd, ready, 4, timeout_ms);
    bool link_event = false;
    for (int i = 0; i < count; i++) {
        if (ready[i].data.u32 == CARRIER_TAG) {
            link_event = true;
        } else if (ready[i].data.u32 == TIMER_TAG) {
            loop_timer_expired(&a->loop);
        }
    }
    loop_write_all(&a->loop, link_event);
    if (link_event || loop_write_failed(&a->loop)) {
        session_event(&a->session); /* after a failed write too: the bridge may have said why */
    }
    uint64_t now = clock_monotonic_ns();
    session_tick(&a->session, now);
    loop_fire_timers(&a->loop, a, now);
    handle_kept(a);
    loop_write_all(&a->loop, link_event); /* reading may have cleared the sign that there is space again */
    end_round(a, link_event);
}

/* The frame being handled, and those of outer handlers, make way for the frames after them. */
static void go_inside(loom_agent *a)
{
    loom_status st = dispatch_set_aside(a);
    if (st == LOOM_OK) {
        st = dispatch_kept_immediate(a);
    }
    if (st != LOOM_OK) {
        session_break(&a->session, st, a->session.text);
    }
    session_read_on(&a->session); /* what was read together with the frame being handled */
}

const round_ops agent_rounds = {.go = agent_round, .go_inside = go_inside};
