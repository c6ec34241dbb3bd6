/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a port, its events, and where its frames go. */
#include "broker/port/internal.h"

#include <stdlib.h>

#include <loom/topic.h>

#include "envelope/reserved.h"

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t broker_next_deadline_ms(const broker_cores *cores)
{
    return earlier(eventbus_next_deadline_ms(cores->events), earlier(actionbroker_next_deadline_ms(cores->actions),
                                                                     directory_next_deadline_ms(cores->agents)));
}

void broker_expire(const broker_cores *cores)
{
    eventbus_expire(cores->events);
    actionbroker_expire(cores->actions);
    directory_expire(cores->agents);
}

/* ---- life ---- */

/* What needs no translation, the cores hand to the port's owner themselves. */
loom_status port_open(const broker_cores *cores, port **out, const directory_about *about, const bus_handlers *handlers,
                      void *user)
{
    *out = NULL;
    if (handlers->deliver == NULL || handlers->call == NULL || handlers->frame == NULL) {
        return LOOM_EINVAL;
    }
    port *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return LOOM_ENOMEM;
    }
    *p = (port){.cores = *cores, .handlers = handlers, .user = user};
    const eventbus_sink sink = {handlers->deliver};
    const eventbus_publisher_handlers pushed = {handlers->pressure};
    loom_status st = eventbus_publisher_open(cores->events, &p->publisher, &pushed, user, about->agent);
    if (st != LOOM_OK) {
        goto free_port;
    }
    if ((st = eventbus_subscriber_open(cores->events, &p->subscriber, &sink, user, about->agent)) != LOOM_OK) {
        goto close_publisher;
    }
    if ((st = action_party_open(cores->actions, &p->party, &port_action_handlers, p, about->agent)) != LOOM_OK) {
        goto close_subscriber;
    }
    if ((st = directory_enter(cores->agents, &p->entry, about, handlers->ended, user)) != LOOM_OK) {
        goto close_party;
    }
    *out = p;
    return LOOM_OK;

close_party:
    action_party_close(p->party);
close_subscriber:
    eventbus_subscriber_close(p->subscriber);
close_publisher:
    eventbus_publisher_close(p->publisher);
free_port:
    free(p);
    return st;
}

void port_set_in_process(port *p)
{
    eventbus_publisher_set_in_process(p->publisher);
}

static void tell_withdrawn(void *user, const action_capability *capability)
{
    const port *p = user;
    directory_tell_capability(p->entry, "capability.withdrawn", capability->name, capability->version, capability->kind);
}

void port_deafen(port *p)
{
    eventbus_subscriber_close(p->subscriber);
    p->subscriber = NULL;
}

void port_close(port *p, loom_status why)
{
    if (p == NULL) {
        return;
    }
    eventbus_publisher_close(p->publisher); /* first: the end of its own subscriptions is no news for it */
    eventbus_subscriber_close(p->subscriber);
    action_party_visit(p->party, tell_withdrawn, p);
    action_party_close(p->party);
    directory_leave(p->cores.agents, p->entry, why);
    free(p->asks.ring);
    free(p);
}

/* ---- up ---- */

void port_grant(port *p, uint64_t messages, uint64_t bytes)
{
    eventbus_grant(p->subscriber, messages, bytes);
}

bool port_has_credit(const port *p)
{
    return eventbus_has_credit(p->subscriber);
}

uint64_t port_used_messages(const port *p)
{
    return eventbus_used_messages(p->subscriber);
}

uint64_t port_used_bytes(const port *p)
{
    return eventbus_used_bytes(p->subscriber);
}

loom_str port_agent(const port *p)
{
    return directory_agent_of(p->entry);
}

uint64_t port_queued(const port *p)
{
    return eventbus_queued_for(p->subscriber);
}

static void refuse(const port *p, const envelope_view *view, loom_status st, const char *text)
{
    port_say(p, &(frame){.type = FRAME_NOTICE, .u.outcome = {
        .status = (uint64_t)st,
        .text = {text, strlen(text)},
        .message_id = envelope_view_bytes(view, ENV_ID),
    }});
}

void port_publish(port *p, const envelope_view *view, uint8_t *wire)
{
    directory_heard(p->entry, 0);
    if (broker_name_reserved(envelope_view_str(view, ENV_TOPIC))) {
        refuse(p, view, LOOM_EDENIED, "topics under system. are the broker's");
    } else if ((p->asks.count == 0 ? eventbus_publish(p->cores.events, p->publisher, view, wire, NULL)
                                   : port_publish_asked(p, view, wire)) == LOOM_EINVAL) {
        const char *reason = NULL;
        (void)!loom_topic_check(envelope_view_str(view, ENV_TOPIC), &reason);
        refuse(p, view, LOOM_EINVAL, reason != NULL ? reason : "topic is not valid");
    }
}

void port_give_back(port *p, uint64_t subscription, const envelope_view *view)
{
    if (!broker_name_reserved(envelope_view_str(view, ENV_TOPIC))) { /* nobody says what the broker says */
        (void)eventbus_give_back(p->subscriber, subscription, view); /* one that is not a member has nothing to give */
    }
}

loom_status port_frame(port *p, const frame *f)
{
    directory_heard(p->entry, f->type == FRAME_PING ? f->u.number : 0);
    switch (f->type) {
    case FRAME_SUBSCRIBE: port_subscribe(p, &f->u.subscribe); return LOOM_OK;
    case FRAME_UNSUBSCRIBE: port_unsubscribe(p, &f->u.unsubscribe); return LOOM_OK;
    case FRAME_PROVIDE: port_provide(p, &f->u.provide); return LOOM_OK;
    case FRAME_RESULT: port_result(p, &f->u.result); return LOOM_OK;
    case FRAME_REPORT: port_report(p, &f->u.report); return LOOM_OK;
    /* A call that is not there any more has had its result: nobody waits for a word about it. */
    case FRAME_CANCEL: (void)action_cancel(p->party, f->u.cancel.call_id, f->u.cancel.reason); return LOOM_OK;
    case FRAME_CALL_CREDIT:
        (void)action_grant(p->party, f->u.call_credit.call_id, f->u.call_credit.chunks, f->u.call_credit.bytes);
        return LOOM_OK;
    case FRAME_ASK: port_ask_add(p, &f->u.ask); return LOOM_OK;
    case FRAME_PING: return LOOM_OK;
    default: return LOOM_EPROTO;
    }
}
