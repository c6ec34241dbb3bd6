/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/serve.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/runtime_dir.h"
#include "base/url.h"
#include "host/ready_file.h"
#include "host/net/socket_in_use.h"
#include "host/http/metrics_server.h"

enum { DRAIN_STEP_MS = 10, DESCRIPTORS_MAX = 1024 * 1024 };
/* A broker ends three spans for each event: at 50,000 events a second OpenTelemetry's 2,048 would cover a pause of the
 * machine of 13 ms, and this one of 55. The memory is used, about 700 bytes a span, only while spans wait. */
enum { SPAN_QUEUE = 8192 };

const option_spec host_options[] = {
    {.name = "ready-file", .kind = OPTION_VALUE, .value = "FILE",
     .help = "When everything listens, write the real URLs there as JSON, for scripts and tests"},
};
const size_t host_options_count = sizeof host_options / sizeof *host_options;

/* ---- telemetry ---- */

static void on_export_error(void *user, const char *message)
{
    log_warn(user, "spans are not delivered: %s", message); /* the log takes lines from any thread */
}

static loom_status open_telemetry(host *h)
{
    loom_span_processor_options o;
    const char *warning = NULL;
    loom_span_processor_options_from_env(&o, &warning);
    if (warning != NULL) {
        log_warn(h->log, "telemetry: %s", warning);
    }
    if (o.exporter == LOOM_EXPORTER_NONE && o.also_file == NULL) {
        return LOOM_OK;
    }
    if (o.max_queue_size == 0) {
        o.max_queue_size = SPAN_QUEUE;
    }
    o.on_error = on_export_error;
    o.user = h->log;
    loom_status st = loom_span_processor_create(&h->spans, &o);
    if (st != LOOM_OK) {
        log_error(h->log, "telemetry cannot start: %s spans_file=%s", loom_status_text(st),
                  o.also_file != NULL ? o.also_file : "-");
    }
    return st;
}

loom_tracer *host_tracer(host *h, const char *service)
{
    if (h->spans == NULL || h->service_count == HOST_SERVICES_MAX) {
        return NULL;
    }
    loom_tracer_provider_options o = {.service_name = service, .processor = h->spans};
    loom_tracer_provider *provider;
    if (loom_tracer_provider_create(&provider, &o) != LOOM_OK) {
        return NULL;
    }
    h->services[h->service_count++] = provider;
    return loom_tracer_get(provider, service, LOOM_VERSION);
}

static void close_telemetry(host *h)
{
    if (h->spans == NULL) {
        return;
    }
    if (loom_span_processor_shutdown(h->spans, h->drain_timeout_ms) != LOOM_OK) {
        loom_span_counts c = loom_span_processor_counts(h->spans);
        log_warn(h->log, "spans were lost ended=%llu exported=%llu dropped_full=%llu dropped_failed=%llu dropped_shutdown=%llu",
                 (unsigned long long)c.ended, (unsigned long long)c.exported, (unsigned long long)c.dropped_full,
                 (unsigned long long)c.dropped_failed, (unsigned long long)c.dropped_shutdown);
    }
    for (size_t i = 0; i < h->service_count; i++) {
        loom_tracer_provider_unref(h->services[i]);
    }
    loom_span_processor_unref(h->spans);
}

/* ---- the end ---- */

static void on_links_closed(void *user)
{
    host *h = user;
    h->links = NULL;
    bridge_destroy(h->bridge);
    h->bridge = NULL;
    h->phase = HOST_OVER;
    uv_stop(&h->loop);
}

/* First what waits goes out, then the sessions are told goodbye, then all that is left is cut off. */
static void on_drain(uv_timer_t *timer)
{
    host *h = timer->data;
    bool late = uv_now(&h->loop) >= h->drain_until_ms;
    if (h->phase == HOST_DRAINING && (late || h->drained == NULL || h->drained(h->drained_user))) {
        h->phase = HOST_ENDING;
        bridge_end_sessions(h->bridge, LOOM_ECLOSED, "the process is shutting down");
        link_server_flush(h->links);
    }
    if (h->phase == HOST_ENDING && (late || link_server_busy(h->links) == 0)) {
        uv_timer_stop(timer);
        link_server_close(h->links, on_links_closed, h);
    }
}

static void on_signal(uv_signal_t *handle, int number)
{
    host *h = handle->data;
    if (h->phase != HOST_RUNNING) {
        log_warn(h->log, "second signal: ending at once");
        logger_flush(h->log, 100);
        _exit(128 + number);
    }
    if (h->links == NULL) { /* it ends already, for want of a start */
        return;
    }
    log_info(h->log, "shutting down signal=%s timeout_ms=%u", number == SIGINT ? "SIGINT" : "SIGTERM", h->drain_timeout_ms);
    h->phase = HOST_DRAINING;
    h->drain_until_ms = uv_now(&h->loop) + h->drain_timeout_ms;
    link_server_stop_listening(h->links);
    uv_timer_start(&h->drain_timer, on_drain, 0, DRAIN_STEP_MS);
}

/* ---- the beginning ---- */

/* What the caller closed would go to the first socket or file opened, and the log into that. */
static void hold_standard_streams(void)
{
    int fd;
    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0) {
        close(fd);
    }
}

/* Ten thousand agents do not fit the usual soft limit of 1024 descriptors; the hard one is the administrator's word. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max && limit.rlim_cur < DESCRIPTORS_MAX) {
        limit.rlim_cur = limit.rlim_max < DESCRIPTORS_MAX ? limit.rlim_max : DESCRIPTORS_MAX;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

loom_status host_open(host *h, const program *p)
{
    *h = (host){.program = p, .drain_timeout_ms = 5000};
    signal(SIGPIPE, SIG_IGN);
    hold_standard_streams();
    raise_descriptor_limit();
    loom_status st = program_open_log(p, &h->log);
    if (st != LOOM_OK) {
        fprintf(stderr, "%s: the log cannot start: %s\n", p->spec->name, loom_status_text(st));
        return st;
    }
    if ((st = open_telemetry(h)) != LOOM_OK) {
        logger_close(h->log, 1000);
        return st;
    }
    if (uv_loop_init(&h->loop) != 0) {
        log_error(h->log, "the event loop cannot start");
        close_telemetry(h);
        logger_close(h->log, 1000);
        return LOOM_EIO;
    }
    static const int numbers[2] = {SIGTERM, SIGINT};
    for (size_t i = 0; i < 2; i++) {
        uv_signal_init(&h->loop, &h->signals[i]);
        h->signals[i].data = h;
        uv_signal_start(&h->signals[i], on_signal, numbers[i]);
    }
    uv_timer_init(&h->loop, &h->drain_timer);
    h->drain_timer.data = h;
    return LOOM_OK;
}

static void on_bridge_log(void *user, bridge_log_level level, const session_info *about, const char *text)
{
    host *h = user;
    log_write(h->log, (log_level)level, "%s agent=%.*s peer=%s session=%llu", text,
              about->agent.len > 0 ? (int)about->agent.len : 1, about->agent.len > 0 ? about->agent.data : "-", about->peer,
              (unsigned long long)about->id);
}

loom_status host_prepare_url(host *h, const char *text)
{
    url u;
    char why[URL_ERROR_SIZE];
    if (url_parse(&u, text, URL_IPC, why) != LOOM_OK) {
        return LOOM_OK; /* not ipc; who opens it says what is wrong */
    }
    loom_status st = paths_prepare_socket_dir(u.path, why, sizeof why);
    if (st == LOOM_OK && socket_in_use(u.path)) {
        st = LOOM_EBUSY;
        snprintf(why, sizeof why, "the address is in use: is a broker or bridge running there already?");
    }
    if (st != LOOM_OK) {
        log_error(h->log, "cannot listen on %s: %s", text, why);
    }
    return st;
}

static loom_status listen_all(host *h, const config_strings *urls, ready_file *ready)
{
    for (size_t i = 0; i < urls->count; i++) {
        char bound[URL_MAX], why[LINK_ERROR_SIZE];
        loom_status st = host_prepare_url(h, urls->items[i]);
        if (st != LOOM_OK) {
            return st;
        }
        st = link_server_listen(h->links, urls->items[i], bound, sizeof bound, why);
        if (st != LOOM_OK) {
            log_error(h->log, "%s", why);
            return st;
        }
        log_info(h->log, "agents may connect url=%s", bound);
        ready_file_add(ready, bound);
    }
    return LOOM_OK;
}

loom_status host_serve(host *h, const host_serve_options *o)
{
    h->drain_timeout_ms = o->drain_timeout_ms;
    h->drained = o->drained;
    h->drained_user = o->drained_user;
    bridge_options with = {
        .id = o->bridge_id,
        .software = o->software,
        .bus = o->bus,
        .tracer = o->tracer,
        .payload_max = o->payload_max,
        .heartbeat_ms = o->heartbeat_ms,
        .max_sessions = o->max_sessions,
        .ttl = o->ttl,
        .log = on_bridge_log,
        .log_user = h,
    };
    loom_status st = bridge_create(&h->bridge, &with);
    if (st == LOOM_OK) {
        link_server_options link = {
            .tls_cert_key_file = o->tls_cert_key_file[0] != '\0' ? o->tls_cert_key_file : NULL,
            .ws_origins = (const char *const *)o->ws_origins->items,
            .ws_origin_count = o->ws_origins->count,
            .http.log = h->log,
            .heartbeat_ms = o->heartbeat_ms,
        };
        st = link_server_open(&h->links, &h->loop, h->bridge, &link);
    }
    if (st != LOOM_OK) {
        log_error(h->log, "cannot serve agents: %s", loom_status_text(st));
        return st;
    }
    ready_file ready;
    ready_file_init(&ready, options_value(&h->program->options, "ready-file"));
    if ((st = listen_all(h, o->listen, &ready)) == LOOM_OK && (st = ready_file_write(&ready)) != LOOM_OK) {
        log_error(h->log, "the ready file cannot be written: %s", options_value(&h->program->options, "ready-file"));
    }
    ready_file_fini(&ready);
    return st;
}

int host_run(host *h)
{
    uv_run(&h->loop, UV_RUN_DEFAULT);
    return h->exit_code;
}

static void close_handle(uv_handle_t *handle, void *user)
{
    (void)user;
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

void host_end_serving(host *h)
{
    metrics_server_close(h->metrics);
    h->metrics = NULL;
    if (h->links != NULL) { /* it never ran */
        link_server_close(h->links, on_links_closed, h);
        while (h->phase != HOST_OVER) {
            uv_run(&h->loop, UV_RUN_ONCE);
        }
    }
    bridge_destroy(h->bridge);
    h->bridge = NULL;
}

void host_close(host *h)
{
    host_end_serving(h);
    uv_walk(&h->loop, close_handle, NULL);
    uv_run(&h->loop, UV_RUN_DEFAULT);
    uv_loop_close(&h->loop);
    close_telemetry(h);
    log_info(h->log, "stopped");
    logger_close(h->log, 1000);
}
