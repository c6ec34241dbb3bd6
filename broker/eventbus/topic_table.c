/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/eventbus/topic_table.h"

#include <stdlib.h>

void topic_table_init(topic_table *table, uint32_t max)
{
    memset(table, 0, sizeof *table);
    table->max = max;
    hash_index_init(&table->index);
    crypto_shorthash_keygen(table->key);
}

static void forget_matches(topic_table *table, topic_entry *entry)
{
    if (entry->matches != &entry->match) {
        free(entry->matches);
    }
    table->remembered -= entry->match_count;
    entry->matches = NULL;
    entry->match_count = 0;
    entry->generation = 0;
    entry->ticket = ++table->tickets;
    entry->publisher = 0;
}

void topic_table_fini(topic_table *table)
{
    for (topic_entry *entry = table->newest; entry != NULL;) {
        topic_entry *older = entry->older;
        forget_matches(table, entry);
        free(entry);
        entry = older;
    }
    hash_index_fini(&table->index);
}

static void unlink_entry(topic_table *table, topic_entry *entry)
{
    *(entry->newer != NULL ? &entry->newer->older : &table->newest) = entry->older;
    *(entry->older != NULL ? &entry->older->newer : &table->oldest) = entry->newer;
}

static void link_newest(topic_table *table, topic_entry *entry)
{
    entry->newer = NULL;
    entry->older = table->newest;
    *(entry->older != NULL ? &entry->older->newer : &table->oldest) = entry;
    table->newest = entry;
}

static void evict_oldest(topic_table *table)
{
    topic_entry *entry = table->oldest;
    unlink_entry(table, entry);
    hash_index_remove(&table->index, &entry->node);
    forget_matches(table, entry);
    if (table->last == entry) {
        table->last = NULL;
    }
    if (table->found == entry) {
        table->found = NULL;
    }
    free(entry);
}

static uint64_t topic_hash(const topic_table *table, loom_str topic)
{
    return hash_under_secret(table->key, topic.data, topic.len);
}

static topic_entry *lookup(const topic_table *table, loom_str topic, uint64_t hash)
{
    hash_node *node = hash_index_first(&table->index, hash);
    while (node != NULL && !topic_entry_is((topic_entry *)node, topic)) {
        node = hash_index_next(node);
    }
    return (topic_entry *)node;
}

loom_status topic_table_use_slow(topic_table *table, loom_str topic, topic_entry **out)
{
    *out = NULL;
    if (topic.len == 0 || topic.len > LOOM_TOPIC_MAX) {
        return LOOM_EINVAL;
    }
    const uint64_t hash = topic_hash(table, topic);
    topic_entry *entry = lookup(table, topic, hash);
    if (entry != NULL) {
        unlink_entry(table, entry);
    } else {
        if (!loom_topic_valid(topic)) {
            return LOOM_EINVAL;
        }
        if ((entry = calloc(1, sizeof *entry + topic.len)) == NULL) {
            return LOOM_ENOMEM;
        }
        if (table->index.count >= table->max) {
            evict_oldest(table);
        }
        entry->len = (uint16_t)topic.len;
        memcpy(entry->topic, topic.data, topic.len);
        hash_index_insert(&table->index, &entry->node, hash);
    }
    link_newest(table, entry);
    table->last = entry;
    *out = entry;
    return LOOM_OK;
}

topic_entry *topic_table_find(topic_table *table, loom_str topic)
{
    if (topic_entry_is(table->last, topic)) {
        return table->last;
    }
    if (!topic_entry_is(table->found, topic)) {
        table->found = lookup(table, topic, topic_hash(table, topic));
    }
    return table->found;
}

bool topic_table_remember(topic_table *table, topic_entry *entry, const topic_match *matches, uint32_t count,
                          uint64_t generation)
{
    forget_matches(table, entry);
    if (count > TOPIC_TABLE_MATCHES_MAX) {
        return false;
    }
    if (table->remembered + count > TOPIC_TABLE_MATCHES_MAX) {
        /* To get here as many matches had to be found again, which pays for this walk. */
        for (topic_entry *each = table->newest; each != NULL; each = each->older) {
            forget_matches(table, each);
        }
    }
    if (count == 1) {
        entry->match = matches[0];
        entry->matches = &entry->match;
    } else if (count > 1) {
        if ((entry->matches = malloc(count * sizeof *entry->matches)) == NULL) {
            return false;
        }
        memcpy(entry->matches, matches, count * sizeof *entry->matches);
    }
    entry->match_count = count;
    entry->generation = generation;
    table->remembered += count;
    return true;
}
