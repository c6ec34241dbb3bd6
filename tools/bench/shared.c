/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/bench/shared.h"

#include <linux/futex.h>
#include <limits.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

shared *shared_create(void)
{
    void *memory = mmap(NULL, sizeof(shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory; /* zeroed by the kernel */
}

void shared_destroy(shared *s)
{
    if (s != NULL) {
        munmap(s, sizeof *s);
    }
}

void shared_set(_Atomic uint32_t *word, uint32_t value)
{
    atomic_store(word, value);
    syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

bool shared_wait(_Atomic uint32_t *word, uint32_t value, uint64_t timeout_ns)
{
    const uint64_t deadline = bench_now_ns() + timeout_ns;
    for (;;) {
        const uint32_t seen = atomic_load(word);
        const uint64_t now = bench_now_ns();
        if (seen >= value) {
            return true;
        }
        if (now >= deadline) {
            return false;
        }
        const uint64_t left = deadline - now;
        const struct timespec wait = {(time_t)(left / 1000000000u), (long)(left % 1000000000u)};
        syscall(SYS_futex, word, FUTEX_WAIT, seen, &wait, NULL, 0);
    }
}

uint64_t bench_now_ns(void)
{
    return clock_monotonic_ns();
}
