/* SPDX-License-Identifier: Apache-2.0 */
/* Finds things by a key of bytes: a hash_index that hashes under a secret of its own and compares. Equal keys are allowed,
 * and found in the order in which they were added; however many there are, nothing takes longer for it. Adding never fails. */
#ifndef LOOM_BASE_BYTES_TABLE_H
#define LOOM_BASE_BYTES_TABLE_H

#include <loom/api.h>

#include "base/hash_index.h"

/* Sits inside the thing that is found. */
typedef struct bytes_node {
    hash_node node; /* first */
    loom_bytes key; /* borrowed for as long as the node is in a table */
    struct bytes_node *older, *younger; /* of equal keys; only the oldest is in the index */
    struct bytes_node *youngest;        /* of the oldest: itself, or the last that was added */
} bytes_node;

/* Must not be moved. */
typedef struct bytes_table {
    hash_index index;
    size_t count;
    uint8_t secret[crypto_shorthash_KEYBYTES]; /* keys may come from outside */
} bytes_table;

void bytes_table_init(bytes_table *t);
/* Forgets the nodes; they stay their owners'. */
void bytes_table_fini(bytes_table *t);

void bytes_table_add(bytes_table *t, bytes_node *node, loom_bytes key);
/* node must be in t. */
void bytes_table_remove(bytes_table *t, bytes_node *node);
/* The node of this key that was added first; NULL: there is none. */
bytes_node *bytes_table_find(const bytes_table *t, loom_bytes key);

static inline size_t bytes_table_count(const bytes_table *t)
{
    return t->count;
}

/* As hash_index_any(). */
static inline bytes_node *bytes_table_any(const bytes_table *t, size_t *hint)
{
    return (bytes_node *)hash_index_any(&t->index, hint);
}

#endif
