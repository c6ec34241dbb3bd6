/* SPDX-License-Identifier: Apache-2.0 */
/* Credit for a broker that does not read. Only the newest totals count, so while much is waiting they are kept where they
 * are, with their port in a list of those that have something to say, instead of one frame after the other in the queue.
 *
 * They are written once little is waiting again, or, so that steady publishing does not hold them up, a few with each
 * message that has left: however often agents grant, the queue does not grow by it. */
#include "bridge/bus/remote/internal.h"

enum {
    LITTLE_BYTES = 256 * 1024, /* waiting: frames are written as they come */
    SHARE_BYTES = 16 * 1024    /* of each message that has left */
};

bool remote_is_behind(const bus_remote *b)
{
    return remote_waiting(b) > LITTLE_BYTES;
}

void remote_port_due(bus_port *port)
{
    bus_remote *b = port->owner;
    if (port->due) {
        return;
    }
    port->due = true;
    list_append(&b->due, &port->in_due);
}

void remote_port_not_due(bus_port *port)
{
    if (port->due) {
        list_remove(&port->owner->due, &port->in_due);
        port->due = port->credit_due = false;
    }
}

static uint64_t left(uint64_t granted, uint64_t used)
{
    return granted > used ? granted - used : 0;
}

loom_status remote_port_put_credit(bus_port *port)
{
    frame_writer *w = remote_port_writer(port);
    if (w == NULL) {
        return LOOM_ENOMEM;
    }
    const loom_status st = frame_put_credit(w, left(port->granted_messages, port->base_messages),
                                            left(port->granted_bytes, port->base_bytes));
    remote_port_wrote(port, st);
    return st;
}

static void put_call_credit(void *user, loom_bytes id, uint64_t chunks, uint64_t bytes)
{
    bus_port *port = user;
    frame_writer *w = remote_port_writer(port);
    if (w != NULL) {
        remote_port_wrote(port, frame_put_call_credit(w, id, chunks, bytes));
    }
}

static void say(bus_port *port)
{
    const bool credit = port->credit_due;
    remote_port_not_due(port);
    if (credit) {
        remote_port_put_credit(port);
    }
    call_set_take_credit(&port->asked, put_call_credit, port);
}

bool remote_say_due(bus_remote *b)
{
    const bool little = !remote_is_behind(b);
    const size_t share = (size_t)(b->stats.sent - b->due_sent) * SHARE_BYTES, before = remote_queue_bytes(&b->queue);
    const bool any = b->due.first != NULL && (little || share > 0);
    b->due_sent = b->stats.sent;
    while (b->due.first != NULL && b->state == REMOTE_UP && !b->must_reattach) {
        const size_t said = remote_queue_bytes(&b->queue) - before;
        if (little ? said > LITTLE_BYTES : said >= share) {
            break;
        }
        say(list_item(b->due.first, bus_port, in_due));
    }
    return any;
}
