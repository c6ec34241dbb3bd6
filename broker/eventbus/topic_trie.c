/* SPDX-License-Identifier: Apache-2.0 */
/* A trie of segments. The literal children of all nodes sit in one hash table, keyed by parent and segment: a node is
 * found with one probe however many brothers it has, and a leaf carries no table of its own. The children for "*" and
 * ">" are pointers in their parent, for a topic never names them.
 *
 * Segments are hashed with SipHash under a random key, so that names chosen outside cannot be made to collide. The
 * table is open addressing with linear probes, at most three quarters full; removal shifts back what follows, so
 * there are no tombstones and the table is as fast after a million changes as before. */
#include "broker/eventbus/topic_trie.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash_index.h"
#include "envelope/topic.h"

enum {
    TABLE_MIN = 16,               /* slots; always a power of two */
    FULL_ENOUGH = 64, FEWER = 16  /* one of so many in use; if not, a table of so many times fewer slots */
};

typedef struct topic_trie_node node;
struct topic_trie_node {
    node *parent;  /* NULL: the root */
    node *star;    /* child "*" */
    node *tail;    /* child ">", a leaf */
    union {
        topic_trie_value *one;   /* the value, when there is one */
        topic_trie_value **many; /* the values, when there are more; room for the next power of two */
    } values;
    uint32_t value_count;
    uint32_t child_count; /* literal, "*" and ">" */
    uint16_t segment_len;
    char segment[];
};

/* The hash lies beside the pointer, so that a probe that misses touches no node. */
typedef struct slot {
    uint64_t hash;
    node *node; /* NULL: free */
} slot;

struct topic_trie {
    node *root;
    slot *slots;
    size_t slot_mask; /* slots - 1 */
    size_t literal_count;
    size_t node_count;
    size_t value_count;
    uint64_t generation;
    uint8_t key[crypto_shorthash_KEYBYTES];
};

/* ---- the table of literal children ---- */

static uint64_t segment_hash(const topic_trie *trie, loom_str segment)
{
    return hash_under_secret(trie->key, segment.data, segment.len);
}

/* The segment's hash is unpredictable already; mixing in the parent spreads one segment under many parents. The final
 * multiplication carries the low bits of the pointer's part up, the shift brings them down to where the mask is. */
static uint64_t child_hash(const node *parent, uint64_t of_segment)
{
    uint64_t hash = (of_segment ^ (uint64_t)(uintptr_t)parent) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ (hash >> 32);
}

static node *find_literal(const topic_trie *trie, const node *parent, loom_str segment, uint64_t of_segment)
{
    const uint64_t hash = child_hash(parent, of_segment);
    for (size_t i = hash & trie->slot_mask; trie->slots[i].node != NULL; i = (i + 1) & trie->slot_mask) {
        node *n = trie->slots[i].node;
        if (trie->slots[i].hash == hash && n->parent == parent && n->segment_len == segment.len &&
            memcmp(n->segment, segment.data, segment.len) == 0) {
            return n;
        }
    }
    return NULL;
}

static void slots_put(slot *slots, size_t mask, slot entry)
{
    size_t i = entry.hash & mask;
    while (slots[i].node != NULL) {
        i = (i + 1) & mask;
    }
    slots[i] = entry;
}

static bool table_resize(topic_trie *trie, size_t count)
{
    slot *slots = calloc(count, sizeof *slots);
    if (slots == NULL) {
        return false;
    }
    for (size_t i = 0; i <= trie->slot_mask; i++) {
        if (trie->slots[i].node != NULL) {
            slots_put(slots, count - 1, trie->slots[i]);
        }
    }
    free(trie->slots);
    trie->slots = slots;
    trie->slot_mask = count - 1;
    return true;
}

static uint64_t node_hash(const topic_trie *trie, const node *n)
{
    return child_hash(n->parent, segment_hash(trie, (loom_str){.data = n->segment, .len = n->segment_len}));
}

static bool table_insert(topic_trie *trie, node *n)
{
    const size_t count = trie->slot_mask + 1;
    if ((trie->literal_count + 1) * 4 > count * 3 && !table_resize(trie, count * 2)) {
        return false;
    }
    slots_put(trie->slots, trie->slot_mask, (slot){.hash = node_hash(trie, n), .node = n});
    trie->literal_count++;
    return true;
}

static void table_remove(topic_trie *trie, const node *n)
{
    slot *slots = trie->slots;
    const size_t mask = trie->slot_mask;
    size_t hole = node_hash(trie, n) & mask;
    while (slots[hole].node != n) {
        hole = (hole + 1) & mask;
    }
    /* A later entry fills the hole unless its own place lies after the hole, on the way to where it sits. */
    for (size_t i = (hole + 1) & mask; slots[i].node != NULL; i = (i + 1) & mask) {
        if (((i - slots[i].hash) & mask) >= ((i - hole) & mask)) {
            slots[hole] = slots[i];
            hole = i;
        }
    }
    slots[hole] = (slot){0};
    trie->literal_count--;
    const size_t count = mask + 1;
    if (count > TABLE_MIN && trie->literal_count < count / FULL_ENOUGH + 1) {
        /* late, and far: few entries have to be moved then; without the memory it just stays larger */
        (void)table_resize(trie, count / FEWER > TABLE_MIN ? count / FEWER : TABLE_MIN);
    }
}

/* ---- nodes ---- */

static size_t node_size(size_t segment_len)
{
    const size_t size = offsetof(node, segment) + segment_len;
    return size > sizeof(node) ? size : sizeof(node);
}

static node *node_create(node *parent, loom_str segment)
{
    node *n = calloc(1, node_size(segment.len));
    if (n != NULL) {
        n->parent = parent;
        n->segment_len = (uint16_t)segment.len;
        if (segment.len > 0) {
            memcpy(n->segment, segment.data, segment.len);
        }
    }
    return n;
}

static void node_free(node *n)
{
    if (n != NULL && n->value_count > 1) {
        free(n->values.many);
    }
    free(n);
}

/* The pointer in parent that holds its wildcard child for segment; NULL: segment is literal. */
static node **wildcard_place(node *parent, loom_str segment)
{
    if (topic_segment_is_star(segment)) {
        return &parent->star;
    }
    return topic_segment_is_tail(segment) ? &parent->tail : NULL;
}

static node *child_find(const topic_trie *trie, node *parent, loom_str segment)
{
    node **place = wildcard_place(parent, segment);
    return place != NULL ? *place : find_literal(trie, parent, segment, segment_hash(trie, segment));
}

static node *child_add(topic_trie *trie, node *parent, loom_str segment)
{
    assert(parent != NULL);
    node *n = node_create(parent, segment);
    if (n == NULL) {
        return NULL;
    }
    node **place = wildcard_place(parent, segment);
    if (place != NULL) {
        *place = n;
    } else if (!table_insert(trie, n)) {
        free(n);
        return NULL;
    }
    parent->child_count++;
    trie->node_count++;
    return n;
}

/* Frees n and those above it that no longer lead anywhere. */
static void prune(topic_trie *trie, node *n)
{
    while (n->parent != NULL && n->value_count == 0 && n->child_count == 0) {
        node *parent = n->parent;
        if (parent->star == n) {
            parent->star = NULL;
        } else if (parent->tail == n) {
            parent->tail = NULL;
        } else {
            table_remove(trie, n);
        }
        parent->child_count--;
        trie->node_count--;
        free(n);
        n = parent;
    }
}

/* ---- values ---- */

static topic_trie_value **values_of(node *n)
{
    return n->value_count > 1 ? n->values.many : &n->values.one;
}

static loom_status value_add(node *n, topic_trie_value *value)
{
    const uint32_t count = n->value_count;
    if (count == UINT32_MAX) {
        return LOOM_EFULL;
    }
    if (count == 0) {
        n->values.one = value;
    } else if ((count & (count - 1)) == 0) {
        /* A power of two: the array is full, or, with one value, still to come. */
        topic_trie_value **many = realloc(count > 1 ? n->values.many : NULL, 2 * (size_t)count * sizeof *many);
        if (many == NULL) {
            return LOOM_ENOMEM;
        }
        if (count == 1) {
            many[0] = n->values.one;
        }
        many[count] = value;
        n->values.many = many;
    } else {
        n->values.many[count] = value;
    }
    *value = (topic_trie_value){.node = n, .at = count};
    n->value_count++;
    return LOOM_OK;
}

/* The last value moves into its place. */
static void value_remove(node *n, topic_trie_value *value)
{
    topic_trie_value **values = values_of(n);
    assert(value->at < n->value_count && values[value->at] == value);
    const uint32_t count = --n->value_count;
    values[value->at] = values[count];
    values[value->at]->at = value->at;
    value->node = NULL;
    if (count == 1) {
        topic_trie_value *last = values[0];
        free(values);
        n->values.one = last;
    } else if (count > 1 && (count & (count - 1)) == 0) {
        /* Keeps the rule value_add() goes by: at a power of two the array is exactly full. */
        topic_trie_value **smaller = realloc(values, (size_t)count * sizeof *smaller);
        n->values.many = smaller != NULL ? smaller : values;
    }
}

/* ---- the trie ---- */

loom_status topic_trie_create(topic_trie **out)
{
    *out = NULL;
    if (sodium_init() < 0) {
        return LOOM_EIO;
    }
    topic_trie *trie = calloc(1, sizeof *trie);
    if (trie == NULL) {
        return LOOM_ENOMEM;
    }
    trie->root = node_create(NULL, (loom_str){0});
    if (trie->root == NULL) {
        goto free_trie;
    }
    trie->slots = calloc(TABLE_MIN, sizeof *trie->slots);
    if (trie->slots == NULL) {
        goto free_root;
    }
    trie->slot_mask = TABLE_MIN - 1;
    trie->generation = 1;
    crypto_shorthash_keygen(trie->key);
    *out = trie;
    return LOOM_OK;

free_root:
    free(trie->root);
free_trie:
    free(trie);
    return LOOM_ENOMEM;
}

/* n and the chain of "*" below it. Literal nodes are reached through the table, so nothing here recurses. */
static void free_with_wildcards(node *n)
{
    while (n != NULL) {
        node *star = n->star;
        node_free(n->tail);
        node_free(n);
        n = star;
    }
}

void topic_trie_destroy(topic_trie *trie)
{
    if (trie == NULL) {
        return;
    }
    for (size_t i = 0; i <= trie->slot_mask; i++) {
        free_with_wildcards(trie->slots[i].node);
    }
    free_with_wildcards(trie->root);
    free(trie->slots);
    free(trie);
}

loom_status topic_trie_add(topic_trie *trie, loom_str filter, topic_trie_value *value)
{
    loom_status status = loom_filter_check(filter, NULL);
    if (status != LOOM_OK) {
        return status;
    }
    assert(value->node == NULL);
    node *n = trie->root;
    for (loom_str segment; topic_next_segment(&filter, &segment);) {
        node *child = child_find(trie, n, segment);
        if (child == NULL && (child = child_add(trie, n, segment)) == NULL) {
            prune(trie, n);
            return LOOM_ENOMEM;
        }
        n = child;
    }
    if ((status = value_add(n, value)) != LOOM_OK) {
        prune(trie, n);
        return status;
    }
    trie->value_count++;
    trie->generation++;
    return LOOM_OK;
}

void topic_trie_remove(topic_trie *trie, topic_trie_value *value)
{
    node *n = value->node;
    assert(n != NULL);
    value_remove(n, value);
    prune(trie, n);
    trie->value_count--;
    trie->generation++;
}

size_t topic_trie_cost(loom_str filter)
{
    enum { UPKEEP = 16 }; /* malloc's, each node */
    size_t cost = 2 * sizeof(topic_trie_value *);
    for (loom_str segment; topic_next_segment(&filter, &segment);) {
        cost += node_size(segment.len) + 2 * sizeof(slot) + UPKEEP;
    }
    return cost;
}

/* ---- matching ---- */

typedef struct topic_match {
    const topic_trie *trie;
    topic_trie_visit *visit; /* NULL: only count */
    void *user;
    bool named;              /* not what begins with a wildcard */
    size_t visited;
    size_t nodes;            /* looked at */
} topic_match;

static void visit_values(topic_match *match, node *n)
{
    topic_trie_value **values = values_of(n);
    const uint64_t generation = match->trie->generation;
    for (uint32_t i = 0; match->visit != NULL && i < n->value_count; i++) {
        match->visit(match->user, values[i]);
        assert(match->trie->generation == generation && "a visitor changed the trie");
    }
    (void)generation;
    match->visited += n->value_count;
}

typedef struct topic_segment {
    loom_str text;
    uint64_t hash;
} topic_segment;

/* Cuts topic into segments and hashes each once, whichever branches then look for it. 0: it is no topic. */
static size_t cut(const topic_trie *trie, loom_str topic, topic_segment segments[TOPIC_SEGMENTS_MAX])
{
    size_t count = 0;
    if (topic.len == 0 || topic.len > LOOM_TOPIC_MAX) {
        return 0;
    }
    for (loom_str segment; topic_next_segment(&topic, &segment);) {
        if (segment.len == 0 || count == TOPIC_SEGMENTS_MAX) {
            return 0;
        }
        segments[count++] = (topic_segment){.text = segment, .hash = segment_hash(trie, segment)};
    }
    return count;
}

static void find(topic_match *match, loom_str topic)
{
    const topic_trie *trie = match->trie;
    topic_segment segments[TOPIC_SEGMENTS_MAX];
    const size_t count = trie->value_count == 0 ? 0 : cut(trie, topic, segments);
    if (count == 0) {
        return;
    }
    /* Depth first. Each node taken off puts at most two back, so one more than the depth is ever waiting. */
    struct {
        node *node;
        size_t depth; /* segments matched on the way to it */
    } waiting[TOPIC_SEGMENTS_MAX + 1];
    size_t waiting_count = 0;
    waiting[waiting_count].node = trie->root;
    waiting[waiting_count++].depth = 0;
    while (waiting_count > 0) {
        node *n = waiting[--waiting_count].node;
        match->nodes++;
        const size_t depth = waiting[waiting_count].depth;
        if (depth == count) {
            visit_values(match, n);
            continue;
        }
        const bool wild = depth > 0 || !match->named;
        if (n->tail != NULL && wild) {
            visit_values(match, n->tail);
        }
        if (n->star != NULL && wild) {
            waiting[waiting_count].node = n->star;
            waiting[waiting_count++].depth = depth + 1;
        }
        node *literal = find_literal(trie, n, segments[depth].text, segments[depth].hash);
        if (literal != NULL) {
            waiting[waiting_count].node = literal;
            waiting[waiting_count++].depth = depth + 1;
        }
    }
}

size_t topic_trie_match(const topic_trie *trie, loom_str topic, topic_trie_visit *visit, void *user, size_t *nodes)
{
    topic_match match = {.trie = trie, .visit = visit, .user = user};
    find(&match, topic);
    if (nodes != NULL) {
        *nodes = match.nodes;
    }
    return match.visited;
}

size_t topic_trie_count(const topic_trie *trie, loom_str topic, bool named)
{
    topic_match match = {.trie = trie, .named = named};
    find(&match, topic);
    return match.visited;
}

uint64_t topic_trie_generation(const topic_trie *trie)
{
    return trie->generation;
}

size_t topic_trie_value_count(const topic_trie *trie)
{
    return trie->value_count;
}

size_t topic_trie_node_count(const topic_trie *trie)
{
    return trie->node_count;
}
