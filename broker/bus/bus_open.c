/* SPDX-License-Identifier: Apache-2.0 */
/* The open bus: any nng program pushes envelopes in and subscribes to what is published.
 *
 * Nothing is encoded for subscribers while none is connected. Consecutive envelopes of one topic leave together. A PUB
 * socket drops for a subscriber that does not keep up; the numbers show it. */
#include <nng/nng.h>
#include <nng/protocol/pipeline0/pull.h>
#include <nng/protocol/pubsub0/pub.h>
#include <stdlib.h>
#include <string.h>

#include "broker/bus/bus_internal.h"
#include "envelope/msgpack_bytes.h"

enum {
    INBOX_MESSAGES = 256,
    INBOX_BYTES = 16 * 1024 * 1024,
    SEND_BUFFER = 1024,
    TOPICS_MAX = 65536,
    SUBSCRIPTION = 1
};

/* ---- in ---- */

/* The envelope in its fixed form; rewritten when another language sent it otherwise. */
static loom_status settle_form(bus_server *s, envelope_view *view, const char **reason)
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
    return envelope_scan(view, (loom_bytes){s->open.scratch, len}, NULL, reason);
}

static void refuse(bus_server *s, size_t at, const char *reason)
{
    s->stats.open_malformed++;
    bus_log_limited(s, &s->malformed_log, 1, "message on the open bus is refused at=%zu reason=\"%s\"", at, reason);
}

static void publish_all(bus_server *s, uint8_t *data, size_t len)
{
    envelope_limits limits = {.payload_max = s->options.payload_max};
    const char *reason = "empty message";
    if (len == 0) {
        refuse(s, 0, reason);
    }
    for (size_t at = 0; at < len;) {
        envelope_view view;
        eventbus_result result;
        loom_status st = envelope_scan(&view, (loom_bytes){data + at, len - at}, &limits, &reason);
        size_t next = at + (st == LOOM_OK ? view.len : 0);
        if (st != LOOM_OK || (st = settle_form(s, &view, &reason)) != LOOM_OK) {
            refuse(s, at, reason); /* where the next envelope would begin is not known any more */
            return;
        }
        uint8_t *wire = view.data == s->open.scratch ? s->open.scratch : data + at;
        if (eventbus_publish(s->core, s->open.publisher, &view, wire, &result) == LOOM_EINVAL) {
            refuse(s, at, "topic is not valid");
        } else {
            s->stats.open_received++;
        }
        at = next;
    }
}

static void on_pressure(void *user, bool on)
{
    bus_server *s = user;
    s->open.pressing = on;
    if (!on) {
        uv_async_send(&s->wake); /* what waits is taken from the loop, not in the middle of a publish */
    }
}

/* ---- out ---- */

static void send_batch(bus_server *s)
{
    if (s->open.batch == NULL) {
        return;
    }
    int error = nng_sendmsg(s->open.pub, s->open.batch, NNG_FLAG_NONBLOCK); /* a PUB socket never waits */
    if (error != 0) {
        nng_msg_free(s->open.batch);
        s->stats.open_lost_memory++;
    } else {
        s->stats.open_sent++;
    }
    s->open.batch = NULL;
}

/* topic, NUL, cf and the number of the envelope that follows first. */
static bool begin_batch(bus_server *s, loom_str topic)
{
    uint8_t head[LOOM_TOPIC_MAX + 1 + 9];
    topic_entry *entry;
    if (topic_table_use(&s->open.topics, topic, &entry) != LOOM_OK) {
        return false;
    }
    uint64_t number = entry->published + 1;
    uint8_t *p = mp_put_raw(head, topic.data, topic.len);
    *p++ = 0;
    *p++ = MP_UINT64;
    mp_store32(p, (uint32_t)(number >> 32));
    mp_store32(p + 4, (uint32_t)number);
    if (nng_msg_alloc(&s->open.batch, 0) != 0) {
        s->open.batch = NULL;
        return false;
    }
    if (nng_msg_append(s->open.batch, head, topic.len + 10) != 0) {
        nng_msg_free(s->open.batch);
        s->open.batch = NULL;
        return false;
    }
    s->open.batch_topic = entry;
    return true;
}

static void deliver(void *user, uint64_t subscription, void *tag, const envelope_view *view, bool queued)
{
    bus_server *s = user;
    loom_str topic = envelope_view_str(view, ENV_TOPIC);
    (void)subscription;
    (void)tag;
    (void)queued;
    if (s->open.batch != NULL && (!topic_entry_is(s->open.batch_topic, topic) ||
                                  nng_msg_len(s->open.batch) + view->len > BUS_MESSAGE_TARGET)) {
        send_batch(s);
    }
    bool appended = (s->open.batch != NULL || begin_batch(s, topic)) &&
                    nng_msg_append(s->open.batch, view->data, view->len) == 0;
    if (s->open.batch != NULL) {
        s->open.batch_topic->published++; /* also when there was no memory: the number then shows the loss */
    }
    if (!appended) {
        s->stats.open_lost_memory++;
        send_batch(s); /* what would follow is not consecutive */
        bus_log_limited(s, &s->memory_log, 0, "message for open subscribers is lost reason=\"out of memory\"");
    }
}

static void watch_peers(bus_server *s)
{
    static const eventbus_sink sink = {deliver};
    pipe_event event;
    while (pipe_watch_take(s->open.peers, &event)) {
    }
    (void)pipe_watch_missed(s->open.peers);
    unsigned peers = pipe_watch_count(s->open.peers);
    if (peers == 0 && s->open.subscriber != NULL) {
        open_bus_flush(s);
        eventbus_subscriber_close(s->open.subscriber);
        s->open.subscriber = NULL;
    }
    if (peers > 0 && s->open.subscriber == NULL) {
        loom_status st = eventbus_subscriber_open(s->core, &s->open.subscriber, &sink, s, (loom_str){"bus.pub", 7});
        if (st == LOOM_OK) {
            eventbus_grant(s->open.subscriber, UINT64_MAX, UINT64_MAX);
            st = eventbus_subscribe(s->open.subscriber, SUBSCRIPTION, &(eventbus_subscription_options){
                .filter = {">", 1}, .qos = LOOM_QOS_REALTIME});
        }
        if (st != LOOM_OK) {
            bus_log(s, 0, "open subscribers get nothing reason=\"%s\"", loom_status_text(st));
            eventbus_subscriber_close(s->open.subscriber);
            s->open.subscriber = NULL;
        }
    }
}

/* ---- rounds and life ---- */

void open_bus_turn(bus_server *s)
{
    if (s->open.peers != NULL) {
        watch_peers(s);
    }
    /* bounded, so that a flood here does not keep the bridges waiting */
    for (unsigned taken = 0; s->open.inbox != NULL && !s->open.pressing; taken++) {
        if (taken == INBOX_MESSAGES) {
            uv_async_send(&s->wake);
            return;
        }
        nng_msg *msg = nng_inbox_take(s->open.inbox);
        if (msg == NULL) {
            return;
        }
        publish_all(s, nng_msg_body(msg), nng_msg_len(msg));
        nng_msg_free(msg);
    }
}

void open_bus_flush(bus_server *s)
{
    send_batch(s);
}

static loom_status open_pull(bus_server *s)
{
    static const eventbus_publisher_handlers handlers = {on_pressure};
    loom_status st = eventbus_publisher_open(s->core, &s->open.publisher, &handlers, s);
    if (st != LOOM_OK) {
        return st;
    }
    int error = nng_pull0_open(&s->open.pull);
    if (error != 0) {
        return nng_status(error);
    }
    s->open.pull_open = true;
    if ((error = nng_socket_set_size(s->open.pull, NNG_OPT_RECVMAXSZ, BUS_MESSAGE_MAX)) != 0) {
        return nng_status(error);
    }
    st = nng_inbox_open(&s->open.inbox, s->open.pull, &s->wake, INBOX_MESSAGES, INBOX_BYTES);
    return st == LOOM_OK ? bus_listen(s, s->open.pull, BUS_SERVER_PULL, s->options.bus_pull) : st;
}

static loom_status open_pub(bus_server *s)
{
    topic_table_init(&s->open.topics, TOPICS_MAX);
    s->open.topics_open = true;
    int error = nng_pub0_open(&s->open.pub);
    if (error != 0) {
        return nng_status(error);
    }
    s->open.pub_open = true;
    if ((error = nng_socket_set_int(s->open.pub, NNG_OPT_SENDBUF, SEND_BUFFER)) != 0) {
        return nng_status(error);
    }
    loom_status st = pipe_watch_open(&s->open.peers, s->open.pub, &s->wake);
    return st == LOOM_OK ? bus_listen(s, s->open.pub, BUS_SERVER_PUB, s->options.bus_pub) : st;
}

loom_status open_bus_open(bus_server *s)
{
    loom_status st = bus_url_wanted(s->options.bus_pull) ? open_pull(s) : LOOM_OK;
    return st == LOOM_OK && bus_url_wanted(s->options.bus_pub) ? open_pub(s) : st;
}

void open_bus_close(bus_server *s)
{
    open_bus *o = &s->open;
    if (o->batch != NULL) {
        nng_msg_free(o->batch);
    }
    nng_inbox_close(o->inbox);
    if (o->pull_open) {
        nng_closings_add(s->closings, o->pull, NULL);
    }
    if (o->pub_open) {
        nng_closings_add(s->closings, o->pub, o->peers);
    }
    eventbus_publisher_close(o->publisher);
    eventbus_subscriber_close(o->subscriber);
    if (o->topics_open) {
        topic_table_fini(&o->topics);
    }
    free(o->scratch);
    *o = (open_bus){0};
}
