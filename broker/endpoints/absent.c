/* SPDX-License-Identifier: Apache-2.0 */
/* Bridges that are away. The agents of one whose connection has broken are not in the directory until it is back; whoever
 * asks in that moment how many are left is not to hear that there are none. */
#include <string.h>

#include "base/str.h"
#include "broker/endpoints/internal.h"

static bool is_expected(const bus_server *s, const absent_bridge *a)
{
    return a->agents > 0 && a->until_ms > s->clock->now_ms;
}

static absent_bridge *find(bus_server *s, loom_str id)
{
    for (absent_bridge *a = s->bridges.absent; a < s->bridges.absent + ABSENT_BRIDGES_MAX; a++) {
        if (is_expected(s, a) && str_equal((loom_str){a->id, a->id_len}, id)) {
            return a;
        }
    }
    return NULL;
}

/* A free place, or that of the bridge that has been away for longest. */
static absent_bridge *place(bus_server *s)
{
    absent_bridge *best = s->bridges.absent;
    for (absent_bridge *a = best; a < s->bridges.absent + ABSENT_BRIDGES_MAX; a++) {
        if (!is_expected(s, a)) {
            return a;
        }
        best = a->until_ms < best->until_ms ? a : best;
    }
    return best;
}

void absent_bridge_add(bus_server *s, const bridge_peer *b)
{
    uint32_t agents = b->awaited;
    void *session;
    for (size_t at = 0; number_table_next(&b->sessions, &at, &session);) {
        agents += ((const peer_session *)session)->guest;
    }
    if (agents > 0) {
        absent_bridge *a = place(s);
        *a = (absent_bridge){.until_ms = s->clock->now_ms + s->options.silence_ms, .agents = agents, .id_len = b->id_len};
        memcpy(a->id, b->id, b->id_len);
    }
}

uint32_t absent_bridge_take(bus_server *s, loom_str id)
{
    absent_bridge *a = find(s, id);
    const uint32_t agents = a != NULL ? a->agents : 0;
    if (a != NULL) {
        a->agents = 0;
    }
    return agents;
}

uint32_t absent_bridge_agents(const bus_server *s)
{
    uint32_t agents = 0;
    for (const absent_bridge *a = s->bridges.absent; a < s->bridges.absent + ABSENT_BRIDGES_MAX; a++) {
        agents += is_expected(s, a) ? a->agents : 0;
    }
    for (const bridge_peer *b = s->bridges.first; b != NULL; b = b->next) {
        agents += b->awaited;
    }
    return agents;
}
