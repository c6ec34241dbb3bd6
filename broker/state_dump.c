/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/state_dump.h"

#include <string.h>

enum { SHOWN = 25 }; /* of each kind: the largest */

#define STR(s) (int)(s).len, (s).data
#define LLU(n) (unsigned long long)(n)

/* ---- the largest of many ---- */

typedef struct ranked {
    uint64_t size;
    union {
        eventbus_subscriber_stats subscriber;
        eventbus_subscription_stats subscription;
    } u;
} ranked;

typedef struct ranking {
    ranked items[SHOWN]; /* the largest first */
    size_t count;
    uint64_t left_out;
} ranking;

static void rank(ranking *r, const ranked *item)
{
    size_t at = r->count;
    while (at > 0 && r->items[at - 1].size < item->size) {
        at--;
    }
    r->left_out += r->count == SHOWN;
    if (at == SHOWN) {
        return;
    }
    const size_t moved = (r->count < SHOWN ? r->count : SHOWN - 1) - at;
    memmove(&r->items[at + 1], &r->items[at], moved * sizeof *r->items);
    r->items[at] = *item;
    r->count += r->count < SHOWN;
}

static void tell_left_out(const ranking *r, logger *log, const char *what)
{
    if (r->left_out > 0) {
        log_info(log, "state %s left out, smaller ones count=%llu", what, LLU(r->left_out));
    }
}

/* ---- memory by owner ---- */

static bool rank_subscriber(void *user, const eventbus_subscriber_stats *s)
{
    rank(user, &(ranked){.size = s->queued_bytes + s->filter_bytes, .u.subscriber = *s});
    return true;
}

static void dump_memory(const broker_cores *cores, logger *log)
{
    const eventbus_memory m = eventbus_get_memory(cores->events);
    const action_stats a = actionbroker_get_stats(cores->actions);
    ranking r = {.count = 0};
    log_info(log, "state memory queued_messages=%llu subscriptions=%llu spare_blocks=%llu capabilities=%llu call_cache=%llu calls_kept=%llu",
             LLU(m.messages), LLU(m.filters), LLU(m.spare), LLU(a.capability_bytes), LLU(a.cache_bytes), LLU(a.kept_bytes));
    eventbus_visit_subscribers(cores->events, rank_subscriber, &r);
    for (size_t i = 0; i < r.count; i++) {
        const eventbus_subscriber_stats *s = &r.items[i].u.subscriber;
        log_info(log, "state memory of agent=%.*s queued_bytes=%llu subscription_bytes=%llu subscriptions=%u taken=%llu credit=%llu",
                 STR(s->name), LLU(s->queued_bytes), LLU(s->filter_bytes), s->subscriptions, LLU(s->taken), LLU(s->credit));
    }
    tell_left_out(&r, log, "agents");
}

/* ---- queues ---- */

static bool rank_queue(void *user, const eventbus_subscription_stats *s)
{
    if (s->queued > 0 || s->dropped > 0) {
        rank(user, &(ranked){.size = s->queued_bytes, .u.subscription = *s});
    }
    return true;
}

static void dump_queues(const broker_cores *cores, logger *log)
{
    ranking r = {.count = 0};
    eventbus_visit_unwell(cores->events, rank_queue, &r);
    for (size_t i = 0; i < r.count; i++) {
        const eventbus_subscription_stats *s = &r.items[i].u.subscription;
        log_info(log, "state queue agent=%.*s filter=%.*s queued=%u queued_bytes=%u delivered=%llu dropped=%llu state=%s",
                 STR(s->subscriber), STR(s->filter), s->queued, s->queued_bytes, LLU(s->delivered), LLU(s->dropped),
                 s->pressing ? "holds_publishers" : s->overdue ? "overdue" : "well");
    }
    tell_left_out(&r, log, "queues");
}

/* ---- calls ---- */

typedef struct call_dump {
    logger *log;
    unsigned count;
} call_dump;

static bool dump_call(void *user, const action_call_info *c)
{
    call_dump *d = user;
    if (d->count++ < SHOWN) {
        log_info(d->log, "state call caller=%.*s capability=%.*s provider=%.*s attempts=%u bytes=%u left_ms=%llu", STR(c->caller),
                 STR(c->capability), STR(c->provider), c->attempts, c->size, LLU(c->left_ms));
    }
    return true;
}

void broker_dump(const broker_cores *cores, logger *log)
{
    call_dump d = {log, 0};
    dump_memory(cores, log);
    dump_queues(cores, log);
    actionbroker_visit_calls(cores->actions, dump_call, &d);
    if (d.count > SHOWN) {
        log_info(log, "state calls left out count=%u", d.count - SHOWN);
    }
}
