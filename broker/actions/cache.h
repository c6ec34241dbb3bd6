/* SPDX-License-Identifier: Apache-2.0 */
/* Results that calls ended with, for duplicates that come later. Bounded in number, bytes and age; the oldest goes first. */
#ifndef LOOM_BROKER_ACTIONS_CACHE_H
#define LOOM_BROKER_ACTIONS_CACHE_H

#include "broker/actions/actionbroker.h"
#include "base/hash_index.h"

/* A call as its caller named it. The agent and the id identify it; the rest must then agree. */
typedef struct action_key {
    loom_str agent;
    loom_bytes call_id;
    loom_str capability, version; /* as asked for: version may be empty */
    uint64_t payload;             /* a hash under the broker's secret, of an idempotent call's; 0: of any other, which goes unchecked */
} action_key;

/* The same call, in the sense of its id. */
bool action_key_same_id(const action_key *a, const action_key *b);
/* That, and the same thing asked for. */
bool action_key_same(const action_key *a, const action_key *b);
size_t action_key_size(const action_key *key);
/* A copy whose strings are in out, which has room for action_key_size() bytes. */
action_key action_key_copy(const action_key *key, uint8_t *out);

typedef struct action_cache_entry {
    hash_node node; /* first */
    struct action_cache_entry *newer;
    uint64_t expires_ms;
    action_key key;
    action_result result;
    loom_trace_context context; /* of the call's span; all zero: it had none */
    uint8_t bytes[];
} action_cache_entry;

typedef struct action_cache {
    hash_index index;
    action_cache_entry *oldest, *newest;
    uint64_t bytes; /* payloads, codes and texts */
    uint64_t max_bytes;
    uint32_t max_entries;
    uint32_t ttl_ms;
} action_cache;

void action_cache_init(action_cache *cache, uint32_t max_entries, uint64_t max_bytes, uint32_t ttl_ms);
void action_cache_fini(action_cache *cache);

/* hash is of the agent and the id. Keeps nothing when it would not fit, or there is no memory: a cache may forget. */
void action_cache_put(action_cache *cache, const action_key *key, uint64_t hash, const action_result *result,
                      const loom_trace_context *context, uint64_t now_ms);
/* By the agent and the id; NULL: not there. Valid until the cache changes. */
const action_cache_entry *action_cache_find(const action_cache *cache, const action_key *key, uint64_t hash);
void action_cache_expire(action_cache *cache, uint64_t now_ms);
/* When the oldest entry expires; UINT64_MAX: there is none. */
uint64_t action_cache_next_ms(const action_cache *cache);

#endif
