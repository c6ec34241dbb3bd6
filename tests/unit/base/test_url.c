/* SPDX-License-Identifier: Apache-2.0 */
#include "base/runtime_dir.h"
#include "base/url.h"
#include "tests/support/check.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static url parsed(const char *text)
{
    url u;
    char why[URL_ERROR_SIZE];
    if (url_parse(&u, text, URL_LINKS | URL_WEB, why) != LOOM_OK) {
        fail_msg("%s: %s", text, why);
    }
    return u;
}

static void assert_refused(const char *text, const char *why_part)
{
    url u;
    char why[URL_ERROR_SIZE];
    assert_status(LOOM_EINVAL, url_parse(&u, text, URL_LINKS, why));
    if (strstr(why, why_part) == NULL) {
        fail_msg("%s: \"%s\" lacks \"%s\"", text, why, why_part);
    }
    assert_int_equal(0, u.scheme);
}

static void an_ipc_url_is_its_path(void **state)
{
    (void)state;
    url u = parsed("ipc:///run/loom/loom.sock");
    assert_int_equal(URL_IPC, u.scheme);
    assert_string_equal("/run/loom/loom.sock", u.path);
}

static void a_tcp_url_has_host_and_port(void **state)
{
    (void)state;
    url u = parsed("tcp://localhost:7700");
    assert_int_equal(URL_TCP, u.scheme);
    assert_string_equal("localhost", u.host);
    assert_int_equal(7700, u.port);
    assert_int_equal(0, parsed("tcp://127.0.0.1:0").port);
    assert_int_equal(URL_TLS, parsed("tls+tcp://broker.example:7700").scheme);
}

static void an_ipv6_address_stands_in_brackets(void **state)
{
    (void)state;
    url u = parsed("tcp://[::1]:7700");
    assert_string_equal("::1", u.host);
    assert_true(u.host_is_ipv6);
    assert_refused("tcp://::1:7700", "brackets");
    assert_refused("tcp://[::1:7700", "not closed");
    assert_refused("tcp://[::zz]:7700", "not an IPv6 address");
    assert_refused("tcp://[::1]7700", "after the bracket");
    assert_refused("tcp://[::1]", "port is missing");
}

static void a_web_socket_url_has_a_path_and_a_default_port(void **state)
{
    (void)state;
    url u = parsed("ws://127.0.0.1:7780/loom/link");
    assert_string_equal("/loom/link", u.path);
    u = parsed("wss://bus.example");
    assert_int_equal(443, u.port);
    assert_string_equal("/", u.path);
    assert_string_equal("/?room=1", parsed("ws://h:1?room=1").path);
}

static void a_bad_url_is_refused_with_its_reason(void **state)
{
    (void)state;
    assert_refused("", "empty");
    assert_refused("/tmp/loom.sock", "not a URL");
    assert_refused("tcpp://127.0.0.1:1", "did you mean \"tcp\"?");
    assert_refused("http://127.0.0.1:1", "not one of ipc, tcp");
    assert_refused("ipc://tmp/loom.sock", "three slashes");
    assert_refused("ipc:///tmp/", "directory");
    assert_refused("tcp://:7700", "host is missing");
    assert_refused("tcp://127.0.0.1", "port is missing");
    assert_refused("tcp://127.0.0.1:", "port is missing");
    assert_refused("tcp://127.0.0.1:65536", "over 65535");
    assert_refused("tcp://127.0.0.1:99999999999", "not a number");
    assert_refused("tcp://127.0.0.1:77x", "not a number");
    assert_refused("tcp://127.0.0:7700", "complete IPv4");
    assert_refused("tcp://127.0.0.1:7700/path", "no path");
    assert_refused("tcp://user@host:1", "user name");
    assert_refused("tcp://ho\"st:1", "neither a name nor an address");
    assert_refused("tcp://ho st:1", "spaces");
    assert_refused("ws://h:1/#x", "fragment");
}

static void a_url_to_connect_to_names_one_address(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why_part;
    } refused[] = {{"tcp://*:7700", "to connect takes one"},
                   {"tcp://127.0.0.1:0", "to connect takes the port itself"},
                   {"tcp://:7700", "the host is missing"},
                   {"tcp://127.0.0.1", "as in tcp://127.0.0.1:7700"},
                   {"ws://me:secret@host/", "user name"},
                   {"ws://me@host/", "user name"}};
    url u;
    char why[URL_ERROR_SIZE];
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        assert_status(LOOM_EINVAL, url_parse(&u, refused[i].text, URL_LINKS | URL_DIAL, why));
        if (strstr(why, refused[i].why_part) == NULL || strstr(why, "0 takes") != NULL) {
            fail_msg("%s: \"%s\"", refused[i].text, why);
        }
    }
    assert_status(LOOM_OK, url_parse(&u, "tcp://[fe80::1%eth0]:7700", URL_LINKS | URL_DIAL, why));
    assert_string_equal("fe80::1%eth0", u.host);
    assert_status(LOOM_EINVAL, url_parse(&u, "tcp://[fe80::1%]:7700", URL_LINKS | URL_DIAL, why));
}

static void a_socket_path_over_the_limit_of_unix_is_refused(void **state)
{
    (void)state;
    char text[256];
    snprintf(text, sizeof text, "ipc:///%0*d", URL_IPC_PATH_MAX - 1, 1);
    assert_int_equal(URL_IPC_PATH_MAX, strlen(parsed(text).path));
    snprintf(text, sizeof text, "ipc:///%0*d", URL_IPC_PATH_MAX, 1);
    assert_refused(text, "takes 107");
}

static void a_long_url_is_refused_whole(void **state)
{
    (void)state;
    char text[2 * URL_MAX];
    snprintf(text, sizeof text, "tcp://%0*d:1", URL_HOST_SIZE, 1);
    assert_refused(text, "a name takes 255");
    snprintf(text, sizeof text, "ws://h:1/%0*d", URL_MAX, 1);
    assert_refused(text, "more than 1023 bytes");
    snprintf(text, sizeof text, "ws://h?%0*d", URL_MAX - 8, 1);
    assert_int_equal(strlen(text), URL_MAX - 1);
    parsed(text);
}

static void loopback_is_told_from_the_rest(void **state)
{
    (void)state;
    static const char *const local[] = {"ipc:///a", "tcp://127.0.0.1:1", "tcp://127.9.9.9:1", "ws://[::1]:1",
                                        "tcp://LocalHost:1", "tcp://[::ffff:127.0.0.1]:1"};
    static const char *const remote[] = {"tcp://0.0.0.0:1", "tcp://*:1", "tcp://[::]:1", "tcp://10.0.0.1:1",
                                         "tcp://localhost.example:1", "tcp://[::ffff:10.0.0.1]:1"};
    for (size_t i = 0; i < 6; i++) {
        url u = parsed(local[i]), v = parsed(remote[i]);
        assert_true(url_is_loopback(&u));
        assert_false(url_is_loopback(&v));
    }
}

static void a_url_is_written_as_it_is_read(void **state)
{
    (void)state;
    static const char *const texts[] = {"ipc:///run/a", "tcp://[::1]:7700", "ws://h:80/x?y", "tls+tcp://*:1"};
    for (size_t i = 0; i < 4; i++) {
        char out[URL_MAX];
        url u = parsed(texts[i]);
        assert_status(LOOM_OK, url_format(out, sizeof out, &u));
        assert_string_equal(texts[i], out);
        assert_status(LOOM_ETOOBIG, url_format(out, strlen(texts[i]), &u));
    }
}

static void the_runtime_directory_follows_the_environment(void **state)
{
    (void)state;
    char dir[PATHS_DIR_SIZE], out[128], fallback[64], long_dir[128];
    snprintf(fallback, sizeof fallback, "/tmp/loom-%lu", (unsigned long)geteuid());
    setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
    assert_status(LOOM_OK, paths_runtime_url(out, sizeof out, "loom.sock"));
    assert_string_equal("ipc:///run/user/7/loom/loom.sock", out);
    assert_status(LOOM_ETOOBIG, paths_runtime_url(out, 10, "loom.sock"));
    snprintf(long_dir, sizeof long_dir, "/%080d", 1);
    const char *const useless[] = {"", "relative", long_dir, "/run/user 7", "/run/user/7\t", "/run/a,b", "/run/\x7f", "/run/\xff"};
    for (size_t i = 0; i < sizeof useless / sizeof *useless; i++) {
        setenv("XDG_RUNTIME_DIR", useless[i], 1);
        paths_runtime_dir(dir);
        assert_string_equal(fallback, dir);
    }
    unsetenv("XDG_RUNTIME_DIR");
}

static void the_socket_directory_is_made_for_this_user_alone(void **state)
{
    (void)state;
    char base[] = "/tmp/loom-test-XXXXXX", dir[64], path[96], why[256];
    struct stat info;
    assert_non_null(mkdtemp(base));
    setenv("XDG_RUNTIME_DIR", base, 1);
    snprintf(dir, sizeof dir, "%s/loom", base);
    snprintf(path, sizeof path, "%s/loom.sock", dir);
    assert_status(LOOM_OK, paths_prepare_socket_dir(path, why, sizeof why));
    assert_int_equal(0, stat(dir, &info));
    assert_int_equal(0700, info.st_mode & 0777);
    assert_status(LOOM_OK, paths_prepare_socket_dir(path, why, sizeof why));
    assert_int_equal(0, chmod(dir, 0755));
    assert_status(LOOM_EDENIED, paths_prepare_socket_dir(path, why, sizeof why));
    assert_non_null(strstr(why, "chmod 700"));
    assert_int_equal(0, rmdir(dir));
    assert_int_equal(0, symlink("/tmp", dir));
    assert_status(LOOM_EDENIED, paths_prepare_socket_dir(path, why, sizeof why));
    assert_int_equal(0, unlink(dir));
    assert_status(LOOM_EIO, paths_prepare_socket_dir("/nonexistent/deep/loom.sock", why, sizeof why));
    unsetenv("XDG_RUNTIME_DIR");
    rmdir(base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ipc_url_is_its_path),
        cmocka_unit_test(a_tcp_url_has_host_and_port),
        cmocka_unit_test(an_ipv6_address_stands_in_brackets),
        cmocka_unit_test(a_web_socket_url_has_a_path_and_a_default_port),
        cmocka_unit_test(a_bad_url_is_refused_with_its_reason),
        cmocka_unit_test(a_url_to_connect_to_names_one_address),
        cmocka_unit_test(a_socket_path_over_the_limit_of_unix_is_refused),
        cmocka_unit_test(a_long_url_is_refused_whole),
        cmocka_unit_test(loopback_is_told_from_the_rest),
        cmocka_unit_test(a_url_is_written_as_it_is_read),
        cmocka_unit_test(the_runtime_directory_follows_the_environment),
        cmocka_unit_test(the_socket_directory_is_made_for_this_user_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
