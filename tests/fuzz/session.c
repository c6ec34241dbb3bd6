/* SPDX-License-Identifier: Apache-2.0 */
/* A session of the bridge fed with any bytes, in two pieces, on a bus that does nothing: it takes all of them, or keeps the
 * start of a frame for later, and when it has ended it says why, once. */
#include <stdlib.h>
#include <string.h>

#include "bridge/bridge.h"

struct bus_port {
    const bus_handlers *handlers;
    void *user;
};

typedef struct still_bus {
    bus base;
    struct bus_port port;
    unsigned attached;
} still_bus;

static loom_status attach(bus *base, bus_port **out, loom_str agent, const bus_handlers *handlers, void *user)
{
    still_bus *b = (still_bus *)base;
    (void)agent;
    b->port = (struct bus_port){handlers, user};
    b->attached++;
    *out = &b->port;
    return LOOM_OK;
}

static void detach(bus *base, bus_port *port)
{
    if (port != NULL) {
        ((still_bus *)base)->attached--;
    }
}

static void subscribe(bus *base, bus_port *port, const frame_subscribe *request)
{
    (void)base;
    port->handlers->answered(port->user, request->request, LOOM_OK, "");
}

static void unsubscribe(bus *base, bus_port *port, const frame_unsubscribe *request)
{
    (void)base;
    port->handlers->answered(port->user, request->request, LOOM_ENOTFOUND, "no such subscription");
}

static void grant(bus *base, bus_port *port, uint64_t messages, uint64_t bytes)
{
    (void)base;
    (void)port;
    (void)messages;
    (void)bytes;
}

/* Every message comes straight back, as from a subscription to everything. */
static void publish(bus *base, bus_port *port, const envelope_view *view, uint8_t *wire)
{
    (void)base;
    if (!view->hop_in_place || view->data != wire || view->field[ENV_SENDER].len == 0) {
        abort();
    }
    port->handlers->deliver(port->user, 1, view);
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

/* In memory of exactly that size. Returns how many bytes were taken. */
static size_t feed(session *s, const uint8_t *data, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    if (copy == NULL) {
        return len;
    }
    size_t need;
    if (len > 0) {
        memcpy(copy, data, len);
    }
    size_t used = session_receive(s, copy, len, &need);
    free(copy);
    if (used > len) {
        abort();
    }
    return used;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const bus_ops ops = {.attach = attach, .detach = detach, .subscribe = subscribe, .unsubscribe = unsubscribe,
                                .grant = grant, .publish = publish};
    static const session_io io = {on_output, on_ended};
    still_bus still = {{&ops}, {NULL, NULL}, 0};
    const bridge_options options = {.id = "b", .software = "s", .bus = &still.base, .payload_max = 4096,
                                    .publish_window = 8192};
    unsigned ended = 0;
    bridge *b;
    session *s;
    if (bridge_create(&b, &options) != LOOM_OK) {
        return 0;
    }
    if (session_open(b, &s, &io, &ended, "fuzz") == LOOM_OK) {
        size_t half = feed(s, data, size / 2);
        feed(s, data + half, size - half);
        session_sent(s, session_output(s)->len);
        bridge_tick(b, 1000000);
        if (ended != 1 || still.attached != 0) { /* silent for so long, it has ended by now */
            abort();
        }
        session_close(s);
    }
    bridge_destroy(b);
    return 0;
}
