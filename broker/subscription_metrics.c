/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/subscription_metrics.h"

#include "host/metrics.h"

enum { SERIES_MAX = 1000 }; /* of each metric: more would take the loop long, and nobody reads them */

typedef struct subscription_writer {
    FILE *out;
    const char *name;
    bool queued; /* what waits; otherwise what was lost */
    unsigned count;
} subscription_writer;

/* Only subscriptions that lost messages or have a backlog: the slow ones. All others would be noise. An agent may have
 * several of one filter, so its own number of it is part of the label. */
static bool write_subscription(void *user, const eventbus_subscription_stats *s)
{
    subscription_writer *w = user;
    char label[LOOM_AGENT_ID_MAX + LOOM_TOPIC_MAX + 24];
    if (s->dropped > 0 || s->queued > 0) {
        int len = snprintf(label, sizeof label, "%.*s %.*s %llu", (int)s->subscriber.len, s->subscriber.data,
                           (int)s->filter.len, s->filter.data, (unsigned long long)s->id);
        metrics_sample(w->out, w->name, "subscription", (loom_str){label, (size_t)len}, w->queued ? s->queued : s->dropped);
        w->count++;
    }
    return w->count < SERIES_MAX;
}

static void write_subscriptions(const eventbus *bus, FILE *out, const char *name, bool queued)
{
    subscription_writer w = {.out = out, .name = name, .queued = queued};
    metrics_describe(out, name, queued ? "gauge" : "counter",
                     queued ? "Messages waiting, of slow subscriptions." : "Deliveries lost, of slow subscriptions.");
    eventbus_visit_subscriptions(bus, write_subscription, &w);
}

void subscriptions_write_metrics(const eventbus *bus, FILE *out)
{
    write_subscriptions(bus, out, "loom_subscription_dropped_total", false);
    write_subscriptions(bus, out, "loom_subscription_queued", true);
}
