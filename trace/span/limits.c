/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/span/limits.h"

#include "base/str.h"

#include <stdlib.h>

#define FAULT "is no whole number from 0"

static void read_limit(uint32_t *limit, const char *name, const char *fallback, const env_report *report)
{
    (void)env_read_number(limit, &(env_names){{name}}, 0, (env_fault){FAULT, fallback}, report);
}

/* Memory is bounded, whatever the environment says. */
static void bound_attributes(uint32_t *limit, const char *name, const env_report *report)
{
    if (*limit > LOOM_SPAN_ATTRIBUTES_MAX) {
        env_report_value(report, name, str_of(getenv(name)), "is more than is kept", "1024");
        *limit = LOOM_SPAN_ATTRIBUTES_MAX;
    }
}

/* A limit of its own counts before the general one (OpenTelemetry, common, "Attribute Limits"). */
loom_span_limits limits_from_env(const env_report *report)
{
    loom_span_limits out = LOOM_SPAN_LIMITS_DEFAULT;
    read_limit(&out.attribute_count, "OTEL_ATTRIBUTE_COUNT_LIMIT", "128", report);
    bound_attributes(&out.attribute_count, "OTEL_ATTRIBUTE_COUNT_LIMIT", report);
    out.event_attribute_count = out.link_attribute_count = out.attribute_count;
    read_limit(&out.attribute_count, "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "the general limit", report);
    read_limit(&out.event_attribute_count, "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "the general limit", report);
    read_limit(&out.link_attribute_count, "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "the general limit", report);
    read_limit(&out.attribute_value_length, "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "no limit", report);
    read_limit(&out.attribute_value_length, "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "the general limit", report);
    read_limit(&out.event_count, "OTEL_SPAN_EVENT_COUNT_LIMIT", "128", report);
    read_limit(&out.link_count, "OTEL_SPAN_LINK_COUNT_LIMIT", "128", report);
    bound_attributes(&out.attribute_count, "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", report);
    bound_attributes(&out.event_attribute_count, "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", report);
    bound_attributes(&out.link_attribute_count, "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", report);
    return out;
}

loom_span_limits loom_span_limits_from_env(void)
{
    return limits_from_env(NULL);
}
