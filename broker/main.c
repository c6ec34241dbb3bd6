/* SPDX-License-Identifier: Apache-2.0 */
/* loom-broker: the cores, the endpoints of the bus, and a bridge for local agents, on one loop. */
#include <stdio.h>
#include <string.h>

#include <loom/version.h>

#include "bridge/serve.h"
#include "bridge/spans/intake.h"
#include "broker/endpoints/server.h"
#include "broker/state_dump.h"
#include "broker/subscription_metrics.h"
#include "broker/bus_local.h"

static const program_spec spec = {
    .name = "loom-broker",
    .version = LOOM_VERSION,
    .summary = "The Loom message bus: takes agents on by itself and through bridges, passes their "
               "events on and brings their calls to who can answer them. "
               "Every message is a trace: spans go where OTEL_EXPORTER_OTLP_ENDPOINT says.",
    .synopsis = "[OPTION]...",
    .sections = {"broker", "telemetry", "log", NULL},
    .extra = process_options,
    .extra_count = 1,
    .check_variables = loom_telemetry_check_env,
    .examples = "Examples:\n"
                "  loom-broker                                  a broker for this machine's agents\n"
                "  loom-broker --listen tcp://127.0.0.1:7700    agents over TCP only\n"
                "  loom-broker --listen ipc:///run/loom/loom.sock --listen http://127.0.0.1:7780    and HTTP: docs/HTTP.md\n"
                "  loom-broker --config loom.toml --check-config\n"
                "  loom pub greetings.all hello                 then, in another terminal: loom sub 'greetings.>'\n",
};

typedef struct broker {
    process process;
    serving serving;
    broker_cores cores;
    broker_system system;
    bus_local local;
    bus_server *bus;
    gateway_source source;
    span_intake *spans;
    uv_prepare_t round;
    uv_timer_t deadlines;
} broker;

static void hold_publishers(void *user, bool at_once)
{
    bus_server_hold_publishers(((broker *)user)->bus, at_once);
}

static uint64_t published(void *user)
{
    return eventbus_get_stats(((broker *)user)->cores.events).published;
}

static bool nothing_queued(void *user)
{
    const broker *b = user;
    return eventbus_get_stats(b->cores.events).queued == 0 && bus_server_is_through(b->bus);
}

static void lose_queued(void *user)
{
    broker *b = user;
    process_lost(&b->process, "messages_queued", eventbus_get_stats(b->cores.events).queued);
    process_lost(&b->process, "events_unread", b->bus != NULL ? bus_server_unread(b->bus) : 0);
    process_lost(&b->process, "calls_unanswered", actionbroker_get_stats(b->cores.actions).pending);
}

static void on_deadline(uv_timer_t *timer)
{
    broker *b = timer->data;
    process_woke(&b->process);
    broker_expire(&b->cores);
}

/* Before the loop sleeps: it will wake for the next deadline of the cores. */
static void on_round(uv_prepare_t *prepare)
{
    broker *b = prepare->data;
    uint64_t now = uv_now(&b->process.loop);
    uint64_t next = broker_next_deadline_ms(&b->cores);
    if (next == UINT64_MAX) {
        uv_timer_stop(&b->deadlines);
    } else {
        uv_timer_start(&b->deadlines, on_deadline, next > now ? next - now : 0, 0);
    }
}

static void on_bus_log(void *user, log_level level, const char *format, va_list args)
{
    log_vwrite(((broker *)user)->process.log, level, format, args);
}

/* From a bridge elsewhere, for the agents of the one here. */
static void keep_here(void *user, const frame_keep *f)
{
    bus *local = &((broker *)user)->local.base;
    if (local->told_to_keep != NULL) {
        local->told_to_keep(local->bridge, f);
    }
}

/* The control socket wants no new agents, or wants them again. */
static void on_drain(void *user, bool draining, uint32_t within_ms)
{
    broker *b = user;
    b->process.draining = draining;
    if (draining) {
        bridge_ask_to_move(b->serving.bridge, within_ms);
    }
}

/* From the bridge here. */
static void keep_elsewhere(void *user, const frame_keep *f)
{
    broker *b = user;
    if (b->bus != NULL) {
        bus_server_keep(b->bus, f);
    }
}

static loom_status open_bus(broker *b, const settings_broker *s)
{
    const char *urls[] = {s->bus_pull, s->bus_pub, s->bus_bridge, s->bus_control};
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        loom_status st = process_prepare_url(&b->process, urls[i]);
        if (st != LOOM_OK) {
            return st;
        }
    }
    bus_server_options with = {
        .bus_pull = s->bus_pull,
        .bus_pub = s->bus_pub,
        .bus_bridge = s->bus_bridge,
        .control = s->bus_control,
        .software = "loom-broker/" LOOM_VERSION,
        .payload_max = (uint32_t)s->max_payload,
        .ttl = (uint8_t)s->ttl,
        .spans = b->spans,
        .on_keep = keep_here,
        .on_drain = on_drain,
        .counters = &b->process.counters,
        .log = on_bus_log,
        .user = b,
    };
    loom_status st = bus_server_open(&b->bus, &b->process.loop, &b->process.clock, &b->cores, &with);
    if (st == LOOM_OK) {
        counter_list_add(&b->process.counters, bus_server_counter_source(b->bus));
    }
    return st;
}

static void on_bus_closed(void *user)
{
    ((broker *)user)->bus = NULL;
}

static void close_bus(broker *b)
{
    if (b->bus != NULL) {
        bus_server_close(b->bus, on_bus_closed, b);
        while (b->bus != NULL) {
            uv_run(&b->process.loop, UV_RUN_ONCE);
        }
    }
}

static void broker_write_metrics(void *user, FILE *out)
{
    const broker *b = user;
    subscriptions_write_metrics(b->cores.events, out);
    series_write_metrics(b->cores.events, (uint32_t)b->process.program->settings.broker.metrics_series, out);
}

static eventbus_options bus_options(const settings_broker *s)
{
    return (eventbus_options){
        .queue_messages = (uint32_t)s->queue_messages,
        .queue_bytes = (uint32_t)s->queue_bytes,
        .publish_hold_ms = s->publish_hold_ms,
        .batched_deadline_ms = s->batched_deadline_ms > 0 ? s->batched_deadline_ms : EVENTBUS_NO_DEADLINE,
        .subscriber_queue_bytes = (uint64_t)s->agent_queue_bytes,
        .total_queue_bytes = (uint64_t)s->total_queue_bytes,
        .subscriber_subscriptions = (uint32_t)s->max_subscriptions,
    };
}

static loom_status create_cores(broker *b, const settings_broker *s)
{
    const log_sink log = {on_bus_log, b};
    loom_tracer *tracer = process_tracer(&b->process, "loom-broker");
    eventbus_options with = bus_options(s);
    with.tracer = tracer;
    with.log = log;
    b->cores.system = &b->system;
    loom_status st = eventbus_create(&b->cores.events, &b->process.clock, &with);
    if (st == LOOM_OK) {
        st = actionbroker_create(&b->cores.actions, &b->process.clock, &(actionbroker_options){
            .tracer = tracer,
            .default_deadline_ms = s->call_deadline_ms,
            .max_pending = (uint32_t)s->max_pending_calls,
            .cache_entries = (uint32_t)s->call_cache_entries,
            .cache_bytes = s->call_cache_bytes,
            .cache_ttl_ms = s->call_cache_ttl_ms,
            .payload_max = (uint32_t)s->max_payload,
            .log = log,
        });
    }
    if (st == LOOM_OK) {
        st = directory_create(&b->cores.agents, &b->process.clock, b->cores.events);
    }
    if (st == LOOM_OK) {
        directory_set_limit(b->cores.agents, (uint32_t)s->max_agents);
    }
    if (st != LOOM_OK) {
        log_error(b->process.log, "cannot start the broker: %s", loom_status_text(st));
        return st;
    }
    counter_list_add(&b->process.counters, eventbus_counter_source(b->cores.events));
    counter_list_add(&b->process.counters, actionbroker_counter_source(b->cores.actions));
    counter_list_add(&b->process.counters, directory_counter_source(b->cores.agents));
    return LOOM_OK;
}

static void destroy_cores(broker *b)
{
    directory_destroy(b->cores.agents);
    actionbroker_destroy(b->cores.actions);
    eventbus_destroy(b->cores.events);
}

static loom_status ask(void *user, loom_bytes question, void (*take)(void *to, loom_bytes answer), void *to)
{
    return bus_server_ask(((broker *)user)->bus, question, take, to);
}

/* ---- signals that do not end it ---- */

static loom_status check_settings(void *user, const settings *fresh, char why[PROCESS_WHY_SIZE])
{
    return serve_check(&((broker *)user)->serving, fresh->broker.tls_cert_key_file, why);
}

static void apply_settings(void *user, const settings *now)
{
    broker *b = user;
    const settings_broker *s = &now->broker;
    const eventbus_options limits = bus_options(s);
    eventbus_set_limits(b->cores.events, &limits);
    actionbroker_set_limits(b->cores.actions, s->call_deadline_ms, (uint32_t)s->max_pending_calls);
    directory_set_limit(b->cores.agents, (uint32_t)s->max_agents);
    serve_apply(&b->serving, s->tls_cert_key_file, (uint32_t)s->max_agents, s->drain_timeout_ms);
}

static void dump(void *user)
{
    const broker *b = user;
    serve_dump(&b->serving);
    broker_dump(&b->cores, b->process.log);
}

static void status(void *user, char out[PROCESS_STATUS_SIZE])
{
    const broker *b = user;
    const eventbus_stats s = eventbus_get_stats(b->cores.events);
    snprintf(out, PROCESS_STATUS_SIZE, "%s%u agents, %u subscriptions, %llu messages published, %llu queued, %u calls running",
             b->process.draining ? "draining, " : "", directory_get_stats(b->cores.agents).agents, s.subscriptions, (unsigned long long)s.published, (unsigned long long)s.queued,
             actionbroker_get_stats(b->cores.actions).running);
}

static const process_control control = {.check = check_settings, .apply = apply_settings, .dump = dump, .status = status};

static loom_status serve(broker *b, const settings_broker *s)
{
    static const char bridge_id[] = "broker";
    loom_status st = create_cores(b, s);
    if (st != LOOM_OK) {
        return st;
    }
    bus_local_init(&b->local, &b->cores, (loom_str){bridge_id, sizeof bridge_id - 1});
    b->local.keep = keep_elsewhere;
    b->local.user = b;
    uv_prepare_init(&b->process.loop, &b->round);
    uv_timer_init(&b->process.loop, &b->deadlines);
    b->round.data = b->deadlines.data = b;
    uv_prepare_start(&b->round, on_round);
    if ((st = serve_take_spans(&b->spans, &b->process, s->agent_spans)) != LOOM_OK) {
        return st;
    }
    if ((st = open_bus(b, s)) != LOOM_OK) {
        return st;
    }
    if ((st = process_serve_metrics(&b->process, s->metrics_listen, broker_write_metrics, b)) != LOOM_OK) {
        return st;
    }
    b->source = (gateway_source){ask, b};
    return serve_agents(&b->serving, &b->process, &(serve_options){
        .bus = &b->local.base,
        .bridge_id = bridge_id,
        .software = "loom-broker/" LOOM_VERSION,
        .tracer = process_tracer(&b->process, "loom-bridge"),
        .spans = b->spans,
        .listen = &s->listen,
        .tls_cert_key_file = s->tls_cert_key_file,
        .ws_origins = &s->ws_origins,
        .cors_origins = &s->cors_origins,
        .source = &b->source,
        .heartbeat_ms = s->heartbeat_interval_ms,
        .drain_timeout_ms = s->drain_timeout_ms,
        .max_sessions = (uint32_t)s->max_agents,
        .payload_max = (uint32_t)s->max_payload,
        .ttl = (uint8_t)s->ttl,
        .bus_end = {hold_publishers, published, nothing_queued, lose_queued, b},
    });
}

int main(int argc, char *argv[])
{
    program p;
    broker b = {0};
    int exit_code;
    if (program_start(&p, &spec, argc, argv, stdout, stderr, &exit_code) != LOOM_OK) {
        return exit_code;
    }
    if (settings_export_telemetry(&p.settings) != LOOM_OK || process_open(&b.process, &p) != LOOM_OK) {
        program_fini(&p);
        return 1;
    }
    exit_code = serve(&b, &p.settings.broker) == LOOM_OK ? 0 : 1;
    if (exit_code == 0) {
        process_on_control(&b.process, &control, &b);
        process_tell_ready(&b.process);
        process_run(&b.process);
    }
    serve_close(&b.serving);
    close_bus(&b);
    span_intake_destroy(b.spans);
    process_close(&b.process);
    destroy_cores(&b);
    program_fini(&p);
    return exit_code;
}
