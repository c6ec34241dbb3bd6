/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/span/sampler.h"

#include "base/str.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* As the Go SDK decides (sdk/trace/sampling.go), so that processes in other languages keep the same traces:
 * the last eight bytes of the trace id, big endian, without the lowest bit, against ratio * 2^63. */
static bool ratio_decide(double ratio, const uint8_t trace_id[LOOM_TRACE_ID_SIZE])
{
    if (ratio >= 1.0) {
        return true;
    }
    if (!(ratio > 0.0)) {
        return false;
    }
    uint64_t last;
    memcpy(&last, trace_id + 8, sizeof last);
    return be64toh(last) >> 1 < (uint64_t)(ratio * 9223372036854775808.0);
}

bool sampler_decide_root(const loom_sampler *sampler, const uint8_t trace_id[LOOM_TRACE_ID_SIZE])
{
    switch (sampler->kind) {
    case LOOM_SAMPLER_PARENTBASED_ALWAYS_ON:
    case LOOM_SAMPLER_ALWAYS_ON:
        return true;
    case LOOM_SAMPLER_PARENTBASED_ALWAYS_OFF:
    case LOOM_SAMPLER_ALWAYS_OFF:
        return false;
    case LOOM_SAMPLER_PARENTBASED_RATIO:
    case LOOM_SAMPLER_RATIO:
        return ratio_decide(sampler->ratio, trace_id);
    }
    return false;
}

bool sampler_valid(const loom_sampler *sampler)
{
    return (int)sampler->kind >= 0 && sampler->kind <= LOOM_SAMPLER_RATIO && sampler->ratio >= 0.0 && sampler->ratio <= 1.0;
}

/* Without an argument that makes sense the ratio is 1 (OpenTelemetry, general SDK configuration). */
static double ratio_of(env_variable v, const env_report *report)
{
    if (v.value == NULL) {
        return 1.0;
    }
    char *end;
    errno = 0;
    double ratio = strtod(v.value, &end);
    if (errno == 0 && end != v.value && *end == '\0' && ratio >= 0.0 && ratio <= 1.0) {
        return ratio;
    }
    env_report_value(report, v.name, str_of(v.value), "is no number from 0 to 1", "1");
    return 1.0;
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
    };
    loom_sampler sampler = {.kind = LOOM_SAMPLER_PARENTBASED_ALWAYS_ON, .ratio = 1.0};
    env_variable v = env_get_either("OTEL_TRACES_SAMPLER", "OTEL_TRACE_SAMPLER");
    bool known = v.value == NULL;
    for (size_t i = 0; v.value != NULL && i < sizeof names / sizeof names[0]; i++) {
        if (strcasecmp(v.value, names[i].name) == 0) { /* "enum values SHOULD be interpreted case-insensitively" */
            sampler.kind = names[i].kind;
            known = true;
        }
    }
    if (!known) {
        env_report_value(report, v.name, str_of(v.value), "is no sampler", "parentbased_always_on");
    }
    const char *rate = env_get("TRACING_SAMPLE_RATE");
    if (sampler.kind == LOOM_SAMPLER_RATIO || sampler.kind == LOOM_SAMPLER_PARENTBASED_RATIO) {
        sampler.ratio = ratio_of(env_get_either("OTEL_TRACES_SAMPLER_ARG", "OTEL_TRACE_SAMPLER_ARG"), report);
    } else if (v.value == NULL && rate != NULL) {
        sampler = (loom_sampler){LOOM_SAMPLER_PARENTBASED_RATIO, ratio_of((env_variable){"TRACING_SAMPLE_RATE", rate}, report)};
    }
    return sampler;
}

loom_sampler loom_sampler_from_env(void)
{
    return sampler_from_env(NULL);
}
