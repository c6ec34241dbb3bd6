/* SPDX-License-Identifier: Apache-2.0 */
/* subscribe and unsubscribe: passed to the bus, whose answer goes back to the agent as an ack. */
#include "bridge/session.h"

loom_status on_subscribe(session *s, const frame_subscribe *f)
{
    s->bridge->options.bus->ops->subscribe(s->bridge->options.bus, s->port, f);
    return LOOM_OK;
}

loom_status on_unsubscribe(session *s, const frame_unsubscribe *f)
{
    s->bridge->options.bus->ops->unsubscribe(s->bridge->options.bus, s->port, f);
    return LOOM_OK;
}
