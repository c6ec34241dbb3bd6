/* SPDX-License-Identifier: Apache-2.0 */
/* Requests, in their order: those that wait for an ack, and those that stand (subscriptions, capabilities). Another broker
 * hears all of them again in this order, so that each open one finds things as they were when it was made. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "bridge/bus/remote/internal.h"

/* Of requests without an answer, of one port: all that an honest agent may provide at once, and more. */
enum { OPEN_MAX = 64 * 1024 * 1024 };

static uint64_t *number_of(frame *f)
{
    return f->type == FRAME_SUBSCRIBE ? &f->u.subscribe.request
           : f->type == FRAME_PROVIDE ? &f->u.provide.request
                                      : &f->u.unsubscribe.request;
}

static uint64_t mix(uint64_t hash, loom_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        hash = (hash ^ (uint8_t)text.data[i]) * 0x100000001b3u;
    }
    return hash * 0x100000001b3u; /* where one text ends counts, too */
}

/* As the broker takes it. */
static loom_str version_of(const frame *f)
{
    return f->u.provide.version.len > 0 ? f->u.provide.version : (loom_str){"0", 1};
}

/* Who makes others collide only makes its own requests slower. */
static uint64_t subject_of(const frame *f)
{
    return f->type == FRAME_PROVIDE     ? mix(mix(0xcbf29ce484222325u, f->u.provide.name), version_of(f))
           : f->type == FRAME_SUBSCRIBE ? f->u.subscribe.subscription
                                        : f->u.unsubscribe.subscription;
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

static void forget(remote_requests *r, remote_request *q)
{
    if (r->awaited == q) {
        r->awaited = q->next;
    }
    *(q->prev != NULL ? &q->prev->next : &r->first) = q->next;
    *(q->next != NULL ? &q->next->prev : &r->last) = q->prev;
    free(q);
}

void remote_requests_free(remote_requests *r)
{
    for (remote_request *q = r->first, *next; q != NULL; q = next) {
        next = q->next;
        free(q);
    }
    r->first = r->last = r->awaited = NULL;
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
        *q = (remote_request){.number = b->next_request++, .agent_request = agent_request, .subject = subject_of(f),
                              .len = b->scratch.len};
        port->requests.open_bytes += q->len;
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
static void forget_older(remote_requests *r, const remote_request *than, const frame *request)
{
    for (remote_request *q = r->first; q != NULL && q != than && request->type != FRAME_SUBSCRIBE; q = q->next) {
        frame standing;
        if (q->standing && q->subject == than->subject) {
            read_again(&standing, q);
            if (same_thing(&standing, request)) {
                forget(r, q);
                return;
            }
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
            forget(&port->requests, q);
        }
        return;
    }
    port->requests.open_bytes -= q->len;
    uint64_t agent_request = q->agent_request;
    read_again(&request, q);
    bool ends = request.type == FRAME_UNSUBSCRIBE || (request.type == FRAME_PROVIDE && request.u.provide.withdraw);
    if (ack->status == LOOM_OK || (ends && ack->status == LOOM_ENOTFOUND)) {
        forget_older(&port->requests, q, &request);
    }
    if (ends || ack->status != LOOM_OK) {
        forget(&port->requests, q);
    } else {
        q->standing = true;
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
