/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a carrier by a set of propagators. */
#include "base/last_error.h"
#include "trace/carrier/fields.h"

#include "trace/span/propagators.h"

_Static_assert((int)LOOM_PROPAGATOR_TRACECONTEXT == (int)PROPAGATOR_TRACECONTEXT &&
                   (int)LOOM_PROPAGATOR_BAGGAGE == (int)PROPAGATOR_BAGGAGE && (int)LOOM_PROPAGATOR_B3 == (int)PROPAGATOR_B3 &&
                   (int)LOOM_PROPAGATOR_B3MULTI == (int)PROPAGATOR_B3MULTI &&
                   (int)LOOM_PROPAGATOR_X_TRACE_ID == (int)PROPAGATOR_X_TRACE_ID &&
                   LOOM_PROPAGATORS_DEFAULT == PROPAGATORS_DEFAULT,
               "one set of bits under two names");

unsigned loom_propagators_from_env(void)
{
    return propagators_from_env(NULL);
}

void propagators_read(loom_propagation *out, field_source *from, unsigned propagators)
{
    const unsigned b3 = (unsigned)LOOM_PROPAGATOR_B3 | (unsigned)LOOM_PROPAGATOR_B3MULTI;
    bool answered = (propagators & LOOM_PROPAGATOR_TRACECONTEXT) != 0 && tracecontext_read(out, from);
    answered = answered || ((propagators & b3) != 0 && b3_read(out, from));
    if (!answered && (propagators & LOOM_PROPAGATOR_X_TRACE_ID) != 0) {
        (void)ids_read(out, from, "x-trace-id", "x-span-id", from->environment ? "X_TRACE_ID" : "x-trace-id");
    }
}

loom_status loom_propagation_extract(loom_propagation *out, const loom_carrier *carrier, unsigned propagators,
                                     const loom_propagation_report *report)
{
    static const loom_carrier nothing;
    if (out == NULL) {
        return last_error_null("the place for what is extracted");
    }
    field_source from = {.carrier = carrier != NULL ? carrier : &nothing, .report = report};
    *out = (loom_propagation){0};
    propagators_read(out, &from, propagators);
    if ((propagators & LOOM_PROPAGATOR_BAGGAGE) != 0) {
        out->baggage = baggage_read(&from, "baggage");
    }
    return from.no_memory ? LOOM_ENOMEM : LOOM_OK;
}

void loom_propagation_fini(loom_propagation *p)
{
    if (p == NULL) {
        return;
    }
    field_drop(&p->tracestate);
    field_drop(&p->baggage);
    *p = (loom_propagation){0};
}

loom_span_options loom_propagation_span_options(const loom_propagation *p, loom_span_kind kind)
{
    if (p == NULL) {
        return (loom_span_options){.kind = kind};
    }
    return (loom_span_options){.kind = kind, .parent = &p->context, .parent_is_remote = true, .tracestate = p->tracestate};
}
