/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/messaging/parties.h"

#include "base/str.h"
#include "envelope/gateway_name.h"
#include "trace/messaging/agent_hop.h"
#include "trace/otlp/fields.h"
#include "trace/otlp/protobuf_read.h"
#include "trace/otlp/read.h"

void trace_parties_add(trace_parties *p, loom_str id, bool here, uint64_t start_unix_ns)
{
    size_t i = 0;
    while (i < p->count && !str_equal((loom_str){p->items[i].id, p->items[i].len}, id)) {
        i++;
    }
    if (id.len == 0 || id.len > LOOM_AGENT_ID_MAX || i == PARTIES_MAX || is_gateway_listener(id)) {
        return;
    }
    if (i == p->count) {
        p->count++;
        p->items[i] = (trace_party){.len = id.len};
        memcpy(p->items[i].id, id.data, id.len);
    }
    trace_party *const party = &p->items[i];
    party->here |= here;
    if (start_unix_ns != 0 && (party->start_unix_ns == 0 || start_unix_ns < party->start_unix_ns)) {
        party->start_unix_ns = start_unix_ns;
    }
}

static uint64_t start_of(loom_bytes span)
{
    pb_field f;
    for (pb_cursor c = pb_cursor_on(span); pb_next(&c, &f);) {
        if (pb_is(&f, SPAN_START_TIME, PB_FIXED64)) {
            return f.value;
        }
    }
    return 0;
}

static void note(void *user, loom_str name, loom_bytes span)
{
    trace_parties_add(user, otlp_span_string(span, "agent_id"), is_agent_hop(name), start_of(span));
}

void trace_parties_find(trace_parties *out, const uint8_t trace_id[LOOM_TRACE_ID_SIZE])
{
    *out = (trace_parties){.count = 0};
    out->found = recorder_look_for(trace_id, note, out);
}
