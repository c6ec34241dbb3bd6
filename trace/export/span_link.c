/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/export/span_link.h"

#include "base/clock.h"
#include "base/thread.h"
#include "trace/export/exporter.h"
#include "trace/export/processor_state.h"
#include "trace/export/span_pieces.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { PIECE_TARGET = 8 * 1024, PIECE_MAX = 64 * 1024 }; /* bytes: WIRE.md 4.9 */

struct span_link {
    exporter base;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* guarded by lock */
    span_carrier *carriers;
    span_carrier *current;   /* carries the batch; NULL: nobody */
    span_carrier *waking;    /* is being woken just now, without the lock */
    span_pieces pieces;      /* of the batch under way; changed by the exporter thread alone, while nobody is current */
    size_t next, answered;   /* pieces that were taken, and answered: in their order */
    uint64_t refused_before; /* by the current carrier's session, when it began with this batch */
    uint64_t refused;        /* of this batch, by earlier ones */
};

static span_link *of_base(exporter *self)
{
    return (span_link *)self;
}

/* ---- carriers; lock held ---- */

static void let_go(span_link *l)
{
    if (l->current != NULL) {
        l->refused += l->current->refused - l->refused_before;
        l->current = NULL;
    }
    l->next = l->answered; /* what was not answered goes again */
}

static void choose(span_link *l)
{
    span_carrier *c = l->carriers;
    while (c != NULL && c->state != CARRIER_UP) {
        c = c->next;
    }
    l->current = c;
    l->refused_before = c != NULL ? c->refused : 0;
}

static bool can_take(const span_link *l, const span_carrier *c)
{
    return l->current == c && l->next < l->pieces.count && c->taken < c->credit;
}

/* Whether there are some, and all of them have been told that no spans are taken. */
static bool nobody_will(const span_link *l)
{
    const span_carrier *c = l->carriers;
    while (c != NULL && c->state == CARRIER_REFUSED) {
        c = c->next;
    }
    return l->carriers != NULL && c == NULL;
}

/* ---- what carriers call ---- */

void span_link_attach(span_link *l, span_carrier *c)
{
    pthread_mutex_lock(&l->lock);
    c->state = CARRIER_DOWN;
    c->next = NULL;
    span_carrier **at = &l->carriers;
    while (*at != NULL) {
        at = &(*at)->next;
    }
    *at = c;
    pthread_mutex_unlock(&l->lock);
}

void span_link_detach(span_link *l, span_carrier *c)
{
    pthread_mutex_lock(&l->lock);
    span_carrier **at = &l->carriers;
    while (*at != c) {
        at = &(*at)->next;
    }
    *at = c->next;
    if (l->current == c) {
        let_go(l);
    }
    while (l->waking == c) {
        pthread_cond_wait(&l->changed, &l->lock);
    }
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
}

void span_link_up(span_link *l, span_carrier *c, uint64_t credit)
{
    pthread_mutex_lock(&l->lock);
    c->state = credit > 0 ? CARRIER_UP : CARRIER_REFUSED;
    c->credit = credit;
    c->taken = c->sent = c->answered = c->refused = 0;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
}

void span_link_down(span_link *l, span_carrier *c)
{
    pthread_mutex_lock(&l->lock);
    c->state = CARRIER_DOWN;
    if (l->current == c) {
        let_go(l);
    }
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
}

void span_link_answered(span_link *l, span_carrier *c, uint64_t credit, uint64_t spans, uint64_t refused)
{
    pthread_mutex_lock(&l->lock);
    if (c->state == CARRIER_UP) {
        c->credit = credit > c->credit ? credit : c->credit;
        c->answered = spans > c->answered ? spans : c->answered;
        c->refused = refused > c->refused ? refused : c->refused;
    }
    if (l->current == c) {
        while (l->answered < l->next && l->pieces.items[l->answered].end <= c->answered) {
            l->answered++;
        }
        if (l->answered == l->pieces.count) {
            pthread_cond_broadcast(&l->changed);
        }
    }
    pthread_mutex_unlock(&l->lock);
}

bool span_link_has(span_link *l, span_carrier *c)
{
    pthread_mutex_lock(&l->lock);
    const bool has = can_take(l, c);
    pthread_mutex_unlock(&l->lock);
    return has;
}

bool span_link_take(span_link *l, span_carrier *c, loom_status (*put)(void *user, uint64_t spans, loom_bytes request), void *user)
{
    pthread_mutex_lock(&l->lock);
    bool took = can_take(l, c);
    if (took) {
        span_piece *piece = &l->pieces.items[l->next];
        took = put(user, piece->spans, span_piece_bytes(&l->pieces, l->next)) == LOOM_OK;
        if (took) {
            c->taken += piece->len;
            c->sent += piece->spans;
            piece->end = c->sent;
            l->next++;
        }
    }
    pthread_mutex_unlock(&l->lock);
    return took;
}

/* ---- the exporter thread ---- */

/* Lock held, which it gives up meanwhile. */
static void wake(span_link *l)
{
    span_carrier *c = l->current;
    l->waking = c;
    pthread_mutex_unlock(&l->lock);
    c->wake(c);
    pthread_mutex_lock(&l->lock);
    l->waking = NULL;
    pthread_cond_broadcast(&l->changed); /* somebody may wait to detach it */
}

static bool is_stopping(export_deadline until)
{
    return atomic_load_explicit(until.stop_ns, memory_order_acquire) != UINT64_MAX;
}

/* Lock held. True: there is no use in waiting any longer. */
static bool wait_for_change(span_link *l, export_deadline until)
{
    const uint64_t now = clock_monotonic_ns(), deadline = export_deadline_ns(until);
    if (now >= deadline || nobody_will(l) || (l->current == NULL && is_stopping(until))) {
        return true;
    }
    (void)cond_wait_until(&l->changed, &l->lock, deadline);
    return false;
}

/* Lock held. */
static void carry(span_link *l, export_deadline until)
{
    bool over = false;
    while (l->answered < l->pieces.count && !over) {
        if (l->current == NULL) {
            choose(l);
            if (l->current != NULL) {
                wake(l);
                continue; /* much may have happened */
            }
        }
        over = wait_for_change(l, until);
    }
}

static uint64_t spans_left(const span_link *l)
{
    uint64_t spans = 0;
    for (size_t i = l->answered; i < l->pieces.count; i++) {
        spans += l->pieces.items[i].spans;
    }
    return spans;
}

static void say(export_result *result, const char *text)
{
    (void)snprintf(result->message, sizeof result->message, "%s", text);
}

/* Lock held. What has been answered is not sent again: the rest of such a batch counts as lost. */
static void conclude(span_link *l, export_result *result)
{
    const uint64_t left = spans_left(l);
    const bool refusing = nobody_will(l);
    const bool down = l->current == NULL;
    let_go(l);
    result->rejected = l->refused + l->pieces.too_large + left;
    if (left == 0 || l->answered > 0) {
        result->outcome = EXPORT_OK;
        if (left > 0) {
            say(result, "the link broke while spans were sent over it");
        } else if (l->pieces.too_large > 0) {
            say(result, "spans of more than 64 KiB are not sent over the link");
        } else if (l->refused > 0) {
            say(result, "the bridge refused spans; its log says why");
        }
        return;
    }
    result->outcome = refusing ? EXPORT_FAILED : down ? EXPORT_UNREACHABLE : EXPORT_RETRY;
    say(result, refusing                ? "the bridge takes no spans: it exports none itself, denies this service, or is older"
                : l->carriers == NULL   ? "there is no agent in this process whose link could carry spans"
                : down                  ? "no link is up to carry spans"
                                        : "the bridge does not answer the spans that were sent to it");
}

static void link_send(exporter *self, loom_bytes request, export_deadline until, export_result *result)
{
    span_link *l = of_base(self);
    const loom_status st = span_pieces_cut(&l->pieces, request, PIECE_TARGET, PIECE_MAX);
    if (st != LOOM_OK) {
        l->pieces.count = 0;
        result->outcome = EXPORT_FAILED;
        say(result, "no memory to send spans over the link");
        return;
    }
    thread_rest();
    pthread_mutex_lock(&l->lock);
    l->next = l->answered = 0;
    l->refused = 0;
    carry(l, until);
    conclude(l, result);
    l->next = l->answered = l->pieces.count = 0;
    pthread_mutex_unlock(&l->lock);
}

static void link_interrupt(exporter *self)
{
    span_link *l = of_base(self);
    pthread_mutex_lock(&l->lock);
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
}

static void link_close(exporter *self)
{
    span_link *l = of_base(self);
    span_pieces_fini(&l->pieces);
    pthread_cond_destroy(&l->changed);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

static const exporter_ops link_ops = {.send = link_send, .interrupt = link_interrupt, .close = link_close};

loom_status link_exporter_open(exporter **out)
{
    *out = NULL;
    span_link *l = calloc(1, sizeof *l);
    if (l == NULL) {
        return LOOM_ENOMEM;
    }
    l->base.ops = &link_ops;
    span_pieces_init(&l->pieces);
    if (!cond_init(&l->changed)) {
        goto free_link;
    }
    if (pthread_mutex_init(&l->lock, NULL) != 0) {
        goto destroy_cond;
    }
    *out = &l->base;
    return LOOM_OK;

destroy_cond:
    pthread_cond_destroy(&l->changed);
free_link:
    free(l);
    return LOOM_ENOMEM;
}

span_link *processor_span_link(loom_span_processor *p)
{
    return p != NULL && p->main != NULL && p->main->ops == &link_ops ? of_base(p->main) : NULL;
}
