/* SPDX-License-Identifier: Apache-2.0 */
/* The control operation "stats": what the cores and the bus count, for people and for other programs. */
#include <string.h>

#include "base/str.h"
#include "broker/endpoints/control_internal.h"
#include "trace/messaging/call_span.h"

enum { SUBSCRIPTIONS_TOLD = 1000 };

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
    msgpack_pack_map(pk, 19);
    control_pack_uint(pk, "open_received", b->open_received);
    control_pack_uint(pk, "open_malformed", b->open_malformed);
    control_pack_uint(pk, "open_denied", b->open_denied);
    control_pack_uint(pk, "open_sent", b->open_sent);
    control_pack_uint(pk, "open_dropped", b->open_dropped);
    control_pack_uint(pk, "open_lost_memory", b->open_lost_memory);
    control_pack_uint(pk, "open_peers", b->open_peers);
    control_pack_bool(pk, "open_waiting", b->open_waiting);
    control_pack_uint(pk, "bridge_received", b->bridge_received);
    control_pack_uint(pk, "bridge_sent", b->bridge_sent);
    control_pack_uint(pk, "bridge_malformed", b->bridge_malformed);
    control_pack_uint(pk, "unconfirmed", b->unconfirmed);
    control_pack_uint(pk, "held", b->held);
    control_pack_uint(pk, "lost_memory", b->lost_memory);
    control_pack_uint(pk, "control_requests", b->control_requests);
    control_pack_uint(pk, "attachments", b->attachments);
    control_pack_uint(pk, "bridges_lost", b->bridges_lost);
    control_pack_uint(pk, "bridges", b->bridges);
    control_pack_uint(pk, "sessions", b->sessions);
}

static void pack_actions(msgpack_packer *pk, const action_stats *a)
{
    control_pack_key(pk, "actions");
    msgpack_pack_map(pk, 14);
    control_pack_uint(pk, "invoked", a->invoked);
    control_pack_uint(pk, "attempts", a->attempts);
    control_pack_uint(pk, "joined", a->joined);
    control_pack_uint(pk, "cached", a->cached);
    control_pack_uint(pk, "late", a->late);
    control_pack_uint(pk, "invalid", a->invalid);
    control_pack_uint(pk, "parties", a->parties);
    control_pack_uint(pk, "capabilities", a->capabilities);
    control_pack_uint(pk, "pending", a->pending);
    control_pack_uint(pk, "running", a->running);
    control_pack_uint(pk, "cache_entries", a->cache_entries);
    control_pack_uint(pk, "cache_bytes", a->cache_bytes);
    control_pack_uint(pk, "kept_bytes", a->kept_bytes);
    control_pack_key(pk, "outcomes");
    msgpack_pack_map(pk, ACTION_OUTCOMES);
    for (unsigned i = 0; i < ACTION_OUTCOMES; i++) {
        control_pack_uint(pk, call_outcome_name(i), a->outcomes[i]);
    }
}

static void pack_directory(msgpack_packer *pk, const directory_stats *d)
{
    control_pack_key(pk, "directory");
    msgpack_pack_map(pk, 4);
    control_pack_uint(pk, "agents", d->agents);
    control_pack_uint(pk, "registered", d->registered);
    control_pack_uint(pk, "unregistered", d->unregistered);
    control_pack_uint(pk, "expired", d->expired);
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
        control_pack_text(pk, "subscriber", s->subscriber);
        control_pack_uint(pk, "id", s->id);
        control_pack_text(pk, "filter", s->filter);
        control_pack_uint(pk, "qos", (uint64_t)s->qos);
        control_pack_uint(pk, "delivered", s->delivered);
        control_pack_uint(pk, "dropped", s->dropped);
        control_pack_uint(pk, "queued", s->queued);
        control_pack_uint(pk, "queued_bytes", s->queued_bytes);
        control_pack_bool(pk, "pressing", s->pressing);
        control_pack_bool(pk, "overdue", s->overdue);
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

static void pack_topics(control_buffer *answer, const eventbus *events)
{
    control_list list;
    control_list_init(&list, &(control_request){0});
    control_pack_topics(&list, events, (loom_str){NULL, 0});
    control_pack_key(&answer->pk, "topics");
    control_list_append(&list, answer);
}

loom_status control_stats(bus_server *s, const control_request *q, const sp_reply_to *to, control_buffer *answer)
{
    eventbus_stats events = eventbus_get_stats(s->cores.events);
    action_stats actions = actionbroker_get_stats(s->cores.actions);
    directory_stats agents = directory_get_stats(s->cores.agents);
    bus_server_stats bus = bus_server_get_stats(s);
    msgpack_packer *pk = &answer->pk;
    (void)q;
    (void)to;
    msgpack_pack_map(pk, 9);
    control_pack_uint(pk, "status", LOOM_OK);
    control_pack_text(pk, "software", str_of(s->software));
    control_pack_uint(pk, "uptime_ms", uv_now(s->loop) - s->started_ms);
    pack_eventbus(pk, &events);
    pack_actions(pk, &actions);
    pack_directory(pk, &agents);
    pack_bus(pk, &bus);
    pack_topics(answer, s->cores.events);
    pack_subscriptions(pk, s->cores.events);
    return LOOM_OK;
}
