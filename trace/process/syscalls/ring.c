/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/process/syscalls/ring.h"

#include <string.h>
#include <unistd.h>

enum { RING_WAKE_AT = 256 * 1024 }; /* bytes that are worth a wake-up */

static void ring_bell(ring *r, int bell)
{
    /* Before the flag is looked at, the record has to be there for a reader that sets it: sequentially consistent. */
    if (atomic_load(&r->sleeping) != 0 && atomic_exchange(&r->sleeping, 0) != 0) {
        const uint64_t one = 1;
        (void)!write(bell, &one, sizeof one);
    }
}

/* Room for size bytes in one piece: how many of the end have to be skipped first, or -1. */
static int64_t make_room(ring *r, uint64_t written, uint32_t size, uint64_t limit)
{
    const uint64_t at = written % RING_SIZE;
    const uint64_t skip = at + size > RING_SIZE ? RING_SIZE - at : 0;
    if (written + skip + size - r->read_seen > limit) {
        r->read_seen = atomic_load_explicit(&r->read, memory_order_acquire);
        if (written + skip + size - r->read_seen > limit) {
            return -1;
        }
    }
    return (int64_t)skip;
}

bool ring_write(ring *r, const event *e, ring_urgency urgency, int bell)
{
    const uint64_t written = atomic_load_explicit(&r->written, memory_order_relaxed);
    const bool urgent = urgency == RING_MUST_BE_HEARD;
    const uint32_t size = (e->size + 7u) & ~7u; /* each record begins where a structure may */
    const int64_t skip = make_room(r, written, size, urgent ? RING_SIZE : RING_SIZE - RING_RESERVE);
    if (skip < 0) {
        atomic_fetch_add_explicit(&r->lost, 1, memory_order_relaxed);
        ring_bell(r, bell);
        return false;
    }
    if (skip > 0) { /* a size of 0 sends the reader to the beginning; records are multiples of 8, so there is room for it */
        memset(r->bytes + written % RING_SIZE, 0, sizeof e->size);
    }
    const uint64_t from = written + (uint64_t)skip;
    uint8_t *to = r->bytes + from % RING_SIZE;
    memcpy(to, e, e->size);
    memset(to + e->size, 0, size - e->size); /* no part */
    memcpy(to, &size, sizeof size);
    atomic_store(&r->written, from + size);
    if (!urgent && from + size - r->read_seen > RING_WAKE_AT) {
        r->read_seen = atomic_load_explicit(&r->read, memory_order_acquire);
    }
    if (urgent || from + size - r->read_seen > RING_WAKE_AT) {
        ring_bell(r, bell);
    }
    return true;
}

const event *ring_peek(ring *r)
{
    const uint64_t written = atomic_load_explicit(&r->written, memory_order_acquire);
    uint64_t read = atomic_load_explicit(&r->read, memory_order_relaxed);
    if (read == written) {
        return NULL;
    }
    const event *e = (const event *)(const void *)(r->bytes + read % RING_SIZE);
    if (e->size == 0) {
        read += RING_SIZE - read % RING_SIZE;
        atomic_store_explicit(&r->read, read, memory_order_release);
        e = (const event *)(const void *)r->bytes;
    }
    return e;
}

void ring_consume(ring *r, const event *e)
{
    const uint64_t read = atomic_load_explicit(&r->read, memory_order_relaxed);
    atomic_store_explicit(&r->read, read + e->size, memory_order_release);
}

bool ring_may_sleep(ring *r)
{
    atomic_store(&r->sleeping, 1);
    return atomic_load(&r->written) == atomic_load(&r->read);
}
