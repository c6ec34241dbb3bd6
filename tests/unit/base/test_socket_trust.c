/* SPDX-License-Identifier: Apache-2.0 */
#include "base/socket_trust.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/runtime_dir.h"
#include "tests/support/check.h"

/* XDG_RUNTIME_DIR, the runtime directory in it, and another directory. */
typedef struct folders {
    char base[64], runtime[80], other[80];
    char in_runtime[96], in_other[96];
    char why[256];
} folders;

static void open_folders(folders *f)
{
    snprintf(f->base, sizeof f->base, "/tmp/loom-test-XXXXXX");
    assert_non_null(mkdtemp(f->base));
    snprintf(f->runtime, sizeof f->runtime, "%s/loom", f->base);
    snprintf(f->other, sizeof f->other, "%s/other", f->base);
    snprintf(f->in_runtime, sizeof f->in_runtime, "%s/loom.sock", f->runtime);
    snprintf(f->in_other, sizeof f->in_other, "%s/loom.sock", f->other);
    assert_int_equal(0, mkdir(f->runtime, 0700));
    assert_int_equal(0, mkdir(f->other, 0700));
    setenv("XDG_RUNTIME_DIR", f->base, 1);
}

static void close_folders(folders *f)
{
    unsetenv("XDG_RUNTIME_DIR");
    rmdir(f->runtime);
    rmdir(f->other);
    rmdir(f->base);
}

static uid_t somebody_else(void)
{
    return geteuid() + 4711;
}

static void a_runtime_directory_that_others_may_enter_is_refused(void **state)
{
    (void)state;
    folders f;
    open_folders(&f);
    assert_status(LOOM_OK, socket_trust_path(f.in_runtime, f.why, sizeof f.why));
    static const mode_t open_modes[] = {0777, 01777, 0770, 0755, 0701};
    for (size_t i = 0; i < sizeof open_modes / sizeof *open_modes; i++) {
        assert_int_equal(0, chmod(f.runtime, open_modes[i]));
        assert_status(LOOM_EDENIED, socket_trust_path(f.in_runtime, f.why, sizeof f.why));
        assert_non_null(strstr(f.why, "chmod 700"));
    }
    close_folders(&f);
}

static void a_link_in_place_of_the_runtime_directory_is_refused(void **state)
{
    (void)state;
    folders f;
    open_folders(&f);
    assert_int_equal(0, rmdir(f.runtime));
    assert_int_equal(0, symlink(f.other, f.runtime));
    assert_status(LOOM_EDENIED, socket_trust_path(f.in_runtime, f.why, sizeof f.why));
    assert_int_equal(0, unlink(f.runtime));
    close_folders(&f);
}

static void a_directory_that_is_not_there_is_left_to_connect(void **state)
{
    (void)state;
    folders f;
    open_folders(&f);
    assert_int_equal(0, rmdir(f.runtime));
    assert_status(LOOM_OK, socket_trust_path(f.in_runtime, f.why, sizeof f.why));
    assert_status(LOOM_OK, socket_trust_path("/nowhere/at/all.sock", f.why, sizeof f.why));
    close_folders(&f);
}

static void the_runtime_directory_has_servers_of_this_user_and_root_alone(void **state)
{
    (void)state;
    folders f;
    open_folders(&f);
    assert_status(LOOM_OK, socket_trust_uid(f.in_runtime, geteuid(), f.why, sizeof f.why));
    assert_status(LOOM_OK, socket_trust_uid(f.in_runtime, 0, f.why, sizeof f.why));
    assert_status(LOOM_EDENIED, socket_trust_uid(f.in_runtime, somebody_else(), f.why, sizeof f.why));
    assert_non_null(strstr(f.why, "another user"));
    close_folders(&f);
}

static void another_users_server_is_trusted_where_not_everybody_may_write(void **state)
{
    (void)state;
    static const struct {
        mode_t mode;
        loom_status expected;
    } cases[] = {{0755, LOOM_OK}, {0750, LOOM_OK}, {02775, LOOM_OK}, {0777, LOOM_EDENIED}, {01777, LOOM_EDENIED}, {0702, LOOM_EDENIED}};
    folders f;
    open_folders(&f);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(0, chmod(f.other, cases[i].mode));
        assert_status(LOOM_OK, socket_trust_path(f.in_other, f.why, sizeof f.why));
        assert_status(cases[i].expected, socket_trust_uid(f.in_other, somebody_else(), f.why, sizeof f.why));
        assert_status(LOOM_OK, socket_trust_uid(f.in_other, geteuid(), f.why, sizeof f.why));
    }
    close_folders(&f);
}

static void an_abstract_socket_is_trusted_only_by_its_own_user(void **state)
{
    (void)state;
    char why[128];
    assert_status(LOOM_OK, socket_trust_path("", why, sizeof why));
    assert_status(LOOM_OK, socket_trust_uid("", geteuid(), why, sizeof why));
    assert_status(LOOM_EDENIED, socket_trust_uid("", somebody_else(), why, sizeof why));
    assert_non_null(strstr(why, "abstract"));
}

static void the_kernel_says_who_is_at_the_other_end(void **state)
{
    (void)state;
    int ends[2];
    char why[128];
    assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
    assert_status(LOOM_OK, socket_trust_peer("", ends[0], why, sizeof why));
    close(ends[0]);
    close(ends[1]);
    assert_status(LOOM_EIO, socket_trust_peer("", -1, why, sizeof why));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_runtime_directory_that_others_may_enter_is_refused),
        cmocka_unit_test(a_link_in_place_of_the_runtime_directory_is_refused),
        cmocka_unit_test(a_directory_that_is_not_there_is_left_to_connect),
        cmocka_unit_test(the_runtime_directory_has_servers_of_this_user_and_root_alone),
        cmocka_unit_test(another_users_server_is_trusted_where_not_everybody_may_write),
        cmocka_unit_test(an_abstract_socket_is_trusted_only_by_its_own_user),
        cmocka_unit_test(the_kernel_says_who_is_at_the_other_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
