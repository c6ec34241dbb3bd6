/* SPDX-License-Identifier: Apache-2.0 */
/* How long each hop of a message and each call took, as histograms whose exemplars are trace ids. They are made of the spans of
 * this process that leave anyway, on the exporter's thread, and only where metrics are served: a message pays nothing for them.
 * Without telemetry, and of messages that are not sampled, there are none. */
#include <loom/pipeline.h>

#include "base/str.h"
#include "host/process.h"

/* Seconds. A hop takes some microseconds; what waits for credit, up to seconds. */
static const double bounds[] = {5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30};

static void record(loom_metric *metric, const char *key, loom_str value, double seconds, const loom_ended_span *span)
{
    const loom_trace_context context = loom_ended_span_context(span);
    const loom_attr attr = {.key = key, .type = LOOM_ATTR_STRING, .value.string = value};
    const uint64_t token = loom_context_push(&context, (loom_str){NULL, 0}); /* the exemplar's */
    loom_metric_record(metric, seconds, &attr, 1);
    loom_context_pop(token);
}

static void on_span(void *user, loom_ended_span *span)
{
    process *p = user;
    static const char *const hops[] = {"bridge.publish", "eventbus.publish", "bridge.forward", "action.dispatch"};
    const loom_str name = loom_ended_span_name(span);
    const double seconds = (double)loom_ended_span_duration_ns(span) / 1e9;
    for (size_t i = 0; i < sizeof hops / sizeof *hops; i++) {
        if (str_is(name, hops[i])) {
            record(p->hop_duration, "hop", name, seconds, span);
        }
    }
    const loom_str outcome = loom_ended_span_string(span, "loom.call.outcome");
    if (str_is(name, "action.dispatch") && outcome.len > 0) {
        record(p->call_duration, "outcome", outcome, seconds, span);
    }
}

static bool serves_metrics(const process *p)
{
    const config *c = &p->program->settings.config;
    const size_t key = config_find(c, str_of(p->program->spec->sections[0]), str_of("metrics_listen"));
    return key < c->count && (*(char *const *)(const void *)((const char *)c->values + c->keys[key].offset))[0] != '\0';
}

loom_span_stage *process_open_latency(process *p)
{
    const loom_metric_options hop = {.kind = LOOM_HISTOGRAM, .name = "loom.hop.duration", .unit = "s", .bounds = bounds,
                                     .bound_count = sizeof bounds / sizeof *bounds,
                                     .description = "Time that sampled messages took at a hop of this process."};
    loom_metric_options call = hop;
    loom_span_stage *stage = NULL;
    call.name = "loom.call.duration";
    call.description = "Time from a sampled call's arrival to its outcome.";
    if (!serves_metrics(p) || loom_meter_create(&p->meter) != LOOM_OK) {
        return NULL;
    }
    if (loom_metric_create(&p->hop_duration, p->meter, &hop) != LOOM_OK || loom_metric_create(&p->call_duration, p->meter, &call) != LOOM_OK ||
        loom_enrich_create(&stage, &(loom_enrich_options){.on_span = on_span, .user = p}) != LOOM_OK) {
        return NULL; /* without memory they are left out */
    }
    return stage;
}
