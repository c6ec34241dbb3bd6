/* SPDX-License-Identifier: Apache-2.0 */
/* The control operations "agents", "capabilities" and "topics": who is there, what can be called, what is published.
 *
 * Lists are sorted and bounded; "after" goes on behind the last name of the list before. */
#include <loom/topic.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "broker/endpoints/control_internal.h"
#include "envelope/mailbox_name.h"
#include "envelope/reserved.h"

enum { AGENT_SUBSCRIPTIONS_TOLD = 100, AGENT_CAPABILITIES_TOLD = 100, PROVIDERS_TOLD = 1000 };

static int compare(loom_str a, loom_str b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len > 0 ? memcmp(a.data, b.data, len) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static bool wanted(loom_str filter, loom_str value)
{
    return filter.len == 0 || compare(filter, value) == 0;
}

/* A growing array of things of one size. */
typedef struct rows {
    void *data;
    size_t count, cap, size;
    bool failed;
} rows;

static void *rows_add(rows *r)
{
    if (r->count == r->cap) {
        size_t cap = r->cap > 0 ? r->cap * 2 : 64;
        void *data = realloc(r->data, cap * r->size);
        if (data == NULL) {
            r->failed = true;
            return NULL;
        }
        r->data = data;
        r->cap = cap;
    }
    return (char *)r->data + r->size * r->count++;
}

static control_outcome out_of_memory(control_buffer *answer)
{
    return control_refuse(answer, LOOM_ENOMEM, loom_status_text(LOOM_ENOMEM));
}

/* ---- agents ---- */

typedef struct agent_row {
    directory_info info;
    uint32_t subscriptions, capabilities; /* how many of them are told */
    bool hears, provides;                 /* what was asked for */
} agent_row;

typedef struct subscription_row {
    loom_str agent, filter, group;
    loom_qos qos;
} subscription_row;

typedef struct capability_row {
    loom_str agent, name, version;
} capability_row;

typedef struct agents_view {
    const control_request *q;
    size_t most;                              /* agents that are looked at */
    rows agents, subscriptions, capabilities; /* sorted by agent */
} agents_view;

static bool add_agent(void *user, const directory_info *info)
{
    agents_view *v = user;
    if (wanted(v->q->agent, info->about.agent) && (v->q->after.len == 0 || compare(info->about.agent, v->q->after) > 0)) {
        agent_row *row = rows_add(&v->agents);
        if (row != NULL) {
            *row = (agent_row){.info = *info};
        }
    }
    return !v->agents.failed && v->agents.count < v->most;
}

/* Both kinds begin with their agent. */
static int by_owner(const void *a, const void *b)
{
    return compare(*(const loom_str *)a, *(const loom_str *)b);
}

/* The first of this id; there may be several sessions of one agent. NULL: not among those that are looked at. */
static agent_row *find_agent(const agents_view *v, loom_str agent)
{
    agent_row *all = v->agents.data;
    size_t low = 0, high = v->agents.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(all[middle].info.about.agent, agent) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < v->agents.count && compare(all[low].info.about.agent, agent) == 0 ? &all[low] : NULL;
}

/* As the EventBus has it: a filter selects what the broker itself says only by name. */
static bool reaches(loom_str filter, loom_str topic)
{
    return topic.len > 0 && loom_filter_matches(filter, topic) && (!broker_name_reserved(topic) || broker_name_reserved(filter));
}

static bool add_subscription(void *user, const eventbus_subscription_stats *s)
{
    agents_view *v = user;
    agent_row *agent = find_agent(v, s->subscriber);
    if (agent == NULL) {
        return true;
    }
    agent->hears = agent->hears || reaches(s->filter, v->q->topic);
    if (agent->subscriptions < AGENT_SUBSCRIPTIONS_TOLD) {
        subscription_row *row = rows_add(&v->subscriptions);
        if (row == NULL) {
            return false;
        }
        *row = (subscription_row){s->subscriber, s->filter, s->group, s->qos};
        agent->subscriptions++;
    }
    return true;
}

static bool add_capability(void *user, const action_provider_info *info)
{
    agents_view *v = user;
    agent_row *agent = find_agent(v, info->agent);
    if (agent == NULL) {
        return true;
    }
    agent->provides = agent->provides || (v->q->capability.len > 0 && compare(info->capability->name, v->q->capability) == 0);
    if (agent->capabilities < AGENT_CAPABILITIES_TOLD) {
        capability_row *row = rows_add(&v->capabilities);
        if (row == NULL) {
            return false;
        }
        *row = (capability_row){info->agent, info->capability->name, info->capability->version};
        agent->capabilities++;
    }
    return true;
}

/* Where the rows of this agent begin. */
static const void *first_of(const rows *r, loom_str agent)
{
    size_t low = 0, high = r->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(*(const loom_str *)((const char *)r->data + middle * r->size), agent) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return (const char *)r->data + low * r->size;
}

static void pack_agent(msgpack_packer *pk, const agents_view *v, const agent_row *row)
{
    const directory_about *about = &row->info.about;
    const char *state = directory_state_name(row->info.state);
    const agent_row *first = find_agent(v, about->agent);
    msgpack_pack_map(pk, 10);
    control_pack_text(pk, "agent", about->agent);
    control_pack_text(pk, "bridge", about->bridge);
    control_pack_text(pk, "software", about->software);
    control_pack_key(pk, "instance");
    control_pack_bin(pk, about->instance);
    control_pack_text(pk, "peer", about->peer);
    control_pack_uint(pk, "since_unix_ns", row->info.since_unix_ns);
    control_pack_uint(pk, "heard_ms_ago", row->info.heard_ms_ago);
    control_pack_text(pk, "state", str_of(state));
    control_pack_key(pk, "subscriptions");
    msgpack_pack_array(pk, first->subscriptions);
    const subscription_row *s = first->subscriptions > 0 ? first_of(&v->subscriptions, about->agent) : NULL;
    for (uint32_t i = 0; i < first->subscriptions; i++) {
        msgpack_pack_map(pk, s[i].group.len > 0 ? 3 : 2);
        control_pack_text(pk, "filter", s[i].filter);
        control_pack_uint(pk, "qos", (uint64_t)s[i].qos);
        if (s[i].group.len > 0) {
            control_pack_text(pk, "group", s[i].group);
        }
    }
    control_pack_key(pk, "capabilities");
    msgpack_pack_array(pk, first->capabilities);
    const capability_row *c = first->capabilities > 0 ? first_of(&v->capabilities, about->agent) : NULL;
    for (uint32_t i = 0; i < first->capabilities; i++) {
        msgpack_pack_map(pk, 2);
        control_pack_text(pk, "name", c[i].name);
        control_pack_text(pk, "version", c[i].version);
    }
}

static void sort(rows *r, int (*order)(const void *a, const void *b))
{
    if (r->count > 1) {
        qsort(r->data, r->count, r->size, order);
    }
}

static control_outcome list_agents(agents_view *v, control_buffer *answer)
{
    control_list list;
    control_list_init(&list, v->q);
    for (size_t i = 0; i < v->agents.count; i++) {
        const agent_row *row = (const agent_row *)v->agents.data + i;
        const agent_row *first = find_agent(v, row->info.about.agent);
        if ((v->q->topic.len > 0 && !first->hears) || (v->q->capability.len > 0 && !first->provides)) {
            continue;
        }
        if (!control_list_room(&list)) {
            break;
        }
        pack_agent(&list.items.pk, v, row);
    }
    return control_list_answer(&list, answer, "agents");
}

control_outcome control_agents(bus_server *s, const control_request *q, const sp_reply_to *to, control_buffer *answer)
{
    const bool selects = q->topic.len > 0 || q->capability.len > 0;
    agents_view v = {q, selects ? SIZE_MAX : control_list_limit(q) + 1, /* the last one only tells that there are more */
                     {.size = sizeof(agent_row)}, {.size = sizeof(subscription_row)}, {.size = sizeof(capability_row)}};
    (void)to;
    directory_visit(s->cores.agents, add_agent, &v); /* in this order */
    const uint32_t most = q->topic.len > 0 ? UINT32_MAX : AGENT_SUBSCRIPTIONS_TOLD;
    eventbus_visit_subscriptions(s->cores.events, most, add_subscription, &v);
    actionbroker_visit(s->cores.actions, add_capability, &v);
    sort(&v.subscriptions, by_owner);
    sort(&v.capabilities, by_owner);
    bool failed = v.agents.failed || v.subscriptions.failed || v.capabilities.failed;
    const control_outcome outcome = failed ? out_of_memory(answer) : list_agents(&v, answer);
    free(v.agents.data);
    free(v.subscriptions.data);
    free(v.capabilities.data);
    return outcome;
}

/* ---- capabilities ---- */

typedef struct providers_view {
    const control_request *q;
    rows providers; /* of action_provider_info */
} providers_view;

static bool add_provider(void *user, const action_provider_info *info)
{
    providers_view *v = user;
    const control_request *q = v->q;
    loom_str name = info->capability->name;
    if (wanted(q->name, name) && (q->after.len == 0 || compare(name, q->after) > 0) && name.len >= q->prefix.len &&
        (q->prefix.len == 0 || memcmp(name.data, q->prefix.data, q->prefix.len) == 0)) {
        action_provider_info *row = rows_add(&v->providers);
        if (row != NULL) {
            *row = *info;
        }
    }
    return !v->providers.failed;
}

static int by_capability(const void *a, const void *b)
{
    const action_provider_info *x = a, *y = b;
    int order = compare(x->capability->name, y->capability->name);
    order = order != 0 ? order : compare(x->capability->version, y->capability->version);
    return order != 0 ? order : compare(x->agent, y->agent);
}

static void pack_metadata(msgpack_packer *pk, const action_capability *c)
{
    control_pack_key(pk, "metadata");
    msgpack_pack_map(pk, c->metadata_count);
    for (size_t i = 0; i < c->metadata_count; i++) {
        control_pack_str(pk, c->metadata[i].key);
        control_pack_str(pk, c->metadata[i].value);
    }
}

/* What is said about a capability is what the first of its providers says. */
static void pack_capability(msgpack_packer *pk, const action_provider_info *providers, size_t count)
{
    const action_capability *c = providers->capability;
    msgpack_pack_map(pk, 8);
    control_pack_text(pk, "name", c->name);
    control_pack_text(pk, "version", c->version);
    control_pack_text(pk, "kind", c->kind);
    control_pack_text(pk, "description", c->description);
    control_pack_text(pk, "input_schema", c->input_schema);
    control_pack_text(pk, "output_schema", c->output_schema);
    pack_metadata(pk, c);
    control_pack_key(pk, "providers");
    count = count < PROVIDERS_TOLD ? count : PROVIDERS_TOLD;
    msgpack_pack_array(pk, count);
    for (size_t i = 0; i < count; i++) {
        msgpack_pack_map(pk, 4);
        control_pack_text(pk, "agent", providers[i].agent);
        control_pack_uint(pk, "outstanding", providers[i].outstanding);
        control_pack_uint(pk, "calls", providers[i].calls);
        control_pack_uint(pk, "errors", providers[i].errors);
    }
}

control_outcome control_capabilities(bus_server *s, const control_request *q, const sp_reply_to *to, control_buffer *answer)
{
    providers_view v = {q, {.size = sizeof(action_provider_info)}};
    control_list list;
    (void)to;
    actionbroker_visit(s->cores.actions, add_provider, &v);
    if (v.providers.failed) {
        free(v.providers.data);
        return out_of_memory(answer);
    }
    sort(&v.providers, by_capability);
    control_list_init(&list, q);
    const action_provider_info *all = v.providers.data;
    uint32_t whole = 0; /* items up to the name that is being told, and their bytes */
    size_t whole_bytes = 0;
    for (size_t i = 0, end; i < v.providers.count; i = end) {
        if (i == 0 || compare(all[i - 1].capability->name, all[i].capability->name) != 0) {
            whole = list.count;
            whole_bytes = list.items.bytes.size;
        }
        if (!control_list_room(&list)) {
            if (whole > 0) { /* the next list goes on behind a name: none of its versions may be left over */
                list.count = whole;
                list.items.bytes.size = whole_bytes;
            }
            break;
        }
        for (end = i + 1; end < v.providers.count && compare(all[i].capability->name, all[end].capability->name) == 0 &&
                          compare(all[i].capability->version, all[end].capability->version) == 0;) {
            end++;
        }
        pack_capability(&list.items.pk, all + i, end - i);
    }
    free(v.providers.data);
    return control_list_answer(&list, answer, "capabilities");
}

/* ---- topics: those published to most ---- */

typedef struct topics_view {
    const directory *agents;
    loom_str filter;
    control_top top;
} topics_view;

/* Every program that has asked for something leaves one: nobody reads it, and nobody will. */
static bool is_left_mailbox(const directory *agents, loom_str topic)
{
    const loom_str agent = mailbox_agent(topic);
    directory_info info;
    return agent.len > 0 && !directory_find(agents, agent, &info);
}

static bool add_topic(void *user, const eventbus_topic_stats *t)
{
    topics_view *v = user;
    if (v->filter.len == 0 ? !is_left_mailbox(v->agents, t->topic) : loom_filter_matches(v->filter, t->topic)) {
        control_top_add(&v->top, t->published, t);
    }
    return true;
}

static void pack_topic(void *user, msgpack_packer *pk, const void *item)
{
    const eventbus *events = user;
    const eventbus_topic_stats *t = item;
    msgpack_pack_map(pk, 7);
    control_pack_text(pk, "topic", t->topic);
    control_pack_uint(pk, "published", t->published);
    control_pack_uint(pk, "delivered", t->delivered);
    control_pack_uint(pk, "dropped", t->dropped);
    control_pack_uint(pk, "bytes", t->bytes);
    control_pack_uint(pk, "last_ms", t->last_ms);
    control_pack_uint(pk, "subscriptions", eventbus_topic_subscriptions(events, t->topic));
}

void control_pack_topics(control_list *list, const broker_cores *cores, loom_str filter)
{
    topics_view v = {.agents = cores->agents, .filter = filter};
    control_top_init(&v.top, list->limit, sizeof(eventbus_topic_stats));
    eventbus_visit_topics(cores->events, add_topic, &v);
    control_top_pack(&v.top, list, pack_topic, cores->events);
    control_top_fini(&v.top);
}

control_outcome control_topics(bus_server *s, const control_request *q, const sp_reply_to *to, control_buffer *answer)
{
    control_list list;
    (void)to;
    if (q->filter.len > 0 && !loom_filter_valid(q->filter)) {
        return control_refuse(answer, LOOM_EINVAL, "filter is not valid");
    }
    control_list_init(&list, q);
    control_pack_topics(&list, &s->cores, q->filter);
    return control_list_answer(&list, answer, "topics");
}
