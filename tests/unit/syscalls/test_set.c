/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "tests/support/check.h"
#include "trace/process/syscalls/quiet.h"
#include "trace/process/syscalls/set.h"

static bool has(const syscall_set *set, const char *name)
{
    for (size_t i = 0; i < syscall_spec_count; i++) {
        if (strcmp(syscall_specs[i].name, name) == 0) {
            return set->chosen[i];
        }
    }
    fail_msg("no such call: %s", name);
    return false;
}

static size_t size_of(const syscall_set *set)
{
    size_t count = 0;
    for (size_t i = 0; i < syscall_spec_count; i++) {
        count += set->chosen[i] ? 1 : 0;
    }
    return count;
}

static syscall_set parsed(const char *text)
{
    syscall_set set;
    char problem[256] = "";
    if (syscall_set_parse(&set, text, problem, sizeof problem) != LOOM_OK) {
        fail_msg("\"%s\": %s", text, problem);
    }
    return set;
}

static void sets_are_read_as_strace_reads_them(void **state)
{
    (void)state;
    static const struct {
        const char *text, *in, *out;
    } cases[] = {
        {"file", "openat", "read"},         {"%file", "stat", "connect"},        {"trace=file", "unlink", "write"}, {"network", "connect", "openat"},
        {"%net", "sendto", "read"},         {"process", "execve", "getpid"},     {"desc", "read", "stat"},          {"memory", "mmap", "read"},
        {"signal", "kill", "read"},         {"ipc", "msgget", "read"},           {"creds", "setuid", "read"},       {"clock", "clock_gettime", "read"},
        {"openat,read", "read", "open"},    {"openat , read", "read", "open"},   {"!openat", "read", "openat"},     {"!openat,close", "read", "close"},
        {"!file", "read", "openat"},        {"file,!stat", "openat", "stat"},    {"all", "read", "none-such"},      {"all,!%file", "read", "openat"},
        {"/^epoll_", "epoll_wait", "poll"}, {"file,/^recv", "recvmsg", "sendmsg"}, {"?nothing,read", "read", "openat"}, {"%stat", "stat", "openat"},
        {"%%stat", "fstat", "openat"},      {"none,read", "read", "openat"},     {"t=read", "read", "write"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const syscall_set set = parsed(cases[i].text);
        if (!has(&set, cases[i].in) || (strcmp(cases[i].out, "none-such") != 0 && has(&set, cases[i].out))) {
            fail_msg("\"%s\" has not %s, or has %s", cases[i].text, cases[i].in, cases[i].out);
        }
    }
}

static void the_default_is_what_waits_or_opens(void **state)
{
    (void)state;
    const syscall_set set = parsed(NULL), same = parsed(""), named = parsed("default");
    static const char *const in[] = {"open", "openat", "connect", "accept4", "execve", "wait4", "poll", "epoll_wait", "nanosleep", "fsync", "flock"};
    static const char *const out[] = {"read", "write", "close", "mmap", "fstat", "futex", "brk", "getpid"};
    for (size_t i = 0; i < sizeof in / sizeof in[0]; i++) {
        assert_true(has(&set, in[i]));
    }
    for (size_t i = 0; i < sizeof out / sizeof out[0]; i++) {
        assert_false(has(&set, out[i]));
    }
    assert_memory_equal(&set, &same, sizeof set);
    assert_memory_equal(&set, &named, sizeof set);
}

static void all_and_none_are_what_they_say(void **state)
{
    (void)state;
    const syscall_set all = parsed("all"), none = parsed("none"), neither = parsed("!all");
    assert_int_equal(syscall_spec_count, size_of(&all));
    assert_int_equal(0, size_of(&none));
    assert_int_equal(0, size_of(&neither));
}

static void what_is_unknown_is_named_with_what_is_near(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {{"opnat", "openat"}, {"flie", "file"}, {"read,,write", "empty"}, {"!", "empty"}, {"read,", "empty"},
                 {"/[", "/["},        {"/^nothing$", "matches"}, {"\x1b[31mx", "\"\xc2\xb7[31mx\""}, {"zzzzzzzzzz", "network"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        syscall_set set;
        char problem[256] = "";
        assert_status(LOOM_EINVAL, syscall_set_parse(&set, cases[i].text, problem, sizeof problem));
        if (strstr(problem, cases[i].says) == NULL) {
            fail_msg("\"%s\": %s", cases[i].text, problem);
        }
    }
}

static const syscall_spec *spec(const char *name)
{
    for (size_t i = 0; i < syscall_spec_count; i++) {
        if (strcmp(syscall_specs[i].name, name) == 0) {
            return &syscall_specs[i];
        }
    }
    fail_msg("no such call: %s", name);
    return NULL;
}

static void an_error_matters_where_its_caller_would_call_it_one(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int error;
        const char *path;
        bool matters;
    } cases[] = {
        {"openat", ENOENT, "/etc/app.conf", true}, {"openat", ENOENT, "/usr/lib/locale/x", false}, {"openat", ENOENT, "/lib64/x.so", false},
        {"openat", EACCES, "/usr/lib/x", true},    {"openat", EINTR, "x", false},              {"stat", ENOENT, "x", false},
        {"stat", EACCES, "x", true},               {"execve", ENOENT, "x", false},             {"execve", EACCES, "x", true},
        {"readlink", EINVAL, "x", false},          {"connect", EINPROGRESS, "", false},        {"connect", ECONNREFUSED, "", true},
        {"accept4", EAGAIN, "", false},            {"wait4", ECHILD, "", false},               {"kill", ESRCH, "", false},
        {"ioctl", ENOTTY, "", false},              {"ioctl", EINVAL, "", true},                {"lseek", ESPIPE, "", false},
        {"mkdir", EEXIST, "x", false},             {"unlink", ENOENT, "x", true},              {"getxattr", ENODATA, "x", false},
        {"futex", ETIMEDOUT, "", false},           {"openat2", ENOSYS, "x", false},            {"poll", 516, "", false},
        {"read", 512, "", false},                  {"close", EBADF, "", true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (syscall_error_matters(spec(cases[i].name), cases[i].error, str_of(cases[i].path)) != cases[i].matters) {
            fail_msg("%s of %s \"%s\"", syscall_error_name(cases[i].error), cases[i].name, cases[i].path);
        }
    }
    assert_string_equal("ENOENT", syscall_error_name(ENOENT));
    assert_string_equal("ERESTARTSYS", syscall_error_name(512));
    assert_null(syscall_error_name(4000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets_are_read_as_strace_reads_them),
        cmocka_unit_test(the_default_is_what_waits_or_opens),
        cmocka_unit_test(all_and_none_are_what_they_say),
        cmocka_unit_test(what_is_unknown_is_named_with_what_is_near),
        cmocka_unit_test(an_error_matters_where_its_caller_would_call_it_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
