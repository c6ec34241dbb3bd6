/* SPDX-License-Identifier: Apache-2.0 */
/* One hub for each loop, found among the loop's handles, so nothing is global. It lives as long as anybody uses it. */
#include <stdlib.h>

#include "host/net/sp/internal.h"

/* Peers that are busy when it begins, not too many of them; the others, and who becomes busy meanwhile, are next, after the
 * others of the loop had their turn. */
static void run(sp_hub *hub)
{
    for (unsigned left = hub->busy_count < SP_ROUND_PEERS ? hub->busy_count : SP_ROUND_PEERS; left > 0 && hub->busy != NULL; left--) {
        sp_peer *p = hub->busy;
        sp_hub_not_busy(hub, p);
        p->run(p);
    }
}

static void on_before(uv_prepare_t *handle)
{
    run(handle->data);
}

static void on_after(uv_check_t *handle)
{
    run(handle->data);
}

static void on_awake(uv_idle_t *handle)
{
    (void)handle;
}

void sp_hub_busy(sp_hub *hub, sp_peer *p)
{
    if (p->busy) {
        return;
    }
    p->busy = true;
    p->next_busy = NULL;
    p->prev_busy = hub->last_busy;
    if (hub->last_busy != NULL) {
        hub->last_busy->next_busy = p;
    } else {
        hub->busy = p;
        uv_idle_start(&hub->awake, on_awake);
    }
    hub->last_busy = p;
    hub->busy_count++;
}

void sp_hub_not_busy(sp_hub *hub, sp_peer *p)
{
    if (!p->busy) {
        return;
    }
    p->busy = false;
    if (p->prev_busy != NULL) {
        p->prev_busy->next_busy = p->next_busy;
    } else {
        hub->busy = p->next_busy;
    }
    if (p->next_busy != NULL) {
        p->next_busy->prev_busy = p->prev_busy;
    } else {
        hub->last_busy = p->prev_busy;
    }
    if (--hub->busy_count == 0) {
        uv_idle_stop(&hub->awake);
    }
}

/* ---- deadlines ---- */

static void on_timer(uv_timer_t *timer)
{
    sp_hub *hub = timer->data;
    for (uint64_t now = uv_now(hub->loop); hub->deadlines != NULL && hub->deadlines->at_ms <= now;) {
        sp_deadline *d = hub->deadlines;
        sp_deadline_clear(hub, d);
        d->passed(d);
    }
}

static void aim(sp_hub *hub)
{
    if (uv_is_closing((uv_handle_t *)&hub->timer)) {
        return;
    }
    if (hub->deadlines == NULL) {
        uv_timer_stop(&hub->timer);
        return;
    }
    uint64_t now = uv_now(hub->loop), at = hub->deadlines->at_ms;
    uv_timer_start(&hub->timer, on_timer, at > now ? at - now : 0, 0);
}

void sp_deadline_set(sp_hub *hub, sp_deadline *d, uint64_t in_ms)
{
    sp_deadline_clear(hub, d);
    d->at_ms = uv_now(hub->loop) + in_ms;
    d->set = true;
    sp_deadline *before = hub->last_deadline; /* most are of one length, and go to the end */
    while (before != NULL && before->at_ms > d->at_ms) {
        before = before->prev;
    }
    d->prev = before;
    d->next = before != NULL ? before->next : hub->deadlines;
    if (d->next != NULL) {
        d->next->prev = d;
    } else {
        hub->last_deadline = d;
    }
    if (before != NULL) {
        before->next = d;
    } else {
        hub->deadlines = d;
        aim(hub);
    }
}

void sp_deadline_clear(sp_hub *hub, sp_deadline *d)
{
    if (!d->set) {
        return;
    }
    d->set = false;
    if (d->next != NULL) {
        d->next->prev = d->prev;
    } else {
        hub->last_deadline = d->prev;
    }
    if (d->prev != NULL) {
        d->prev->next = d->next;
    } else {
        hub->deadlines = d->next;
        aim(hub);
    }
}

/* ---- pieces ---- */

sp_piece *sp_piece_get(sp_hub *hub, size_t room)
{
    sp_piece *piece = hub->spare;
    size_t usual = SP_PIECE_SIZE - sizeof *piece;
    if (room <= usual && piece != NULL) {
        hub->spare = piece->next;
        hub->spare_count--;
    } else {
        size_t cap = room > usual ? room : usual;
        if ((piece = malloc(sizeof *piece + cap)) == NULL) {
            return NULL;
        }
        piece->cap = cap;
    }
    piece->next = NULL;
    piece->start = piece->end = 0;
    return piece;
}

void sp_piece_put(sp_hub *hub, sp_piece *piece)
{
    if (piece->cap == SP_PIECE_SIZE - sizeof *piece && hub->spare_count < SP_SPARE_PIECES) {
        piece->next = hub->spare;
        hub->spare = piece;
        hub->spare_count++;
    } else {
        free(piece);
    }
}

/* ---- life ---- */

static void find(uv_handle_t *handle, void *found)
{
    if (handle->type == UV_PREPARE && ((uv_prepare_t *)handle)->prepare_cb == on_before && !uv_is_closing(handle)) {
        *(sp_hub **)found = handle->data;
    }
}

static loom_status create(sp_hub **out, uv_loop_t *loop)
{
    sp_hub *hub = calloc(1, sizeof *hub);
    if (hub == NULL) {
        return LOOM_ENOMEM;
    }
    hub->loop = loop;
    hub->shared = (sp_buffer){malloc(SP_READ_SIZE), SP_READ_SIZE};
    if (hub->shared.data == NULL) {
        free(hub);
        return LOOM_ENOMEM;
    }
    /* these cannot fail */
    uv_prepare_init(loop, &hub->before);
    uv_check_init(loop, &hub->after);
    uv_idle_init(loop, &hub->awake);
    uv_timer_init(loop, &hub->timer);
    hub->before.data = hub->after.data = hub->awake.data = hub->timer.data = hub;
    hub->handles = 4;
    uv_prepare_start(&hub->before, on_before);
    uv_check_start(&hub->after, on_after);
    uv_unref((uv_handle_t *)&hub->before); /* the sockets keep the loop running */
    uv_unref((uv_handle_t *)&hub->after);
    *out = hub;
    return LOOM_OK;
}

loom_status sp_hub_get(sp_hub **out, uv_loop_t *loop)
{
    *out = NULL;
    uv_walk(loop, find, out);
    loom_status st = *out != NULL ? LOOM_OK : create(out, loop);
    if (st == LOOM_OK) {
        (*out)->users++;
    }
    return st;
}

static void on_closed(uv_handle_t *handle)
{
    sp_hub *hub = handle->data;
    if (--hub->handles > 0) {
        return;
    }
    void (*released)(void *user) = hub->released;
    void *user = hub->released_user;
    for (sp_piece *piece = hub->spare, *next; piece != NULL; piece = next) {
        next = piece->next;
        free(piece);
    }
    free(hub->shared.data);
    free(hub);
    if (released != NULL) {
        released(user);
    }
}

void sp_hub_release(sp_hub *hub, void (*released)(void *user), void *user)
{
    if (--hub->users > 0) {
        if (released != NULL) {
            released(user);
        }
        return;
    }
    hub->released = released;
    hub->released_user = user;
    uv_close((uv_handle_t *)&hub->before, on_closed);
    uv_close((uv_handle_t *)&hub->after, on_closed);
    uv_close((uv_handle_t *)&hub->awake, on_closed);
    uv_close((uv_handle_t *)&hub->timer, on_closed);
}
