/* SPDX-License-Identifier: Apache-2.0 */
/* The names of the HTTP gateway's listeners on the bus: gateway-BRIDGE-NUMBER. What is passed to one leaves the bus there, and no span
 * follows; what is recorded of it, its bridge has recorded. */
#ifndef LOOM_ENVELOPE_GATEWAY_NAME_H
#define LOOM_ENVELOPE_GATEWAY_NAME_H

#include "base/str.h"

static inline bool is_gateway_listener(loom_str agent)
{
    size_t digits = 0;
    while (digits < agent.len && agent.data[agent.len - 1 - digits] >= '0' && agent.data[agent.len - 1 - digits] <= '9') {
        digits++;
    }
    return digits > 0 && digits < agent.len && agent.data[agent.len - 1 - digits] == '-' && str_starts_with(agent, "gateway-") &&
           agent.len - digits > sizeof "gateway-";
}

#endif
