/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/broker/bus_fixture.h"

#include <stdlib.h>

static void deliver(void *user, uint64_t id, const envelope_view *view)
{
    test_subscriber *subscriber = user;
    if (subscriber->count < RECEIVED_MAX) {
        received *r = &subscriber->got[subscriber->count];
        *r = (received){.subscription = id, .ttl = hop_ttl(view->data)};
        memcpy(&r->number, envelope_view_bytes(view, ENV_PAYLOAD).data, sizeof r->number);
        hop_read(view->data, &r->hop);
    }
    subscriber->count++;
}

loom_status test_subscriber_open(test_subscriber *subscriber, eventbus *bus, const char *name)
{
    subscriber->count = 0;
    return eventbus_subscriber_open(bus, &subscriber->handle, &(eventbus_sink){deliver}, subscriber, str_of(name));
}

static void pressure(void *user, bool on)
{
    test_publisher *publisher = user;
    assert_int_not_equal(publisher->waits, on); /* never told the same twice */
    publisher->waits = on;
    *(on ? &publisher->on : &publisher->off) += 1;
}

loom_status test_publisher_open(test_publisher *publisher, eventbus *bus)
{
    *publisher = (test_publisher){0};
    return eventbus_publisher_open(bus, &publisher->handle, &(eventbus_publisher_handlers){pressure}, publisher, (loom_str){NULL, 0});
}

loom_status test_subscribe(test_subscriber *subscriber, uint64_t id, const char *filter)
{
    return test_subscribe_with(subscriber, id, filter, LOOM_QOS_BATCHED, 0, 0);
}

loom_status test_subscribe_with(test_subscriber *subscriber, uint64_t id, const char *filter, loom_qos qos,
                                uint32_t messages, uint32_t bytes)
{
    return eventbus_subscribe(subscriber->handle, id, &(eventbus_subscription_options){
        .filter = str_of(filter), .qos = qos, .queue_messages = messages, .queue_bytes = bytes});
}

static loom_envelope *encode(const test_message *message)
{
    uint8_t *payload = calloc(1, sizeof message->number + message->padding);
    if (payload == NULL) {
        return NULL;
    }
    memcpy(payload, &message->number, sizeof message->number);
    loom_envelope *env;
    const loom_status st = loom_envelope_create(&env, &(loom_envelope_fields){
        .topic = str_of(message->topic),
        .type = str_of(message->type),
        .sender = STR("tester"),
        .tracestate = str_of(message->tracestate),
        .payload = {payload, sizeof message->number + message->padding},
        .context = message->hop});
    free(payload);
    assert_true(st == LOOM_OK || st == LOOM_ENOMEM);
    return env;
}

loom_status test_publish(eventbus *bus, test_publisher *publisher, const test_message *message, eventbus_result *result)
{
    loom_envelope *env = encode(message);
    if (env == NULL) {
        return LOOM_ENOMEM;
    }
    /* A copy of its own size, so that a read past it is seen. */
    const loom_bytes encoded = loom_envelope_wire(env);
    uint8_t *wire = malloc(encoded.len);
    if (wire == NULL) {
        loom_envelope_unref(env);
        return LOOM_ENOMEM;
    }
    memcpy(wire, encoded.data, encoded.len);
    loom_envelope_unref(env);
    if (message->expired) {
        hop_set_ttl(wire, 0);
    }
    envelope_view view;
    const char *reason;
    loom_status st = envelope_scan(&view, (loom_bytes){wire, encoded.len}, NULL, &reason);
    if (st == LOOM_OK) {
        st = eventbus_publish(bus, publisher != NULL ? publisher->handle : NULL, &view, wire, result);
    }
    free(wire);
    return st;
}

void test_publish_range(eventbus *bus, test_publisher *publisher, const char *topic, uint32_t first, uint32_t last)
{
    for (uint32_t i = first; i <= last; i++) {
        assert_status(LOOM_OK, test_publish(bus, publisher, &(test_message){.topic = topic, .number = i}, NULL));
    }
}

uint32_t test_message_size(const char *topic)
{
    loom_envelope *env = encode(&(test_message){.topic = topic});
    assert_non_null(env);
    const size_t size = loom_envelope_wire(env).len;
    loom_envelope_unref(env);
    return (uint32_t)size;
}

typedef struct stats_search {
    uint64_t id;
    bool found;
    eventbus_subscription_stats stats;
} stats_search;

static bool pick_subscription(void *user, const eventbus_subscription_stats *stats)
{
    stats_search *search = user;
    if (stats->id == search->id) {
        search->found = true;
        search->stats = *stats;
    }
    return !search->found;
}

eventbus_subscription_stats test_subscription_stats(const eventbus *bus, uint64_t id)
{
    stats_search search = {.id = id};
    eventbus_visit_subscriptions(bus, UINT32_MAX, pick_subscription, &search);
    assert_true(search.found);
    return search.stats;
}

void check_numbers(const test_subscriber *subscriber, uint64_t id, const uint32_t *numbers, size_t count, const char *file,
                   int line)
{
    size_t at = 0;
    bool same = true;
    for (size_t i = 0; i < subscriber->count && same; i++) {
        if (subscriber->got[i].subscription == id) {
            same = at < count && subscriber->got[i].number == numbers[at];
            at++;
        }
    }
    if (!same || at != count) {
        print_error("subscription %llu got", (unsigned long long)id);
        for (size_t i = 0; i < subscriber->count; i++) {
            if (subscriber->got[i].subscription == id) {
                print_error(" %u", subscriber->got[i].number);
            }
        }
        print_error("\n");
        _fail(file, line);
    }
}

void check_conservation(const eventbus *bus, const char *file, int line)
{
    const eventbus_stats stats = eventbus_get_stats(bus);
    uint64_t lost = 0;
    for (int i = 0; i < EVENTBUS_DROP_REASONS; i++) {
        lost += i == EVENTBUS_DROP_TTL ? 0 : stats.dropped[i];
    }
    if (stats.matched != stats.delivered + stats.queued + lost) {
        print_error("matched %llu, delivered %llu, queued %llu, dropped %llu\n", (unsigned long long)stats.matched,
                    (unsigned long long)stats.delivered, (unsigned long long)stats.queued, (unsigned long long)lost);
        _fail(file, line);
    }
}

void test_bus_settle(eventbus *bus)
{
    while (eventbus_next_deadline_ms(bus) == 0) {
        eventbus_expire(bus);
        assert_conserved(bus);
    }
}
