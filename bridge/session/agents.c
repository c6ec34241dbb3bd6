/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/session/agents.h"

#include <search.h>
#include <string.h>

static int by_agent(const void *a, const void *b)
{
    return strcmp(((const session *)a)->agent, ((const session *)b)->agent);
}

loom_status agents_enter(bridge *b, session *s, session **older)
{
    *older = NULL;
    session **entry = tsearch(s, &b->agents, by_agent);
    if (entry == NULL) {
        return LOOM_ENOMEM;
    }
    if (*entry != s) {
        *older = *entry;
        *entry = s;
    }
    return LOOM_OK;
}

void agents_leave(bridge *b, const session *s)
{
    session **entry = s->agent_len > 0 ? tfind(s, &b->agents, by_agent) : NULL;
    if (entry != NULL && *entry == s) {
        tdelete(s, &b->agents, by_agent);
    }
}

session *agents_find(const bridge *b, loom_str agent)
{
    session key;
    if (agent.len >= sizeof key.agent) {
        return NULL;
    }
    memcpy(key.agent, agent.data, agent.len);
    key.agent[agent.len] = '\0';
    session *const *entry = tfind(&key, &b->agents, by_agent);
    return entry != NULL ? *entry : NULL;
}
