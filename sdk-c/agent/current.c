/* SPDX-License-Identifier: Apache-2.0 */
#include "sdk-c/agent/current.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "trace/span/start.h"

_Thread_local current_message current_of_thread;

loom_status origin_take(origin *o)
{
    const loom_trace_context *context = loom_context_current();
    loom_str tracestate = loom_context_current_tracestate();
    if (tracestate.len > 0 && (o->tracestate = strndup(tracestate.data, tracestate.len)) == NULL) {
        return LOOM_ENOMEM;
    }
    if (context != NULL) {
        o->context = *context;
        o->remote = context_current_is_remote();
    }
    loom_envelope *message = current_get().envelope;
    o->message = message != NULL ? loom_envelope_ref(message) : NULL;
    return LOOM_OK;
}

void origin_fini(origin *o)
{
    loom_envelope_unref(o->message);
    free(o->tracestate);
}

callback_scope callback_begin(agent_loop *loop, const origin *o)
{
    callback_scope scope = {.handling = loop_handling_begin(loop)};
    loop_before_handler(loop);
    if (loom_trace_context_valid(&o->context)) {
        scope.token = (o->remote ? loom_context_push : context_push_local)(&o->context, str_of(o->tracestate));
    }
    scope.outer = current_set((current_message){.envelope = o->message});
    return scope;
}

void callback_end(agent_loop *loop, callback_scope scope)
{
    (void)current_set(scope.outer);
    if (scope.token != 0) {
        loom_context_pop(scope.token);
    }
    loop_after_handler(loop);
    loop_handling_end(loop, scope.handling);
}
