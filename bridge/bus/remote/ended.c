/* SPDX-License-Identifier: Apache-2.0 */
/* Ports whose sessions have ended. The broker has heard of it, and nobody finds them any more; but what is remembered of one
 * may be a hundred thousand subscriptions, and forgetting them all at once would be milliseconds for everybody else. */
#include <stdlib.h>

#include "bridge/bus/remote/internal.h"

enum { A_TURN = 256 }; /* requests or calls: some 40 µs */

/* False: nothing is left. */
static bool forget_one(bus_port *port)
{
    return remote_requests_drop(port) || call_set_drop(&port->asked, &port->dropped_asked) ||
           call_set_drop(&port->working, &port->dropped_working);
}

void remote_ended_take_turn(bus_remote *b)
{
    for (unsigned left = A_TURN; b->ended.first != NULL && left > 0; left--) {
        bus_port *oldest = list_item(b->ended.first, bus_port, in_ended); /* NOLINT(clang-analyzer-unix.Malloc): list_remove() unlinks it */
        if (!forget_one(oldest)) {
            list_remove(&b->ended, &oldest->in_ended);
            free(oldest);
        }
    }
}

void remote_port_end(bus_port *port)
{
    bus_remote *b = port->owner;
    const bool alone = b->ended.first == NULL;
    remote_port_not_due(port);
    list_append(&b->ended, &port->in_ended);
    if (alone) {
        remote_ended_take_turn(b);
    }
}

void remote_ended_finish(bus_remote *b)
{
    while (b->ended.first != NULL) {
        remote_ended_take_turn(b);
    }
}
