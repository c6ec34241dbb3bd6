/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/bench/bus_load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/eventbus/eventbus.h"
#include "tools/bench/site.h"

enum { PERCENT = 100, SPAN_QUEUE = 65536, FILTER_SIZE = 64 };

typedef struct message {
    loom_envelope *env;
    envelope_view view;
    uint8_t *wire; /* a copy that the bus may change */
} message;

struct bus_load {
    loop_clock clock; /* stands still: nothing here has a deadline */
    eventbus *bus;
    eventbus_subscriber *subscribers[BENCH_CONSUMERS_MAX];
    unsigned subscriber_count;
    loom_span_processor *processor;
    loom_tracer_provider *provider;
    message *messages;
    unsigned message_count, at;
    uint64_t delivered;
};

static bool check(loom_status st, const char *what)
{
    if (st != LOOM_OK) {
        bench_complain("%s: %s", what, loom_status_text(st));
    }
    return st == LOOM_OK;
}

static void deliver(void *user, uint64_t subscription, const envelope_view *view)
{
    (void)subscription;
    (void)view;
    bus_load *load = user;
    load->delivered++;
}

static bool open_bus(bus_load *load, const bench_setup *setup)
{
    loom_tracer *tracer = NULL;
    if (setup->tracing >= TRACING_PERCENT) {
        if (!check(loom_span_processor_create(&load->processor, &(loom_span_processor_options){.exporter = LOOM_EXPORTER_NONE,
                                                                                               .max_queue_size = SPAN_QUEUE}),
                   "span processor") ||
            !check(loom_tracer_provider_create(&load->provider, &(loom_tracer_provider_options){.service_name = "loom-broker",
                                                                                                .processor = load->processor}),
                   "tracer provider")) {
            return false;
        }
        tracer = loom_tracer_get(load->provider, "loom.broker", NULL);
    }
    return check(eventbus_create(&load->bus, &load->clock, &(eventbus_options){.tracer = tracer}), "bus");
}

static bool subscribe(bus_load *load, unsigned filters)
{
    static const eventbus_sink sink = {deliver};
    eventbus_subscriber **slot = &load->subscribers[load->subscriber_count];
    if (!check(eventbus_subscriber_open(load->bus, slot, &sink, load, (loom_str){"bench", 5}), "subscriber")) {
        return false;
    }
    load->subscriber_count++;
    eventbus_grant(*slot, UINT64_MAX, UINT64_MAX);
    for (unsigned i = 0; i < filters; i++) {
        char filter[FILTER_SIZE];
        const int len = snprintf(filter, sizeof filter, "sensors.site%u.*", i);
        if (!check(eventbus_subscribe(*slot, i, &(eventbus_subscription_options){.filter = {filter, (size_t)len}}),
                   "subscribe")) {
            return false;
        }
    }
    return true;
}

static bool make_message(message *m, const bench_setup *setup, unsigned site, bool sampled)
{
    char topic[FILTER_SIZE];
    uint8_t *payload = calloc(1, setup->size);
    const int len = snprintf(topic, sizeof topic, "sensors.site%u.temperature", site);
    loom_envelope_fields fields = {.topic = {topic, (size_t)len}, .sender = {"bench", 5}, .payload = {payload, setup->size}};
    loom_trace_id_generate(fields.context.trace_id);
    loom_span_id_generate(fields.context.span_id);
    fields.context.trace_flags = sampled ? LOOM_TRACE_FLAG_SAMPLED : 0;
    const bool ok = payload != NULL && check(loom_envelope_create(&m->env, &fields), "message");
    free(payload);
    if (!ok) {
        return false;
    }
    const loom_bytes wire = loom_envelope_wire(m->env);
    m->wire = malloc(wire.len);
    if (m->wire == NULL) {
        return false;
    }
    memcpy(m->wire, wire.data, wire.len);
    m->view = *envelope_as_view(m->env);
    m->view.data = m->wire;
    return true;
}

/* topics messages, or a hundred times that so that one of each hundred can be sampled. */
static bool make_messages(bus_load *load, const bench_setup *setup, unsigned filters, unsigned topics)
{
    const unsigned copies = setup->tracing == TRACING_PERCENT && topics < PERCENT ? PERCENT : 1;
    load->messages = calloc((size_t)topics * copies, sizeof *load->messages);
    if (load->messages == NULL) {
        return false;
    }
    for (unsigned i = 0; i < topics * copies; i++, load->message_count++) {
        const unsigned site = (unsigned)((uint64_t)(i % topics) * filters / topics); /* spread over all filters */
        const bool sampled = setup->tracing == TRACING_PERCENT ? i % PERCENT == 0 : setup->tracing > TRACING_PERCENT;
        if (!make_message(&load->messages[i], setup, site, sampled)) {
            load->message_count++; /* it may be half made */
            return false;
        }
    }
    return true;
}

bus_load *bus_load_open(const bench_setup *setup, unsigned topics)
{
    const unsigned filters = setup->shape.filters > 0 ? setup->shape.filters : 1;
    const unsigned subscribers = setup->shape.consumers > 0 ? setup->shape.consumers : 1;
    bus_load *load = calloc(1, sizeof *load);
    bool ok = load != NULL && open_bus(load, setup);
    for (unsigned i = 0; ok && i < subscribers; i++) {
        ok = subscribe(load, filters);
    }
    if (!ok || !make_messages(load, setup, filters, topics < filters ? topics : filters)) {
        bench_complain("the EventBus cannot be set up");
        bus_load_close(load);
        return NULL;
    }
    return load;
}

void bus_load_close(bus_load *load)
{
    if (load == NULL) {
        return;
    }
    for (unsigned i = 0; i < load->message_count; i++) {
        loom_envelope_unref(load->messages[i].env);
        free(load->messages[i].wire);
    }
    free(load->messages);
    for (unsigned i = 0; i < load->subscriber_count; i++) {
        eventbus_subscriber_close(load->subscribers[i]);
    }
    eventbus_destroy(load->bus);
    loom_tracer_provider_unref(load->provider);
    loom_span_processor_unref(load->processor);
    free(load);
}

uint64_t bus_load_publish(bus_load *load, unsigned count)
{
    load->delivered = 0;
    for (unsigned i = 0; i < count; i++) {
        message *m = &load->messages[load->at];
        load->at = load->at + 1 == load->message_count ? 0 : load->at + 1;
        memcpy(m->wire, loom_envelope_wire(m->env).data, ENVELOPE_PREFIX_SIZE); /* ttl and hop as they came */
        if (!check(eventbus_publish(load->bus, NULL, &m->view, m->wire, NULL), "publish")) {
            return 0;
        }
    }
    return load->delivered;
}
