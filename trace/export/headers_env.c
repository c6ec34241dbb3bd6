/* SPDX-License-Identifier: Apache-2.0 */
/* OTEL_EXPORTER_OTLP_HEADERS and its form for traces (OTLP exporter configuration). They hold secrets: of one that makes no
 * sense only the name is shown. */
#include "base/percent.h"
#include "base/str.h"
#include "trace/export/exporter.h"

#include <string.h>

typedef struct header_walk {
    const char *variable, *instead;
    const env_report *report;
    size_t good, bad;
} header_walk;

static void on_bad_pair(void *user, loom_str pair)
{
    header_walk *walk = user;
    const char *equals = memchr(pair.data, '=', pair.len);
    const loom_str key = {pair.data, equals != NULL ? (size_t)(equals - pair.data) : 0};
    walk->bad++;
    env_report_value(walk->report, walk->variable, key, "is no header as key=value, percent-encoded", walk->instead);
}

static bool on_pair(void *user, const char *key, const char *value)
{
    header_walk *walk = user;
    if (otlp_header_valid(key, value)) {
        walk->good++;
    } else {
        walk->bad++;
        env_report_value(walk->report, walk->variable, str_of(key), "is no header that can be sent", walk->instead);
    }
    return true;
}

static void report_bad(env_variable v, const char *instead, const env_report *report)
{
    header_walk walk = {.variable = v.name, .instead = instead, .report = report};
    (void)percent_pairs_checked(v.value, on_pair, on_bad_pair, &walk);
    if (walk.good + walk.bad == 0) {
        env_report_value(report, v.name, str_of(v.value), "names no header", instead);
    }
}

const char *otlp_headers_from_env(const env_report *report)
{
    static const char *const names[] = {"OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"};
    enum { NAMES = sizeof names / sizeof *names };
    const char *used = NULL;
    for (size_t i = 0; i < NAMES && used == NULL; i++) {
        const env_variable v = {names[i], env_get(names[i])};
        const char *weaker = i + 1 < NAMES && env_get(names[i + 1]) != NULL ? names[i + 1] : "no header";
        header_walk walk = {.variable = v.name};
        if (v.value == NULL) {
            continue;
        }
        const loom_status st = percent_pairs_checked(v.value, on_pair, on_bad_pair, &walk);
        used = st != LOOM_OK || walk.good > 0 ? v.value : NULL; /* no memory is no fault of the variable's */
        if (report != NULL) {
            report_bad(v, used != NULL ? "the other headers" : weaker, report);
        }
    }
    return used;
}
