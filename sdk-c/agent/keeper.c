/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps the session while a handler takes its time.
 *
 * Handlers run on the thread that reads and answers the bridge's pings. One that works for minutes would look like a dead
 * agent, and lose its session. So a second thread wakes once per heartbeat, and when the same handler has been running
 * since the last time, it sends a ping: to the bridge that is a sign of life like any other. It handles nothing, and in
 * poll mode, where the caller owns the time, there is none. */
#include "sdk-c/agent/keeper.h"

#include "base/thread.h"

enum { KEEPER_STACK_SIZE = 256 * 1024 };

/* Lock held. The pong to number 0 answers no ping of the session's. */
static void speak_up(loom_agent *a)
{
    agent_loop *loop = &a->loop;
    if (loop->writable && loop->out.up && frame_put_number(&loop->out.control, FRAME_PING, 0) == LOOM_OK) {
        loop_write(loop, false);
    }
}

static void *keeper_thread(void *arg)
{
    loom_agent *a = arg;
    uint64_t events_before = UINT64_MAX;
    pthread_mutex_lock(&a->loop.lock);
    while (!a->loop.closing) {
        uint64_t until = clock_monotonic_ns() + a->session.keep_ns;
        struct timespec at = {(time_t)(until / 1000000000u), (long)(until % 1000000000u)};
        pthread_cond_timedwait(&a->loop.closes, &a->loop.lock, &at);
        bool handling = atomic_load_explicit(&a->loop.handling, memory_order_relaxed);
        uint64_t events = atomic_load_explicit(&a->counters.received, memory_order_relaxed) +
                          atomic_load_explicit(&a->counters.calls_handled, memory_order_relaxed);
        if (handling && events == events_before) {
            speak_up(a);
        }
        events_before = handling ? events : UINT64_MAX;
    }
    pthread_mutex_unlock(&a->loop.lock);
    return NULL;
}

loom_status keeper_start(loom_agent *a)
{
    pthread_attr_t attr;
    if (pthread_attr_init(&attr) != 0) {
        return LOOM_ENOMEM;
    }
    pthread_attr_setstacksize(&attr, KEEPER_STACK_SIZE);
    int failed = thread_start(&a->keeper, &attr, keeper_thread, a);
    pthread_attr_destroy(&attr);
    a->has_keeper = failed == 0;
    return failed == 0 ? LOOM_OK : LOOM_EIO;
}

void keeper_join(loom_agent *a)
{
    if (a->has_keeper) {
        pthread_join(a->keeper, NULL);
    }
}
