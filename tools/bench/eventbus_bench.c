/* SPDX-License-Identifier: Apache-2.0 */
/* What a publish costs in process: from a scanned envelope to the subscriber's callback, one thread, no I/O.
 * Prints one line a case: nanoseconds a publish, and millions of publishes a second. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/eventbus/eventbus.h"
#include "tools/bench/no_options.h"

enum { ROUNDS = 5, PAYLOAD_SIZE = 128 };

static const loop_clock clock_at_rest; /* nothing here has a deadline */
static uint64_t delivered;

static void deliver(void *user, uint64_t subscription, const envelope_view *view)
{
    (void)user;
    (void)subscription;
    (void)view;
    delivered++;
}

typedef struct message {
    loom_envelope *env;
    envelope_view view;
    uint8_t wire[1024];
    uint8_t ttl;
} message;

static void die(const char *what)
{
    fprintf(stderr, "eventbus_bench: %s\n", what);
    exit(1);
}

static void check(loom_status st, const char *what)
{
    if (st != LOOM_OK) {
        fprintf(stderr, "eventbus_bench: %s: %s\n", what, loom_status_text(st));
        exit(1);
    }
}

static void make_message(message *m, const char *topic, uint8_t trace_flags)
{
    static const uint8_t payload[PAYLOAD_SIZE];
    loom_envelope_fields fields = {.topic = {topic, strlen(topic)}, .sender = {"bench", 5}, .payload = {payload, sizeof payload}};
    loom_trace_id_generate(fields.context.trace_id);
    loom_span_id_generate(fields.context.span_id);
    fields.context.trace_flags = trace_flags;
    check(loom_envelope_create(&m->env, &fields), "create");
    const loom_bytes wire = loom_envelope_wire(m->env);
    if (wire.len > sizeof m->wire) {
        die("envelope is too large");
    }
    memcpy(m->wire, wire.data, wire.len);
    m->view = *envelope_as_view(m->env);
    m->view.data = m->wire;
    m->ttl = hop_ttl(m->wire);
}

/* Publishes the messages in turn; the best of some rounds, in ns a publish. The hop is put back as it came each time. */
static double measure(eventbus *bus, message *messages, uint32_t count, uint32_t publishes)
{
    double best = 0;
    for (int round = 0; round < ROUNDS; round++) {
        const uint64_t start = loom_time_unix_ns();
        for (uint32_t i = 0, at = 0; i < publishes; i++) {
            message *m = &messages[at];
            at = at + 1 == count ? 0 : at + 1;
            memcpy(m->wire, loom_envelope_wire(m->env).data, ENVELOPE_PREFIX_SIZE);
            check(eventbus_publish(bus, NULL, &m->view, m->wire, NULL), "publish");
        }
        const double ns = (double)(loom_time_unix_ns() - start) / publishes;
        best = round == 0 || ns < best ? ns : best;
    }
    return best;
}

static void report(const char *what, double ns)
{
    printf("%-60s %8.1f ns  %6.2f M/s\n", what, ns, 1000.0 / ns);
    fflush(stdout);
}

static eventbus_subscriber *open_subscriber(eventbus *bus, uint64_t credit)
{
    eventbus_subscriber *subscriber;
    check(eventbus_subscriber_open(bus, &subscriber, &(eventbus_sink){deliver}, NULL, (loom_str){"bench", 5}), "subscriber");
    eventbus_grant(subscriber, credit, credit);
    return subscriber;
}

static void subscribe(eventbus_subscriber *subscriber, uint64_t id, const char *filter, loom_qos qos)
{
    check(eventbus_subscribe(subscriber, id, &(eventbus_subscription_options){.filter = {filter, strlen(filter)}, .qos = qos}),
          "subscribe");
}

static void filters_case(uint32_t filters, uint32_t topics)
{
    eventbus *bus;
    check(eventbus_create(&bus, &clock_at_rest, NULL), "bus");
    eventbus_subscriber *subscriber = open_subscriber(bus, UINT64_MAX);
    char text[64];
    for (uint32_t i = 0; i < filters; i++) {
        snprintf(text, sizeof text, "sensors.site%u.*", i);
        subscribe(subscriber, i, text, LOOM_QOS_BATCHED);
    }
    message *messages = calloc(topics, sizeof *messages);
    if (messages == NULL) {
        die("out of memory");
    }
    for (uint32_t i = 0; i < topics; i++) {
        snprintf(text, sizeof text, "sensors.site%u.temperature", i % filters);
        make_message(&messages[i], text, 0);
    }
    const double ns = measure(bus, messages, topics, 4000000);
    snprintf(text, sizeof text, "%u filters, %u topic%s in turn", filters, topics, topics == 1 ? "" : "s");
    report(text, ns);
    for (uint32_t i = 0; i < topics; i++) {
        loom_envelope_unref(messages[i].env);
    }
    free(messages);
    eventbus_subscriber_close(subscriber);
    eventbus_destroy(bus);
}

/* Each publish finds the subscriptions anew, as after a change of subscriptions. */
static void unmatched_case(uint32_t filters)
{
    enum { CHANGES = 200000 };
    eventbus *bus;
    check(eventbus_create(&bus, &clock_at_rest, NULL), "bus");
    eventbus_subscriber *subscriber = open_subscriber(bus, UINT64_MAX);
    char text[64];
    for (uint32_t i = 0; i < filters; i++) {
        snprintf(text, sizeof text, "sensors.site%u.*", i);
        subscribe(subscriber, i, text, LOOM_QOS_BATCHED);
    }
    message m;
    make_message(&m, "sensors.site7.temperature", 0);
    const uint64_t start = loom_time_unix_ns();
    for (int i = 0; i < CHANGES; i++) {
        subscribe(subscriber, filters, "other", LOOM_QOS_BATCHED);
        hop_set_ttl(m.wire, m.ttl);
        check(eventbus_publish(bus, NULL, &m.view, m.wire, NULL), "publish");
        check(eventbus_unsubscribe(subscriber, filters), "unsubscribe");
    }
    snprintf(text, sizeof text, "%u filters: subscribe, publish, unsubscribe", filters);
    report(text, (double)(loom_time_unix_ns() - start) / CHANGES);
    loom_envelope_unref(m.env);
    eventbus_subscriber_close(subscriber);
    eventbus_destroy(bus);
}

static void fanout_case(loom_tracer *tracer, uint32_t subscribers, uint8_t flags, uint32_t publishes, const char *what)
{
    eventbus *bus;
    check(eventbus_create(&bus, &clock_at_rest, &(eventbus_options){.tracer = tracer}), "bus");
    eventbus_subscriber **all = calloc(subscribers, sizeof(eventbus_subscriber *));
    if (all == NULL) {
        die("out of memory");
    }
    for (uint32_t i = 0; i < subscribers; i++) {
        all[i] = open_subscriber(bus, UINT64_MAX);
        subscribe(all[i], 1, "sensors.site1.temperature", LOOM_QOS_BATCHED);
    }
    message m;
    make_message(&m, "sensors.site1.temperature", flags);
    report(what, measure(bus, &m, 1, publishes));
    loom_envelope_unref(m.env);
    for (uint32_t i = 0; i < subscribers; i++) {
        eventbus_subscriber_close(all[i]);
    }
    free(all);
    eventbus_destroy(bus);
}

static void queue_case(void)
{
    eventbus *bus;
    check(eventbus_create(&bus, &clock_at_rest, NULL), "bus");
    eventbus_subscriber *subscriber = open_subscriber(bus, 0);
    subscribe(subscriber, 1, "sensors.>", LOOM_QOS_REALTIME);
    message m;
    make_message(&m, "sensors.site1.temperature", 0);
    report("no credit, realtime queue full: one in, the oldest out", measure(bus, &m, 1, 1000000));
    loom_envelope_unref(m.env);
    eventbus_subscriber_close(subscriber);
    eventbus_destroy(bus);
}

/* A batched subscription that never has credit when a message comes: its queue holds standing messages, takes burst more,
 * and is granted burst. In ns a message, in and out. */
static void bulk_case(uint32_t standing, uint32_t burst)
{
    enum { MESSAGES = 2000000, LIMIT = 1u << 20 };
    eventbus *bus;
    check(eventbus_create(&bus, &clock_at_rest, &(eventbus_options){.queue_messages = LIMIT, .queue_bytes = 1u << 30}), "bus");
    eventbus_subscriber *subscriber = open_subscriber(bus, 0);
    subscribe(subscriber, 1, "sensors.>", LOOM_QOS_BATCHED);
    message m;
    make_message(&m, "sensors.site1.temperature", 0);
    (void)measure(bus, &m, 1, standing / ROUNDS);
    double best = 0;
    uint64_t granted = 0;
    for (int round = 0; round < ROUNDS; round++) {
        const uint64_t start = loom_time_unix_ns();
        for (uint32_t done = 0; done < MESSAGES; done += burst) {
            for (uint32_t i = 0; i < burst; i++) {
                memcpy(m.wire, loom_envelope_wire(m.env).data, ENVELOPE_PREFIX_SIZE);
                check(eventbus_publish(bus, NULL, &m.view, m.wire, NULL), "publish");
            }
            granted += burst;
            eventbus_grant(subscriber, granted, UINT64_MAX);
        }
        const double ns = (double)(loom_time_unix_ns() - start) / MESSAGES;
        best = round == 0 || ns < best ? ns : best;
    }
    char text[64];
    snprintf(text, sizeof text, "no credit, %u queued: %u in, then a grant, %u out", standing, burst, burst);
    report(text, best);
    loom_envelope_unref(m.env);
    eventbus_subscriber_close(subscriber);
    eventbus_destroy(bus);
}

int main(int argc, char *argv[])
{
    int exit_code;
    if (!bench_may_begin(argc, argv, "Measures what a publish costs in process, from a scanned envelope to the subscriber's callback.", &exit_code)) {
        return exit_code;
    }
    loom_span_processor *processor;
    loom_tracer_provider *provider;
    check(loom_span_processor_create(&processor, &(loom_span_processor_options){
        .exporter = LOOM_EXPORTER_NONE, .max_queue_size = 65536}), "span processor");
    check(loom_tracer_provider_create(&provider, &(loom_tracer_provider_options){
        .service_name = "loom-broker", .processor = processor}), "tracer provider");
    loom_tracer *tracer = loom_tracer_get(provider, "loom.broker", NULL);

    fanout_case(tracer, 1, 0, 20000000, "1 subscriber with credit, unsampled");
    fanout_case(tracer, 4, 0, 10000000, "4 subscribers with credit, unsampled");
    fanout_case(tracer, 1, LOOM_TRACE_FLAG_SAMPLED, 500000, "1 subscriber with credit, sampled");
    filters_case(10, 10);
    filters_case(100000, 10);
    filters_case(100000, 50000);
    unmatched_case(10);
    unmatched_case(100000);
    queue_case();
    bulk_case(0, 1);
    bulk_case(0, 512);
    bulk_case(4000, 512);
    bulk_case(4000, 4000);
    bulk_case(60000, 512);

    loom_tracer_provider_unref(provider);
    loom_span_processor_unref(processor);
    printf("%llu deliveries\n", (unsigned long long)delivered);
    return 0;
}
