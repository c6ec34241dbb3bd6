/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/subscription_metrics.h"

#include "base/str.h"
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
    eventbus_visit_unwell(bus, write_subscription, &w);
}

void subscriptions_write_metrics(const eventbus *bus, FILE *out)
{
    write_subscriptions(bus, out, "loom_subscription_dropped_total", false);
    write_subscriptions(bus, out, "loom_subscription_queued", true);
}

/* ---- topics and agents ---- */

typedef struct series_writer {
    FILE *out;
    const char *name;
    int what; /* which of the numbers */
    loom_str seen[SERIES_MAX]; /* agents */
    uint32_t seen_count;
    uint32_t left;
} series_writer;

static bool write_topic(void *user, const eventbus_topic_stats *s)
{
    series_writer *w = user;
    if (w->left == 0) {
        return false;
    }
    w->left--;
    metrics_sample(w->out, w->name, "topic", s->topic, w->what == 0 ? s->published : w->what == 1 ? s->delivered : s->dropped);
    return true;
}

static bool write_agent(void *user, const eventbus_subscriber_stats *s)
{
    series_writer *w = user;
    if (w->left == 0) {
        return false;
    }
    for (uint32_t i = 0; i < w->seen_count; i++) { /* a session that another one replaces, while both are there: the newer counts */
        if (str_equal(w->seen[i], s->name)) {
            return true;
        }
    }
    w->left--;
    w->seen[w->seen_count++] = s->name;
    metrics_sample(w->out, w->name, "agent", s->name, w->what == 0 ? s->taken : s->queued_bytes);
    return true;
}

void series_write_metrics(const eventbus *bus, uint32_t most, FILE *out)
{
    static const struct {
        const char *name, *help;
        bool agent;
    } families[] = {
        {"loom_topic_published_total", "Events published to a topic, of the topics used last.", false},
        {"loom_topic_delivered_total", "Deliveries of events of a topic, of the topics used last.", false},
        {"loom_topic_dropped_total", "Deliveries lost of a topic, of the topics used last.", false},
        {"loom_agent_taken_total", "Events handed to an agent, of the agents that came last.", true},
        {"loom_agent_queued_bytes", "Bytes waiting for an agent, of the agents that came last.", true},
    };
    for (size_t i = 0; most > 0 && i < sizeof families / sizeof *families; i++) {
        series_writer w = {.out = out, .name = families[i].name, .what = (int)(families[i].agent ? i - 3 : i),
                           .left = most < SERIES_MAX ? most : SERIES_MAX};
        metrics_describe(out, w.name, i == 4 ? "gauge" : "counter", families[i].help);
        if (families[i].agent) {
            eventbus_visit_subscribers(bus, write_agent, &w);
        } else {
            eventbus_visit_topics(bus, write_topic, &w);
        }
    }
}
