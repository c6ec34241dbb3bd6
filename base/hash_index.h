/* SPDX-License-Identifier: Apache-2.0 */
/* A hash table of nodes that sit inside the things it indexes. The caller hashes and compares; base/bytes_table.h does
 * both for keys that are bytes. Inserting never fails: without memory for more buckets the chains just get longer. */
#ifndef LOOM_BASE_HASH_INDEX_H
#define LOOM_BASE_HASH_INDEX_H

#include <sodium.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { HASH_INDEX_SMALL = 8 }; /* buckets; always a power of two */

typedef struct hash_node {
    struct hash_node *next;
    uint64_t hash;
} hash_node;

/* Points into itself while small: it must not be moved. */
typedef struct hash_index {
    hash_node **buckets;
    size_t mask; /* buckets - 1 */
    size_t count;
    hash_node *small[HASH_INDEX_SMALL];
} hash_index;

void hash_index_init(hash_index *index);
/* Forgets the nodes; they stay their owners'. */
void hash_index_fini(hash_index *index);

/* Of several nodes with one hash, the last one inserted is found first. */
void hash_index_insert(hash_index *index, hash_node *node, uint64_t hash);
/* node must be in index. */
void hash_index_remove(hash_index *index, hash_node *node);

/* node, or the first after it in its chain, that has this hash; NULL: none. */
static inline hash_node *hash_node_with(hash_node *node, uint64_t hash)
{
    while (node != NULL && node->hash != hash) {
        node = node->next;
    }
    return node;
}

/* The candidates for a key, one after the other, until NULL. */
static inline hash_node *hash_index_first(const hash_index *index, uint64_t hash)
{
    return hash_node_with(index->buckets[hash & index->mask], hash);
}

static inline hash_node *hash_index_next(const hash_node *node)
{
    return hash_node_with(node->next, node->hash);
}

/* Any node; NULL: empty. *hint is 0 at first and then where the last one was, so that emptying an index node by node takes
 * time for each node and not each time for all buckets. */
hash_node *hash_index_any(const hash_index *index, size_t *hint);

/* The hash of a key that was chosen outside: under a secret (crypto_shorthash_keygen()), so that nobody can make many keys
 * of one hash. */
static inline uint64_t hash_under_secret(const uint8_t secret[crypto_shorthash_KEYBYTES], const void *data, size_t len)
{
    uint8_t digest[crypto_shorthash_BYTES];
    crypto_shorthash(digest, data, len, secret);
    uint64_t hash;
    memcpy(&hash, digest, sizeof hash);
    return hash;
}

#endif
