/* SPDX-License-Identifier: Apache-2.0 */
/* Loom: loom-broker, loom-bridge when asked for, and libloom. Limits and buffers are the defaults; emit waits for room. */
#include "tools/bench/peers/loom.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bench/looker.h"
#include "tools/bench/otlp_sink.h"
#include "tools/bench/stream.h"

enum { ARGS_MAX = 32, CONNECT_MS = 10000, EMIT_MS = 30000, FLUSH_MS = 30000 };

/* Where it listens: the first URL, or the second. */
static bool read_url(char out[SITE_URL_SIZE], const char *path, size_t which)
{
    json_t *ready = json_load_file(path, 0, NULL);
    const char *url = json_string_value(json_array_get(json_object_get(ready, "listen"), which));
    const bool ok = url != NULL && strlen(url) < SITE_URL_SIZE;
    if (ok) {
        snprintf(out, SITE_URL_SIZE, "%s", url);
    } else {
        bench_complain("%s does not say where it listens", path);
    }
    json_decref(ready);
    return ok;
}

static bool exports(const bench_site *site)
{
    return site->setup->tracing >= TRACING_RECORDER;
}

static const char *exporter_of(const bench_site *site, const char *program)
{
    const bool by_link = site->setup->tracing == TRACING_LINK && strcmp(program, "loom-broker") != 0;
    return !exports(site) ? "none" : by_link ? "loom" : "otlp";
}

/* Spans of the agents: the environment that the forked producers and consumers find. */
static void set_environment(const bench_site *site, const char *sink_url)
{
    static const char *const samplers[TRACING_COUNT] = {"always_off", "always_off", "parentbased_always_off",
                                                        "parentbased_traceidratio", "parentbased_always_on",
                                                        "parentbased_always_on", "parentbased_always_on"};
    const bench_tracing tracing = site->setup->tracing;
    setenv("LOOM_TELEMETRY_AUTO", tracing == TRACING_OFF ? "0" : "1", 1);
    setenv("OTEL_TRACES_EXPORTER", exporter_of(site, "an agent"), 1);
    setenv("OTEL_TRACES_SAMPLER", samplers[tracing], 1);
    setenv("OTEL_TRACES_SAMPLER_ARG", tracing == TRACING_PERCENT ? "0.01" : "", 1);
    setenv("LOOM_TRACE_RECORDER", tracing == TRACING_RECORDER ? "on" : "off", 1);
    unsetenv("LOOM_SPANS_FILE");
    if (exports(site)) {
        setenv("OTEL_EXPORTER_OTLP_ENDPOINT", sink_url, 1);
        setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf", 1);
    }
}

/* Where spans go, if anywhere. */
static bool find_sink(bench_site *site, char url[SITE_URL_SIZE])
{
    url[0] = '\0';
    if (site->setup->tracing == TRACING_DOWN) {
        const unsigned port = stream_free_port(); /* nobody listens there */
        snprintf(url, SITE_URL_SIZE, "http://127.0.0.1:%u", port);
        return port != 0;
    }
    return !exports(site) || otlp_sink_start(site, url);
}

static void url_for(const bench_site *site, char out[SITE_URL_SIZE], const char *name)
{
    if (site->setup->transport == TRANSPORT_TCP) {
        snprintf(out, SITE_URL_SIZE, "tcp://127.0.0.1:0");
    } else {
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
    char *argv[ARGS_MAX] = {
        path, "--listen", listen, "--ready-file", ready, "--telemetry-exporter",
        (char *)(uintptr_t)exporter_of(site, program)};
    size_t n = 7;
    for (; *more != NULL && n < ARGS_MAX - 3; n++, more++) {
        argv[n] = *more;
    }
    if (site->setup->http) {
        argv[n++] = "--listen";
        argv[n++] = "http://127.0.0.1:0";
    }
    return processes_run(&site->processes, program, argv, log) && site_wait_file(site, ready) && read_url(site->url, ready, 0) &&
           (!site->setup->http || read_url(site->url_out, ready, 1));
}

static bool start(bench_site *site)
{
    char sink_url[SITE_URL_SIZE], queue[16], bus[SITE_URL_SIZE] = "", control[SITE_URL_SIZE] = "";
    if (!find_sink(site, sink_url)) {
        return false;
    }
    set_environment(site, sink_url);
    const bool apart = site->setup->bridge == BRIDGE_PROCESS;
    if (apart) {
        snprintf(bus, sizeof bus, "ipc://%s/bus-bridge.sock", site->dir);
    }
    if (site->setup->looked_at) {
        looker_control(site, control);
    }
    snprintf(queue, sizeof queue, "%u", site->setup->queue);
    char *broker[] = {"--publish-hold",
                      "0",
                      "--bus-pull",
                      "",
                      "--bus-pub",
                      "",
                      "--bus-control",
                      control,
                      "--bus-bridge",
                      bus,
                      site->setup->queue > 0 ? "--queue-messages" : NULL,
                      queue,
                      NULL};
    char *bridge[] = {"--bus-bridge", bus, NULL};
    return start_program(site, "loom-broker", broker) && (!apart || start_program(site, "loom-bridge", bridge));
}

static bool available(const bench_setup *setup, char *why, size_t why_size)
{
    char path[SITE_URL_SIZE];
    const bool apart = setup->bridge == BRIDGE_PROCESS;
    if (site_sibling(path, "loom-broker") && (!apart || site_sibling(path, "loom-bridge"))) {
        return true;
    }
    snprintf(why, why_size, "the programs under measurement are not there");
    return false;
}

static void on_error(loom_agent *agent, loom_status why, const char *text, void *user)
{
    const loom_client *c = user;
    if (why == LOOM_EIO && c->spans_go_nowhere) {
        return; /* that is what is measured */
    }
    bench_complain("%s: %s (%s)", loom_agent_id(agent), text, loom_status_name(why));
}

/* A connection that breaks before the round has ended. */
static void on_state(loom_agent *agent, loom_agent_state state, loom_status why, const char *text, void *user)
{
    const loom_client *c = user;
    if (state == LOOM_AGENT_DISCONNECTED && atomic_load(&c->shared->phase) != PHASE_END) {
        bench_complain("%s is disconnected: %s (%s)", loom_agent_id(agent), text, loom_status_name(why));
    }
}

static loom_status on_event(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    (void)agent;
    (void)topic;
    const loom_client *c = user;
    const loom_bytes payload = loom_envelope_payload(event);
    return c->on_message(c->user, payload.data, payload.len) ? LOOM_OK : LOOM_EIO;
}

void loom_client_close(void *client)
{
    loom_client *c = client;
    if (c != NULL) {
        loom_agent_close(c->agent);
        free(c);
    }
}

static loom_status subscribe(const loom_client *c, const char *topic, const bench_setup *setup)
{
    const loom_subscribe_options options = {.qos = setup->queue > 0 ? LOOM_QOS_REALTIME : LOOM_QOS_BATCHED};
    return topic == NULL ? LOOM_OK : loom_agent_subscribe(c->agent, topic, &options, NULL);
}

loom_client *loom_client_open(const bench_site *site, const char *role, unsigned index, const char *topic,
                              const loom_agent_options *more)
{
    char id[64];
    loom_client *c = calloc(1, sizeof *c);
    if (c == NULL) {
        bench_complain("out of memory");
        return NULL;
    }
    c->shared = site->shared;
    c->api = site->setup->api;
    c->spans_go_nowhere = site->setup->tracing == TRACING_DOWN;
    snprintf(id, sizeof id, "%s-%u", role, index);
    loom_agent_options options = *more;
    options.id = id;
    options.url = site->url;
    options.user = c;
    options.on_error = on_error;
    options.on_state = on_state;
    options.emit_timeout_ms = EMIT_MS;
    options.receive_messages = site->setup->queue;
    loom_status st = loom_agent_open(&c->agent, &options);
    if (st != LOOM_OK) {
        bench_complain("cannot open the agent %s: %s", id, loom_agent_open_error());
    } else if ((st = subscribe(c, topic, site->setup)) != LOOM_OK ||
               (st = loom_agent_wait_connected(c->agent, CONNECT_MS)) != LOOM_OK) {
        bench_complain("the agent %s cannot connect to %s: %s", id, site->url, loom_status_text(st));
    }
    if (st != LOOM_OK) {
        loom_client_close(c);
        return NULL;
    }
    return c;
}

static void *publisher_open(const bench_site *site, bool at_once)
{
    return loom_client_open(site, at_once ? "producer-paced" : "producer", site->index, NULL, &(loom_agent_options){0});
}

bool loom_client_emit(const loom_client *c, const char *topic, loom_bytes payload, const loom_emit_options *options)
{
    const loom_status st = loom_agent_emit(c->agent, topic, payload, options);
    if (st != LOOM_OK) {
        bench_complain("emit: %s", loom_status_text(st));
    }
    return st == LOOM_OK;
}

static bool publish(void *publisher, const uint8_t *data, size_t size)
{
    return loom_client_emit(publisher, BENCH_TOPIC, (loom_bytes){data, size}, NULL);
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

/* Subscriptions that nothing matches. */
static bool subscribe_more(const loom_client *c, const bench_setup *setup)
{
    char filter[64];
    loom_status st = LOOM_OK;
    for (unsigned i = 0; i < setup->shape.filters && st == LOOM_OK; i++) {
        snprintf(filter, sizeof filter, "bench.site%u.*", i);
        st = subscribe(c, filter, setup);
    }
    st = st == LOOM_OK ? loom_agent_wait_connected(c->agent, CONNECT_MS) : st;
    if (st != LOOM_OK) {
        bench_complain("%u subscriptions more: %s", setup->shape.filters, loom_status_text(st));
    }
    return st == LOOM_OK;
}

static void *subscriber_open(const bench_site *site, bench_on_message on_message, void *user)
{
    loom_client *c = loom_client_open(site, "consumer", site->index, BENCH_TOPIC, &(loom_agent_options){.on_event = on_event});
    if (c != NULL) { /* nothing is published before every consumer is open */
        c->on_message = on_message;
        c->user = user;
        if (!subscribe_more(c, site->setup)) {
            loom_client_close(c);
            return NULL;
        }
    }
    return c;
}

/* In poll mode an agent has no thread; one that is not polled keeps its session for three heartbeats. */
static bool session_open(const bench_site *site, unsigned index)
{
    char topic[64];
    snprintf(topic, sizeof topic, "bench.idle.%u", index);
    return loom_client_open(site, "idle", index, topic, &(loom_agent_options){.on_event = on_event, .poll_mode = true}) != NULL;
}

static bool span_program(char out[SITE_URL_SIZE])
{
    return site_sibling(out, "loom-bench-span");
}

const bench_peer bench_peer_loom = {
    .name = "loom",
    .summary = "loom-broker with libloom",
    .is_bus = true,
    .is_http = true,
    .guarantee = "at most once; batched: a full queue holds the producer back",
    .more_filters = true,
    .available = available,
    .start = start,
    .publisher_open = publisher_open,
    .publish = publish,
    .flush = flush,
    .publisher_close = loom_client_close,
    .subscriber_open = subscriber_open,
    .subscriber_close = loom_client_close,
    .responder_open = loom_responder_open,
    .responder_close = loom_client_close,
    .requester_open = loom_requester_open,
    .request = loom_request,
    .requester_close = loom_client_close,
    .session_open = session_open,
    .span_program = span_program,
};
