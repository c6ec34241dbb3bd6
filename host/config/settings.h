/* SPDX-License-Identifier: Apache-2.0 */
/* Every setting of every Loom program, in one table: a file is checked as a whole whoever reads it. */
#ifndef LOOM_HOST_CONFIG_SETTINGS_H
#define LOOM_HOST_CONFIG_SETTINGS_H

#include "host/config/agents.h"

/* [broker]: loom-broker */
typedef struct settings_broker {
    config_strings listen;  /* link URLs for agents */
    bool allow_remote;      /* may listen where other machines reach it */
    char *bus_pull;         /* nng URL where the bus takes messages in; "" is off, as below */
    char *bus_pub;          /* nng URL where the bus gives messages out */
    char *bus_control;      /* nng URL for actions and control */
    char *bus_bridge;       /* URL where bridges in processes of their own connect */
    char *tls_cert_key_file; /* PEM, for tls+tcp and wss; "" is none */
    config_strings ws_origins; /* of pages that may open a WebSocket */
    config_strings cors_origins; /* of pages that may use the gateway */
    uint32_t drain_timeout_ms;
    uint32_t heartbeat_interval_ms;
    int64_t max_agents;
    int64_t queue_messages; /* of one subscription */
    size_t queue_bytes;     /* of one subscription */
    uint32_t batched_deadline_ms;
    uint32_t publish_hold_ms; /* after the start */
    size_t agent_queue_bytes, total_queue_bytes;
    int64_t max_subscriptions; /* of one agent */
    int64_t ttl;            /* hops */
    size_t max_payload;     /* bytes */
    uint32_t call_deadline_ms;
    int64_t max_pending_calls; /* of one agent */
    int64_t call_cache_entries;
    size_t call_cache_bytes;
    uint32_t call_cache_ttl_ms;
    int64_t agent_spans;    /* a second of one agent; 0: none */
    char *metrics_listen;   /* http URL; "" is off */
    int64_t metrics_series; /* topics, and agents, with series of their own */
} settings_broker;

/* [bridge]: loom-bridge */
typedef struct settings_bridge {
    config_strings listen;
    bool allow_remote;
    char *bus_bridge;       /* the broker's */
    char *tls_cert_key_file;
    config_strings ws_origins, cors_origins;
    char *id;               /* "" : made from host name and process id */
    uint32_t drain_timeout_ms;
    uint32_t heartbeat_interval_ms;
    int64_t agent_spans;
    char *metrics_listen;
} settings_bridge;

/* [telemetry]: "" leaves the choice to the tracing library */
typedef struct settings_telemetry {
    char *exporter;         /* otlp, otlp/file, console, none */
    char *endpoint;         /* base URL of an OTLP receiver */
    char *protocol;         /* grpc, http/protobuf */
    char *sampler;          /* always_on … parentbased_rate_limited */
    double sampler_arg;     /* a ratio, 0 to 1, or traces a second */
    char *spans_file;       /* OTLP/JSON lines are appended there too */
    char *log_spans;        /* which finished spans are logged: docs/LOGGING.md */
    char *mask;             /* as LOOM_TRACE_MASK */
    char *recorder;         /* as LOOM_TRACE_RECORDER */
    char *slow;             /* as LOOM_TRACE_SLOW */
} settings_telemetry;

/* [up]: loom up */
typedef struct settings_up {
    bool broker, view;       /* whether it starts them */
    uint32_t stop_timeout_ms, ready_timeout_ms;
} settings_up;

typedef struct settings {
    settings_broker broker;
    settings_bridge bridge;
    settings_telemetry telemetry;
    struct {
        char *level;        /* error, warn, info, debug */
        char *format;       /* text, json */
        char *file;         /* "": standard error */
    } log;
    struct {
        char *url;          /* where the agent's bridge is */
    } agent;
    settings_up up;
    settings_agents agents; /* [agents.NAME] */
    config config;          /* where each value came from; points into this struct, which therefore does not move */
} settings;

/* The table, for tests and documentation. */
const config_key *settings_keys(size_t *count);

/* Every setting gets its default. LOOM_ENOMEM: nothing is held. */
LOOM_MUST_CHECK loom_status settings_init(settings *s);
void settings_fini(settings *s);
/* Rules over more than one key, for the sections named ("broker", NULL at the end): listening beyond this machine has to
 * be allowed by name, bus endpoints come together. LOOM_EINVAL: the problems are in the list. */
LOOM_MUST_CHECK loom_status settings_check(const settings *s, const char *const *sections, problems *list);
/* Makes OTEL_LOG_LEVEL the log's level: weaker than a file, so to be called before one is read. Names it does not know it
 * leaves to the tracing library, which reports them. LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status settings_load_otel_log_level(settings *s, problems *list);
/* Writes what a file or a flag said of [telemetry] into the OTEL_ variables, which are what the tracing library reads, so that the order flag,
 * environment, file holds there too. Before any other thread runs. LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status settings_export_telemetry(const settings *s);
/* Adds to list, as a warning, what the tracing library says of a variable ("NAME: …", <loom/trace.h>,
 * loom_telemetry_check_env()). A variable that stands for a setting of a file or a flag is called by that, with its place.
 * Nothing is added for one whose value the configuration has checked itself. */
void settings_add_variable_problem(const settings *s, const char *text, problems *list);

/* Adds a warning for each LOOM_ variable of the environment that nobody reads. Those that an orchestrator sets for a service
 * of that name are left out. own: others have variables of their own here, so that only a name that is nearly a known one is told. */
void settings_check_variable_names(const settings *s, bool own, problems *list);

/* The values of the sections named as a loom.toml, each with where it came from; as_json: one object. */
void settings_print(const settings *s, const char *const *sections, bool as_json, FILE *out);

#endif
