/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/actions/internal.h"

#include <stdlib.h>

static uint32_t or_default(uint32_t value, uint32_t fallback)
{
    return value != 0 ? value : fallback;
}

static void set_all_limits(actionbroker *broker, const actionbroker_options *options)
{
    broker->max_deadline_ms = or_default(options->max_deadline_ms, 3600000);
    actionbroker_set_limits(broker, options->default_deadline_ms, options->max_pending);
    broker->max_capabilities = or_default(options->max_capabilities, 1000);
    broker->max_capability_bytes = options->capability_bytes != 0 ? options->capability_bytes : UINT64_C(16) << 20;
    broker->max_total_capability_bytes =
        options->total_capability_bytes != 0 ? options->total_capability_bytes : UINT64_C(256) << 20;
    broker->payload_max = or_default(options->payload_max, LOOM_PAYLOAD_MAX);
    broker->max_provider_bytes = options->max_provider_bytes != 0 ? options->max_provider_bytes : UINT64_C(64) << 20;
    broker->max_kept_bytes = options->kept_bytes != 0 ? options->kept_bytes : UINT64_C(64) << 20;
    action_cache_init(&broker->cache, or_default(options->cache_entries, 10000),
                      options->cache_bytes != 0 ? options->cache_bytes : UINT64_C(16) << 20,
                      or_default(options->cache_ttl_ms, 60000));
}

/* Anywhere: what a provider still says to the broker that was here before is no answer to a call of this one. */
static uint64_t first_ref(const actionbroker_options *options)
{
    uint64_t ref = options->first_ref;
    if (ref == 0) {
        randombytes_buf(&ref, sizeof ref);
        ref = (ref >> 2) + 1;
    }
    return ref;
}

void actionbroker_set_limits(actionbroker *broker, uint32_t default_deadline_ms, uint32_t max_pending)
{
    broker->default_deadline_ms = or_default(default_deadline_ms, 30000);
    broker->max_pending = or_default(max_pending, 10000);
}

loom_status actionbroker_create(actionbroker **out, const loop_clock *clock, const actionbroker_options *options)
{
    *out = NULL;
    if (sodium_init() < 0) {
        return LOOM_EIO;
    }
    actionbroker *broker = calloc(1, sizeof *broker);
    if (broker == NULL) {
        return LOOM_ENOMEM;
    }
    static const actionbroker_options defaults;
    if (options == NULL) {
        options = &defaults;
    }
    broker->clock = clock;
    broker->tracer = options->tracer;
    broker->log = options->log;
    set_all_limits(broker, options);
    flow_table_init(&broker->flow, options->flow_edges);
    action_registry_init(&broker->registry);
    hash_index_init(&broker->by_key);
    hash_index_init(&broker->by_ref);
    crypto_shorthash_keygen(broker->key);
    broker->last_ref = first_ref(options) - 1;
    *out = broker;
    return LOOM_OK;
}

void actionbroker_destroy(actionbroker *broker)
{
    if (broker == NULL) {
        return;
    }
    assert(broker->parties == NULL);
    action_parties_finish(broker);
    assert(broker->by_key.count == 0 && broker->by_ref.count == 0);
    flow_table_fini(&broker->flow);
    action_registry_fini(&broker->registry);
    action_cache_fini(&broker->cache);
    deadline_heap_fini(&broker->deadlines);
    hash_index_fini(&broker->by_key);
    hash_index_fini(&broker->by_ref);
    free(broker);
}

uint64_t actionbroker_next_deadline_ms(const actionbroker *broker)
{
    if (broker->leaving.first != NULL) {
        return 0;
    }
    const deadline_node *first = deadline_heap_first(&broker->deadlines);
    const uint64_t cache_ms = action_cache_next_ms(&broker->cache);
    return first != NULL && first->at_ms < cache_ms ? first->at_ms : cache_ms;
}

void actionbroker_expire(actionbroker *broker)
{
    const uint64_t now_ms = broker->clock->now_ms;
    actionbroker_enter(broker);
    action_parties_take_turn(broker);
    deadline_node *due;
    for (uint64_t left = deadline_heap_budget(&broker->deadlines, now_ms);
         left > 0 && (due = deadline_heap_due(&broker->deadlines, now_ms)) != NULL; left--) {
        running_call_expire((running_call *)(void *)((char *)due - offsetof(running_call, deadline)));
    }
    action_cache_expire(&broker->cache, now_ms);
    actionbroker_leave(broker);
}

/* ---- statistics ---- */

uint64_t actionbroker_work(const actionbroker *broker)
{
    return broker->work;
}

action_stats actionbroker_get_stats(const actionbroker *broker)
{
    action_stats stats = broker->stats;
    stats.capabilities = broker->registry.offers;
    stats.running = (uint32_t)broker->by_key.count;
    stats.cache_entries = (uint32_t)broker->cache.index.count;
    stats.cache_bytes = broker->cache.bytes;
    return stats;
}

const flow_table *actionbroker_flow(const actionbroker *broker)
{
    return &broker->flow;
}

void actionbroker_visit(const actionbroker *broker, bool (*visit)(void *user, const action_provider_info *info), void *user)
{
    for (const action_party *party = broker->parties; party != NULL; party = party->next) {
        for (const action_offer *offer = party->offers; offer != NULL; offer = offer->next_of_party) {
            const action_provider_info info = {
                .agent = action_party_agent(party),
                .capability = &offer->info,
                .outstanding = offer->outstanding,
                .calls = offer->calls,
                .errors = offer->errors,
            };
            if (!visit(user, &info)) {
                return;
            }
        }
    }
}

static bool visit_calls_of(const action_party *party, bool (*visit)(void *user, const action_call_info *info), void *user)
{
    const uint64_t now_ms = party->broker->clock->now_ms;
    for (const running_call *call = party->working; call != NULL; call = call->next) {
        const action_call_info info = {
            .caller = call->key.agent,
            .capability = call->key.capability,
            .provider = party->leaving ? (loom_str){0} : action_party_agent(party),
            .left_ms = call->ends_ms > now_ms ? call->ends_ms - now_ms : 0,
            .attempts = call->attempts,
            .size = call->size,
        };
        if (!visit(user, &info)) {
            return false;
        }
    }
    return true;
}

void actionbroker_visit_calls(const actionbroker *broker, bool (*visit)(void *user, const action_call_info *info), void *user)
{
    for (const action_party *party = broker->parties; party != NULL; party = party->next) {
        if (!visit_calls_of(party, visit, user)) {
            return;
        }
    }
    for (list_node *node = broker->leaving.first; node != NULL; node = node->next) {
        if (!visit_calls_of(list_item(node, action_party, node), visit, user)) {
            return;
        }
    }
}
