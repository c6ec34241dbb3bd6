/* SPDX-License-Identifier: Apache-2.0 */
/* Names and numbers of severities (OpenTelemetry, Logs Data Model, "Displaying Severity"). */
#include "base/str.h"
#include "trace/log/severity.h"

#include <stdlib.h>

bool loom_severity_parse(loom_severity *out, loom_str text)
{
    static const struct {
        const char *name;
        loom_severity severity;
    } names[] = {
        {"trace", LOOM_SEVERITY_TRACE},  {"debug", LOOM_SEVERITY_DEBUG}, {"info", LOOM_SEVERITY_INFO},
        {"warn", LOOM_SEVERITY_WARN},    {"warning", LOOM_SEVERITY_WARN}, {"error", LOOM_SEVERITY_ERROR},
        {"fatal", LOOM_SEVERITY_FATAL},  {"all", LOOM_SEVERITY_TRACE},    {"none", LOOM_SEVERITY_OFF},
        {"off", LOOM_SEVERITY_OFF},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (str_is_any_case(text, names[i].name)) {
            *out = names[i].severity;
            return true;
        }
    }
    return false;
}

const char *loom_severity_name(loom_severity severity)
{
    static const char *const names[] = {
        "trace", "trace2", "trace3", "trace4", "debug", "debug2", "debug3", "debug4", "info",  "info2",  "info3",  "info4",
        "warn",  "warn2",  "warn3",  "warn4",  "error", "error2", "error3", "error4", "fatal", "fatal2", "fatal3", "fatal4",
    };
    return severity_valid(severity) ? names[severity - 1] : "unknown";
}

loom_severity loom_severity_from_env(void)
{
    loom_severity severity = LOOM_SEVERITY_INFO;
    (void)loom_severity_parse(&severity, str_trim(str_of(getenv("OTEL_LOG_LEVEL"))));
    return severity;
}
