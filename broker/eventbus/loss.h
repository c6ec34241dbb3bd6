/* SPDX-License-Identifier: Apache-2.0 */
/* Telling the operator who is slow and who loses messages: a line when it begins, one a minute while it goes on, one when it
 * is over. Nothing here runs for a message that finds its place.
 *
 *   slow      publishers waited for it in vain, and do not wait for it any longer; nothing is lost yet
 *   losing    a message was dropped
 *   well      nothing was dropped for LOSS_QUIET_MS, and its queue is below half
 *
 * Threads: the bus's. Lines are written inside its calls. */
#ifndef LOOM_BROKER_EVENTBUS_LOSS_H
#define LOOM_BROKER_EVENTBUS_LOSS_H

#include "base/list.h"
#include "broker/eventbus/eventbus.h"

enum {
    LOSS_QUIET_MS = 5000,
    LOSS_REMIND_MS = 60000,
    LOSS_LOOK_MS = 1000,     /* between two looks at those that are unwell */
    LOSS_WATCHED_MAX = 1024, /* that are unwell at a time and get lines of their own */
    LOSS_LINES_A_SECOND = 10 /* of each kind */
};

/* Of a bus. */
typedef struct loss_watch {
    log_sink log;
    linked_list unwell; /* loss_spell */
    uint32_t count;
    uint64_t look_ms;   /* when to look at them next, while there are any */
    rate_limit begun, over, ended, refused;
} loss_watch;

/* One subscription that is unwell. */
typedef struct loss_spell {
    list_node node;
    struct eventbus_subscription *subscription;
    uint64_t began_ms, told_ms, quiet_ms; /* quiet: since when nothing was dropped */
    uint64_t dropped_before, dropped_seen, dropped_told;
    eventbus_drop reason;   /* of the last drop */
    bool losing;            /* otherwise slow */
} loss_spell;

/* It loses its first message, or another one. */
void loss_dropped(struct eventbus_subscription *s, eventbus_drop reason);
/* Publishers have waited for it in vain. */
void loss_slow(struct eventbus_subscription *s);
/* It ends, and what waited for it is lost. Before that is dropped. */
void loss_ended(struct eventbus_subscription *s);
/* It could not begin: a limit was reached. */
void loss_refused(struct eventbus_subscriber *subscriber, loom_str filter, const char *limit);
/* When loss_look() has something to do; UINT64_MAX: never. */
static inline uint64_t loss_next_ms(const loss_watch *w)
{
    return w->count > 0 ? w->look_ms : UINT64_MAX;
}
void loss_look(loss_watch *w, uint64_t now_ms);

#endif
