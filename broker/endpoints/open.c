/* SPDX-License-Identifier: Apache-2.0 */
/* The open bus: any nng program pushes envelopes in (open_in.c) and subscribes to what is published.
 *
 * Nothing is encoded for subscribers while none is connected. Consecutive envelopes of one topic leave together. PUB drops
 * for a subscriber that does not keep up; the numbers show it. */
#include <stdlib.h>
#include <string.h>

#include "broker/endpoints/internal.h"
#include "envelope/msgpack_bytes.h"

enum { TOPICS_MAX = 65536, SUBSCRIPTION = 1 };

/* ---- out ---- */

static void send_batch(bus_server *s)
{
    open_endpoint *o = &s->open;
    if (o->batch.len == 0) {
        return;
    }
    if (sp_server_publish(o->pub, &(loom_bytes){o->batch.data, o->batch.len}, 1) != LOOM_OK) {
        s->stats.open_lost_memory++;
    } else {
        s->stats.open_sent++;
    }
    o->batch.len = 0;
    if (o->batch.cap > 4 * BUS_MESSAGE_TARGET) {
        frame_writer_fini(&o->batch);
    }
}

/* topic, NUL, cf and the number of the envelope that follows first. */
static bool begin_batch(bus_server *s, loom_str topic)
{
    frame_writer *w = &s->open.batch;
    if (!frame_writer_reserve(w, topic.len + 10) || topic_table_use(&s->open.topics, topic, &s->open.batch_topic) != LOOM_OK) {
        return false;
    }
    uint64_t number = s->open.batch_topic->published + 1;
    uint8_t *p = mp_put_raw(w->data, topic.data, topic.len);
    *p++ = 0;
    *p++ = MP_UINT64;
    mp_store32(p, (uint32_t)(number >> 32));
    mp_store32(p + 4, (uint32_t)number);
    w->len = topic.len + 10;
    return true;
}

static void deliver(void *user, uint64_t subscription, const envelope_view *view)
{
    bus_server *s = user;
    frame_writer *w = &s->open.batch;
    loom_str topic = envelope_view_str(view, ENV_TOPIC);
    (void)subscription;
    if (w->len > 0 && (!topic_entry_is(s->open.batch_topic, topic) || w->len + view->len > BUS_MESSAGE_TARGET)) {
        send_batch(s);
    }
    bool begun = w->len > 0 || begin_batch(s, topic);
    if (begun) {
        s->open.batch_topic->published++; /* also when there is no memory: the number then shows the loss */
    }
    if (!begun || !frame_writer_reserve(w, view->len)) {
        s->stats.open_lost_memory++;
        send_batch(s); /* what would follow is not consecutive */
        bus_log_limited(s, &s->memory_log, LOG_ERROR, "lost a message for open-bus subscribers reason=%s", "out of memory");
        return;
    }
    memcpy(w->data + w->len, view->data, view->len);
    w->len += view->len;
}

static void on_peer_opened(void *user, sp_peer *peer)
{
    static const eventbus_sink sink = {deliver};
    bus_server *s = user;
    (void)peer;
    if (s->open.subscriber != NULL) {
        return;
    }
    loom_status st = eventbus_subscriber_open(s->cores.events, &s->open.subscriber, &sink, s, (loom_str){"bus.pub", 7});
    if (st == LOOM_OK) {
        eventbus_grant(s->open.subscriber, UINT64_MAX, UINT64_MAX);
        st = eventbus_subscribe(s->open.subscriber, SUBSCRIPTION, &(eventbus_subscription_options){
            .filter = {">", 1}, .qos = LOOM_QOS_REALTIME});
    }
    if (st != LOOM_OK) {
        log_to(&s->log, LOG_ERROR, "open-bus subscribers receive nothing until another one connects reason=%s",
               loom_status_text(st));
        eventbus_subscriber_close(s->open.subscriber);
        s->open.subscriber = NULL;
    }
}

static void on_peer_closed(void *user, sp_peer *peer, loom_status status, const char *why)
{
    bus_server *s = user;
    (void)peer;
    (void)status;
    (void)why;
    if (sp_server_get_stats(s->open.pub).peers == 0) {
        s->open.batch.len = 0;
        eventbus_subscriber_close(s->open.subscriber);
        s->open.subscriber = NULL;
    }
}

static void on_nothing(void *user, sp_peer *peer, uint8_t *data, size_t len, const sp_reply_to *reply_to)
{
    (void)user;
    (void)peer;
    (void)data;
    (void)len;
    (void)reply_to;
}

/* ---- rounds and life ---- */

void open_endpoint_flush(bus_server *s)
{
    if (s->open.batch.len > 0) {
        send_batch(s);
        sp_server_flush(s->open.pub);
    }
}

loom_status open_endpoint_open(bus_server *s)
{
    static const sp_handlers out = {.opened = on_peer_opened, .message = on_nothing, .closed = on_peer_closed};
    topic_table_init(&s->open.topics, TOPICS_MAX);
    s->open.topics_open = true;
    sp_options pub = {.protocol = SP_PUB, .handlers = &out};
    loom_status st = open_in_open(s);
    return st == LOOM_OK ? bus_listen(s, &s->open.pub, s->options.bus_pub, pub) : st;
}

void open_endpoint_close(bus_server *s)
{
    open_endpoint *o = &s->open;
    open_in_close(s);
    eventbus_subscriber_close(o->subscriber);
    bus_unlisten(s, &o->pub);
    if (o->topics_open) {
        topic_table_fini(&o->topics);
    }
    frame_writer_fini(&o->batch);
    *o = (open_endpoint){0};
}
