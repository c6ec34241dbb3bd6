/* SPDX-License-Identifier: Apache-2.0 */
/* URLs, socket files, and dialling that fails. */
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/host/sp/sp_fixture.h"

static loom_status listen_at(sp_fixture *f, const char *url, sp_server **s)
{
    sp_ear ear = {0};
    sp_options o = ear_options(&ear, SP_PULL);
    loom_status st = sp_listen(s, &f->loop, url, &o);
    assert_true(st == LOOM_OK ? ear.logs == 0 : ear.logs == 1); /* it says why */
    return st;
}

static void urls_that_name_nothing_are_invalid(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "", "ipc://", "ipc://relative", "ipc:///tmp/", "tcp://127.0.0.1", "tcp://:1", "tcp://127.0.0.1:65536", "tcp://::1:5",
        "tcp://[::1:5", "ws://127.0.0.1:1", "inproc://x", "abstract://", "abstract://a b", "abstract://a%20", "tcp://a b:1",
        ("abstract://0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345"
         "6789"),
    };
    char path[300] = "ipc:///";
    sp_fixture f;
    sp_ear ear = {0};
    sp_server *s;
    sp_peer *p;
    sp_options o = ear_options(&ear, SP_PUSH);
    sp_fixture_open(&f);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_status(LOOM_EINVAL, listen_at(&f, bad[i], &s));
        assert_null(s);
        assert_status(LOOM_EINVAL, sp_dial(&p, &f.loop, bad[i], &o, 0));
        assert_null(p);
    }
    memset(path + 7, 'p', 108);
    assert_status(LOOM_EINVAL, listen_at(&f, path, &s)); /* one byte longer than a unix socket takes */
    memset(path + 7, 'p', 290);
    assert_status(LOOM_EINVAL, listen_at(&f, path, &s));
    assert_status(LOOM_EINVAL, listen_at(&f, NULL, &s));
    assert_status(LOOM_EINVAL, sp_dial(&p, &f.loop, "tcp://127.0.0.1:0", &o, 0));
    assert_status(LOOM_EINVAL, sp_dial(&p, &f.loop, "tcp://*:5555", &o, 0));
    o.protocol = (sp_protocol)0x70;
    assert_status(LOOM_EINVAL, sp_dial(&p, &f.loop, f.url, &o, 0));
    assert_status(LOOM_EINVAL, sp_listen(&s, &f.loop, f.url, &o));
    sp_fixture_close(&f);
}

static void every_form_of_address_is_listened_on(void **state)
{
    (void)state;
    static const char *const urls[][2] = {
        {"tcp://127.0.0.1:0", "tcp://127.0.0.1:%s"}, {"tcp://[::1]:0", "tcp://[::1]:%s"},
        {"tcp://*:0", "tcp://127.0.0.1:%s"},         {"tcp://*:0", "tcp://[::1]:%s"},
        {"tcp://localhost:0", "tcp://localhost:%s"},
    };
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        if (strchr(urls[i][1], '[') != NULL && !has_ipv6()) {
            continue;
        }
        sp_fixture f;
        sp_ear server = {0}, client = {0};
        char to[SP_URL_SIZE];
        sp_fixture_open(&f);
        sp_server *s = serve(&f, &server, SP_PULL, urls[i][0]);
        const char *port = strrchr(sp_server_url(s), ':') + 1;
        assert_int_not_equal(0, atoi(port));
        snprintf(to, sizeof to, urls[i][1], port); /* NOLINT: the formats are those above */
        sp_peer *p = dial(&f, &client, SP_PUSH, to);
        send_text(p, "hello");
        until(&f, server.messages == 1);
        assert_memory_equal("tcp:", sp_peer_name(server.peer), 4);
        sp_peer_close(p);
        serve_no_more(&f, s);
        sp_fixture_close(&f);
    }
}

static void the_longest_path_of_a_socket_is_taken(void **state)
{
    (void)state;
    sp_fixture f;
    sp_ear server = {0}, client = {0};
    char path[SP_URL_SIZE];
    sp_fixture_open(&f);
    int used = snprintf(path, sizeof path, "ipc://%s/", f.dir);
    memset(path + used, 'p', sizeof path - (size_t)used);
    path[6 + 107] = '\0';
    sp_server *s = serve(&f, &server, SP_PULL, path);
    sp_peer *p = dial(&f, &client, SP_PUSH, path);
    sp_peer_close(p);
    serve_no_more(&f, s);
    sp_fixture_close(&f);
}

static void an_address_in_use_is_busy(void **state)
{
    (void)state;
    static const char *const urls[] = {NULL, "tcp://127.0.0.1:0", "abstract://loom-sp-busy"};
    for (size_t i = 0; i < 3; i++) {
        sp_fixture f;
        sp_ear server = {0}, client = {0};
        sp_server *other;
        sp_fixture_open(&f);
        sp_server *s = serve(&f, &server, SP_PULL, urls[i]);
        assert_status(LOOM_EBUSY, listen_at(&f, sp_server_url(s), &other));
        sp_peer *p = dial(&f, &client, SP_PUSH, sp_server_url(s)); /* and the first goes on */
        sp_peer_close(p);
        serve_no_more(&f, s);
        sp_fixture_close(&f);
    }
}

static void a_socket_file_left_behind_is_replaced(void **state)
{
    (void)state;
    sp_fixture f;
    sp_ear server = {0}, client = {0};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    sp_fixture_open(&f);
    snprintf(un.sun_path, sizeof un.sun_path, "%s", f.url + 6);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(0, bind(fd, (struct sockaddr *)&un, sizeof un));
    assert_int_equal(0, listen(fd, 1));
    close(fd);
    sp_server *s = serve(&f, &server, SP_PULL, NULL);
    sp_peer *p = dial(&f, &client, SP_PUSH, NULL);
    sp_peer_close(p);
    serve_no_more(&f, s);
    sp_fixture_close(&f);
}

static void a_file_that_is_no_socket_is_left_alone(void **state)
{
    (void)state;
    sp_fixture f;
    sp_server *s;
    sp_fixture_open(&f);
    FILE *file = fopen(f.url + 6, "w");
    assert_non_null(file);
    fclose(file);
    assert_status(LOOM_EBUSY, listen_at(&f, f.url, &s));
    assert_int_equal(0, unlink(f.url + 6));
    sp_fixture_close(&f);
}

static void closing_removes_only_its_own_socket(void **state)
{
    (void)state;
    sp_fixture f;
    sp_ear first = {0}, second = {0}, client = {0};
    sp_fixture_open(&f);
    sp_server *a = serve(&f, &first, SP_PULL, NULL);
    assert_int_equal(0, unlink(f.url + 6)); /* somebody tidies up */
    sp_server *b = serve(&f, &second, SP_PULL, NULL);
    serve_no_more(&f, a);
    sp_peer *p = dial(&f, &client, SP_PUSH, NULL);
    until(&f, second.opened == 1);
    sp_peer_close(p);
    serve_no_more(&f, b);
    sp_fixture_close(&f);
}

static void the_mode_of_a_socket_is_what_was_asked_for(void **state)
{
    (void)state;
    sp_fixture f;
    sp_ear server = {0};
    struct stat st;
    sp_fixture_open(&f);
    mode_t before = umask(0);
    sp_server *s = serve(&f, &server, SP_PULL, NULL);
    assert_int_equal(0, stat(f.url + 6, &st));
    assert_int_equal(0600, st.st_mode & 07777);
    serve_no_more(&f, s);
    sp_options o = ear_options(&server, SP_PULL);
    o.ipc_mode = 0660;
    umask(077);
    s = serve_with(&f, &o, NULL);
    assert_int_equal(0, stat(f.url + 6, &st));
    assert_int_equal(0660, st.st_mode & 07777);
    umask(before);
    serve_no_more(&f, s);
    sp_fixture_close(&f);
}

static void a_folder_that_is_not_there_is_an_error(void **state)
{
    (void)state;
    sp_fixture f;
    sp_server *s;
    sp_fixture_open(&f);
    assert_status(LOOM_EIO, listen_at(&f, "ipc:///nowhere/at/all.sock", &s));
    assert_null(s);
    sp_fixture_close(&f);
}

/* ---- dialling ---- */

static void dial_fails(sp_fixture *f, const char *url, uint32_t timeout_ms, loom_status expected)
{
    sp_ear ear = {0};
    sp_peer *p;
    sp_options o = ear_options(&ear, SP_PUSH);
    assert_status(LOOM_OK, sp_dial(&p, &f->loop, url, &o, timeout_ms));
    assert_int_equal(0, ear.closed); /* told from the loop */
    assert_status(LOOM_ENOTCONN, sp_peer_send(p, &BYTES("x"), 1));
    until(f, ear.closed == 1);
    assert_status(expected, ear.status);
    assert_int_equal(0, ear.opened);
    assert_true(ear.why[0] != '\0');
}

static void dialling_nobody_is_told_from_the_loop(void **state)
{
    (void)state;
    sp_fixture f;
    sp_ear server = {0};
    char url[SP_URL_SIZE];
    sp_fixture_open(&f);
    sp_server *s = serve(&f, &server, SP_PULL, "tcp://127.0.0.1:0");
    snprintf(url, sizeof url, "%s", sp_server_url(s));
    serve_no_more(&f, s);
    dial_fails(&f, f.url, 0, LOOM_ENOTCONN);
    dial_fails(&f, url, 0, LOOM_ENOTCONN);
    dial_fails(&f, "abstract://loom-sp-nobody", 0, LOOM_ENOTCONN);
    dial_fails(&f, "tcp://no-such-host.invalid:1", 0, LOOM_ENOTFOUND);
    sp_fixture_close(&f);
}

static void a_name_with_several_addresses_is_tried_to_the_end(void **state)
{
    (void)state;
    sp_fixture f;
    sp_ear server = {0}, client = {0};
    char url[SP_URL_SIZE];
    sp_fixture_open(&f);
    sp_server *s = serve(&f, &server, SP_PULL, "tcp://127.0.0.1:0"); /* localhost may be ::1 first */
    snprintf(url, sizeof url, "tcp://localhost%s", strrchr(sp_server_url(s), ':'));
    sp_peer *p = dial(&f, &client, SP_PUSH, url);
    sp_peer_close(p);
    serve_no_more(&f, s);
    dial_fails(&f, url, 0, LOOM_ENOTCONN);
    sp_fixture_close(&f);
}

static void silence_instead_of_a_greeting_times_out(void **state)
{
    (void)state;
    sp_fixture f;
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    sp_fixture_open(&f);
    snprintf(un.sun_path, sizeof un.sun_path, "%s", f.url + 6);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(0, bind(fd, (struct sockaddr *)&un, sizeof un));
    assert_int_equal(0, listen(fd, 0));
    dial_fails(&f, f.url, 30, LOOM_ETIMEDOUT);
    dial_fails(&f, f.url, 30, LOOM_ETIMEDOUT); /* here its queue is full */
    close(fd);
    unlink(f.url + 6);
    sp_fixture_close(&f);
}

static void dialling_may_be_given_up_at_any_time(void **state)
{
    (void)state;
    static const char *const urls[] = {NULL, "tcp://127.0.0.1:1", "tcp://localhost:1", "tcp://no-such-host.invalid:1"};
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        for (unsigned turns = 0; turns < 6; turns++) {
            sp_fixture f;
            sp_ear ear = {0};
            sp_peer *p;
            sp_options o = ear_options(&ear, SP_PUSH);
            sp_fixture_open(&f);
            assert_status(LOOM_OK, sp_dial(&p, &f.loop, urls[i] != NULL ? urls[i] : f.url, &o, 0));
            for (unsigned k = 0; k < turns && ear.closed == 0; k++) {
                uv_run(&f.loop, UV_RUN_NOWAIT);
            }
            if (ear.closed == 0) {
                sp_peer_close(p);
                until(&f, !uv_loop_alive(&f.loop));
                assert_int_equal(0, ear.closed);
            }
            sp_fixture_close(&f);
        }
    }
}

static void a_dialled_peer_refuses_another_protocol(void **state)
{
    (void)state;
    sp_fixture f;
    sp_ear server = {0}, client = {0};
    sp_peer *p;
    sp_fixture_open(&f);
    sp_server *s = serve(&f, &server, SP_PULL, NULL);
    sp_options o = ear_options(&client, SP_SUB);
    assert_status(LOOM_OK, sp_dial(&p, &f.loop, f.url, &o, 0));
    until(&f, client.closed == 1);
    assert_int_equal(0, client.opened + server.opened);
    serve_no_more(&f, s);
    sp_fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_that_name_nothing_are_invalid),
        cmocka_unit_test(every_form_of_address_is_listened_on),
        cmocka_unit_test(the_longest_path_of_a_socket_is_taken),
        cmocka_unit_test(an_address_in_use_is_busy),
        cmocka_unit_test(a_socket_file_left_behind_is_replaced),
        cmocka_unit_test(a_file_that_is_no_socket_is_left_alone),
        cmocka_unit_test(closing_removes_only_its_own_socket),
        cmocka_unit_test(the_mode_of_a_socket_is_what_was_asked_for),
        cmocka_unit_test(a_folder_that_is_not_there_is_an_error),
        cmocka_unit_test(dialling_nobody_is_told_from_the_loop),
        cmocka_unit_test(a_name_with_several_addresses_is_tried_to_the_end),
        cmocka_unit_test(silence_instead_of_a_greeting_times_out),
        cmocka_unit_test(dialling_may_be_given_up_at_any_time),
        cmocka_unit_test(a_dialled_peer_refuses_another_protocol),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
