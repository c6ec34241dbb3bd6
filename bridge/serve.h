/* SPDX-License-Identifier: Apache-2.0 */
/* A process that serves agents: the loop, the log, the telemetry, the signals and the orderly end that loom-broker and
 * loom-bridge have in common. main() opens a host, gives it a bus, and runs it.
 *
 * Threads: main's. */
#ifndef LOOM_BRIDGE_SERVE_H
#define LOOM_BRIDGE_SERVE_H

#include <uv.h>

#include "bridge/session/bridge.h"
#include "host/cli/program.h"
#include "bridge/link/server.h"

enum { HOST_SERVICES_MAX = 2, HOST_ERROR_SIZE = 512 };

typedef struct host {
    const program *program;
    logger *log;
    uv_loop_t loop;
    loom_span_processor *spans;
    loom_tracer_provider *services[HOST_SERVICES_MAX];
    size_t service_count;
    bridge *bridge;
    link_server *links;
    uv_signal_t signals[2];
    uv_timer_t drain_timer;
    struct metrics_server *metrics;                 /* NULL: not served */
    void (*write_metrics)(void *user, FILE *out);   /* of the program, after those of the host */
    void *metrics_user;
    uint32_t drain_timeout_ms;
    uint64_t drain_until_ms;
    bool (*drained)(void *user); /* nothing waits any more inside the bus */
    void *drained_user;
    enum { HOST_RUNNING, HOST_DRAINING, HOST_ENDING, HOST_OVER } phase;
    int exit_code;
} host;

/* The options that both programs have beside their settings: --ready-file. */
extern const option_spec host_options[];
extern const size_t host_options_count;

/* Log, loop and telemetry. On an error what is to be said has been said on standard error. */
LOOM_MUST_CHECK loom_status host_open(host *h, const program *p);
/* A tracer of a service of this process, such as "loom-broker". NULL: no spans are wanted, or no memory. */
loom_tracer *host_tracer(host *h, const char *service);

/* Makes the directory of an ipc URL, and sees that nobody listens there; nothing for other URLs and "". What is wrong is
 * logged. LOOM_EBUSY: somebody listens. */
LOOM_MUST_CHECK loom_status host_prepare_url(host *h, const char *url);

typedef struct host_serve_options {
    bus *bus;
    const char *bridge_id;
    const char *software;
    loom_tracer *tracer;
    const config_strings *listen;
    const char *tls_cert_key_file; /* "": none */
    const config_strings *ws_origins;
    uint32_t heartbeat_ms, drain_timeout_ms, max_sessions, payload_max;
    uint8_t ttl;
    bool (*drained)(void *user);
    void *drained_user;
} host_serve_options;

/* Begins to serve agents; errors are logged. */
LOOM_MUST_CHECK loom_status host_serve(host *h, const host_serve_options *options);
/* Serves /metrics at an http URL; "": does nothing. write adds what the program counts; NULL: nothing. Errors are logged. */
LOOM_MUST_CHECK loom_status host_serve_metrics(host *h, const char *url, void (*write)(void *user, FILE *out), void *user);
/* Runs until a signal ends it; returns the exit code. A second signal ends it at once. */
int host_run(host *h);
/* Closes what host_serve() opened, if host_run() has not: after it the bus may be closed. Idempotent. */
void host_end_serving(host *h);
/* The same, then exports what is left within the drain time, writes the log, frees. */
void host_close(host *h);

#endif
