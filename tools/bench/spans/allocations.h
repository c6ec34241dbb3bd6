/* SPDX-License-Identifier: Apache-2.0 */
/* How often the C library was asked for memory, by whichever library and thread. Under a sanitizer, which has an allocator
 * of its own, always 0. */
#ifndef LOOM_TOOLS_BENCH_SPANS_ALLOCATIONS_H
#define LOOM_TOOLS_BENCH_SPANS_ALLOCATIONS_H

unsigned long allocations_so_far(void);

#endif
