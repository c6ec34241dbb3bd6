/* SPDX-License-Identifier: Apache-2.0 */
/* Variables of the environment: read by the rules of the OpenTelemetry specification ("Environment Variable
 * Specification"), and reported when their value makes no sense: its name, its value, what is used instead.
 *
 * An empty variable counts as unset. Names of values are read in any letter case. A setting may have several variables, the
 * strongest first: one whose value makes no sense is reported, and the next one counts. */
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

const char *env_get(const char *name);

typedef struct env_variable {
    const char *name, *value; /* value NULL: not set */
} env_variable;
/* The first that is set; neither: the second, without a value. */
env_variable env_get_either(const char *name, const char *fallback);

#define ENV_NAMES_MAX 3u
/* The variables of one setting, the strongest first; the rest is NULL. */
typedef struct env_names {
    const char *name[ENV_NAMES_MAX];
} env_names;
/* The first that is set. value NULL: none. */
env_variable env_first(const env_names *names);

/* What a reader says of a value that makes no sense. */
typedef struct env_fault {
    const char *fault;   /* "is no number of spans" */
    const char *instead; /* "512", when no weaker variable is set */
} env_fault;
/* What counts when names->name[i] makes no sense: the next one that is set, else instead. */
const char *env_instead(const env_names *names, size_t i, const char *instead);

/* false: none is set to something that makes sense, and *out is as it was. */
bool env_read_number(uint32_t *out, const env_names *names, uint32_t min, env_fault fault, const env_report *report);
/* Only "true" is true, and only "false" is false. */
bool env_read_bool(bool *out, const env_names *names, const char *instead, const env_report *report);
/* *out becomes the index of one of choices, whose end is NULL. */
bool env_read_choice(size_t *out, const env_names *names, const char *const *choices, env_fault fault,
                     const env_report *report);

/* environment.c: loom_span_processor_options_from_env(), with a report. False: the SDK is disabled, and no other variable
 * counts. */
bool env_check_exporter(loom_span_processor_options *out, const env_report *report);

#endif
