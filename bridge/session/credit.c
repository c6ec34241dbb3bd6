/* SPDX-License-Identifier: Apache-2.0 */
/* Credit, both ways: what the agent lets the bus deliver, held down by what it has not read yet, and what the bridge lets it
 * publish. */
#include "bridge/session/session.h"

/* ---- down: what the agent grants ---- */

void session_forget_owed(session *s)
{
    if (s->owed) {
        s->owed = false;
        list_remove(&s->bridge->owed, &s->owed_node);
    }
}

static uint64_t lesser(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void tell(session *s, uint64_t messages, uint64_t bytes)
{
    s->granted_messages = messages > s->granted_messages ? messages : s->granted_messages;
    s->granted_bytes = bytes > s->granted_bytes ? bytes : s->granted_bytes;
    s->bridge->options.bus->ops->grant(s->bridge->options.bus, s->port, s->granted_messages, s->granted_bytes);
}

/* What waits for an agent may be megabytes of small messages, which are delivered inside the grant: so it is given a slice,
 * and the rest when that has not set as much free, or in its next turn. With a broker in another process, that sees to it. */
static void grant(session *s, uint64_t bytes)
{
    const uint64_t most_messages = lesser(s->credit_messages, s->forwarded + SESSION_GRANT_MESSAGES);
    const uint64_t most_bytes = lesser(bytes, s->forwarded_bytes + SESSION_GRANT_SLICE);
    if (s->bridge->options.bus->in_process && (most_messages < s->credit_messages || most_bytes < bytes)) {
        tell(s, most_messages, most_bytes);
        if (s->forwarded >= most_messages || s->forwarded_bytes >= most_bytes) {
            s->owed = true;
            list_append(&s->bridge->owed, &s->owed_node);
            return;
        }
    }
    tell(s, s->credit_messages, bytes);
}

void bridge_pay_owed(bridge *b)
{
    session *s = list_item(b->owed.first, session, owed_node);
    if (s != NULL) {
        session_forget_owed(s);
        session_apply_credit(s, true);
    }
}

void session_apply_credit(session *s, bool granted)
{
    if (s->port == NULL || s->owed) {
        return;
    }
    size_t waiting = session_waiting(s);
    uint64_t room = waiting < SESSION_BACKLOG_MAX ? SESSION_BACKLOG_MAX - waiting : 0;
    uint64_t bytes = s->forwarded_bytes + room;
    if (bytes > s->credit_bytes) {
        bytes = s->credit_bytes;
    }
    if (bytes < s->granted_bytes) {
        bytes = s->granted_bytes;
    }
    /* when the agent has not granted anew, only a good part of its backlog read is worth a frame to the broker, or all that it
     * allows; in one process, what is set free at once is the work of one round */
    bool last = bytes == s->credit_bytes && bytes > s->granted_bytes;
    const uint64_t step = s->bridge->options.bus->in_process ? SESSION_GRANT_STEP : SESSION_BACKLOG_MAX / 4;
    if (granted || last || bytes - s->granted_bytes > step) {
        grant(s, bytes);
    }
}

/* Totals since hello. Smaller ones than before are ignored. */
void on_credit(session *s, uint64_t messages, uint64_t bytes)
{
    if (messages > s->credit_messages) {
        s->credit_messages = messages;
    }
    if (bytes > s->credit_bytes) {
        s->credit_bytes = bytes;
    }
    session_apply_credit(s, true);
}

/* ---- what it has not read yet ---- */

static void forget_read(session_unread *u, uint64_t read, uint64_t appended)
{
    if (read == appended) {
        *u = (session_unread){.mark = appended};
    } else if (read >= u->mark) {
        *u = (session_unread){.older = u->newer, .mark = appended};
    }
}

void session_sent(session *s, size_t backlog)
{
    s->backlog = backlog;
    const uint64_t waiting = session_waiting(s);
    uint64_t read = s->appended > waiting ? s->appended - waiting : 0; /* a carrier's own bytes may be in the backlog */
    forget_read(&s->replies, read, s->appended);
    forget_read(&s->calls, read, s->appended);
    forget_read(&s->keeps, read, s->appended);
    if (backlog == 0) {
        bus_sent(s->bridge->options.bus, s->port, s->flying);
    }
    session_apply_credit(s, false);
}

/* ---- up: what it may publish ---- */

void session_grant_publish(session *s)
{
    uint32_t window = s->bridge->options.publish_window;
    /* a message larger than half the window may have overdrawn it: published is then past granted */
    if (s->state != SESSION_OPEN || s->pressed || s->bridge->winding_down || s->publish_granted > s->published_bytes + window / 2) {
        return;
    }
    s->publish_granted = s->published_bytes + window;
    const size_t mark = session_begin(s);
    session_commit(s, mark, SESSION_OTHER, frame_put_credit(&s->out, 0, s->publish_granted));
}
