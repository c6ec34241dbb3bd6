/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs that join the bus share: an agent for the length of one command, and telemetry as service "loom-cli".
 *
 * What cannot succeed fails at the first attempt, with the SDK's cause and what to do about it; --wait asks for more attempts. */
#ifndef LOOM_TOOLS_BUS_CLIENT_H
#define LOOM_TOOLS_BUS_CLIENT_H

#include <loom/agent.h>
#include <pthread.h>
#include <stdatomic.h>

#include "tools/loom/tracing.h"
#include "tools/loom/verb.h"

#define OPTIONS_BUS                                                                                                  \
    {.name = "url", .letter = 'u', .kind = OPTION_VALUE, .value = "URL", .group = "Connection",                      \
     .help = "Broker or bridge to connect to; default: LOOM_URL, or this machine's broker"},                          \
    {.name = "id", .kind = OPTION_VALUE, .value = "ID", .group = "Connection",                                       \
     .help = "Agent id to use; default: a unique one, which begins with LOOM_IDENTITY"},                                                 \
    {.name = "service", .kind = OPTION_VALUE, .value = "NAME", .group = "Connection",                                \
     .help = "Service name in its traces; default: OTEL_SERVICE_NAME, or loom-cli"},                                 \
    {.name = "wait", .kind = OPTION_VALUE, .value = "TIME", .group = "Connection",                                   \
     .help = "Keep trying to connect for so long; without it the first failure is the end"}

enum { BUS_ADDRESS_SIZE = 256, BUS_WHY_SIZE = 768 };

/* How it stands with the connection. Written by the agent's thread. */
typedef struct bus_state {
    pthread_mutex_t lock; /* guards all of it */
    pthread_cond_t changed;
    loom_agent_state state;
    loom_status why;  /* the last connection failed */
    char reason[256]; /* in words */
    bool opened;      /* it has been connected */
    uint64_t lost_at; /* monotonic ns; 0: it is connected */
} bus_state;

typedef struct bus_client {
    const command *command;
    void *user;                     /* of the options; callbacks are given the client */
    loom_agent *agent;
    tracing tracing;
    char id[LOOM_AGENT_ID_MAX + 1];
    char address[BUS_ADDRESS_SIZE]; /* to show: without passwords */
    bus_state link;
    const char *on_return; /* what it means that the broker is back, said on standard error, as is that it went; NULL: neither is */
    bool untraced; /* set before bus_client_open(): its messages are not sampled, here or anywhere else */
    char *why;     /* set before bus_client_open(): where it writes why it failed, instead of on standard error; may be NULL */
    size_t why_size;
    int wake_fd; /* an eventfd for who waits elsewhere than in loom_agent_run(): bus_client_wake(), or the agent is closed for good */
    atomic_bool export_failed; /* said on standard error, once */
    loom_status refused; /* why a message was, the first; said on standard error. Read when the agent's thread has ended */
} bus_client;

/* An id for an agent of this process: unique, so that two commands at once do not replace one another. It begins with
 * LOOM_IDENTITY, so that others see whose it is. */
void bus_client_make_id(char id[LOOM_AGENT_ID_MAX + 1], const char *name);
/* Opens the agent with on_event for every subscription and waits until it is connected and subscribed. The client is zeroed
 * but for the settings above. False: *exit_code says how to end, what there is to say was said, and there is nothing to close. */
bool bus_client_open(bus_client *client, const command *c, const options *o, const char *name,
                     const loom_agent_options *agent, int *exit_code);
/* Makes wake_fd readable. Any thread. */
void bus_client_wake(bus_client *client);
/* Whether the session has ended for good; the reason was said. */
bool bus_client_is_closed(bus_client *client);
/* Sends what is buffered, flushes the spans, closes. VERB_OK, or the exit code for what could not be sent, or was refused by
 * the bridge; said on standard error. */
int bus_client_close(bus_client *client);

/* ---- bus_connect.c ---- */

void bus_state_init(bus_state *s);
void bus_state_fini(bus_state *s);
/* The agent's on_state. */
void bus_on_state(loom_agent *agent, loom_agent_state state, loom_status why, const char *text, void *user);
/* Why it could not be opened: to client->why, or on standard error. The exit code of st; LOOM_EINVAL: of a wrong command line. */
int bus_client_explain(const bus_client *client, loom_status st, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Waits until the agent is connected and its subscriptions are answered. patience_ms 0: until the first failure, or a few
 * seconds of silence. VERB_OK, or the exit code; the cause was said. */
int bus_connect(bus_client *client, uint32_t patience_ms);

/* Why a call of the SDK has failed: its own sentence where what it was given is wrong or no hops are left, else the text of
 * the status. */
const char *bus_client_reason(loom_status st);

#endif
