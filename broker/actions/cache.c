/* SPDX-License-Identifier: Apache-2.0 */
/* Every entry lives equally long, so the order in which they came is the order in which they expire: one list does for the
 * limits and for time. */
#include "broker/actions/cache.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

/* ---- keys ---- */

bool action_key_same_id(const action_key *a, const action_key *b)
{
    return bytes_equal(a->call_id, b->call_id) && str_equal(a->agent, b->agent);
}

bool action_key_same(const action_key *a, const action_key *b)
{
    return action_key_same_id(a, b) && str_equal(a->capability, b->capability) && str_equal(a->version, b->version) &&
           (a->payload == b->payload || a->payload == 0 || b->payload == 0);
}

size_t action_key_size(const action_key *key)
{
    return key->agent.len + key->call_id.len + key->capability.len + key->version.len;
}

static const uint8_t *copy_bytes(uint8_t **at, const void *data, size_t len)
{
    uint8_t *copy = *at;
    if (len > 0) {
        memcpy(copy, data, len);
    }
    *at += len;
    return copy;
}

static loom_str copy_str(uint8_t **at, loom_str text)
{
    return (loom_str){(const char *)copy_bytes(at, text.data, text.len), text.len};
}

static loom_bytes copy_slice(uint8_t **at, loom_bytes bytes)
{
    return (loom_bytes){copy_bytes(at, bytes.data, bytes.len), bytes.len};
}

action_key action_key_copy(const action_key *key, uint8_t *out)
{
    action_key copy = {.payload = key->payload};
    copy.agent = copy_str(&out, key->agent);
    copy.call_id = copy_slice(&out, key->call_id);
    copy.capability = copy_str(&out, key->capability);
    copy.version = copy_str(&out, key->version);
    return copy;
}

/* ---- the cache ---- */

void action_cache_init(action_cache *cache, uint32_t max_entries, uint64_t max_bytes, uint32_t ttl_ms)
{
    memset(cache, 0, sizeof *cache);
    hash_index_init(&cache->index);
    cache->max_entries = max_entries;
    cache->max_bytes = max_bytes;
    cache->ttl_ms = ttl_ms;
}

static size_t result_size(const action_result *result)
{
    return result->code.len + result->text.len + result->payload.len;
}

static void remove_oldest(action_cache *cache)
{
    action_cache_entry *entry = cache->oldest;
    cache->oldest = entry->newer;
    if (cache->oldest == NULL) {
        cache->newest = NULL;
    }
    hash_index_remove(&cache->index, &entry->node);
    cache->bytes -= result_size(&entry->result);
    free(entry);
}

void action_cache_fini(action_cache *cache)
{
    while (cache->oldest != NULL) {
        remove_oldest(cache);
    }
    hash_index_fini(&cache->index);
}

void action_cache_put(action_cache *cache, const action_key *key, uint64_t hash, const action_result *result,
                      const loom_trace_context *context, uint64_t now_ms)
{
    const size_t size = result_size(result);
    const size_t key_size = action_key_size(key);
    if (size > cache->max_bytes) {
        return;
    }
    action_cache_entry *entry = malloc(sizeof *entry + key_size + size);
    if (entry == NULL) {
        return;
    }
    while (cache->oldest != NULL && (cache->index.count >= cache->max_entries || cache->bytes + size > cache->max_bytes)) {
        remove_oldest(cache);
    }
    uint8_t *at = entry->bytes + key_size;
    entry->newer = NULL;
    entry->expires_ms = now_ms + cache->ttl_ms;
    entry->key = action_key_copy(key, entry->bytes);
    entry->result.outcome = result->outcome;
    entry->result.code = copy_str(&at, result->code);
    entry->result.text = copy_str(&at, result->text);
    entry->result.payload = copy_slice(&at, result->payload);
    entry->context = *context;
    *(cache->newest != NULL ? &cache->newest->newer : &cache->oldest) = entry;
    cache->newest = entry;
    cache->bytes += size;
    hash_index_insert(&cache->index, &entry->node, hash);
}

const action_cache_entry *action_cache_find(const action_cache *cache, const action_key *key, uint64_t hash)
{
    for (hash_node *node = hash_index_first(&cache->index, hash); node != NULL; node = hash_index_next(node)) {
        const action_cache_entry *entry = (const action_cache_entry *)node;
        if (action_key_same_id(&entry->key, key)) {
            return entry;
        }
    }
    return NULL;
}

void action_cache_expire(action_cache *cache, uint64_t now_ms)
{
    while (cache->oldest != NULL && cache->oldest->expires_ms <= now_ms) {
        remove_oldest(cache);
    }
}

uint64_t action_cache_next_ms(const action_cache *cache)
{
    return cache->oldest != NULL ? cache->oldest->expires_ms : UINT64_MAX;
}
