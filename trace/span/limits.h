/* SPDX-License-Identifier: Apache-2.0 */
/* How much a span keeps, as the environment has it. */
#ifndef LOOM_TRACE_SPAN_LIMITS_H
#define LOOM_TRACE_SPAN_LIMITS_H

#include "trace/export/env_report.h"

/* loom_span_limits_from_env(), with a report of what makes no sense. report may be NULL. */
loom_span_limits limits_from_env(const env_report *report);

#endif
