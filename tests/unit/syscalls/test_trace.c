/* SPDX-License-Identifier: Apache-2.0 */
/* A trace from open to close, in process; what commands do under it is in tests/integration/test_syscalls.py. */
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/alloc_fault.h"
#include "tests/support/wait_until.h"
#include "trace/process/syscalls/syscall_trace.h"

static const syscall_trace_options counting = {.set = "openat", .summary = true};

static void opens_and_exits(void)
{
    for (int i = 0; i < 10; i++) {
        FILE *file = fopen("/dev/null", "re");
        if (file != NULL) {
            fclose(file);
        }
    }
    _exit(3);
}

static pid_t run(syscall_trace *trace)
{
    char problem[SYSCALL_TRACE_PROBLEM_SIZE];
    const pid_t pid = fork();
    if (pid == 0) {
        syscall_trace_child(trace);
        opens_and_exits();
    }
    assert_status(LOOM_OK, syscall_trace_start(trace, pid, NULL, problem));
    return pid;
}

static void calls_are_counted_and_the_status_is_the_commands(void **state)
{
    (void)state;
    syscall_trace *trace;
    char problem[SYSCALL_TRACE_PROBLEM_SIZE];
    int status;
    assert_status(LOOM_OK, syscall_trace_open(&trace, &counting, problem));
    assert_int_equal(-1, syscall_trace_fd(trace));
    assert_status(LOOM_ECLOSED, syscall_trace_wait(trace, 0, &status));
    (void)run(trace);
    assert_status(LOOM_OK, syscall_trace_wait(trace, 20000, &status));
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 3);
    assert_status(LOOM_ECLOSED, syscall_trace_wait(trace, 0, &status));
    syscall_trace_stop(trace, 1000);
    assert_int_equal(10, syscall_trace_count(trace).calls);
    assert_int_equal(0, syscall_trace_count(trace).spans);
    assert_int_equal(1, syscall_trace_count(trace).processes);
    syscall_trace_close(trace, 1000);
}

static void a_wait_that_is_too_short_says_so(void **state)
{
    (void)state;
    syscall_trace *trace;
    char problem[SYSCALL_TRACE_PROBLEM_SIZE];
    int status;
    assert_status(LOOM_OK, syscall_trace_open(&trace, &counting, problem));
    const pid_t pid = fork();
    if (pid == 0) {
        syscall_trace_child(trace);
        pause();
        _exit(0);
    }
    assert_status(LOOM_OK, syscall_trace_start(trace, pid, NULL, problem));
    assert_status(LOOM_ETIMEDOUT, syscall_trace_wait(trace, 1, &status));
    kill(pid, SIGKILL);
    assert_status(LOOM_OK, syscall_trace_wait(trace, -1, &status));
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    syscall_trace_close(trace, 1000);
}

static void a_child_that_nobody_follows_runs_untraced(void **state)
{
    (void)state;
    syscall_trace *trace;
    char problem[SYSCALL_TRACE_PROBLEM_SIZE];
    int status;
    assert_status(LOOM_OK, syscall_trace_open(&trace, &counting, problem));
    const pid_t pid = fork();
    if (pid == 0) {
        syscall_trace_child(trace);
        opens_and_exits();
    }
    syscall_trace_close(trace, 1000);
    assert_int_equal(pid, waitpid(pid, &status, 0));
    assert_int_equal(3, WEXITSTATUS(status));
    syscall_trace_child(NULL);
    syscall_trace_close(NULL, 0);
}

static char *summary_of(const syscall_trace *trace, syscall_summary_form form, unsigned columns)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    assert_status(LOOM_OK, syscall_trace_summary(trace, out, form, columns));
    fclose(out);
    return text;
}

static void the_summary_is_a_table_or_json(void **state)
{
    (void)state;
    syscall_trace *trace;
    char problem[SYSCALL_TRACE_PROBLEM_SIZE];
    int status;
    assert_status(LOOM_OK, syscall_trace_open(&trace, &counting, problem));
    (void)run(trace);
    assert_status(LOOM_OK, syscall_trace_wait(trace, 20000, &status));
    syscall_trace_stop(trace, 1000);
    char *wide = summary_of(trace, SYSCALL_SUMMARY_TABLE, 120), *narrow = summary_of(trace, SYSCALL_SUMMARY_TABLE, 80);
    char *json = summary_of(trace, SYSCALL_SUMMARY_JSON, 0);
    assert_non_null(strstr(wide, "█"));
    assert_null(strstr(narrow, "█"));
    for (char *line = strtok(narrow, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        assert_in_range(strlen(line), 1, 80);
    }
    assert_non_null(strstr(json, "{\"name\":\"openat\",\"calls\":10,\"errors\":0,"));
    FILE *full = fopen("/dev/full", "we");
    assert_status(LOOM_EIO, syscall_trace_summary(trace, full, SYSCALL_SUMMARY_JSON, 0));
    fclose(full);
    free(wide);
    free(narrow);
    free(json);
    syscall_trace_close(trace, 1000);
}

static void options_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    static const struct {
        syscall_trace_options options;
        loom_status status;
    } cases[] = {{{.set = "opnat"}, LOOM_EINVAL},
                 {{.set = "none"}, LOOM_EINVAL},
                 {{.sample = -0.1}, LOOM_EINVAL},
                 {{.sample = 1.5}, LOOM_EINVAL},
                 {{.sample = (double)__builtin_nanf("")}, LOOM_EINVAL},
                 {{.source_map = "/nowhere"}, LOOM_ENOTFOUND}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        syscall_trace *trace;
        char problem[SYSCALL_TRACE_PROBLEM_SIZE];
        assert_status(cases[i].status, syscall_trace_open(&trace, &cases[i].options, problem));
        assert_null(trace);
        assert_true(strlen(problem) > 10);
    }
}

static loom_status open_and_close(void *user)
{
    (void)user;
    syscall_trace *trace;
    char problem[SYSCALL_TRACE_PROBLEM_SIZE];
    loom_status st = syscall_trace_open(&trace, &counting, problem);
    syscall_trace_close(trace, 100);
    return st;
}

static void running_out_of_memory_is_reported(void **state)
{
    (void)state;
    assert_true(alloc_fault_each(open_and_close, NULL) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_are_counted_and_the_status_is_the_commands),
        cmocka_unit_test(a_wait_that_is_too_short_says_so),
        cmocka_unit_test(a_child_that_nobody_follows_runs_untraced),
        cmocka_unit_test(the_summary_is_a_table_or_json),
        cmocka_unit_test(options_that_make_no_sense_are_refused),
        cmocka_unit_test(running_out_of_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
