/* SPDX-License-Identifier: Apache-2.0 */
/* A connection between its carrier and its session.
 *
 * Reading: all links share the loop's one read buffer. The start of a frame whose rest has not come is kept aside and put
 * in front of the next bytes, so the session always sees whole frames in one piece. A frame that is larger than the shared
 * buffer, or that the next bytes did not complete, collects in the link's own memory: however small the pieces it comes in,
 * each byte of it is moved a few times at most.
 * Writing: the session's outgoing bytes and those in flight are two buffers that change places. The first message leaves
 * at the end of the round that brought it; what collects while it is in flight leaves together after it. */
#include "bridge/link/link.h"

#include <stdlib.h>
#include <string.h>

static void flush(link_t *l);

static void mark_dirty(link_t *l)
{
    if (!l->dirty) {
        l->dirty = true;
        l->next_dirty = l->server->dirty;
        l->server->dirty = l;
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

static const session_io io = {on_output, on_ended};

loom_status link_init(link_t *l, link_server *server, const link_carrier *carrier, const char *peer)
{
    l->carrier = carrier;
    l->server = server;
    frame_writer_init(&l->flight);
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
    return LOOM_OK;
}

void link_put_refusal(frame_writer *w, loom_status why)
{
    static const char text[] = "the bridge has no room for another agent";
    const frame_outcome f = {.status = (uint64_t)why, .text = {text, sizeof text - 1}};
    if (frame_put_outcome(w, FRAME_ERROR, &f) != LOOM_OK) {
        frame_writer_clear(w);
    }
}

static void close_link(link_t *l)
{
    if (!l->closing) {
        l->closing = true;
        l->carrier->close(l);
    }
}

void link_broken(link_t *l)
{
    l->ended = true;
    close_link(l);
}

static void leave_dirty(link_t *l)
{
    for (link_t **at = &l->server->dirty; l->dirty && *at != NULL; at = &(*at)->next_dirty) {
        if (*at == l) {
            *at = l->next_dirty;
            l->dirty = false;
            return;
        }
    }
}

void link_gone(link_t *l)
{
    link_server *server = l->server;
    link_server_woke(server);
    if (l->session != NULL) {
        session_close(l->session);
    }
    leave_dirty(l);
    if (l->prev != NULL) {
        l->prev->next = l->next;
    } else if (server->links == l) {
        server->links = l->next;
    }
    if (l->next != NULL) {
        l->next->prev = l->prev;
    }
    frame_writer_fini(&l->flight);
    free(l->partial);
    link_server_left(server);
}

/* ---- reading ---- */

uint8_t *link_room(link_t *l, size_t *room)
{
    if (l->apart) {
        *room = l->partial_cap - l->partial_len;
        return l->partial + l->partial_len;
    }
    if (l->partial_len > 0) {
        memcpy(l->server->read_buffer, l->partial, l->partial_len);
    }
    *room = LINK_READ_SIZE - l->partial_len;
    return l->server->read_buffer + l->partial_len;
}

/* Keeps the start of a frame, with room for all of it when the rest is to be read behind it. */
static bool keep(link_t *l, const uint8_t *data, size_t len)
{
    size_t want = l->apart ? l->need : len;
    if (want > l->partial_cap) {
        uint8_t *grown = malloc(want);
        if (grown == NULL) {
            return false;
        }
        memcpy(grown, data, len);
        free(l->partial);
        l->partial = grown;
        l->partial_cap = want;
    } else {
        memmove(l->partial, data, len);
    }
    l->partial_len = len;
    return true;
}

void link_received(link_t *l, size_t len)
{
    uint8_t *data = l->apart ? l->partial : l->server->read_buffer;
    bool kept = l->partial_len > 0;
    size_t have = l->partial_len + len;
    link_server_woke(l->server);
    l->active = true;
    l->partial_len = 0;
    size_t need;
    size_t used = session_receive(l->session, data, have, &need);
    l->need = need;
    l->apart = need > LINK_READ_SIZE || (used == 0 && kept && need > have);
    if (used < have && !keep(l, data + used, have - used)) {
        link_broken(l);
    }
    if (l->ended) {
        l->apart = false;
        l->partial_len = 0;
    }
    link_server_flush(l->server);
}

/* ---- writing ---- */

static void flush(link_t *l)
{
    frame_writer *out = session_output(l->session);
    session_end_doomed(l->session);
    if (l->sending || l->closing) {
        return;
    }
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
    l->sending = true;
    l->active = true;
    l->carrier->send(l, l->flight.data, l->flight.len);
    if (l->sending) {
        session_sent(l->session, l->flight.len);
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
    l->sending = false;
    frame_writer_clear(&l->flight);
    if (!ok) {
        link_broken(l);
        return;
    }
    session_sent(l->session, 0);
    if (session_output(l->session)->len > 0 || l->ended) {
        mark_dirty(l);
    }
}

void link_server_flush(link_server *server)
{
    while (server->dirty != NULL) {
        link_t *l = server->dirty;
        server->dirty = l->next_dirty;
        l->dirty = false;
        flush(l);
    }
}
