/* SPDX-License-Identifier: Apache-2.0 */
/* Bridges that have gone with their agents. Those are deaf at once: nothing is delivered to them, no group chooses them, and
 * nobody waits for them. The rest of their end, with the news of it, takes a few microseconds for each, and there may be
 * thousands; so they leave the broker in turns, a few in each round. */
#include <stdlib.h>

#include "broker/endpoints/internal.h"

enum { A_TURN = 8 }; /* sessions */

static void close_one(bridge_peer *b, peer_session *session)
{
    number_table_remove(&b->sessions, session->number);
    peer_session_close(session, b->failed);
}

static void close_all(bridge_peer *b)
{
    void *session;
    for (size_t at = 0; number_table_next(&b->sessions, &at, &session); at--) { /* another one may have moved there */
        close_one(b, session);
    }
}

/* False: there is no session left. */
static bool take_turn(bridge_peer *b)
{
    const uint64_t before = work_done(b->server);
    size_t at = 0;
    void *session;
    for (unsigned left = A_TURN; left > 0 && number_table_next(&b->sessions, &at, &session); left--, at--) {
        close_one(b, session);
        left = work_since(b->server, before) < BUS_TURN ? left : 1; /* their news is much work */
    }
    return b->sessions.count > 0;
}

static void forget(bridge_peer *b)
{
    number_table_fini(&b->sessions);
    bus_outgoing_clear(&b->out);
    frame_writer_fini(&b->out.w);
    free(b);
}

static void finish(bridge_peer **at)
{
    bridge_peer *b = *at;
    close_all(b);
    *at = b->next;
    forget(b);
}

void bridge_gone(bridge_peer *b, loom_status why)
{
    bus_server *s = b->server;
    void *session;
    b->failed = why;
    b->takes_parts = false;
    for (size_t at = 0; number_table_next(&b->sessions, &at, &session);) {
        peer_session_deafen(session);
    }
    if (!take_turn(b)) {
        forget(b);
        return;
    }
    b->next = s->bridges.gone;
    s->bridges.gone = b;
}

void bridge_gone_take_turn(bus_server *s)
{
    if (s->bridges.gone != NULL && !take_turn(s->bridges.gone)) {
        finish(&s->bridges.gone);
    }
}

void bridge_gone_finish(bus_server *s, const loom_str *id)
{
    for (bridge_peer **at = &s->bridges.gone; *at != NULL;) {
        const bridge_peer *b = *at;
        if (id == NULL || (b->id_len == id->len && memcmp(b->id, id->data, id->len) == 0)) {
            finish(at);
        } else {
            at = &(*at)->next;
        }
    }
}
