/* SPDX-License-Identifier: Apache-2.0 */
/* Credit of the agents of a bridge. What one of them is owed may be megabytes that a grant sets free at once, and all of it
 * would stand before what others of the same bridge are sent. So a session that waits for credit is given its credit a
 * slice at a time, in turns, while its bridge keeps up. */
#include "broker/endpoints/internal.h"

enum {
    SLICE_BYTES = 256 * 1024, /* worth a round of both loops; */
    SLICE_MESSAGES = 2048     /* and so are as many small ones */
};

static void wait_for_turn(peer_session *session)
{
    if (!session->in_credit_list) {
        session->in_credit_list = true;
        list_append(&session->bridge->credit_due, &session->credit_node);
    }
}

void credit_forget(peer_session *session)
{
    if (session->in_credit_list) {
        session->in_credit_list = false;
        list_remove(&session->bridge->credit_due, &session->credit_node);
    }
}

static uint64_t above(uint64_t used, uint64_t more)
{
    return used < UINT64_MAX - more ? used + more : UINT64_MAX;
}

/* No less than before, and no more than is granted. */
static uint64_t between(uint64_t before, uint64_t wanted, uint64_t granted)
{
    const uint64_t most = wanted < granted ? wanted : granted;
    return most > before ? most : before;
}

/* So much more than it has used, as far as its agent has granted it. */
static void pass(peer_session *session, uint64_t messages, uint64_t bytes)
{
    const uint64_t most_messages = above(port_used_messages(session->port), messages);
    const uint64_t most_bytes = above(port_used_bytes(session->port), bytes);
    session->passed_messages = between(session->passed_messages, most_messages, session->granted_messages);
    session->passed_bytes = between(session->passed_bytes, most_bytes, session->granted_bytes);
    port_grant(session->port, session->passed_messages, session->passed_bytes);
}

static bool is_owed(const peer_session *session)
{
    return (session->passed_messages < session->granted_messages && port_used_messages(session->port) >= session->passed_messages) ||
           (session->passed_bytes < session->granted_bytes && port_used_bytes(session->port) >= session->passed_bytes);
}

static void pass_on(peer_session *session)
{
    if (!port_has_credit(session->port)) {
        pass(session, SLICE_MESSAGES, SLICE_BYTES);
    }
    if (port_has_credit(session->port)) { /* nothing waits: the rest sets nothing free */
        pass(session, UINT64_MAX, UINT64_MAX);
    } else if (is_owed(session)) {
        wait_for_turn(session); /* otherwise it has no credit left, and its agent will grant some */
    }
}

void credit_granted(peer_session *session, uint64_t messages, uint64_t bytes)
{
    session->granted_messages = messages > session->granted_messages ? messages : session->granted_messages;
    session->granted_bytes = bytes > session->granted_bytes ? bytes : session->granted_bytes;
    if (session->bridge->held) {
        wait_for_turn(session);
    } else if (!session->in_credit_list) {
        pass_on(session);
    }
}

bool credit_is_due(const bridge_peer *b)
{
    return b->credit_due.first != NULL && b->failed == LOOM_OK && !b->held && bridge_peer_unsent(b) < SLICE_BYTES;
}

void credit_take_turn(bridge_peer *b)
{
    if (credit_is_due(b)) {
        peer_session *session = list_item(b->credit_due.first, peer_session, credit_node);
        credit_forget(session);
        pass_on(session);
    }
}
