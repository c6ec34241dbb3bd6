/* SPDX-License-Identifier: Apache-2.0 */
/* A set of agent ids, in order. Zeroed before its first use. Guard: the owner's. */
#ifndef LOOM_SDK_AGENT_SET_H
#define LOOM_SDK_AGENT_SET_H

#include <loom/envelope.h>

typedef struct agent_set {
    char **items;
    size_t count, capacity;
} agent_set;

/* LOOM_EEXIST: it is there.  LOOM_EINVAL: no agent's id.  LOOM_EFULL: there are max.  LOOM_ENOMEM. */
loom_status agent_set_add(agent_set *set, loom_str id, size_t max);
bool agent_set_remove(agent_set *set, loom_str id);
/* LOOM_ENOMEM: out is empty. */
LOOM_MUST_CHECK loom_status agent_set_copy(agent_set *out, const agent_set *set);
void agent_set_fini(agent_set *set);

#endif
