/* SPDX-License-Identifier: Apache-2.0 */
/* The hot path: one message in, a callback for each subscription that matches. With credit and without sampling nothing
 * here allocates, and a topic published before is not matched again until a subscription changes. */
#include "broker/eventbus/grant.h"
#include "envelope/reserved.h"

static void collect(void *user, topic_trie_value *value)
{
    eventbus *bus = user;
    assert(bus->match_count < bus->room);
    bus->matches[bus->match_count++] = (topic_match){subscription_at(value), NULL};
}

static void collect_for_reserved(void *user, topic_trie_value *value)
{
    if (subscription_may_have(subscription_at(value), true)) {
        collect(user, value);
    }
}

/* The subscriptions whose filter selects topic; entry may be NULL (no memory for it). Valid until the next call. */
static topic_match *find_matches(eventbus *bus, topic_entry *entry, loom_str topic, uint32_t *count)
{
    if (entry == NULL || entry->generation != bus->generation) {
        eventbus_tidy_flow(bus);
        bus->match_count = 0;
        size_t nodes;
        (void)topic_trie_match(bus->trie, topic, broker_name_reserved(topic) ? collect_for_reserved : collect, bus, &nodes);
        bus->work += nodes;
        if (entry == NULL ||
            !topic_table_remember(&bus->topics, entry, bus->matches, bus->match_count, bus->generation)) {
            *count = bus->match_count;
            return bus->matches;
        }
    }
    *count = entry->match_count;
    return entry->matches;
}

static bool selects_type(const subscription *s, loom_str type)
{
    const char *at = s->text + s->filter_len;
    for (uint32_t i = 0; i < s->type_count; i++) {
        const size_t len = (uint8_t)*at++;
        if (len == type.len && memcmp(at, type.data, len) == 0) {
            return true;
        }
        at += len;
    }
    return false;
}

/* Returns how many were handed to a sink. */
static uint32_t deliver_to_all(publication *p, const topic_entry *entry, topic_match *matches, uint32_t count)
{
    uint32_t handed = 0;
    for (uint32_t i = 0; i < count; i++) {
        subscription *s = matches[i].value;
        if (s->type_count > 0 && !selects_type(s, envelope_view_str(p->view, ENV_TYPE))) {
            continue;
        }
        p->result->matched++;
        if (subscriber_has_credit(s->subscriber)) {
            handed++;
            if (matches[i].flow == NULL) {
                matches[i].flow = subscription_flow(s, entry, envelope_view_str(p->view, ENV_TOPIC));
            }
            subscription_deliver(s, matches[i].flow, p->view);
        } else {
            subscription_enqueue(p, s);
        }
    }
    p->result->delivered += handed;
    return handed;
}

static void drop_expired(publication *p, const eventbus_publisher *publisher, topic_entry *entry)
{
    flow_counts *flow = publisher_flow(p->bus, publisher, entry, p->view);
    flow->total++;
    flow->lost[EVENTBUS_DROP_TTL]++;
    p->result->dropped = 1;
    p->bus->stats.dropped[EVENTBUS_DROP_TTL]++;
    if (entry != NULL) {
        entry->dropped++;
    }
    eventbus_span_drop(message_pass_span(&p->pass), EVENTBUS_DROP_TTL, NULL);
}

static void count_published(eventbus *bus, topic_entry *entry, uint32_t bytes)
{
    bus->stats.published++;
    bus->stats.published_bytes += bytes;
    if (entry != NULL) {
        entry->published++;
        entry->bytes += bytes;
        entry->last_ms = bus->clock->now_ms;
    }
}

static void count_flow(eventbus *bus, const eventbus_publisher *publisher, topic_entry *entry, const envelope_view *view)
{
    const bool same = publisher != NULL && entry != NULL && entry->publisher == publisher->number;
    (same ? entry->flow : publisher_flow(bus, publisher, entry, view))->total++;
}

static void publish_to_matches(publication *p, const eventbus_publisher *publisher, topic_entry *entry, loom_str topic)
{
    uint32_t count;
    topic_match *matches = find_matches(p->bus, entry, topic, &count);
    count_flow(p->bus, publisher, entry, p->view);
    const uint32_t handed = deliver_to_all(p, entry, matches, count);
    if (p->copy != NULL) {
        eventbus_release(p->bus, p->copy);
    }
    if (entry != NULL) {
        entry->delivered += handed;
    }
    p->bus->stats.matched += p->result->matched;
    if (p->result->matched == 0) {
        p->bus->stats.unmatched++;
    }
}

loom_status eventbus_publish(eventbus *bus, eventbus_publisher *publisher, const envelope_view *view, uint8_t *wire,
                             eventbus_result *result)
{
    assert(view->data == wire && view->hop_in_place);
    eventbus_result unasked;
    if (result == NULL) {
        result = &unasked;
    }
    *result = (eventbus_result){0};
    const loom_str topic = envelope_view_str(view, ENV_TOPIC);
    topic_entry *entry;
    if (topic_table_use(&bus->topics, topic, &entry) == LOOM_EINVAL) {
        return LOOM_EINVAL;
    }
    eventbus_enter(bus);
    count_published(bus, entry, view->len);
    publication p = {
        .bus = bus,
        .publisher = publisher != NULL && publisher->handlers.pressure != NULL ? publisher : NULL,
        .view = view,
        .entry = entry,
        .result = result,
    };
    message_pass_begin(&p.pass, bus->tracer, HOP_EVENTBUS_PUBLISH, view, envelope_view_str(view, ENV_SENDER),
                       publisher == NULL || !publisher->in_process, wire);
    const bool traced = message_pass_is_traced(&p.pass);
    const uint8_t ttl = hop_ttl(wire);
    if (ttl == 0) {
        drop_expired(&p, publisher, entry);
    } else {
        hop_set_ttl(wire, (uint8_t)(ttl - 1));
        publish_to_matches(&p, publisher, entry, topic);
    }
    if (traced) {
        message_pass_end(&p.pass, &(message_counts){result->matched, result->delivered, result->dropped});
    }
    eventbus_leave(bus);
    return ttl == 0 ? LOOM_ETIMEDOUT : LOOM_OK;
}
