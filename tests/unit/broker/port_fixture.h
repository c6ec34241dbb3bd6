/* SPDX-License-Identifier: Apache-2.0 */
/* Ports that write down what they are told, on cores of their own. */
#ifndef LOOM_TESTS_PORT_FIXTURE_H
#define LOOM_TESTS_PORT_FIXTURE_H

#include "broker/port/port.h"
#include "tests/support/check.h"

enum { PORT_SEEN_MAX = 32, PORT_TEXT = 160 };

/* A copy of what matters of a frame; what its type does not have is zero. */
typedef struct seen_frame {
    frame_type type;
    uint64_t request, status, outcome, kind, number, chunks, bytes;
    uint8_t id[FRAME_CALL_ID_MAX]; /* of the call, or of the message */
    size_t id_len;
    char code[PORT_TEXT], text[PORT_TEXT], payload[PORT_TEXT];
} seen_frame;

typedef struct seen_call {
    uint8_t id[FRAME_CALL_ID_MAX];
    size_t id_len;
    char capability[PORT_TEXT], version[PORT_TEXT], payload[PORT_TEXT];
    uint64_t deadline_ms, idle_ms, flags;
    uint8_t ttl;
} seen_call;

typedef struct seen_delivery {
    uint64_t subscription;
    char topic[PORT_TEXT], payload[PORT_TEXT];
} seen_delivery;

/* Counts are of everything; the n-th is kept at n % PORT_SEEN_MAX. */
typedef struct test_port {
    port *handle;
    size_t deliveries, calls, frames, results, on, off, expired;
    bool closes_when_expired;
    uint64_t grants_when_delivered; /* messages each delivery adds to what it granted; 0: none */
    uint64_t granted;
    seen_delivery delivery[PORT_SEEN_MAX];
    seen_call call[PORT_SEEN_MAX];
    seen_frame frame[PORT_SEEN_MAX];
} test_port;

LOOM_MUST_CHECK loom_status test_cores_create(broker_cores *cores, const loop_clock *clock,
                                              const actionbroker_options *options);
void test_cores_destroy(broker_cores *cores);

/* handle is NULL on an error. */
LOOM_MUST_CHECK loom_status test_port_open_without_credit(test_port *p, const broker_cores *cores, const char *agent,
                                                          uint32_t heartbeat_ms);
/* The same with all the credit there is. */
LOOM_MUST_CHECK loom_status test_port_open(test_port *p, const broker_cores *cores, const char *agent, uint32_t heartbeat_ms);
void test_port_close(test_port *p, loom_status why);

/* The newest of each; fails the test when there is none. */
const seen_frame *last_frame(const test_port *p);
const seen_call *last_call(const test_port *p);
const seen_delivery *last_delivery(const test_port *p);

/* Each returns the status in the ack. */
loom_status test_port_subscribe(test_port *p, uint64_t subscription, const char *filter);
loom_status test_port_provide(test_port *p, const char *name, const char *version, loom_bytes metadata);
loom_status test_port_withdraw(test_port *p, const char *name, const char *version);

/* LOOM_ENOMEM: the test had no memory, and did nothing. */
loom_status test_port_publish(test_port *p, const char *topic, const char *payload);
/* ttl 0 is as it stands: used up. */
loom_status test_port_call(test_port *p, const frame_call *f, const char *payload, uint8_t ttl);
loom_status test_port_call_named(test_port *p, const char *id, const char *capability);
/* To the newest call of the port. */
loom_status test_port_result(test_port *p, uint64_t outcome, const char *code, const char *payload);
loom_status test_port_report(test_port *p, uint64_t kind, uint64_t number, const char *payload);
loom_status test_port_cancel(test_port *p, const char *id, const char *reason);

#endif
