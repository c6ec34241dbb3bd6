/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes_table.h"

#include "base/random.h"
#include "base/str.h"

void bytes_table_init(bytes_table *t)
{
    hash_index_init(&t->index);
    t->count = 0;
    random_take(t->secret, sizeof t->secret);
}

void bytes_table_fini(bytes_table *t)
{
    hash_index_fini(&t->index);
    t->count = 0;
}

static uint64_t hash_of(const bytes_table *t, loom_bytes key)
{
    return hash_under_secret(t->secret, key.data, key.len);
}

static bytes_node *find(const bytes_table *t, loom_bytes key, uint64_t hash)
{
    hash_node *node = hash_index_first(&t->index, hash);
    while (node != NULL && !bytes_equal(((const bytes_node *)node)->key, key)) {
        node = hash_index_next(node);
    }
    return (bytes_node *)node;
}

void bytes_table_add(bytes_table *t, bytes_node *node, loom_bytes key)
{
    const uint64_t hash = hash_of(t, key);
    bytes_node *oldest = find(t, key, hash);
    node->key = key;
    node->younger = NULL;
    node->older = oldest != NULL ? oldest->youngest : NULL;
    if (oldest != NULL) {
        node->older->younger = node;
        oldest->youngest = node;
    } else {
        node->youngest = node;
        hash_index_insert(&t->index, &node->node, hash);
    }
    t->count++;
}

/* The next one takes its place. */
static void remove_oldest(bytes_table *t, bytes_node *node)
{
    bytes_node *next = node->younger;
    const uint64_t hash = node->node.hash;
    hash_index_remove(&t->index, &node->node);
    if (next != NULL) {
        next->older = NULL;
        next->youngest = node->youngest;
        hash_index_insert(&t->index, &next->node, hash);
    }
}

void bytes_table_remove(bytes_table *t, bytes_node *node)
{
    t->count--;
    if (node->older == NULL) {
        remove_oldest(t, node);
        return;
    }
    node->older->younger = node->younger;
    if (node->younger != NULL) {
        node->younger->older = node->older;
    } else {
        find(t, node->key, hash_of(t, node->key))->youngest = node->older;
    }
}

bytes_node *bytes_table_find(const bytes_table *t, loom_bytes key)
{
    return find(t, key, hash_of(t, key));
}
