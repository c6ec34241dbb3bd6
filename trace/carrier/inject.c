/* SPDX-License-Identifier: Apache-2.0 */
/* Writing a context into a carrier by a set of propagators. */
#include "base/last_error.h"
#include "trace/carrier/fields.h"

static void keep_first(loom_status *first, loom_status st)
{
    *first = *first != LOOM_OK ? *first : st;
}

loom_propagation propagation_current(void)
{
    const loom_trace_context *context = loom_context_current();
    return context != NULL ? (loom_propagation){.context = *context, .tracestate = loom_context_current_tracestate()}
                           : (loom_propagation){0};
}

static loom_status write_context(const loom_carrier *to, const loom_propagation *what, unsigned propagators)
{
    loom_status st = LOOM_OK;
    if ((propagators & LOOM_PROPAGATOR_TRACECONTEXT) != 0) {
        keep_first(&st, tracecontext_write(to, what));
    }
    if ((propagators & LOOM_PROPAGATOR_B3) != 0) {
        keep_first(&st, b3_write_single(to, what));
    }
    if ((propagators & LOOM_PROPAGATOR_B3MULTI) != 0) {
        keep_first(&st, b3_write_multi(to, what));
    }
    if ((propagators & LOOM_PROPAGATOR_X_TRACE_ID) != 0) {
        keep_first(&st, ids_write_uuids(to, &what->context));
    }
    return st;
}

loom_status loom_propagation_inject(const loom_carrier *to, const loom_propagation *what, unsigned propagators)
{
    loom_status st = LOOM_OK;
    if (to == NULL || to->set == NULL) {
        return last_error(LOOM_EINVAL, "there is no carrier, or it has no set to write fields with");
    }
    const loom_propagation current = propagation_current();
    const loom_propagation *written = what != NULL ? what : &current;
    if (loom_trace_context_valid(&written->context)) {
        st = write_context(to, written, propagators);
    }
    if (what != NULL && (propagators & LOOM_PROPAGATOR_BAGGAGE) != 0) {
        keep_first(&st, baggage_write(to, what->baggage));
    }
    return st;
}

loom_status loom_propagation_echo(const loom_carrier *response, const loom_trace_context *context)
{
    if (response == NULL || response->set == NULL) {
        return last_error(LOOM_EINVAL, "there is no carrier, or it has no set to write fields with");
    }
    return context != NULL && loom_trace_context_valid(context) ? ids_write_uuids(response, context) : LOOM_OK;
}
