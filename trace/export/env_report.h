/* SPDX-License-Identifier: Apache-2.0 */
/* How a variable of the environment that makes no sense is reported: its name, its value, what is used instead. */
#ifndef LOOM_TRACE_EXPORT_ENV_REPORT_H
#define LOOM_TRACE_EXPORT_ENV_REPORT_H

#include <loom/trace.h>

/* NULL wherever one is asked for: nobody wants to know. */
typedef struct env_report {
    void (*tell)(void *user, const char *text);
    void *user;
} env_report;

/* "NAME: "value" is no sampler; using this instead". fault: "is no sampler". The value is cut, and made printable. */
void env_report_value(const env_report *report, const char *name, loom_str value, const char *fault, const char *instead);

/* loom_span_processor_options_from_env(), with a report. False: the SDK is disabled, and no other variable counts. */
bool env_check_exporter(loom_span_processor_options *out, const env_report *report);

/* An empty variable counts as unset (OpenTelemetry, environment variables, "Parsing empty value"). */
const char *env_get(const char *name);

typedef struct env_variable {
    const char *name, *value; /* value NULL: not set */
} env_variable;
/* The first that is set; neither: the second, without a value. */
env_variable env_get_either(const char *name, const char *fallback);

#endif
