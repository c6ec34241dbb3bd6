/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/flow/flow.h"

#include <stdlib.h>

struct flow_edge {
    hash_node node; /* first */
    flow_agent *agent;
    flow_edge *next; /* of the agent */
    flow_counts counts;
    uint64_t seen;   /* all counts together, when it was last looked at */
    uint8_t direction;
    uint16_t name_len;
    char name[];
};

enum {
    TIDY_STEPS = 8 /* edges looked at for each one that was made or refused */
};

void flow_table_init(flow_table *table, uint32_t max_edges)
{
    memset(table, 0, sizeof *table);
    hash_index_init(&table->agents);
    crypto_shorthash_keygen(table->key);
    hash_index_init(&table->edges);
    table->generation = 1;
    table->max_edges = max_edges > 0 ? max_edges : FLOW_EDGES_DEFAULT;
    table->max_agents = table->max_edges / 4;
    table->max_of_agent = table->max_edges / 16;
}

static void free_edges(flow_agent *agent)
{
    for (flow_edge *edge = agent->edges; edge != NULL;) {
        flow_edge *next = edge->next;
        free(edge);
        edge = next;
    }
}

void flow_table_fini(flow_table *table)
{
    for (list_node *node; (node = list_take_first(&table->in_turn)) != NULL;) {
        flow_agent *agent = list_item(node, flow_agent, listed);
        free_edges(agent);
        free(agent);
    }
    hash_index_fini(&table->agents);
    hash_index_fini(&table->edges);
}

/* ---- counts ---- */

uint64_t flow_lost(const flow_counts *counts)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < FLOW_REASONS_MAX; i++) {
        sum += counts->lost[i];
    }
    return sum;
}

static uint64_t all(const flow_counts *counts)
{
    return counts->total + flow_lost(counts);
}

static void add(flow_counts *to, const flow_counts *counts)
{
    to->total += counts->total;
    for (size_t i = 0; i < FLOW_REASONS_MAX; i++) {
        to->lost[i] += counts->lost[i];
    }
}

/* ---- agents ---- */

static uint64_t hash_of(const flow_table *table, loom_str name)
{
    return hash_under_secret(table->key, name.data, name.len);
}

/* NULL: out of memory. */
static flow_agent *make_agent(flow_table *table, loom_str name, uint64_t hash)
{
    table->missed++;
    if (table->agents.count >= table->max_agents || name.len == 0 || name.len > FLOW_NAME_MAX) {
        return &table->others;
    }
    flow_agent *agent = calloc(1, sizeof *agent + name.len);
    if (agent != NULL) {
        agent->name = (loom_str){memcpy(agent + 1, name.data, name.len), name.len};
        hash_index_insert(&table->agents, &agent->node, hash);
        list_append(&table->in_turn, &agent->listed);
    }
    return agent;
}

static flow_agent *find_agent(flow_table *table, loom_str name)
{
    const uint64_t hash = hash_of(table, name);
    hash_node *node = hash_index_first(&table->agents, hash);
    while (node != NULL && !str_equal(((const flow_agent *)node)->name, name)) {
        node = hash_index_next(node);
    }
    return node != NULL ? (flow_agent *)node : make_agent(table, name, hash);
}

flow_agent *flow_agent_named(flow_table *table, loom_str name)
{
    flow_agent *agent = find_agent(table, name);
    return agent != NULL ? agent : &table->others;
}

flow_agent *flow_agent_enter(flow_table *table, loom_str name)
{
    flow_agent *agent = find_agent(table, name);
    if (agent != NULL) {
        agent->sessions++;
    }
    return agent;
}

/* Nobody is to have a pointer to it. */
static void remove_agent(flow_table *table, flow_agent *agent)
{
    for (int i = 0; i < FLOW_DIRECTIONS; i++) {
        add(&table->others.other[i], &agent->other[i]);
    }
    hash_index_remove(&table->agents, &agent->node);
    list_remove(&table->in_turn, &agent->listed);
    free(agent);
}

void flow_agent_leave(flow_table *table, flow_agent *agent)
{
    if (agent != NULL && --agent->sessions == 0 && agent != &table->others && agent->edges == NULL &&
        all(&agent->other[FLOW_OUT]) + all(&agent->other[FLOW_IN]) == 0) {
        remove_agent(table, agent);
    }
}

/* ---- edges ---- */

static bool edge_is(const flow_edge *edge, const flow_agent *agent, flow_direction direction, loom_str name)
{
    return edge->agent == agent && edge->direction == direction && edge->name_len == name.len &&
           memcmp(edge->name, name.data, name.len) == 0;
}

static flow_edge *make_edge(flow_table *table, flow_agent *agent, flow_direction direction, loom_str name, uint64_t hash)
{
    table->missed++;
    if (agent == &table->others || table->edges.count >= table->max_edges ||
        agent->edge_count[direction] >= table->max_of_agent || name.len == 0 || name.len > FLOW_NAME_MAX) {
        return NULL;
    }
    flow_edge *edge = calloc(1, sizeof *edge + name.len);
    if (edge != NULL) {
        edge->agent = agent;
        edge->direction = (uint8_t)direction;
        edge->name_len = (uint16_t)name.len;
        memcpy(edge->name, name.data, name.len);
        edge->next = agent->edges;
        agent->edges = edge;
        agent->edge_count[direction]++;
        hash_index_insert(&table->edges, &edge->node, hash);
    }
    return edge;
}

/* NULL: it has no place. */
static flow_edge *find_edge(flow_table *table, flow_agent *agent, flow_direction direction, loom_str name, uint64_t hash)
{
    hash ^= agent->node.hash << 1 ^ (uint64_t)direction;
    hash_node *node = hash_index_first(&table->edges, hash);
    while (node != NULL && !edge_is((const flow_edge *)node, agent, direction, name)) {
        node = hash_index_next(node);
    }
    return node != NULL ? (flow_edge *)node : make_edge(table, agent, direction, name, hash);
}

flow_counts *flow_counts_of(flow_table *table, flow_agent *agent, flow_direction direction, loom_str name, uint64_t hash)
{
    flow_edge *edge = find_edge(table, agent, direction, name, hash);
    return edge != NULL ? &edge->counts : &agent->other[direction];
}

flow_counts *flow_counts_find(flow_table *table, flow_agent *agent, flow_direction direction, loom_str name)
{
    return flow_counts_of(table, agent, direction, name, hash_of(table, name));
}

flow_counts *flow_counts_recall_slow(flow_table *table, flow_agent *agent, flow_direction direction, loom_str name,
                                     flow_memory *memory)
{
    flow_edge *edge = find_edge(table, agent, direction, name, hash_of(table, name));
    if (edge == NULL) {
        return &agent->other[direction];
    }
    *memory = (flow_memory){table->generation, {edge->name, edge->name_len}, &edge->counts};
    return &edge->counts;
}

/* ---- room ---- */

static bool scarce(uint64_t used, uint64_t max)
{
    return used * 4 > max * 3;
}

static bool is_in_the_way(const flow_table *table, const flow_edge *edge)
{
    return scarce(table->edges.count, table->max_edges) ||
           scarce(edge->agent->edge_count[edge->direction], table->max_of_agent) ||
           (edge->agent->sessions == 0 && scarce(table->agents.count, table->max_agents));
}

static void remove_edge(flow_table *table, flow_edge **at)
{
    flow_edge *edge = *at;
    flow_agent *agent = edge->agent;
    add(&agent->other[edge->direction], &edge->counts);
    agent->edge_count[edge->direction]--;
    hash_index_remove(&table->edges, &edge->node);
    *at = edge->next;
    free(edge);
}

/* Edges that have counted nothing since they were looked at last, and the agent itself when nothing is left of it but its
 * others. Returns the edges looked at. */
static uint32_t tidy_agent(flow_table *table, flow_agent *agent, bool *changed)
{
    uint32_t steps = 0;
    for (flow_edge **at = &agent->edges; *at != NULL; steps++) {
        const uint64_t now = all(&(*at)->counts);
        if (now == (*at)->seen && is_in_the_way(table, *at)) {
            remove_edge(table, at);
            *changed = true;
        } else {
            (*at)->seen = now;
            at = &(*at)->next;
        }
    }
    if (agent->sessions == 0 && agent->edges == NULL && scarce(table->agents.count, table->max_agents)) {
        remove_agent(table, agent);
        *changed = true;
    }
    return steps;
}

bool flow_table_tidy(flow_table *table)
{
    if (table->missed <= table->max_edges / 64) {
        return false;
    }
    bool changed = false;
    const uint64_t budget = (uint64_t)table->missed * TIDY_STEPS;
    size_t agents = table->agents.count;
    for (uint64_t steps = 0; steps < budget && agents > 0; agents--) {
        flow_agent *agent = list_item(table->in_turn.first, flow_agent, listed);
        list_remove(&table->in_turn, &agent->listed);
        list_append(&table->in_turn, &agent->listed);
        steps += 1 + tidy_agent(table, agent, &changed);
    }
    table->missed = 0;
    table->generation += changed;
    return changed;
}

/* ---- looking ---- */

typedef struct looking {
    void (*visit)(void *user, const flow_view *view);
    void *user;
} looking;

static void show(const looking *l, const flow_view *view)
{
    if (all(view->counts) > 0) {
        l->visit(l->user, view);
    }
}

static void show_agent(const looking *l, const flow_agent *agent, flow_other other)
{
    for (const flow_edge *edge = agent->edges; edge != NULL; edge = edge->next) {
        show(l, &(flow_view){agent->name, {edge->name, edge->name_len}, (flow_direction)edge->direction, FLOW_PLAIN, &edge->counts});
    }
    for (int i = 0; i < FLOW_DIRECTIONS; i++) {
        show(l, &(flow_view){agent->name, {NULL, 0}, (flow_direction)i, other, &agent->other[i]});
    }
}

void flow_table_visit(const flow_table *table, void (*visit)(void *user, const flow_view *view), void *user)
{
    const looking l = {visit, user};
    for (list_node *node = table->in_turn.first; node != NULL; node = node->next) {
        show_agent(&l, list_item(node, flow_agent, listed), FLOW_OTHER_NAMES);
    }
    show_agent(&l, &table->others, FLOW_OTHER_AGENTS);
}
