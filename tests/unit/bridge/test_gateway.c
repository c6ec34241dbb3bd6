/* SPDX-License-Identifier: Apache-2.0 */
/* The gateway on a bus that does what a test tells it: pressure, refusals, a port that is taken away, and no memory. */
#include "bridge/gateway/gateway.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/str.h"
#include "base/url.h"
#include "tests/support/alloc_fault.h"
#include "tests/support/wait_until.h"
#include "tests/unit/bridge/fake_bus.h"

enum { DEADLINE_MS = 20000, HEARD_SIZE = 16384 };
#define turn_until(f, condition) wait_until((uv_run(&(f)->loop, UV_RUN_NOWAIT), (condition)), DEADLINE_MS)

typedef struct fixture {
    uv_loop_t loop;
    fake_bus bus;
    gateway *gateway;
    uint16_t port;
    bool closed;
} fixture;

/* A client that allocates nothing, so that faults hit the gateway alone. */
typedef struct client {
    int fd;
    char heard[HEARD_SIZE];
    size_t len;
    bool over;
} client;

static void on_closed(void *user)
{
    ((fixture *)user)->closed = true;
}

static loom_status try_open(fixture *f)
{
    return gateway_open(&f->gateway, &f->loop, &(gateway_options){.bus = &f->bus.base, .bridge_id = "a.b", .software = "test/1",
                                                                  .heartbeat_ms = 100});
}

static void close_gateway(fixture *f)
{
    f->closed = f->gateway == NULL;
    if (f->gateway != NULL) {
        gateway_close(f->gateway, on_closed, f);
    }
    turn_until(f, f->closed);
    f->gateway = NULL;
}

static void start(fixture *f)
{
    char bound[URL_MAX], why[GATEWAY_ERROR_SIZE];
    url u;
    *f = (fixture){.closed = false};
    fake_bus_init(&f->bus);
    assert_int_equal(0, uv_loop_init(&f->loop));
    assert_status(LOOM_OK, try_open(f));
    assert_status(LOOM_OK, gateway_listen(f->gateway, "http://127.0.0.1:0", bound, sizeof bound, why));
    assert_status(LOOM_OK, url_parse(&u, bound, URL_HTTP, why));
    f->port = u.port;
}

static void stop(fixture *f)
{
    close_gateway(f);
    assert_int_equal(0, uv_run(&f->loop, UV_RUN_DEFAULT));
    assert_int_equal(0, uv_loop_close(&f->loop));
    assert_int_equal(f->bus.attached, f->bus.detached);
}

static void say(client *c, const fixture *f, const char *text)
{
    const struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(f->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    c->len = 0;
    c->over = false;
    c->heard[0] = '\0';
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(0, connect(c->fd, (const struct sockaddr *)&to, sizeof to));
    assert_int_equal(strlen(text), send(c->fd, text, strlen(text), MSG_NOSIGNAL));
}

static bool hear(client *c)
{
    const ssize_t got = recv(c->fd, c->heard + c->len, sizeof c->heard - 1 - c->len, MSG_DONTWAIT);
    c->over = c->over || got == 0 || (got < 0 && errno != EAGAIN);
    c->len += got > 0 ? (size_t)got : 0;
    c->heard[c->len] = '\0';
    return true;
}

static bool has(client *c, const char *text)
{
    return hear(c) && strstr(c->heard, text) != NULL;
}

#define HEAD "Host: 127.0.0.1\r\nConnection: close\r\n"
#define POST_EVENT "POST /v1/events/a.b HTTP/1.1\r\n" HEAD "Content-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
#define POST_ACTION "POST /v1/actions/it HTTP/1.1\r\n" HEAD "Content-Length: 5\r\n\r\nhello"
#define STREAM_ACTION "POST /v1/actions/it HTTP/1.1\r\n" HEAD "Accept: text/event-stream\r\nContent-Length: 5\r\n\r\nhello"
#define LISTEN "GET /v1/events/a.%3E HTTP/1.1\r\n" HEAD "\r\n"
#define AGENT "gateway-a-b"

/* The answer to a request that needs nothing of the test. */
static void ask(fixture *f, client *c, const char *text)
{
    say(c, f, text);
    turn_until(f, hear(c) && c->over);
    close(c->fd);
}

static void answer_call(fixture *f, loom_bytes payload)
{
    fake_bus_say(&f->bus, AGENT, &(frame){.type = FRAME_RESULT, .u.result = {.call_id = {f->bus.call.id, f->bus.call.id_len},
                                                                            .payload = payload}});
}

/* ---- events ---- */

static void an_event_has_the_gateway_for_its_sender(void **state)
{
    (void)state;
    fixture f;
    client c;
    start(&f);
    ask(&f, &c, POST_EVENT);
    assert_non_null(strstr(c.heard, "HTTP/1.1 202"));
    loom_envelope *event = fake_bus_last(&f.bus);
    assert_true(str_is(loom_envelope_sender(event), AGENT));
    assert_true(str_is(loom_envelope_content_type(event), "text/plain"));
    loom_envelope_unref(event);
    stop(&f);
}

static void a_bus_that_presses_holds_publishes_until_it_lets_go(void **state)
{
    (void)state;
    fixture f;
    client c, d;
    start(&f);
    bus_port *port = fake_bus_port(&f.bus, AGENT);
    port->handlers->pressure(port->user, true);
    say(&c, &f, POST_EVENT);
    say(&d, &f, POST_EVENT);
    turn_until(&f, gateway_get_stats(f.gateway).waiting == 2);
    close(d.fd); /* who leaves meanwhile has published nothing */
    turn_until(&f, gateway_get_stats(f.gateway).left == 1);
    assert_int_equal(0, f.bus.published);
    port->handlers->pressure(port->user, false);
    turn_until(&f, has(&c, "HTTP/1.1 202"));
    assert_int_equal(1, f.bus.published);
    close(c.fd);
    stop(&f);
}

static void a_port_that_the_broker_ends_is_attached_again(void **state)
{
    (void)state;
    fixture f;
    client c;
    start(&f);
    say(&c, &f, POST_ACTION);
    turn_until(&f, f.bus.called == 1);
    fake_bus_say(&f.bus, AGENT, &(frame){.type = FRAME_ERROR, .u.outcome = {.status = LOOM_EREPLACED}});
    turn_until(&f, has(&c, "HTTP/1.1 503"));
    close(c.fd);
    turn_until(&f, f.bus.attached == 2);
    ask(&f, &c, POST_EVENT);
    assert_non_null(strstr(c.heard, "HTTP/1.1 202"));
    stop(&f);
}

static void the_bus_hears_that_the_gateway_lives(void **state)
{
    (void)state;
    fixture f;
    start(&f);
    turn_until(&f, f.bus.said[FRAME_PING] >= 2);
    stop(&f);
}

/* ---- calls ---- */

static void a_client_that_leaves_cancels_its_call(void **state)
{
    (void)state;
    fixture f;
    client c;
    start(&f);
    say(&c, &f, POST_ACTION);
    turn_until(&f, f.bus.called == 1);
    close(c.fd);
    turn_until(&f, f.bus.said[FRAME_CANCEL] == 1);
    turn_until(&f, gateway_get_stats(f.gateway).waiting == 0);
    answer_call(&f, (loom_bytes){0}); /* late, and for nobody */
    stop(&f);
}

static void a_bus_that_is_silent_does_not_hold_a_call_for_ever(void **state)
{
    (void)state;
    fixture f;
    client c;
    start(&f);
    ask(&f, &c, "POST /v1/actions/it?deadline=1ms HTTP/1.1\r\n" HEAD "Content-Length: 0\r\n\r\n");
    assert_non_null(strstr(c.heard, "HTTP/1.1 504"));
    assert_int_equal(1, f.bus.said[FRAME_CANCEL]);
    stop(&f);
}

/* ---- listening ---- */

static void a_subscription_that_is_refused_is_answered(void **state)
{
    (void)state;
    fixture f;
    client c;
    start(&f);
    f.bus.defers = true;
    say(&c, &f, LISTEN);
    turn_until(&f, f.bus.said[FRAME_SUBSCRIBE] == 1);
    fake_bus_say(&f.bus, AGENT "-1", &(frame){.type = FRAME_ACK, .u.outcome = {.request = f.bus.request, .status = LOOM_EFULL,
                                                                              .text = {"too many", 8}}});
    turn_until(&f, has(&c, "HTTP/1.1 429") && has(&c, "too many"));
    close(c.fd);
    turn_until(&f, f.bus.detached == 1);
    f.bus.attach_status = LOOM_EFULL;
    ask(&f, &c, LISTEN);
    assert_non_null(strstr(c.heard, "HTTP/1.1 503"));
    f.bus.attach_status = LOOM_OK;
    stop(&f);
}

static void a_client_that_leaves_before_the_ack_leaves_nothing(void **state)
{
    (void)state;
    fixture f;
    client c;
    start(&f);
    f.bus.defers = true;
    say(&c, &f, LISTEN);
    turn_until(&f, f.bus.said[FRAME_SUBSCRIBE] == 1);
    close(c.fd);
    turn_until(&f, f.bus.detached == 1);
    stop(&f);
}

static void credit_is_what_the_client_has_taken(void **state)
{
    (void)state;
    fixture f;
    client c;
    start(&f);
    say(&c, &f, LISTEN);
    turn_until(&f, has(&c, "retry: 1000"));
    bus_port *port = fake_bus_port(&f.bus, AGENT "-1");
    const uint64_t first = port->granted_messages;
    assert_int_equal(256, first);
    loom_envelope *event = fake_message("a.b", "x", 10);
    for (int i = 0; i < 200; i++) {
        fake_bus_deliver(&f.bus, AGENT "-1", 1, loom_envelope_wire(event));
    }
    loom_envelope_unref(event);
    assert_int_equal(first, port->granted_messages); /* nothing has left yet */
    turn_until(&f, hear(&c) && (c.len = 0, port->granted_messages == 200 + 256));
    close(c.fd);
    turn_until(&f, gateway_get_stats(f.gateway).streams == 0);
    stop(&f);
}

static size_t count_heard(client *c, size_t count)
{
    size_t heard = 0;
    for (size_t i = 0; i < count; i++) {
        heard += has(&c[i], "data:");
    }
    return heard;
}

static void an_event_that_many_clients_listen_to_leaves_in_slices(void **state)
{
    (void)state;
    enum { CLIENTS = 100 };
    static client c[CLIENTS];
    fixture f;
    start(&f);
    for (size_t i = 0; i < CLIENTS; i++) {
        say(&c[i], &f, LISTEN);
        turn_until(&f, has(&c[i], "retry: 1000"));
    }
    loom_envelope *event = fake_message("a.b", "x", 10);
    for (unsigned i = 1; i <= CLIENTS; i++) {
        char agent[32];
        snprintf(agent, sizeof agent, AGENT "-%u", i);
        fake_bus_deliver(&f.bus, agent, 1, loom_envelope_wire(event));
    }
    loom_envelope_unref(event);
    uv_run(&f.loop, UV_RUN_NOWAIT);
    assert_in_range(count_heard(c, CLIENTS), 1, CLIENTS / 2);
    turn_until(&f, count_heard(c, CLIENTS) == CLIENTS);
    for (size_t i = 0; i < CLIENTS; i++) {
        close(c[i].fd);
    }
    turn_until(&f, gateway_get_stats(f.gateway).streams == 0);
    stop(&f);
}

/* ---- the end ---- */

static void closing_ends_whatever_there_is(void **state)
{
    (void)state;
    fixture f;
    client listener, call, held;
    start(&f);
    say(&listener, &f, LISTEN);
    say(&call, &f, POST_ACTION);
    turn_until(&f, f.bus.called == 1 && gateway_get_stats(f.gateway).streams == 1);
    bus_port *port = fake_bus_port(&f.bus, AGENT);
    port->handlers->pressure(port->user, true);
    say(&held, &f, POST_EVENT);
    turn_until(&f, gateway_get_stats(f.gateway).waiting >= 2);
    stop(&f);
    close(listener.fd);
    close(call.fd);
    close(held.fd);
}

static void ending_answers_before_closing(void **state)
{
    (void)state;
    fixture f;
    client call, listener;
    start(&f);
    say(&call, &f, POST_ACTION);
    say(&listener, &f, LISTEN);
    turn_until(&f, f.bus.called == 1 && has(&listener, "retry"));
    gateway_drain(f.gateway);
    assert_true(gateway_busy(f.gateway));
    gateway_end(f.gateway);
    turn_until(&f, has(&call, "HTTP/1.1 503") && hear(&listener) && listener.over && !gateway_busy(f.gateway));
    close(call.fd);
    close(listener.fd);
    stop(&f);
}

/* ---- no memory ---- */

static loom_status open_and_close(void *user)
{
    fixture *f = user;
    const loom_status st = try_open(f);
    close_gateway(f);
    return st;
}

static void opening_survives_every_failed_allocation(void **state)
{
    (void)state;
    fixture f;
    start(&f);
    close_gateway(&f);
    assert_true(alloc_fault_each(open_and_close, &f) > 0);
    stop(&f);
}

static void finish(fixture *f, client *c)
{
    close(c->fd);
    turn_until(f, gateway_get_stats(f->gateway).connections == 0 && gateway_get_stats(f->gateway).waiting == 0 &&
                      gateway_get_stats(f->gateway).streams == 0);
}

static void call_once(fixture *f, client *c, const char *text, loom_bytes result)
{
    const unsigned called = f->bus.called;
    say(c, f, text);
    turn_until(f, hear(c) && (c->over || f->bus.called > called));
    if (f->bus.called > called) {
        const loom_bytes id = {f->bus.call.id, f->bus.call.id_len};
        fake_bus_say(&f->bus, AGENT, &(frame){.type = FRAME_REPORT, .u.report = {id, FRAME_CHUNK, 0, bytes_of("part")}});
        answer_call(f, result);
        turn_until(f, hear(c) && c->over);
    }
    finish(f, c);
}

static bool listen_once(fixture *f, client *c, loom_bytes event)
{
    bool heard = false;
    const uint64_t attached = f->bus.attached;
    say(c, f, LISTEN);
    turn_until(f, hear(c) && (c->over || strstr(c->heard, "retry") != NULL || strstr(c->heard, "problem") != NULL));
    if (!c->over && f->bus.attached > attached && gateway_get_stats(f->gateway).streams == 1) {
        for (size_t i = 0; i < FAKE_PORTS; i++) {
            bus_port *port = &f->bus.ports[i];
            if (port->used && strncmp(port->agent, AGENT "-", sizeof AGENT) == 0) {
                fake_bus_deliver(&f->bus, port->agent, 1, event);
            }
        }
        turn_until(f, hear(c) && (c->over || strstr(c->heard, "data: ") != NULL));
        heard = strstr(c->heard, "data: ") != NULL;
    }
    finish(f, c);
    return heard;
}

typedef struct conversation {
    fixture *f;
    loom_bytes event;
} conversation;

static loom_status converse(void *user)
{
    const conversation *with = user;
    fixture *f = with->f;
    static client c;
    static const uint8_t no_capabilities[] = {0x81, 0xa6, 's', 't', 'a', 't', 'u', 's', LOOM_OK};
    ask(f, &c, POST_EVENT);
    const bool published = strstr(c.heard, "HTTP/1.1 202") != NULL;
    ask(f, &c, "POST /v1/events/a.b HTTP/1.1\r\n" HEAD "Content-Type: application/x-ndjson\r\nContent-Length: 4\r\n\r\n1\n2\n");
    const bool batch = strstr(c.heard, "HTTP/1.1 202") != NULL;
    call_once(f, &c, POST_ACTION, bytes_of("{\"x\":1}"));
    const bool called = strstr(c.heard, "{\"x\":1}") != NULL;
    call_once(f, &c, STREAM_ACTION, bytes_of("{\"x\":1}"));
    const bool streamed = strstr(c.heard, "event: result") != NULL;
    call_once(f, &c, "GET /openapi.json HTTP/1.1\r\n" HEAD "\r\n", (loom_bytes){no_capabilities, sizeof no_capabilities});
    const bool described = strstr(c.heard, "\"openapi\":\"3.1.0\"") != NULL;
    return published && batch && called && streamed && described && listen_once(f, &c, with->event) ? LOOM_OK : LOOM_ENOMEM;
}

static void a_conversation_survives_every_failed_allocation(void **state)
{
    (void)state;
    fixture f;
    start(&f);
    loom_envelope *event = fake_message("a.b", "x", 10);
    conversation with = {&f, loom_envelope_wire(event)};
    assert_true(alloc_fault_each_survived(converse, &with) > 0);
    loom_envelope_unref(event);
    stop(&f);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_has_the_gateway_for_its_sender),
        cmocka_unit_test(a_bus_that_presses_holds_publishes_until_it_lets_go),
        cmocka_unit_test(a_port_that_the_broker_ends_is_attached_again),
        cmocka_unit_test(the_bus_hears_that_the_gateway_lives),
        cmocka_unit_test(a_client_that_leaves_cancels_its_call),
        cmocka_unit_test(a_bus_that_is_silent_does_not_hold_a_call_for_ever),
        cmocka_unit_test(a_subscription_that_is_refused_is_answered),
        cmocka_unit_test(a_client_that_leaves_before_the_ack_leaves_nothing),
        cmocka_unit_test(credit_is_what_the_client_has_taken),
        cmocka_unit_test(an_event_that_many_clients_listen_to_leaves_in_slices),
        cmocka_unit_test(closing_ends_whatever_there_is),
        cmocka_unit_test(ending_answers_before_closing),
        cmocka_unit_test(opening_survives_every_failed_allocation),
        cmocka_unit_test(a_conversation_survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
