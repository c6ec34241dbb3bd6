/* SPDX-License-Identifier: Apache-2.0 */
/* Filters (<loom/topic.h>) and what is subscribed under each, for finding all values whose filter selects a topic.
 *
 * The cost of a match depends on the segments of the topic and on the wildcard filters that begin like it, not on how
 * many filters there are. Several matches may run at once; a change (add, remove) needs the trie for itself. */
#ifndef LOOM_BROKER_EVENTBUS_TOPIC_TRIE_H
#define LOOM_BROKER_EVENTBUS_TOPIC_TRIE_H

#include <loom/topic.h>

typedef struct topic_trie topic_trie;

LOOM_MUST_CHECK loom_status topic_trie_create(topic_trie **out);
/* Forgets the values; they stay their owner's. NULL is allowed. */
void topic_trie_destroy(topic_trie *trie);

/* What is subscribed sits inside the thing that subscribes, and knows where it is: removing it takes the same time however
 * many share its filter. */
typedef struct topic_trie_value {
    struct topic_trie_node *node; /* NULL: in no trie */
    uint32_t at;
} topic_trie_value;

/* Adds value, which must be in no trie, under filter; it stays the caller's and must not move.
 * LOOM_EINVAL, LOOM_ETOOBIG: not a valid filter.  LOOM_EFULL: too many under this filter.  LOOM_ENOMEM: nothing has changed. */
LOOM_MUST_CHECK loom_status topic_trie_add(topic_trie *trie, loom_str filter, topic_trie_value *value);
/* Takes value, which must be in trie, out of it. Needs no memory. */
void topic_trie_remove(topic_trie *trie, topic_trie_value *value);
/* Bytes that a filter of its own costs at most. */
size_t topic_trie_cost(loom_str filter);

typedef void topic_trie_visit(void *user, topic_trie_value *value);
/* Visits every value whose filter selects topic, in no particular order; returns how many. Allocates nothing. visit must not
 * change the trie. What is no valid topic matches nothing or less than it should, and does no harm. nodes: that were looked
 * at, which with wildcards may be many more than match; NULL is allowed. */
size_t topic_trie_match(const topic_trie *trie, loom_str topic, topic_trie_visit *visit, void *user, size_t *nodes);

/* How many it would visit, found without visiting each. named: without filters that begin with a wildcard. */
size_t topic_trie_count(const topic_trie *trie, loom_str topic, bool named);

/* Another number after each add and remove that changed something, and never 0: what a match found stays true while
 * this stays the same. */
uint64_t topic_trie_generation(const topic_trie *trie);
size_t topic_trie_value_count(const topic_trie *trie);
/* Nodes held, without the root: 0 when there is no filter. */
size_t topic_trie_node_count(const topic_trie *trie);

#endif
