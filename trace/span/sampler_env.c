/* SPDX-License-Identifier: Apache-2.0 */
/* OTEL_TRACES_SAMPLER and its argument (OpenTelemetry, environment variables, "General SDK Configuration"). */
#include "base/number.h"
#include "base/str.h"
#include "trace/span/sampler.h"

#define RATE_DEFAULT 100.0 /* traces a second */

/* Without an argument that makes sense the ratio is 1. */
static double argument(env_variable v, const env_report *report, double max, double fallback, const char *fault,
                       const char *instead)
{
    double value;
    if (v.value == NULL) {
        return fallback;
    }
    if (number_parse(str_trim(str_of(v.value)), &value) && value >= 0.0 && value <= max) {
        return value;
    }
    env_report_value(report, v.name, str_of(v.value), fault, instead);
    return fallback;
}

/* The first variable that names a sampler; by its own name before by the one that people write. */
static bool read_kind(loom_sampler_kind *kind, const env_report *report)
{
    static const char *const names[] = {"always_on", "always_off", "traceidratio", "parentbased_always_on", "parentbased_always_off",
                                        "parentbased_traceidratio", "rate_limited", "parentbased_rate_limited", NULL};
    static const loom_sampler_kind kinds[] = {
        LOOM_SAMPLER_ALWAYS_ON, LOOM_SAMPLER_ALWAYS_OFF, LOOM_SAMPLER_RATIO, LOOM_SAMPLER_PARENTBASED_ALWAYS_ON,
        LOOM_SAMPLER_PARENTBASED_ALWAYS_OFF, LOOM_SAMPLER_PARENTBASED_RATIO, LOOM_SAMPLER_RATE_LIMITED,
        LOOM_SAMPLER_PARENTBASED_RATE_LIMITED};
    size_t at;
    const char *instead = env_get("TRACING_SAMPLE_RATE") != NULL ? "TRACING_SAMPLE_RATE" : "parentbased_always_on";
    if (!env_read_choice(&at, &(env_names){{"OTEL_TRACES_SAMPLER", "OTEL_TRACE_SAMPLER"}}, names,
                         (env_fault){"is no sampler", instead}, report)) {
        return false;
    }
    *kind = kinds[at];
    return true;
}

/* Of the other samplers none has one: whoever gave it wanted something else. */
static void report_unused(env_variable v, const env_report *report)
{
    if (v.value != NULL) {
        env_report_value(report, v.name, str_of(v.value), "is for samplers by ratio or by rate alone", "no argument");
    }
}

loom_sampler sampler_from_env(const env_report *report)
{
    static const char no_ratio[] = "is no number from 0 to 1";
    loom_sampler sampler = {.kind = LOOM_SAMPLER_PARENTBASED_ALWAYS_ON, .ratio = 1.0};
    const bool named = read_kind(&sampler.kind, report);
    const env_variable arg = env_get_either("OTEL_TRACES_SAMPLER_ARG", "OTEL_TRACE_SAMPLER_ARG"),
                       rate = {"TRACING_SAMPLE_RATE", env_get("TRACING_SAMPLE_RATE")};
    if (sampler.kind == LOOM_SAMPLER_RATIO || sampler.kind == LOOM_SAMPLER_PARENTBASED_RATIO) {
        sampler.ratio = argument(arg, report, 1.0, 1.0, no_ratio, "1");
    } else if (sampler.kind == LOOM_SAMPLER_RATE_LIMITED || sampler.kind == LOOM_SAMPLER_PARENTBASED_RATE_LIMITED) {
        sampler.per_second = argument(arg, report, 1e9, RATE_DEFAULT, "is no number of traces a second", "100");
    } else {
        report_unused(arg, report);
        if (!named && rate.value != NULL) {
            sampler.kind = LOOM_SAMPLER_PARENTBASED_RATIO;
            sampler.ratio = argument(rate, report, 1.0, 1.0, no_ratio, "1");
        }
    }
    return sampler;
}

loom_sampler loom_sampler_from_env(void)
{
    return sampler_from_env(NULL);
}
