/* SPDX-License-Identifier: Apache-2.0 */
/* A broker and bridges on one loop, over ipc sockets in a folder of their own. */
#ifndef LOOM_TESTS_NNG_FIXTURE_H
#define LOOM_TESTS_NNG_FIXTURE_H

#include <uv.h>

#include "bridge/bus/bus_nng.h"
#include "broker/bus/bus_server.h"
#include "broker/eventbus.h"
#include "tests/support/check.h"

enum { HOME_DEADLINE_MS = 10000 };

typedef struct bus_home {
    uv_loop_t loop;
    uv_timer_t pulse; /* keeps the loop turning, and gives the EventBus its time */
    eventbus *core;
    bus_server *server;
    bus_server_options options; /* of every server opened here */
    eventbus_options core_options;
    char folder[64];
    char urls[BUS_SERVER_URLS][96];
    unsigned warnings;          /* lines logged at level warn or error */
    unsigned closed;            /* things that have told that they are closed */
} bus_home;

void home_open(bus_home *h);
/* Closes the server when it is open. */
void home_close(bus_home *h);
void home_open_server(bus_home *h);
void home_close_server(bus_home *h);
/* Group teardown: nng ends its own threads, which free what was closed last only after a while. */
int home_fini_nng(void **state);
/* Another EventBus and another server: a broker that was started again. */
void home_restart(bus_home *h);
/* One round of the loop. */
void home_turn(bus_home *h);

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

bus_nng *home_bridge(bus_home *h, const char *id);
void home_close_bridge(bus_home *h, bus_nng *b, uint32_t drain_ms);

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
    unsigned refusals;
    loom_status refused_status;
    uint64_t number; /* of the last message published */
} test_port;

void port_attach(test_port *p, bus *base, const char *agent);
void port_detach(test_port *p);
/* Asks, and waits for the answer. */
loom_status port_subscribe(bus_home *h, test_port *p, uint64_t id, const char *filter, loom_qos qos, uint32_t queue);
loom_status port_unsubscribe(bus_home *h, test_port *p, uint64_t id);
void port_ask(test_port *p, uint64_t request, uint64_t id, const char *filter, loom_qos qos, uint32_t queue);
void port_grant(test_port *p, uint64_t messages);
/* Publishes the next number; padding bytes follow it in the payload. */
void port_publish(test_port *p, const char *topic, size_t padding);

#endif
