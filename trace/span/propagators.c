/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/span/propagators.h"

#include "base/str.h"

#define NAME "OTEL_PROPAGATORS"

/* 0: not one of ours. */
static unsigned find(loom_str name)
{
    static const struct {
        const char *name;
        propagator bit;
    } known[] = {
        {"tracecontext", PROPAGATOR_TRACECONTEXT},
        {"baggage", PROPAGATOR_BAGGAGE},
        {"b3", PROPAGATOR_B3},
        {"b3multi", PROPAGATOR_B3MULTI},
        {"x-trace-id", PROPAGATOR_X_TRACE_ID},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (str_is_any_case(name, known[i].name)) {
            return known[i].bit;
        }
    }
    return 0;
}

/* The specification's other names. */
static bool is_unsupported(loom_str name)
{
    return str_is_any_case(name, "jaeger") || str_is_any_case(name, "xray") || str_is_any_case(name, "ottrace");
}

unsigned propagators_parse(const char *list, const env_report *report)
{
    unsigned set = 0;
    bool none = false;
    loom_str rest = str_of(list), item;
    while (str_next_item(&rest, ',', &item)) {
        item = str_trim(item);
        const unsigned bit = find(item);
        set |= bit;
        if (str_is_any_case(item, "none")) {
            none = true;
        } else if (bit == 0 && item.len > 0) {
            env_report_value(report, NAME, item, is_unsupported(item) ? "is not supported" : "is no propagator",
                             "the others of the list, or tracecontext,baggage");
        }
    }
    if (none && set != 0) {
        env_report_value(report, NAME, str_of("none"), "stands beside other propagators", "these");
    }
    return set == 0 && !none ? PROPAGATORS_DEFAULT : set;
}

unsigned propagators_from_env(const env_report *report)
{
    return propagators_parse(env_get(NAME), report);
}
