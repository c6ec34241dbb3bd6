/* SPDX-License-Identifier: Apache-2.0 */
/* Agents on tls+tcp, ws and wss: a relay takes such a connection to the fake bridge's unix socket. */
#include <loom/loom.h>

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/sdk/fake_bridge.h"
#include "tests/unit/sdk/stream_server.h"

typedef struct relay {
    fake_bridge bridge;
    stream_server server;
    bool websocket;
    char ca[64], url[96];
} relay;

/* ---- the relay; its thread ---- */

static bool send_all(int fd, const uint8_t *data, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = send(fd, data + done, len - done, MSG_NOSIGNAL);
        if (n <= 0) {
            return false;
        }
        done += (size_t)n;
    }
    return true;
}

static bool from_agent(relay *r, stream *s, int bridge)
{
    uint8_t buffer[16384];
    ws_message m = {.data = buffer};
    bool on = true;
    if (!r->websocket) {
        ssize_t n = stream_read(s, buffer, sizeof buffer);
        return n > 0 && send_all(bridge, buffer, (size_t)n);
    }
    if (!ws_read(s, &m)) {
        return false;
    }
    on = m.opcode == 0x2 ? send_all(bridge, m.data, m.len) : m.opcode != 0x8;
    free(m.data);
    if (!on) {
        ws_write(s, 0x88, "\x03\xe8", 2);
    }
    return on;
}

static bool to_agent(relay *r, stream *s, int bridge)
{
    uint8_t buffer[16384];
    ssize_t n = recv(bridge, buffer, sizeof buffer, 0);
    if (n <= 0) {
        if (r->websocket) {
            ws_write(s, 0x88, "\x03\xe9", 2);
        }
        return false;
    }
    return r->websocket ? ws_write(s, 0x82, buffer, (size_t)n) : stream_write(s, buffer, (size_t)n);
}

static void carry(stream *s, void *user)
{
    relay *r = user;
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    snprintf(addr.sun_path, sizeof addr.sun_path, "%s", r->bridge.path);
    int bridge = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool on = connect(bridge, (struct sockaddr *)&addr, sizeof addr) == 0 &&
              (!r->websocket || ws_serve_upgrade(s, NULL, "Sec-WebSocket-Protocol: loom.v1\r\n"));
    while (on) {
        struct pollfd fds[2] = {{.fd = s->fd, .events = POLLIN}, {.fd = bridge, .events = POLLIN}};
        bool waits = s->ahead_len > 0 || (s->ssl != NULL && SSL_pending(s->ssl) > 0);
        poll(fds, 2, waits ? 0 : -1);
        on = !(waits || fds[0].revents != 0) || from_agent(r, s, bridge);
        on = on && (fds[1].revents == 0 || to_agent(r, s, bridge));
    }
    close(bridge);
    if (s->ssl != NULL) {
        SSL_shutdown(s->ssl);
    }
}

static void relay_open(relay *r, const char *scheme)
{
    bool tls = strcmp(scheme, "ws") != 0;
    fake_bridge_open(&r->bridge);
    r->bridge.credit_bytes = 64 * 1024 * 1024;
    r->websocket = scheme[0] == 'w';
    strcpy(r->ca, "/tmp/loom-streams-test-XXXXXX");
    int fd = mkstemp(r->ca);
    assert_true(fd >= 0);
    close(fd);
    stream_server_open(&r->server, tls ? server_tls(r->ca, &(certificate_options){.names = "IP:127.0.0.1"}) : NULL, carry, r);
    snprintf(r->url, sizeof r->url, "%s://127.0.0.1:%u", scheme, r->server.port);
}

static void relay_close(relay *r)
{
    stream_server_close(&r->server);
    fake_bridge_close(&r->bridge);
    unlink(r->ca);
}

/* ---- agents ---- */

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

static const char *const stream_schemes[] = {"tls+tcp", "ws", "wss"};

static uint8_t payload[300000];

static void connect_agent(loom_agent **agent, relay *r, uint64_t *number)
{
    static const char *const topics[] = {"in", NULL};
    loom_agent_options options = {.id = "web", .url = r->url, .topics = topics, .on_event = sum_bytes, .on_state = be_quiet,
                                  .tls_ca_file = r->ca};
    assert_status(LOOM_OK, loom_agent_open(agent, &options));
    *number = fake_bridge_session(&r->bridge, 2);
    assert_status(LOOM_OK, loom_agent_wait_connected(*agent, FAKE_DEADLINE_MS));
}

static void every_stream_carries_the_same_frames_both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        relay r;
        loom_agent *agent;
        uint64_t number;
        relay_open(&r, stream_schemes[i]);
        connect_agent(&agent, &r, &number);
        __atomic_store_n(&received_bytes, 0, __ATOMIC_SEQ_CST);
        for (unsigned k = 0; k < 10; k++) { /* more than any buffer on the way holds */
            assert_status(LOOM_OK, loom_agent_emit(agent, "out", BYTES(payload), NULL));
        }
        for (unsigned seen = 0; seen < 10;) {
            seen += fake_bridge_expect(&r.bridge, FRAME_PUBLISH).u.batch.count;
        }
        loom_envelope_fields fields = {.topic = STR("in"), .payload = BYTES(payload)};
        for (unsigned k = 0; k < 10; k++) {
            fake_bridge_deliver(&r.bridge, number, &fields);
        }
        wait_until(__atomic_load_n(&received_bytes, __ATOMIC_SEQ_CST) == 10 * sizeof payload, FAKE_DEADLINE_MS);
        fake_bridge_drop(&r.bridge);
        loom_agent_close_within(agent, 0);
        relay_close(&r);
    }
}

enum { EMITTERS = 3, EACH = 1000 };

static void *emit_many(void *agent)
{
    for (unsigned i = 0; i < EACH; i++) {
        while (loom_agent_emit(agent, "out", (loom_bytes){payload, i % 700}, NULL) == LOOM_EFULL) {
            wait_pause();
        }
    }
    return NULL;
}

/* Deliveries come while several threads send: both halves of the carrier are at work at once. */
static void threads_send_while_the_agent_receives(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        relay r;
        loom_agent *agent;
        pthread_t emitters[EMITTERS];
        uint64_t number;
        relay_open(&r, stream_schemes[i]);
        connect_agent(&agent, &r, &number);
        __atomic_store_n(&received_bytes, 0, __ATOMIC_SEQ_CST);
        for (unsigned k = 0; k < EMITTERS; k++) {
            assert_int_equal(0, pthread_create(&emitters[k], NULL, emit_many, agent));
        }
        loom_envelope_fields fields = {.topic = STR("in"), .payload = {payload, 100}};
        unsigned delivered = 0;
        for (unsigned seen = 0; seen < EMITTERS * EACH;) {
            frame f = fake_bridge_next(&r.bridge);
            seen += f.type == FRAME_PUBLISH ? f.u.batch.count : 0;
            if (delivered < 500) {
                fake_bridge_deliver(&r.bridge, number, &fields);
                delivered++;
            }
        }
        for (unsigned k = 0; k < EMITTERS; k++) {
            pthread_join(emitters[k], NULL);
        }
        wait_until(__atomic_load_n(&received_bytes, __ATOMIC_SEQ_CST) == delivered * 100, FAKE_DEADLINE_MS);
        fake_bridge_drop(&r.bridge);
        loom_agent_close_within(agent, 0);
        relay_close(&r);
    }
}

static void a_goodbye_reaches_the_bridge_on_every_stream(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        relay r;
        loom_agent *agent;
        uint64_t number;
        relay_open(&r, stream_schemes[i]);
        connect_agent(&agent, &r, &number);
        assert_status(LOOM_OK, loom_agent_emit(agent, "out", BYTES(payload), NULL));
        pthread_t closer;
        assert_int_equal(0, pthread_create(&closer, NULL, (void *(*)(void *))(void (*)(void))loom_agent_close, agent));
        while (fake_bridge_next(&r.bridge).type != FRAME_BYE) {
        }
        fake_bridge_drop(&r.bridge);
        pthread_join(closer, NULL);
        relay_close(&r);
    }
}

typedef struct heard_state {
    pthread_mutex_t lock;
    char text[200];
    loom_status why;
} heard_state;

static void hear_state(loom_agent *agent, loom_agent_state state, loom_status why, const char *text, void *user)
{
    (void)agent;
    heard_state *heard = user;
    pthread_mutex_lock(&heard->lock);
    if (state == LOOM_AGENT_DISCONNECTED && heard->text[0] == '\0') {
        heard->why = why;
        snprintf(heard->text, sizeof heard->text, "%s", text);
    }
    pthread_mutex_unlock(&heard->lock);
}

static bool has_heard(heard_state *heard)
{
    pthread_mutex_lock(&heard->lock);
    bool has = heard->text[0] != '\0';
    pthread_mutex_unlock(&heard->lock);
    return has;
}

static void a_certificate_not_trusted_is_told_to_the_agent(void **state)
{
    (void)state;
    relay r;
    loom_agent *agent;
    heard_state heard = {.lock = PTHREAD_MUTEX_INITIALIZER};
    unsetenv("LOOM_TLS_CA");
    relay_open(&r, "wss");
    loom_agent_options options = {.id = "web", .url = r.url, .on_state = hear_state, .user = &heard};
    assert_status(LOOM_OK, loom_agent_open(&agent, &options));
    wait_until(has_heard(&heard), FAKE_DEADLINE_MS);
    assert_status(LOOM_OK, loom_agent_close(agent));
    assert_status(LOOM_EDENIED, heard.why);
    assert_non_null(strstr(heard.text, "the certificate is not trusted"));
    relay_close(&r);
}

static void listen_in_silence(stream *s, void *user)
{
    (void)user;
    stream_drain(s);
}

/* Each of them begins to speak and is not answered: the session's deadline ends that. */
static void a_server_that_never_answers_is_given_up_after_ten_seconds(void **state)
{
    (void)state;
    static const char *const formats[] = {"tls+tcp://127.0.0.1:%u", "ws://127.0.0.1:%u", "wss://127.0.0.1:%u"};
    stream_server servers[3];
    loom_agent *agents[3];
    heard_state heard[3];
    for (int i = 0; i < 3; i++) {
        char url[64];
        stream_server_open(&servers[i], NULL, listen_in_silence, NULL);
        snprintf(url, sizeof url, formats[i], servers[i].port);
        heard[i] = (heard_state){.lock = PTHREAD_MUTEX_INITIALIZER};
        loom_agent_options options = {.id = "web", .url = url, .on_state = hear_state, .user = &heard[i]};
        assert_status(LOOM_OK, loom_agent_open(&agents[i], &options));
    }
    for (int i = 0; i < 3; i++) {
        wait_until(has_heard(&heard[i]), 2 * FAKE_DEADLINE_MS);
        assert_status(LOOM_OK, loom_agent_close(agents[i]));
        assert_status(LOOM_ETIMEDOUT, heard[i].why);
        stream_server_close(&servers[i]);
    }
}

static void nobody_listening_is_told(void **state)
{
    (void)state;
    static const char *const urls[] = {"ws://127.0.0.1:1/", "wss://127.0.0.1:1", "tls+tcp://127.0.0.1:1", "tcp://127.0.0.1:1"};
    for (int i = 0; i < 4; i++) {
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
    relay r[3];
    for (int i = 0; i < 3; i++) {
        relay_open(&r[i], stream_schemes[i]);
    }
    const char *const urls[] = {"ws://127.0.0.1:1/", "tls+tcp://127.0.0.1:1", "tcp://localhost:1",
                                "wss://localhost:1", r[0].url, r[1].url, r[2].url};
    for (int i = 0; i < 70; i++) {
        loom_agent *agent;
        loom_agent_options options = {.id = "web", .url = urls[i % 7], .on_state = be_quiet, .tls_ca_file = r[i % 3].ca};
        assert_status(LOOM_OK, loom_agent_open(&agent, &options));
        if (i % 2 == 0) {
            wait_pause(); /* some way into the handshake */
        }
        assert_status(LOOM_OK, loom_agent_close(agent));
    }
    for (int i = 0; i < 3; i++) {
        relay_close(&r[i]);
    }
}

int main(void)
{
    setenv("LOOM_TELEMETRY_AUTO", "0", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_stream_carries_the_same_frames_both_ways),
        cmocka_unit_test(threads_send_while_the_agent_receives),
        cmocka_unit_test(a_goodbye_reaches_the_bridge_on_every_stream),
        cmocka_unit_test(a_certificate_not_trusted_is_told_to_the_agent),
        cmocka_unit_test(a_server_that_never_answers_is_given_up_after_ten_seconds),
        cmocka_unit_test(nobody_listening_is_told),
        cmocka_unit_test(closing_while_dialing_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
