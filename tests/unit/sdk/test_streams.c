/* SPDX-License-Identifier: Apache-2.0 */
/* The carrier on nng streams: a relay takes an agent's WebSocket or TLS connection to the fake bridge's unix socket. */
#include <loom/loom.h>

#include <nng/nng.h>

#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/sdk/fake_bridge.h"

typedef struct relay {
    nng_stream_listener *listener;
    nng_stream *stream;
    nng_aio *accept_aio, *in_aio, *out_aio;
    int fd;
    const char *path;
    pthread_t accepter, inward;
} relay;

static void *from_agent(void *arg)
{
    relay *r = arg;
    static uint8_t buffer[32768];
    for (;;) {
        nng_iov iov = {buffer, sizeof buffer};
        nng_aio_set_iov(r->in_aio, 1, &iov);
        nng_stream_recv(r->stream, r->in_aio);
        nng_aio_wait(r->in_aio);
        size_t len = nng_aio_count(r->in_aio);
        if (nng_aio_result(r->in_aio) != 0 || len == 0 || send(r->fd, buffer, len, MSG_NOSIGNAL) != (ssize_t)len) {
            shutdown(r->fd, SHUT_RDWR);
            return NULL;
        }
    }
}

static bool to_agent(relay *r, uint8_t *data, size_t len)
{
    while (len > 0) {
        nng_iov iov = {data, len};
        nng_aio_set_iov(r->out_aio, 1, &iov);
        nng_stream_send(r->stream, r->out_aio);
        nng_aio_wait(r->out_aio);
        if (nng_aio_result(r->out_aio) != 0) {
            return false;
        }
        data += nng_aio_count(r->out_aio);
        len -= nng_aio_count(r->out_aio);
    }
    return true;
}

/* One agent, to the end. */
static void *serve(void *arg)
{
    relay *r = arg;
    static uint8_t buffer[32768];
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    nng_stream_listener_accept(r->listener, r->accept_aio);
    nng_aio_wait(r->accept_aio);
    if (nng_aio_result(r->accept_aio) != 0) {
        return NULL;
    }
    r->stream = nng_aio_get_output(r->accept_aio, 0);
    snprintf(addr.sun_path, sizeof addr.sun_path, "%s", r->path);
    r->fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(r->fd, (struct sockaddr *)&addr, sizeof addr) != 0) {
        return NULL;
    }
    pthread_create(&r->inward, NULL, from_agent, r);
    ssize_t len;
    while ((len = recv(r->fd, buffer, sizeof buffer, 0)) > 0 && to_agent(r, buffer, (size_t)len)) {
    }
    nng_stream_close(r->stream);
    pthread_join(r->inward, NULL);
    return NULL;
}

static void relay_open(relay *r, const char *path, char *url, size_t size)
{
    int port;
    *r = (relay){.fd = -1, .path = path};
    assert_int_equal(0, nng_stream_listener_alloc(&r->listener, "ws://127.0.0.1:0/loom"));
    assert_int_equal(0, nng_stream_listener_listen(r->listener));
    assert_int_equal(0, nng_stream_listener_get_int(r->listener, NNG_OPT_TCP_BOUND_PORT, &port));
    snprintf(url, size, "ws://127.0.0.1:%d/loom", port);
    assert_int_equal(0, nng_aio_alloc(&r->accept_aio, NULL, NULL));
    assert_int_equal(0, nng_aio_alloc(&r->in_aio, NULL, NULL));
    assert_int_equal(0, nng_aio_alloc(&r->out_aio, NULL, NULL));
    assert_int_equal(0, pthread_create(&r->accepter, NULL, serve, r));
}

static void relay_close(relay *r)
{
    nng_stream_listener_close(r->listener);
    pthread_join(r->accepter, NULL);
    nng_aio_free(r->accept_aio);
    nng_aio_free(r->in_aio);
    nng_aio_free(r->out_aio);
    nng_stream_free(r->stream);
    nng_stream_listener_free(r->listener);
    if (r->fd >= 0) {
        close(r->fd);
    }
}

static uint64_t received_bytes;

static loom_status sum_bytes(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    (void)agent;
    (void)topic;
    (void)user;
    __atomic_fetch_add(&received_bytes, loom_envelope_payload(event).len, __ATOMIC_SEQ_CST);
    return LOOM_OK;
}

static void be_quiet(loom_agent *agent, loom_agent_state state, loom_status why, const char *text, void *user)
{
    (void)agent;
    (void)state;
    (void)why;
    (void)text;
    (void)user;
}

static int set_up(void **state)
{
    fake_bridge *b = calloc(1, sizeof *b);
    assert_non_null(b);
    fake_bridge_open(b);
    b->credit_bytes = 64 * 1024 * 1024;
    setenv("LOOM_TELEMETRY_AUTO", "0", 1);
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    fake_bridge_close(*state);
    free(*state);
    return 0;
}

static void a_websocket_carries_the_same_frames_both_ways(void **state)
{
    fake_bridge *b = *state;
    static const char *const topics[] = {"in", NULL};
    static uint8_t payload[300000];
    relay r;
    char url[64];
    loom_agent *agent;
    relay_open(&r, b->path, url, sizeof url);
    loom_agent_options options = {
        .id = "web", .url = url, .topics = topics, .on_event = sum_bytes, .on_state = be_quiet};
    assert_status(LOOM_OK, loom_agent_open(&agent, &options));
    uint64_t number = fake_bridge_session(b, 2);
    assert_status(LOOM_OK, loom_agent_wait_connected(agent, FAKE_DEADLINE_MS));

    for (unsigned i = 0; i < 10; i++) { /* more than any buffer on the way holds */
        assert_status(LOOM_OK, loom_agent_emit(agent, "out", BYTES(payload), NULL));
    }
    for (unsigned seen = 0; seen < 10;) {
        seen += fake_bridge_expect(b, FRAME_PUBLISH).u.batch.count;
    }
    loom_envelope_fields fields = {.topic = STR("in"), .payload = BYTES(payload)};
    for (unsigned i = 0; i < 10; i++) {
        fake_bridge_deliver(b, number, &fields);
    }
    wait_until(__atomic_load_n(&received_bytes, __ATOMIC_SEQ_CST) == 10 * sizeof payload, FAKE_DEADLINE_MS);
    fake_bridge_drop(b);
    loom_agent_close_within(agent, 0);
    relay_close(&r);
}

static void nobody_listening_is_told(void **state)
{
    (void)state;
    static const char *const urls[] = {"ws://127.0.0.1:1/", "tls+tcp://127.0.0.1:1", "tcp://127.0.0.1:1"};
    for (int i = 0; i < 3; i++) {
        loom_agent *agent;
        loom_agent_options options = {.id = "web", .url = urls[i], .on_state = be_quiet};
        assert_status(LOOM_OK, loom_agent_open(&agent, &options));
        wait_until(loom_agent_get_state(agent) == LOOM_AGENT_DISCONNECTED, FAKE_DEADLINE_MS);
        assert_status(LOOM_ETIMEDOUT, loom_agent_wait_connected(agent, 100)); /* several attempts */
        assert_status(LOOM_OK, loom_agent_close(agent));
    }
}

static void closing_while_dialing_leaks_nothing(void **state)
{
    (void)state;
    static const char *const urls[] = {"ws://127.0.0.1:1/", "tls+tcp://127.0.0.1:1", "tcp://localhost:1"};
    for (int i = 0; i < 30; i++) {
        loom_agent *agent;
        loom_agent_options options = {.id = "web", .url = urls[i % 3], .on_state = be_quiet};
        assert_status(LOOM_OK, loom_agent_open(&agent, &options));
        assert_status(LOOM_OK, loom_agent_close(agent));
    }
}

#define WITH_BRIDGE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BRIDGE(a_websocket_carries_the_same_frames_both_ways),
        WITH_BRIDGE(nobody_listening_is_told),
        WITH_BRIDGE(closing_while_dialing_leaks_nothing),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    nng_fini();
    return failed;
}
