/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/support/check.h"
#include "trace/process/syscalls/decode.h"
#include "trace/process/syscalls/tracee.h"

/* A call as the tracer would tell it. */
typedef struct fixture {
    tracee_table table;
    tracee *call;
    decoded out;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    f->call = tracee_add(&f->table, 7, 7);
    (void)tracee_begin(f->call, EVENT_CALL);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    tracee_clear(&f->table);
    free(f);
    return 0;
}

static void decode(fixture *f, const char *name)
{
    for (size_t i = 0; i < syscall_spec_count; i++) {
        if (strcmp(syscall_specs[i].name, name) == 0) {
            decode_call(&f->out, f->call->event, &syscall_specs[i]);
            return;
        }
    }
    fail_msg("no such call: %s", name);
}

static const loom_attr *attr(const fixture *f, const char *key)
{
    for (size_t i = 0; i < f->out.count; i++) {
        if (strcmp(f->out.attrs[i].key, key) == 0) {
            return &f->out.attrs[i];
        }
    }
    return NULL;
}

static void check_text(const fixture *f, const char *key, const char *expected)
{
    const loom_attr *found = attr(f, key);
    if (found == NULL) {
        fail_msg("no %s", key);
        return;
    }
    assert_str(expected, found->value.string);
}

static void put(fixture *f, part_kind kind, unsigned arg, const char *text)
{
    tracee_put(f->call, kind, arg, text, strlen(text));
}

static void paths_are_put_together(void **state)
{
    fixture *f = *state;
    f->call->event->args[0] = 5;
    f->call->event->args[2] = (uint64_t)AT_FDCWD;
    put(f, PART_PATH, 1, "x/y");
    put(f, PART_FD, 0, "/srv/data");
    put(f, PART_PATH, 3, "here");
    decode(f, "renameat");
    check_text(f, "file.path", "/srv/data/x/y");
    check_text(f, "syscall.new_path", "here");
}

static void an_empty_path_is_the_descriptor_itself(void **state)
{
    fixture *f = *state;
    f->call->event->args[0] = 5;
    put(f, PART_FD, 0, "/srv/data");
    decode(f, "newfstatat");
    check_text(f, "file.path", "/srv/data");
}

static void flags_have_names_and_bits_without_one_are_kept(void **state)
{
    static const struct {
        uint64_t flags;
        const char *text;
    } cases[] = {{O_RDONLY, "O_RDONLY"},
                 {O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, "O_WRONLY|O_CREAT|O_TRUNC|O_CLOEXEC"},
                 {O_RDWR | O_SYNC, "O_RDWR|O_SYNC"},
                 {O_RDWR | O_TMPFILE, "O_RDWR|O_TMPFILE"},
                 {O_RDONLY | O_DIRECTORY | O_PATH, "O_RDONLY|O_DIRECTORY|O_PATH"},
                 {O_RDONLY | 0x80000000u, "O_RDONLY|0x80000000"}};
    fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        f->call->event->args[2] = cases[i].flags;
        decode(f, "openat");
        check_text(f, "syscall.flags", cases[i].text);
    }
}

static void a_mode_counts_where_a_file_is_made(void **state)
{
    fixture *f = *state;
    f->call->event->args[3] = 0640;
    decode(f, "openat");
    assert_null(attr(f, "syscall.mode"));
    f->call->event->args[2] = O_CREAT;
    decode(f, "openat");
    check_text(f, "syscall.mode", "0640");
}

static void addresses_of_every_family(void **state)
{
    fixture *f = *state;
    const struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(443), .sin_addr.s_addr = htonl(0x0a000001)};
    tracee_put(f->call, PART_ADDRESS, 1, &in, sizeof in);
    decode(f, "connect");
    check_text(f, "network.type", "ipv4");
    check_text(f, "network.peer.address", "10.0.0.1");
    assert_int_equal(443, attr(f, "network.peer.port")->value.integer);
    decode(f, "bind");
    check_text(f, "network.local.address", "10.0.0.1");

    const struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(80), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    (void)tracee_begin(f->call, EVENT_CALL);
    tracee_put(f->call, PART_ADDRESS, 1, &in6, sizeof in6);
    decode(f, "connect");
    check_text(f, "network.peer.address", "::1");

    const struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "/run/x.sock"}, hidden = {.sun_family = AF_UNIX, .sun_path = "\0name"};
    (void)tracee_begin(f->call, EVENT_CALL);
    tracee_put(f->call, PART_ADDRESS, 1, &un, sizeof un);
    decode(f, "connect");
    check_text(f, "network.type", "unix");
    check_text(f, "network.peer.address", "/run/x.sock");
    (void)tracee_begin(f->call, EVENT_CALL);
    tracee_put(f->call, PART_ADDRESS, 1, &hidden, offsetof(struct sockaddr_un, sun_path) + 5);
    decode(f, "connect");
    check_text(f, "network.peer.address", "@name");
}

/* Whatever length a program gives. */
static void addresses_that_are_cut_off_are_left_out(void **state)
{
    fixture *f = *state;
    static const uint16_t families[] = {AF_INET, AF_INET6, AF_UNIX, AF_NETLINK, 999};
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        for (size_t len = 1; len <= sizeof(struct sockaddr_storage); len++) {
            struct sockaddr_storage address = {.ss_family = families[i]};
            (void)tracee_begin(f->call, EVENT_CALL);
            tracee_put(f->call, PART_ADDRESS, 1, &address, len);
            decode(f, "connect");
            assert_true(len >= 16 || attr(f, "network.peer.port") == NULL);
        }
    }
}

static void arguments_of_a_program_are_a_list(void **state)
{
    fixture *f = *state;
    put(f, PART_PATH, 0, "/bin/x");
    tracee_put(f->call, PART_ARGV, 1, "x\0--flag\0", 9);
    decode(f, "execve");
    const loom_attr *argv = attr(f, "process.command_args");
    assert_non_null(argv);
    assert_int_equal(2, argv->value.array.count);
    assert_str("--flag", ((const loom_str *)argv->value.array.items)[1]);
}

static void results_below_zero_have_the_name_of_the_error(void **state)
{
    fixture *f = *state;
    f->call->event->result = -13;
    decode(f, "openat");
    check_text(f, "syscall.errno", "EACCES");
    f->call->event->result = -5000; /* an address, as mmap() returns it */
    decode(f, "mmap");
    assert_null(attr(f, "syscall.errno"));
}

static void a_time_to_wait_until_is_no_timeout(void **state)
{
    fixture *f = *state;
    const uint64_t ns = 1500000;
    tracee_put(f->call, PART_TIME, 2, &ns, sizeof ns);
    decode(f, "clock_nanosleep");
    assert_true(attr(f, "syscall.timeout_ms")->value.real == 1.5);
    f->call->event->args[1] = 1; /* TIMER_ABSTIME */
    decode(f, "clock_nanosleep");
    assert_null(attr(f, "syscall.timeout_ms"));
}

static void more_than_fits_is_left_out(void **state)
{
    fixture *f = *state;
    char text[EVENT_TEXT_MAX];
    memset(text, 'x', sizeof text);
    for (unsigned i = 0; i < 6; i++) {
        tracee_put(f->call, i % 2 == 0 ? PART_FD : PART_PATH, i % 4, text, sizeof text);
    }
    assert_in_range(f->call->event->size, 3 * EVENT_TEXT_MAX, EVENT_SIZE_MAX);
    f->call->event->args[0] = f->call->event->args[2] = 3;
    decode(f, "linkat");
    assert_non_null(attr(f, "syscall.name"));
}

static void parts_that_lie_about_their_length_end_the_list(void **state)
{
    fixture *f = *state;
    put(f, PART_PATH, 1, "abc");
    event_part *part = (event_part *)(void *)(f->call->event + 1);
    part->len = UINT16_MAX;
    assert_null(event_next_part(f->call->event, NULL));
    decode(f, "openat");
    assert_null(attr(f, "file.path"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(paths_are_put_together, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_empty_path_is_the_descriptor_itself, set_up, tear_down),
        cmocka_unit_test_setup_teardown(flags_have_names_and_bits_without_one_are_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_mode_counts_where_a_file_is_made, set_up, tear_down),
        cmocka_unit_test_setup_teardown(addresses_of_every_family, set_up, tear_down),
        cmocka_unit_test_setup_teardown(addresses_that_are_cut_off_are_left_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(arguments_of_a_program_are_a_list, set_up, tear_down),
        cmocka_unit_test_setup_teardown(results_below_zero_have_the_name_of_the_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_time_to_wait_until_is_no_timeout, set_up, tear_down),
        cmocka_unit_test_setup_teardown(more_than_fits_is_left_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(parts_that_lie_about_their_length_end_the_list, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
