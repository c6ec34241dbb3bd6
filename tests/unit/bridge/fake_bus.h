/* SPDX-License-Identifier: Apache-2.0 */
/* A bus that writes down what a bridge asks of it and brings what a test tells it to, and agents that speak to the bridge
 * without a connection. The fake bus allocates nothing, so that faults hit the bridge alone. */
#ifndef LOOM_TESTS_FAKE_BUS_H
#define LOOM_TESTS_FAKE_BUS_H

#include "bridge/session/bridge.h"
#include "tests/support/check.h"

enum { FAKE_PORTS = 256, FAKE_FRAMES = 160, FAKE_WIRE = 4096, FAKE_TYPES = 64 };

struct bus_port {
    bool used;
    char agent[LOOM_AGENT_ID_MAX + 1];
    char software[64], peer[64];
    uint8_t instance[LOOM_UUID_SIZE];
    size_t instance_len;
    uint64_t heartbeat_ms;
    const bus_handlers *handlers;
    void *user;
    uint64_t granted_messages, granted_bytes;
    unsigned grants;
    loom_bytes waiting;         /* an envelope that waits for its credit so many times, */
    unsigned waits;
    uint64_t used_messages, used_bytes; /* and how much of that these have used */
};

typedef struct fake_bus {
    bus base;
    unsigned kept; /* traces that were to be kept */
    unsigned given_back;
    uint8_t kept_trace_id[LOOM_TRACE_ID_SIZE];
    struct bus_port ports[FAKE_PORTS];
    loom_status attach_status;
    loom_status why;            /* of the last detach */
    unsigned attached, detached, published, called;
    unsigned said[FAKE_TYPES];  /* frames by type, publish and call apart */
    const char *passes_on_to[2]; /* agents that get what is published, as what they subscribed to; NULL: nobody */
    bool shared;                /* whether the last of these lay in shared memory */
    bool defers;                /* answers to requests wait for the test to give them */
    uint64_t request, subscription;
    char filter[LOOM_TOPIC_MAX + 1]; /* or the capability provided */
    uint8_t wire[FAKE_WIRE];    /* the last envelope published or called with, cut */
    size_t wire_len;
    struct {                    /* what was last said of a call */
        uint8_t id[FRAME_CALL_ID_MAX];
        size_t id_len, payload_len;
        char capability[FRAME_CAPABILITY_MAX + 1], version[FRAME_VERSION_MAX + 1];
        char code[FRAME_TEXT_MAX + 1], text[FRAME_TEXT_MAX + 1]; /* of a result; a cancel's reason is text */
        uint64_t deadline_ms, idle_ms, flags, outcome, kind, number, chunks, bytes;
    } call;
    uint64_t number;            /* of the last ping */
} fake_bus;

void fake_bus_init(fake_bus *b);
/* The port of this agent; fails the test when there is none. */
bus_port *fake_bus_port(fake_bus *b, const char *agent);
/* What the bus has for a subscription of that agent. */
void fake_bus_deliver(fake_bus *b, const char *agent, uint64_t subscription, loom_bytes wire);
/* A call for that agent; f->envelope is not looked at. */
void fake_bus_call(fake_bus *b, const char *agent, const frame_call *f, loom_bytes wire);
/* Any other frame for that agent. */
void fake_bus_say(fake_bus *b, const char *agent, const frame *f);
/* The last envelope published or called with, decoded; its caller drops it. */
loom_envelope *fake_bus_last(const fake_bus *b);

/* An agent's end of a session. */
typedef struct fake_agent {
    bridge *bridge;
    session *session;
    frame_writer say;             /* what it is about to send */
    unsigned outputs, ended;
    bool others;                  /* what the session is told when it asks whether others wait */
    unsigned looked;              /* how often it has asked */
    uint8_t *heard;               /* bytes of the frames below */
    size_t heard_len;
    frame frames[FAKE_FRAMES];
    size_t count;
} fake_agent;

loom_status fake_agent_open(fake_agent *a, bridge *b);
/* Says hello with these credits and hears the welcome. */
void fake_agent_enter(fake_agent *a, bridge *b, const char *id, uint64_t credit_messages, uint64_t credit_bytes);
void fake_agent_close(fake_agent *a);
/* Gives the bridge what say holds, in memory of exactly that size, and empties it. */
void fake_agent_send(fake_agent *a);
void fake_agent_send_bytes(fake_agent *a, loom_bytes bytes);
/* Takes everything the session has to say into frames, and tells it that all is sent. */
void fake_agent_hear(fake_agent *a);
/* Adds an envelope to what it is about to send. */
void fake_agent_publish(fake_agent *a, loom_bytes wire);

/* The only frame of this type heard last; fails the test when there is none, or more than one. */
const frame *fake_agent_frame(const fake_agent *a, frame_type type);
/* It has heard exactly one error or bye, last, and was told that the session is over. */
void check_ended(fake_agent *a, frame_type how, loom_status why, const char *text_part, const char *file, int line);
#define assert_ended(agent, how, why, text_part) check_ended((agent), (how), (why), (text_part), __FILE__, __LINE__)

/* An envelope of a small message; sender may be NULL. Its caller drops it. */
loom_envelope *fake_message(const char *topic, const char *sender, size_t payload);

#endif
