/* SPDX-License-Identifier: Apache-2.0 */
/* The control operations "stats" (what the process counts, topics, subscriptions) and "counters" (what each counter
 * means). */
#include "base/str.h"
#include "broker/endpoints/control_internal.h"

enum { SUBSCRIPTIONS_TOLD = 1000 };

static void pack_counter(msgpack_packer *pk, const counter *c, const counter_stats *stats)
{
    if (c->label != NULL) {
        control_pack_key(pk, c->key);
        msgpack_pack_map(pk, c->count);
        for (unsigned i = 0; i < c->count; i++) {
            control_pack_uint(pk, c->name_of(i), counter_value(c, stats, i));
        }
    } else if (c->kind == COUNTER_FLAG) {
        control_pack_bool(pk, c->key, counter_value(c, stats, 0) != 0);
    } else {
        control_pack_uint(pk, c->key, counter_value(c, stats, 0));
    }
}

static void pack_counters(msgpack_packer *pk, const counter_source *source)
{
    counter_stats stats;
    counter_read(source, &stats);
    control_pack_key(pk, source->group->name);
    msgpack_pack_map(pk, source->group->count);
    for (size_t i = 0; i < source->group->count; i++) {
        pack_counter(pk, &source->group->counters[i], &stats);
    }
}

static void pack_description(msgpack_packer *pk, const char *group, const counter *c)
{
    static const char *const kinds[] = {[COUNTER_TOTAL] = "total", [COUNTER_GAUGE] = "gauge", [COUNTER_FLAG] = "flag"};
    msgpack_pack_map(pk, 6);
    control_pack_text(pk, "group", str_of(group));
    control_pack_text(pk, "key", str_of(c->key));
    control_pack_text(pk, "kind", str_of(kinds[c->kind]));
    control_pack_text(pk, "label", str_of(c->label != NULL ? c->label : ""));
    control_pack_text(pk, "metric", str_of(c->metric));
    control_pack_text(pk, "help", str_of(c->help));
}

/* ---- subscriptions ---- */

typedef struct subscription_list {
    control_list items;
    bool well; /* those that are, or the others */
} subscription_list;

static bool pack_subscription(void *user, const eventbus_subscription_stats *s)
{
    subscription_list *list = user;
    if (list->well == (s->queued > 0 || s->pressing || s->overdue)) {
        return true;
    }
    if (!control_list_room(&list->items)) {
        return false;
    }
    msgpack_packer *pk = &list->items.items.pk;
    msgpack_pack_map(pk, 14);
    control_pack_text(pk, "subscriber", s->subscriber);
    control_pack_text(pk, "group", s->group);
    control_pack_uint(pk, "members", s->members);
    control_pack_uint(pk, "id", s->id);
    control_pack_text(pk, "filter", s->filter);
    control_pack_uint(pk, "qos", (uint64_t)s->qos);
    control_pack_uint(pk, "delivered", s->delivered);
    control_pack_uint(pk, "dropped", s->dropped);
    control_pack_uint(pk, "queued", s->queued);
    control_pack_uint(pk, "queued_bytes", s->queued_bytes);
    control_pack_uint(pk, "credit_messages", s->credit_messages);
    control_pack_uint(pk, "credit_bytes", s->credit_bytes);
    control_pack_bool(pk, "pressing", s->pressing);
    control_pack_bool(pk, "overdue", s->overdue);
    return true;
}

/* Those that messages wait for come first, since there may be more than are told. */
static void pack_subscriptions(control_buffer *answer, const eventbus *core)
{
    subscription_list list = {.well = false};
    control_list_init(&list.items, &(control_request){.limit = SUBSCRIPTIONS_TOLD});
    eventbus_visit_unwell(core, pack_subscription, &list);
    list.well = true;
    eventbus_visit_subscriptions(core, UINT32_MAX, pack_subscription, &list);
    control_pack_key(&answer->pk, "subscriptions");
    control_list_append(&list.items, answer);
}

static void pack_topics(control_buffer *answer, const broker_cores *cores)
{
    control_list list;
    control_list_init(&list, &(control_request){0});
    control_pack_topics(&list, cores, (loom_str){NULL, 0});
    control_pack_key(&answer->pk, "topics");
    control_list_append(&list, answer);
}

control_outcome control_stats(bus_server *s, const control_request *q, const sp_reply_to *to, control_buffer *answer)
{
    const counter_list *counters = s->options.counters;
    msgpack_packer *pk = &answer->pk;
    (void)q;
    (void)to;
    msgpack_pack_map(pk, 5 + counters->count);
    control_pack_uint(pk, "status", LOOM_OK);
    control_pack_text(pk, "software", str_of(s->software));
    control_pack_uint(pk, "uptime_ms", uv_now(s->loop) - s->started_ms);
    for (size_t i = 0; i < counters->count; i++) {
        pack_counters(pk, &counters->items[i]);
    }
    pack_topics(answer, &s->cores);
    pack_subscriptions(answer, s->cores.events);
    return CONTROL_ANSWERED;
}

control_outcome control_counters(bus_server *s, const control_request *q, const sp_reply_to *to, control_buffer *answer)
{
    const counter_list *counters = s->options.counters;
    msgpack_packer *pk = &answer->pk;
    size_t count = 0;
    (void)q;
    (void)to;
    for (size_t i = 0; i < counters->count; i++) {
        count += counters->items[i].group->count;
    }
    msgpack_pack_map(pk, 2);
    control_pack_uint(pk, "status", LOOM_OK);
    control_pack_key(pk, "counters");
    msgpack_pack_array(pk, count);
    for (size_t i = 0; i < counters->count; i++) {
        for (size_t k = 0; k < counters->items[i].group->count; k++) {
            pack_description(pk, counters->items[i].group->name, &counters->items[i].group->counters[k]);
        }
    }
    return CONTROL_ANSWERED;
}
