/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP gateway: events, requests and actions of the bus for whoever speaks HTTP. docs/HTTP.md says what is at which path.
 *
 * A gateway is a bridge like any other, and an HTTP request a short session. All requests go through one port of the bus, of
 * the agent "gateway-BRIDGE"; each client that listens to events has a port of its own, so that its credit, its queue and
 * its drops are those of a subscriber.
 *
 * Threads: the loop's, for everything here. */
#ifndef LOOM_BRIDGE_GATEWAY_GATEWAY_H
#define LOOM_BRIDGE_GATEWAY_GATEWAY_H

#include <loom/trace.h>
#include <stdio.h>
#include <uv.h>

#include "base/clock.h"
#include "base/counters.h"
#include "bridge/bus.h"
#include "host/log/log.h"

typedef struct gateway gateway;

/* The broker of this process, for /v1/agents and the others. */
typedef struct gateway_source {
    /* Answers a question of the control socket, which is a msgpack map as the answer is; take is called before it returns.
     * LOOM_ENOMEM.  LOOM_EBUSY: it was asked too much lately. */
    loom_status (*ask)(void *user, loom_bytes question, void (*take)(void *to, loom_bytes answer), void *to);
    void *user;
} gateway_source;

/* Strings, lists and tracers are borrowed, and must outlive the gateway. */
typedef struct gateway_options {
    bus *bus;
    const char *bridge_id;
    const char *software;
    loom_tracer *tracer;           /* "loom-gateway": of the requests. NULL: no spans */
    loom_tracer *bridge_tracer;    /* "loom-bridge": of the hops */
    logger *log;
    const char *tls_cert_key_file; /* PEM, for https; NULL: none */
    const char *const *origins;    /* web pages that may use it, like "https://example.org"; "*": all */
    size_t origin_count;
    uint32_t payload_max;          /* bytes; 0: LOOM_PAYLOAD_MAX */
    uint32_t heartbeat_ms;         /* 0: 15 s */
    uint8_t ttl;                   /* of events that come without; 0: LOOM_TTL_DEFAULT */
    const gateway_source *source;  /* NULL: the broker is elsewhere, and is asked over the bus */
    const counter_list *counters;  /* of this process */
    bool (*ready)(void *user);     /* whether there is a bus to be reached; NULL: always */
    void *ready_user;
    const bool *draining;          /* set: no new agents are taken on; /readyz says so */
    void (*write_metrics)(void *user, FILE *out);
    void *metrics_user;
} gateway_options;

/* LOOM_ENOMEM; LOOM_EFULL: the bus has no room for another agent. */
LOOM_MUST_CHECK loom_status gateway_open(gateway **out, uv_loop_t *loop, const gateway_options *options);
enum { GATEWAY_ERROR_SIZE = 512 };
/* Listens at an http or https URL. bound receives it with the real port (size URL_MAX). LOOM_EBUSY: in use. On an error why
 * holds a sentence that names the URL. */
LOOM_MUST_CHECK loom_status gateway_listen(gateway *g, const char *url, char *bound, size_t bound_size,
                                           char why[GATEWAY_ERROR_SIZE]);
/* The certificate of https, as http_server_check_certificate() and http_server_use_certificate(). */
LOOM_MUST_CHECK loom_status gateway_check_certificate(const gateway *g, const char *file, char why[GATEWAY_ERROR_SIZE]);
LOOM_MUST_CHECK loom_status gateway_use_certificate(gateway *g, const char *file, char why[GATEWAY_ERROR_SIZE]);
/* Of what clients send from here on, as in the options. */
void gateway_set_envelope_limits(gateway *g, uint32_t payload_max, uint8_t ttl);
/* Takes on nothing new and says so (/readyz); what has been begun goes on. */
void gateway_drain(gateway *g);
/* Ends what has been begun, with an answer; clients of event streams are told to come back. */
void gateway_end(gateway *g);
/* Answers that have not left yet. */
bool gateway_busy(const gateway *g);
/* Closes everything; then runs done from the loop, after which the gateway is gone. The bus must live until then. */
void gateway_close(gateway *g, void (*done)(void *user), void *user);

typedef struct gateway_stats {
    uint64_t requests;        /* that reached a handler */
    uint64_t failed_client;   /* answered 4xx, those that the server refused among them */
    uint64_t failed_server;   /* answered 5xx */
    uint64_t left;            /* clients that left before their answer */
    uint64_t published;       /* events */
    uint64_t notices;         /* events that the bus refused after they had been accepted */
    uint64_t calls;           /* actions invoked */
    uint64_t requests_sent;   /* events whose reply is waited for */
    uint64_t replies_late;    /* replies that nobody waited for any more */
    uint64_t streamed;        /* events sent to listening clients */
    uint64_t connections_refused, connections_displaced, connections_late, answers_crowded;
    uint32_t connections, waiting, streams; /* now: connections, requests without an answer, listening clients */
} gateway_stats;
gateway_stats gateway_get_stats(const gateway *g);
counter_source gateway_counter_source(const gateway *g);

#endif
