/* SPDX-License-Identifier: Apache-2.0 */
/* Whose a resource is. Agents say who they are and nobody proves it, so this keeps honest what can be known: a session's spans
 * are of the service it has named, nobody else speaks for the broker, for an agent that is connected, or for a service that
 * another session has named and this one has not. What says whose a resource is has to be one text: of a key that comes twice
 * readers take the first or the last, and of a number in place of a text each makes what it likes. */
#include <string.h>

#include "base/str.h"
#include "bridge/spans/intake_internal.h"
#include "trace/messaging/agent_hop.h"
#include "trace/otlp/fields.h"
#include "trace/otlp/protobuf_read.h"
#include "trace/otlp/read.h"

/* Of an attribute that says whose it is. */
typedef struct claim {
    const char *key;
    loom_str text; /* empty: it says nothing */
    size_t count;
    bool odd;      /* it is no text, or there are two */
} claim;

static bool note_claim(void *user, otlp_attr attr)
{
    claim *c = user;
    if (str_is(attr.key, c->key)) {
        const otlp_any any = otlp_read_any(attr.value);
        c->text = (loom_str){(const char *)any.bytes.data, any.bytes.len};
        c->odd = any.type != OTLP_ANY_STRING || c->count > 0;
        c->count++;
    }
    return !c->odd;
}

static claim resource_claims(loom_bytes resource, const char *key)
{
    claim c = {.key = key};
    otlp_read_resource_attrs(resource, note_claim, &c);
    return c;
}

static bool is_brokers(loom_str service)
{
    return str_is(service, "loom-broker") || str_is(service, "loom-bridge") || str_is(service, "loom-gateway");
}

static bool find_agent(const span_sender *s, loom_str id, const span_sender **sender)
{
    return s->options.find_agent != NULL && s->options.find_agent(s->options.user, id, sender);
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
    const span_sender *other;
    return !str_equal(id, s->options.agent) && find_agent(s, id, &other);
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

/* Agents that share their telemetry share a process, and its spans take the session of any of them. */
static bool shares_telemetry(const span_sender *s, const span_sender *other)
{
    return other != NULL && str_equal(other->options.service, s->options.service) &&
           str_equal(other->options.service_instance, s->options.service_instance);
}

static bool names_agent_hop(loom_bytes span)
{
    loom_str name = {0};
    pb_field f;
    for (pb_cursor c = pb_cursor_on(span); pb_next(&c, &f);) {
        if (pb_is(&f, SPAN_NAME, PB_LENGTH)) {
            name = (loom_str){(const char *)f.bytes.data, f.bytes.len};
        }
    }
    return is_agent_hop(name);
}

span_maker identity_maker(const span_sender *s, loom_bytes span)
{
    claim agent = {.key = "agent_id"};
    if (s->options.agent.len == 0 || !names_agent_hop(span)) {
        return MAKER_OWN;
    }
    otlp_read_span_attrs(span, note_claim, &agent);
    if (agent.odd) {
        return MAKER_FORGED;
    }
    if (agent.count == 0 || str_equal(agent.text, s->options.agent)) {
        return MAKER_OWN;
    }
    const span_sender *other;
    return find_agent(s, agent.text, &other) && !shares_telemetry(s, other) ? MAKER_FORGED : MAKER_OTHER;
}

static bool is_own(const span_sender *s, loom_bytes resource)
{
    const claim service = resource_claims(resource, "service.name"), agent = resource_claims(resource, "loom.agent.id"),
                instance = resource_claims(resource, "service.instance.id");
    if (service.odd || agent.odd || instance.odd || (agent.text.len > 0 && !str_equal(agent.text, s->options.agent))) {
        return false;
    }
    if (str_equal(service.text, s->options.service)) {
        return s->options.service_instance.len == 0 || str_equal(instance.text, s->options.service_instance);
    }
    return !is_brokers(service.text) && !is_other_agents(s, service.text) && !is_spoken_for(s, service.text);
}

static bool is_of_tenant(const span_sender *s, const claim *tenant)
{
    return !tenant->odd && (tenant->text.len == 0 || str_equal(tenant->text, s->options.tenant));
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
    const claim tenant = resource_claims(resource, "tenant_id");
    return s->options.tenant.len == 0 || is_of_tenant(s, &tenant) ? SPAN_REFUSALS : SPAN_REFUSED_TENANT;
}

bool identity_has_tenant(const span_sender *s, loom_bytes span)
{
    claim tenant = {.key = "tenant_id"};
    if (s->options.tenant.len == 0) {
        return true;
    }
    otlp_read_span_attrs(span, note_claim, &tenant);
    return is_of_tenant(s, &tenant);
}
