/* SPDX-License-Identifier: Apache-2.0 */
/* The topics published to: their statistics, and for each the subscriptions found for it last time.
 *
 * Bounded: the least recently used topic makes room for a new one. What was found is remembered together with the
 * generation of the subscriptions it holds for, so that a change of subscriptions costs the table nothing. */
#ifndef LOOM_BROKER_EVENTBUS_TOPIC_TABLE_H
#define LOOM_BROKER_EVENTBUS_TOPIC_TABLE_H

#include <string.h>

#include <loom/topic.h>
#include <sodium.h>

#include "base/hash_index.h"
#include "base/str.h"
#include "broker/flow/flow.h"

/* Matches remembered for all topics together; past it all are forgotten and found again. 64 MiB. */
#define TOPIC_TABLE_MATCHES_MAX ((size_t)4 << 20)

typedef struct topic_match {
    void *value;
    flow_counts *flow; /* where its messages count; NULL: not looked up yet */
} topic_match;

typedef struct topic_entry {
    hash_node node; /* first */
    struct topic_entry *newer, *older; /* by last use */
    topic_match *matches; /* NULL when there are none, &match when there is one */
    topic_match match;
    uint64_t generation; /* of the subscriptions that matches holds for; 0: never matched */
    uint64_t ticket;     /* another one, of all entries, each time matches are found: what is remembered with it holds as long */
    uint64_t publisher;  /* the last one's number; 0: none since then */
    flow_counts *flow;   /* where that one's messages count */
    uint64_t published, delivered, dropped, bytes, last_ms;
    uint32_t match_count;
    uint16_t len;
    char topic[];
} topic_entry;

/* Must not be moved. */
typedef struct topic_table {
    topic_entry *last; /* the last one used, which the next message often names again; NULL: none */
    topic_entry *found; /* the same for topic_table_find() */
    topic_entry *newest, *oldest;
    size_t remembered; /* matches, in all entries */
    uint64_t tickets;  /* given out */
    uint32_t max;
    hash_index index;
    uint8_t key[crypto_shorthash_KEYBYTES]; /* names come from outside: they must not be made to collide */
} topic_table;

/* libsodium must have been initialised. */
void topic_table_init(topic_table *table, uint32_t max);
void topic_table_fini(topic_table *table);

static inline bool topic_entry_is(const topic_entry *entry, loom_str topic)
{
    return entry != NULL && entry->len == topic.len && str_same(entry->topic, topic.data, topic.len);
}

/* The entry of topic, made if need be, now the most recently used. What is known needs no check again.
 * LOOM_EINVAL: no valid topic.  LOOM_ENOMEM: a valid one, but no memory.  *out is then NULL. */
LOOM_MUST_CHECK loom_status topic_table_use_slow(topic_table *table, loom_str topic, topic_entry **out);
LOOM_MUST_CHECK static inline loom_status topic_table_use(topic_table *table, loom_str topic, topic_entry **out)
{
    if (topic_entry_is(table->last, topic)) {
        *out = table->last;
        return LOOM_OK;
    }
    return topic_table_use_slow(table, topic, out);
}

/* Without making one, and without counting as use. NULL: not known. */
topic_entry *topic_table_find(topic_table *table, loom_str topic);

/* Remembers matches, copied, as found for generation. False: no memory, or far too many; nothing is remembered then. */
bool topic_table_remember(topic_table *table, topic_entry *entry, const topic_match *matches, uint32_t count,
                          uint64_t generation);

#endif
