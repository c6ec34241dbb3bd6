/* SPDX-License-Identifier: Apache-2.0 */
/* Which spans an agent itself makes of its messages and calls; those of bridge and broker name it, too. */
#ifndef LOOM_TRACE_MESSAGING_AGENT_HOP_H
#define LOOM_TRACE_MESSAGING_AGENT_HOP_H

#include "base/str.h"

static inline bool is_agent_hop(loom_str name)
{
    return str_starts_with(name, "agent.") || str_is(name, "action.invoke");
}

#endif
