/* SPDX-License-Identifier: Apache-2.0 */
/* Fails chosen allocations, so that tests can walk through every out-of-memory path.
 *
 * A test program that links loom_alloc_fault has malloc, calloc, realloc, aligned_alloc, strdup and strndup wrapped by
 * the linker (-Wl,--wrap) in all code linked statically into it: Loom's libraries and the test itself. Shared
 * libraries keep their own calls. Counting is per thread: only the thread that arms a fault meets it. */
#ifndef LOOM_TESTS_ALLOC_FAULT_H
#define LOOM_TESTS_ALLOC_FAULT_H

#include <loom/status.h>

/* The n-th allocation (from 0) this thread makes from now on fails, once. */
void alloc_fault_arm(size_t n);
/* Back to normal; true when an allocation has failed since alloc_fault_arm(). */
bool alloc_fault_disarm(void);

/* A call under test with its set-up and clean-up: returns the status of the call and leaves nothing behind, whatever
 * came of it. Its own set-up may allocate too; it then returns LOOM_ENOMEM when that fails. */
typedef loom_status alloc_fault_scenario(void *user);

/* Runs scenario with its 0th, 1st, 2nd … allocation failing until a run meets no failure; returns how many runs
 * met one. Fails the test when a run with a failed allocation returned anything but
 * LOOM_ENOMEM, or the last run anything but LOOM_OK. Leaks are the address sanitizer's to find. */
size_t alloc_fault_each(alloc_fault_scenario *scenario, void *user);
/* The same for calls that must carry on without the memory: a run with a failed allocation may return anything. */
size_t alloc_fault_each_survived(alloc_fault_scenario *scenario, void *user);

#endif
