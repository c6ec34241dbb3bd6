/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/bridge/bus/nng_fixture.h"

#include <loom/envelope.h>
#include <nng/nng.h>
#include <stdlib.h>
#include <unistd.h>

static void on_log(void *user, int level, const char *text)
{
    bus_home *h = user;
    if (level <= 1) {
        h->warnings++;
    }
    if (getenv("LOOM_TEST_LOG") != NULL) {
        print_message("%llu %d %s\n", (unsigned long long)(uv_hrtime() / 1000000), level, text);
    }
}

static void on_pulse(uv_timer_t *timer)
{
    bus_home *h = timer->data;
    if (h->core != NULL) {
        eventbus_set_time(h->core, uv_now(&h->loop));
        eventbus_expire(h->core);
    }
}

void home_open(bus_home *h)
{
    static const char *const names[BUS_SERVER_URLS] = {"pull", "pub", "bpull", "bpub", "control"};
    memset(h, 0, sizeof *h);
    strcpy(h->folder, "/tmp/loom-bus-XXXXXX");
    assert_non_null(mkdtemp(h->folder));
    for (unsigned i = 0; i < BUS_SERVER_URLS; i++) {
        snprintf(h->urls[i], sizeof h->urls[i], "ipc://%s/%s", h->folder, names[i]);
    }
    h->options = (bus_server_options){
        .bus_pull = h->urls[BUS_SERVER_PULL], .bus_pub = h->urls[BUS_SERVER_PUB],
        .bridge_pull = h->urls[BUS_SERVER_BRIDGE_PULL], .bridge_pub = h->urls[BUS_SERVER_BRIDGE_PUB],
        .control = h->urls[BUS_SERVER_CONTROL], .software = "test/1", .log = on_log, .user = h,
    };
    assert_int_equal(uv_loop_init(&h->loop), 0);
    uv_timer_init(&h->loop, &h->pulse);
    h->pulse.data = h;
    uv_timer_start(&h->pulse, on_pulse, 1, 1);
    home_open_server(h);
}

void home_open_server(bus_home *h)
{
    assert_status(LOOM_OK, eventbus_create(&h->core, &h->core_options));
    assert_status(LOOM_OK, bus_server_open(&h->server, &h->loop, h->core, &h->options));
}

static void on_closed(void *user)
{
    ((bus_home *)user)->closed++;
}

void home_close_server(bus_home *h)
{
    unsigned before = h->closed;
    bus_server_close(h->server, on_closed, h);
    h->server = NULL;
    home_until(h, h->closed > before);
    eventbus_destroy(h->core);
    h->core = NULL;
}

void home_restart(bus_home *h)
{
    home_close_server(h);
    home_open_server(h);
}

int home_fini_nng(void **state)
{
    (void)state;
    nng_fini();
    return 0;
}

void home_turn(bus_home *h)
{
    uv_run(&h->loop, UV_RUN_ONCE);
}

void home_close(bus_home *h)
{
    if (h->server != NULL) {
        home_close_server(h);
    }
    uv_close((uv_handle_t *)&h->pulse, NULL);
    for (uint64_t until_ms = uv_hrtime() / 1000000 + HOME_DEADLINE_MS; uv_loop_alive(&h->loop);) {
        assert_true(uv_hrtime() / 1000000 < until_ms); /* a failed test has left something open */
        uv_run(&h->loop, UV_RUN_ONCE);
    }
    assert_int_equal(uv_loop_close(&h->loop), 0);
    for (unsigned i = 0; i < BUS_SERVER_URLS; i++) {
        unlink(h->urls[i] + strlen("ipc://"));
    }
    assert_int_equal(rmdir(h->folder), 0);
}

bus_nng *home_bridge(bus_home *h, const char *id)
{
    bus_nng *b;
    assert_status(LOOM_OK, bus_nng_open(&b, &h->loop, &(bus_nng_options){
        .control = h->urls[BUS_SERVER_CONTROL], .bridge_id = id, .software = "test-bridge/1", .buffer_bytes = 1 << 20,
        .ping_ms = 200, .answer_ms = 500, .log = on_log, .user = h}));
    return b;
}

void home_close_bridge(bus_home *h, bus_nng *b, uint32_t drain_ms)
{
    unsigned before = h->closed;
    bus_nng_close(b, drain_ms, on_closed, h);
    home_until(h, h->closed > before);
}

/* ---- ports ---- */

static void on_deliver(void *user, uint64_t subscription, const envelope_view *view)
{
    test_port *p = user;
    uint64_t number;
    loom_bytes payload = envelope_view_bytes(view, ENV_PAYLOAD);
    assert_true(payload.len >= sizeof number);
    memcpy(&number, payload.data, sizeof number);
    p->out_of_order += number != p->last_number + 1;
    p->last_number = number;
    p->last_subscription = subscription;
    p->delivered++;
    p->bytes += view->len;
}

static void on_pressure(void *user, bool on)
{
    test_port *p = user;
    assert_true(on != p->pressed);
    p->pressed = on;
    p->pressed_times += on;
}

static void on_answer(void *user, uint64_t request, loom_status status, const char *text)
{
    test_port *p = user;
    p->answers++;
    p->last_request = request;
    p->last_status = status;
    snprintf(p->last_text, sizeof p->last_text, "%s", text);
}

static void on_refused(void *user, const uint8_t id[LOOM_UUID_SIZE], loom_status status, const char *text)
{
    test_port *p = user;
    (void)id;
    (void)text;
    p->refusals++;
    p->refused_status = status;
}

void port_attach(test_port *p, bus *base, const char *agent)
{
    static const bus_handlers handlers = {on_deliver, on_pressure, on_answer, on_refused};
    *p = (test_port){.base = base};
    assert_status(LOOM_OK, base->ops->attach(base, &p->port, str_of(agent), &handlers, p));
}

void port_detach(test_port *p)
{
    p->base->ops->detach(p->base, p->port);
    p->port = NULL;
}

void port_ask(test_port *p, uint64_t request, uint64_t id, const char *filter, loom_qos qos, uint32_t queue)
{
    p->base->ops->subscribe(p->base, p->port, &(frame_subscribe){.request = request, .subscription = id,
        .filter = str_of(filter), .qos = (uint64_t)qos, .queue_messages = queue, .deadline_ms = 60000});
}

loom_status port_subscribe(bus_home *h, test_port *p, uint64_t id, const char *filter, loom_qos qos, uint32_t queue)
{
    unsigned before = p->answers;
    port_ask(p, 1000 + id, id, filter, qos, queue);
    home_until(h, p->answers > before);
    assert_int_equal(p->last_request, 1000 + id);
    return p->last_status;
}

loom_status port_unsubscribe(bus_home *h, test_port *p, uint64_t id)
{
    unsigned before = p->answers;
    p->base->ops->unsubscribe(p->base, p->port, &(frame_unsubscribe){.request = 2000 + id, .subscription = id});
    home_until(h, p->answers > before);
    assert_int_equal(p->last_request, 2000 + id);
    return p->last_status;
}

void port_grant(test_port *p, uint64_t messages)
{
    p->base->ops->grant(p->base, p->port, messages, UINT64_MAX);
}

void port_publish(test_port *p, const char *topic, size_t padding)
{
    static _Thread_local uint8_t payload[1 << 20];
    loom_envelope *env;
    uint64_t number = ++p->number;
    memcpy(payload, &number, sizeof number);
    assert_status(LOOM_OK, loom_envelope_create(&env, &(loom_envelope_fields){
        .topic = str_of(topic), .payload = {payload, sizeof number + padding}, .sender = STR("tester")}));
    const envelope_view *view = envelope_as_view(env);
    uint8_t *wire = malloc(view->len);
    assert_non_null(wire);
    memcpy(wire, view->data, view->len);
    envelope_view own = *view;
    own.data = wire;
    p->base->ops->publish(p->base, p->port, &own, wire);
    free(wire);
    loom_envelope_unref(env);
}
