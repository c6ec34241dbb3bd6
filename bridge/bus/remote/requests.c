/* SPDX-License-Identifier: Apache-2.0 */
/* Requests, in their order: those that wait for an ack, and those that stand (subscriptions, capabilities). Another broker
 * hears all of them again in this order, so that each open one finds things as they were when it was made. What stands is
 * also in an index by what it is about, since what ends it may come after a hundred thousand others. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "bridge/bus/remote/internal.h"

enum {
    /* Of requests without an answer, of one port: all that an honest agent may provide at once, and more. */
    OPEN_MAX = 64 * 1024 * 1024,
    /* Of all ports. The same may wait in all: what a port that has gone had asked for is still on its way. */
    OPEN_MAX_IN_ALL = REMOTE_UNSENT_MAX
};

static uint64_t *number_of(frame *f)
{
    return f->type == FRAME_SUBSCRIBE ? &f->u.subscribe.request
           : f->type == FRAME_PROVIDE ? &f->u.provide.request
                                      : &f->u.unsubscribe.request;
}

/* As the broker takes it. */
static loom_str version_of(const frame *f)
{
    return f->u.provide.version.len > 0 ? f->u.provide.version : (loom_str){"0", 1};
}

/* Equal for requests of one port about the same subscription or capability, and for hardly any others. */
static uint64_t subject_of(const bus_port *port, const frame *f)
{
    const uint8_t *secret = port->owner->key;
    uint64_t about[4] = {port->session, f->type == FRAME_PROVIDE, 0, 0};
    if (f->type == FRAME_PROVIDE) {
        const loom_str version = version_of(f);
        about[2] = hash_under_secret(secret, f->u.provide.name.data, f->u.provide.name.len);
        about[3] = hash_under_secret(secret, version.data, version.len);
    } else {
        about[2] = f->type == FRAME_SUBSCRIBE ? f->u.subscribe.subscription : f->u.unsubscribe.subscription;
    }
    return hash_under_secret(secret, about, sizeof about);
}

static void tell(bus_port *port, uint64_t agent_request, const frame_outcome *outcome)
{
    frame f = {.type = FRAME_ACK, .u.outcome = *outcome};
    f.u.outcome.request = agent_request;
    port->handlers->frame(port->user, &f);
}

static void append(remote_requests *r, remote_request *q)
{
    q->prev = r->last;
    q->next = NULL;
    if (r->last != NULL) {
        r->last->next = q;
    } else {
        r->first = q;
    }
    r->last = q;
    r->awaited = r->awaited != NULL ? r->awaited : q;
}

static void forget(bus_port *port, remote_request *q)
{
    remote_requests *r = &port->requests;
    if (q->standing) {
        hash_index_remove(&port->owner->standing, &q->node);
    }
    if (r->awaited == q) {
        r->awaited = q->next;
    }
    *(q->prev != NULL ? &q->prev->next : &r->first) = q->next;
    *(q->next != NULL ? &q->next->prev : &r->last) = q->prev;
    free(q);
}

bool remote_requests_drop(bus_port *port)
{
    remote_requests *r = &port->requests;
    port->owner->open_bytes -= r->open_bytes;
    r->open_bytes = 0;
    if (r->first == NULL) {
        return false;
    }
    forget(port, r->first);
    return true;
}

/* NULL: out of memory. */
static remote_request *remember(bus_port *port, const frame *f)
{
    bus_remote *b = port->owner;
    frame own = *f;
    uint64_t agent_request = *number_of(&own);
    *number_of(&own) = b->next_request;
    frame_writer_clear(&b->scratch);
    if (bus_put_frame(&b->scratch, &own) != LOOM_OK) {
        return NULL;
    }
    remote_request *q = malloc(sizeof *q + b->scratch.len);
    if (q != NULL) {
        *q = (remote_request){.number = b->next_request++, .agent_request = agent_request, .port = port,
                              .len = b->scratch.len};
        port->requests.open_bytes += q->len;
        b->open_bytes += q->len;
        memcpy(q->frame, b->scratch.data, b->scratch.len);
        append(&port->requests, q);
    }
    return q;
}

void remote_request_make(bus_port *port, const frame *f)
{
    frame own = *f;
    if (port->requests.open_bytes > OPEN_MAX) {
        static const char text[] = "the agent has too many requests without an answer";
        port->handlers->frame(port->user, &(frame){.type = FRAME_ERROR, .u.outcome = {
            .status = LOOM_EFULL, .text = {text, sizeof text - 1}}});
        return;
    }
    if (port->owner->open_bytes > OPEN_MAX_IN_ALL || remote_unsent(port->owner) > REMOTE_UNSENT_MAX) {
        static const char text[] = "too many requests are waiting for the broker";
        tell(port, *number_of(&own), &(frame_outcome){.status = LOOM_EFULL, .text = {text, sizeof text - 1}});
        return;
    }
    remote_request *q = remember(port, f);
    if (q == NULL) {
        static const char text[] = "the bridge is out of memory";
        tell(port, *number_of(&own), &(frame_outcome){.status = LOOM_ENOMEM, .text = {text, sizeof text - 1}});
        return;
    }
    frame_writer *w = remote_port_writer(port);
    if (w != NULL) {
        remote_port_wrote(port, bus_put_raw(w, (loom_bytes){q->frame, q->len}));
    }
}

/* What was written here can be read again. */
static void read_again(frame *out, const remote_request *q)
{
    char reason[FRAME_REASON_SIZE];
    (void)!frame_decode(out, (loom_bytes){q->frame + FRAME_HEADER_SIZE, q->len - FRAME_HEADER_SIZE}, reason);
}

static bool same_thing(const frame *standing, const frame *request)
{
    if (standing->type == FRAME_PROVIDE) {
        return request->type == FRAME_PROVIDE && str_equal(standing->u.provide.name, request->u.provide.name) &&
               str_equal(version_of(standing), version_of(request));
    }
    return request->type == FRAME_UNSUBSCRIBE && standing->u.subscribe.subscription == request->u.unsubscribe.subscription;
}

/* The standing request that this one has ended or replaced. */
static void forget_older(bus_port *port, const frame *request)
{
    hash_node *node = request->type != FRAME_SUBSCRIBE ? hash_index_first(&port->owner->standing, subject_of(port, request)) : NULL;
    for (; node != NULL; node = hash_index_next(node)) {
        remote_request *q = (remote_request *)node;
        frame standing;
        read_again(&standing, q);
        if (q->port == port && same_thing(&standing, request)) {
            forget(port, q);
            return;
        }
    }
}

void remote_request_answered(bus_port *port, const frame_outcome *ack)
{
    bus_remote *b = port->owner;
    remote_request *q = port->requests.awaited;
    frame request;
    if (q == NULL || q->number != ack->request) {
        return; /* acks come in the order of the requests: this one is of none */
    }
    port->requests.awaited = q->next;
    if (q->standing) {
        if (ack->status != LOOM_OK) {
            b->stats.not_restored++;
            log_to(&b->log, LOG_WARN, "could not restore a subscription or capability agent=%.*s reason=%.*s",
                   (int)port->agent_len, port->agent, (int)ack->text.len, ack->text.len > 0 ? ack->text.data : "");
            forget(port, q);
        }
        return;
    }
    port->requests.open_bytes -= q->len;
    b->open_bytes -= q->len;
    uint64_t agent_request = q->agent_request;
    read_again(&request, q);
    bool ends = request.type == FRAME_UNSUBSCRIBE || (request.type == FRAME_PROVIDE && request.u.provide.withdraw);
    if (ack->status == LOOM_OK || (ends && ack->status == LOOM_ENOTFOUND)) {
        forget_older(port, &request);
    }
    if (ends || ack->status != LOOM_OK) {
        forget(port, q);
    } else {
        q->standing = true;
        hash_index_insert(&b->standing, &q->node, subject_of(port, &request));
    }
    tell(port, agent_request, ack);
}

loom_status remote_requests_replay(bus_port *port)
{
    port->requests.awaited = port->requests.first;
    for (const remote_request *q = port->requests.first; q != NULL; q = q->next) {
        frame_writer *w = remote_port_writer(port);
        if (w == NULL || bus_put_raw(w, (loom_bytes){q->frame, q->len}) != LOOM_OK) {
            return LOOM_ENOMEM;
        }
    }
    return LOOM_OK;
}
