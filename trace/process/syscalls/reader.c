/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/process/syscalls/reader.h"

#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/thread.h"

enum { ROUND = 64, LOOK_MS = 20, LOOK_IDLE_MS = 500, IDLE_ROUNDS = 25 };

static bool must_end(reader *r)
{
    const uint64_t at = atomic_load(&r->stop_at_ms);
    return at != 0 && clock_monotonic_ms() >= at;
}

static bool queue_is_nearly_full(const reader *r)
{
    if (r->processor == NULL) {
        return false;
    }
    const loom_span_counts c = loom_span_processor_counts(r->processor);
    const uint64_t gone = c.exported + c.dropped_full + c.dropped_failed + c.dropped_shutdown;
    return c.ended > gone && c.ended - gone > r->queue_size / 4 * 3;
}

/* The ring is there to wait in: 16 MiB, where the queue of the processor has room for some thousand spans. */
static void hold_back(reader *r)
{
    while (queue_is_nearly_full(r) && !must_end(r)) {
        nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
    }
}

/* Some records; false: there was none. */
static bool read_some(reader *r)
{
    unsigned count = 0;
    for (const event *e = ring_peek(r->ring); e != NULL && count < ROUND; e = ring_peek(r->ring), count++) {
        span_maker_take(&r->spans, e);
        ring_consume(r->ring, e);
    }
    atomic_store_explicit(&r->made, r->spans.made, memory_order_relaxed);
    return count > 0;
}

static void sleep_until_heard(reader *r, bool idle)
{
    uint64_t rung;
    struct pollfd bell = {.fd = r->bell, .events = POLLIN};
    if (ring_may_sleep(r->ring) && poll(&bell, 1, idle ? LOOK_IDLE_MS : LOOK_MS) > 0) {
        (void)!read(r->bell, &rung, sizeof rung);
    }
}

/* The time is up: what is left makes no spans, but processes still end. */
static void give_up(reader *r)
{
    uint64_t lost = 0;
    for (const event *e = ring_peek(r->ring); e != NULL; e = ring_peek(r->ring)) {
        if (e->type == EVENT_CALL) {
            lost++;
        } else {
            span_maker_take(&r->spans, e);
        }
        ring_consume(r->ring, e);
    }
    atomic_store(&r->lost, lost);
}

static void *run(void *user)
{
    reader *r = user;
    unsigned empty_rounds = 0;
    for (;;) {
        hold_back(r);
        if (must_end(r)) {
            give_up(r);
            break;
        }
        const bool stopping = atomic_load(&r->stop_at_ms) != 0; /* before the look: what was told earlier is seen */
        if (read_some(r)) {
            empty_rounds = 0;
        } else if (stopping) {
            break;
        } else {
            sleep_until_heard(r, ++empty_rounds > IDLE_ROUNDS);
        }
    }
    return NULL;
}

int reader_start(reader *r)
{
    return thread_start(&r->thread, NULL, run, r);
}

void reader_stop(reader *r, int timeout_ms)
{
    const uint64_t one = 1;
    atomic_store(&r->stop_at_ms, clock_monotonic_ms() + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0) + 1);
    (void)!write(r->bell, &one, sizeof one);
    pthread_join(r->thread, NULL);
}
