/* SPDX-License-Identifier: Apache-2.0 */
/* A session of a remote bridge, as the EventBus sees it: a publisher and a subscriber. Its frames are the agent link's;
 * deliveries and answers are written straight into the outgoing bytes of its bridge. */
#include <loom/topic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/bus/bus_internal.h"

/* Something for a bridge had no memory. What it should have heard is lost, so it has to start over and ask again. */
static void out_of_memory(bus_bridge *b)
{
    b->failed = true;
    b->server->stats.lost_memory++;
    bus_log_limited(b->server, &b->server->memory_log, 0, "message to a bridge is lost reason=\"out of memory\" bridge=%.*s",
                    (int)b->id_len, b->id);
}

/* ---- down ---- */

static void deliver(void *user, uint64_t subscription, void *tag, const envelope_view *view, bool queued)
{
    bus_session *session = user;
    bus_bridge *b = session->bridge;
    (void)tag;
    (void)queued;
    bus_chunk *chunk = bus_link_chunk(&b->link, 0);
    if (chunk == NULL || bus_put_delivery(&chunk->w, &chunk->fanout, session->number, subscription, view) != LOOM_OK) {
        out_of_memory(b);
    }
}

static void on_pressure(void *user, bool on)
{
    bus_session *session = user;
    bus_chunk *chunk = bus_link_chunk(&session->bridge->link, session->number);
    if (chunk == NULL || bus_put_pressure(&chunk->w, on) != LOOM_OK) {
        out_of_memory(session->bridge);
    }
}

static void answer(bus_bridge *b, uint64_t session, frame_type type, const frame_outcome *outcome)
{
    bus_chunk *chunk = bus_link_chunk(&b->link, session);
    if (chunk == NULL || frame_put_outcome(&chunk->w, type, outcome) != LOOM_OK) {
        out_of_memory(b);
    }
}

static void answer_text(bus_bridge *b, uint64_t session, frame_type type, uint64_t request, loom_status st, const char *text)
{
    answer(b, session, type, &(frame_outcome){.request = request, .status = (uint64_t)st, .text = {text, strlen(text)}});
}

/* ---- life ---- */

static loom_status open_session(bus_bridge *b, uint64_t number, loom_str agent)
{
    static const eventbus_sink sink = {deliver};
    static const eventbus_publisher_handlers handlers = {on_pressure};
    if (number == 0 || agent.len == 0) {
        return LOOM_EINVAL;
    }
    if (b->sessions.count >= b->server->options.max_sessions) {
        return LOOM_EFULL;
    }
    bus_session *session = calloc(1, sizeof *session);
    if (session == NULL) {
        return LOOM_ENOMEM;
    }
    *session = (bus_session){.bridge = b, .number = number};
    loom_status st = number_table_add(&b->sessions, number, session);
    if (st != LOOM_OK) {
        goto free_session;
    }
    if ((st = eventbus_publisher_open(b->server->core, &session->publisher, &handlers, session)) != LOOM_OK) {
        goto remove_session;
    }
    if ((st = eventbus_subscriber_open(b->server->core, &session->subscriber, &sink, session, agent)) != LOOM_OK) {
        goto close_publisher;
    }
    return LOOM_OK;

close_publisher:
    eventbus_publisher_close(session->publisher);
remove_session:
    number_table_remove(&b->sessions, number);
free_session:
    free(session);
    return st;
}

void bus_session_close(bus_session *session)
{
    eventbus_subscriber_close(session->subscriber);
    eventbus_publisher_close(session->publisher);
    free(session);
}

/* ---- up ---- */

static uint32_t cut(uint64_t value)
{
    return value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
}

static void subscribe(bus_bridge *b, uint64_t number, bus_session *session, const frame_subscribe *f)
{
    const char *reason = "the broker does not know this session";
    loom_status st = session != NULL ? loom_filter_check(f->filter, &reason) : LOOM_ENOTFOUND;
    if (st == LOOM_OK && f->qos >= LOOM_QOS_COUNT) {
        st = LOOM_EINVAL;
        reason = "qos is not known";
    } else if (st == LOOM_OK) {
        st = eventbus_subscribe(session->subscriber, f->subscription, &(eventbus_subscription_options){
            .filter = f->filter,
            .types = f->types,
            .type_count = f->type_count,
            .qos = (loom_qos)f->qos,
            .queue_messages = cut(f->queue_messages),
            .queue_bytes = cut(f->queue_bytes),
            .deadline_ms = cut(f->deadline_ms),
        });
        reason = st == LOOM_OK ? "" : loom_status_text(st);
    }
    answer_text(b, number, FRAME_ACK, f->request, st, reason);
}

static void unsubscribe(bus_bridge *b, uint64_t number, bus_session *session, const frame_unsubscribe *f)
{
    loom_status st = session != NULL ? eventbus_unsubscribe(session->subscriber, f->subscription) : LOOM_ENOTFOUND;
    answer_text(b, number, FRAME_ACK, f->request, st, st == LOOM_OK ? "" : "no such subscription");
}

static void refuse(bus_bridge *b, uint64_t number, const envelope_view *view, loom_status st, const char *text)
{
    answer(b, number, FRAME_NOTICE, &(frame_outcome){.status = (uint64_t)st, .text = {text, strlen(text)},
                                                     .message_id = envelope_view_bytes(view, ENV_ID)});
}

static loom_status publish(bus_bridge *b, uint64_t number, bus_session *session, frame_batch *batch,
                           char reason[FRAME_REASON_SIZE])
{
    envelope_view view;
    const char *text = "";
    loom_status st;
    while ((st = bus_publish_next(batch, &view, &text)) == LOOM_OK) {
        eventbus_result result;
        if (!view.hop_in_place) {
            snprintf(reason, FRAME_REASON_SIZE, "publish frame: hop context of an envelope is not in its place");
            return LOOM_EMALFORMED;
        }
        if (session == NULL) {
            refuse(b, number, &view, LOOM_ENOTFOUND, "the broker does not know this session");
            continue;
        }
        /* the bytes are those of the received message, which is this thread's alone */
        if (eventbus_publish(b->server->core, session->publisher, &view, (uint8_t *)(uintptr_t)view.data, &result) ==
            LOOM_EINVAL) {
            const char *why = "topic is not valid";
            (void)!loom_topic_check(envelope_view_str(&view, ENV_TOPIC), &why);
            refuse(b, number, &view, LOOM_EINVAL, why);
        }
    }
    if (st == LOOM_ENOTFOUND) {
        return LOOM_OK;
    }
    snprintf(reason, FRAME_REASON_SIZE, "publish frame: %s", text);
    return st;
}

loom_status bus_session_frame(bus_bridge *b, uint64_t number, bus_frame *f, char reason[FRAME_REASON_SIZE])
{
    bus_session *session = number_table_get(&b->sessions, number);
    loom_status st;
    switch (f->type) {
    case FRAME_HELLO:
        st = open_session(b, number, f->link.u.hello.agent);
        if (st != LOOM_OK) {
            answer_text(b, number, FRAME_ERROR, 0, st, loom_status_text(st));
        }
        return LOOM_OK;
    case FRAME_BYE:
        if (session != NULL) {
            number_table_remove(&b->sessions, number);
            bus_session_close(session);
        }
        return LOOM_OK;
    case FRAME_SUBSCRIBE:
        subscribe(b, number, session, &f->link.u.subscribe);
        return LOOM_OK;
    case FRAME_UNSUBSCRIBE:
        unsubscribe(b, number, session, &f->link.u.unsubscribe);
        return LOOM_OK;
    case FRAME_PUBLISH:
        return publish(b, number, session, &f->link.u.batch, reason);
    case FRAME_CREDIT:
        if (session != NULL) {
            eventbus_grant(session->subscriber, f->link.u.credit.messages, f->link.u.credit.bytes);
        }
        return LOOM_OK;
    default:
        snprintf(reason, FRAME_REASON_SIZE, "frame of type %u does not go this way", f->type);
        return LOOM_EPROTO;
    }
}
