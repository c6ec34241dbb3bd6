/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/process/syscalls/plan.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "trace/process/syscalls/seccomp_library.h"

enum { FILTER_MAX = 4096 }; /* instructions (BPF_MAXINSNS) */

/* The tracer has to see some calls, wanted or not: clone3() and clone(CLONE_UNTRACED), whose child would have our filter and
 * no tracer; ptrace(), to say why it fails. */
static int add_own_rules(const seccomp_library *s, scmp_filter_ctx filter)
{
    const struct scmp_arg_cmp untraced = {0, SCMP_CMP_MASKED_EQ, CLONE_UNTRACED, CLONE_UNTRACED};
    int bad = s->seccomp_rule_add_array(filter, SCMP_ACT_TRACE(0), SYS_clone, 1, &untraced);
    bad = bad == -EEXIST ? 0 : bad; /* it is wanted anyway */
    static const int always[] = {
#ifdef SYS_clone3
        SYS_clone3,
#endif
        SYS_ptrace};
    for (size_t i = 0; bad == 0 && i < sizeof always / sizeof always[0]; i++) {
        bad = s->seccomp_rule_add_array(filter, SCMP_ACT_TRACE(0), always[i], 0, NULL);
        bad = bad == -EEXIST ? 0 : bad;
    }
    return bad;
}

/* Calls of another architecture pass: the tracer tells of processes that make them. A tree of comparisons, since one after the
 * other would cost every call that is not traced some hundred instructions. */
static int fill_filter(const seccomp_library *s, scmp_filter_ctx filter, const syscall_plan *plan)
{
    int bad = s->seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ALLOW);
    if (bad == 0) {
        bad = s->seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    }
    for (int i = 0; bad == 0 && i < SYSCALL_NUMBERS_MAX; i++) {
        if (plan->wanted[i]) {
            bad = s->seccomp_rule_add_array(filter, SCMP_ACT_TRACE(0), i, 0, NULL);
        }
    }
    if (bad == 0) {
        bad = add_own_rules(s, filter);
    }
    return bad;
}

/* libseccomp writes a program to a descriptor. */
static loom_status read_filter(syscall_plan *plan, int fd)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || st.st_size <= 0 || (size_t)st.st_size % sizeof(struct sock_filter) != 0 ||
        (size_t)st.st_size / sizeof(struct sock_filter) > FILTER_MAX) {
        return LOOM_EIO;
    }
    const size_t size = (size_t)st.st_size;
    struct sock_filter *filter = malloc(size);
    if (filter == NULL) {
        return LOOM_ENOMEM;
    }
    if (pread(fd, filter, size, 0) != (ssize_t)size) {
        free(filter);
        return LOOM_EIO;
    }
    plan->filter = filter;
    plan->filter_len = (uint16_t)(size / sizeof(struct sock_filter));
    return LOOM_OK;
}

static bool seccomp_can_trace(void)
{
    const uint32_t action = SECCOMP_RET_TRACE;
    return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

static loom_status make_filter(syscall_plan *plan, const seccomp_library *s)
{
    int fd = memfd_create("loom-filter", MFD_CLOEXEC);
    scmp_filter_ctx filter = fd >= 0 ? s->seccomp_init(SCMP_ACT_ALLOW) : NULL;
    loom_status st = fd < 0 ? LOOM_EIO : LOOM_ENOMEM;
    if (filter != NULL) {
        int bad = fill_filter(s, filter, plan);
        if (bad == 0) {
            bad = s->seccomp_export_bpf(filter, fd);
        }
        st = bad == 0 ? read_filter(plan, fd) : bad == -ENOMEM ? LOOM_ENOMEM : LOOM_EIO;
        s->seccomp_release(filter);
    }
    if (fd >= 0) {
        close(fd);
    }
    return st;
}

static bool resolve(syscall_plan *plan, const syscall_set *set, const seccomp_library *s)
{
    bool any = false;
    for (size_t i = 0; i < syscall_spec_count; i++) {
        const int number = s->seccomp_syscall_resolve_name(syscall_specs[i].name);
        if (number >= 0 && number < SYSCALL_NUMBERS_MAX) {
            plan->by_number[number] = &syscall_specs[i];
            plan->wanted[number] = set->chosen[i];
            any = any || set->chosen[i];
        }
    }
    return any;
}

/* A stopped process that is continued goes on with these by another call. */
static void add_restarts(syscall_plan *plan)
{
    static const char *const restarted[] = {"nanosleep", "clock_nanosleep", "poll", "futex"};
    for (int number = 0; number < SYSCALL_NUMBERS_MAX; number++) {
        for (size_t i = 0; plan->wanted[number] && i < sizeof restarted / sizeof restarted[0]; i++) {
            if (strcmp(plan->by_number[number]->name, restarted[i]) == 0) {
                plan->wanted[SYS_restart_syscall] = true;
            }
        }
    }
}

loom_status syscall_plan_init(syscall_plan *plan, const syscall_set *set, char *problem, size_t problem_size)
{
    *plan = (syscall_plan){.sample = UINT64_MAX};
    const seccomp_library *s = seccomp_library_get();
    if (s == NULL) {
        (void)snprintf(problem, problem_size, "%s", seccomp_library_problem());
        return LOOM_ENOTFOUND;
    }
    if (!resolve(plan, set, s)) {
        (void)snprintf(problem, problem_size, "no system call of the set exists on this machine");
        return LOOM_EINVAL;
    }
    add_restarts(plan);
    if (!seccomp_can_trace()) {
        return LOOM_OK;
    }
    loom_status st = make_filter(plan, s);
    if (st != LOOM_OK) {
        (void)snprintf(problem, problem_size, "the filter of system calls could not be made: %s", loom_status_text(st));
    }
    return st;
}

void syscall_plan_fini(syscall_plan *plan)
{
    free(plan->filter);
    plan->filter = NULL;
}
