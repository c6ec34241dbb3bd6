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

loom_sampler sampler_from_env(const env_report *report)
{
    static const struct {
        const char *name;
        loom_sampler_kind kind;
    } names[] = {
        {"always_on", LOOM_SAMPLER_ALWAYS_ON},
        {"always_off", LOOM_SAMPLER_ALWAYS_OFF},
        {"traceidratio", LOOM_SAMPLER_RATIO},
        {"parentbased_always_on", LOOM_SAMPLER_PARENTBASED_ALWAYS_ON},
        {"parentbased_always_off", LOOM_SAMPLER_PARENTBASED_ALWAYS_OFF},
        {"parentbased_traceidratio", LOOM_SAMPLER_PARENTBASED_RATIO},
        {"rate_limited", LOOM_SAMPLER_RATE_LIMITED},
        {"parentbased_rate_limited", LOOM_SAMPLER_PARENTBASED_RATE_LIMITED},
    };
    loom_sampler sampler = {.kind = LOOM_SAMPLER_PARENTBASED_ALWAYS_ON, .ratio = 1.0};
    env_variable v = env_get_either("OTEL_TRACES_SAMPLER", "OTEL_TRACE_SAMPLER");
    bool known = v.value == NULL;
    for (size_t i = 0; v.value != NULL && i < sizeof names / sizeof names[0]; i++) {
        if (str_is_any_case(str_trim(str_of(v.value)), names[i].name)) { /* "enum values SHOULD be interpreted case-insensitively" */
            sampler.kind = names[i].kind;
            known = true;
        }
    }
    if (!known) {
        env_report_value(report, v.name, str_of(v.value), "is no sampler", "parentbased_always_on");
    }
    const env_variable arg = env_get_either("OTEL_TRACES_SAMPLER_ARG", "OTEL_TRACE_SAMPLER_ARG"),
                       rate = {"TRACING_SAMPLE_RATE", env_get("TRACING_SAMPLE_RATE")};
    static const char no_ratio[] = "is no number from 0 to 1";
    if (sampler.kind == LOOM_SAMPLER_RATIO || sampler.kind == LOOM_SAMPLER_PARENTBASED_RATIO) {
        sampler.ratio = argument(arg, report, 1.0, 1.0, no_ratio, "1");
    } else if (sampler.kind == LOOM_SAMPLER_RATE_LIMITED || sampler.kind == LOOM_SAMPLER_PARENTBASED_RATE_LIMITED) {
        sampler.per_second = argument(arg, report, 1e9, RATE_DEFAULT, "is no number of traces a second", "100");
    } else if (v.value == NULL && rate.value != NULL) {
        sampler.kind = LOOM_SAMPLER_PARENTBASED_RATIO;
        sampler.ratio = argument(rate, report, 1.0, 1.0, no_ratio, "1");
    }
    return sampler;
}

loom_sampler loom_sampler_from_env(void)
{
    return sampler_from_env(NULL);
}
