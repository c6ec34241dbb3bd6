/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/export/processor_state.h"

#include "base/clock.h"
#include "base/str.h"

#include <stdio.h>
#include <string.h>

/* Those of OpenTelemetry's HTTP durations. */
const double export_bounds[LOOM_EXPORT_BUCKETS - 1] = {0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25,
                                                       0.5,   0.75, 1,     2.5,  5,     7.5, 10};

/* Well-known values of otel.component.type, and for what has none one of the same kind. */
static const char *component_type(loom_exporter_kind kind)
{
    switch (kind) {
    case LOOM_EXPORTER_OTLP_GRPC:
        return "otlp_grpc_span_exporter";
    case LOOM_EXPORTER_OTLP_HTTP:
        return "otlp_http_span_exporter";
    case LOOM_EXPORTER_OTLP_HTTP_JSON:
        return "otlp_http_json_span_exporter";
    case LOOM_EXPORTER_CONSOLE:
        return "console_span_exporter";
    case LOOM_EXPORTER_STDOUT:
        return "otlp_stdout_span_exporter";
    case LOOM_EXPORTER_FILE:
        return "otlp_file_span_exporter";
    case LOOM_EXPORTER_CALLBACK:
        return "callback_span_exporter";
    case LOOM_EXPORTER_LINES:
        return "loom_stderr_span_exporter";
    case LOOM_EXPORTER_LINK:
        return "loom_link_span_exporter";
    case LOOM_EXPORTER_NONE:
        break;
    }
    return NULL;
}

static void find_server(self_metrics *m, const loom_span_processor_options *o)
{
    const bool grpc = o->exporter == LOOM_EXPORTER_OTLP_GRPC;
    if (!grpc && o->exporter != LOOM_EXPORTER_OTLP_HTTP && o->exporter != LOOM_EXPORTER_OTLP_HTTP_JSON) {
        return;
    }
    const loom_str endpoint = str_trim(str_of(o->endpoint != NULL ? o->endpoint : grpc ? "localhost:4317" : "localhost:4318"));
    char text[URL_MAX], why[URL_ERROR_SIZE];
    const char *scheme = memmem(endpoint.data, endpoint.len, "://", 3) != NULL ? "" : o->secure ? "https://" : "http://";
    url u;
    if (snprintf(text, sizeof text, "%s%.*s", scheme, (int)endpoint.len, endpoint.data) < (int)sizeof text &&
        url_parse(&u, text, URL_WEB, why) == LOOM_OK) {
        memcpy(m->server, u.host, sizeof m->server);
        m->port = u.port;
    }
}

void self_metrics_init(self_metrics *m, const loom_span_processor_options *options)
{
    static atomic_uint processors; /* of the process: otel.component.name tells them apart */
    m->number = atomic_fetch_add_explicit(&processors, 1, memory_order_relaxed);
    m->exporter_type = component_type(options->exporter);
    if (m->exporter_type == NULL && options->also_file != NULL) {
        m->exporter_type = component_type(LOOM_EXPORTER_FILE);
    } else if (m->exporter_type == NULL && options->log_spans != NULL) {
        m->exporter_type = "log_span_exporter";
    }
    find_server(m, options);
}

void self_metrics_count(self_metrics *m, uint64_t begin_ns, const export_result *result)
{
    const double seconds = (double)(clock_monotonic_ns() - begin_ns) / NS_PER_S;
    const bool well = result->outcome == EXPORT_OK && result->rejected == 0;
    uint64_t *buckets = well ? m->shown.operation_duration.buckets : m->shown.operation_duration_failed.buckets;
    size_t i = 0;
    while (i < LOOM_EXPORT_BUCKETS - 1 && seconds > export_bounds[i]) {
        i++;
    }
    buckets[i]++;
    *(well ? &m->shown.operation_duration.sum : &m->shown.operation_duration_failed.sum) += seconds;
}

/* ---- shown ---- */

/* With the lock held. A span that has ended gives its use back a moment after it was counted, so this may be a few too many
 * or too few while spans end. */
static uint64_t live_spans(const loom_span_processor *p)
{
    uint64_t uses = 0;
    for (const span_resource *r = p->self.resources; r != NULL; r = r->next) {
        uses += r->uses(r);
    }
    const uint64_t ended = p->queued + p->in_flight + p->self.releasing;
    return uses > ended ? uses - ended : 0;
}

/* With the lock held. */
static uint64_t unsampled_spans(const loom_span_processor *p)
{
    uint64_t sum = p->self.unsampled;
    for (const span_resource *r = p->self.resources; r != NULL; r = r->next) {
        sum += r->unsampled(r);
    }
    return sum;
}

loom_sdk_metrics loom_span_processor_metrics(const loom_span_processor *processor)
{
    loom_span_processor *p = (loom_span_processor *)(uintptr_t)processor;
    if (p == NULL || processor_forked(p)) {
        return (loom_sdk_metrics){0};
    }
    pthread_mutex_lock(&p->lock);
    loom_sdk_metrics m = p->self.shown;
    const loom_span_counts c = p->counts;
    m.span_live = live_spans(p);
    if (p->self.started < c.ended + m.span_live) {
        p->self.started = c.ended + m.span_live;
    }
    m.span_started = p->self.started;
    m.span_started_unsampled = unsampled_spans(p);
    m.queue_size = p->queued;
    m.queue_capacity = p->max_queue;
    m.inflight = p->in_flight;
    m.exported = c.exported;
    m.exported_failed = c.dropped_failed;
    m.processed = c.exported + c.dropped_failed + p->in_flight;
    m.processed_queue_full = c.dropped_full;
    m.processed_already_shutdown = p->self.after_shutdown;
    m.processed_shutdown = c.dropped_shutdown - p->self.after_shutdown;
    pthread_mutex_unlock(&p->lock);
    return m;
}

/* In the child of a fork() nobody reads the list, and the lock may be held by a thread that is not there. */
void processor_attach(loom_span_processor *p, span_resource *resource)
{
    if (processor_forked(p)) {
        return;
    }
    pthread_mutex_lock(&p->lock);
    resource->next = p->self.resources;
    p->self.resources = resource;
    pthread_mutex_unlock(&p->lock);
}

void processor_detach(loom_span_processor *p, span_resource *resource)
{
    if (processor_forked(p)) {
        return;
    }
    pthread_mutex_lock(&p->lock);
    span_resource **at = &p->self.resources;
    while (*at != resource) {
        at = &(*at)->next;
    }
    *at = resource->next;
    p->self.unsampled += resource->unsampled(resource);
    pthread_mutex_unlock(&p->lock);
}

const self_metrics *processor_self(const loom_span_processor *processor)
{
    return &processor->self;
}
