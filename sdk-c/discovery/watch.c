/* SPDX-License-Identifier: Apache-2.0 */
/* Who comes and goes: the broker's news, which has what it is about in headers. */
#include <loom/discovery.h>
#include <string.h>

#include "base/str.h"
#include "sdk-c/agent/parts.h"

enum { NAME_SIZE = 257 };

static bool copy_header(const loom_envelope *event, const char *key, char out[NAME_SIZE])
{
    loom_str value;
    if (loom_envelope_header(event, key, &value) != LOOM_OK || value.len >= NAME_SIZE) {
        return false;
    }
    if (value.len > 0) {
        memcpy(out, value.data, value.len);
    }
    out[value.len] = '\0';
    return true;
}

static loom_status on_agent_event(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    const loom_watch *watch = user;
    char id[NAME_SIZE];
    (void)topic;
    if (copy_header(event, "agent", id)) {
        watch->on_agent(agent, id, str_is(loom_envelope_type(event), "agent.registered"), watch->user);
    }
    return LOOM_OK;
}

static loom_status on_capability_event(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    const loom_watch *watch = user;
    char name[NAME_SIZE], version[NAME_SIZE], provider[NAME_SIZE];
    (void)topic;
    if (copy_header(event, "name", name) && copy_header(event, "version", version) && copy_header(event, "agent", provider)) {
        watch->on_capability(agent, name, version, provider, str_is(loom_envelope_type(event), "capability.provided"), watch->user);
    }
    return LOOM_OK;
}

static loom_status watch_topic(loom_agent *a, const char *topic, loom_on_event on_event, const loom_watch *watch, uint64_t *subscription)
{
    return loom_agent_subscribe(a, topic, &(loom_subscribe_options){.on_event = on_event, .user = (void *)(uintptr_t)watch}, subscription);
}

loom_status loom_agent_watch_agents(loom_agent *a, const loom_watch *watch, uint64_t *subscription)
{
    if (watch == NULL || watch->on_agent == NULL) {
        return last_error_null(watch == NULL ? "the watch" : "on_agent");
    }
    return watch_topic(a, "system.agents", on_agent_event, watch, subscription);
}

loom_status loom_agent_watch_capabilities(loom_agent *a, const loom_watch *watch, uint64_t *subscription)
{
    if (watch == NULL || watch->on_capability == NULL) {
        return last_error_null(watch == NULL ? "the watch" : "on_capability");
    }
    return watch_topic(a, "system.capabilities", on_capability_event, watch, subscription);
}
