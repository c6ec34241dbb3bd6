/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/eventbus/loss.h"

#include <inttypes.h>
#include <stdlib.h>

#include "broker/eventbus/internal.h"

static loss_watch *watch_of(const subscription *s)
{
    return &s->subscriber->bus->losses;
}

static uint64_t now_of(const subscription *s)
{
    return s->subscriber->bus->clock->now_ms;
}

/* realtime promises the newest, not all: what it drops is no fault of anybody's. */
static log_level level_of(const subscription *s)
{
    return s->qos == LOOM_QOS_REALTIME ? LOG_INFO : LOG_WARN;
}

static const char *qos_name(const subscription *s)
{
    static const char *const names[LOOM_QOS_COUNT] = {
        [LOOM_QOS_REALTIME] = "realtime", [LOOM_QOS_BATCHED] = "batched", [LOOM_QOS_BACKGROUND] = "background"};
    return names[s->qos];
}

#define WHO "agent=%.*s filter=%.*s qos=%s"
#define WHO_OF(s) \
    (int)(s)->subscriber->name_len, (s)->subscriber->name, (int)(s)->filter_len, (s)->text, qos_name(s)
#define QUEUE "queued=%" PRIu32 " queued_bytes=%" PRIu64
#define QUEUE_OF(s) (s)->queue.count, (uint64_t)(s)->queue.bytes

/* NULL: it is well, nobody listens, or as many as are watched are unwell; those only count in their numbers. */
static loss_spell *spell_of(subscription *s)
{
    loss_watch *w = watch_of(s);
    if (s->spell != NULL || w->log.write == NULL || w->count == LOSS_WATCHED_MAX) {
        return s->spell;
    }
    loss_spell *spell = malloc(sizeof *spell);
    if (spell == NULL) {
        return NULL;
    }
    const uint64_t now = now_of(s);
    *spell = (loss_spell){.subscription = s, .began_ms = now, .told_ms = now, .quiet_ms = now,
                          .dropped_before = s->dropped, .dropped_seen = s->dropped, .dropped_told = s->dropped};
    if (w->count++ == 0) {
        w->look_ms = now + LOSS_LOOK_MS;
    }
    list_append(&w->unwell, &spell->node);
    s->spell = spell;
    return spell;
}

static void forget(loss_spell *spell)
{
    loss_watch *w = watch_of(spell->subscription);
    list_remove(&w->unwell, &spell->node);
    w->count--;
    spell->subscription->spell = NULL;
    free(spell);
}

void loss_slow(subscription *s)
{
    const bool known = s->spell != NULL;
    if (spell_of(s) != NULL && !known) {
        log_to_limited(&watch_of(s)->log, &watch_of(s)->begun, LOSS_LINES_A_SECOND, now_of(s), LOG_WARN,
                       "slow subscription, publishers no longer wait for it " WHO " " QUEUE, WHO_OF(s), QUEUE_OF(s));
    }
}

void loss_dropped(subscription *s, eventbus_drop reason)
{
    loss_spell *spell = reason != EVENTBUS_DROP_GONE ? spell_of(s) : NULL;
    if (spell == NULL) {
        return;
    }
    spell->reason = reason;
    if (!spell->losing) {
        spell->losing = true;
        log_to_limited(&watch_of(s)->log, &watch_of(s)->begun, LOSS_LINES_A_SECOND, now_of(s), level_of(s),
                       "subscription began to lose messages " WHO " reason=%s " QUEUE " lost_before=%" PRIu64, WHO_OF(s),
                       eventbus_drop_name(reason), QUEUE_OF(s), spell->dropped_before);
    }
}

void loss_ended(subscription *s)
{
    loss_watch *w = watch_of(s);
    const uint64_t lost = (s->spell != NULL ? s->dropped - s->spell->dropped_before : 0) + s->queue.count;
    if (lost > 0) {
        log_to_limited(&w->log, &w->ended, LOSS_LINES_A_SECOND, now_of(s), level_of(s),
                       "subscription ended with messages lost " WHO " lost=%" PRIu64 " still_queued=%" PRIu32, WHO_OF(s), lost,
                       s->queue.count);
    }
    if (s->spell != NULL) {
        forget(s->spell);
    }
}

void loss_refused(eventbus_subscriber *subscriber, loom_str filter, const char *limit)
{
    loss_watch *w = &subscriber->bus->losses;
    log_to_limited(&w->log, &w->refused, 1, subscriber->bus->clock->now_ms, LOG_WARN,
                   "subscription refused agent=%.*s filter=%.*s reason=%s", (int)subscriber->name_len, subscriber->name,
                   (int)filter.len, filter.data, limit);
}

static void tell_over(loss_watch *w, const loss_spell *spell, uint64_t now_ms)
{
    const subscription *s = spell->subscription;
    log_to_limited(&w->log, &w->over, LOSS_LINES_A_SECOND, now_ms, LOG_INFO,
                   "subscription has recovered " WHO " lost=%" PRIu64 " duration_ms=%" PRIu64, WHO_OF(s),
                   s->dropped - spell->dropped_before, spell->quiet_ms - spell->began_ms);
}

static void remind(loss_watch *w, loss_spell *spell, uint64_t now_ms)
{
    const subscription *s = spell->subscription;
    if (s->dropped > spell->dropped_told) {
        log_to_limited(&w->log, &w->begun, LOSS_LINES_A_SECOND, now_ms, level_of(s),
                       "subscription still loses messages " WHO " reason=%s lost=%" PRIu64 " duration_ms=%" PRIu64 " " QUEUE,
                       WHO_OF(s), eventbus_drop_name(spell->reason), s->dropped - spell->dropped_told,
                       now_ms - spell->began_ms, QUEUE_OF(s));
    }
    spell->dropped_told = s->dropped;
    spell->told_ms = now_ms;
}

static void look_at(loss_watch *w, loss_spell *spell, uint64_t now_ms)
{
    const subscription *s = spell->subscription;
    if (s->dropped != spell->dropped_seen) {
        spell->dropped_seen = s->dropped;
        spell->quiet_ms = now_ms;
    }
    if (now_ms - spell->quiet_ms >= LOSS_QUIET_MS && s->state == PRESSURE_NONE && s->queue.count <= s->limits.messages / 2) {
        tell_over(w, spell, now_ms);
        forget(spell);
    } else if (now_ms - spell->told_ms >= LOSS_REMIND_MS) {
        remind(w, spell, now_ms);
    }
}

void loss_look(loss_watch *w, uint64_t now_ms)
{
    if (now_ms < loss_next_ms(w)) {
        return;
    }
    for (list_node *node = w->unwell.first, *next; node != NULL; node = next) {
        next = node->next;
        look_at(w, list_item(node, loss_spell, node), now_ms);
    }
    w->look_ms = now_ms + LOSS_LOOK_MS;
}
