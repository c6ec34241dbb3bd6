/* SPDX-License-Identifier: Apache-2.0 */
/* A connection between its carrier and its session: its life, and what it writes (read.c reads).
 *
 * Writing: the session's outgoing bytes and those in flight are two buffers that change places. The first message leaves
 * at the end of the round that brought it; what collects while it is in flight leaves together after it. The kernel copies
 * whatever it is given, so a long flight leaves in pieces, and goes on in the next round while others wait. */
#include "bridge/link/link.h"

static void flush(link_t *l);

static void mark_dirty(link_t *l)
{
    if (!l->dirty) {
        l->dirty = true;
        list_append(&l->server->dirty, &l->dirty_node);
        link_server_stay_awake(l->server); /* what it says may come when the server has looked for the last time before the loop sleeps */
    }
}

static void on_output(void *user)
{
    mark_dirty(user);
}

static void on_ended(void *user)
{
    link_t *l = user;
    l->ended = true;
    l->close_by_ms = uv_now(l->server->loop) + l->server->options.linger_ms;
    mark_dirty(l);
}

static const session_io io = {on_output, on_ended, link_others_wait};

loom_status link_init(link_t *l, link_server *server, const link_carrier *carrier, const char *peer)
{
    l->carrier = carrier;
    l->server = server;
    l->read_max = LINK_READ_BESIDE;
    l->fd = -1;
    frame_writer_init(&l->flight);
    uv_update_time(server->loop); /* how long it may take to say hello counts from here */
    link_server_woke(server);
    loom_status st = session_open(server->bridge, &l->session, &io, l, peer);
    if (st != LOOM_OK) {
        return st;
    }
    l->next = server->links;
    if (l->next != NULL) {
        l->next->prev = l;
    }
    server->links = l;
    link_server_await_hello(server);
    return LOOM_OK;
}

void link_log_refusal(link_server *server, const char *peer, loom_status why)
{
    bridge_log_refusal(server->bridge, peer, why == LOOM_ENOMEM ? loom_status_text(why) : "no room for another agent");
}

void link_put_refusal(frame_writer *w, loom_status why)
{
    static const char text[] = "the bridge has no room for another agent";
    const frame_outcome f = {.status = (uint64_t)(why == LOOM_EBUSY ? LOOM_EFULL : why), .text = {text, sizeof text - 1}};
    if (frame_put_outcome(w, FRAME_ERROR, &f) != LOOM_OK) {
        frame_writer_clear(w);
    }
}

static void leave_flying(link_t *l)
{
    if (l->flies) {
        l->flies = false;
        list_remove(&l->server->flying, &l->flying_node);
    }
}

static void close_link(link_t *l)
{
    if (!l->closing) {
        l->closing = true;
        leave_flying(l);
        l->carrier->close(l);
    }
}

void link_broken(link_t *l)
{
    link_server *server = l->server;
    l->ended = true;
    if (server->ends_left > 0 || server->closing) {
        server->ends_left -= server->ends_left > 0;
        close_link(l);
    } else if (!l->closing && l->paused != &server->lost) {
        link_unpause(l);
        link_pause(l, &server->lost);
    }
}

void link_server_close_lost(link_server *server)
{
    server->ends_left = LINK_ENDS_ROUND;
    while (server->lost.first != NULL && server->ends_left > 0) {
        link_t *l = list_item(server->lost.first, link_t, paused_node);
        link_unpause(l);
        link_broken(l);
    }
}

static void leave_dirty(link_t *l)
{
    if (l->dirty) {
        l->dirty = false;
        list_remove(&l->server->dirty, &l->dirty_node);
    }
}

void link_gone(link_t *l)
{
    link_server *server = l->server;
    link_server_woke(server);
    if (l->session != NULL) {
        if (l->unsent > 0 && splices_merge(&l->spliced, &l->flight) && l->unsent <= l->flight.len) {
            session_give_back(l->session, (loom_bytes){l->flight.data, l->flight.len}, l->flight.len - l->unsent);
        }
        session_close(l->session);
    }
    leave_dirty(l);
    link_unpause(l);
    server->to_tick = server->to_tick == l ? l->next : server->to_tick;
    if (l->prev != NULL) {
        l->prev->next = l->next;
    } else if (server->links == l) {
        server->links = l->next;
    }
    if (l->next != NULL) {
        l->next->prev = l->prev;
    }
    frame_writer_fini(&l->flight);
    splices_clear(&l->spliced);
    link_release(l);
    link_server_left(server);
}

/* ---- writing ---- */

size_t link_flight_left(const link_t *l)
{
    return l->flight.len + l->spliced.bytes - l->flown - l->piece;
}

static void stay_in_the_air(link_t *l)
{
    if (!l->closing) {
        l->flies = true;
        list_append(&l->server->flying, &l->flying_node);
    }
}

static bool at_splice(const link_t *l)
{
    return l->next_splice != NULL && l->next_splice->at == l->flight_at;
}

/* What lies in one place and goes next. */
static loom_bytes next_bytes(const link_t *l)
{
    if (at_splice(l)) {
        return (loom_bytes){l->next_splice->bytes.data + l->splice_at, l->next_splice->bytes.len - l->splice_at};
    }
    const size_t end = l->next_splice != NULL ? l->next_splice->at : l->flight.len;
    return (loom_bytes){l->flight.data + l->flight_at, end - l->flight_at};
}

static void pass_piece(link_t *l)
{
    if (!at_splice(l)) {
        l->flight_at += l->piece;
    } else if ((l->splice_at += l->piece) == l->next_splice->bytes.len) {
        l->next_splice = l->next_splice->next;
        l->splice_at = 0;
    }
    l->flown += l->piece;
    l->piece = 0;
}

static void send_piece(link_t *l)
{
    const loom_bytes next = next_bytes(l);
    link_server *server = l->server;
    const size_t most = at_splice(l) ? LINK_PIECE : LINK_WRITE_PIECE;
    l->piece = next.len < most ? next.len : most;
    if (link_flight_left(l) > 0 || l->flown > 0) {
        server->write_left -= l->piece < server->write_left ? l->piece : server->write_left;
    }
    l->carrier->send(l, next.data, l->piece);
}

/* Another piece of the same flight in this round: not beside others, unless the last one was nothing much. */
static bool goes_on(link_t *l, size_t sent)
{
    return l->flies && (sent < LINK_PIECE_SMALL ||
                        (l->server->flying.first == l->server->flying.last && l->server->write_left > 0 && !link_others_wait(l)));
}

/* Piece by piece, as long as the kernel takes them at once. */
static void fly(link_t *l)
{
    size_t before;
    do {
        leave_flying(l);
        before = l->flown;
        send_piece(l);
    } while (goes_on(l, l->flown - before));
}

void link_server_fly_on(link_server *server)
{
    const list_node *last = server->flying.last, *node = NULL;
    while (node != last && server->flying.first != NULL && server->write_left > 0) {
        node = server->flying.first;
        link_t *l = list_item(server->flying.first, link_t, flying_node);
        fly(l);
    }
}

static void flush(link_t *l)
{
    frame_writer *out = session_output(l->session);
    session_end_doomed(l->session);
    if (l->sending || l->closing) {
        return;
    }
    session_before_send(l->session);
    if (out->len == 0) {
        if (l->ended) {
            close_link(l);
        }
        return;
    }
    frame_writer_seal(out);
    frame_writer empty = l->flight;
    l->flight = *out;
    *out = empty;
    l->spliced = session_take_splices(l->session);
    l->next_splice = l->spliced.first;
    l->sending = true;
    l->active = true;
    if (link_flight_left(l) <= LINK_WRITE_PIECE || l->server->write_left > 0) {
        fly(l);
    } else {
        stay_in_the_air(l);
    }
    if (l->sending) {
        session_sent(l->session, link_flight_left(l) + l->piece);
    }
}

/* A session that is over must not live on in a peer that does not read. */
void link_expire(link_t *l, uint64_t now_ms)
{
    if (l->ended && now_ms >= l->close_by_ms) {
        close_link(l);
    }
}

void link_sent(link_t *l, bool ok)
{
    if (!ok) {
        l->sending = false;
        link_broken(l); /* what it has not taken is looked at in the end */
        return;
    }
    pass_piece(l);
    if (link_flight_left(l) > 0) {
        stay_in_the_air(l);
        session_sent(l->session, link_flight_left(l));
        return;
    }
    l->sending = false;
    l->flown = l->flight_at = 0;
    frame_writer_clear(&l->flight);
    splices_clear(&l->spliced);
    session_sent(l->session, 0);
    if (session_output(l->session)->len > 0 || l->ended) {
        mark_dirty(l);
    }
}

/* Returns how many bytes it had to say. */
static size_t flush_one(link_t *l)
{
    const size_t unsent = session_unsent(l->session);
    leave_dirty(l);
    flush(l);
    return unsent;
}

/* What has just come leaves first, so that nobody waits for a message to thousands. */
void link_server_flush_some(link_server *server)
{
    size_t bytes = 0;
    for (unsigned count = 1; server->dirty.first != NULL && count <= LINK_FLUSH && bytes < LINK_FLUSH_BYTES; count++) {
        list_node *next = count % LINK_FLUSH_NEWEST == 0 ? server->dirty.first : server->dirty.last;
        bytes += flush_one(list_item(next, link_t, dirty_node));
    }
}

void link_server_flush(link_server *server)
{
    while (server->dirty.first != NULL) {
        (void)flush_one(list_item(server->dirty.first, link_t, dirty_node));
    }
}
