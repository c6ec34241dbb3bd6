/* SPDX-License-Identifier: Apache-2.0 */
/* What in the environment makes no sense to tracing, for a program that says so at its start. */
#include "base/percent.h"
#include "base/str.h"
#include "trace/export/exporter.h"
#include "trace/export/rewrite.h"
#include "trace/span/propagators.h"
#include "trace/span/sampler.h"

#include <string.h>

static void on_bad_pair(void *user, loom_str pair)
{
    env_report_value(user, "OTEL_RESOURCE_ATTRIBUTES", pair, "is no key=value, percent-encoded", "the other pairs");
}

/* Headers hold secrets: of a bad one only the key is shown. */
static void on_bad_header(void *user, loom_str pair)
{
    const char *equals = memchr(pair.data, '=', pair.len);
    loom_str key = {pair.data, equals != NULL ? (size_t)(equals - pair.data) : 0};
    env_report_value(user, "OTEL_EXPORTER_OTLP_HEADERS", key, "is no header as key=value, percent-encoded", "the other headers");
}

static bool check_header(void *user, const char *key, const char *value)
{
    if (!otlp_header_valid(key, value)) {
        env_report_value(user, "OTEL_EXPORTER_OTLP_HEADERS", str_of(key), "is no HTTP header", "the other headers");
    }
    return true;
}

static bool accept(void *user, const char *key, const char *value)
{
    (void)user;
    (void)key;
    (void)value;
    return true;
}

void loom_telemetry_check_env(void (*tell)(void *user, const char *text), void *user)
{
    env_report report = {tell, user};
    loom_span_processor_options options;
    if (!env_check_exporter(&options, &report)) {
        return;
    }
    (void)sampler_from_env(&report);
    (void)propagators_from_env(&report);
    span_chain chain = {0};
    (void)chain_add_from_env(&chain, &report);
    span_chain_fini(&chain);
    /* out of memory is no fault of the environment's */
    (void)percent_pairs_checked(env_get("OTEL_RESOURCE_ATTRIBUTES"), accept, on_bad_pair, &report);
    (void)percent_pairs_checked(options.headers, check_header, on_bad_header, &report);
}
