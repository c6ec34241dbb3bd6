/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/span/sampler.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

static const char *first_set(const char *name, const char *alias)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : getenv(alias);
}

/* Without an argument that makes sense the ratio is 1 (OpenTelemetry, general SDK configuration). */
static double ratio_from_env(void)
{
    const char *text = first_set("OTEL_TRACES_SAMPLER_ARG", "OTEL_TRACE_SAMPLER_ARG");
    if (text == NULL || text[0] == '\0') {
        return 1.0;
    }
    char *end;
    errno = 0;
    double ratio = strtod(text, &end);
    return errno == 0 && *end == '\0' && ratio >= 0.0 && ratio <= 1.0 ? ratio : 1.0;
}

loom_sampler loom_sampler_from_env(void)
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
    loom_sampler sampler = {.kind = LOOM_SAMPLER_PARENTBASED_ALWAYS_ON, .ratio = ratio_from_env()};
    const char *name = first_set("OTEL_TRACES_SAMPLER", "OTEL_TRACE_SAMPLER");
    for (size_t i = 0; name != NULL && i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i].name) == 0) {
            sampler.kind = names[i].kind;
        }
    }
    return sampler;
}
