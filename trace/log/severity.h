/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOOM_TRACE_LOG_SEVERITY_H
#define LOOM_TRACE_LOG_SEVERITY_H

#include <loom/log.h>

static inline bool severity_valid(loom_severity severity)
{
    return severity >= LOOM_SEVERITY_TRACE && severity < LOOM_SEVERITY_OFF;
}

#endif
