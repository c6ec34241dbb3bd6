/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/subscription_metrics.h"

#include "host/metrics.h"

typedef struct subscription_writer {
    FILE *out;
    const char *name;
    bool queued; /* what waits; otherwise what was lost */
} subscription_writer;

/* Only subscriptions that lost messages or have a backlog: the slow ones. All others would be noise. */
static bool write_subscription(void *user, const eventbus_subscription_stats *s)
{
    const subscription_writer *w = user;
    char label[LOOM_AGENT_ID_MAX + LOOM_TOPIC_MAX + 2];
    if (s->dropped > 0 || s->queued > 0) {
        int len = snprintf(label, sizeof label, "%.*s %.*s", (int)s->subscriber.len, s->subscriber.data, (int)s->filter.len,
                           s->filter.data);
        metrics_sample(w->out, w->name, "subscription", (loom_str){label, (size_t)len}, w->queued ? s->queued : s->dropped);
    }
    return true;
}

static void write_subscriptions(const eventbus *bus, FILE *out, const char *name, bool queued)
{
    subscription_writer w = {out, name, queued};
    metrics_describe(out, name, queued ? "gauge" : "counter",
                     queued ? "Messages waiting, of slow subscriptions." : "Deliveries lost, of slow subscriptions.");
    eventbus_visit_subscriptions(bus, write_subscription, &w);
}

void subscriptions_write_metrics(const eventbus *bus, FILE *out)
{
    write_subscriptions(bus, out, "loom_subscription_dropped_total", false);
    write_subscriptions(bus, out, "loom_subscription_queued", true);
}
