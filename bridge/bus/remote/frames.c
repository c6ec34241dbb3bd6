/* SPDX-License-Identifier: Apache-2.0 */
/* The frames of the broker: deliveries, calls, answers, pressure and refusals, each to the port it concerns. */
#include <stdio.h>

#include "bridge/bus/remote/internal.h"

static loom_status deliver(bus_remote *b, frame_batch *batch, char reason[FRAME_REASON_SIZE])
{
    envelope_view view;
    bus_targets targets;
    const char *text = "";
    loom_status st;
    while ((st = bus_fanout_next(batch, &view, &targets, &text)) == LOOM_OK) {
        uint64_t session, subscription;
        if (!view.hop_in_place) {
            snprintf(reason, FRAME_REASON_SIZE, "hop context of an envelope is not in its place");
            return LOOM_EMALFORMED;
        }
        view.shared = view.len >= SHARED_BYTES_MIN ? b->parts.whole : NULL;
        while (bus_target_next(&targets, &session, &subscription)) {
            bus_port *port = number_table_get(&b->ports, session);
            if (port == NULL) { /* it has gone while the message was on its way, which is then lost: not taken */
                b->stats.undeliverable++;
            } else {
                b->ledger.taken += !port->handlers->confirms;
                port->delivered_messages++;
                port->delivered_bytes += view.len;
                port->handlers->deliver(port->user, subscription, &view);
            }
        }
    }
    if (st == LOOM_ENOTFOUND) {
        return LOOM_OK;
    }
    snprintf(reason, FRAME_REASON_SIZE, "%s", text);
    return st;
}

static loom_status call(bus_remote *b, bus_port *port, frame_call *f, char reason[FRAME_REASON_SIZE])
{
    envelope_view view;
    const char *text = "hop context of its envelope is not in its place";
    loom_status st = envelope_scan(&view, f->envelope, NULL, &text);
    if (st == LOOM_OK && (!view.hop_in_place || view.len != f->envelope.len)) {
        st = LOOM_EMALFORMED;
    }
    if (st != LOOM_OK) {
        snprintf(reason, FRAME_REASON_SIZE, "call frame: %s", text);
        return st;
    }
    if (call_set_add(&port->working, b->key, f->call_id) != LOOM_OK) {
        b->must_reattach = true; /* its answer could not be told from a late one */
        return LOOM_OK;
    }
    f->envelope = (loom_bytes){NULL, 0};
    port->handlers->call(port->user, f, &view);
    return LOOM_OK;
}

static loom_status on_port_frame(bus_remote *b, bus_port *port, bus_frame *f, char reason[FRAME_REASON_SIZE])
{
    switch (f->type) {
    case BUS_FRAME_PRESSURE:
        port->broker_says = f->number < BUS_WAIT ? (bus_pressure)f->number : BUS_WAIT;
        if (f->number == 0 && b->hold_until_ms != 0) {
            remote_end_hold(b); /* it is the first word of the kind: the broker's first moments are over */
        }
        remote_port_tell_pressure(port);
        return LOOM_OK;
    case FRAME_CALL: return call(b, port, &f->link.u.call, reason);
    case FRAME_ACK: remote_request_answered(port, &f->link.u.outcome); return LOOM_OK;
    case FRAME_RESULT:
        if (call_set_take(&port->asked, b->key, f->link.u.result.call_id)) {
            port->handlers->frame(port->user, &f->link);
        }
        return LOOM_OK;
    case FRAME_CANCEL:
        if (call_set_take(&port->working, b->key, f->link.u.cancel.call_id)) {
            port->handlers->frame(port->user, &f->link);
        }
        return LOOM_OK;
    case FRAME_NOTICE:
    case FRAME_MATCHED:
    case FRAME_MOVE:
    case FRAME_REPORT:
    case FRAME_CALL_CREDIT: port->handlers->frame(port->user, &f->link); return LOOM_OK;
    case FRAME_ERROR:
        log_to_limited(&b->log, &b->refused_log, 1, uv_now(b->loop), LOG_WARN, "broker refused a session agent=%.*s reason=%.*s",
                       (int)port->agent_len, port->agent,
               (int)f->link.u.outcome.text.len, f->link.u.outcome.text.len > 0 ? f->link.u.outcome.text.data : "");
        port->handlers->frame(port->user, &f->link);
        return LOOM_OK;
    default: return LOOM_OK; /* a later broker may send more than this bridge knows */
    }
}

void remote_set_draining(bus_remote *b, bool draining)
{
    if (b->draining != draining) {
        b->draining = draining;
        log_to(&b->log, LOG_INFO, draining ? "the broker is being drained: new agents are refused" : "the broker takes agents on again");
        if (b->options.on_drain != NULL) {
            b->options.on_drain(b->options.user, draining);
        }
    }
}

/* The broker ends the connection, and says why. */
static loom_status on_refusal(bus_remote *b, const frame_outcome *f, char reason[FRAME_REASON_SIZE])
{
    snprintf(reason, FRAME_REASON_SIZE, "the broker closed it: %.*s", (int)f->text.len, f->text.len > 0 ? f->text.data : "");
    b->replaced = f->status == LOOM_EREPLACED;
    return f->status != LOOM_OK && f->status <= INT32_MAX ? (loom_status)f->status : LOOM_ECLOSED;
}

static loom_status on_frame(void *user, bus_frame *f, uint64_t *session, char reason[FRAME_REASON_SIZE])
{
    bus_remote *b = user;
    if (f->type == BUS_FRAME_SESSION) {
        *session = f->number;
    } else if (f->type == FRAME_ERROR && *session == 0) {
        return on_refusal(b, &f->link.u.outcome, reason);
    } else if (b->state == REMOTE_GREETING) {
        if (f->type != BUS_FRAME_GREETING || f->greeting.protocol != BUS_PROTOCOL) {
            snprintf(reason, FRAME_REASON_SIZE, f->type == BUS_FRAME_GREETING ? "the broker speaks another version"
                                                                             : "the broker does not greet");
            return LOOM_EPROTO;
        }
        remote_become_up(b, &f->greeting);
    } else if (f->type == BUS_FRAME_TAKEN) {
        b->broker_idle = b->idle_asked && f->queued == 0;
        b->idle_asked = false;
        return bus_ledger_confirm(&b->ledger, f, reason);
    } else if (f->type == BUS_FRAME_MARK) {
        return remote_mark_returned(b, f->number, reason);
    } else if (f->type == FRAME_SPAN_CREDIT && *session == 0) {
        remote_spans_answered(b, &f->link.u.span_credit);
    } else if (f->type == FRAME_MOVE && *session == 0) {
        remote_set_draining(b, f->link.u.number > 0);
    } else if ((f->type == FRAME_KEEP || f->type == FRAME_KEEP_LAST) && *session == 0) {
        if (b->base.told_to_keep != NULL) {
            b->base.told_to_keep(b->base.bridge, &f->link.u.keep);
        }
    } else if (f->type == BUS_FRAME_FANOUT) {
        return deliver(b, &f->fanout, reason);
    } else {
        bus_port *port = number_table_get(&b->ports, *session);
        return port != NULL ? on_port_frame(b, port, f, reason) : LOOM_OK; /* it has gone while the frame was on its way */
    }
    return LOOM_OK;
}

loom_status remote_take_frames(bus_remote *b, loom_bytes frames, char reason[FRAME_REASON_SIZE])
{
    uint64_t session = 0;
    bus_frame f;
    for (;;) {
        loom_status st = bus_frame_next(&frames, &f, reason);
        if (st == LOOM_ENOTFOUND) {
            return LOOM_OK;
        }
        if (st == LOOM_EVERSION) {
            continue;
        }
        if (st == LOOM_OK) {
            const bool part = f.type == BUS_FRAME_PART && b->state == REMOTE_UP;
            st = part ? bus_parts_pass(&b->parts, b->blocks, session, &f, on_frame, b, reason) : on_frame(b, &f, &session, reason);
        }
        if (st != LOOM_OK) {
            return st;
        }
    }
}
