/* SPDX-License-Identifier: Apache-2.0 */
/* What a connection begins and ends with. A broker that is reached knows nothing: every port is attached again, with what
 * stands for it. When the connection ends, what the broker had not confirmed is counted, and calls are over. */
#include "bridge/bus/remote/internal.h"

static void count_losses(bus_remote *b, uint64_t lost)
{
    if (lost > 0) {
        b->stats.unconfirmed += lost;
        log_to(&b->log, LOG_WARN, "messages may have been lost with the connection to the broker count=%llu",
               (unsigned long long)lost);
    }
}

static void end_calls(bus_remote *b)
{
    void *port;
    for (size_t at = 0; number_table_next(&b->ports, &at, &port);) {
        remote_port_lost(port);
    }
}

void remote_end_hold(bus_remote *b)
{
    remote_queue held = b->held;
    b->held = (remote_queue){0};
    b->hold_until_ms = 0;
    count_losses(b, remote_queue_carry(b, &b->queue, &held, true));
}

/* Held publishes stay held: they are older than what the queue collects without a broker. */
void remote_become_down(bus_remote *b)
{
    b->hold_until_ms = 0;
    remote_spans_down(b);
    remote_mark_down(b);
    count_losses(b, bus_ledger_unconfirmed(&b->ledger));
    end_calls(b);
}

void remote_become_up(bus_remote *b, const bus_greeting *greeting)
{
    enum { HOLD_MAX_MS = 3600000 };
    remote_queue old = b->queue, held = b->held;
    bus_lane old_lane = b->lane;
    void *port;
    b->queue = b->held = (remote_queue){0};
    b->lane = (bus_lane){.gone = old_lane.added, .added = old_lane.added};
    b->broker_takes_parts = greeting->parts;
    b->state = REMOTE_UP;
    if (b->options.on_limits != NULL) {
        b->options.on_limits(b->options.user, greeting->payload_max, (uint8_t)greeting->ttl);
    }
    remote_set_draining(b, false); /* or it says so next */
    b->attempts = 0;
    remote_mark_up(b);
    for (size_t at = 0; number_table_next(&b->ports, &at, &port);) {
        ((bus_port *)port)->broker_says = BUS_GO_ON;
        if (remote_port_replay(port) != LOOM_OK) {
            b->must_reattach = true;
        }
    }
    remote_spans_up(b, greeting->span_credit);
    if (b->base.is_up != NULL) {
        b->base.is_up(b->base.bridge);
    }
    b->pressure_changed = true;
    b->stats.attachments++;
    log_to(&b->log, LOG_INFO, "attached to the broker url=%s software=%.*s ports=%zu", b->url, (int)greeting->software.len,
           greeting->software.data, b->ports.count);
    remote_queue *to = &b->queue;
    if (greeting->hold_ms > 0) { /* its other subscribers may not be back yet */
        b->hold_until_ms = uv_now(b->loop) + (greeting->hold_ms < HOLD_MAX_MS ? greeting->hold_ms : HOLD_MAX_MS);
        to = &b->held;
    }
    uint64_t lost = remote_queue_carry(b, to, &held, false);
    lost += remote_queue_carry(b, to, &old, false);
    count_losses(b, lost + remote_lane_carry(b, to, &old_lane));
}
