/* SPDX-License-Identifier: Apache-2.0 */
/* What comes in, by topic, for `loom sub --report`: totals, and rates since the page before. Any thread: it has a lock. */
#ifndef LOOM_TOOLS_TOPIC_RATES_H
#define LOOM_TOOLS_TOPIC_RATES_H

#include <loom/envelope.h>
#include <pthread.h>

#include "tools/loom/live.h"

enum { TOPIC_RATES_MAX = 4096 }; /* topics told apart; further ones count together */

typedef struct topic_rate topic_rate;

typedef struct topic_rates {
    pthread_mutex_t lock; /* guards the rest */
    topic_rate *topics;   /* TOPIC_RATES_MAX + 1 places, found by hash; the last is for all others */
    size_t count;
    uint64_t shown_ns;
} topic_rates;

/* LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status topic_rates_init(topic_rates *r);
void topic_rates_fini(topic_rates *r);
void topic_rates_add(topic_rates *r, const loom_envelope *event);
/* Draws the page, the fastest topics first, and begins the next interval. */
void topic_rates_draw(topic_rates *r, live_page *page);

#endif
