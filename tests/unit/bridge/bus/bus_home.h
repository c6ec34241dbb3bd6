/* SPDX-License-Identifier: Apache-2.0 */
/* A broker and bridges on one loop, over ipc sockets in a folder of their own. */
#ifndef LOOM_TESTS_BUS_HOME_H
#define LOOM_TESTS_BUS_HOME_H

#include <uv.h>

#include "bridge/bus/remote/remote.h"
#include "broker/endpoints/server.h"
#include "tests/support/check.h"

enum { HOME_DEADLINE_MS = 10000, HOME_FOR_EVER_MS = 1000000000 };

typedef struct bus_home {
    uv_loop_t loop;
    loop_clock clock; /* of the cores */
    uv_timer_t pulse; /* keeps the loop turning, and expires what is due in the cores */
    broker_cores cores;
    bus_server *server;
    bus_server_options options; /* of every server opened here */
    eventbus_options core_options;
    uint32_t parts_ms;          /* of every bridge opened here */
    uint32_t ping_ms;           /* the same; 0: 200 */
    char folder[64];
    char urls[BUS_SERVER_URLS][96];
    unsigned warnings;          /* lines logged at level warn or error */
    unsigned closed;            /* things that have told that they are closed */
    bus_remote_losses lost;     /* with the last bridge that was closed */
    uv_prepare_t first, last;   /* of all that run before the loop sleeps */
    void (*at_first)(void *user), (*at_last)(void *user); /* the former once; NULL: nothing */
    void *user;
} bus_home;

void home_open(bus_home *h);
/* Closes the server when it is open. */
void home_close(bus_home *h);
void home_open_server(bus_home *h);
void home_close_server(bus_home *h);
/* Other cores and another server: a broker that was started again. */
void home_restart(bus_home *h);
/* One round of the loop. */
void home_turn(bus_home *h);
/* Nothing is due for ever but what the test brings about: for whatever is opened from here on. */
void home_be_quiet(bus_home *h);
/* Once, before whatever is open looks for the last time whether the loop may sleep. */
void home_at_first(bus_home *h, void (*call)(void *user), void *user);

/* Runs the loop until the condition is true; fails the test after the deadline. */
#define home_until(h, condition)                                                                      \
    do {                                                                                              \
        uint64_t until_ms = uv_hrtime() / 1000000 + HOME_DEADLINE_MS;                                 \
        while (!(condition)) {                                                                        \
            if (uv_hrtime() / 1000000 > until_ms) {                                                   \
                print_error("never became true: %s\n", #condition);                                   \
                _fail(__FILE__, __LINE__);                                                            \
            }                                                                                         \
            home_turn(h);                                                                             \
        }                                                                                             \
    } while (0)

bus_remote *home_bridge(bus_home *h, const char *id);
void home_close_bridge(bus_home *h, bus_remote *b, uint32_t drain_ms);

/* An agent's session, as far as the bus can tell. */
typedef struct test_port {
    bus_port *port;
    bus *base;
    uint64_t delivered;      /* messages */
    uint64_t out_of_order;   /* whose number is not the one after the last */
    uint64_t last_number;
    uint64_t last_subscription;
    uint64_t bytes;
    bool pressed;
    unsigned pressed_times;
    unsigned answers;
    uint64_t last_request;
    loom_status last_status;
    char last_text[128];
    loom_status ended;       /* by the broker */
    unsigned refusals;
    loom_status refused_status;
    uint64_t number; /* of the last message published */
    uint64_t call_flags;     /* of the calls it makes */
    unsigned calls;          /* asked to work */
    uint8_t call_id[FRAME_CALL_ID_MAX]; /* of the last one, as are those below */
    size_t call_id_len;
    unsigned results, reports, cancels, call_credits;
    uint64_t outcome;
    char code[64];
    char payload[64];
} test_port;

void agent_attach(test_port *p, bus *base, const char *agent);
/* One that says how many messages its connection has taken, with agent_confirm(). */
void agent_attach_confirming(test_port *p, bus *base, const char *agent);
void agent_confirm(test_port *p, uint64_t messages);
void agent_detach(test_port *p);
/* Asks, and waits for the answer. */
loom_status agent_subscribe(bus_home *h, test_port *p, uint64_t id, const char *filter, loom_qos qos, uint32_t queue);
loom_status agent_unsubscribe(bus_home *h, test_port *p, uint64_t id);
void agent_ask(test_port *p, uint64_t request, uint64_t id, const char *filter, loom_qos qos, uint32_t queue);
/* Asks for the end of a subscription. */
void agent_ask_end(test_port *p, uint64_t request, uint64_t id);
void agent_grant(test_port *p, uint64_t messages);
/* Provides, and waits for the answer. */
loom_status agent_provide(bus_home *h, test_port *p, const char *name, bool withdraw);
/* Invokes; id may be "". */
void agent_call(test_port *p, const char *id, const char *capability);
/* Answers the call it was asked to work on last. */
void agent_answer(test_port *p, const char *payload);
/* Publishes the next number; padding bytes follow it in the payload. */
void agent_publish(test_port *p, const char *topic, size_t padding);

#endif
