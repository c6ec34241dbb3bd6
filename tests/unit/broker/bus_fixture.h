/* SPDX-License-Identifier: Apache-2.0 */
/* A bus with subscribers that write down what they get and publishers that write down what they are told. */
#ifndef LOOM_TESTS_BUS_FIXTURE_H
#define LOOM_TESTS_BUS_FIXTURE_H

#include "broker/eventbus/eventbus.h"
#include "tests/support/check.h"

/* A grant that never runs out. */
#define UNLIMITED UINT64_MAX, UINT64_MAX

enum { RECEIVED_MAX = 4096 };

typedef struct received {
    uint64_t subscription;
    uint32_t number; /* the message's */
    uint8_t ttl;
    loom_trace_context hop;
} received;

typedef struct test_subscriber {
    eventbus_subscriber *handle;
    size_t count; /* deliveries; only the first RECEIVED_MAX are kept */
    received got[RECEIVED_MAX];
} test_subscriber;

typedef struct test_publisher {
    eventbus_publisher *handle;
    unsigned on, off; /* times it was told */
    bool waits;
} test_publisher;

/* What to publish; all zero but the topic is fine. */
typedef struct test_message {
    const char *topic;
    const char *type;
    uint32_t number;      /* carried in the payload */
    uint32_t padding;     /* bytes more of payload */
    bool expired;         /* ttl 0 on arrival */
    loom_trace_context hop;
    const char *tracestate;
} test_message;

loom_status test_subscriber_open(test_subscriber *subscriber, eventbus *bus, const char *name);
loom_status test_publisher_open(test_publisher *publisher, eventbus *bus);
loom_status test_subscribe(test_subscriber *subscriber, uint64_t id, const char *filter);
loom_status test_subscribe_with(test_subscriber *subscriber, uint64_t id, const char *filter, loom_qos qos,
                                uint32_t messages, uint32_t bytes);

/* Publishes; publisher may be NULL, and so may result. */
loom_status test_publish(eventbus *bus, test_publisher *publisher, const test_message *message, eventbus_result *result);
/* Numbered messages first to last to one topic, each of which must be accepted as a publish. */
void test_publish_range(eventbus *bus, test_publisher *publisher, const char *topic, uint32_t first, uint32_t last);
/* Encoded bytes of a message without padding to this topic. */
uint32_t test_message_size(const char *topic);

/* Gives it turns until nothing is left of subscribers that have gone. */
void test_bus_settle(eventbus *bus);

/* What the first subscription that matches says about itself; fails the test when there is none. */
eventbus_subscription_stats test_subscription_stats(const eventbus *bus, uint64_t id);
/* Deliveries of subscription id, in order, are exactly these numbers. */
void check_numbers(const test_subscriber *subscriber, uint64_t id, const uint32_t *numbers, size_t count, const char *file,
                   int line);
#define assert_numbers(subscriber, id, ...)                                                                   \
    check_numbers((subscriber), (id), (const uint32_t[]){__VA_ARGS__},                                         \
                  sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t), __FILE__, __LINE__)

/* matched = delivered + queued + dropped, as eventbus.h promises. */
void check_conservation(const eventbus *bus, const char *file, int line);
#define assert_conserved(bus) check_conservation((bus), __FILE__, __LINE__)

#endif
