/* SPDX-License-Identifier: Apache-2.0 */
/* The table of every setting. To add one: a field in settings.h and a row here; file, environment, flag, --help,
 * --check-config and the documentation test follow from it. */
#include "host/config/settings.h"

#include "base/str.h"
#include "base/url.h"

#include <assert.h>
#include <loom/envelope.h>
#include <stddef.h>
#include <string.h>

static bool check_link(const char *text, char why[CONFIG_CHECK_SIZE])
{
    static_assert(CONFIG_CHECK_SIZE >= URL_ERROR_SIZE, "a check passes on what url_parse() says");
    url parsed;
    return url_parse(&parsed, text, URL_LINKS, why) == LOOM_OK;
}

static bool check_listen(const char *text, char why[CONFIG_CHECK_SIZE])
{
    url parsed;
    return url_parse(&parsed, text, URL_LINKS | URL_WEB, why) == LOOM_OK;
}

static bool check_bus(const char *text, char why[CONFIG_CHECK_SIZE])
{
    url parsed;
    return text[0] == '\0' || url_parse(&parsed, text, URL_BUS, why) == LOOM_OK;
}

static bool check_broker_bus(const char *text, char why[CONFIG_CHECK_SIZE])
{
    url parsed;
    return url_parse(&parsed, text, URL_BUS, why) == LOOM_OK;
}

static bool check_metrics(const char *text, char why[CONFIG_CHECK_SIZE])
{
    url parsed;
    return text[0] == '\0' || url_parse(&parsed, text, URL_HTTP, why) == LOOM_OK;
}

static bool check_collector(const char *text, char why[CONFIG_CHECK_SIZE])
{
    /* host:port, as gRPC takes it, and user:password@ are the exporter's business */
    const char *scheme = strstr(text, "://");
    const char *authority = scheme != NULL ? scheme + 3 : text;
    const char *at = memrchr(authority, '@', strcspn(authority, "/?#"));
    char bare[URL_MAX];
    url parsed;
    snprintf(bare, sizeof bare, "%.*s%s", scheme != NULL ? (int)(authority - text) : 7, scheme != NULL ? text : "http://",
             at != NULL ? at + 1 : authority);
    return text[0] == '\0' || url_parse(&parsed, bare, URL_WEB, why) == LOOM_OK;
}

static bool is_exporter(loom_str name)
{
    static const char *const names[] = {"otlp", "otlp/file", "otlp/stdout", "console", "loom", "loom/stderr"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (str_is_any_case(name, names[i])) {
            return true;
        }
    }
    return false;
}

static bool check_exporters(const char *text, char why[CONFIG_CHECK_SIZE])
{
    loom_str rest = str_of(text), item;
    if (str_is_any_case(str_trim(rest), "none")) {
        return true;
    }
    while (str_next_item(&rest, ',', &item)) {
        item = str_trim(item);
        if (item.len > 0 && !is_exporter(item)) {
            snprintf(why, CONFIG_CHECK_SIZE, "exporters are otlp, otlp/file, otlp/stdout, console, loom, loom/stderr, or none alone");
            return false;
        }
    }
    return true;
}

/* What a browser sends as Origin: a scheme, a host, and a port that does not go without saying (RFC 6454, section 6.2). */
static bool check_origin(const char *text, char why[CONFIG_CHECK_SIZE])
{
    const char *host = strstr(text, "://");
    if (strcmp(text, "*") == 0 || (host != NULL && host != text && host[3] != '\0' && strpbrk(host + 3, "/?# ") == NULL)) {
        return true;
    }
    snprintf(why, CONFIG_CHECK_SIZE, "an origin is a scheme, a host and perhaps a port, like https://example.org, or *");
    return false;
}

/* What may stand in a span attribute and a log line without quoting. */
static bool check_id(const char *text, char why[CONFIG_CHECK_SIZE])
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    if (strlen(text) > 64 || text[strspn(text, allowed)] != '\0') {
        snprintf(why, CONFIG_CHECK_SIZE, "an id has up to 64 letters, digits, dots, underscores and dashes");
        return false;
    }
    return true;
}

#define AT(member) offsetof(settings, member)
#define KIB ((int64_t)1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define SECOND ((int64_t)1000)
#define HOUR (3600 * SECOND)

static const config_key keys[] = {
    {.section = "broker", .name = "listen", .type = CONFIG_STRINGS, .offset = AT(broker.listen), .value = "URL",
     .fallback = "ipc://{runtime}/loom.sock", .check = check_listen,
     .help = "Where agents connect: ipc, tcp, tls+tcp, ws, wss URLs; and the HTTP gateway: http, https"},
    {.section = "broker", .name = "allow_remote", .type = CONFIG_BOOL, .offset = AT(broker.allow_remote),
     .fallback = "false", .help = "Allow listening on addresses that other machines can reach"},
    {.section = "broker", .name = "bus_pull", .type = CONFIG_STRING, .offset = AT(broker.bus_pull), .value = "URL",
     .fallback = "ipc://{runtime}/bus-in.sock", .check = check_bus,
     .help = "nng PULL socket that accepts events from any nng program; empty turns it off"},
    {.section = "broker", .name = "bus_pub", .type = CONFIG_STRING, .offset = AT(broker.bus_pub), .value = "URL",
     .fallback = "ipc://{runtime}/bus-out.sock", .check = check_bus,
     .help = "nng PUB socket that publishes every event to any nng program; empty turns it off"},
    {.section = "broker", .name = "bus_control", .type = CONFIG_STRING, .offset = AT(broker.bus_control), .value = "URL",
     .fallback = "ipc://{runtime}/bus-control.sock", .check = check_bus,
     .help = "nng REP socket for the control commands; empty turns it off"},
    {.section = "broker", .name = "bus_bridge", .type = CONFIG_STRING, .offset = AT(broker.bus_bridge), .value = "URL",
     .fallback = "ipc://{runtime}/bus-bridge.sock", .check = check_bus,
     .help = "Where loom-bridge processes connect; empty turns it off"},
    {.section = "broker", .name = "tls_cert_key_file", .live = true, .type = CONFIG_STRING, .offset = AT(broker.tls_cert_key_file),
     .value = "FILE", .fallback = "", .help = "PEM file with certificate and private key, for tls+tcp, wss and https"},
    {.section = "broker", .name = "ws_origins", .type = CONFIG_STRINGS, .offset = AT(broker.ws_origins),
     .value = "ORIGIN", .fallback = "", .check = check_origin,
     .help = "Web pages that may open a WebSocket, such as https://example.org; * is all of them, empty only those that "
             "come from the same host and port"},
    {.section = "broker", .name = "cors_origins", .type = CONFIG_STRINGS, .offset = AT(broker.cors_origins),
     .value = "ORIGIN", .fallback = "", .check = check_origin,
     .help = "Web pages that may use the HTTP gateway from elsewhere, such as https://example.org; * is all of them"},
    {.section = "broker", .name = "drain_timeout", .live = true, .type = CONFIG_DURATION, .offset = AT(broker.drain_timeout_ms),
     .min = 0, .max = HOUR, .fallback = "5s", .help = "How long shutdown waits for queues and spans to drain"},
    {.section = "broker", .name = "heartbeat_interval", .type = CONFIG_DURATION,
     .offset = AT(broker.heartbeat_interval_ms), .min = 100, .max = HOUR, .fallback = "15s",
     .help = "How often an agent must send something; three missed intervals end its session"},
    {.section = "broker", .name = "max_agents", .live = true, .type = CONFIG_INT, .offset = AT(broker.max_agents), .min = 1,
     .max = 1000000, .fallback = "4096", .help = "Maximum number of connected agents; more are refused"},
    {.section = "broker", .name = "queue_messages", .live = true, .type = CONFIG_INT, .offset = AT(broker.queue_messages), .min = 1,
     .max = 16777216, .fallback = "8192", .help = "Messages waiting for one subscription at most"},
    {.section = "broker", .name = "queue_bytes", .live = true, .type = CONFIG_SIZE, .offset = AT(broker.queue_bytes), .min = 4 * KIB,
     .max = 2 * GIB, .fallback = "8MiB", .help = "Bytes waiting for one subscription at most"},
    {.section = "broker", .name = "batched_deadline", .live = true, .type = CONFIG_DURATION, .offset = AT(broker.batched_deadline_ms),
     .min = 0, .max = HOUR, .fallback = "50ms",
     .help = "How long a full queue holds publishers back for a subscriber that takes nothing; after that messages wait without them, and after 20 times that they are dropped"},
    {.section = "broker", .name = "publish_hold", .type = CONFIG_DURATION, .offset = AT(broker.publish_hold_ms), .min = 0,
     .max = HOUR, .fallback = "1s",
     .help = "How long publishers wait after the start, so that subscribers of the broker before are back first; 0 is not at all"},
    {.section = "broker", .name = "agent_queue_bytes", .live = true, .type = CONFIG_SIZE, .offset = AT(broker.agent_queue_bytes),
     .min = 4 * KIB, .max = 1024 * GIB, .fallback = "64MiB", .help = "Bytes waiting for all subscriptions of one agent at most"},
    {.section = "broker", .name = "total_queue_bytes", .live = true, .type = CONFIG_SIZE, .offset = AT(broker.total_queue_bytes),
     .min = 64 * KIB, .max = 1024 * GIB, .fallback = "512MiB", .help = "Bytes waiting in the whole broker at most"},
    {.section = "broker", .name = "max_subscriptions", .live = true, .type = CONFIG_INT, .offset = AT(broker.max_subscriptions), .min = 1,
     .max = 1000000, .fallback = "100000", .help = "Maximum number of subscriptions of one agent; more are refused"},
    {.section = "broker", .name = "ttl", .type = CONFIG_INT, .offset = AT(broker.ttl), .min = 1, .max = 255,
     .fallback = "16", .help = "Maximum number of hops of a message whose publisher set no ttl"},
    {.section = "broker", .name = "max_payload", .type = CONFIG_SIZE, .offset = AT(broker.max_payload), .min = KIB,
     .max = LOOM_PAYLOAD_MAX, .fallback = "1MiB", .help = "Largest payload accepted"},
    {.section = "broker", .name = "call_deadline", .live = true, .type = CONFIG_DURATION, .offset = AT(broker.call_deadline_ms), .min = 1,
     .max = HOUR, .fallback = "30s", .help = "Deadline of a call whose caller set none"},
    {.section = "broker", .name = "max_pending_calls", .live = true, .type = CONFIG_INT, .offset = AT(broker.max_pending_calls), .min = 1,
     .max = 1000000, .fallback = "10000", .help = "Maximum number of one agent's pending calls; more are refused"},
    {.section = "broker", .name = "call_cache_entries", .type = CONFIG_INT, .offset = AT(broker.call_cache_entries), .min = 1,
     .max = 16777216, .fallback = "10000", .help = "Call results kept to answer duplicates"},
    {.section = "broker", .name = "call_cache_bytes", .type = CONFIG_SIZE, .offset = AT(broker.call_cache_bytes),
     .min = 4 * KIB, .max = 4 * GIB, .fallback = "16MiB", .help = "Bytes of call results kept to answer duplicates"},
    {.section = "broker", .name = "call_cache_ttl", .type = CONFIG_DURATION, .offset = AT(broker.call_cache_ttl_ms), .min = 1,
     .max = HOUR, .fallback = "1m", .help = "How long a call result is kept to answer duplicates"},
    {.section = "broker", .name = "agent_spans", .type = CONFIG_INT, .offset = AT(broker.agent_spans), .min = 0, .max = 10000000,
     .fallback = "50000", .help = "Spans a second taken from each agent over its link (OTEL_TRACES_EXPORTER=loom there); 0 takes none"},
    {.section = "broker", .name = "metrics_listen", .type = CONFIG_STRING, .offset = AT(broker.metrics_listen),
     .value = "URL", .fallback = "", .check = check_metrics,
     .help = "Where to serve /metrics, /healthz and /readyz, such as http://127.0.0.1:7780; empty turns it off"},
    {.section = "broker", .name = "metrics_series", .live = true, .type = CONFIG_INT, .offset = AT(broker.metrics_series), .min = 0,
     .max = 1000, .fallback = "100", .help = "Maximum number of topics, and of agents, with series of their own in /metrics; 0 is none"},

    {.section = "bridge", .name = "listen", .type = CONFIG_STRINGS, .offset = AT(bridge.listen), .value = "URL",
     .fallback = "ipc://{runtime}/bridge.sock", .check = check_listen,
     .help = "Where agents connect: ipc, tcp, tls+tcp, ws, wss URLs; and the HTTP gateway: http, https"},
    {.section = "bridge", .name = "allow_remote", .type = CONFIG_BOOL, .offset = AT(bridge.allow_remote),
     .fallback = "false", .help = "Allow listening on addresses that other machines can reach"},
    {.section = "bridge", .name = "bus_bridge", .type = CONFIG_STRING, .offset = AT(bridge.bus_bridge), .value = "URL",
     .fallback = "ipc://{runtime}/bus-bridge.sock", .check = check_broker_bus, .help = "The broker's bus_bridge"},
    {.section = "bridge", .name = "tls_cert_key_file", .live = true, .type = CONFIG_STRING, .offset = AT(bridge.tls_cert_key_file),
     .value = "FILE", .fallback = "", .help = "PEM file with certificate and private key, for tls+tcp, wss and https"},
    {.section = "bridge", .name = "ws_origins", .type = CONFIG_STRINGS, .offset = AT(bridge.ws_origins),
     .value = "ORIGIN", .fallback = "", .check = check_origin,
     .help = "Web pages that may open a WebSocket, such as https://example.org; * is all of them, empty only those that "
             "come from the same host and port"},
    {.section = "bridge", .name = "id", .type = CONFIG_STRING, .offset = AT(bridge.id), .value = "ID", .fallback = "",
     .check = check_id, .help = "Name of this bridge on the bus; empty: host name and process id"},
    {.section = "bridge", .name = "cors_origins", .type = CONFIG_STRINGS, .offset = AT(bridge.cors_origins),
     .value = "ORIGIN", .fallback = "", .check = check_origin,
     .help = "Web pages that may use the HTTP gateway from elsewhere, such as https://example.org; * is all of them"},
    {.section = "bridge", .name = "drain_timeout", .live = true, .type = CONFIG_DURATION, .offset = AT(bridge.drain_timeout_ms),
     .min = 0, .max = HOUR, .fallback = "5s", .help = "How long shutdown waits for queues and spans to drain"},
    {.section = "bridge", .name = "heartbeat_interval", .type = CONFIG_DURATION,
     .offset = AT(bridge.heartbeat_interval_ms), .min = 100, .max = HOUR, .fallback = "15s",
     .help = "How often an agent must send something; three missed intervals end its session"},
    {.section = "bridge", .name = "agent_spans", .type = CONFIG_INT, .offset = AT(bridge.agent_spans), .min = 0, .max = 10000000,
     .fallback = "50000", .help = "Spans a second taken from each agent over its link (OTEL_TRACES_EXPORTER=loom there); 0 takes none"},
    {.section = "bridge", .name = "metrics_listen", .type = CONFIG_STRING, .offset = AT(bridge.metrics_listen),
     .value = "URL", .fallback = "", .check = check_metrics,
     .help = "Where to serve /metrics, /healthz and /readyz, such as http://127.0.0.1:7781; empty turns it off"},

    {.section = "telemetry", .name = "exporter", .type = CONFIG_STRING, .offset = AT(telemetry.exporter),
     .value = "LIST", .fallback = "otlp", .check = check_exporters, .env = "OTEL_TRACES_EXPORTER",
     .help = "Where spans go: otlp, otlp/file, otlp/stdout, console, loom (over an agent's or bridge's own link), loom/stderr, several of them with commas, or none"},
    {.section = "telemetry", .name = "endpoint", .type = CONFIG_STRING, .offset = AT(telemetry.endpoint), .value = "URL",
     .fallback = "", .check = check_collector, .instead = "none: nothing is exported", .env = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT OTEL_EXPORTER_OTLP_ENDPOINT",
     .help = "OTLP receiver; empty is port 4317 (grpc) or 4318 (http) of this machine"},
    {.section = "telemetry", .name = "protocol", .type = CONFIG_STRING, .offset = AT(telemetry.protocol),
     .choices = "|grpc|http/protobuf|http/json", .fallback = "",
     .env = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL OTEL_EXPORTER_OTLP_PROTOCOL", .help = "OTLP transport"},
    {.section = "telemetry", .name = "sampler", .type = CONFIG_STRING, .offset = AT(telemetry.sampler),
     .choices = "always_on|always_off|traceidratio|parentbased_always_on|parentbased_always_off|parentbased_traceidratio|"
                "rate_limited|parentbased_rate_limited",
     .fallback = "parentbased_always_on", .env = "OTEL_TRACES_SAMPLER", .help = "Which traces are sampled"},
    {.section = "telemetry", .name = "sampler_arg", .type = CONFIG_DOUBLE, .offset = AT(telemetry.sampler_arg),
     .min = 0, .max = 1000000000, .fallback = "1", .env = "OTEL_TRACES_SAMPLER_ARG",
     .help = "What a ratio sampler keeps, 0 to 1, or a rate-limited one in a second"},
    {.section = "telemetry", .name = "spans_file", .type = CONFIG_STRING, .offset = AT(telemetry.spans_file),
     .value = "FILE", .fallback = "", .env = "LOOM_SPANS_FILE",
     .help = "Also append spans to this file, as OTLP/JSON lines"},
    {.section = "telemetry", .name = "log_spans", .type = CONFIG_STRING, .offset = AT(telemetry.log_spans),
     .value = "LIST", .fallback = "", .env = "LOOM_LOG_SPANS",
     .help = "Log finished spans on standard error: all, errors, slow:100ms, attr:KEY, text"},
    {.section = "telemetry", .name = "mask", .type = CONFIG_STRING, .offset = AT(telemetry.mask), .value = "KINDS",
     .fallback = "", .env = "LOOM_TRACE_MASK",
     .help = "Mask in spans: all, off, or some of keys,mail,phone,card,national_id,token,url"},
    {.section = "telemetry", .name = "recorder", .type = CONFIG_STRING, .offset = AT(telemetry.recorder), .value = "SIZE",
     .fallback = "", .env = "LOOM_TRACE_RECORDER",
     .help = "Memory of the flight recorder, which keeps spans that nobody sampled for a while: on (16MiB), off, or a size"},
    {.section = "telemetry", .name = "slow", .type = CONFIG_STRING, .offset = AT(telemetry.slow), .value = "RULES",
     .fallback = "", .env = "LOOM_TRACE_SLOW",
     .help = "Traces that the flight recorder keeps as slow: NAME>TIME, slowest=SHARE%, several with commas"},

    {.section = "log", .name = "level", .live = true, .type = CONFIG_STRING, .offset = AT(log.level),
     .choices = "error|warn|info|debug", .fallback = "info", .help = "Log level"},
    {.section = "log", .name = "format", .type = CONFIG_STRING, .offset = AT(log.format), .choices = "text|json",
     .fallback = "text", .help = "text for people, json for programs (one object per line)"},
    {.section = "log", .name = "file", .type = CONFIG_STRING, .offset = AT(log.file), .value = "FILE", .fallback = "",
     .help = "Append the log to this file, which SIGUSR1 opens again; empty is standard error"},

    {.section = "agent", .name = "url", .type = CONFIG_STRING, .offset = AT(agent.url), .value = "URL",
     .fallback = "ipc://{runtime}/loom.sock", .check = check_link, .env = "LOOM_URL",
     .help = "The bridge or broker that the agent connects to"},

    {.section = "up", .name = "broker", .type = CONFIG_BOOL, .offset = AT(up.broker), .fallback = "true",
     .help = "Start a broker; without one, the agents use the one that [agent] url names"},
    {.section = "up", .name = "view", .type = CONFIG_BOOL, .offset = AT(up.view), .fallback = "false",
     .help = "Start the web view"},
    {.section = "up", .name = "stop_timeout", .type = CONFIG_DURATION, .offset = AT(up.stop_timeout_ms), .min = 0,
     .max = HOUR, .fallback = "10s", .help = "How long a stop waits for the agents, and then for the broker"},
    {.section = "up", .name = "ready_timeout", .type = CONFIG_DURATION, .offset = AT(up.ready_timeout_ms), .min = 1,
     .max = HOUR, .fallback = "30s", .help = "How long the broker and the agents may take to become ready"},
};

const config_key *settings_keys(size_t *count)
{
    *count = sizeof keys / sizeof keys[0];
    return keys;
}

loom_status settings_init(settings *s)
{
    memset(s, 0, sizeof *s);
    loom_status st = config_init(&s->config, keys, sizeof keys / sizeof keys[0], s);
    settings_agents_init(&s->agents);
    s->config.family = &s->agents.family;
    return st;
}

void settings_fini(settings *s)
{
    config_fini(&s->config);
    settings_agents_fini(&s->agents);
}
