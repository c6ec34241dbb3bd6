/* SPDX-License-Identifier: Apache-2.0 */
/* The metrics that loom-broker and loom-bridge have in common: sessions, and what became of the spans. */
#include "bridge/serve.h"
#include "host/http/metrics_server.h"
#include "host/metrics_text.h"

static void write_flow(FILE *out, const char *name, const char *help, const bridge_flow *flow)
{
    metrics_describe(out, name, "counter", help);
    metrics_sample(out, name, "direction", (loom_str){"up", 2}, flow->up);
    metrics_sample(out, name, "direction", (loom_str){"down", 4}, flow->down);
}

static void write_bridge(FILE *out, const bridge_stats *s)
{
    metrics_gauge(out, "loom_bridge_sessions", "Connections of agents, now.", s->sessions);
    metrics_counter(out, "loom_bridge_published_total", "Events taken from agents.", s->published);
    metrics_counter(out, "loom_bridge_published_bytes_total", "The same in bytes of envelopes.", s->published_bytes);
    metrics_counter(out, "loom_bridge_forwarded_total", "Events sent to agents.", s->forwarded);
    metrics_counter(out, "loom_bridge_forwarded_bytes_total", "The same in bytes of envelopes.", s->forwarded_bytes);
    write_flow(out, "loom_bridge_calls_total", "Calls: up from their callers, down to providers.", &s->calls);
    write_flow(out, "loom_bridge_results_total", "Results: up from providers, down to callers.", &s->results);
    write_flow(out, "loom_bridge_reports_total", "Progress and chunks: up from providers, down to callers.", &s->reports);
    write_flow(out, "loom_bridge_cancels_total", "Cancels: up from callers, down to providers.", &s->cancels);
    metrics_counter(out, "loom_bridge_refused_total",
                    "Messages answered with a notice, and calls that did not reach the bus: not valid, or not permitted.",
                    s->refused);
    metrics_counter(out, "loom_bridge_invalid_contexts_total", "Trace contexts that counted as absent.", s->invalid_contexts);
    metrics_counter(out, "loom_bridge_protocol_errors_total", "Sessions ended by bytes that could not be parsed.",
                    s->protocol_errors);
    metrics_counter(out, "loom_bridge_replaced_total", "Sessions replaced by a newer one of the same agent.", s->replaced);
    metrics_counter(out, "loom_bridge_expired_total", "Sessions ended for want of a heartbeat.", s->expired);
}

static void write_spans(FILE *out, const loom_span_counts *c)
{
    static const char dropped[] = "loom_spans_dropped_total";
    metrics_counter(out, "loom_spans_ended_total", "Sampled spans that ended.", c->ended);
    metrics_counter(out, "loom_spans_exported_total", "Spans that the receiver accepted.", c->exported);
    metrics_describe(out, dropped, "counter", "Spans that did not reach the receiver, by reason.");
    metrics_sample(out, dropped, "reason", (loom_str){"queue_full", 10}, c->dropped_full);
    metrics_sample(out, dropped, "reason", (loom_str){"export_failed", 13}, c->dropped_failed);
    metrics_sample(out, dropped, "reason", (loom_str){"shutdown", 8}, c->dropped_shutdown);
}

static void write_metrics(void *user, FILE *out)
{
    host *h = user;
    if (h->bridge != NULL) {
        bridge_stats s = bridge_get_stats(h->bridge);
        write_bridge(out, &s);
    }
    if (h->links != NULL) {
        metrics_counter(out, "loom_bridge_connections_refused_total", "Connections closed at once: no room for another agent.",
                        link_server_refused(h->links));
    }
    if (h->spans != NULL) {
        loom_span_counts c = loom_span_processor_counts(h->spans);
        write_spans(out, &c);
    }
    metrics_counter(out, "loom_log_lines_dropped_total", "Log lines that found no room.", logger_dropped(h->log));
    if (h->write_metrics != NULL) {
        h->write_metrics(h->metrics_user, out);
    }
}

loom_status host_serve_metrics(host *h, const char *url, void (*write)(void *user, FILE *out), void *user)
{
    if (url[0] == '\0') {
        return LOOM_OK;
    }
    char why[METRICS_ERROR_SIZE];
    h->write_metrics = write;
    h->metrics_user = user;
    loom_status st = metrics_server_open(&h->metrics, &h->loop, h->log, url, write_metrics, h, why);
    if (st != LOOM_OK) {
        log_error(h->log, "%s", why);
    } else {
        log_info(h->log, "metrics are served url=%s", metrics_server_url(h->metrics));
    }
    return st;
}
