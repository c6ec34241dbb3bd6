/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/bridge/bus/bus_home.h"

#include <loom/envelope.h>
#include <stdlib.h>
#include <unistd.h>

static void on_log(void *user, log_level level, const char *format, va_list args)
{
    bus_home *h = user;
    if (level <= LOG_WARN) {
        h->warnings++;
    }
    if (getenv("LOOM_TEST_LOG") != NULL) {
        char text[512];
        vsnprintf(text, sizeof text, format, args);
        print_message("%llu %d %s\n", (unsigned long long)(uv_hrtime() / 1000000), (int)level, text);
    }
}

static void on_pulse(uv_timer_t *timer)
{
    bus_home *h = timer->data;
    if (h->cores.events != NULL) {
        h->clock.now_ms = uv_now(&h->loop);
        broker_expire(&h->cores);
    }
}

static void on_first(uv_prepare_t *first)
{
    bus_home *h = first->data;
    uv_prepare_stop(first);
    h->at_first(h->user);
}

static void on_last(uv_prepare_t *last)
{
    bus_home *h = last->data;
    if (h->at_last != NULL) {
        h->at_last(h->user);
    }
}

/* Those that start later run earlier. */
static void start_last(bus_home *h)
{
    uv_prepare_init(&h->loop, &h->first);
    uv_prepare_init(&h->loop, &h->last);
    h->first.data = h->last.data = h;
    uv_prepare_start(&h->last, on_last);
    uv_unref((uv_handle_t *)&h->last);
}

void home_at_first(bus_home *h, void (*call)(void *user), void *user)
{
    h->at_first = call;
    h->user = user;
    uv_prepare_start(&h->first, on_first);
}

void home_be_quiet(bus_home *h)
{
    h->parts_ms = h->options.parts_ms = h->ping_ms = h->options.ping_ms = HOME_FOR_EVER_MS;
    uv_timer_stop(&h->pulse);
}

void home_open(bus_home *h)
{
    static const char *const names[BUS_SERVER_URLS] = {"pull", "pub", "bridge", "control"};
    memset(h, 0, sizeof *h);
    strcpy(h->folder, "/tmp/loom-bus-XXXXXX");
    assert_non_null(mkdtemp(h->folder));
    for (unsigned i = 0; i < BUS_SERVER_URLS; i++) {
        snprintf(h->urls[i], sizeof h->urls[i], "ipc://%s/%s", h->folder, names[i]);
    }
    h->options = (bus_server_options){
        .bus_pull = h->urls[BUS_SERVER_PULL], .bus_pub = h->urls[BUS_SERVER_PUB],
        .bus_bridge = h->urls[BUS_SERVER_BRIDGE], .ping_ms = 200, .silence_ms = 1000,
        .control = h->urls[BUS_SERVER_CONTROL], .software = "test/1", .log = on_log, .user = h,
    };
    assert_int_equal(uv_loop_init(&h->loop), 0);
    uv_timer_init(&h->loop, &h->pulse);
    h->pulse.data = h;
    uv_timer_start(&h->pulse, on_pulse, 1, 1);
    start_last(h);
    home_open_server(h);
}

void home_open_server(bus_home *h)
{
    if (h->core_options.batched_deadline_ms == 0) {
        h->core_options.batched_deadline_ms = 60000; /* on a busy machine a test may take nothing for 50 ms */
    }
    assert_status(LOOM_OK, eventbus_create(&h->cores.events, &h->clock, &h->core_options));
    assert_status(LOOM_OK, actionbroker_create(&h->cores.actions, &h->clock, NULL));
    assert_status(LOOM_OK, directory_create(&h->cores.agents, &h->clock, h->cores.events));
    h->clock.now_ms = uv_now(&h->loop);
    assert_status(LOOM_OK, bus_server_open(&h->server, &h->loop, &h->clock, &h->cores, &h->options));
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
    directory_destroy(h->cores.agents);
    actionbroker_destroy(h->cores.actions);
    eventbus_destroy(h->cores.events);
    h->cores = (broker_cores){0};
}

void home_restart(bus_home *h)
{
    home_close_server(h);
    home_open_server(h);
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
    uv_close((uv_handle_t *)&h->first, NULL);
    uv_close((uv_handle_t *)&h->last, NULL);
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

bus_remote *home_bridge(bus_home *h, const char *id)
{
    bus_remote *b;
    assert_status(LOOM_OK, bus_remote_open(&b, &h->loop, &(bus_remote_options){
        .url = h->urls[BUS_SERVER_BRIDGE], .bridge_id = id, .software = "test-bridge/1", .buffer_bytes = 1 << 20,
        .ping_ms = h->ping_ms > 0 ? h->ping_ms : 200, .silence_ms = 1000, .parts_ms = h->parts_ms, .log = on_log, .user = h}));
    return b;
}

static void on_bridge_closed(void *user, const bus_remote_losses *lost)
{
    bus_home *h = user;
    h->lost = *lost;
    h->closed++;
}

void home_close_bridge(bus_home *h, bus_remote *b, uint32_t drain_ms)
{
    unsigned before = h->closed;
    bus_remote_close(b, drain_ms, on_bridge_closed, h);
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

static void copy_text(char *out, size_t size, const void *data, size_t len)
{
    snprintf(out, size, "%.*s", (int)len, len > 0 ? (const char *)data : "");
}

static void on_call(void *user, const frame_call *f, const envelope_view *view)
{
    test_port *p = user;
    loom_bytes payload = envelope_view_bytes(view, ENV_PAYLOAD);
    p->calls++;
    p->call_id_len = f->call_id.len;
    memcpy(p->call_id, f->call_id.data, f->call_id.len);
    copy_text(p->payload, sizeof p->payload, payload.data, payload.len);
}

static void on_frame(void *user, const frame *f)
{
    test_port *p = user;
    switch (f->type) {
    case FRAME_ACK:
        p->answers++;
        p->last_request = f->u.outcome.request;
        p->last_status = (loom_status)f->u.outcome.status;
        copy_text(p->last_text, sizeof p->last_text, f->u.outcome.text.data, f->u.outcome.text.len);
        break;
    case FRAME_ERROR: p->ended = (loom_status)f->u.outcome.status; break;
    case FRAME_NOTICE:
        assert_int_equal(f->u.outcome.message_id.len, LOOM_UUID_SIZE);
        p->refusals++;
        p->refused_status = (loom_status)f->u.outcome.status;
        break;
    case FRAME_RESULT:
        p->results++;
        p->outcome = f->u.result.outcome;
        copy_text(p->code, sizeof p->code, f->u.result.code.data, f->u.result.code.len);
        copy_text(p->payload, sizeof p->payload, f->u.result.payload.data, f->u.result.payload.len);
        break;
    case FRAME_REPORT: p->reports++; break;
    case FRAME_CANCEL: p->cancels++; break;
    case FRAME_CALL_CREDIT: p->call_credits++; break;
    default: fail_msg("a frame of type %d does not go this way", f->type);
    }
}

static void attach(test_port *p, bus *base, const char *agent, const bus_handlers *handlers)
{
    *p = (test_port){.base = base};
    assert_status(LOOM_OK, base->ops->attach(base, &p->port, &(bus_agent){
        .id = str_of(agent), .software = STR("test/1"), .heartbeat_ms = 15000, .peer = "somewhere"}, handlers, p));
}

void agent_attach(test_port *p, bus *base, const char *agent)
{
    static const bus_handlers handlers = {
        .deliver = on_deliver, .pressure = on_pressure, .call = on_call, .frame = on_frame};
    attach(p, base, agent, &handlers);
}

void agent_attach_confirming(test_port *p, bus *base, const char *agent)
{
    static const bus_handlers handlers = {
        .deliver = on_deliver, .pressure = on_pressure, .call = on_call, .frame = on_frame, .confirms = true};
    attach(p, base, agent, &handlers);
}

void agent_confirm(test_port *p, uint64_t messages)
{
    p->base->ops->sent(p->base, p->port, messages);
}

void agent_detach(test_port *p)
{
    p->base->ops->detach(p->base, p->port, LOOM_OK);
    p->port = NULL;
}

void agent_ask(test_port *p, uint64_t request, uint64_t id, const char *filter, loom_qos qos, uint32_t queue)
{
    p->base->ops->frame(p->base, p->port, &(frame){.type = FRAME_SUBSCRIBE, .u.subscribe = {.request = request,
        .subscription = id, .filter = str_of(filter), .qos = (uint64_t)qos, .queue_messages = queue, .deadline_ms = 60000}});
}

loom_status agent_subscribe(bus_home *h, test_port *p, uint64_t id, const char *filter, loom_qos qos, uint32_t queue)
{
    unsigned before = p->answers;
    agent_ask(p, 1000 + id, id, filter, qos, queue);
    home_until(h, p->answers > before);
    assert_int_equal(p->last_request, 1000 + id);
    return p->last_status;
}

void agent_ask_end(test_port *p, uint64_t request, uint64_t id)
{
    p->base->ops->frame(p->base, p->port, &(frame){.type = FRAME_UNSUBSCRIBE, .u.unsubscribe = {request, id}});
}

loom_status agent_unsubscribe(bus_home *h, test_port *p, uint64_t id)
{
    unsigned before = p->answers;
    agent_ask_end(p, 2000 + id, id);
    home_until(h, p->answers > before);
    assert_int_equal(p->last_request, 2000 + id);
    return p->last_status;
}

void agent_grant(test_port *p, uint64_t messages)
{
    p->base->ops->grant(p->base, p->port, messages, UINT64_MAX);
}

/* A copy of an envelope whose bytes may be patched; the caller frees them. */
static uint8_t *make_wire(envelope_view *own, const char *topic, loom_bytes payload)
{
    loom_envelope *env;
    assert_status(LOOM_OK, loom_envelope_create(&env, &(loom_envelope_fields){
        .topic = str_of(topic), .payload = payload, .sender = STR("tester")}));
    *own = *envelope_as_view(env);
    uint8_t *wire = malloc(own->len);
    assert_non_null(wire);
    memcpy(wire, own->data, own->len);
    own->data = wire;
    loom_envelope_unref(env);
    return wire;
}

void agent_publish(test_port *p, const char *topic, size_t padding)
{
    static _Thread_local uint8_t payload[1 << 20];
    envelope_view view;
    uint64_t number = ++p->number;
    memcpy(payload, &number, sizeof number);
    uint8_t *wire = make_wire(&view, topic, (loom_bytes){payload, sizeof number + padding});
    p->base->ops->publish(p->base, p->port, &view, wire);
    free(wire);
}

/* ---- calls ---- */

loom_status agent_provide(bus_home *h, test_port *p, const char *name, bool withdraw)
{
    unsigned before = p->answers;
    p->base->ops->frame(p->base, p->port, &(frame){.type = FRAME_PROVIDE, .u.provide = {
        .request = 3000, .name = str_of(name), .version = STR("1"), .kind = STR("plain"), .withdraw = withdraw}});
    home_until(h, p->answers > before);
    assert_int_equal(p->last_request, 3000);
    return p->last_status;
}

void agent_call(test_port *p, const char *id, const char *capability)
{
    envelope_view view;
    uint8_t *wire = make_wire(&view, capability, (loom_bytes){(const uint8_t *)"question", 8});
    p->base->ops->call(p->base, p->port, &(frame_call){.call_id = {(const uint8_t *)id, strlen(id)},
        .capability = str_of(capability), .deadline_ms = 60000, .flags = p->call_flags}, &view, wire);
    free(wire);
}

void agent_answer(test_port *p, const char *payload)
{
    p->base->ops->frame(p->base, p->port, &(frame){.type = FRAME_RESULT, .u.result = {
        .call_id = {p->call_id, p->call_id_len}, .payload = {(const uint8_t *)payload, strlen(payload)}}});
}
