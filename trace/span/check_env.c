/* SPDX-License-Identifier: Apache-2.0 */
/* What in the environment makes no sense to tracing, for a program that says so at its start. */
#include "base/percent.h"
#include "base/str.h"
#include "trace/export/exporter.h"
#include "trace/export/variables.h"
#include "trace/span/limits.h"
#include "trace/export/rewrite.h"
#include "trace/record/recorder.h"
#include "trace/span/propagators.h"
#include "trace/span/sampler.h"

#include <pthread.h>
#include <stdio.h>

static void on_bad_pair(void *user, loom_str pair)
{
    env_report_value(user, "OTEL_RESOURCE_ATTRIBUTES", pair, "is no key=value, percent-encoded", "the other pairs");
}

static bool accept(void *user, const char *key, const char *value)
{
    (void)user;
    (void)key;
    (void)value;
    return true;
}

static void print(void *user, const char *text)
{
    (void)user;
    fprintf(stderr, "loom: tracing: %s\n", text);
}

static void print_all(void)
{
    loom_telemetry_check_env(print, NULL);
}

void loom_telemetry_check_env(void (*tell)(void *user, const char *text), void *user)
{
    static pthread_once_t printed = PTHREAD_ONCE_INIT; /* one environment, one report */
    if (tell == NULL) {
        (void)pthread_once(&printed, print_all);
        return;
    }
    env_report report = {tell, user};
    loom_span_processor_options options;
    loom_span_processor_options_from_env(&options, NULL);
    if (options.complaints != LOOM_COMPLAINTS_ALL) {
        return; /* these are warnings */
    }
    if (env_check_exporter(&options, &report)) {
        (void)sampler_from_env(&report);
        (void)limits_from_env(&report);
        (void)recorder_settings_from_env(&report);
        (void)percent_pairs_checked(env_get("OTEL_RESOURCE_ATTRIBUTES"), accept, on_bad_pair, &report);
        span_chain chain = {0};
        (void)chain_add_from_env(&chain, &report); /* out of memory is no fault of the environment's */
        span_chain_fini(&chain);
    }
    (void)propagators_from_env(&report);
    variables_check_names(&report);
}
