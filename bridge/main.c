/* SPDX-License-Identifier: Apache-2.0 */
/* loom-bridge: agents' sessions in a process of their own, near the agents; reaches the broker over one connection. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bridge/bus/remote/remote.h"
#include "bridge/serve.h"
#include "host/metrics_text.h"

static const program_spec spec = {
    .name = "loom-bridge",
    .version = LOOM_VERSION,
    .summary = "Takes agents on near where they run (another host, a container, outside a trust boundary) and connects them "
               "to a loom-broker. Agents on the broker's own machine do not need it: loom-broker has a bridge inside.",
    .synopsis = "[OPTION]...",
    .sections = {"bridge", "telemetry", "log", NULL},
    .extra = host_options,
    .extra_count = 1,
    .examples = "Examples:\n"
                "  loom-bridge                                            agents of this machine, broker of this machine\n"
                "  loom-bridge --bus-bridge tcp://broker.internal:7711    a broker elsewhere\n"
                "  LOOM_URL=tcp://127.0.0.1:7701 my-agent                 an agent that connects to this bridge\n",
};

typedef struct bridge_process {
    host host;
    bus_remote *bus;
    char id[128];
} bridge_process;

static bool nothing_unsent(void *user)
{
    return bus_remote_get_stats(((bridge_process *)user)->bus).unsent_bytes == 0;
}

static void on_bus_log(void *user, int level, const char *text)
{
    log_write(((bridge_process *)user)->host.log, (log_level)level, "%s", text);
}

static void on_connected(void *user, bool on)
{
    bridge_process *p = user;
    if (on) {
        log_info(p->host.log, "connected to the broker");
    } else if (p->host.phase == HOST_RUNNING) {
        log_warn(p->host.log, "the broker is gone; trying again");
    }
}

static void write_metrics(void *user, FILE *out)
{
    bus_remote_stats b = bus_remote_get_stats(((bridge_process *)user)->bus);
    metrics_gauge(out, "loom_bus_connected", "1 while the broker is reached.", b.connected);
    metrics_gauge(out, "loom_bus_ports", "Agents on the bus, now.", b.ports);
    metrics_counter(out, "loom_bus_sent_total", "Messages sent to the broker.", b.sent);
    metrics_counter(out, "loom_bus_received_total", "Messages received from the broker.", b.received);
    metrics_counter(out, "loom_bus_malformed_total", "Connections given up for what the broker said.", b.malformed);
    metrics_counter(out, "loom_bus_memory_lost_total", "Connections given up for want of memory.", b.lost_memory);
    metrics_counter(out, "loom_bus_attachments_total", "Times the broker was reached.", b.attachments);
    metrics_counter(out, "loom_bus_not_restored_total", "Subscriptions and capabilities that a later broker refused.",
                    b.not_restored);
    metrics_counter(out, "loom_bus_unconfirmed_total", "Events that may have been lost with a broker.", b.unconfirmed);
    metrics_counter(out, "loom_bus_refused_total", "Events refused because too much waited for the broker.", b.refused);
    metrics_counter(out, "loom_bus_calls_lost_total", "Calls that failed for want of a broker.", b.calls_lost);
    metrics_counter(out, "loom_bus_late_total", "Results and reports of calls that were over.", b.late);
    metrics_gauge(out, "loom_bus_unsent_bytes", "Bytes that wait for the broker.", b.unsent_bytes);
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

static loom_status serve(bridge_process *p, const settings_bridge *s)
{
    make_id(p, s->id);
    bus_remote_options with = {
        .url = s->bus_bridge,
        .bridge_id = p->id,
        .software = "loom-bridge/" LOOM_VERSION,
        .log = on_bus_log,
        .connected = on_connected,
        .user = p,
    };
    loom_status st = bus_remote_open(&p->bus, &p->host.loop, &with);
    if (st != LOOM_OK) {
        log_error(p->host.log, "cannot reach for the broker url=%s: %s", s->bus_bridge, loom_status_text(st));
        return st;
    }
    if ((st = host_serve_metrics(&p->host, s->metrics_listen, write_metrics, p)) != LOOM_OK) {
        return st;
    }
    return host_serve(&p->host, &(host_serve_options){
        .bus = bus_remote_bus(p->bus),
        .bridge_id = p->id,
        .software = "loom-bridge/" LOOM_VERSION,
        .tracer = host_tracer(&p->host, "loom-bridge"),
        .listen = &s->listen,
        .tls_cert_key_file = s->tls_cert_key_file,
        .ws_origins = &s->ws_origins,
        .heartbeat_ms = s->heartbeat_interval_ms,
        .drain_timeout_ms = s->drain_timeout_ms,
        .drained = nothing_unsent,
        .drained_user = p,
    });
}

static void on_bus_closed(void *user)
{
    ((bridge_process *)user)->bus = NULL;
}

int main(int argc, char *argv[])
{
    program p;
    bridge_process me = {0};
    int exit_code;
    if (program_start(&p, &spec, argc, argv, stdout, stderr, &exit_code) != LOOM_OK) {
        return exit_code;
    }
    if (settings_export_telemetry(&p.settings) != LOOM_OK || host_open(&me.host, &p) != LOOM_OK) {
        program_fini(&p);
        return 1;
    }
    exit_code = serve(&me, &p.settings.bridge) == LOOM_OK ? host_run(&me.host) : 1;
    host_end_serving(&me.host);
    if (me.bus != NULL) {
        bus_remote_close(me.bus, p.settings.bridge.drain_timeout_ms, on_bus_closed, &me);
        while (me.bus != NULL) {
            uv_run(&me.host.loop, UV_RUN_ONCE);
        }
    }
    host_close(&me.host);
    program_fini(&p);
    return exit_code;
}
