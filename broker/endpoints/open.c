/* SPDX-License-Identifier: Apache-2.0 */
/* The open bus: any nng program pushes envelopes in and subscribes to what is published.
 *
 * Nothing is encoded for subscribers while none is connected. Consecutive envelopes of one topic leave together. PUB drops
 * for a subscriber that does not keep up; the numbers show it. */
#include <stdlib.h>
#include <string.h>

#include "broker/endpoints/internal.h"
#include "envelope/msgpack_bytes.h"
#include "envelope/reserved.h"

enum { TOPICS_MAX = 65536, SUBSCRIPTION = 1 };

/* ---- in ---- */

/* The envelope in its fixed form; rewritten when another language sent it otherwise. */
static loom_status settle_hop(bus_server *s, envelope_view *view, const envelope_limits *limits, const char **reason)
{
    bool invalid;
    if (view->hop_in_place) {
        return LOOM_OK;
    }
    if (s->open.scratch == NULL && (s->open.scratch = malloc(LOOM_ENVELOPE_MAX + ENVELOPE_PREFIX_SIZE)) == NULL) {
        *reason = loom_status_text(LOOM_ENOMEM);
        return LOOM_ENOMEM;
    }
    uint32_t len = envelope_normalise(s->open.scratch, view, s->options.ttl, &invalid);
    return envelope_scan(view, (loom_bytes){s->open.scratch, len}, limits, reason);
}

/* The form that everybody behind relies on; for an agent's messages its bridge sees to that. */
static loom_status settle_form(bus_server *s, envelope_view *view, uint8_t **wire, const envelope_limits *limits,
                               const char **reason)
{
    loom_status st = settle_hop(s, view, limits, reason);
    if (st != LOOM_OK) {
        return st;
    }
    if (view->data == s->open.scratch) {
        *wire = s->open.scratch;
    }
    if (!envelope_context_needs_look(view)) {
        return LOOM_OK;
    }
    uint32_t len = envelope_mend_context(*wire, view);
    return len == view->len ? LOOM_OK : envelope_scan(view, (loom_bytes){*wire, len}, limits, reason);
}

static void refuse(bus_server *s, size_t at, const char *reason)
{
    s->stats.open_malformed++;
    bus_log_limited(s, &s->malformed_log, LOG_WARN, "refused a message on the open bus at=%zu reason=%s", at, reason);
}

/* What the broker itself says must not be said by others. */
static bool denied(bus_server *s, const envelope_view *view)
{
    if (!broker_name_reserved(envelope_view_str(view, ENV_TOPIC))) {
        return false;
    }
    s->stats.open_denied++;
    bus_log_limited(s, &s->denied_log, LOG_WARN,
                    "refused a message on the open bus reason=%s", "topics below system. are the broker's");
    return true;
}

static void publish_one(bus_server *s, const envelope_view *view, uint8_t *wire, size_t at)
{
    eventbus_result result;
    if (denied(s, view)) {
        return;
    }
    if (eventbus_publish(s->cores.events, s->open.publisher, view, wire, &result) == LOOM_EINVAL) {
        refuse(s, at, "topic is not valid");
    } else {
        s->stats.open_received++;
    }
}

static void on_message(void *user, sp_peer *peer, uint8_t *data, size_t len, const sp_reply_to *reply_to)
{
    bus_server *s = user;
    envelope_limits limits = {.payload_max = s->options.payload_max, .any_context = true};
    const char *reason = "empty message";
    (void)peer;
    (void)reply_to;
    bus_woke(s);
    if (len == 0) {
        refuse(s, 0, reason);
    }
    for (size_t at = 0; at < len;) {
        envelope_view view;
        uint8_t *wire = data + at;
        loom_status st = envelope_scan(&view, (loom_bytes){data + at, len - at}, &limits, &reason);
        size_t next = at + (st == LOOM_OK ? view.len : 0);
        if (st != LOOM_OK || settle_form(s, &view, &wire, &limits, &reason) != LOOM_OK) {
            refuse(s, at, reason); /* where the next envelope would begin is not known any more */
            return;
        }
        publish_one(s, &view, wire, at);
        at = next;
    }
}

static void on_pressure(void *user, bool on)
{
    bus_server *s = user;
    s->open.pressing = on;
    sp_server_pause(s->open.pull, on); /* what was on its way is still taken */
}

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
    static const sp_handlers in = {.message = on_message};
    static const sp_handlers out = {.opened = on_peer_opened, .message = on_nothing, .closed = on_peer_closed};
    static const eventbus_publisher_handlers publisher = {on_pressure};
    topic_table_init(&s->open.topics, TOPICS_MAX);
    s->open.topics_open = true;
    sp_options pull = {.protocol = SP_PULL, .handlers = &in, .message_max = BUS_MESSAGE_MAX};
    sp_options pub = {.protocol = SP_PUB, .handlers = &out};
    loom_status st = bus_listen(s, &s->open.pull, s->options.bus_pull, pull);
    if (st == LOOM_OK && s->open.pull != NULL) { /* it may be pressed from the start */
        st = eventbus_publisher_open(s->cores.events, &s->open.publisher, &publisher, s, (loom_str){NULL, 0});
    }
    return st == LOOM_OK ? bus_listen(s, &s->open.pub, s->options.bus_pub, pub) : st;
}

void open_endpoint_close(bus_server *s)
{
    open_endpoint *o = &s->open;
    eventbus_publisher_close(o->publisher);
    eventbus_subscriber_close(o->subscriber);
    bus_unlisten(s, &o->pull);
    bus_unlisten(s, &o->pub);
    if (o->topics_open) {
        topic_table_fini(&o->topics);
    }
    frame_writer_fini(&o->batch);
    free(o->scratch);
    *o = (open_endpoint){0};
}
