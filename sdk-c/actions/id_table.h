/* SPDX-License-Identifier: Apache-2.0 */
/* Finds things by a short id: a chained hash table. Equal ids are allowed, and found oldest first. */
#ifndef LOOM_SDK_ID_TABLE_H
#define LOOM_SDK_ID_TABLE_H

#include "envelope/frame/frame.h"

/* Lies in the thing that is found. */
typedef struct id_entry {
    struct id_entry *next; /* of the bucket */
    uint8_t len;
    uint8_t id[FRAME_CALL_ID_MAX];
} id_entry;

typedef struct id_table {
    id_entry **buckets;
    size_t bucket_count; /* a power of two, or 0 */
    size_t count;
} id_table;

void id_table_fini(id_table *t); /* entries are their owners' */
/* Makes room for one more. LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status id_table_reserve(id_table *t);
/* After reserve. */
void id_table_add(id_table *t, id_entry *entry, loom_bytes id);
/* NULL: there is none. */
id_entry *id_table_find(const id_table *t, loom_bytes id);
void id_table_remove(id_table *t, id_entry *entry);
/* Takes some entry out; NULL: there is none left. */
id_entry *id_table_take_any(id_table *t);

#endif
