/* SPDX-License-Identifier: Apache-2.0 */
/* Loom: loom-broker, loom-bridge when asked for, and libloom. Limits and buffers are the defaults; emit waits for room. */
#include <jansson.h>
#include <loom/agent.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bench/otlp_sink.h"
#include "tools/bench/peer.h"

enum { ARGS_MAX = 24, CONNECT_MS = 10000, EMIT_MS = 30000, FLUSH_MS = 30000 };

typedef struct loom_client {
    loom_agent *agent;
    bench_on_message on_message;
    void *user;
} loom_client;

static bool read_url(char out[SITE_URL_SIZE], const char *path)
{
    json_t *ready = json_load_file(path, 0, NULL);
    const char *url = json_string_value(json_array_get(json_object_get(ready, "listen"), 0));
    const bool ok = url != NULL && strlen(url) < SITE_URL_SIZE;
    if (ok) {
        snprintf(out, SITE_URL_SIZE, "%s", url);
    } else {
        bench_complain("%s does not say where it listens", path);
    }
    json_decref(ready);
    return ok;
}

/* Spans of the agents: the environment that the forked producer and consumer find. */
static void set_environment(const bench_site *site, const char *sink_url)
{
    const bool on = site->options->tracing == TRACING_ON;
    setenv("LOOM_TELEMETRY_AUTO", site->options->tracing == TRACING_OFF ? "0" : "1", 1);
    setenv("OTEL_TRACES_EXPORTER", on ? "otlp" : "none", 1);
    setenv("OTEL_TRACES_SAMPLER", on ? "parentbased_always_on" : "always_off", 1);
    unsetenv("LOOM_SPANS_FILE");
    if (on) {
        setenv("OTEL_EXPORTER_OTLP_ENDPOINT", sink_url, 1);
        setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf", 1);
    }
}

static void url_for(const bench_site *site, char out[SITE_URL_SIZE], const char *name)
{
    if (site->options->transport == TRANSPORT_TCP) {
        snprintf(out, SITE_URL_SIZE, "tcp://127.0.0.1:0");
    } else {
        snprintf(out, SITE_URL_SIZE, "ipc://%s/%s", site->dir, name);
    }
}

/* An endpoint of the bus; name is NULL: none. */
static void bus_url(const bench_site *site, char out[SITE_URL_SIZE], const char *name)
{
    out[0] = '\0';
    if (name != NULL) {
        snprintf(out, SITE_URL_SIZE, "ipc://%s/%s", site->dir, name);
    }
}

/* program is run with its --listen and --ready-file and the arguments after them, which end with NULL. */
static bool start_program(bench_site *site, const char *program, char *const more[])
{
    char path[SITE_URL_SIZE], listen[SITE_URL_SIZE], ready[SITE_URL_SIZE], log[SITE_URL_SIZE], name[64];
    snprintf(name, sizeof name, "%s.sock", program);
    url_for(site, listen, name);
    snprintf(name, sizeof name, "%s.ready", program);
    site_path(site, ready, name);
    snprintf(name, sizeof name, "%s.log", program);
    site_path(site, log, name);
    if (!site_sibling(path, program)) {
        return false;
    }
    char *argv[ARGS_MAX] = {path, "--listen", listen, "--ready-file", ready, "--telemetry-exporter",
                            site->options->tracing == TRACING_ON ? "otlp" : "none"};
    for (size_t n = 7, i = 0; more[i] != NULL && n < ARGS_MAX - 1; n++, i++) {
        argv[n] = more[i];
    }
    return processes_run(&site->processes, program, argv, log) && site_wait_file(site, ready) &&
           read_url(site->url, ready);
}

static bool start(bench_site *site)
{
    char sink_url[SITE_URL_SIZE] = "";
    if (site->options->tracing == TRACING_ON && !otlp_sink_start(site, sink_url)) {
        return false;
    }
    set_environment(site, sink_url);
    const bool apart = site->options->bridge == BRIDGE_PROCESS;
    char control[SITE_URL_SIZE], pull[SITE_URL_SIZE], pub[SITE_URL_SIZE];
    bus_url(site, control, apart ? "bus-control.sock" : NULL);
    bus_url(site, pull, apart ? "bridge-in.sock" : NULL);
    bus_url(site, pub, apart ? "bridge-out.sock" : NULL);
    char *broker[] = {"--bus-pull",    "",   "--bus-pub",    "",  "--bus-control", control,
                      "--bridge-pull", pull, "--bridge-pub", pub, NULL};
    char *bridge[] = {"--bus-control", control, NULL};
    return start_program(site, "loom-broker", broker) && (!apart || start_program(site, "loom-bridge", bridge));
}

static bool available(const bench_options *options, char *why, size_t why_size)
{
    char path[SITE_URL_SIZE];
    const bool apart = options->bridge == BRIDGE_PROCESS;
    if (site_sibling(path, "loom-broker") && (!apart || site_sibling(path, "loom-bridge"))) {
        return true;
    }
    snprintf(why, why_size, "the programs under measurement are not there");
    return false;
}

static void on_error(loom_agent *agent, loom_status why, const char *text, void *user)
{
    (void)user;
    bench_complain("%s: %s (%s)", loom_agent_id(agent), text, loom_status_name(why));
}

static loom_status on_event(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    (void)agent;
    (void)topic;
    const loom_client *c = user;
    const loom_bytes payload = loom_envelope_payload(event);
    c->on_message(c->user, payload.data, payload.len);
    return LOOM_OK;
}

static void close_client(void *client)
{
    loom_client *c = client;
    if (c != NULL) {
        loom_agent_close(c->agent);
        free(c);
    }
}

static loom_client *open_client(const bench_site *site, const char *id, const char *const *topics,
                                bench_on_message on_message, void *user)
{
    loom_client *c = calloc(1, sizeof *c);
    if (c == NULL) {
        bench_complain("out of memory");
        return NULL;
    }
    c->on_message = on_message;
    c->user = user;
    const loom_agent_options options = {
        .id = id,
        .url = site->url,
        .topics = topics,
        .on_event = on_event,
        .user = c,
        .on_error = on_error,
        .emit_timeout_ms = EMIT_MS,
    };
    loom_status st = loom_agent_open(&c->agent, &options);
    if (st != LOOM_OK) {
        bench_complain("cannot open the agent %s: %s", id, loom_agent_open_error());
    } else if ((st = loom_agent_wait_connected(c->agent, CONNECT_MS)) != LOOM_OK) {
        bench_complain("the agent %s cannot connect to %s: %s", id, site->url, loom_status_text(st));
    }
    if (st != LOOM_OK) {
        close_client(c);
        return NULL;
    }
    return c;
}

static void *publisher_open(const bench_site *site, bool at_once)
{
    return open_client(site, at_once ? "producer-paced" : "producer", NULL, NULL, NULL);
}

static bool publish(void *publisher, const uint8_t *data, size_t size)
{
    const loom_client *c = publisher;
    const loom_status st = loom_agent_emit(c->agent, BENCH_TOPIC, (loom_bytes){data, size}, NULL);
    if (st != LOOM_OK) {
        bench_complain("emit: %s", loom_status_text(st));
    }
    return st == LOOM_OK;
}

static bool flush(void *publisher)
{
    const loom_client *c = publisher;
    const loom_status st = loom_agent_flush(c->agent, FLUSH_MS);
    if (st != LOOM_OK) {
        bench_complain("flush: %s", loom_status_text(st));
    }
    return st == LOOM_OK;
}

static void *subscriber_open(const bench_site *site, bench_on_message on_message, void *user)
{
    static const char *const topics[] = {BENCH_TOPIC, NULL};
    return open_client(site, "consumer", topics, on_message, user);
}

const bench_peer bench_peer_loom = {
    .name = "loom",
    .summary = "loom-broker with libloom",
    .available = available,
    .start = start,
    .publisher_open = publisher_open,
    .publish = publish,
    .flush = flush,
    .publisher_close = close_client,
    .subscriber_open = subscriber_open,
    .subscriber_close = close_client,
};
