/* SPDX-License-Identifier: Apache-2.0 */
/* A session of the bridge fed with any bytes, in two pieces, on a bus that brings everything back: it takes all of them, or
 * keeps the start of a frame for later, and when it has ended it says why, once. */
#include <stdlib.h>
#include <string.h>

#include "bridge/session/bridge.h"
#include "bridge/spans/intake.h"

struct bus_port {
    const bus_handlers *handlers;
    void *user;
};

typedef struct echo_bus {
    bus base;
    struct bus_port port;
    unsigned attached;
} echo_bus;

static loom_status attach(bus *base, bus_port **out, const bus_agent *agent, const bus_handlers *handlers, void *user)
{
    echo_bus *b = (echo_bus *)base;
    if (agent->id.len == 0 || (agent->instance.len != 0 && agent->instance.len != LOOM_UUID_SIZE)) {
        abort();
    }
    b->port = (struct bus_port){handlers, user};
    b->attached++;
    *out = &b->port;
    return LOOM_OK;
}

static void detach(bus *base, bus_port *port, loom_status why)
{
    (void)why;
    if (port != NULL) {
        ((echo_bus *)base)->attached--;
    }
}

static void grant(bus *base, bus_port *port, uint64_t messages, uint64_t bytes)
{
    (void)base;
    (void)port;
    (void)messages;
    (void)bytes;
}

static void check_envelope(const envelope_view *view, const uint8_t *wire)
{
    if (!view->hop_in_place || view->data != wire || view->field[ENV_SENDER].len == 0) {
        abort();
    }
}

/* Every message comes straight back, as from a subscription to everything. */
static void publish(bus *base, bus_port *port, const envelope_view *view, uint8_t *wire)
{
    (void)base;
    check_envelope(view, wire);
    port->handlers->deliver(port->user, 1, view);
}

/* Every call is for the agent itself, under the id it gave, so that its own results and cancels meet it. */
static void call(bus *base, bus_port *port, const frame_call *f, const envelope_view *view, uint8_t *wire)
{
    (void)base;
    check_envelope(view, wire);
    port->handlers->call(port->user, f, view);
}

static void say(bus *base, bus_port *port, const frame *f)
{
    frame ack = {.type = FRAME_ACK};
    (void)base;
    switch (f->type) {
    case FRAME_SUBSCRIBE: ack.u.outcome.request = f->u.subscribe.request; break;
    case FRAME_UNSUBSCRIBE: ack.u.outcome.request = f->u.unsubscribe.request; break;
    case FRAME_PROVIDE: ack.u.outcome.request = f->u.provide.request; break;
    case FRAME_RESULT:
    case FRAME_REPORT:
    case FRAME_CANCEL:
    case FRAME_CALL_CREDIT: port->handlers->frame(port->user, f); return;
    case FRAME_PING: return;
    default: abort();
    }
    port->handlers->frame(port->user, &ack);
}

/* Spans are made and thrown away; one processor and provider for all runs. */
static loom_span_processor *processor(void)
{
    static loom_span_processor *p;
    if (p == NULL && loom_span_processor_create(&p, &(loom_span_processor_options){.exporter = LOOM_EXPORTER_NONE}) != LOOM_OK) {
        p = NULL;
    }
    return p;
}

static loom_tracer *tracer(void)
{
    static loom_tracer_provider *provider;
    if (provider == NULL && loom_tracer_provider_create(&provider, &(loom_tracer_provider_options){
                                                                       .service_name = "fuzz", .processor = processor()}) != LOOM_OK) {
        provider = NULL;
    }
    return provider != NULL ? loom_tracer_get(provider, "fuzz", "1") : NULL;
}

static void on_output(void *user)
{
    (void)user;
}

static void on_ended(void *user)
{
    if (++*(unsigned *)user > 1) {
        abort();
    }
}

/* So that turns are as short as can be. */
static bool others(void *user)
{
    (void)user;
    return true;
}

static void keep(bus *b, const frame_keep *f)
{
    (void)b;
    if (f->reason.len > FRAME_KEEP_REASON_MAX) {
        abort();
    }
}

/* In memory of exactly that size. Returns how many bytes were taken. */
static size_t feed(bridge *b, session *s, const uint8_t *data, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    if (copy == NULL) {
        return len;
    }
    size_t need;
    if (len > 0) {
        memcpy(copy, data, len);
    }
    size_t used = 0;
    do {
        bridge_new_round(b);
        used += session_receive(s, copy + used, len - used, &need);
    } while (used < len && session_is_spent(s));
    free(copy);
    if (used > len) {
        abort();
    }
    return used;
}

static void give_back(bus *base, bus_port *p, uint64_t subscription, const envelope_view *view)
{
    (void)base;
    (void)p;
    (void)subscription;
    (void)view;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const bus_ops ops = {
        .attach = attach, .detach = detach, .grant = grant, .publish = publish, .call = call, .give_back = give_back, .frame = say, .keep = keep};
    static const session_io io = {on_output, on_ended, others};
    echo_bus echo = {.base = {.ops = &ops, .in_process = true}};
    loop_clock clock = {0};
    span_intake *spans = NULL;
    if (processor() != NULL && span_intake_create(&spans, processor(), &clock, 100) != LOOM_OK) {
        return 0;
    }
    const bridge_options options = {.id = "b", .software = "s", .bus = &echo.base, .tracer = tracer(),
                                    .payload_max = 4096, .publish_window = 8192, .spans = spans};
    unsigned ended = 0;
    bridge *b;
    session *s;
    if (bridge_create(&b, &clock, &options) != LOOM_OK) {
        span_intake_destroy(spans);
        return 0;
    }
    if (session_open(b, &s, &io, &ended, "fuzz") == LOOM_OK) {
        size_t half = feed(b, s, data, size / 2);
        feed(b, s, data + half, size - half);
        session_sent(s, session_output(s)->len);
        clock.now_ms = 1000000;
        bridge_tick(b);
        if (ended != 1 || echo.attached != 0) { /* silent for so long, it has ended by now */
            abort();
        }
        session_close(s);
    }
    bridge_destroy(b);
    span_intake_destroy(spans);
    return 0;
}
