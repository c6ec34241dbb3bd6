/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes_table.h"

#include "base/random.h"
#include "base/str.h"

void bytes_table_init(bytes_table *t)
{
    hash_index_init(&t->index);
    random_take(t->secret, sizeof t->secret);
}

void bytes_table_fini(bytes_table *t)
{
    hash_index_fini(&t->index);
}

void bytes_table_add(bytes_table *t, bytes_node *node, loom_bytes key)
{
    node->key = key;
    hash_index_insert(&t->index, &node->node, hash_under_secret(t->secret, key.data, key.len));
}

void bytes_table_remove(bytes_table *t, bytes_node *node)
{
    hash_index_remove(&t->index, &node->node);
}

/* The index gives the last one added first, so the first one is the last to match. */
bytes_node *bytes_table_find(const bytes_table *t, loom_bytes key)
{
    bytes_node *found = NULL;
    hash_node *node = hash_index_first(&t->index, hash_under_secret(t->secret, key.data, key.len));
    for (; node != NULL; node = hash_index_next(node)) {
        bytes_node *candidate = (bytes_node *)node;
        if (bytes_equal(candidate->key, key)) {
            found = candidate;
        }
    }
    return found;
}
