/* SPDX-License-Identifier: Apache-2.0 */
/* What loom-broker and loom-bridge have in common as processes: the loop, the log, telemetry, /metrics, signals, and an
 * orderly end. main() opens a process, puts its work on the loop, and runs it.
 *
 * Threads: main's, which is the loop's. */
#ifndef LOOM_HOST_PROCESS_H
#define LOOM_HOST_PROCESS_H

#include <loom/metrics.h>
#include <loom/trace.h>
#include <uv.h>

#include "base/clock.h"
#include "base/counters.h"
#include "host/cli/program.h"

enum { PROCESS_WHY_SIZE = 512, PROCESS_STATUS_SIZE = 160 };
enum { PROCESS_SERVICES_MAX = 3, PROCESS_SIGNALS = 5, PROCESS_LOSSES_MAX = 8 };

/* What a stop threw away: a name for the log, and how much. */
typedef struct process_loss {
    const char *name;
    uint64_t count;
} process_loss;

/* How the program comes to its end. Called on the loop. */
typedef struct process_drain {
    void (*begin)(void *user); /* a signal came: take on nothing new */
    /* Every few milliseconds from then on. late: the drain time is over, so cut off what is left.
     * True: everything is closed, and the loop may stop. */
    bool (*step)(void *user, bool late);
    /* A second signal: tells what is lost (process_lost()), and does nothing else; the process ends. May be NULL. */
    void (*give_up)(void *user);
} process_drain;

/* What the program does at signals that do not end it. Called on the loop; any may be NULL. */
typedef struct process_control {
    /* Whether settings that were read again can be used: certificates and the like. Otherwise why says what is wrong. */
    loom_status (*check)(void *user, const settings *fresh, char why[PROCESS_WHY_SIZE]);
    /* The settings of the program, of which those that may change (config_key.live) have changed. */
    void (*apply)(void *user, const settings *now);
    /* Writes what there is to know about the program into the log, in a bounded number of lines. */
    void (*dump)(void *user);
    /* A sentence for the service manager's status line. */
    void (*status)(void *user, char out[PROCESS_STATUS_SIZE]);
    /* Whether it can do its work; NULL: whenever it runs. */
    bool (*ready)(void *user);
} process_control;

typedef struct process {
    program *program;
    logger *log;
    uv_loop_t loop;
    loop_clock clock; /* of the loop */
    loom_span_processor *spans; /* NULL: no telemetry */
    loom_tracer_provider *services[PROCESS_SERVICES_MAX];
    size_t service_count;
    uv_signal_t signals[PROCESS_SIGNALS];
    uv_timer_t drain_timer;
    uint64_t drain_until_ms;   /* the drain is late from here on */
    uint64_t stop_until_ms;    /* the whole stop, spans included, is over; both by the loop's clock */
    uint32_t drain_timeout_ms;
    const process_drain *drain; /* NULL: a signal stops the loop at once */
    void *drain_user;
    const process_control *control; /* NULL: none */
    void *control_user;
    uint64_t started_ms;
    uv_timer_t beat;       /* for a service manager */
    uint64_t watchdog_ms, status_ms;
    bool terminal;   /* there was a controlling one at the start, which may hang up */
    bool stopping;
    bool draining;   /* set by the program: it takes no new work, and is not ready */
    process_loss losses[PROCESS_LOSSES_MAX];
    size_t loss_count;
    struct metrics_server *metrics; /* NULL: not served */
    counter_list counters; /* of all parts of the process; /metrics shows them */
    struct loom_metric *hop_duration, *call_duration; /* of meter; process_latency.c */
    bool meter_has_spans;
    loom_meter *meter; /* tracing's own metrics; NULL: not served, or no telemetry */
    void (*write_metrics)(void *user, FILE *out); /* what no counter_source can tell; may be NULL */
    void *metrics_user;
} process;

/* The options that both programs have beside their settings: --ready-file. */
extern const option_spec process_options[];
extern const size_t process_options_count;

/* Log, loop, telemetry, signals. Errors have been reported on standard error when it returns. */
LOOM_MUST_CHECK loom_status process_open(process *p, program *of);
/* First in what the loop calls for the program: it may have slept since the clock was set. */
static inline void process_woke(process *p)
{
    p->clock.now_ms = uv_now(&p->loop);
}
/* A tracer for a service of this process, such as "loom-broker". NULL: no spans are wanted, or no memory. */
loom_tracer *process_tracer(process *p, const char *service);
/* What SIGTERM and SIGINT start, and SIGHUP when the terminal has gone. drain_timeout_ms is for all of it: the drain, what is closed after it, and the
 * last spans, for which a quarter is kept. drain must outlive the process. */
void process_on_stop(process *p, uint32_t drain_timeout_ms, const process_drain *drain, void *user);

/* What SIGHUP (reload) and SIGUSR2 (dump) do. control must outlive the process. SIGUSR1 opens log and spans file anew. */
void process_on_control(process *p, const process_control *control, void *user);
/* process_manager.c: to a service manager, if there is one (notify.h). */
void process_open_manager(process *p);
void process_tell_ready(process *p);
void process_tell_reloading(void);
void process_tell_stopping(const process *p);
/* process_reload.c: reads the settings again, tells of each that changed, and takes over those that may. */
void process_reload(process *p);
/* process_dump.c: what the process itself knows: resources, memory, spans, log; then the program's dump. */
void process_dump(process *p);

/* How much of the drain time is left: for what is closed between process_run() and process_close(). All of it when no stop
 * was asked for. */
uint32_t process_time_left_ms(const process *p);
/* The stop throws something away: one of the last lines says so. name is "messages_queued" or the like and must outlive the
 * process. A count of 0 does nothing. */
void process_lost(process *p, const char *name, uint64_t count);

/* process_latency.c: histograms of what spans took; a stage for the span processor, the caller's to unref. NULL: metrics are not
 * served. */
loom_span_stage *process_open_latency(process *p);
/* Called by process_open(): spans and log. */
void process_count_own(process *p);
/* What /metrics says, for who serves it elsewhere as well. */
void process_write_metrics(process *p, FILE *out);
/* Whether it serves; otherwise *why is a word for the answer of /readyz. */
bool process_is_ready(const process *p, const char **why);
/* Serves /metrics at an http URL; "": only keeps write for process_write_metrics(). write adds what is no counter of a source; may be NULL. Errors are
 * logged. */
LOOM_MUST_CHECK loom_status process_serve_metrics(process *p, const char *url, void (*write)(void *user, FILE *out), void *user);
void process_stop_metrics(process *p); /* idempotent */

/* Creates the directory of an ipc URL; does nothing for other URLs and "". Errors are logged. */
LOOM_MUST_CHECK loom_status process_prepare_url(process *p, const char *url);

/* Runs until a signal and the drain after it have ended; a second signal ends the program at once. */
void process_run(process *p);
/* Ends what is on the loop, exports what is left within the drain time, writes the log, frees. */
void process_close(process *p);

#endif
