/* SPDX-License-Identifier: Apache-2.0 */
/* The directory: which agents there are, through which bridge, since when, and when each was last heard.
 *
 * An entry lives as long as its port. It is active while its agent is heard, silent after one missed heartbeat (which may be
 * half an interval late), and is marked expired after three: its session is then about to be ended by its bridge, which
 * closes the port; an entry whose bridge does not do so within another two is reported to `ended`, so that its port can be
 * closed.
 * An agent id lives once on the whole bus, whichever bridges its sessions come through: a newer session takes the place of
 * the older one, in whatever order the broker hears of them. In-process users without `ended` are not agents, and keep theirs.
 * Each change is an event on the topic `system.agents` (type agent.registered, agent.unregistered; payload JSON:
 * {"agent", "bridge", "session", "instance", "software"}, and "reason" when it leaves), published through the EventBus,
 * unsampled, so that the bus's own news makes no traces. Sender "loom-broker". session is a number, the directory's own and
 * never used again; instance is hex, or "".
 *
 * What an agent subscribes to and provides is asked of the EventBus and the ActionBroker; nothing is kept twice.
 * Threads: the loop's. */
#ifndef LOOM_BROKER_DIRECTORY_DIRECTORY_H
#define LOOM_BROKER_DIRECTORY_DIRECTORY_H

#include "base/counters.h"
#include "broker/eventbus/eventbus.h"

typedef struct directory directory;
typedef struct directory_entry directory_entry;

enum { DIRECTORY_TEXT_MAX = 255 }; /* bytes of each string but the agent; longer ones are cut, and
                                         what is no UTF-8 in them replaced */

/* Strings are borrowed for the call, and copied. */
typedef struct directory_about {
    loom_str agent;          /* 1 to LOOM_AGENT_ID_MAX bytes */
    loom_str bridge;         /* bridge id; "broker" for local agents */
    loom_str software;
    loom_str peer;           /* its connection, for people */
    loom_bytes instance;     /* 16 bytes or none */
    uint32_t heartbeat_ms;   /* 0: never expected to be heard (in-process and open users) */
    bool quiet;              /* its coming and going is no news: nothing is published of it */
    bool own;                /* its bridge's own: a drain neither counts nor refuses it */
    bool unrecorded;         /* it has no flight recorder, as far as its bridge says */
    uint64_t age_ms;         /* since the session was opened, which was before the broker heard of it when it is attached again */
} directory_about;

typedef enum directory_state { DIRECTORY_ACTIVE, DIRECTORY_SILENT, DIRECTORY_EXPIRED } directory_state;
const char *directory_state_name(directory_state state); /* "active", "silent", "expired" */

typedef struct directory_info {
    directory_about about;
    uint64_t session;        /* the directory's number of it */
    uint64_t since_unix_ns;
    uint64_t process_ns;      /* since when its process (by its instance) is known to be here, whatever became of its connections meanwhile;
                                 monotonic, and before it began where it wraps */
    uint64_t heard_ms_ago;
    bool guest;              /* one of directory_guests() */
    directory_state state;
} directory_info;

/* clock and events are borrowed and must outlive it. events NULL: no events are published. LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status directory_create(directory **out, const loop_clock *clock, eventbus *events);
/* How many agents there may be, through whichever bridges; 0, as at first: any number. In-process users, and a bridge's own, are not counted. */
void directory_set_limit(directory *d, uint32_t max_agents);
/* While it drains, agents that come are refused; those that are there stay, and sessions older than the drain may come back with
 * their bridge. */
void directory_set_draining(directory *d, bool draining);
bool directory_is_draining(const directory *d);
void directory_destroy(directory *d); /* entries must be gone. NULL is allowed */
uint64_t directory_next_deadline_ms(const directory *d);
/* States pass from one to the next; calls ended for entries that nobody ended in time. Of some of those that are due; the
 * others stay due. */
void directory_expire(directory *d);

/* Registers. ended(user, why) may leave, or close the entry's port. LOOM_EEXPIRED: once for each silence. LOOM_EREPLACED:
 * from directory_enter() of a newer session; it must have left on return. NULL: nobody is told.
 * LOOM_ECLOSED: it drains, and the session is no older than that. LOOM_EREPLACED: there is a session of this agent that was opened later. LOOM_EDENIED: the id is that
 * of a bridge's own session. LOOM_EINVAL: agent or instance is not of its size,
 * or the id not UTF-8. LOOM_EFULL: the limit. LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status directory_enter(directory *d, directory_entry **out, const directory_about *about,
                                            void (*ended)(void *user, loom_status why), void *user);
/* Unregisters. why: LOOM_OK for a goodbye; it is the reason in the event. NULL is allowed. */
void directory_leave(directory *d, directory_entry *entry, loom_status why);
/* Ends the sessions of an agent; those of in-process users cannot be. Returns how many. Not inside a call of one of them. */
uint32_t directory_end(directory *d, loom_str agent, loom_status why);
/* The news of a capability of the agent's, on the topic `system.capabilities`: types capability.provided (also when it is
 * described anew) and capability.withdrawn, payload JSON {"name", "version", "kind", "agent", "bridge"}; otherwise as above. */
void directory_tell_capability(const directory_entry *entry, const char *type, loom_str name, loom_str version, loom_str kind);
loom_str directory_agent_of(const directory_entry *entry); /* valid as long as the entry */
/* The agent was heard ms_ago milliseconds ago. Cheap: called for every frame. Going back in time is ignored. */
void directory_heard(directory_entry *entry, uint64_t ms_ago);

typedef struct directory_stats {
    uint32_t agents;                   /* entries, now */
    uint64_t registered, unregistered;
    uint64_t expired;                  /* of the unregistered: no heartbeat came in time */
    uint64_t refused;                  /* the limit was reached, or it drains */
    uint64_t replaced;                 /* by a newer session that came through another bridge */
    uint32_t guests;                   /* directory_guests() */
    bool draining;
} directory_stats;
directory_stats directory_get_stats(const directory *d);
counter_source directory_counter_source(const directory *d);
/* Agents that may leave: entries without those of in-process users and bridges. */
uint32_t directory_guests(const directory *d);
/* In order of agent id; until visit returns false; visit must not change anything. */
void directory_visit(const directory *d, bool (*visit)(void *user, const directory_info *info), void *user);
/* False: no such agent. The first, when several ports are of it. Strings are valid until it leaves. */
bool directory_find(const directory *d, loom_str agent, directory_info *out);
/* Since when its process is known to be here, by the wall clock as it is set now: to be held against what it has recorded since. */
uint64_t directory_process_unix_ns(const directory_info *info);

#endif
