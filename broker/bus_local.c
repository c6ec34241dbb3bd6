/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/bus_local.h"

#include <loom/topic.h>

#include <stdlib.h>

struct bus_port {
    eventbus *core;
    eventbus_publisher *publisher;
    eventbus_subscriber *subscriber;
    const bus_handlers *handlers;
    void *user;
};

static void deliver(void *user, uint64_t subscription, void *tag, const envelope_view *view, bool queued)
{
    bus_port *port = user;
    (void)tag;
    (void)queued;
    port->handlers->deliver(port->user, subscription, view);
}

static void pressure(void *user, bool on)
{
    bus_port *port = user;
    port->handlers->pressure(port->user, on);
}

static loom_status attach(bus *base, bus_port **out, loom_str agent, const bus_handlers *handlers, void *user)
{
    static const eventbus_sink sink = {deliver};
    static const eventbus_publisher_handlers publisher_handlers = {pressure};
    eventbus *core = ((bus_local *)base)->core;
    *out = NULL;
    bus_port *port = calloc(1, sizeof *port);
    if (port == NULL) {
        return LOOM_ENOMEM;
    }
    *port = (bus_port){.core = core, .handlers = handlers, .user = user};
    loom_status st = eventbus_publisher_open(core, &port->publisher, &publisher_handlers, port);
    if (st != LOOM_OK) {
        goto free_port;
    }
    if ((st = eventbus_subscriber_open(core, &port->subscriber, &sink, port, agent)) != LOOM_OK) {
        goto close_publisher;
    }
    *out = port;
    return LOOM_OK;

close_publisher:
    eventbus_publisher_close(port->publisher);
free_port:
    free(port);
    return st;
}

static void detach(bus *base, bus_port *port)
{
    (void)base;
    if (port != NULL) {
        eventbus_publisher_close(port->publisher); /* first: the end of its own subscriptions is no news for it */
        eventbus_subscriber_close(port->subscriber);
        free(port);
    }
}

static void subscribe(bus *base, bus_port *port, const frame_subscribe *request)
{
    (void)base;
    const char *reason = "";
    loom_status st = loom_filter_check(request->filter, &reason);
    if (st == LOOM_OK && request->qos >= LOOM_QOS_COUNT) {
        st = LOOM_EINVAL;
        reason = "qos is not known";
    }
    if (st == LOOM_OK) {
        st = eventbus_subscribe(port->subscriber, request->subscription, &(eventbus_subscription_options){
            .filter = request->filter,
            .types = request->types,
            .type_count = request->type_count,
            .qos = (loom_qos)request->qos,
            .queue_messages = request->queue_messages < UINT32_MAX ? (uint32_t)request->queue_messages : UINT32_MAX,
            .queue_bytes = request->queue_bytes < UINT32_MAX ? (uint32_t)request->queue_bytes : UINT32_MAX,
            .deadline_ms = request->deadline_ms < UINT32_MAX ? (uint32_t)request->deadline_ms : UINT32_MAX,
        });
        reason = st == LOOM_OK ? "" : loom_status_text(st);
    }
    port->handlers->answered(port->user, request->request, st, reason);
}

static void unsubscribe(bus *base, bus_port *port, const frame_unsubscribe *request)
{
    (void)base;
    loom_status st = eventbus_unsubscribe(port->subscriber, request->subscription);
    port->handlers->answered(port->user, request->request, st, st == LOOM_OK ? "" : "no such subscription");
}

static void grant(bus *base, bus_port *port, uint64_t messages, uint64_t bytes)
{
    (void)base;
    eventbus_grant(port->subscriber, messages, bytes);
}

static void publish(bus *base, bus_port *port, const envelope_view *view, uint8_t *wire)
{
    const bus_local *b = (const bus_local *)base;
    eventbus_set_time(b->core, b->now_ms(b->clock)); /* the loop may have slept since the last one */
    if (eventbus_publish(port->core, port->publisher, view, wire, NULL) == LOOM_EINVAL) {
        const char *reason = "topic is not valid";
        (void)!loom_topic_check(envelope_view_str(view, ENV_TOPIC), &reason);
        port->handlers->refused(port->user, view->data + view->field[ENV_ID].off, LOOM_EINVAL, reason);
    }
}

void bus_local_init(bus_local *b, eventbus *core, uint64_t (*now_ms)(const void *clock), const void *clock)
{
    static const bus_ops ops = {attach, detach, subscribe, unsubscribe, grant, publish};
    *b = (bus_local){{&ops}, core, now_ms, clock};
}
