/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash_index.h"

#include <stdlib.h>
#include <string.h>

void hash_index_init(hash_index *index)
{
    memset(index, 0, sizeof *index);
    index->buckets = index->small;
    index->mask = HASH_INDEX_SMALL - 1;
}

void hash_index_fini(hash_index *index)
{
    if (index->buckets != index->small) {
        free(index->buckets);
    }
    hash_index_init(index);
}

static void put(hash_node **buckets, size_t mask, hash_node *node)
{
    node->next = buckets[node->hash & mask];
    buckets[node->hash & mask] = node;
}

/* Reversed, so that putting its nodes back one by one, each in front, keeps the order of those with one hash. */
static hash_node *reversed(hash_node *chain)
{
    hash_node *result = NULL;
    while (chain != NULL) {
        hash_node *next = chain->next;
        chain->next = result;
        result = chain;
        chain = next;
    }
    return result;
}

/* Without the memory it stays as it is, slower or larger, and right. */
static void resize(hash_index *index, size_t buckets_wanted)
{
    hash_node **buckets = index->small;
    if (buckets_wanted > HASH_INDEX_SMALL) {
        buckets = calloc(buckets_wanted, sizeof *buckets);
        if (buckets == NULL) {
            return;
        }
    } else {
        memset(index->small, 0, sizeof index->small);
    }
    for (size_t i = 0; i <= index->mask; i++) {
        for (hash_node *node = reversed(index->buckets[i]); node != NULL;) {
            hash_node *next = node->next;
            put(buckets, buckets_wanted - 1, node);
            node = next;
        }
    }
    if (index->buckets != index->small) {
        free(index->buckets);
    }
    index->buckets = buckets;
    index->mask = buckets_wanted - 1;
}

void hash_index_insert(hash_index *index, hash_node *node, uint64_t hash)
{
    if (index->count > index->mask) {
        resize(index, (index->mask + 1) * 2);
    }
    node->hash = hash;
    put(index->buckets, index->mask, node);
    index->count++;
}

void hash_index_remove(hash_index *index, hash_node *node)
{
    hash_node **place = &index->buckets[node->hash & index->mask];
    while (*place != node) {
        place = &(*place)->next;
    }
    *place = node->next;
    index->count--;
    /* Late, and far: few nodes have to be moved then, and going up and down around one size does not resize each time. */
    enum { FULL_ENOUGH = 64, FEWER = 16 };
    const size_t buckets = index->mask + 1;
    if (buckets > HASH_INDEX_SMALL && index->count < buckets / FULL_ENOUGH + 1) {
        resize(index, buckets / FEWER > HASH_INDEX_SMALL ? buckets / FEWER : HASH_INDEX_SMALL);
    }
}

hash_node *hash_index_any(const hash_index *index, size_t *hint)
{
    if (index->count == 0) {
        return NULL;
    }
    *hint &= index->mask;
    while (index->buckets[*hint] == NULL) {
        *hint = (*hint + 1) & index->mask;
    }
    return index->buckets[*hint];
}
