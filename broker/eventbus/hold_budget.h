/* SPDX-License-Identifier: Apache-2.0 */
/* How long one subscriber may make publishers wait: its budget, which outlives its subscriptions and its session.
 *
 * Waiting for a subscriber that keeps up is free. Waiting in vain (it took nothing or too little, or went away meanwhile) is
 * a debt, paid off at some percent of the time that passes. In debt, a subscriber's full queues lose messages at once, so
 * that one that stalls again and again, under new subscriptions or new connections, costs the others that share of their
 * time at most. */
#ifndef LOOM_BROKER_EVENTBUS_HOLD_BUDGET_H
#define LOOM_BROKER_EVENTBUS_HOLD_BUDGET_H

#include <loom/api.h>

enum {
    HOLD_DEBT_MAX_MS = 5000,
    HOLD_NAMES_REMEMBERED = 256 /* of agents that left in debt; of two with one place the later stays */
};

/* All zero: no debt. */
typedef struct hold_budget {
    uint64_t debt_ms, at_ms; /* the debt when it was last counted */
} hold_budget;

typedef struct hold_memory {
    struct {
        uint64_t name; /* its hash */
        hold_budget budget;
    } places[HOLD_NAMES_REMEMBERED];
} hold_memory;

static inline uint64_t hold_debt_ms(const hold_budget *b, uint64_t now_ms, uint32_t percent)
{
    const uint64_t paid_off = (now_ms - b->at_ms) * percent / 100;
    return b->debt_ms > paid_off ? b->debt_ms - paid_off : 0;
}

static inline void hold_spend(hold_budget *b, uint64_t now_ms, uint64_t held_ms, uint32_t percent)
{
    const uint64_t debt = hold_debt_ms(b, now_ms, percent) + held_ms;
    *b = (hold_budget){debt < HOLD_DEBT_MAX_MS ? debt : HOLD_DEBT_MAX_MS, now_ms};
}

static inline void hold_remember(hold_memory *m, uint64_t name, const hold_budget *b)
{
    if (b->debt_ms > 0) {
        m->places[name % HOLD_NAMES_REMEMBERED].name = name;
        m->places[name % HOLD_NAMES_REMEMBERED].budget = *b;
    }
}

static inline hold_budget hold_recall(const hold_memory *m, uint64_t name)
{
    return m->places[name % HOLD_NAMES_REMEMBERED].name == name ? m->places[name % HOLD_NAMES_REMEMBERED].budget
                                                                : (hold_budget){0};
}

#endif
