/* SPDX-License-Identifier: Apache-2.0 */
/* The filter, run as the kernel runs it: it may send to the tracer what is wanted and what the tracer needs, and nothing else. */
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/syscall.h>

#include "tests/support/check.h"
#include "trace/process/syscalls/plan.h"

#if defined(__x86_64__)
#define NATIVE AUDIT_ARCH_X86_64
#define FOREIGN AUDIT_ARCH_I386
#else
#define NATIVE AUDIT_ARCH_AARCH64
#define FOREIGN AUDIT_ARCH_ARM
#endif

static bool jumps(uint16_t code, uint32_t a, uint32_t k)
{
    switch (BPF_OP(code)) {
    case BPF_JEQ: return a == k;
    case BPF_JGT: return a > k;
    case BPF_JGE: return a >= k;
    case BPF_JSET: return (a & k) != 0;
    default: fail_msg("jump 0x%x", code);
    }
    return false;
}

/* Classic BPF as seccomp has it (Documentation/userspace-api/seccomp_filter.rst). *steps: how many instructions it took. */
static uint32_t run(const syscall_plan *plan, const struct seccomp_data *data, unsigned *steps)
{
    uint32_t a = 0;
    *steps = 0;
    for (size_t pc = 0; pc < plan->filter_len; pc++) {
        const struct sock_filter *i = &plan->filter[pc];
        ++*steps;
        switch (BPF_CLASS(i->code)) {
        case BPF_LD:
            assert_true(i->k + 4 <= sizeof *data);
            memcpy(&a, (const uint8_t *)data + i->k, 4);
            break;
        case BPF_ALU:
            assert_int_equal(BPF_AND, BPF_OP(i->code));
            a &= i->k;
            break;
        case BPF_JMP: pc += BPF_OP(i->code) == BPF_JA ? i->k : jumps(i->code, a, i->k) ? i->jt : i->jf; break;
        case BPF_RET: return i->k;
        default: fail_msg("instruction 0x%x", i->code);
        }
    }
    fail_msg("the filter has no end");
    return 0;
}

static uint32_t decide(const syscall_plan *plan, uint32_t arch, long number, uint64_t argument)
{
    unsigned steps;
    return run(plan, &(struct seccomp_data){.arch = arch, .nr = (int)number, .args = {argument}}, &steps);
}

static syscall_plan plan_of(const char *text)
{
    syscall_set set;
    syscall_plan plan;
    char problem[256];
    assert_status(LOOM_OK, syscall_set_parse(&set, text, problem, sizeof problem));
    assert_status(LOOM_OK, syscall_plan_init(&plan, &set, problem, sizeof problem));
    assert_non_null(plan.filter);
    return plan;
}

static void only_what_is_wanted_stops(void **state)
{
    (void)state;
    static const char *const sets[] = {"openat", "file", "default", "all", "!openat", "network,desc", "/^e"};
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        syscall_plan plan = plan_of(sets[i]);
        for (int number = 0; number < SYSCALL_NUMBERS_MAX; number++) {
            bool always = number == SYS_ptrace;
#ifdef SYS_clone3
            always = always || number == SYS_clone3;
#endif
            const uint32_t expected = plan.wanted[number] || always ? SECCOMP_RET_TRACE : SECCOMP_RET_ALLOW;
            if (decide(&plan, NATIVE, number, 0) != expected) {
                fail_msg("set \"%s\", call %d", sets[i], number);
            }
        }
        syscall_plan_fini(&plan);
    }
}

static void what_goes_on_with_a_call_is_wanted_with_it(void **state)
{
    (void)state;
    syscall_plan sleeps = plan_of("clock_nanosleep"), opens = plan_of("openat");
    assert_true(sleeps.wanted[SYS_restart_syscall]);
    assert_false(opens.wanted[SYS_restart_syscall]);
    syscall_plan_fini(&sleeps);
    syscall_plan_fini(&opens);
}

static void another_architecture_passes(void **state)
{
    (void)state;
    syscall_plan plan = plan_of("all");
    for (int number = 0; number < SYSCALL_NUMBERS_MAX; number++) {
        assert_int_equal(SECCOMP_RET_ALLOW, decide(&plan, FOREIGN, number, 0));
    }
#if defined(__x86_64__)
    assert_int_equal(SECCOMP_RET_ALLOW, decide(&plan, NATIVE, 0x40000000 | SYS_openat, 0)); /* x32 */
#endif
    syscall_plan_fini(&plan);
}

static void a_clone_that_wants_no_tracer_stops(void **state)
{
    (void)state;
    syscall_plan plan = plan_of("openat");
    assert_int_equal(SECCOMP_RET_ALLOW, decide(&plan, NATIVE, SYS_clone, CLONE_VM));
    assert_int_equal(SECCOMP_RET_TRACE, decide(&plan, NATIVE, SYS_clone, CLONE_VM | CLONE_UNTRACED));
    syscall_plan_fini(&plan);
}

static void a_call_that_is_not_wanted_costs_a_few_instructions(void **state)
{
    (void)state;
    unsigned steps, most = 0;
    syscall_plan plan = plan_of("file");
    for (int number = 0; number < SYSCALL_NUMBERS_MAX; number++) {
        (void)run(&plan, &(struct seccomp_data){.arch = NATIVE, .nr = number}, &steps);
        most = steps > most ? steps : most;
    }
    assert_in_range(most, 1, 24);
    syscall_plan_fini(&plan);
}

static void a_set_of_nothing_is_refused(void **state)
{
    (void)state;
    syscall_set set;
    syscall_plan plan;
    char problem[256];
    assert_status(LOOM_OK, syscall_set_parse(&set, "none", problem, sizeof problem));
    assert_status(LOOM_EINVAL, syscall_plan_init(&plan, &set, problem, sizeof problem));
    assert_non_null(strstr(problem, "no system call"));
    syscall_plan_fini(&plan);
}

static void numbers_are_this_machines(void **state)
{
    (void)state;
    syscall_plan plan = plan_of("openat,statx");
    assert_string_equal("openat", plan.by_number[SYS_openat]->name);
    assert_true(plan.wanted[SYS_openat] && plan.wanted[SYS_statx] && !plan.wanted[SYS_read]);
    syscall_plan_fini(&plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_is_wanted_stops),
        cmocka_unit_test(what_goes_on_with_a_call_is_wanted_with_it),
        cmocka_unit_test(another_architecture_passes),
        cmocka_unit_test(a_clone_that_wants_no_tracer_stops),
        cmocka_unit_test(a_call_that_is_not_wanted_costs_a_few_instructions),
        cmocka_unit_test(a_set_of_nothing_is_refused),
        cmocka_unit_test(numbers_are_this_machines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
