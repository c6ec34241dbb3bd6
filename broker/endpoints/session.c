/* SPDX-License-Identifier: Apache-2.0 */
/* A session of a bridge in another process, as a port of the broker: its frames are handed to the port, and what the port
 * has to say is written straight into the outgoing bytes of the bridge. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "bridge/bus/refused_calls.h"
#include "broker/endpoints/internal.h"

/* ---- down ---- */

static void deliver(void *user, uint64_t subscription, const envelope_view *view)
{
    bridge_peer_deliver(user, subscription, view);
}

void peer_session_tell_pressure(const peer_session *session)
{
    const bool stop = session->pressing || session->bridge->server->winding_down;
    frame_writer *w = bridge_peer_writer(session->bridge, session->number);
    if (w != NULL) {
        bridge_peer_wrote(session->bridge, bus_put_pressure(w, session->waits ? BUS_WAIT : stop ? BUS_STOP : BUS_GO_ON));
    }
}

static void on_pressure(void *user, bool on)
{
    peer_session *session = user;
    session->pressing = on;
    peer_session_tell_pressure(session);
}

void peer_session_wait(peer_session *session, bool wait)
{
    if (session->waits != wait) {
        session->waits = wait;
        peer_session_tell_pressure(session);
    }
}

static void refuse_call(peer_session *session, loom_bytes call_id)
{
    if (!refused_calls_add(&session->bridge->refusals, session, call_id)) {
        bridge_peer_wrote(session->bridge, LOOM_ENOMEM);
        return;
    }
    session->bridge->server->stats.refused_calls++;
}

static void answer_refused(void *owner, const frame *result)
{
    (void)!port_frame(((const peer_session *)owner)->port, result);
}

void peer_session_answer(bridge_peer *b)
{
    refused_calls_answer(&b->refusals, str_of("the provider's bridge is not reading"), answer_refused);
}

static void on_call(void *user, const frame_call *f, const envelope_view *view)
{
    peer_session *session = user;
    if (bridge_peer_is_full(session->bridge)) {
        refuse_call(session, f->call_id);
        return;
    }
    frame_writer *w = bridge_peer_large_writer(session->bridge, session->number, view->len);
    frame_call whole = *f;
    whole.envelope = (loom_bytes){view->data, view->len};
    if (w != NULL) {
        bridge_peer_wrote(session->bridge, frame_put_call(w, &whole));
    }
}

static void say(bridge_peer *b, uint64_t number, const frame *f)
{
    frame_writer *w = bridge_peer_large_writer(b, number, bus_frame_weight(f));
    if (w != NULL) {
        bridge_peer_wrote(b, bus_put_frame(w, f));
    }
}

/* Nobody grants credit for progress. */
static void on_port_frame(void *user, const frame *f)
{
    const peer_session *session = user;
    if (f->type == FRAME_REPORT && f->u.report.kind == FRAME_PROGRESS && bridge_peer_is_full(session->bridge)) {
        session->bridge->server->stats.dropped_progress++;
        return;
    }
    say(session->bridge, session->number, f);
}

static void say_outcome(bridge_peer *b, uint64_t number, frame_type type, uint64_t request, loom_status st, const char *text)
{
    say(b, number, &(frame){.type = type, .u.outcome = {.request = request, .status = (uint64_t)st, .text = str_of(text)}});
}

/* ---- life ---- */

/* Its bridge has not ended it although its agent was silent for long, or its agent has come through another bridge. */
static void on_ended(void *user, loom_status why)
{
    peer_session *session = user;
    bridge_peer *b = session->bridge;
    say_outcome(b, session->number, FRAME_ERROR, 0, why,
                why == LOOM_EEXPIRED    ? "the agent was silent for long"
                : why == LOOM_ECANCELED ? "an operator has ended the session"
                                        : loom_status_text(why));
    number_table_remove(&b->sessions, session->number);
    peer_session_close(session, why);
}

/* It has come back with its bridge while the broker drains; nobody knows whether it was asked before. */
static void ask_again_to_move(peer_session *session)
{
    const bus_server *s = session->bridge->server;
    if (directory_is_draining(s->cores.agents)) {
        const uint64_t now = s->clock->now_ms;
        peer_session_ask_to_move(session, s->drain_until_ms > now ? (uint32_t)(s->drain_until_ms - now) : 1);
    }
}

static loom_status open_session(bridge_peer *b, uint64_t number, const bus_attach *f)
{
    static const bus_handlers handlers = {
        .deliver = deliver, .pressure = on_pressure, .call = on_call, .frame = on_port_frame, .ended = on_ended};
    if (b->sessions.count >= b->server->options.max_sessions) {
        return LOOM_EFULL;
    }
    peer_session *session = calloc(1, sizeof *session);
    if (session == NULL) {
        return LOOM_ENOMEM;
    }
    *session = (peer_session){.bridge = b, .number = number, .guest = !f->own};
    loom_status st = number_table_add(&b->sessions, number, session);
    if (st != LOOM_OK) {
        goto free_session;
    }
    directory_about about = {
        .agent = f->agent,
        .bridge = {b->id, b->id_len},
        .software = f->software,
        .peer = f->peer,
        .instance = f->instance,
        .heartbeat_ms = f->heartbeat_ms < UINT32_MAX ? (uint32_t)f->heartbeat_ms : UINT32_MAX,
        .age_ms = f->age_ms,
        .quiet = f->quiet,
        .own = f->own,
        .unrecorded = f->unrecorded,
    };
    if ((st = port_open(&b->server->cores, &session->port, &about, &handlers, session)) != LOOM_OK) {
        goto remove_session;
    }
    ask_again_to_move(session);
    if (b->server->winding_down) {
        peer_session_tell_pressure(session);
    }
    return LOOM_OK;

remove_session:
    number_table_remove(&b->sessions, number);
free_session:
    free(session);
    return st;
}

static void refuse(bridge_peer *b, uint64_t number, const bus_attach *f, loom_status st)
{
    const char *text = st == LOOM_EFULL     ? "there are as many agents as there may be (max_agents)"
                       : st == LOOM_ECLOSED ? "the broker is being drained and takes no new agents"
                       : st == LOOM_EDENIED ? "its id is that of a gateway"
                                            : loom_status_text(st);
    bus_log_limited(b->server, &b->server->refused_log, LOG_WARN, "agent refused agent=%.*s bridge=%.*s reason=%s",
                    st == LOOM_EINVAL ? 1 : (int)f->agent.len, st == LOOM_EINVAL ? "-" : f->agent.data, (int)b->id_len, b->id, text);
    say_outcome(b, number, FRAME_ERROR, 0, st, text);
}

void peer_session_ask_to_move(peer_session *session, uint32_t within_ms)
{
    say(session->bridge, session->number, &(frame){.type = FRAME_MOVE, .u.number = within_ms});
}

void peer_session_deafen(peer_session *session)
{
    credit_forget(session);
    port_deafen(session->port);
}

void peer_session_close(peer_session *session, loom_status why)
{
    refused_calls_drop(&session->bridge->refusals, session);
    credit_forget(session);
    port_close(session->port, why);
    free(session);
}

/* ---- up ---- */

/* Takes one envelope that a bridge has scanned already, so that anything wrong with it is the bridge's fault. */
static loom_status check(const envelope_view *view, const char *what, loom_status st, const char *text,
                         char reason[FRAME_REASON_SIZE])
{
    if (st == LOOM_OK && !view->hop_in_place) {
        st = LOOM_EMALFORMED;
        text = "hop context of an envelope is not in its place";
    }
    if (st != LOOM_OK && st != LOOM_ENOTFOUND) {
        snprintf(reason, FRAME_REASON_SIZE, "%s frame: %s", what, text);
    }
    return st;
}

/* The bytes are those of the read buffer, which is this thread's alone. */
static uint8_t *own(const envelope_view *view)
{
    return (uint8_t *)(uintptr_t)view->data;
}

/* Its bridge may have taken it before it knew the limit. */
static bool is_too_large(const bridge_peer *b, const envelope_view *view)
{
    const uint32_t most = b->server->options.payload_max;
    return most != 0 && view->field[ENV_PAYLOAD].len > most;
}

static const char too_large[] = "the payload is over max_payload, the limit of this bus";

static void refuse_publish(bridge_peer *b, uint64_t number, const envelope_view *view, loom_status st, const char *text)
{
    say(b, number, &(frame){.type = FRAME_NOTICE, .u.outcome = {
        .status = (uint64_t)st, .text = str_of(text), .message_id = envelope_view_bytes(view, ENV_ID)}});
}

static void refuse_invoke(bridge_peer *b, uint64_t number, const frame_call *f, frame_call_outcome outcome, const char *code, const char *text)
{
    say(b, number, &(frame){.type = FRAME_RESULT, .u.result = {
        .call_id = f->call_id, .outcome = outcome, .code = str_of(code), .text = str_of(text)}});
}

/* Few bytes may be much work, which is known when it is done. */
static void spend(peer_session *session, uint64_t work_before)
{
    session->turn.spent += work_since(session->bridge->server, work_before);
}

static void publish_one(peer_session *session, const envelope_view *view)
{
    const uint64_t before = work_done(session->bridge->server);
    port_publish(session->port, view, own(view));
    spend(session, before);
}

static loom_status publish(bridge_peer *b, peer_session *session, uint64_t number, frame_batch *batch,
                           char reason[FRAME_REASON_SIZE])
{
    envelope_view view;
    const char *text = "";
    loom_status st;
    while ((st = bus_publish_next(batch, &view, &text)) == LOOM_OK) {
        if ((st = check(&view, "publish", st, text, reason)) != LOOM_OK) {
            return st;
        }
        b->ledger.taken++;
        view.shared = view.len >= SHARED_BYTES_MIN ? b->parts.whole : NULL;
        if (session == NULL) {
            refuse_publish(b, number, &view, LOOM_ENOTFOUND, "the broker does not know this session");
        } else if (is_too_large(b, &view)) {
            refuse_publish(b, number, &view, LOOM_ETOOBIG, too_large);
        } else {
            publish_one(session, &view);
            if (batch->count > 0 && !work_turn_is_left(&session->turn, b->server)) {
                return LOOM_EBUSY;
            }
        }
    }
    return st == LOOM_ENOTFOUND ? LOOM_OK : check(&view, "publish", st, text, reason);
}

static loom_status call(bridge_peer *b, peer_session *session, uint64_t number, const frame_call *f,
                        char reason[FRAME_REASON_SIZE])
{
    envelope_view view;
    const char *text = "bytes after its envelope";
    loom_status st = envelope_scan(&view, f->envelope, NULL, &text);
    if (st == LOOM_OK && view.len != f->envelope.len) {
        st = LOOM_EMALFORMED;
    }
    if ((st = check(&view, "call", st, text, reason)) != LOOM_OK) {
        return st;
    }
    if (session == NULL) {
        refuse_invoke(b, number, f, FRAME_CALL_ERROR, "unknown_session", "the broker does not know this session");
    } else if (is_too_large(b, &view)) {
        refuse_invoke(b, number, f, FRAME_CALL_TOO_LARGE, "call_too_large", too_large);
    } else {
        const uint64_t before = work_done(b->server);
        port_call(session->port, f, &view, own(&view));
        spend(session, before); /* a result that is known already */
    }
    return LOOM_OK;
}

static loom_status give_back(peer_session *session, const bus_frame *f, char reason[FRAME_REASON_SIZE])
{
    envelope_view view;
    const char *text = "bytes after its envelope";
    loom_status st = envelope_scan(&view, f->envelope, NULL, &text);
    if (st == LOOM_OK && view.len != f->envelope.len) {
        st = LOOM_EMALFORMED;
    }
    if ((st = check(&view, "give_back", st, text, reason)) == LOOM_OK && session != NULL) {
        port_give_back(session->port, f->number, &view);
    }
    return st;
}

static loom_status other_frame(bridge_peer *b, peer_session *session, uint64_t number, const bus_frame *f,
                               char reason[FRAME_REASON_SIZE])
{
    static const char text[] = "the broker does not know this session";
    loom_status st = f->type < BUS_FRAME_SESSION ? LOOM_OK : LOOM_EPROTO;
    if (st == LOOM_OK && session != NULL) {
        const uint64_t before = work_done(b->server);
        st = port_frame(session->port, &f->link);
        spend(session, before); /* news of a capability */
    } else if (f->type == FRAME_SUBSCRIBE) {
        say_outcome(b, number, FRAME_ACK, f->link.u.subscribe.request, LOOM_ENOTFOUND, text);
    } else if (f->type == FRAME_UNSUBSCRIBE) {
        say_outcome(b, number, FRAME_ACK, f->link.u.unsubscribe.request, LOOM_ENOTFOUND, text);
    } else if (f->type == FRAME_PROVIDE) {
        say_outcome(b, number, FRAME_ACK, f->link.u.provide.request, LOOM_ENOTFOUND, text);
    }
    if (st != LOOM_OK) {
        snprintf(reason, FRAME_REASON_SIZE, "frame of type %u does not go this way", f->type);
    }
    return st;
}

loom_status peer_session_frame(bridge_peer *b, uint64_t number, bus_frame *f, char reason[FRAME_REASON_SIZE])
{
    peer_session *session = number_table_get(&b->sessions, number);
    loom_status st;
    if (session != NULL && f->type != FRAME_CREDIT && !work_turn_is_left(&session->turn, b->server)) {
        return LOOM_EBUSY;
    }
    switch (f->type) {
    case BUS_FRAME_ATTACH:
        if (number == 0 || session != NULL) {
            snprintf(reason, FRAME_REASON_SIZE, "a session begins twice, or has no number");
            return LOOM_EPROTO;
        }
        st = open_session(b, number, &f->attach);
        b->awaited -= b->awaited > 0 && !f->attach.own;
        if (st != LOOM_OK) {
            refuse(b, number, &f->attach, st);
        }
        return LOOM_OK;
    case FRAME_BYE:
        if (session != NULL) {
            uint64_t why = f->link.u.outcome.status;
            number_table_remove(&b->sessions, number);
            peer_session_close(session, why <= INT32_MAX ? (loom_status)why : LOOM_OK);
        }
        return LOOM_OK;
    case BUS_FRAME_GIVE_BACK: return give_back(session, f, reason);
    case FRAME_PUBLISH: return publish(b, session, number, &f->link.u.batch, reason);
    case FRAME_CALL: return call(b, session, number, &f->link.u.call, reason);
    case FRAME_CREDIT:
        if (session != NULL) {
            credit_granted(session, f->link.u.credit.messages, f->link.u.credit.bytes);
        }
        return LOOM_OK;
    default: return other_frame(b, session, number, f, reason);
    }
}
