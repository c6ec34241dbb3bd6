/* SPDX-License-Identifier: Apache-2.0 */
/* Whose a resource is. Agents say who they are and nobody proves it, so this keeps honest what can be known: a session's spans
 * are of the service it has named, nobody else speaks for the broker, for an agent that is connected, or for a service that
 * another session has named and this one has not. */
#include <string.h>

#include "base/str.h"
#include "bridge/spans/intake_internal.h"
#include "trace/otlp/read.h"

static bool is_brokers(loom_str service)
{
    return str_is(service, "loom-broker") || str_is(service, "loom-bridge") || str_is(service, "loom-gateway");
}

/* agent-ID is what libloom calls an agent's service by default. */
static bool is_other_agents(const span_sender *s, loom_str service)
{
    static const char prefix[] = "agent-";
    const size_t len = sizeof prefix - 1;
    if (service.len <= len || memcmp(service.data, prefix, len) != 0) {
        return false;
    }
    const loom_str id = str_tail(service, len);
    return !str_equal(id, s->options.agent) && s->options.is_agent != NULL && s->options.is_agent(s->options.user, id);
}

bool identity_may_serve(const span_sender *s)
{
    return s->options.agent.len == 0 || (!is_brokers(s->options.service) && !is_other_agents(s, s->options.service));
}

/* Another session of this bridge has named it. */
static bool is_spoken_for(const span_sender *s, loom_str service)
{
    for (list_node *n = s->intake->senders.first; n != NULL; n = n->next) {
        const span_sender *other = list_item(n, span_sender, node);
        if (other != s && str_equal(other->options.service, service)) {
            return true;
        }
    }
    return false;
}

static bool is_own(const span_sender *s, loom_bytes resource)
{
    const loom_str service = otlp_resource_string(resource, "service.name");
    const loom_str agent = otlp_resource_string(resource, "loom.agent.id");
    if (agent.len > 0 && !str_equal(agent, s->options.agent)) {
        return false;
    }
    if (str_equal(service, s->options.service)) {
        const loom_str instance = otlp_resource_string(resource, "service.instance.id");
        return s->options.service_instance.len == 0 || str_equal(instance, s->options.service_instance);
    }
    return !is_brokers(service) && !is_other_agents(s, service) && !is_spoken_for(s, service);
}

static bool is_of_tenant(const span_sender *s, loom_str tenant)
{
    return s->options.tenant.len == 0 || tenant.len == 0 || str_equal(tenant, s->options.tenant);
}

span_refusal identity_check(const span_sender *s, loom_bytes resource)
{
    switch (span_check_resource(resource)) {
    case SPAN_FINE: break;
    case SPAN_TOO_LARGE: return SPAN_REFUSED_TOO_LARGE;
    default: return SPAN_REFUSED_MALFORMED;
    }
    if (s->options.agent.len > 0 && !is_own(s, resource)) {
        return SPAN_REFUSED_IDENTITY;
    }
    return is_of_tenant(s, otlp_resource_string(resource, "tenant_id")) ? SPAN_REFUSALS : SPAN_REFUSED_TENANT;
}

bool identity_has_tenant(const span_sender *s, loom_bytes span)
{
    return s->options.tenant.len == 0 || is_of_tenant(s, otlp_span_string(span, "tenant_id"));
}
