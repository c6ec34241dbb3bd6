/* SPDX-License-Identifier: Apache-2.0 */
/* What a process was started with: the command line, then the environment, level by level. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/last_error.h"
#include "base/str.h"
#include "trace/carrier/fields.h"

static size_t give(loom_str value, loom_str *values, size_t max)
{
    if (value.len == 0) {
        return 0; /* empty is unset (OpenTelemetry, "Parsing empty value") */
    }
    if (max > 0) {
        values[0] = value;
    }
    return 1;
}

static size_t environment_get(void *user, const char *name, loom_str *values, size_t max)
{
    (void)user;
    char variable[FIELD_NAME_SIZE];
    field_variable(variable, name);
    return give(str_trim_lines(str_of(getenv(variable))), values, max); /* not everybody exports "$(cat file)" */
}

static void environment_keys(void *user, bool (*visit)(void *to, loom_str name), void *to)
{
    (void)user;
    for (char **at = environ; at != NULL && *at != NULL; at++) {
        if (!visit(to, (loom_str){*at, strcspn(*at, "=")})) {
            return;
        }
    }
}

loom_carrier loom_environment_carrier(void)
{
    return (loom_carrier){.get = environment_get, .keys = environment_keys};
}

/* ---- the command line ---- */

static size_t argument_get(void *user, const char *name, loom_str *values, size_t max)
{
    const loom_propagation_arguments *arguments = user;
    const char *value = strcmp(name, "--trace-parent") == 0  ? arguments->trace_parent
                        : strcmp(name, "--trace-state") == 0 ? arguments->trace_state
                                                             : arguments->baggage;
    loom_str text = str_trim_lines(str_of(value));
    if (value != NULL && text.len == 0) {
        text = str_of(value); /* an empty option was meant for something, unlike an empty variable */
        if (max > 0) {
            values[0] = text;
        }
        return 1;
    }
    return give(text, values, max);
}

static void read_arguments(loom_propagation *out, field_source *from)
{
    const loom_propagation_arguments *arguments = from->carrier->user;
    if (traceparent_read_as(out, from, "--trace-parent", "--trace-parent")) {
        out->tracestate = tracestate_read(from, "--trace-state");
    } else if (arguments->trace_parent == NULL && arguments->trace_state != NULL) {
        field_report(from, "--trace-state", str_of(arguments->trace_state), "comes without --trace-parent");
    }
    out->baggage = baggage_read(from, "--baggage");
}

/* ---- the levels ---- */

static void read_environment(loom_propagation *out, field_source *from, unsigned propagators)
{
    if (out->answered == 0) {
        propagators_read(out, from, propagators);
    }
    if (out->answered == 0 && (propagators & LOOM_PROPAGATOR_TRACECONTEXT) != 0) {
        (void)traceparent_read_as(out, from, "otel-traceparent", "OTEL_TRACEPARENT");
    }
    if (out->answered == 0 && propagators != 0) {
        (void)ids_read(out, from, "loom-trace-id", "loom-span-id", "LOOM_TRACE_ID");
    }
    if ((propagators & LOOM_PROPAGATOR_BAGGAGE) != 0) {
        if (out->baggage.len == 0) {
            out->baggage = baggage_read(from, "baggage");
        }
        if (out->baggage.len == 0) {
            out->baggage = baggage_read(from, "loom-trace-baggage");
        }
    }
}

loom_status loom_propagation_from_environment(loom_propagation *out, const loom_propagation_arguments *arguments,
                                              unsigned propagators, const loom_propagation_report *report)
{
    static const loom_propagation_arguments none;
    if (out == NULL) {
        return last_error_null("the place for what is extracted");
    }
    const loom_carrier line = {.get = argument_get, .user = (void *)(uintptr_t)(arguments != NULL ? arguments : &none)};
    const loom_carrier environment = loom_environment_carrier();
    field_source first = {.carrier = &line, .report = report};
    field_source second = {.carrier = &environment, .report = report, .environment = true};
    *out = (loom_propagation){0};
    read_arguments(out, &first);
    read_environment(out, &second, propagators);
    return first.no_memory || second.no_memory ? LOOM_ENOMEM : LOOM_OK;
}
