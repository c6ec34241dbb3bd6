/* SPDX-License-Identifier: Apache-2.0 */
/* Discovery: which agents are on the bus and which capabilities can be called, asked of the broker over the agent's own link.
 *
 * A list is how things are at one moment; a watch tells what changes from then on. Whoever watches first and lists then
 * misses nobody, but may hear of somebody who is in the list already. A watch tells nothing of what happens while the agent
 * is not connected: list again when on_state says LOOM_AGENT_CONNECTED.
 *
 * Threads: lists wait, so they are called from any thread but the agent's own, or inside handlers, which then wait; watches
 * call back on the agent's thread. */
#ifndef LOOM_DISCOVERY_H
#define LOOM_DISCOVERY_H

#include <loom/agent.h>

LOOM_BEGIN_DECLS

/* Texts are never NULL. */
typedef struct loom_agent_entry {
    const char *id;
    const char *bridge;      /* that it is connected to; "broker": the broker itself */
    const char *software;    /* such as "libloom/0.1.0" */
    const char *state;       /* "active", "silent" (a heartbeat is missing) or "expired" */
    uint64_t since_unix_ns;  /* of its session */
    uint64_t heard_ms_ago;
} loom_agent_entry;

typedef struct loom_capability_entry {
    const char *name, *version;
    const char *kind;        /* "tool", "agent" or "plain" */
    const char *description;
    const char *input_schema, *output_schema; /* JSON Schema, as text; may be empty */
    const char *const *providers; /* ids of agents, provider_count of them; at most 1000 are told */
    size_t provider_count;
} loom_capability_entry;

/* Sorted by id, or by name and version. Owned by whoever receives it: free it. */
typedef struct loom_directory {
    const loom_agent_entry *agents;
    size_t agent_count;
    const loom_capability_entry *capabilities;
    size_t capability_count;
} loom_directory;

/* Zero and NULL: all. */
typedef struct loom_directory_query {
    const char *agent;       /* of agents: this one */
    const char *topic;       /* of agents: those that a message to this topic reaches */
    const char *capability;  /* of agents: those that provide it */
    const char *name;        /* of capabilities: this one, in all its versions */
    const char *prefix;      /* of capabilities: whose names begin so */
    uint32_t timeout_ms;     /* of each question, of which a long list takes several; 0: 30000 */
} loom_directory_query;

/* Each fills in one half of the directory. query may be NULL. An empty list is LOOM_OK.
 * LOOM_EINVAL: NULL, or what the broker says is wrong with the query.  LOOM_EVERSION: the broker is too old to answer.
 * LOOM_EBUSY: it was asked too much lately, or handlers wait inside each other too deep.  LOOM_EPROTO: its answer cannot be
 * read.  LOOM_ENOMEM. Others as loom_agent_invoke(). */
LOOM_API LOOM_MUST_CHECK loom_status loom_agent_list_agents(loom_agent *agent, const loom_directory_query *query,
                                                            loom_directory **out);
LOOM_API LOOM_MUST_CHECK loom_status loom_agent_list_capabilities(loom_agent *agent, const loom_directory_query *query,
                                                                  loom_directory **out);
LOOM_API void loom_directory_free(loom_directory *directory); /* NULL is allowed */

/* What is told of changes. Borrowed until loom_agent_unsubscribe(), or the end of the agent. Either may be NULL. */
typedef struct loom_watch {
    /* there: a session of the agent has begun; otherwise it has ended. */
    void (*on_agent)(loom_agent *agent, const char *id, bool there, void *user);
    /* there: the agent provides the capability, or has described it anew; otherwise it does not any more. */
    void (*on_capability)(loom_agent *agent, const char *name, const char *version, const char *provider, bool there, void *user);
    void *user;
} loom_watch;

/* Each subscribes, now and after every reconnect; loom_agent_wait_connected() waits until that is answered. *subscription is
 * for loom_agent_unsubscribe(); it may be NULL. LOOM_EINVAL: NULL, or nobody to call.  LOOM_ECLOSED.  LOOM_ENOMEM. */
LOOM_API LOOM_MUST_CHECK loom_status loom_agent_watch_agents(loom_agent *agent, const loom_watch *watch, uint64_t *subscription);
LOOM_API LOOM_MUST_CHECK loom_status loom_agent_watch_capabilities(loom_agent *agent, const loom_watch *watch,
                                                                   uint64_t *subscription);

LOOM_END_DECLS
#endif
