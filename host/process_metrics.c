/* SPDX-License-Identifier: Apache-2.0 */
/* /metrics of a process: the counters of its parts, and its own: spans and log. */
#include "host/http/metrics_server.h"
#include "host/metrics.h"
#include "host/process.h"
#include "host/resources.h"

#include <loom/recorder.h>

#include <stdlib.h>
#include <string.h>

static const char *drop_name(unsigned i)
{
    static const char *const names[] = {"queue_full", "export_failed", "shutdown"};
    return names[i];
}

_Static_assert(offsetof(loom_span_counts, dropped_shutdown) == offsetof(loom_span_counts, dropped_full) + 2 * sizeof(uint64_t),
               "the reasons lie side by side");

static const counter span_rows[] = {
    COUNTER(loom_span_counts, ended, COUNTER_TOTAL, "loom_spans_ended_total", "Sampled spans that ended."),
    COUNTER(loom_span_counts, exported, COUNTER_TOTAL, "loom_spans_exported_total", "Spans that the receiver accepted."),
    COUNTER_FAMILY(loom_span_counts, dropped_full, "dropped", "loom_spans_dropped_total", "reason", 3, drop_name,
                   "Spans that did not reach the receiver, by reason."),
};
static const counter_group span_counters = COUNTER_GROUP("spans", loom_span_counts, span_rows);

static void read_spans(const void *owner, void *stats)
{
    const process *p = owner;
    *(loom_span_counts *)stats = p->spans != NULL ? loom_span_processor_counts(p->spans) : (loom_span_counts){0};
}

static const counter recorder_rows[] = {
    COUNTER(loom_recorder_counts, recorded, COUNTER_TOTAL, "loom_recorder_spans_recorded_total",
            "Spans that the flight recorder took, since they were not sampled."),
    COUNTER(loom_recorder_counts, overwritten, COUNTER_TOTAL, "loom_recorder_spans_overwritten_total",
            "Recorded spans that made room for newer ones."),
    COUNTER(loom_recorder_counts, lost, COUNTER_TOTAL, "loom_recorder_spans_lost_total",
            "Spans that could not be recorded: no memory, or over 64 KiB."),
    COUNTER(loom_recorder_counts, kept, COUNTER_TOTAL, "loom_recorder_spans_kept_total",
            "Recorded spans that were exported because their trace mattered."),
    COUNTER(loom_recorder_counts, triggers, COUNTER_TOTAL, "loom_recorder_triggers_total",
            "Traces that this process found worth keeping."),
    COUNTER(loom_recorder_counts, triggers_limited, COUNTER_TOTAL, "loom_recorder_triggers_limited_total",
            "Traces found here or heard of that were not kept because there were too many."),
    COUNTER(loom_recorder_counts, triggers_heard, COUNTER_TOTAL, "loom_recorder_triggers_heard_total",
            "Traces that other processes wanted kept."),
    COUNTER(loom_recorder_counts, triggers_untold, COUNTER_TOTAL, "loom_recorder_triggers_untold_total",
            "Traces found here that other processes were not told of: too much else was to be sent."),
    COUNTER(loom_recorder_counts, too_late, COUNTER_TOTAL, "loom_recorder_traces_too_late_total",
            "Traces to be kept of which nothing was here, or not any more."),
    COUNTER(loom_recorder_counts, cut, COUNTER_TOTAL, "loom_recorder_traces_cut_total",
            "Kept traces of which a part had been overwritten here, or was lost."),
};
static const counter_group recorder_counters = COUNTER_GROUP("recorder", loom_recorder_counts, recorder_rows);

static void read_recorder(const void *owner, void *stats)
{
    (void)owner;
    *(loom_recorder_counts *)stats = loom_recorder_counts_now();
}

typedef struct log_counts {
    uint64_t lines_dropped;
} log_counts;

static const counter log_rows[] = {
    COUNTER(log_counts, lines_dropped, COUNTER_TOTAL, "loom_log_lines_dropped_total",
            "Log lines dropped because the reader of the log fell behind."),
};
static const counter_group log_counters = COUNTER_GROUP("log", log_counts, log_rows);

static void read_log(const void *owner, void *stats)
{
    *(log_counts *)stats = (log_counts){logger_dropped(((const process *)owner)->log)};
}

typedef struct scrape_counts {
    uint64_t connections_refused, connections_displaced, connections_late, requests_invalid;
} scrape_counts;

static const counter scrape_rows[] = {
    COUNTER(scrape_counts, connections_refused, COUNTER_TOTAL, "loom_metrics_connections_refused_total",
            "Connections to /metrics closed at once: no room for another one."),
    COUNTER(scrape_counts, connections_displaced, COUNTER_TOTAL, "loom_metrics_connections_displaced_total",
            "Idle connections to /metrics closed to make room for newer ones."),
    COUNTER(scrape_counts, connections_late, COUNTER_TOTAL, "loom_metrics_connections_late_total",
            "Connections to /metrics closed because a deadline had passed."),
    COUNTER(scrape_counts, requests_invalid, COUNTER_TOTAL, "loom_metrics_requests_invalid_total",
            "Requests to the server of /metrics that it refused."),
};
static const counter_group scrape_counters = COUNTER_GROUP("metrics", scrape_counts, scrape_rows);

static void read_scrapes(const void *owner, void *stats)
{
    const process *p = owner;
    http_server_counts c = p->metrics != NULL ? metrics_server_get_counts(p->metrics) : (http_server_counts){0};
    *(scrape_counts *)stats = (scrape_counts){c.refused, c.displaced, c.late, c.invalid};
}

void process_count_own(process *p)
{
    counter_list_add(&p->counters, (counter_source){&span_counters, p, read_spans});
    counter_list_add(&p->counters, (counter_source){&recorder_counters, p, read_recorder});
    counter_list_add(&p->counters, (counter_source){&log_counters, p, read_log});
    counter_list_add(&p->counters, (counter_source){&scrape_counters, p, read_scrapes});
}

/* ---- of the process itself: the names that Prometheus' own libraries give them ---- */

static void write_number(FILE *out, const char *name, const char *type, const char *help, double value)
{
    metrics_describe(out, name, type, help);
    fprintf(out, "%s %.17g\n", name, value);
}

static void write_resources(const process *p, FILE *out)
{
    process_resources r;
    process_resources_read(&r);
    metrics_describe(out, "loom_build_info", "gauge", "The program and its version; always 1.");
    fprintf(out, "loom_build_info{program=\"%s\",version=\"%s\"} 1\n", p->program->spec->name, p->program->spec->version);
    write_number(out, "process_cpu_seconds_total", "counter", "Processor time used, in user and system mode.", r.cpu_seconds);
    write_number(out, "process_open_fds", "gauge", "Open file descriptors.", (double)r.open_fds);
    write_number(out, "process_max_fds", "gauge", "How many file descriptors may be open.", (double)r.max_fds);
    write_number(out, "process_resident_memory_bytes", "gauge", "Resident memory.", (double)r.resident_bytes);
    write_number(out, "process_virtual_memory_bytes", "gauge", "Virtual memory.", (double)r.virtual_bytes);
    write_number(out, "process_start_time_seconds", "gauge", "When the process started, in seconds since 1970.", r.start_seconds);
}

/* ---- written ---- */

static bool write_text(void *out, const char *text, size_t len)
{
    return fwrite(text, 1, len, out) == len;
}

/* What tracing counts of itself, by the names of OpenTelemetry. */
static void count_tracing(process *p)
{
    if (p->spans != NULL && !p->meter_has_spans && (p->meter != NULL || loom_meter_create(&p->meter) == LOOM_OK)) {
        p->meter_has_spans = loom_meter_add_processor(p->meter, p->spans) == LOOM_OK;
    }
}

static void write_own(process *p, FILE *out)
{
    count_tracing(p);
    write_resources(p, out);
    for (size_t i = 0; i < p->counters.count; i++) {
        metrics_write_counters(out, &p->counters.items[i]);
    }
    if (p->write_metrics != NULL) {
        p->write_metrics(p->metrics_user, out);
    }
}

void process_write_metrics(process *p, FILE *out)
{
    write_own(p, out);
    if (p->meter != NULL) { /* without memory they are left out */
        (void)!loom_meter_write(p->meter, LOOM_METRICS_PROMETHEUS, write_text, out);
    }
}

/* In OpenMetrics a counter's family has its name without _total; its samples keep it. */
static void put_openmetrics(FILE *out, const char *text)
{
    for (const char *end; *text != '\0'; text = end) {
        const size_t len = strcspn(text, "\n");
        end = text + len + (text[len] == '\n');
        const size_t name = len > 7 && text[0] == '#' ? strcspn(text + 7, " \n") : 0;
        const bool family = name > 6 && memcmp(text + 7 + name - 6, "_total", 6) == 0;
        fwrite(text, 1, family ? 7 + name - 6 : len, out);
        if (family) {
            fwrite(text + 7 + name, 1, len - 7 - name, out);
        }
        putc('\n', out);
    }
}

static void write_openmetrics(process *p, FILE *out)
{
    char *text = NULL;
    size_t len = 0;
    FILE *own = open_memstream(&text, &len);
    if (own != NULL) {
        write_own(p, own);
    }
    if (own != NULL && fclose(own) == 0) {
        put_openmetrics(out, text);
    }
    free(text);
    if (p->meter == NULL) {
        fputs("# EOF\n", out);
    } else { /* which ends with that itself */
        (void)!loom_meter_write(p->meter, LOOM_METRICS_OPENMETRICS, write_text, out);
    }
}

static void write_metrics(void *user, FILE *out, bool openmetrics)
{
    (openmetrics ? write_openmetrics : process_write_metrics)(user, out);
}

bool process_is_ready(const process *p, const char **why)
{
    const bool able = p->control == NULL || p->control->ready == NULL || p->control->ready(p->control_user);
    *why = p->stopping || p->draining ? "draining" : p->control == NULL ? "starting" : able ? "ready" : "waiting for the broker";
    return !p->stopping && !p->draining && p->control != NULL && able;
}

static bool is_ready(void *user, const char **why)
{
    return process_is_ready(user, why);
}

loom_status process_serve_metrics(process *p, const char *url, void (*write)(void *user, FILE *out), void *user)
{
    p->write_metrics = write;
    p->metrics_user = user;
    if (url[0] == '\0') {
        return LOOM_OK;
    }
    char why[METRICS_ERROR_SIZE];
    const metrics_source source = {write_metrics, is_ready, p, true};
    count_tracing(p);
    loom_status st = metrics_server_open(&p->metrics, &p->loop, p->log, url, &source, why);
    if (st != LOOM_OK) {
        log_error(p->log, "%s", why);
    } else {
        log_info(p->log, "serving metrics url=%s", metrics_server_url(p->metrics));
    }
    return st;
}
