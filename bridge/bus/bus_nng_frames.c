/* SPDX-License-Identifier: Apache-2.0 */
/* The frames of the broker: deliveries, answers, pressure and refusals, each to the port it concerns. */
#include <stdio.h>

#include "bridge/bus/bus_nng_internal.h"

static loom_status deliver(bus_nng *b, frame_batch *batch, char reason[FRAME_REASON_SIZE])
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
        while (bus_target_next(&targets, &session, &subscription)) {
            bus_port *port = number_table_get(&b->ports, session);
            if (port != NULL) { /* otherwise it has gone while the message was on its way */
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

static void refused(bus_port *port, const frame_outcome *f)
{
    char text[256];
    if (f->message_id.len == LOOM_UUID_SIZE) {
        snprintf(text, sizeof text, "%.*s", (int)f->text.len, f->text.len > 0 ? f->text.data : "");
        port->handlers->refused(port->user, f->message_id.data, (loom_status)f->status, text);
    }
}

static loom_status on_frame(bus_nng *b, bus_frame *f, uint64_t *session, char reason[FRAME_REASON_SIZE])
{
    if (f->type == BUS_FRAME_SESSION) {
        *session = f->number;
        return LOOM_OK;
    }
    if (f->type == BUS_FRAME_FANOUT) {
        return deliver(b, &f->fanout, reason);
    }
    bus_port *port = number_table_get(&b->ports, *session);
    if (port == NULL) {
        return LOOM_OK; /* it has gone while the frame was on its way */
    }
    switch (f->type) {
    case BUS_FRAME_PRESSURE:
        port->broker_pressing = f->number != 0;
        bus_port_tell_pressure(port);
        break;
    case FRAME_ACK:
        bus_port_answered(port, &f->link.u.outcome);
        break;
    case FRAME_NOTICE:
        refused(port, &f->link.u.outcome);
        break;
    case FRAME_ERROR:
        bus_nng_log(b, 1, "broker refuses a session agent=%.*s reason=\"%.*s\"", (int)port->agent_len, port->agent,
                    (int)f->link.u.outcome.text.len, f->link.u.outcome.text.len > 0 ? f->link.u.outcome.text.data : "");
        break;
    default:
        break; /* a later broker may send more than this bridge knows */
    }
    return LOOM_OK;
}

loom_status bus_nng_take_frames(bus_nng *b, loom_bytes frames, char reason[FRAME_REASON_SIZE])
{
    uint64_t session = 0;
    bus_frame f;
    for (;;) {
        loom_status st = bus_frame_next(&frames, &f, reason);
        if (st == LOOM_ENOTFOUND) {
            return LOOM_OK;
        }
        if (st != LOOM_EVERSION && (st != LOOM_OK || (st = on_frame(b, &f, &session, reason)) != LOOM_OK)) {
            return st;
        }
    }
}
