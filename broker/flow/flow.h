/* SPDX-License-Identifier: Apache-2.0 */
/* Who talked to whom: for each agent and name (a topic, a capability) how many messages went which way, and what was lost.
 *
 * Users keep the pointer to an edge's counts and add to it, so a message costs them a few instructions and no look-up.
 * Bounded: what finds no place is counted among the others of its agent, or of everybody, and flow_table_tidy() moves edges
 * that were idle for long there. So the sums stay exact; only the name is lost.
 * One thread at a time. */
#ifndef LOOM_BROKER_FLOW_FLOW_H
#define LOOM_BROKER_FLOW_FLOW_H

#include <loom/api.h>

#include "base/hash_index.h"
#include "base/list.h"
#include "base/str.h"

enum {
    FLOW_REASONS_MAX = 7,     /* of losses; what each means is the user's matter */
    FLOW_NAME_MAX = 256,      /* bytes; longer names are among the others */
    FLOW_EDGES_DEFAULT = 32768 /* about 5 MB */
};

typedef enum flow_direction {
    FLOW_OUT, /* from an agent: it publishes, it calls */
    FLOW_IN,  /* to an agent: it gets a copy, it is called */
    FLOW_DIRECTIONS
} flow_direction;

typedef struct flow_counts {
    uint64_t total;
    uint64_t lost[FLOW_REASONS_MAX];
} flow_counts;

typedef struct flow_edge flow_edge;

/* An agent that is there, or was and still has counts. */
typedef struct flow_agent {
    hash_node node; /* first */
    list_node listed;
    loom_str name;  /* empty: of the others */
    flow_edge *edges;                   /* newest first */
    flow_counts other[FLOW_DIRECTIONS]; /* of what has no edge */
    uint32_t edge_count[FLOW_DIRECTIONS];
    uint32_t sessions;
} flow_agent;

/* Must not be moved. */
typedef struct flow_table {
    hash_index agents;
    linked_list in_turn; /* agents, the one to be tidied next first */
    hash_index edges;
    uint32_t max_edges, max_agents, max_of_agent; /* the last: in each direction */
    uint32_t missed;     /* edges made or refused since the last tidying */
    uint64_t generation; /* another one after edges have gone */
    flow_agent others;   /* whoever has no place */
    uint8_t key[crypto_shorthash_KEYBYTES]; /* names come from outside */
} flow_table;

/* max_edges: at least 16; 0: the default. Of agents there are at most a quarter as many, and of edges of one agent in one direction a
 * sixteenth. libsodium must have been initialised. */
void flow_table_init(flow_table *table, uint32_t max_edges);
void flow_table_fini(flow_table *table);

/* A session of the agent begins; valid until flow_agent_leave(). NULL: out of memory. */
flow_agent *flow_agent_enter(flow_table *table, loom_str name);
void flow_agent_leave(flow_table *table, flow_agent *agent); /* NULL is allowed */
/* One without a session, valid until edges go. Never NULL: without memory, the others. */
flow_agent *flow_agent_named(flow_table *table, loom_str name);

/* The counts of an edge, made if need be; hash is the name's, under a secret. Never NULL; valid until edges go. */
flow_counts *flow_counts_of(flow_table *table, flow_agent *agent, flow_direction direction, loom_str name, uint64_t hash);
/* The same for whoever has no hash of the name. */
flow_counts *flow_counts_find(flow_table *table, flow_agent *agent, flow_direction direction, loom_str name);

/* The edge of one agent and direction that was asked for last. All zero: none. */
typedef struct flow_memory {
    uint64_t generation;
    loom_str name;
    flow_counts *counts;
} flow_memory;
flow_counts *flow_counts_recall_slow(flow_table *table, flow_agent *agent, flow_direction direction, loom_str name,
                                     flow_memory *memory);
/* The same for whoever mostly asks for the same name. */
static inline flow_counts *flow_counts_recall(flow_table *table, flow_agent *agent, flow_direction direction, loom_str name,
                                              flow_memory *memory)
{
    return memory->generation == table->generation && memory->name.len == name.len &&
                   str_same(memory->name.data, name.data, name.len)
               ? memory->counts
               : flow_counts_recall_slow(table, agent, direction, name, memory);
}

/* Makes room where it is scarce, a little at a time, and seldom. True: edges have gone. */
bool flow_table_tidy(flow_table *table);

typedef enum flow_other {
    FLOW_PLAIN,
    FLOW_OTHER_NAMES, /* all that this agent has no edge for */
    FLOW_OTHER_AGENTS /* all agents that have no place */
} flow_other;

typedef struct flow_view {
    loom_str agent, name; /* empty where the others are meant */
    flow_direction direction;
    flow_other other;
    const flow_counts *counts; /* never all 0 */
} flow_view;
/* In no order. What is seen stays valid until the table is used again. */
void flow_table_visit(const flow_table *table, void (*visit)(void *user, const flow_view *view), void *user);

uint64_t flow_lost(const flow_counts *counts); /* for whatever reason */

#endif
