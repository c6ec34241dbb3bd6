/* SPDX-License-Identifier: Apache-2.0 */
/* Parties, and what they provide. */
#include "broker/actions/internal.h"

#include <stdlib.h>

#include <loom/topic.h>

#include "base/str.h"

loom_status action_party_open(actionbroker *broker, action_party **out, const action_handlers *handlers, void *user,
                              loom_str agent)
{
    *out = NULL;
    if (handlers == NULL || handlers->request == NULL || handlers->result == NULL || agent.len == 0 ||
        agent.len > LOOM_AGENT_ID_MAX) {
        return LOOM_EINVAL;
    }
    action_party *party = calloc(1, sizeof *party + agent.len);
    if (party == NULL) {
        return LOOM_ENOMEM;
    }
    if ((party->flow = flow_agent_enter(&broker->flow, agent)) == NULL) {
        free(party);
        return LOOM_ENOMEM;
    }
    party->broker = broker;
    party->handlers = *handlers;
    party->user = user;
    party->agent_len = (uint16_t)agent.len;
    memcpy(party->agent, agent.data, agent.len);
    party->next = broker->parties;
    if (party->next != NULL) {
        party->next->prev = party;
    }
    broker->parties = party;
    broker->stats.parties++;
    *out = party;
    return LOOM_OK;
}

static void remove_offer(action_party *party, action_offer *offer)
{
    *(offer->prev_of_party != NULL ? &offer->prev_of_party->next_of_party : &party->offers) = offer->next_of_party;
    if (offer->next_of_party != NULL) {
        offer->next_of_party->prev_of_party = offer->prev_of_party;
    }
    party->offer_count--;
    party->offer_bytes -= offer->size;
    party->broker->stats.capability_bytes -= offer->size;
    action_registry_remove(&party->broker->registry, offer);
}

static void unlink_party(action_party *party)
{
    *(party->prev != NULL ? &party->prev->next : &party->broker->parties) = party->next;
    if (party->next != NULL) {
        party->next->prev = party->prev;
    }
    party->broker->stats.parties--;
}

void action_party_close(action_party *party)
{
    if (party == NULL) {
        return;
    }
    actionbroker *broker = party->broker;
    actionbroker_enter(broker);
    while (party->offers != NULL) {
        remove_offer(party, party->offers);
    }
    unlink_party(party);
    action_party_leave(party);
    actionbroker_leave(broker);
}

/* ---- providing ---- */

static bool kind_valid(loom_str kind)
{
    static const char *const kinds[] = {"tool", "agent", "plain"};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (str_is(kind, kinds[i])) {
            return true;
        }
    }
    return kind.len == 0;
}

static loom_status check_capability(const action_capability *capability)
{
    const loom_status st = loom_topic_check(capability->name, NULL);
    if (st != LOOM_OK) {
        return st;
    }
    if (!kind_valid(capability->kind)) {
        return LOOM_EINVAL;
    }
    if (capability->version.len > ACTION_VERSION_MAX || capability->description.len > ACTION_DESCRIPTION_MAX ||
        capability->input_schema.len > ACTION_SCHEMA_MAX || capability->output_schema.len > ACTION_SCHEMA_MAX) {
        return LOOM_ETOOBIG;
    }
    size_t left = LOOM_HEADERS_MAX;
    for (size_t i = 0; i < capability->metadata_count; i++) {
        const loom_header *header = &capability->metadata[i];
        /* Two bytes more for each pair, as they take at least on the wire: pairs of nothing are bounded, too. */
        if (header->key.len > left || header->value.len > left || header->key.len + header->value.len + 2 > left) {
            return LOOM_ETOOBIG;
        }
        left -= header->key.len + header->value.len + 2;
    }
    return LOOM_OK;
}

/* What this party says about this version; NULL: nothing yet. */
static action_offer *find_offer(const action_party *party, loom_str name, loom_str version)
{
    const action_version *offered = action_registry_find(&party->broker->registry, name, version);
    action_offer *offer = offered != NULL ? party->offers : NULL;
    while (offer != NULL && offer->version != offered) {
        offer = offer->next_of_party;
    }
    return offer;
}

/* older: what the party says about it already, or NULL. NULL: no limit is reached. */
static const char *limit_reached(const action_party *party, const action_capability *capability, const action_offer *older)
{
    const actionbroker *broker = party->broker;
    const uint64_t size = action_capability_size(capability), before = older != NULL ? older->size : 0;
    if (older == NULL && party->offer_count >= broker->max_capabilities) {
        return "the agent provides as many capabilities as one agent may";
    }
    if (size > before && party->offer_bytes + size - before > broker->max_capability_bytes) {
        return "the agent's capabilities take as much memory as one agent's may take";
    }
    if (size > before && broker->stats.capability_bytes + size - before > broker->max_total_capability_bytes) {
        return "the broker's capabilities take as much memory as they may take";
    }
    return NULL;
}

const char *action_provide_limit(const action_party *party, const action_capability *capability)
{
    const char *limit = limit_reached(party, capability, find_offer(party, capability->name, capability->version));
    return limit != NULL ? limit : loom_status_text(LOOM_EFULL);
}

static loom_status reword(action_offer *offer, const action_capability *capability)
{
    action_party *party = offer->party;
    const size_t before = offer->size;
    const loom_status st = action_offer_reword(offer, capability);
    party->offer_bytes += offer->size - before;
    party->broker->stats.capability_bytes += offer->size - before;
    return st;
}

loom_status action_provide(action_party *party, const action_capability *capability)
{
    actionbroker *broker = party->broker;
    assert(!broker->running);
    loom_status st = check_capability(capability);
    if (st != LOOM_OK) {
        return st;
    }
    action_offer *offer = find_offer(party, capability->name, capability->version);
    const char *limit = limit_reached(party, capability, offer);
    if (limit != NULL) {
        log_to_limited(&broker->log, &broker->refused, 1, broker->clock->now_ms, LOG_WARN,
                       "capability refused agent=%.*s capability=%.*s reason=%s", (int)party->agent_len, party->agent,
                       (int)capability->name.len, capability->name.data, limit);
        return LOOM_EFULL;
    }
    if (offer != NULL) {
        return reword(offer, capability);
    }
    st = action_registry_add(&broker->registry, &offer, party, &party->outstanding, capability);
    if (st != LOOM_OK) {
        return st;
    }
    offer->next_of_party = party->offers;
    if (party->offers != NULL) {
        party->offers->prev_of_party = offer;
    }
    party->offers = offer;
    party->offer_count++;
    party->offer_bytes += offer->size;
    broker->stats.capability_bytes += offer->size;
    return LOOM_OK;
}

void action_party_visit(const action_party *party, void (*visit)(void *user, const action_capability *capability), void *user)
{
    for (const action_offer *offer = party->offers; offer != NULL; offer = offer->next_of_party) {
        visit(user, &offer->info);
    }
}

loom_status action_withdraw(action_party *party, loom_str name, loom_str version)
{
    assert(!party->broker->running);
    action_offer *offer = find_offer(party, name, version);
    if (offer == NULL) {
        return LOOM_ENOTFOUND;
    }
    remove_offer(party, offer);
    return LOOM_OK;
}
