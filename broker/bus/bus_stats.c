/* SPDX-License-Identifier: Apache-2.0 */
/* The control operation "stats": what the EventBus and the bus count, for people and for other programs. */
#include <msgpack.h>
#include <stdlib.h>

#include "broker/bus/bus_internal.h"

enum { TOPICS_TOLD = 100, SUBSCRIPTIONS_TOLD = 1000 };

static void pack_text(msgpack_packer *pk, const char *key, loom_str text)
{
    control_pack_key(pk, key);
    control_pack_str(pk, text);
}

static void pack_bool(msgpack_packer *pk, const char *key, bool value)
{
    control_pack_key(pk, key);
    value ? msgpack_pack_true(pk) : msgpack_pack_false(pk);
}

static void pack_eventbus(msgpack_packer *pk, const eventbus_stats *e)
{
    control_pack_key(pk, "eventbus");
    msgpack_pack_map(pk, 14);
    control_pack_uint(pk, "published", e->published);
    control_pack_uint(pk, "matched", e->matched);
    control_pack_uint(pk, "delivered", e->delivered);
    control_pack_uint(pk, "unmatched", e->unmatched);
    control_pack_uint(pk, "published_bytes", e->published_bytes);
    control_pack_uint(pk, "delivered_bytes", e->delivered_bytes);
    control_pack_uint(pk, "pressure", e->pressure);
    control_pack_uint(pk, "queued", e->queued);
    control_pack_uint(pk, "queued_bytes", e->queued_bytes);
    control_pack_uint(pk, "publishers", e->publishers);
    control_pack_uint(pk, "subscribers", e->subscribers);
    control_pack_uint(pk, "subscriptions", e->subscriptions);
    control_pack_uint(pk, "topics", e->topics);
    control_pack_key(pk, "dropped");
    msgpack_pack_map(pk, EVENTBUS_DROP_REASONS);
    for (unsigned i = 0; i < EVENTBUS_DROP_REASONS; i++) {
        control_pack_uint(pk, eventbus_drop_name((eventbus_drop)i), e->dropped[i]);
    }
}

static void pack_bus(msgpack_packer *pk, const bus_server_stats *b)
{
    control_pack_key(pk, "bus");
    msgpack_pack_map(pk, 18);
    control_pack_uint(pk, "open_received", b->open_received);
    control_pack_uint(pk, "open_malformed", b->open_malformed);
    control_pack_uint(pk, "open_sent", b->open_sent);
    control_pack_uint(pk, "open_lost_memory", b->open_lost_memory);
    control_pack_uint(pk, "open_peers", b->open_peers);
    pack_bool(pk, "open_waiting", b->open_waiting);
    control_pack_uint(pk, "bridge_received", b->bridge_received);
    control_pack_uint(pk, "bridge_sent", b->bridge_sent);
    control_pack_uint(pk, "bridge_malformed", b->bridge_malformed);
    control_pack_uint(pk, "bridge_stale", b->bridge_stale);
    control_pack_uint(pk, "gaps", b->gaps);
    control_pack_uint(pk, "resent", b->resent);
    control_pack_uint(pk, "lost_memory", b->lost_memory);
    control_pack_uint(pk, "control_requests", b->control_requests);
    control_pack_uint(pk, "attachments", b->attachments);
    control_pack_uint(pk, "bridges_lost", b->bridges_lost);
    control_pack_uint(pk, "bridges", b->bridges);
    control_pack_uint(pk, "sessions", b->sessions);
}

/* ---- topics: those published to most ---- */

typedef struct top_topics {
    unsigned count;
    eventbus_topic_stats topics[TOPICS_TOLD]; /* most published first; names point into the EventBus */
} top_topics;

static bool add_topic(void *user, const eventbus_topic_stats *t)
{
    top_topics *top = user;
    if (top->count == TOPICS_TOLD && t->published <= top->topics[TOPICS_TOLD - 1].published) {
        return true;
    }
    unsigned at = top->count < TOPICS_TOLD ? top->count++ : TOPICS_TOLD - 1;
    for (; at > 0 && top->topics[at - 1].published < t->published; at--) {
        top->topics[at] = top->topics[at - 1];
    }
    top->topics[at] = *t;
    return true;
}

static void pack_topics(msgpack_packer *pk, const eventbus *core)
{
    top_topics *top = malloc(sizeof *top); /* too large for the stack */
    control_pack_key(pk, "topics");
    if (top == NULL) {
        msgpack_pack_array(pk, 0);
        return;
    }
    top->count = 0;
    eventbus_visit_topics(core, add_topic, top);
    msgpack_pack_array(pk, top->count);
    for (unsigned i = 0; i < top->count; i++) {
        const eventbus_topic_stats *t = &top->topics[i];
        msgpack_pack_map(pk, 7);
        pack_text(pk, "topic", t->topic);
        control_pack_uint(pk, "published", t->published);
        control_pack_uint(pk, "delivered", t->delivered);
        control_pack_uint(pk, "dropped", t->dropped);
        control_pack_uint(pk, "bytes", t->bytes);
        control_pack_uint(pk, "last_ms", t->last_ms);
        control_pack_uint(pk, "subscriptions", t->subscriptions);
    }
    free(top);
}

/* ---- subscriptions ---- */

typedef struct subscription_list {
    msgpack_packer *pk; /* NULL: only count */
    unsigned count;
} subscription_list;

static bool pack_subscription(void *user, const eventbus_subscription_stats *s)
{
    subscription_list *list = user;
    if (list->count == SUBSCRIPTIONS_TOLD) {
        return false;
    }
    list->count++;
    if (list->pk != NULL) {
        msgpack_packer *pk = list->pk;
        msgpack_pack_map(pk, 10);
        pack_text(pk, "subscriber", s->subscriber);
        control_pack_uint(pk, "id", s->id);
        pack_text(pk, "filter", s->filter);
        control_pack_uint(pk, "qos", (uint64_t)s->qos);
        control_pack_uint(pk, "delivered", s->delivered);
        control_pack_uint(pk, "dropped", s->dropped);
        control_pack_uint(pk, "queued", s->queued);
        control_pack_uint(pk, "queued_bytes", s->queued_bytes);
        pack_bool(pk, "pressing", s->pressing);
        pack_bool(pk, "overdue", s->overdue);
    }
    return true;
}

/* An array says its length first, so the subscriptions are visited twice; nothing changes in between. */
static void pack_subscriptions(msgpack_packer *pk, const eventbus *core)
{
    subscription_list list = {NULL, 0};
    eventbus_visit_subscriptions(core, pack_subscription, &list);
    control_pack_key(pk, "subscriptions");
    msgpack_pack_array(pk, list.count);
    list = (subscription_list){pk, 0};
    eventbus_visit_subscriptions(core, pack_subscription, &list);
}

void control_stats(bus_server *s, const control_request *request, msgpack_packer *pk)
{
    eventbus_stats core = eventbus_get_stats(s->core);
    bus_server_stats bus = bus_server_get_stats(s);
    (void)request;
    msgpack_pack_map(pk, 7);
    control_pack_uint(pk, "status", LOOM_OK);
    pack_text(pk, "software", (loom_str){s->options.software, strlen(s->options.software)});
    control_pack_uint(pk, "uptime_ms", uv_now(s->loop) - s->started_ms);
    pack_eventbus(pk, &core);
    pack_bus(pk, &bus);
    pack_topics(pk, s->core);
    pack_subscriptions(pk, s->core);
}
