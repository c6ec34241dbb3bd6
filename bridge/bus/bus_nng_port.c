/* SPDX-License-Identifier: Apache-2.0 */
/* The ports of sessions: what they ask goes into frames for the broker, and is remembered for the next broker. */
#include <stdlib.h>
#include <string.h>

#include "bridge/bus/bus_nng_internal.h"

/* Publishes are refused when this many times the pressure bound waits. Until then what was on its way is taken. */
enum { REFUSE_FACTOR = 16 };

/* The broker and this side differ now; attaching again tells it everything. */
static void out_of_step(bus_nng *b)
{
    b->stats.lost_memory++;
    b->must_reattach = true;
}

/* Where a frame of this port goes; NULL: the broker is away, or there is no memory. It will be told on its return. */
static frame_writer *writer(bus_port *port)
{
    bus_nng *b = port->owner;
    if (b->state != BUS_NNG_UP) {
        return NULL;
    }
    bus_chunk *chunk = bus_link_chunk(&b->link, port->session);
    if (chunk == NULL) {
        out_of_step(b);
        return NULL;
    }
    return &chunk->w;
}

static void wrote(bus_port *port, loom_status st)
{
    if (st != LOOM_OK) {
        out_of_step(port->owner);
    }
}

static loom_status attach(bus *base, bus_port **out, loom_str agent, const bus_handlers *handlers, void *user)
{
    bus_nng *b = (bus_nng *)base;
    *out = NULL;
    if (agent.len == 0 || agent.len > LOOM_AGENT_ID_MAX) {
        return LOOM_EINVAL;
    }
    bus_port *port = calloc(1, sizeof *port);
    if (port == NULL) {
        return LOOM_ENOMEM;
    }
    *port = (bus_port){.owner = b, .session = b->next_session, .handlers = handlers, .user = user, .agent_len = agent.len};
    memcpy(port->agent, agent.data, agent.len);
    port->subscriptions_end = &port->subscriptions;
    port->requests_end = &port->requests;
    loom_status st = number_table_add(&b->ports, port->session, port);
    if (st == LOOM_OK && b->state == BUS_NNG_UP && (st = bus_port_replay(port)) != LOOM_OK) {
        number_table_remove(&b->ports, port->session);
        out_of_step(b); /* half of it may have been written */
    }
    if (st != LOOM_OK) {
        free(port);
        return st;
    }
    b->next_session++;
    b->pressure_changed = b->pressure_changed || b->pressing; /* it hears of it after this call */
    *out = port;
    return LOOM_OK;
}

void bus_port_free(bus_port *port)
{
    while (port->subscriptions != NULL) {
        port_subscription *s = port->subscriptions;
        port->subscriptions = s->next;
        free(s);
    }
    while (port->requests != NULL) {
        port_request *q = port->requests;
        port->requests = q->next;
        free(q);
    }
    free(port);
}

static void detach(bus *base, bus_port *port)
{
    bus_nng *b = (bus_nng *)base;
    if (port == NULL) {
        return;
    }
    frame_writer *w = writer(port);
    if (w != NULL) {
        wrote(port, frame_put_outcome(w, FRAME_BYE, &(frame_outcome){0}));
    }
    number_table_remove(&b->ports, port->session);
    bus_port_free(port);
}

/* ---- requests ---- */

static port_request *add_request(bus_port *port, uint64_t agent_request, uint64_t subscription, bool unsubscribe)
{
    port_request *q = malloc(sizeof *q);
    if (q != NULL) {
        *q = (port_request){NULL, port->owner->next_request++, agent_request, subscription, unsubscribe};
        *port->requests_end = q;
        port->requests_end = &q->next;
    }
    return q;
}

static loom_str keep(char **at, loom_str text)
{
    char *copy = *at;
    if (text.len > 0) {
        memcpy(copy, text.data, text.len);
    }
    *at += text.len;
    return (loom_str){copy, text.len};
}

static port_subscription *copy_subscription(const frame_subscribe *f)
{
    size_t text = f->filter.len;
    for (uint32_t i = 0; i < f->type_count; i++) {
        text += f->types[i].len;
    }
    port_subscription *s = malloc(sizeof *s + text);
    if (s != NULL) {
        char *at = s->text;
        s->next = NULL;
        s->f = *f;
        s->f.filter = keep(&at, f->filter);
        for (uint32_t i = 0; i < f->type_count; i++) {
            s->f.types[i] = keep(&at, f->types[i]);
        }
    }
    return s;
}

static void subscribe(bus *base, bus_port *port, const frame_subscribe *request)
{
    (void)base;
    port_subscription *s = copy_subscription(request);
    port_request *q = s != NULL ? add_request(port, request->request, request->subscription, false) : NULL;
    if (q == NULL) {
        free(s);
        port->handlers->answered(port->user, request->request, LOOM_ENOMEM, loom_status_text(LOOM_ENOMEM));
        return;
    }
    s->request = s->f.request = q->request;
    *port->subscriptions_end = s;
    port->subscriptions_end = &s->next;
    frame_writer *w = writer(port);
    if (w != NULL) {
        wrote(port, frame_put_subscribe(w, &s->f));
    }
}

static void unsubscribe(bus *base, bus_port *port, const frame_unsubscribe *request)
{
    (void)base;
    port_request *q = add_request(port, request->request, request->subscription, true);
    if (q == NULL) {
        port->handlers->answered(port->user, request->request, LOOM_ENOMEM, loom_status_text(LOOM_ENOMEM));
        return;
    }
    frame_writer *w = writer(port);
    if (w != NULL) {
        wrote(port, frame_put_unsubscribe(w, &(frame_unsubscribe){q->request, q->subscription}));
    }
}

static port_request *take_request(bus_port *port, uint64_t request)
{
    for (port_request **at = &port->requests; *at != NULL; at = &(*at)->next) {
        port_request *q = *at;
        if (q->request == request) {
            *at = q->next;
            if (port->requests_end == &q->next) {
                port->requests_end = at;
            }
            return q;
        }
    }
    return NULL;
}

/* By the request that made it, or, when that is 0, by the agent's number among those that were answered. */
static void forget_subscription(bus_port *port, uint64_t request, uint64_t number)
{
    for (port_subscription **at = &port->subscriptions; *at != NULL; at = &(*at)->next) {
        port_subscription *s = *at;
        if (s->request == request && (request != 0 || s->f.subscription == number)) {
            *at = s->next;
            if (port->subscriptions_end == &s->next) {
                port->subscriptions_end = at;
            }
            free(s);
            return;
        }
    }
}

static void settle(bus_port *port, uint64_t request)
{
    for (port_subscription *s = port->subscriptions; s != NULL; s = s->next) {
        if (s->request == request) {
            s->request = 0;
            return;
        }
    }
}

void bus_port_answered(bus_port *port, const frame_outcome *outcome)
{
    bus_nng *b = port->owner;
    loom_status status = outcome->status <= INT32_MAX ? (loom_status)outcome->status : LOOM_EPROTO;
    char text[256];
    size_t len = outcome->text.len < sizeof text - 1 ? outcome->text.len : sizeof text - 1;
    if (len > 0) {
        memcpy(text, outcome->text.data, len);
    }
    text[len] = '\0';
    port_request *q = take_request(port, outcome->request);
    if (q == NULL) {
        if (status != LOOM_OK) { /* of a subscription that an earlier broker had taken */
            b->stats.resubscribe_failed++;
            bus_nng_log(b, 1, "a subscription could not be made again agent=%.*s reason=\"%s\"", (int)port->agent_len,
                        port->agent, text);
        }
        return;
    }
    if (q->unsubscribe && (status == LOOM_OK || status == LOOM_ENOTFOUND)) {
        forget_subscription(port, 0, q->subscription);
    } else if (!q->unsubscribe && status == LOOM_OK) {
        settle(port, q->request);
    } else if (!q->unsubscribe) {
        forget_subscription(port, q->request, 0);
    }
    uint64_t agent_request = q->agent_request;
    free(q);
    port->handlers->answered(port->user, agent_request, status, text);
}

/* ---- credit and publishing ---- */

static uint64_t left(uint64_t granted, uint64_t used)
{
    return granted > used ? granted - used : 0;
}

static loom_status put_credit(bus_port *port, frame_writer *w)
{
    return frame_put_credit(w, left(port->granted_messages, port->base_messages),
                            left(port->granted_bytes, port->base_bytes));
}

static void grant(bus *base, bus_port *port, uint64_t messages, uint64_t bytes)
{
    (void)base;
    port->granted_messages = messages;
    port->granted_bytes = bytes;
    frame_writer *w = writer(port);
    if (w != NULL) {
        wrote(port, put_credit(port, w));
    }
}

static void refuse(bus_port *port, const envelope_view *view, loom_status st, const char *text)
{
    port->owner->stats.refused++;
    port->handlers->refused(port->user, view->data + view->field[ENV_ID].off, st, text);
}

static void publish(bus *base, bus_port *port, const envelope_view *view, uint8_t *wire)
{
    bus_nng *b = (bus_nng *)base;
    size_t bound = b->options.buffer_bytes;
    size_t unsent = bus_link_unsent(&b->link);
    if (unsent > bound * REFUSE_FACTOR) {
        refuse(port, view, LOOM_EFULL, "too much waits for the broker");
        return;
    }
    bus_chunk *chunk = bus_link_chunk(&b->link, port->session);
    uint8_t *room = chunk != NULL ? frame_publish_begin(&chunk->w, view->len) : NULL;
    if (room == NULL) {
        refuse(port, view, LOOM_ENOMEM, loom_status_text(LOOM_ENOMEM));
        return;
    }
    memcpy(room, wire, view->len);
    frame_batch_commit(&chunk->w, view->len);
    if (!b->pressing && unsent + view->len > bound) {
        b->pressing = true;
        bus_nng_tell_pressure(b); /* at once: a whole buffer of an agent may be on its way through this call */
    }
}

void bus_port_tell_pressure(bus_port *port)
{
    bool on = port->broker_pressing || port->owner->pressing;
    if (on != port->told_pressing) {
        port->told_pressing = on;
        port->handlers->pressure(port->user, on);
    }
}

void bus_nng_tell_pressure(bus_nng *b)
{
    void *port;
    b->pressure_changed = false;
    for (size_t at = 0; number_table_next(&b->ports, &at, &port);) {
        bus_port_tell_pressure(port);
    }
}

/* ---- another broker ---- */

/* First the subscriptions that had been answered, then the open requests in their order: so that each open request
 * finds things as they were when it was made. */
loom_status bus_port_replay(bus_port *port)
{
    bus_chunk *chunk = bus_link_chunk(&port->owner->link, port->session);
    if (chunk == NULL) {
        return LOOM_ENOMEM;
    }
    frame_writer *w = &chunk->w;
    port->base_messages = port->delivered_messages;
    port->base_bytes = port->delivered_bytes;
    loom_status st = frame_put_hello(w, &(frame_hello){.protocol = LINK_PROTOCOL, .agent = {port->agent, port->agent_len}});
    for (port_subscription *s = port->subscriptions; s != NULL && st == LOOM_OK; s = s->next) {
        if (s->request == 0) {
            s->f.request = 0;
            st = frame_put_subscribe(w, &s->f);
        }
    }
    for (port_request *q = port->requests; q != NULL && st == LOOM_OK; q = q->next) {
        if (q->unsubscribe) {
            st = frame_put_unsubscribe(w, &(frame_unsubscribe){q->request, q->subscription});
            continue;
        }
        for (port_subscription *s = port->subscriptions; s != NULL && st == LOOM_OK; s = s->next) {
            if (s->request == q->request) {
                st = frame_put_subscribe(w, &s->f);
                break;
            }
        }
    }
    return st == LOOM_OK && port->granted_messages > 0 ? put_credit(port, w) : st;
}

const bus_ops bus_nng_ops = {attach, detach, subscribe, unsubscribe, grant, publish};
