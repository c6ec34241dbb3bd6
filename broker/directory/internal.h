/* SPDX-License-Identifier: Apache-2.0 */
/* What the directory is made of. Only directory*.c look inside. One thread at a time, so no field has a guard. */
#ifndef LOOM_BROKER_DIRECTORY_INTERNAL_H
#define LOOM_BROKER_DIRECTORY_INTERNAL_H

#include "base/deadline_heap.h"
#include "broker/directory/directory.h"

enum { DIRECTORY_INSTANCE_SIZE = 16, DEPARTED_MAX = 1024 };

/* An agent that has left: when it is here again, it may be another process. */
typedef struct departed_agent {
    uint64_t process_ns;
    uint8_t instance[DIRECTORY_INSTANCE_SIZE];
} departed_agent;

struct directory {
    eventbus *events;          /* NULL: none are published */
    directory_entry **entries; /* in order of agent, then of session; stats.agents of them */
    uint32_t room;             /* of entries and of deadlines */
    deadline_heap deadlines;   /* of entries that have a heartbeat */
    const loop_clock *clock;
    uint64_t last_session;
    uint32_t users;            /* entries that are not agents: nobody can end them */
    uint32_t guests;           /* entries that a drain waits for */
    uint32_t max_agents;       /* 0: any number */
    bool draining;
    uint64_t draining_since_ms;
    departed_agent departed[DEPARTED_MAX]; /* a ring, of those with an instance */
    uint64_t departed_count;   /* ever */
    directory_stats stats;
};

struct directory_entry {
    directory *directory;
    deadline_node deadline;    /* not later than its next change of state */
    directory_about about;     /* its bytes are in instance and text */
    void (*ended)(void *user, loom_status why);
    void *user;
    uint64_t session;
    uint64_t since_unix_ns;
    uint64_t process_ns;
    uint64_t opened_ms;        /* at its bridge */
    uint64_t heard_ms;
    directory_state state;
    uint8_t instance[DIRECTORY_INSTANCE_SIZE];
    char text[];
};

/* process.c: one leaves; since when the process of one that comes is known, which may be longer than its session, or than the broker. */
void directory_note_departed(directory *d, const directory_entry *entry);
uint64_t directory_process_since(const directory *d, const directory_about *about);

/* Tells who subscribed to system.agents. reason NULL: none. */
void directory_publish(const directory_entry *entry, const char *type, const char *reason);

#endif
