/* SPDX-License-Identifier: Apache-2.0 */
/* What is to be traced, worked out before the tracer starts: its numbers on this machine, and the seccomp program that picks
 * them out. Never changes afterwards; tracer and reader both have it. */
#ifndef LOOM_TRACE_PROCESS_PLAN_H
#define LOOM_TRACE_PROCESS_PLAN_H

#include <linux/filter.h>

#include "trace/process/syscalls/set.h"

typedef struct syscall_plan {
    const syscall_spec *by_number[SYSCALL_NUMBERS_MAX]; /* NULL: no such call here */
    bool wanted[SYSCALL_NUMBERS_MAX];
    struct sock_filter *filter; /* NULL: seccomp cannot do it on this machine, every call has to be looked at */
    uint16_t filter_len;
    uint64_t min_duration_ns;
    uint64_t sample; /* a call is kept when a random number is below it; UINT64_MAX: all */
    bool errors_only, summary, spans, source;
} syscall_plan;

/* Fills everything that follows from set; the rest is the caller's. After any outcome syscall_plan_fini().
 * LOOM_EINVAL: nothing in the set exists here. LOOM_ENOTFOUND: no libseccomp. LOOM_ENOMEM, LOOM_EIO. */
LOOM_MUST_CHECK loom_status syscall_plan_init(syscall_plan *plan, const syscall_set *set, char *problem, size_t problem_size);
void syscall_plan_fini(syscall_plan *plan);

#endif
