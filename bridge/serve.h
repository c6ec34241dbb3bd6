/* SPDX-License-Identifier: Apache-2.0 */
/* Serving agents: a bridge, its listeners, and how both come to an orderly end. loom-broker and loom-bridge differ only in
 * the bus they put behind it.
 *
 * Threads: the loop's. */
#ifndef LOOM_BRIDGE_SERVE_H
#define LOOM_BRIDGE_SERVE_H

#include "bridge/gateway/gateway.h"
#include "bridge/link/server.h"
#include "bridge/own_keeps.h"
#include "bridge/session/bridge.h"
#include "host/process.h"

/* The end of the bus behind the bridge, for a process that has more than a connection to it. Each may be NULL. */
typedef struct serve_bus_end {
    /* Publishers that are no agents of the bridge get no more credit. at_once: what still comes of theirs is not taken. */
    void (*hold_publishers)(void *user, bool at_once);
    uint64_t (*published)(void *user); /* so far, by all; NULL: the bridge's agents are all */
    bool (*drained)(void *user);       /* nothing waits in the bus any more; NULL: nothing ever does */
    void (*cut_off)(void *user);       /* the drain time is over: what still waits is lost, and counted here */
    void *user;
} serve_bus_end;

typedef struct serving {
    process *process;
    bridge *bridge;
    link_server *links;
    gateway *gateway; /* NULL: nothing is served over HTTP */
    own_keeps keeps;
    serve_bus_end bus_end;
    unsigned looks;         /* of the drain, for what agents still publish */
    uint64_t published;     /* by then */
    enum { SERVING_AGENTS, SERVING_DRAINS, SERVING_ENDS, SERVING_OVER } phase;
} serving;

typedef struct serve_options {
    bus *bus;
    const char *bridge_id;
    const char *software;
    loom_tracer *tracer;
    struct span_intake *spans; /* of agents; NULL: none are taken */
    const config_strings *listen;
    const char *tls_cert_key_file; /* "": none */
    const config_strings *ws_origins, *cors_origins;
    const gateway_source *source; /* of the gateway, as is ready; either may be NULL */
    bool (*ready)(void *user);
    void *ready_user;
    uint32_t heartbeat_ms, drain_timeout_ms, max_sessions, payload_max;
    uint8_t ttl;
    serve_bus_end bus_end;
} serve_options;

/* What takes the spans of agents, and its counters. rate: spans a second of each; with 0, or in a process that exports none,
 * *out is NULL. The caller destroys it after serve_close(), and before process_close(). LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status serve_take_spans(struct span_intake **out, process *p, int64_t rate);
/* Listens, writes the ready file, and adds its counters to the process's. s is the caller's and must not move. Errors are
 * logged; after one, serve_close() as well. */
LOOM_MUST_CHECK loom_status serve_agents(serving *s, process *p, const serve_options *options);
/* For a process_control: whether this certificate can be used, and from here on it is, with these limits. tls_cert_key_file is
 * borrowed until the next one; "": none. */
LOOM_MUST_CHECK loom_status serve_check(const serving *s, const char *tls_cert_key_file, char why[PROCESS_WHY_SIZE]);
void serve_apply(serving *s, const char *tls_cert_key_file, uint32_t max_sessions, uint32_t drain_timeout_ms);
/* What agents and clients may send from here on, of a bus that is elsewhere; either may be 0. */
void serve_set_envelope_limits(serving *s, uint32_t payload_max, uint8_t ttl);
/* The sessions, in the log. */
void serve_dump(const serving *s);
/* Ends what is left: after it the bus may be closed. Idempotent; a serving of zeros is allowed. */
void serve_close(serving *s);

#endif
