/* SPDX-License-Identifier: Apache-2.0 */
/* The two stops of a system call. The path of every call that is traced: a request that can be saved here is a microsecond of
 * the command's time. */
#include "trace/process/syscalls/tracer.h"

#include <elf.h>
#include <errno.h>
#include <linux/audit.h>
#include <sched.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>

#include "base/clock.h"
#include "base/random.h"
#include "trace/process/syscalls/caller.h"
#include "trace/process/syscalls/memory.h"
#include "trace/process/syscalls/quiet.h"

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#else
#error "system calls are traced on x86-64 and on 64-bit ARM"
#endif

enum { LOOK_TICKS = 20 }; /* of half a second each: the first look reads all debug information of the program */

typedef struct __ptrace_syscall_info call_info;

static bool get_info(pid_t tid, call_info *info)
{
    return ptrace(PTRACE_GET_SYSCALL_INFO, tid, (void *)sizeof *info, info) > 0;
}

void tracer_tell(tracer *t, const tracee *e, ring_urgency urgency)
{
    if (t->spans && !(t->passing && e->event->type == EVENT_CALL)) {
        (void)ring_write(&t->shared->ring, e->event, urgency, t->bell);
    }
}

/* ---- children that want no tracer ---- */

static uint64_t *first_argument(struct user_regs_struct *registers)
{
#if defined(__x86_64__)
    return (uint64_t *)&registers->rdi;
#else
    return (uint64_t *)&registers->regs[0];
#endif
}

/* A child of clone(CLONE_UNTRACED) would have our filter and nobody to pass its calls: they would all fail. So the flag goes.
 * Only what ptraces can tell the difference. */
static void keep_children(pid_t tid, uint64_t number, uint64_t argument)
{
    uint64_t flags = argument;
#ifdef SYS_clone3
    memory_view view = {.tid = tid};
    if (number == SYS_clone3 && memory_read(&view, argument, &flags, sizeof flags) == sizeof flags && (flags & CLONE_UNTRACED) != 0) {
        (void)ptrace(PTRACE_POKEDATA, tid, (void *)(uintptr_t)argument, (void *)(uintptr_t)(flags & ~(uint64_t)CLONE_UNTRACED));
    }
#endif
    struct user_regs_struct registers;
    struct iovec all = {&registers, sizeof registers};
    if (number == SYS_clone && (flags & CLONE_UNTRACED) != 0 && ptrace(PTRACE_GETREGSET, tid, (void *)NT_PRSTATUS, &all) == 0) {
        *first_argument(&registers) &= ~(uint64_t)CLONE_UNTRACED;
        (void)ptrace(PTRACE_SETREGSET, tid, (void *)NT_PRSTATUS, &all);
    }
}

static bool is_birth(uint64_t number)
{
#ifdef SYS_clone3
    return number == SYS_clone || number == SYS_clone3;
#else
    return number == SYS_clone;
#endif
}

void tracer_keep_children(pid_t tid)
{
    call_info info;
    if (get_info(tid, &info) && info.op == PTRACE_SYSCALL_INFO_SECCOMP && is_birth(info.seccomp.nr)) {
        keep_children(tid, info.seccomp.nr, info.seccomp.args[0]);
    }
}

/* ---- the beginning ---- */

static bool never_returns(uint64_t number)
{
    return number == SYS_exit || number == SYS_exit_group;
}

/* execve() leaves nothing to look at. */
static bool destroys_memory(uint64_t number)
{
    return number == SYS_execve || number == SYS_execveat;
}

static bool is_sampled(const syscall_plan *plan)
{
    return plan->sample == UINT64_MAX || random_word() < plan->sample;
}

static void begin_record(tracer *t, tracee *e, uint64_t number, const uint64_t *args)
{
    event *record = tracee_begin(e, EVENT_CALL);
    record->number = (uint16_t)number;
    for (unsigned i = 0; i < SYSCALL_ARGS_MAX; i++) {
        record->args[i] = args[i];
    }
    if (e->kept && t->callers != NULL) {
        t->looks_left = LOOK_TICKS;
        caller_find(t->callers, e);
        t->looks_left = 0;
    }
    if (e->kept && (t->callers != NULL || destroys_memory(number) || never_returns(number))) {
        capture_before(e, t->plan->by_number[number]);
    } else {
        e->to_look = e->kept;
    }
    e->event->start_ns = clock_monotonic_ns(); /* last: what it took to look is not the call's */
}

/* While the call runs: its thread can change nothing that we look at, and will stop at its end, and so neither waits for the
 * other. (Other threads can change it; so they can in the kernel's eyes.) And what is told of a call that has ended, its thread
 * need not wait for. */
void tracer_follow_up(tracer *t, tracee *e)
{
    if (e->to_look) {
        capture_before(e, t->plan->by_number[e->event->number]);
    }
    if (e->to_tell) {
        tracer_tell(t, e, RING_MAY_WAIT);
    }
    e->to_look = e->to_tell = false;
}

/* Whether its end is to be seen. */
static bool begin_call(tracer *t, tracee *e, uint64_t number, const uint64_t *args)
{
    const syscall_plan *plan = t->plan;
    if (t->passing || number >= SYSCALL_NUMBERS_MAX || !plan->wanted[number]) {
        return number == SYS_ptrace && !t->passing;
    }
    e->kept = t->spans && is_sampled(plan);
    if (!e->kept && !plan->summary) {
        return false;
    }
    begin_record(t, e, number, args);
    if (!never_returns(number)) {
        return true;
    }
    e->event->end_ns = e->event->start_ns;
    tally_add(&t->shared->tally, (unsigned)number, 0, false);
    if (e->kept && !plan->errors_only && plan->min_duration_ns == 0) {
        tracer_tell(t, e, RING_MAY_WAIT);
    }
    return false;
}

bool tracer_on_filter(tracer *t, tracee *e)
{
    call_info info;
    if (!get_info(e->tid, &info) || info.op != PTRACE_SYSCALL_INFO_SECCOMP) {
        return false;
    }
    if (is_birth(info.seccomp.nr)) {
        keep_children(e->tid, info.seccomp.nr, info.seccomp.args[0]);
    }
    e->event->number = (uint16_t)info.seccomp.nr;
    return begin_call(t, e, info.seccomp.nr, (const uint64_t *)info.seccomp.args);
}

/* ---- the end ---- */

static void end_call(tracer *t, tracee *e, int64_t result)
{
    event *record = e->event;
    const syscall_plan *plan = t->plan;
    const syscall_spec *spec = plan->by_number[record->number];
    if (record->number == SYS_ptrace && result == -EPERM) {
        atomic_fetch_add_explicit(&t->shared->tally.debuggers, 1, memory_order_relaxed);
    }
    if (t->passing || record->type != EVENT_CALL || !plan->wanted[record->number]) {
        return;
    }
    record->result = result;
    const uint64_t duration = record->end_ns - record->start_ns;
    const bool failed = syscall_failed(result);
    tally_add(&t->shared->tally, record->number, duration, failed);
    if (e->kept && duration >= plan->min_duration_ns &&
        (!plan->errors_only || (failed && syscall_error_matters(spec, (int)-result, event_path(e->event))))) {
        capture_after(e, spec);
        e->to_tell = true;
    }
}

/* The thread that stands for its process. */
static tracee *first_of(const tracer *t, tracee *e)
{
    tracee *first = e->tid != e->pid ? tracee_find(&t->tracees, e->pid) : NULL;
    return first != NULL ? first : e;
}

static void note_architecture(tracer *t, tracee *e, uint32_t arch)
{
    if (arch != NATIVE_ARCH && !e->foreign) {
        e->foreign = true;
        atomic_fetch_add_explicit(&t->shared->tally.foreign, 1, memory_order_relaxed);
    }
}

void tracer_note_architecture(tracer *t, tracee *e)
{
    call_info info;
    if (get_info(e->tid, &info)) {
        note_architecture(t, e, info.arch);
    }
}

/* The end of a call that the filter stopped; of a thread without a filter also the beginning of every call. */
bool tracer_on_call(tracer *t, tracee *e)
{
    const uint64_t now = clock_monotonic_ns();
    call_info info;
    if (!get_info(e->tid, &info)) {
        return false;
    }
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
        note_architecture(t, first_of(t, e), info.arch);
        e->event->number = (uint16_t)info.entry.nr;
        return info.arch == NATIVE_ARCH && begin_call(t, e, info.entry.nr, (const uint64_t *)info.entry.args);
    }
    if (info.op == PTRACE_SYSCALL_INFO_EXIT && e->in_call) {
        e->event->end_ns = now;
        end_call(t, e, info.exit.rval);
    }
    return false;
}
