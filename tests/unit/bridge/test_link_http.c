/* SPDX-License-Identifier: Apache-2.0 */
/* Connections of agents over WebSocket and TLS: frames of any size, peers that break off, that do not read, that are too
 * many, and a server that goes. */
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "tests/support/alloc_fault.h"
#include "tests/unit/bridge/link_fixture.h"
#include "tests/unit/host/http/http_peer.h"

/* A peer: a WebSocket, and the frames of the link among what came. */
typedef struct ws_peer {
    http_peer http;
    link_peer heard;
} ws_peer;

static uint16_t port_of(const link_fixture *f)
{
    url u;
    char why[URL_ERROR_SIZE];
    assert_status(LOOM_OK, url_parse(&u, f->url, URL_LINKS, why));
    return u.port;
}

static void ws_open(ws_peer *p, link_fixture *f)
{
    *p = (ws_peer){.heard.f = f};
    http_peer_open(&p->http, &f->loop, port_of(f));
    http_peer_upgrade(&p->http, "/loom", "Sec-WebSocket-Protocol: loom.v1\r\n");
    assert_memory_equal("HTTP/1.1 101 ", p->http.heard, 13);
}

static void ws_close(ws_peer *p)
{
    http_peer_close(&p->http);
    free(p->heard.heard);
}

static void ws_send(ws_peer *p, loom_bytes bytes)
{
    http_peer_send_frame(&p->http, 0x82, bytes.data, bytes.len);
    free((void *)(uintptr_t)bytes.data);
}

/* Takes messages until count frames of the type are among them; the code of a close frame that comes first, or 0. */
static uint16_t ws_hear(ws_peer *p, frame_type type, size_t count)
{
    while (link_peer_count(&p->heard, type) < count) {
        loom_bytes payload;
        uint8_t first = http_peer_frame(&p->http, &payload);
        if (first == 0x88) {
            assert_true(payload.len >= 2);
            unsigned code = (unsigned)payload.data[0] << 8 | payload.data[1];
            return (uint16_t)code;
        }
        assert_int_equal(0x82, first);
        p->heard.heard = realloc(p->heard.heard, p->heard.heard_len + payload.len);
        assert_non_null(p->heard.heard);
        memcpy(p->heard.heard + p->heard.heard_len, payload.data, payload.len);
        p->heard.heard_len += payload.len;
    }
    return 0;
}

static void ws_enter(ws_peer *p, link_fixture *f, const char *agent)
{
    ws_open(p, f);
    ws_send(p, link_hello(agent));
    assert_int_equal(0, ws_hear(p, FRAME_WELCOME, 1));
}

static void start(link_fixture *f, const bridge_options *options, const link_server_options *link)
{
    assert_status(LOOM_OK, link_fixture_open(f, options, link));
    assert_status(LOOM_OK, link_fixture_listen(f, "ws://127.0.0.1:0/loom"));
}

static void deliver(link_fixture *f, const char *agent, size_t payload, size_t count)
{
    loom_envelope *env = fake_message("a.b", "other", payload);
    for (size_t i = 0; i < count; i++) {
        fake_bus_deliver(&f->bus, agent, 1, loom_envelope_wire(env));
    }
    loom_envelope_unref(env);
    uv_run(&f->loop, UV_RUN_NOWAIT);
}

static const link_server_options brief = {.heartbeat_ms = 40, .linger_ms = 50, .http.close_ms = 20};

/* ---- facts ---- */

static void frames_of_any_size_arrive_whole_both_ways(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 1000, 70000, LOOM_PAYLOAD_MAX};
    link_fixture f;
    ws_peer p;
    start(&f, NULL, NULL);
    ws_enter(&p, &f, "a");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        ws_send(&p, link_publishes("a", sizes[i], 1));
        until(&f, f.bus.published == i + 1);
        deliver(&f, "a", sizes[i], 1);
        assert_int_equal(0, ws_hear(&p, FRAME_DELIVER, i + 1));
    }
    ws_close(&p);
    link_fixture_close(&f);
}

static void frames_of_the_link_may_cross_those_of_the_websocket(void **state)
{
    (void)state;
    link_fixture f;
    ws_peer p;
    loom_bytes bytes = link_publishes("a", 3000, 5);
    start(&f, NULL, NULL);
    ws_enter(&p, &f, "a");
    for (size_t at = 0; at < bytes.len; at += 999) {
        http_peer_send_frame(&p.http, 0x82, bytes.data + at, bytes.len - at < 999 ? bytes.len - at : 999);
    }
    until(&f, f.bus.published == 5);
    free((void *)(uintptr_t)bytes.data);
    ws_close(&p);
    link_fixture_close(&f);
}

static void what_collects_while_a_write_waits_leaves_together(void **state)
{
    (void)state;
    link_fixture f;
    ws_peer p;
    loom_bytes payload;
    start(&f, NULL, NULL);
    ws_enter(&p, &f, "a");
    loom_envelope *env = fake_message("a.b", "other", 100);
    for (size_t i = 0; i < 50; i++) {
        fake_bus_deliver(&f.bus, "a", 1, loom_envelope_wire(env));
    }
    loom_envelope_unref(env);
    assert_int_equal(0x82, http_peer_frame(&p.http, &payload));
    assert_true(payload.len > 50 * 100);
    ws_close(&p);
    link_fixture_close(&f);
}

static void what_is_no_agent_link_is_answered_and_closed(void **state)
{
    (void)state;
    link_fixture f;
    ws_peer p;
    start(&f, NULL, NULL);
    ws_open(&p, &f);
    http_peer_send_frame(&p.http, 0x82, "\xff\xff\xff\xffwhat", 8);
    assert_int_equal(0, ws_hear(&p, FRAME_ERROR, 1));
    assert_int_equal(1000, http_peer_close_code(&p.http));
    http_peer_wait_end(&p.http);
    ws_close(&p);
    until(&f, bridge_get_stats(f.bridge).sessions == 0);
    link_fixture_close(&f);
}

static void a_message_over_the_limit_is_closed_with_1009(void **state)
{
    (void)state;
    static const uint8_t head[14] = {0x82, 0xff, 0, 0, 0, 0, 0x10};
    link_fixture f;
    ws_peer p;
    start(&f, NULL, NULL);
    ws_enter(&p, &f, "a");
    http_peer_send(&p.http, head, sizeof head);
    assert_int_equal(1009, http_peer_close_code(&p.http));
    ws_close(&p);
    until(&f, bridge_get_stats(f.bridge).sessions == 0);
    link_fixture_close(&f);
}

static void a_peer_that_leaves_takes_its_session_with_it(void **state)
{
    (void)state;
    link_fixture f;
    start(&f, NULL, NULL);
    for (size_t i = 0; i < 20; i++) {
        ws_peer p;
        ws_enter(&p, &f, "a");
        deliver(&f, "a", 200 * 1024, i % 4);
        ws_close(&p);
        until(&f, bridge_get_stats(f.bridge).sessions == 0);
    }
    link_fixture_close(&f);
}

static void a_session_that_ended_goes_though_its_peer_does_not_read(void **state)
{
    (void)state;
    link_fixture f;
    ws_peer p;
    start(&f, NULL, &brief);
    ws_enter(&p, &f, "a");
    deliver(&f, "a", LOOM_PAYLOAD_MAX, 16);
    bridge_end_sessions(f.bridge, LOOM_ECLOSED, "enough");
    until(&f, bridge_get_stats(f.bridge).sessions == 0);
    ws_close(&p);
    link_fixture_close(&f);
}

/* All of it is one flight, of which its socket takes what the kernel has room for. */
static void what_a_member_of_a_group_was_not_sent_is_given_back(void **state)
{
    (void)state;
    enum { MESSAGES = 15, SIZE = 512 * 1024 };
    link_fixture f;
    ws_peer p;
    frame_writer w;
    start(&f, NULL, NULL);
    ws_enter(&p, &f, "a");
    frame_writer_init(&w);
    assert_status(LOOM_OK, frame_put_subscribe(&w, &(frame_subscribe){.request = 1, .subscription = 1, .filter = STR("a.b"), .group = STR("g")}));
    ws_send(&p, (loom_bytes){w.data, w.len});
    assert_int_equal(0, ws_hear(&p, FRAME_ACK, 1));
    deliver(&f, "a", SIZE, MESSAGES);
    until(&f, link_server_unsent(f.server) > 0);
    ws_close(&p);
    until(&f, bridge_get_stats(f.bridge).sessions == 0);
    assert_in_range(f.bus.given_back, 1, MESSAGES);
    link_fixture_close(&f);
}

static void too_many_agents_are_told_so(void **state)
{
    (void)state;
    link_fixture f;
    ws_peer first, second;
    start(&f, &(bridge_options){.max_sessions = 1}, NULL);
    ws_enter(&first, &f, "a");
    ws_open(&second, &f);
    assert_int_equal(0, ws_hear(&second, FRAME_ERROR, 1));
    assert_int_equal(1013, http_peer_close_code(&second.http));
    assert_int_equal(1, link_server_get_stats(f.server).connections_refused);
    ws_close(&first);
    ws_close(&second);
    link_fixture_close(&f);
}

static void silent_connections_do_not_take_an_agents_place(void **state)
{
    (void)state;
    enum { SILENT = 300 };
    static http_peer silent[SILENT];
    link_fixture f;
    ws_peer p;
    start(&f, &(bridge_options){.max_sessions = 1}, NULL);
    for (size_t i = 0; i < SILENT; i++) {
        http_peer_open(&silent[i], &f.loop, port_of(&f));
        uv_run(&f.loop, UV_RUN_NOWAIT);
    }
    ws_enter(&p, &f, "a");
    assert_int_equal(0, link_server_get_stats(f.server).connections_refused);
    for (size_t i = 0; i < SILENT; i++) {
        http_peer_close(&silent[i]);
    }
    ws_close(&p);
    link_fixture_close(&f);
}

static void a_shutdown_is_said_with_goodbye_and_1001(void **state)
{
    (void)state;
    link_fixture f;
    ws_peer p;
    start(&f, NULL, NULL);
    ws_enter(&p, &f, "a");
    link_server_stop_listening(f.server);
    bridge_end_sessions(f.bridge, LOOM_ECLOSED, "the process is shutting down");
    link_server_flush(f.server);
    assert_int_equal(0, ws_hear(&p, FRAME_BYE, 1));
    assert_int_equal(1001, http_peer_close_code(&p.http));
    http_peer_wait_end(&p.http);
    ws_close(&p);
    until(&f, link_server_busy(f.server) == 0);
    link_fixture_close(&f);
}

static void closing_the_server_ends_connections_in_every_state(void **state)
{
    (void)state;
    for (size_t round = 0; round < 10; round++) {
        link_fixture f;
        ws_peer fresh, open, unread, busy;
        http_peer silent;
        start(&f, NULL, &(link_server_options){.http.close_ms = 20});
        http_peer_open(&silent, &f.loop, port_of(&f));
        ws_open(&fresh, &f);
        ws_enter(&open, &f, "open");
        ws_enter(&unread, &f, "unread");
        deliver(&f, "unread", LOOM_PAYLOAD_MAX, 8);
        ws_enter(&busy, &f, "busy");
        loom_bytes bytes = link_publishes("busy", 100 * 1024, 1);
        (void)!send(busy.http.fd, bytes.data, bytes.len, MSG_DONTWAIT | MSG_NOSIGNAL); /* no WebSocket frame at all */
        for (size_t i = 0; i < round; i++) {
            uv_run(&f.loop, UV_RUN_NOWAIT);
        }
        link_fixture_close_server(&f);
        http_peer_close(&silent);
        ws_close(&fresh);
        ws_close(&open);
        ws_close(&unread);
        ws_close(&busy);
        free((void *)(uintptr_t)bytes.data);
        link_fixture_close(&f);
    }
}

static void a_server_that_nobody_joined_closes(void **state)
{
    (void)state;
    link_fixture f;
    start(&f, NULL, NULL);
    link_fixture_close(&f);
}

static void a_port_in_use_is_said_with_its_url(void **state)
{
    (void)state;
    link_fixture f;
    char again[URL_MAX], bound[URL_MAX], why[LINK_ERROR_SIZE];
    start(&f, NULL, NULL);
    assert_status(LOOM_EBUSY, link_server_listen(f.server, f.url, bound, sizeof bound, why));
    assert_non_null(strstr(why, f.url));
    snprintf(again, sizeof again, "tcp%s", f.url + 2);
    *strrchr(again, '/') = '\0';
    assert_status(LOOM_EBUSY, link_server_listen(f.server, again, bound, sizeof bound, why));
    assert_non_null(strstr(why, again));
    link_fixture_close(&f);
}

static void localhost_is_an_address(void **state)
{
    (void)state;
    link_fixture f;
    assert_status(LOOM_OK, link_fixture_open(&f, NULL, NULL));
    assert_status(LOOM_OK, link_fixture_listen(&f, "ws://localhost:0"));
    assert_memory_equal("ws://localhost:", f.url, 15);
    assert_true(port_of(&f) != 0);
    link_fixture_close(&f);
}

static void a_certificate_that_is_missing_is_named(void **state)
{
    (void)state;
    static const char *const urls[] = {"tls+tcp://127.0.0.1:0", "wss://127.0.0.1:0/"};
    link_fixture f;
    char bound[URL_MAX], why[LINK_ERROR_SIZE];
    assert_status(LOOM_OK, link_fixture_open(&f, NULL, NULL));
    for (size_t i = 0; i < 2; i++) {
        assert_status(LOOM_EINVAL, link_server_listen(f.server, urls[i], bound, sizeof bound, why));
        assert_non_null(strstr(why, "tls_cert_key_file"));
    }
    link_fixture_close(&f);
    assert_status(LOOM_OK, link_fixture_open(&f, NULL, &(link_server_options){.tls_cert_key_file = "/nowhere/both.pem"}));
    assert_status(LOOM_EIO, link_server_listen(f.server, urls[0], bound, sizeof bound, why));
    assert_non_null(strstr(why, "/nowhere/both.pem: No such file"));
    link_fixture_close(&f);
}

/* ---- memory ---- */

static loom_status open_and_listen(void *user)
{
    (void)user;
    link_fixture f;
    loom_status st = link_fixture_open(&f, NULL, NULL);
    if (st == LOOM_OK) {
        st = link_fixture_listen(&f, "ws://127.0.0.1:0");
    }
    link_fixture_close(&f);
    return st;
}

static void opening_survives_every_failed_allocation(void **state)
{
    (void)state;
    assert_true(alloc_fault_each(open_and_listen, NULL) > 0);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* as in every process of ours */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_of_any_size_arrive_whole_both_ways),
        cmocka_unit_test(frames_of_the_link_may_cross_those_of_the_websocket),
        cmocka_unit_test(what_collects_while_a_write_waits_leaves_together),
        cmocka_unit_test(what_is_no_agent_link_is_answered_and_closed),
        cmocka_unit_test(a_message_over_the_limit_is_closed_with_1009),
        cmocka_unit_test(a_peer_that_leaves_takes_its_session_with_it),
        cmocka_unit_test(a_session_that_ended_goes_though_its_peer_does_not_read),
        cmocka_unit_test(what_a_member_of_a_group_was_not_sent_is_given_back),
        cmocka_unit_test(too_many_agents_are_told_so),
        cmocka_unit_test(silent_connections_do_not_take_an_agents_place),
        cmocka_unit_test(a_shutdown_is_said_with_goodbye_and_1001),
        cmocka_unit_test(closing_the_server_ends_connections_in_every_state),
        cmocka_unit_test(a_server_that_nobody_joined_closes),
        cmocka_unit_test(a_port_in_use_is_said_with_its_url),
        cmocka_unit_test(localhost_is_an_address),
        cmocka_unit_test(a_certificate_that_is_missing_is_named),
        cmocka_unit_test(opening_survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
