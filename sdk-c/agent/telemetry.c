/* SPDX-License-Identifier: Apache-2.0 */
/* An agent's tracer provider: its owner's, or one of its own made from the environment. */
#include <stdio.h>
#include <stdlib.h>

#include <loom/version.h>

#include "base/str.h"
#include "sdk-c/agent/payload.h"
#include "sdk-c/agent/report.h"
#include "sdk-c/agent/telemetry.h"

#define SCOPE_NAME "loom"

/* An agent ends a span for each event: at 100,000 a second OpenTelemetry's 2,048 would cover a pause of the exporter's thread of 20 ms,
 * and this one of 80. The memory is used, some 130 bytes for a hop, only while spans wait. */
enum { SPAN_QUEUE = 8192 };

/* From the exporter's thread. */
static void on_exporter_error(void *user, const char *message)
{
    report_exporter(user, message);
}

static void on_bad_variable(void *user, const char *text)
{
    loom_agent *a = user;
    a->options.on_error(a, LOOM_EIO, text, a->options.user);
}

/* Each is told once, at the start, while the exporter's errors are told once for all. */
static void check_environment(loom_agent *a)
{
    if (a->options.on_error != NULL) {
        loom_telemetry_check_env(on_bad_variable, a);
    } else {
        loom_telemetry_check_env(NULL, NULL);
    }
}

/* Without an exporter nobody would see the spans. A sampler that is set to off is of use all the same: messages carry its
 * decision, so that no other hop starts a trace either. */
static bool is_of_use(const loom_span_processor_options *options)
{
    if (options->exporter != LOOM_EXPORTER_NONE || options->also_file != NULL || options->log_spans != NULL) {
        return true;
    }
    loom_sampler_kind kind = loom_sampler_from_env().kind;
    return !options->disabled && (kind == LOOM_SAMPLER_ALWAYS_OFF || kind == LOOM_SAMPLER_PARENTBASED_ALWAYS_OFF);
}

/* A wrong telemetry setting is reported and costs the traces, never the agent. */
static loom_status create_own(loom_agent *a)
{
    const loom_str automatic = str_trim(str_of(getenv("LOOM_TELEMETRY_AUTO")));
    if (str_is(automatic, "0") || str_is_any_case(automatic, "false")) {
        return LOOM_OK;
    }
    loom_span_processor_options options;
    loom_span_processor_options_from_env(&options, NULL);
    check_environment(a);
    options.on_error = on_exporter_error;
    options.user = a;
    if (options.max_queue_size == 0) {
        options.max_queue_size = SPAN_QUEUE;
    }
    if (!is_of_use(&options)) {
        return LOOM_OK;
    }
    loom_status st = loom_span_processor_create(&a->processor, &options);
    if (st == LOOM_ENOMEM) {
        return st;
    }
    if (st != LOOM_OK) {
        return LOOM_OK; /* on_exporter_error() has said why */
    }
    char name[sizeof "agent-" + LOOM_AGENT_ID_MAX];
    snprintf(name, sizeof name, "agent-%s", a->id.data);
    return loom_tracer_provider_create(
        &a->provider, &(loom_tracer_provider_options){.default_service_name = name, .processor = a->processor});
}

loom_status telemetry_open(loom_agent *a)
{
    if (a->options.telemetry != NULL) {
        a->provider = loom_tracer_provider_ref(a->options.telemetry);
    } else {
        loom_status st = create_own(a);
        if (st != LOOM_OK || a->provider == NULL) {
            return st;
        }
    }
    const char *problem;
    a->payload_max = payload_max_from_env(&problem);
    if (problem != NULL) {
        on_bad_variable(a, problem);
    }
    a->tracer = loom_tracer_get(a->provider, SCOPE_NAME, LOOM_VERSION);
    return a->tracer != NULL || loom_tracer_provider_is_disabled(a->provider) ? LOOM_OK : LOOM_ENOMEM;
}

void telemetry_close(loom_agent *a, uint32_t timeout_ms)
{
    if (a->processor != NULL) {
        (void)loom_span_processor_shutdown(a->processor, timeout_ms); /* what it could not deliver it reports itself */
    }
    loom_tracer_provider_unref(a->provider);
    loom_span_processor_unref(a->processor);
    a->provider = NULL;
    a->processor = NULL;
}
