/* SPDX-License-Identifier: Apache-2.0 */
/* Connections of agents over WebSocket: what nng's threads complete is handled by the loop, whenever and in whatever state. */
#include <nng/nng.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "tests/unit/bridge/link_fixture.h"

/* A peer: nng's own WebSocket client. One operation at a time; it completes on a thread of nng. */
typedef struct ws_peer {
    link_fixture *f;
    nng_stream_dialer *dialer;
    nng_stream *stream;
    nng_aio *aio;
    atomic_bool done;
    link_peer heard; /* the bytes that came, to count frames in */
} ws_peer;

static void on_done(void *user)
{
    atomic_store(&((ws_peer *)user)->done, true);
}

static void begin(ws_peer *p)
{
    atomic_store(&p->done, false);
}

static void ws_open(ws_peer *p, link_fixture *f)
{
    *p = (ws_peer){.f = f};
    assert_int_equal(0, nng_aio_alloc(&p->aio, on_done, p));
    nng_aio_set_timeout(p->aio, LINK_DEADLINE_MS);
    assert_int_equal(0, nng_stream_dialer_alloc(&p->dialer, f->url));
    assert_int_equal(0, nng_stream_dialer_set_string(p->dialer, NNG_OPT_WS_PROTOCOL, "loom.v1"));
    begin(p);
    nng_stream_dialer_dial(p->dialer, p->aio);
    until(f, atomic_load(&p->done));
    assert_int_equal(0, nng_aio_result(p->aio));
    p->stream = nng_aio_get_output(p->aio, 0);
}

static void ws_close(ws_peer *p)
{
    nng_stream_close(p->stream);
    nng_aio_stop(p->aio);
    nng_stream_free(p->stream);
    nng_stream_dialer_free(p->dialer);
    nng_aio_free(p->aio);
    free(p->heard.heard);
}

static void ws_send(ws_peer *p, loom_bytes bytes)
{
    while (bytes.len > 0) {
        nng_iov iov = {(void *)(uintptr_t)bytes.data, bytes.len};
        assert_int_equal(0, nng_aio_set_iov(p->aio, 1, &iov));
        begin(p);
        nng_stream_send(p->stream, p->aio);
        until(p->f, atomic_load(&p->done));
        assert_int_equal(0, nng_aio_result(p->aio));
        bytes.data += nng_aio_count(p->aio);
        bytes.len -= nng_aio_count(p->aio);
    }
}

/* Takes bytes until count frames of the type are among them, or the other side closes: false. */
static bool ws_hear(ws_peer *p, frame_type type, size_t count)
{
    while (link_peer_count(&p->heard, type) < count) {
        p->heard.heard = realloc(p->heard.heard, p->heard.heard_len + 65536);
        assert_non_null(p->heard.heard);
        nng_iov iov = {p->heard.heard + p->heard.heard_len, 65536};
        assert_int_equal(0, nng_aio_set_iov(p->aio, 1, &iov));
        begin(p);
        nng_stream_recv(p->stream, p->aio);
        until(p->f, atomic_load(&p->done));
        if (nng_aio_result(p->aio) != 0) {
            return false;
        }
        p->heard.heard_len += nng_aio_count(p->aio);
    }
    return true;
}

static void ws_enter(ws_peer *p, link_fixture *f, const char *agent)
{
    loom_bytes hello = link_hello(agent);
    ws_open(p, f);
    ws_send(p, hello);
    free((void *)(uintptr_t)hello.data);
    assert_true(ws_hear(p, FRAME_WELCOME, 1));
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
        loom_bytes bytes = link_publishes("a", sizes[i], 1);
        ws_send(&p, bytes);
        free((void *)(uintptr_t)bytes.data);
        until(&f, f.bus.published == i + 1);
        deliver(&f, "a", sizes[i], 1);
        assert_true(ws_hear(&p, FRAME_DELIVER, i + 1));
    }
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
    ws_send(&p, BYTES("\xff\xff\xff\xffwhat"));
    assert_true(ws_hear(&p, FRAME_ERROR, 1));
    until(&f, bridge_get_stats(f.bridge).sessions == 0);
    ws_close(&p);
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
    start(&f, NULL, &(link_server_options){.heartbeat_ms = 40, .linger_ms = 50});
    ws_enter(&p, &f, "a");
    deliver(&f, "a", LOOM_PAYLOAD_MAX, 16);
    bridge_end_sessions(f.bridge, LOOM_ECLOSED, "enough");
    until(&f, bridge_get_stats(f.bridge).sessions == 0);
    ws_close(&p);
    link_fixture_close(&f);
}

static void too_many_agents_are_closed(void **state)
{
    (void)state;
    link_fixture f;
    ws_peer first, second;
    start(&f, &(bridge_options){.max_sessions = 1}, NULL);
    ws_enter(&first, &f, "a");
    ws_open(&second, &f);
    assert_false(ws_hear(&second, FRAME_WELCOME, 1));
    assert_int_equal(1, link_server_refused(f.server));
    ws_close(&first);
    ws_close(&second);
    link_fixture_close(&f);
}

/* The server goes while nng's threads may be anywhere: connecting, in the inbox, sending, receiving. */
static void closing_the_server_ends_connections_in_every_state(void **state)
{
    (void)state;
    for (size_t round = 0; round < 25; round++) {
        link_fixture f;
        ws_peer fresh, open, unread, busy;
        start(&f, NULL, NULL);
        ws_open(&fresh, &f);
        ws_enter(&open, &f, "open");
        ws_enter(&unread, &f, "unread");
        deliver(&f, "unread", LOOM_PAYLOAD_MAX, 8);
        ws_enter(&busy, &f, "busy");
        loom_bytes bytes = link_publishes("busy", 100 * 1024, 1);
        nng_iov iov = {(void *)(uintptr_t)bytes.data, bytes.len};
        assert_int_equal(0, nng_aio_set_iov(busy.aio, 1, &iov));
        nng_stream_send(busy.stream, busy.aio);
        for (size_t i = 0; i < round; i++) {
            uv_run(&f.loop, UV_RUN_NOWAIT);
        }
        link_fixture_close_server(&f);
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
    snprintf(again, sizeof again, "tcp%s", f.url + 2);
    *strrchr(again, '/') = '\0';
    assert_status(LOOM_EBUSY, link_server_listen(f.server, again, bound, sizeof bound, why));
    assert_non_null(strstr(why, again));
    link_fixture_close(&f);
}

static void tls_without_a_certificate_is_refused(void **state)
{
    (void)state;
    link_fixture f;
    char bound[URL_MAX], why[LINK_ERROR_SIZE];
    assert_status(LOOM_OK, link_fixture_open(&f, NULL, NULL));
    assert_status(LOOM_EINVAL, link_server_listen(f.server, "tls+tcp://127.0.0.1:0", bound, sizeof bound, why));
    assert_non_null(strstr(why, "tls_cert_key_file"));
    link_fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_of_any_size_arrive_whole_both_ways),
        cmocka_unit_test(what_is_no_agent_link_is_answered_and_closed),
        cmocka_unit_test(a_peer_that_leaves_takes_its_session_with_it),
        cmocka_unit_test(a_session_that_ended_goes_though_its_peer_does_not_read),
        cmocka_unit_test(too_many_agents_are_closed),
        cmocka_unit_test(closing_the_server_ends_connections_in_every_state),
        cmocka_unit_test(a_server_that_nobody_joined_closes),
        cmocka_unit_test(a_port_in_use_is_said_with_its_url),
        cmocka_unit_test(tls_without_a_certificate_is_refused),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    nng_fini();
    return failed;
}
