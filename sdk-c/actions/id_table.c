/* SPDX-License-Identifier: Apache-2.0 */
#include "sdk-c/actions/id_table.h"

#include <stdlib.h>
#include <string.h>

enum { BUCKETS_FIRST = 64 };

static uint32_t hash_of(loom_bytes id)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < id.len; i++) {
        hash = (hash ^ id.data[i]) * 16777619u;
    }
    return hash;
}

static loom_bytes id_of(const id_entry *entry)
{
    return (loom_bytes){entry->id, entry->len};
}

static id_entry **bucket_of(const id_table *t, loom_bytes id)
{
    return &t->buckets[hash_of(id) & (t->bucket_count - 1)];
}

void id_table_fini(id_table *t)
{
    free(t->buckets);
    *t = (id_table){0};
}

static void append(id_table *t, id_entry *entry)
{
    id_entry **at = bucket_of(t, id_of(entry));
    while (*at != NULL) {
        at = &(*at)->next;
    }
    entry->next = NULL;
    *at = entry;
}

static loom_status resize(id_table *t, size_t bucket_count)
{
    id_table old = *t;
    id_entry **buckets = calloc(bucket_count, sizeof *buckets);
    if (buckets == NULL) {
        return LOOM_ENOMEM;
    }
    t->buckets = buckets;
    t->bucket_count = bucket_count;
    for (size_t i = 0; i < old.bucket_count; i++) {
        for (id_entry *entry = old.buckets[i], *next; entry != NULL; entry = next) {
            next = entry->next;
            append(t, entry);
        }
    }
    free(old.buckets);
    return LOOM_OK;
}

loom_status id_table_reserve(id_table *t)
{
    if (t->bucket_count == 0) {
        return resize(t, BUCKETS_FIRST);
    }
    if (t->count >= t->bucket_count) {
        (void)resize(t, t->bucket_count * 2); /* without it, it is slower */
    }
    return LOOM_OK;
}

void id_table_add(id_table *t, id_entry *entry, loom_bytes id)
{
    entry->len = (uint8_t)id.len;
    memcpy(entry->id, id.data, id.len);
    append(t, entry);
    t->count++;
}

id_entry *id_table_find(const id_table *t, loom_bytes id)
{
    if (t->bucket_count == 0 || id.len == 0) {
        return NULL;
    }
    for (id_entry *entry = *bucket_of(t, id); entry != NULL; entry = entry->next) {
        if (entry->len == id.len && memcmp(entry->id, id.data, id.len) == 0) {
            return entry;
        }
    }
    return NULL;
}

void id_table_remove(id_table *t, id_entry *entry)
{
    id_entry **at = bucket_of(t, id_of(entry));
    while (*at != entry) {
        at = &(*at)->next;
    }
    *at = entry->next;
    t->count--;
}

id_entry *id_table_take_any(id_table *t)
{
    for (size_t i = 0; i < t->bucket_count && t->count > 0; i++) {
        id_entry *entry = t->buckets[i];
        if (entry != NULL) {
            t->buckets[i] = entry->next;
            t->count--;
            return entry;
        }
    }
    return NULL;
}
