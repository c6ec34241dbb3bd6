/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/messaging/parties.h"

#include "base/str.h"
#include "trace/otlp/read.h"

void trace_parties_add(trace_parties *p, loom_str id, bool here)
{
    size_t i = 0;
    while (i < p->count && !str_equal((loom_str){p->items[i].id, p->items[i].len}, id)) {
        i++;
    }
    if (id.len == 0 || id.len > LOOM_AGENT_ID_MAX || i == PARTIES_MAX) {
        return;
    }
    if (i == p->count) {
        p->count++;
        p->items[i] = (trace_party){.len = id.len};
        memcpy(p->items[i].id, id.data, id.len);
    }
    p->items[i].here |= here;
}

static void note(void *user, loom_str name, loom_bytes span)
{
    const bool here = str_starts_with(name, "agent."); /* hops at an agent's end; spans of bridge and broker name it, too */
    trace_parties_add(user, otlp_span_string(span, "agent_id"), here);
}

void trace_parties_find(trace_parties *out, const uint8_t trace_id[LOOM_TRACE_ID_SIZE])
{
    *out = (trace_parties){.count = 0};
    out->found = recorder_look_for(trace_id, note, out);
}
