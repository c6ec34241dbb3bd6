/* SPDX-License-Identifier: Apache-2.0 */
#include "host/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <loom/version.h>

#include <loom/pipeline.h>

#include "base/descriptors.h"
#include "base/runtime_dir.h"
#include "base/url.h"
#include "host/http/metrics_server.h"
#include "trace/export/exporter.h"
#include "trace/export/processor.h"
#include "trace/messaging/message_span.h"

enum { DRAIN_STEP_MS = 10, DRAIN_TIMEOUT_MS = 5000, LOG_TIMEOUT_MS = 1000, DESCRIPTORS_MAX = 1024 * 1024 };
/* A broker ends three spans for each event: at 100,000 events a second OpenTelemetry's 2,048 would cover a pause of the exporter's
 * thread of 7 ms, and this one of 100. The memory is used, some 130 bytes for a hop and 700 for another span, only while spans wait. */
enum { SPAN_QUEUE = 32768 };

const option_spec process_options[] = {
    {.name = "ready-file", .kind = OPTION_VALUE, .value = "FILE",
     .help = "Once everything listens, write the actual URLs to FILE as JSON, for scripts and tests"},
};
const size_t process_options_count = sizeof process_options / sizeof *process_options;

/* ---- telemetry ---- */

static void on_export_error(void *user, const char *message)
{
    log_warn(user, "span export failed: %s", message); /* the log takes lines from any thread */
}

static void on_nobody_listens(void *user, const char *message)
{
    log_info(user, "traces are not exported: %s", message);
}

static void on_bad_variable(void *user, const char *text)
{
    process *p = user;
    problems said;
    problems_init(&said);
    settings_add_variable_problem(&p->program->settings, text, &said);
    for (size_t i = 0; i < said.count; i++) {
        log_warn(p->log, "telemetry: %s", said.items[i].text);
    }
}

/* What cannot be opened is logged and done without: tracing is no reason for a bus not to run. */
static void open_telemetry(process *p)
{
    loom_span_processor_options o;
    loom_span_processor_options_from_env(&o, NULL);
    loom_telemetry_check_env(on_bad_variable, p);
    if (o.exporter == LOOM_EXPORTER_LINK && !p->program->spec->has_link) {
        log_warn(p->log, "telemetry: the exporter loom is for agents and bridges, whose spans come here; using otlp");
        exporter_use_otlp(&o);
    }
    if (!exporter_is_wanted(&o)) {
        return;
    }
    if (o.max_queue_size == 0) {
        o.max_queue_size = SPAN_QUEUE;
    }
    o.on_error = on_export_error;
    o.on_absent = on_nobody_listens;
    o.user = p->log;
    loom_span_stage *latency = process_open_latency(p);
    o.stages = &latency;
    o.stage_count = latency != NULL ? 1 : 0;
    loom_status st = loom_span_processor_create(&p->spans, &o);
    if (st != LOOM_OK && o.also_file != NULL) { /* one of two may do */
        if (st == LOOM_EINVAL) {
            o.exporter = LOOM_EXPORTER_NONE;
        } else {
            o.also_file = NULL;
        }
        st = loom_span_processor_create(&p->spans, &o);
    }
    loom_span_stage_unref(latency);
    if (st != LOOM_OK) {
        log_error(p->log, "running without telemetry: %s", loom_status_text(st));
    }
}

loom_tracer *process_tracer(process *p, const char *service)
{
    if (p->spans == NULL || p->service_count == PROCESS_SERVICES_MAX) {
        return NULL;
    }
    loom_tracer_provider_options o = {.service_name = service, .processor = p->spans};
    loom_tracer_provider *provider;
    if (loom_tracer_provider_create(&provider, &o) != LOOM_OK) {
        return NULL;
    }
    p->services[p->service_count++] = provider;
    loom_tracer *tracer = loom_tracer_get(provider, service, LOOM_VERSION);
    message_span_remember(tracer); /* its spans are the loop's */
    return tracer;
}

static void close_telemetry(process *p)
{
    if (p->spans == NULL) {
        return;
    }
    if (loom_span_processor_shutdown(p->spans, process_time_left_ms(p)) != LOOM_OK && !processor_is_unheard(p->spans)) {
        loom_span_counts c = loom_span_processor_counts(p->spans);
        process_lost(p, "spans", c.dropped_failed + c.dropped_shutdown);
        log_warn(p->log, "spans were lost ended=%llu exported=%llu dropped_full=%llu dropped_failed=%llu dropped_shutdown=%llu",
                 (unsigned long long)c.ended, (unsigned long long)c.exported, (unsigned long long)c.dropped_full,
                 (unsigned long long)c.dropped_failed, (unsigned long long)c.dropped_shutdown);
    }
    for (size_t i = 0; i < p->service_count; i++) {
        loom_tracer_provider_unref(p->services[i]);
    }
    loom_span_processor_unref(p->spans);
}

/* ---- the end ---- */

uint32_t process_time_left_ms(const process *p)
{
    uint64_t now = uv_hrtime() / 1000000; /* the loop may be closed already */
    return !p->stopping ? p->drain_timeout_ms : now < p->stop_until_ms ? (uint32_t)(p->stop_until_ms - now) : 0;
}

void process_lost(process *p, const char *name, uint64_t count)
{
    if (count > 0 && p->loss_count < PROCESS_LOSSES_MAX) {
        p->losses[p->loss_count++] = (process_loss){name, count};
    }
}

static void tell_losses(const process *p)
{
    char text[512] = "";
    for (size_t i = 0, len = 0; i < p->loss_count && len < sizeof text; i++) {
        len += (size_t)snprintf(text + len, sizeof text - len, " %s=%llu", p->losses[i].name,
                                (unsigned long long)p->losses[i].count);
    }
    if (p->loss_count > 0) {
        log_warn(p->log, "some work was lost when the process stopped%s", text);
    }
}

static void on_drain(uv_timer_t *timer)
{
    process *p = timer->data;
    process_woke(p);
    if (p->drain->step(p->drain_user, p->clock.now_ms >= p->drain_until_ms)) {
        uv_timer_stop(timer);
        uv_stop(&p->loop);
    }
}

static void exit_now(process *p, int number)
{
    if (p->drain != NULL && p->drain->give_up != NULL) {
        p->drain->give_up(p->drain_user);
    }
    tell_losses(p);
    log_warn(p->log, "second signal: exiting immediately");
    logger_flush(p->log, 100);
    _exit(128 + number);
}

static void stop(process *p, int number)
{
    if (p->stopping) {
        exit_now(p, number);
    }
    p->stopping = true;
    if (p->drain == NULL) {
        uv_stop(&p->loop);
        return;
    }
    log_info(p->log, "shutting down signal=SIG%s timeout_ms=%u", sigabbrev_np(number), p->drain_timeout_ms);
    process_tell_stopping(p);
    p->stop_until_ms = p->clock.now_ms + p->drain_timeout_ms;
    p->drain_until_ms = p->stop_until_ms - (p->spans != NULL ? p->drain_timeout_ms / 4 : 0); /* spans come last */
    p->drain->begin(p->drain_user);
    uv_timer_start(&p->drain_timer, on_drain, 0, DRAIN_STEP_MS);
}

/* ---- signals ---- */

static bool has_terminal(void)
{
    const int fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC);
    if (fd >= 0) {
        close(fd);
    }
    return fd >= 0;
}

static void reopen_files(process *p)
{
    const bool log = logger_reopen(p->log);
    if (p->spans != NULL) {
        processor_reopen_files(p->spans);
    }
    log_info(p->log, "files opened again signal=SIGUSR1 log=%s spans_file=%s", log ? p->program->settings.log.file : "none",
             p->program->settings.telemetry.spans_file[0] != '\0' ? p->program->settings.telemetry.spans_file : "none");
}

/* SIGHUP asks a daemon to read its settings again, and tells a program in a terminal that the terminal has gone. */
static void on_signal(uv_signal_t *handle, int number)
{
    process *p = handle->data;
    process_woke(p);
    if (number == SIGUSR1) {
        reopen_files(p);
    } else if (number == SIGUSR2) {
        process_dump(p);
    } else if (number == SIGHUP && !(p->terminal && !has_terminal())) {
        process_reload(p);
    } else {
        stop(p, number);
    }
}

static void watch_signals(process *p)
{
    static const int numbers[PROCESS_SIGNALS] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};
    struct sigaction now;
    const bool nohup = sigaction(SIGHUP, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
    p->terminal = !nohup && has_terminal();
    for (size_t i = 0; i < PROCESS_SIGNALS; i++) {
        uv_signal_init(&p->loop, &p->signals[i]);
        p->signals[i].data = p;
        uv_signal_start(&p->signals[i], on_signal, numbers[i]);
    }
}

void process_on_control(process *p, const process_control *control, void *user)
{
    p->control = control;
    p->control_user = user;
}

void process_on_stop(process *p, uint32_t drain_timeout_ms, const process_drain *drain, void *user)
{
    p->drain_timeout_ms = drain_timeout_ms;
    p->drain = drain;
    p->drain_user = user;
}

/* ---- the beginning ---- */

/* A standard stream that the caller closed would otherwise be the first socket or file opened here, and the log would go
 * into that. */
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

/* Ten thousand agents do not fit the usual soft limit of 1024 descriptors; the hard limit is the administrator's choice. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max && limit.rlim_cur < DESCRIPTORS_MAX) {
        limit.rlim_cur = limit.rlim_max < DESCRIPTORS_MAX ? limit.rlim_max : DESCRIPTORS_MAX;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

loom_status process_open(process *p, program *of)
{
    *p = (process){.program = of, .drain_timeout_ms = DRAIN_TIMEOUT_MS};
    signal(SIGPIPE, SIG_IGN);
    hold_standard_streams();
    raise_descriptor_limit();
    loom_status st = program_open_log(of, &p->log);
    if (st != LOOM_OK) {
        fprintf(stderr, "%s: cannot start the log: %s%s%s\n", of->spec->name, st == LOOM_ENOTFOUND ? of->settings.log.file : "",
                st == LOOM_ENOTFOUND ? ": " : "", st == LOOM_ENOTFOUND ? strerror(errno) : loom_status_text(st));
        return st;
    }
    open_telemetry(p);
    bool room = descriptors_free(DESCRIPTORS_FOR_A_LOOP);
    if (!room || uv_loop_init(&p->loop) != 0) {
        log_error(p->log, "cannot start the event loop: %s",
                  room ? "the system refuses" : "too few file descriptors are free; raise their limit (ulimit -n)");
        st = LOOM_EIO;
        goto close_telemetry;
    }
    process_woke(p);
    p->started_ms = p->clock.now_ms;
    watch_signals(p);
    process_open_manager(p);
    uv_timer_init(&p->loop, &p->drain_timer);
    p->drain_timer.data = p;
    process_count_own(p);
    return LOOM_OK;

close_telemetry:
    close_telemetry(p);
    logger_close(p->log, LOG_TIMEOUT_MS);
    return st;
}

loom_status process_prepare_url(process *p, const char *text)
{
    url u;
    char why[URL_ERROR_SIZE];
    if (url_parse(&u, text, URL_IPC, why) != LOOM_OK) {
        return LOOM_OK; /* not ipc, or not valid: whoever opens it reports that */
    }
    loom_status st = paths_prepare_socket_dir(u.path, why, sizeof why);
    if (st != LOOM_OK) {
        log_error(p->log, "cannot listen on %s: %s", text, why);
    }
    return st;
}

void process_run(process *p)
{
    uv_run(&p->loop, UV_RUN_DEFAULT);
}

void process_stop_metrics(process *p)
{
    metrics_server_close(p->metrics);
    p->metrics = NULL;
}

static void close_handle(uv_handle_t *handle, void *user)
{
    (void)user;
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

void process_close(process *p)
{
    process_stop_metrics(p);
    uv_walk(&p->loop, close_handle, NULL);
    uv_run(&p->loop, UV_RUN_DEFAULT);
    uv_loop_close(&p->loop);
    close_telemetry(p);
    loom_meter_unref(p->meter); /* the exporter's thread has recorded in it */
    p->meter = NULL;
    tell_losses(p);
    log_info(p->log, "stopped");
    logger_close(p->log, LOG_TIMEOUT_MS);
}
