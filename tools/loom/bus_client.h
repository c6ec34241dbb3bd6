/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs that join the bus share: an agent for the length of one command, and telemetry as service "loom-cli". */
#ifndef LOOM_TOOLS_BUS_CLIENT_H
#define LOOM_TOOLS_BUS_CLIENT_H

#include <loom/agent.h>
#include <stdatomic.h>

#include "tools/loom/tracing.h"
#include "tools/loom/verb.h"

#define OPTIONS_BUS                                                                                                  \
    {.name = "url", .letter = 'u', .kind = OPTION_VALUE, .value = "URL", .group = "Connection",                      \
     .help = "Broker or bridge to connect to; default: LOOM_URL, or this machine's broker"},                          \
    {.name = "id", .kind = OPTION_VALUE, .value = "ID", .group = "Connection",                                       \
     .help = "Agent id to use; default: a unique one"},                                                 \
    {.name = "wait", .kind = OPTION_VALUE, .value = "TIME", .fallback = "5s", .group = "Connection",                 \
     .help = "How long to keep trying to connect"}

typedef struct bus_client {
    const command *command;
    void *user;                     /* of the options; callbacks are given the client */
    loom_agent *agent;
    tracing tracing;
    char id[LOOM_AGENT_ID_MAX + 1];
    loom_status why;  /* the last connection failed; written on the agent's thread, read when it has ended */
    char reason[160]; /* in words */
    atomic_bool export_failed; /* said on standard error, once */
    bool refused; /* a message was; said on standard error. Written on the agent's thread, read when it has ended */
} bus_client;

/* Opens the agent with on_event for every subscription and waits until it is connected and subscribed. False: *exit_code
 * says how to end, what there is to say was said, and there is nothing to close. */
bool bus_client_open(bus_client *client, const command *c, const options *o, const char *name,
                     const loom_agent_options *agent, int *exit_code);
/* Holds back the signals that end a command, for who says that it is ready and then calls loom_agent_run_until_signal(): one
 * that comes between the two is not lost, and does not kill. */
void bus_client_hold_signals(bool hold);
/* Sends what is buffered, flushes the spans, closes. False: not everything could be sent, or the bridge refused some of it;
 * said on standard error. */
bool bus_client_close(bus_client *client);

#endif
