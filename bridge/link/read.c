/* SPDX-License-Identifier: Apache-2.0 */
/* From the carrier to the session.
 *
 * All links share the loop's one read buffer. The start of a frame whose rest has not come is kept aside and put in front of
 * the next bytes, so the session always sees whole frames in one piece. A frame that is larger than the shared buffer, or
 * that the next bytes did not complete, collects in the link's own memory: however small the pieces it comes in, each byte
 * of it is moved a few times at most. What has been read of it counts in its session's turn, so that a large one is read in
 * several rounds while others wait.
 *
 * What collects there is lent to the session, so that a large message is kept where it lies by whoever it goes to.
 *
 * A link whose session has had its turn is held: what it has read waits in its own memory, nothing more is read, and the
 * held links take their next turns one after the other in each round, after everybody else has been read. Little is read at
 * once from a link that was held, so that what waits has not been copied in vain.
 *
 * What all links keep is bounded. Near the bound they read in small pieces, and a large frame waits until others are
 * complete; a frame that does not come on while others wait costs its session, and so does whatever does not fit at all. */
#include "bridge/link/link.h"

#include <string.h>

/* ---- the memory of half frames ---- */

void link_release(link_t *l)
{
    l->server->kept_bytes -= l->partial_cap;
    shared_bytes_unref(l->block);
    l->block = NULL;
    l->partial = NULL;
    l->partial_cap = l->partial_len = l->partial_at = 0;
}

static bool is_scarce(const link_server *server)
{
    return server->kept_bytes > LINK_KEPT_MAX / 2;
}

/* Room for want bytes, with len of data (which may lie in the old room) at its start. */
static loom_status move_to_room(link_t *l, size_t want, const uint8_t *data, size_t len)
{
    link_server *server = l->server;
    if (l->partial != NULL && want <= l->partial_cap && l->block->refs == 1) {
        if (data != l->partial) { /* else it stays where it is, however often this comes by */
            memmove(l->partial, data, len);
        }
    } else {
        if (server->kept_bytes - l->partial_cap + want > LINK_KEPT_MAX) {
            return LOOM_EFULL;
        }
        shared_bytes *grown = shared_bytes_create(server->blocks, want);
        if (grown == NULL) {
            return LOOM_ENOMEM;
        }
        if (data != NULL) {
            memcpy(grown->data, data, len);
        }
        link_release(l);
        l->block = grown;
        l->partial = grown->data;
        l->partial_cap = want;
        server->kept_bytes += want;
    }
    l->partial_at = 0;
    l->partial_len = len;
    return LOOM_OK;
}

static void no_room(link_t *l, loom_status why)
{
    l->server->stats.frames_refused++;
    session_fail(l->session, why, why == LOOM_ENOMEM ? "the bridge is out of memory"
                                                     : "no room for another half-received frame: the agents of this bridge "
                                                       "send too many at once");
}

/* ---- pausing ---- */

void link_pause(link_t *l, linked_list *list)
{
    l->paused = list;
    list_append(list, &l->paused_node);
    l->carrier->pause(l, true);
}

void link_unpause(link_t *l)
{
    if (l->paused != NULL) {
        list_remove(l->paused, &l->paused_node);
        l->paused = NULL;
    }
}

static void resume(link_t *l)
{
    link_unpause(l);
    if (!l->closing) {
        l->carrier->pause(l, false);
    }
}

/* ---- reading ---- */

uint8_t *link_room(link_t *l, size_t *room)
{
    if (l->paused != NULL || !session_is_fresh(l->session)) {
        *room = 0;
        return NULL;
    }
    if (l->apart) {
        const size_t most = l->read_max < LINK_PIECE ? l->read_max : LINK_PIECE;
        *room = l->partial_cap - l->partial_len < most ? l->partial_cap - l->partial_len : most;
        return l->partial + l->partial_len;
    }
    if (l->partial_len > 0) {
        memcpy(l->server->read_buffer, l->partial, l->partial_len);
    }
    *room = LINK_READ_SIZE - l->partial_len;
    if (*room > l->read_max) {
        *room = l->read_max;
    }
    if (is_scarce(l->server) && *room > LINK_SCARCE_READ) {
        *room = LINK_SCARCE_READ;
    }
    return l->server->read_buffer + l->partial_len;
}

/* Keeps the start of a frame, with room for all of it when the rest is to be read behind it. */
static void keep(link_t *l, const uint8_t *data, size_t len)
{
    link_server *server = l->server;
    bool waits = l->apart && l->need > l->partial_cap && is_scarce(server);
    loom_status st = move_to_room(l, l->apart && !waits ? l->need : len, data, len);
    if (st != LOOM_OK) {
        no_room(l, st);
    } else if (waits) {
        link_pause(l, &server->waiting);
    }
}

/* The turn is over: the rest of what was read waits for the next one. own: in the link's own memory, where it lies. */
static void hold(link_t *l, uint8_t *data, size_t len, bool own)
{
    l->apart = false;
    l->read_max = LINK_READ_BESIDE;
    if (own) {
        l->partial_at = (size_t)(data - l->partial);
        l->partial_len = len;
    } else {
        loom_status st = move_to_room(l, len, data, len);
        if (st != LOOM_OK) {
            no_room(l, st);
            return;
        }
    }
    link_pause(l, session_is_ahead(l->session) ? &l->server->ahead : &l->server->held);
}

/* data: what was kept, and what has come behind it. kept: there was something. */
static void take(link_t *l, uint8_t *data, size_t have, bool kept)
{
    size_t need;
    const bool own = l->partial != NULL && data >= l->partial && data < l->partial + l->partial_cap;
    if (own) {
        bridge_lend(l->server->bridge, l->block);
    }
    size_t used = session_receive(l->session, data, have, &need);
    if (own) {
        bridge_lend(l->server->bridge, NULL);
    }
    if (used > 0) {
        l->delays = 0;
    }
    if (l->ended) {
        l->apart = false;
    } else if (used < have && session_is_spent(l->session)) {
        hold(l, data + used, have - used, own);
    } else {
        l->need = need;
        l->apart = need > LINK_READ_SIZE || (used == 0 && kept && need > have);
        if (used < have) {
            keep(l, data + used, have - used);
        }
    }
    if (l->ended) { /* by what it sent, or for want of room */
        l->apart = false;
        l->partial_len = l->partial_at = 0;
    }
    if (l->partial_len == 0 && l->block != NULL && (l->block->refs > 1 || (l->partial_cap > LINK_KEEP_SIZE && is_scarce(l->server)))) {
        link_release(l);
    }
}

void link_received(link_t *l, size_t len)
{
    uint8_t *data = l->apart ? l->partial : l->server->read_buffer;
    bool kept = l->partial_len > 0;
    size_t have = l->partial_len + len;
    link_server_woke(l->server);
    l->active = true;
    l->partial_len = 0;
    if (len >= l->read_max && l->read_max < LINK_READ_SIZE) {
        l->read_max *= 2;
    }
    take(l, data, have, kept);
    if (l->apart && l->partial_len > 0 && !session_goes_on(l->session, len)) {
        l->read_max = LINK_READ_BESIDE;
    }
    link_server_flush_some(l->server);
}

/* Behind what is kept already. */
static void hold_more(link_t *l, const uint8_t *data, size_t len)
{
    const size_t have = l->partial_len;
    if (l->partial == NULL || l->partial_at + have + len > l->partial_cap) {
        loom_status st = move_to_room(l, 2 * have + len, l->partial + l->partial_at, have);
        if (st != LOOM_OK) {
            no_room(l, st);
            return;
        }
    }
    memcpy(l->partial + l->partial_at + have, data, len);
    l->partial_len += len;
    if (l->paused == NULL) {
        l->apart = false;
        link_pause(l, &l->server->held);
    }
}

void link_push(link_t *l, const uint8_t *data, size_t len)
{
    while (len > 0 && !l->closing && !l->ended) {
        size_t room;
        uint8_t *at = link_room(l, &room);
        if (at == NULL) {
            hold_more(l, data, len);
            return;
        }
        size_t part = len < room ? len : room;
        memcpy(at, data, part);
        data += part;
        len -= part;
        link_received(l, part);
    }
}

/* ---- rounds ---- */

static void take_turn(link_t *l)
{
    uint8_t *data = l->partial + l->partial_at;
    const size_t have = l->partial_len;
    link_unpause(l);
    l->partial_len = 0;
    l->active = true;
    take(l, data, have, false);
    if (l->paused == NULL) {
        resume(l);
    }
}

/* The memory for the whole frame is there now. What was pushed meanwhile may complete it already. */
static void end_wait(link_t *l)
{
    const size_t have = l->partial_len;
    loom_status st = move_to_room(l, l->need > have ? l->need : have, l->partial + l->partial_at, have);
    if (st != LOOM_OK) {
        no_room(l, st);
    } else if (have >= l->need) {
        link_unpause(l);
        l->apart = false;
        link_pause(l, &l->server->held);
        return;
    }
    resume(l);
}

/* Those that need not wait for the broker any more get in line. */
static void end_ahead(link_server *server)
{
    for (list_node *node = server->ahead.first, *next; node != NULL; node = next) {
        next = node->next;
        link_t *l = list_item(node, link_t, paused_node);
        if (!session_is_ahead(l->session)) {
            link_unpause(l);
            l->paused = &server->held;
            list_append(&server->held, node);
        }
    }
}

/* These two only keep the loop from sleeping: at all, or for long. */
static void on_spin(uv_idle_t *spin)
{
    (void)spin;
}

static void on_late(uv_timer_t *timer)
{
    link_server_woke(timer->data);
}

void link_server_stay_awake(link_server *server)
{
    uv_idle_start(&server->spin, on_spin);
}

static link_t *first_of(const linked_list *list)
{
    return list_item(list->first, link_t, paused_node);
}

void link_server_new_round(link_server *server)
{
    bridge_new_round(server->bridge);
    link_server_tick_some(server);
    while (server->waiting.first != NULL && !is_scarce(server)) {
        end_wait(first_of(&server->waiting));
    }
    end_ahead(server);
    server->write_left = LINK_WRITE_ROUND;
    link_server_close_lost(server);
}

void link_server_set_alarm(link_server *server)
{
    if (server->held.first != NULL || server->flying.first != NULL || server->dirty.first != NULL || server->lost.first != NULL ||
        server->to_tick != NULL || server->listener_waits || bridge_goes_on(server->bridge)) {
        link_server_stay_awake(server);
    } else {
        uv_idle_stop(&server->spin);
    }
    if (server->ahead.first == NULL && !bridge_holds_spans(server->bridge)) {
        uv_timer_stop(&server->late);
    } else if (!uv_is_active((uv_handle_t *)&server->late)) {
        uv_timer_start(&server->late, on_late, LINK_AHEAD_MS, LINK_AHEAD_MS);
    }
}

void link_server_take_turns(link_server *server)
{
    end_ahead(server);
    /* whoever is held again in this round stands behind those that have not had their turn, and is spent */
    while (server->held.first != NULL && session_is_fresh(first_of(&server->held)->session)) {
        take_turn(first_of(&server->held));
    }
}

void link_check_delay(link_t *l)
{
    if (l->server->waiting.first != NULL && l->apart && l->paused == NULL && l->partial_len > 0 &&
        ++l->delays >= LINK_DELAYS_MAX) {
        l->server->stats.frames_refused++;
        session_fail(l->session, LOOM_ETIMEDOUT, "the rest of a frame did not come while others waited for its memory");
    }
}
