/* SPDX-License-Identifier: Apache-2.0 */
/* The control operation "drain": the broker takes no new agents, and asks those it has to connect elsewhere. It goes on
 * serving who stays; what ends it is a signal, as ever. */
#include "base/str.h"
#include "broker/endpoints/control_internal.h"

enum { WITHIN_MS = 30000, WITHIN_MAX_MS = 3600 * 1000, NAMES_MAX = 10 };

/* within_ms: 0: it is called off. */
static void set_draining(bus_server *s, uint32_t within_ms)
{
    directory_set_draining(s->cores.agents, within_ms > 0);
    bridge_endpoint_tell_draining(s, within_ms);
    if (s->options.on_drain != NULL) {
        s->options.on_drain(s->options.user, within_ms > 0, within_ms);
    }
}

/* That are here, or whose bridge is away for a moment. */
static uint32_t agents_left(const bus_server *s)
{
    return directory_guests(s->cores.agents) + absent_bridge_agents(s);
}

static void begin(bus_server *s, uint64_t deadline_ms)
{
    const uint32_t within_ms = deadline_ms == 0 ? WITHIN_MS : deadline_ms < WITHIN_MAX_MS ? (uint32_t)deadline_ms : WITHIN_MAX_MS;
    log_to(&s->log, LOG_INFO, "draining: new agents are refused, agents are asked to connect elsewhere agents=%u within_ms=%u",
           agents_left(s), within_ms);
    set_draining(s, within_ms);
}

static void end(bus_server *s)
{
    log_to(&s->log, LOG_INFO, "the drain was called off: agents are taken on again agents=%u", directory_guests(s->cores.agents));
    set_draining(s, 0);
}

static bool add_name(void *user, const directory_info *info)
{
    control_list *names = user;
    if (info->guest && control_list_room(names)) {
        control_pack_str(&names->items.pk, info->about.agent);
    }
    return !names->more;
}

control_outcome control_drain(bus_server *s, const control_request *q, const sp_reply_to *to, control_buffer *answer)
{
    (void)to;
    if (str_is(q->how, "begin")) {
        begin(s, q->deadline_ms);
    } else if (str_is(q->how, "end")) {
        if (directory_is_draining(s->cores.agents)) {
            end(s);
        }
    } else if (q->how.len > 0) {
        return control_refuse(answer, LOOM_EINVAL, "how is begin, end, or left out");
    }
    control_list names;
    control_list_init(&names, &(control_request){.limit = NAMES_MAX});
    directory_visit(s->cores.agents, add_name, &names);
    msgpack_pack_map(&answer->pk, 5);
    control_pack_uint(&answer->pk, "status", LOOM_OK);
    control_pack_bool(&answer->pk, "draining", directory_is_draining(s->cores.agents));
    control_pack_uint(&answer->pk, "agents", agents_left(s));
    control_pack_uint(&answer->pk, "away", absent_bridge_agents(s));
    control_pack_key(&answer->pk, "some");
    control_list_append(&names, answer);
    return CONTROL_ANSWERED;
}
