/* SPDX-License-Identifier: Apache-2.0 */
/* The ports of sessions: what they say goes into frames for the broker, and what another broker has to know is remembered. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "bridge/bus/remote/internal.h"
#include "envelope/id.h"

/* Publishes and calls are refused when this many times the pressure bound waits. Until then what was on its way is taken. */
enum { REFUSE_FACTOR = 16 };

/* ---- how much waits ---- */

static bool too_much_waits(const bus_remote *b)
{
    return remote_unsent(b) > b->options.buffer_bytes * REFUSE_FACTOR;
}

/* ---- life ---- */

static loom_status attach(bus *base, bus_port **out, const bus_agent *agent, const bus_handlers *handlers, void *user)
{
    bus_remote *b = (bus_remote *)base;
    *out = NULL;
    if (b->draining && !agent->own) {
        return LOOM_ECLOSED;
    }
    if (remote_unsent(b) > REMOTE_UNSENT_MAX && !agent->own) {
        return LOOM_EBUSY;
    }
    if (agent->id.len == 0 || agent->id.len > LOOM_AGENT_ID_MAX) {
        return LOOM_EINVAL;
    }
    const char *peer = agent->peer != NULL ? agent->peer : "";
    frame_writer_clear(&b->scratch);
    loom_status st = bus_put_attach(&b->scratch, &(bus_attach){agent->id, agent->software, agent->instance,
                                                              agent->heartbeat_ms, {peer, strlen(peer)}, 0, agent->quiet, agent->own, agent->unrecorded});
    bus_port *port = st == LOOM_OK ? calloc(1, sizeof *port + b->scratch.len) : NULL;
    if (port == NULL) {
        return LOOM_ENOMEM;
    }
    port->owner = b;
    port->session = b->next_session;
    port->handlers = handlers;
    port->user = user;
    port->agent_len = agent->id.len;
    memcpy(port->agent, agent->id.data, agent->id.len);
    port->opened_ms = clock_monotonic_ms(); /* the loop's own clock is as old as its round */
    port->attach_len = b->scratch.len;
    memcpy(port->attach, b->scratch.data, b->scratch.len);
    st = number_table_add(&b->ports, port->session, port);
    if (st == LOOM_OK && b->state == REMOTE_UP && (st = remote_port_replay(port)) != LOOM_OK) {
        number_table_remove(&b->ports, port->session);
        b->must_reattach = true; /* half of it may have been written */
    }
    if (st != LOOM_OK) {
        free(port);
        return st;
    }
    b->next_session++;
    b->pressure_changed = b->pressure_changed || b->pressing; /* it hears of it after this call */
    *out = port;
    return LOOM_OK;
}

static void sent(bus *base, bus_port *port, uint64_t messages)
{
    (void)base;
    const uint64_t from = port->sent_messages > port->base_messages ? port->sent_messages : port->base_messages;
    if (messages > from) {
        port->owner->ledger.taken += messages - from;
        port->sent_messages = messages;
    }
}

static void detach(bus *base, bus_port *port, loom_status why)
{
    if (port == NULL) {
        return;
    }
    frame_writer *w = remote_port_last_writer(port, 0);
    if (w != NULL) {
        remote_port_wrote(port, frame_put_outcome(w, FRAME_BYE, &(frame_outcome){.status = (uint64_t)why}));
    }
    sent(base, port, port->delivered_messages); /* what has not left yet is its agent's loss, no matter when we end */
    number_table_remove(&port->owner->ports, port->session);
    remote_port_end(port);
}

/* ---- credit ---- */

static void grant(bus *base, bus_port *port, uint64_t messages, uint64_t bytes)
{
    (void)base;
    port->granted_messages = messages;
    port->granted_bytes = bytes;
    if (port->owner->state == REMOTE_UP && remote_is_behind(port->owner)) {
        remote_port_due(port);
        port->credit_due = true;
    } else {
        remote_port_put_credit(port);
    }
}

loom_status remote_port_replay(bus_port *port)
{
    remote_port_not_due(port);
    port->base_messages = port->delivered_messages;
    port->base_bytes = port->delivered_bytes;
    bus_attach_set_age(port->attach, port->attach_len, clock_monotonic_ms() - port->opened_ms);
    frame_writer *w = remote_port_writer(port);
    loom_status st = w != NULL ? bus_put_raw(w, (loom_bytes){port->attach, port->attach_len}) : LOOM_ENOMEM;
    if (st == LOOM_OK) {
        st = remote_requests_replay(port);
    }
    if (st == LOOM_OK && port->granted_messages > 0) {
        st = remote_port_put_credit(port);
    }
    return st;
}

/* ---- publishing ---- */

static void refuse(bus_port *port, const envelope_view *view, loom_status st, const char *text)
{
    port->owner->stats.refused++;
    port->handlers->frame(port->user, &(frame){.type = FRAME_NOTICE, .u.outcome = {
        .status = (uint64_t)st, .text = str_of(text), .message_id = envelope_view_bytes(view, ENV_ID)}});
}

static void publish(bus *base, bus_port *port, const envelope_view *view, uint8_t *wire)
{
    bus_remote *b = (bus_remote *)base;
    if (too_much_waits(b)) {
        refuse(port, view, LOOM_EFULL, "too much is waiting for the broker");
        return;
    }
    (void)wire; /* the same bytes as the view's */
    remote_port_speaks(port);
    if (remote_publish(port, view) != LOOM_OK) {
        refuse(port, view, LOOM_ENOMEM, loom_status_text(LOOM_ENOMEM));
        return;
    }
    if (!b->pressing && remote_unsent(b) > b->options.buffer_bytes) {
        b->pressing = true;
        remote_tell_pressure(b); /* at once: a whole buffer of an agent may be on its way through this call */
    }
}

void remote_port_tell_pressure(bus_port *port)
{
    const bool wait = port->broker_says == BUS_WAIT;
    if (port->handlers->wait != NULL && wait != port->told_to_wait) {
        port->told_to_wait = wait;
        port->handlers->wait(port->user, wait);
    }
    const bool on = port->broker_says == BUS_STOP || (wait && port->handlers->wait == NULL) || port->owner->pressing;
    if (on != port->told_pressing && port->handlers->pressure != NULL) {
        port->told_pressing = on;
        port->handlers->pressure(port->user, on);
    }
}

void remote_tell_pressure(bus_remote *b)
{
    void *port;
    b->pressure_changed = false;
    for (size_t at = 0; number_table_next(&b->ports, &at, &port);) {
        remote_port_tell_pressure(port);
    }
}

/* ---- calls ---- */

static void fail_call(bus_port *port, loom_bytes id, const char *code, const char *text)
{
    port->handlers->frame(port->user, &(frame){.type = FRAME_RESULT, .u.result = {
        .call_id = id, .outcome = FRAME_CALL_ERROR, .code = str_of(code), .text = str_of(text)}});
}

static const struct {
    const char *code, *text;
} bus_full = {"bus_full", "too much is waiting for the broker"};

static void lose_call(void *user, loom_bytes id)
{
    bus_port *port = user;
    port->owner->stats.calls_lost++;
    fail_call(port, id, "bus_lost", "the connection to the broker is down");
}

static void cancel_work(void *user, loom_bytes id)
{
    bus_port *port = user;
    port->handlers->frame(port->user, &(frame){.type = FRAME_CANCEL, .u.cancel = {
        id, str_of("the connection to the broker is down")}});
}

void remote_port_lost(bus_port *port)
{
    port->requests.awaited = NULL;
    if (port->broker_says == BUS_WAIT) { /* it may be long until it goes on */
        port->broker_says = BUS_STOP;
        port->owner->pressure_changed = true;
    }
    call_set_clear(&port->asked, lose_call, port);
    call_set_clear(&port->working, cancel_work, port);
}

static void call(bus *base, bus_port *port, const frame_call *f, const envelope_view *view, uint8_t *wire)
{
    bus_remote *b = (bus_remote *)base;
    uint8_t given[LOOM_UUID_SIZE];
    frame_call own = *f;
    remote_port_speaks(port);
    own.envelope = (loom_bytes){wire, view->len};
    if (own.call_id.len == 0) { /* so that it can be answered when the broker does not */
        loom_uuid7_generate(given);
        own.call_id = (loom_bytes){given, sizeof given};
    }
    if (b->state == REMOTE_UP && too_much_waits(b)) {
        b->stats.refused++;
        fail_call(port, own.call_id, bus_full.code, bus_full.text);
        return;
    }
    frame_writer *w = remote_port_large_writer(port, view->len);
    if (w == NULL) {
        lose_call(port, own.call_id);
        return;
    }
    if (call_set_add(&port->asked, b->key, own.call_id) != LOOM_OK) {
        fail_call(port, own.call_id, "out_of_memory", "the bridge is out of memory");
        return;
    }
    loom_status st = frame_put_call(w, &own);
    if (st != LOOM_OK) {
        (void)call_set_take(&port->asked, b->key, own.call_id);
        fail_call(port, own.call_id, st == LOOM_ETOOBIG ? "too_large" : "out_of_memory", loom_status_text(st));
    }
}

/* ---- other frames ---- */

/* Of a call that this broker gave the port, and that is not over. */
static bool of_its_work(bus_port *port, const frame *f)
{
    bus_remote *b = port->owner;
    bool known = f->type == FRAME_RESULT   ? call_set_take(&port->working, b->key, f->u.result.call_id)
                 : f->type == FRAME_REPORT ? call_set_has(&port->working, b->key, f->u.report.call_id)
                                           : true;
    b->stats.late += !known;
    return known;
}

/* Without room for what a provider says, its call fails, which takes little. Progress may be missed, but a stream with a
 * hole must not end well. */
static void fail_work(bus_port *port, const frame *f)
{
    bus_remote *b = port->owner;
    loom_bytes id = f->type == FRAME_RESULT ? f->u.result.call_id : f->u.report.call_id;
    b->stats.refused++;
    if (f->type == FRAME_REPORT) {
        if (f->u.report.kind == FRAME_PROGRESS) {
            return;
        }
        (void)call_set_take(&port->working, b->key, id);
        port->handlers->frame(port->user, &(frame){.type = FRAME_CANCEL, .u.cancel = {id, str_of(bus_full.text)}});
    }
    frame_writer *w = remote_port_writer(port);
    if (w != NULL) {
        remote_port_wrote(port, frame_put_result(w, &(frame_result){
            .call_id = id, .outcome = FRAME_CALL_ERROR, .code = str_of(bus_full.code), .text = str_of(bus_full.text)}));
    }
}

/* Of a call that the agent has made. Nothing is said of others: the broker would not know them, either. */
static void call_credit(bus_port *port, const frame *f)
{
    bus_remote *b = port->owner;
    const loom_bytes id = f->u.call_credit.call_id;
    if (!remote_is_behind(b)) {
        frame_writer *w = call_set_has(&port->asked, b->key, id) ? remote_port_writer(port) : NULL;
        if (w != NULL) {
            remote_port_wrote(port, bus_put_frame(w, f));
        }
    } else if (call_set_keep_credit(&port->asked, b->key, id, f->u.call_credit.chunks, f->u.call_credit.bytes)) {
        remote_port_due(port);
    }
}

static void on_frame(bus *base, bus_port *port, const frame *f)
{
    (void)base;
    remote_port_speaks(port);
    if (f->type == FRAME_SUBSCRIBE || f->type == FRAME_UNSUBSCRIBE || f->type == FRAME_PROVIDE) {
        remote_request_make(port, f);
        return;
    }
    if (f->type == FRAME_CALL_CREDIT) {
        call_credit(port, f);
        return;
    }
    if (f->type == FRAME_CANCEL && !call_set_cancel(&port->asked, port->owner->key, f->u.cancel.call_id)) {
        return;
    }
    if (!of_its_work(port, f)) {
        return;
    }
    if ((f->type == FRAME_RESULT || f->type == FRAME_REPORT) && too_much_waits(port->owner)) {
        fail_work(port, f);
        return;
    }
    frame_writer *w = remote_port_large_writer(port, bus_frame_weight(f));
    if (w != NULL) {
        remote_port_wrote(port, bus_put_frame(w, f));
    }
}

/* Lost without a broker, which hears when it is there again, and when much waits for it: counted. */
static void keep(bus *base, const frame_keep *f)
{
    bus_remote *b = (bus_remote *)base;
    frame_writer *w = b->state == REMOTE_UP && !too_much_waits(b) ? remote_queue_writer(&b->queue, 0) : NULL;
    if (w == NULL || frame_put_keep(w, f) != LOOM_OK) {
        b->stats.keeps_dropped++;
    }
}

static void give_back(bus *base, bus_port *port, uint64_t subscription, const envelope_view *view)
{
    bus_remote *b = (bus_remote *)base;
    frame_writer *w = too_much_waits(b) ? NULL : remote_port_last_writer(port, view->len); /* with its goodbye */
    if (w != NULL) {
        remote_port_wrote(port, bus_put_give_back(w, subscription, view));
    }
}

/* Who has asked waits for it no longer than a moment. */
static void held(bus *base, const frame_held *f)
{
    bus_remote *b = (bus_remote *)base;
    frame_writer *w = b->state == REMOTE_UP ? remote_queue_writer(&b->queue, 0) : NULL;
    if (w != NULL) {
        (void)!frame_put_held(w, f);
    }
}

const bus_ops remote_ops = {attach, detach, grant, publish, call, give_back, on_frame, keep, held, sent};
