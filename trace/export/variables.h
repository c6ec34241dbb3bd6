/* SPDX-License-Identifier: Apache-2.0 */
/* Every variable of the OpenTelemetry specification by its name, and those of its older relatives that tracing reads: which
 * are honoured (docs/OPENTELEMETRY.md says how), and which somebody has misspelt. */
#ifndef LOOM_TRACE_EXPORT_VARIABLES_H
#define LOOM_TRACE_EXPORT_VARIABLES_H

#include "trace/export/env_report.h"

typedef enum variable_kind {
    VARIABLE_HONOURED,
    VARIABLE_FOREIGN, /* of another signal or exporter: known, and none of tracing's business */
    VARIABLE_REFUSED, /* of tracing's business, and not supported */
    VARIABLE_ALIAS    /* a wrong name that is read all the same, or at least understood */
} variable_kind;

typedef struct variable {
    const char *name;
    variable_kind kind;
    const char *proper; /* of an alias: the right name */
} variable;

const variable *variables(size_t *count);
/* NULL: none is called that. */
const variable *variable_find(loom_str name);

/* Reports the variables of the environment whose names are nearly one that is honoured. */
void variables_check_names(const env_report *report);

#endif
