/* SPDX-License-Identifier: Apache-2.0 */
/* loom-bridge: agents' sessions in a process of their own, near the agents; reaches the broker over one connection. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <loom/version.h>

#include "bridge/bus/remote/remote.h"
#include "bridge/serve.h"
#include "bridge/spans/intake.h"
#include "trace/export/span_link.h"

static const program_spec spec = {
    .name = "loom-bridge",
    .version = LOOM_VERSION,
    .summary = "Takes agents on near where they run (another host, a container, outside a trust boundary) and connects them "
               "to a loom-broker. Agents on the broker's own machine do not need it: loom-broker has a bridge inside.",
    .synopsis = "[OPTION]...",
    .sections = {"bridge", "telemetry", "log", NULL},
    .extra = process_options,
    .extra_count = 1,
    .has_link = true,
    .check_variables = loom_telemetry_check_env,
    .examples = "Examples:\n"
                "  loom-bridge                                            agents of this machine, broker of this machine\n"
                "  loom-bridge --bus-bridge tcp://broker.internal:7711    a broker elsewhere\n"
                "  loom-bridge --listen tcp://127.0.0.1:7701              agents over TCP; LOOM_URL=tcp://127.0.0.1:7701 my-agent\n"
                "  loom-bridge --listen http://127.0.0.1:7781             HTTP: docs/HTTP.md\n",
};

typedef struct bridge_process {
    process process;
    serving serving;
    bus_remote *bus;
    span_intake *spans;
    char id[128];
} bridge_process;

static bool nothing_waits(void *user)
{
    return bus_remote_idle(((bridge_process *)user)->bus);
}

static bool is_ready(void *user)
{
    return bus_remote_connected(((bridge_process *)user)->bus);
}

static void on_drain(void *user, bool draining)
{
    ((bridge_process *)user)->process.draining = draining;
}

/* From the loop, which runs once agents are served. */
static void on_limits(void *user, uint32_t payload_max, uint8_t ttl)
{
    serve_set_envelope_limits(&((bridge_process *)user)->serving, payload_max, ttl);
}

static void on_bus_log(void *user, log_level level, const char *format, va_list args)
{
    log_vwrite(((bridge_process *)user)->process.log, level, format, args);
}

/* Unique among bridges, and telling the operator where it runs. */
static void make_id(bridge_process *p, const char *wanted)
{
    char name[64] = "bridge";
    if (wanted[0] != '\0') {
        snprintf(p->id, sizeof p->id, "%s", wanted);
        return;
    }
    (void)gethostname(name, sizeof name - 1);
    snprintf(p->id, sizeof p->id, "%s-%d", name, (int)getpid());
}

static loom_status check_settings(void *user, const settings *fresh, char why[PROCESS_WHY_SIZE])
{
    return serve_check(&((bridge_process *)user)->serving, fresh->bridge.tls_cert_key_file, why);
}

static void apply_settings(void *user, const settings *now)
{
    serve_apply(&((bridge_process *)user)->serving, now->bridge.tls_cert_key_file, 0, now->bridge.drain_timeout_ms);
}

static void dump(void *user)
{
    serve_dump(&((bridge_process *)user)->serving);
}

static void status(void *user, char out[PROCESS_STATUS_SIZE])
{
    const bridge_process *p = user;
    snprintf(out, PROCESS_STATUS_SIZE, "%u agents, %s", bridge_get_stats(p->serving.bridge).agents,
             bus_remote_connected(p->bus) ? "connected to the broker" : "waiting for the broker");
}

static const process_control control = {.check = check_settings, .apply = apply_settings, .dump = dump, .status = status, .ready = is_ready};

static loom_status serve(bridge_process *p, const settings_bridge *s)
{
    make_id(p, s->id);
    bus_remote_options with = {
        .url = s->bus_bridge,
        .bridge_id = p->id,
        .software = "loom-bridge/" LOOM_VERSION,
        .spans = processor_span_link(p->process.spans),
        .on_limits = on_limits,
        .on_drain = on_drain,
        .log = on_bus_log,
        .user = p,
    };
    loom_status st = bus_remote_open(&p->bus, &p->process.loop, &with);
    if (st != LOOM_OK) {
        log_error(p->process.log, "cannot connect to the broker url=%s reason=%s", s->bus_bridge, loom_status_text(st));
        return st;
    }
    counter_list_add(&p->process.counters, bus_remote_counter_source(p->bus));
    if ((st = process_serve_metrics(&p->process, s->metrics_listen, NULL, NULL)) != LOOM_OK) {
        return st;
    }
    if ((st = serve_take_spans(&p->spans, &p->process, s->agent_spans)) != LOOM_OK) {
        return st;
    }
    return serve_agents(&p->serving, &p->process, &(serve_options){
        .bus = bus_remote_bus(p->bus),
        .bridge_id = p->id,
        .software = "loom-bridge/" LOOM_VERSION,
        .tracer = process_tracer(&p->process, "loom-bridge"),
        .spans = p->spans,
        .listen = &s->listen,
        .tls_cert_key_file = s->tls_cert_key_file,
        .ws_origins = &s->ws_origins,
        .cors_origins = &s->cors_origins,
        .ready = is_ready,
        .ready_user = p,
        .heartbeat_ms = s->heartbeat_interval_ms,
        .drain_timeout_ms = s->drain_timeout_ms,
        .bus_end = {.drained = nothing_waits, .user = p},
    });
}

static void on_bus_closed(void *user, const bus_remote_losses *lost)
{
    bridge_process *p = user;
    process_lost(&p->process, "messages_unsent", lost->unsent);
    process_lost(&p->process, "messages_unconfirmed", lost->unconfirmed);
    p->bus = NULL;
}

/* ---- the last spans, which need the loop and the connection ---- */

enum { CLOSE_MS = 100 }; /* of the time left that is kept for the connection's end */

typedef struct last_flush {
    uv_work_t work;
    loom_span_processor *spans;
    uint32_t ms;
    bool done;
} last_flush;

static void flush(uv_work_t *work)
{
    const last_flush *f = work->data;
    (void)loom_span_processor_flush(f->spans, f->ms); /* what is left counts as lost when the process closes */
}

static void on_flushed(uv_work_t *work, int status)
{
    (void)status;
    ((last_flush *)work->data)->done = true;
}

static void flush_spans(bridge_process *p)
{
    const uint32_t left = process_time_left_ms(&p->process);
    last_flush f = {.spans = p->process.spans, .ms = left > CLOSE_MS ? left - CLOSE_MS : 0};
    f.work.data = &f;
    if (processor_span_link(f.spans) == NULL || !bus_remote_connected(p->bus) ||
        uv_queue_work(&p->process.loop, &f.work, flush, on_flushed) != 0) {
        return;
    }
    while (!f.done) {
        uv_run(&p->process.loop, UV_RUN_ONCE);
    }
}

int main(int argc, char *argv[])
{
    program p;
    bridge_process me = {0};
    int exit_code;
    if (program_start(&p, &spec, argc, argv, stdout, stderr, &exit_code) != LOOM_OK) {
        return exit_code;
    }
    if (settings_export_telemetry(&p.settings) != LOOM_OK || process_open(&me.process, &p) != LOOM_OK) {
        program_fini(&p);
        return 1;
    }
    exit_code = serve(&me, &p.settings.bridge) == LOOM_OK ? 0 : 1;
    if (exit_code == 0) {
        process_on_control(&me.process, &control, &me);
        process_tell_ready(&me.process);
        process_run(&me.process);
    }
    serve_close(&me.serving);
    span_intake_destroy(me.spans);
    if (me.bus != NULL) {
        flush_spans(&me);
        bus_remote_close(me.bus, process_time_left_ms(&me.process), on_bus_closed, &me);
        while (me.bus != NULL) {
            uv_run(&me.process.loop, UV_RUN_ONCE);
        }
    }
    process_close(&me.process);
    program_fini(&p);
    return exit_code;
}
