/* SPDX-License-Identifier: Apache-2.0 */
/* Calls: call and cancel, from an agent that calls others; result and report, from one that works on a call. Whether there is
 * such a call (any more) is for the broker to say.
 *
 * The envelope of a call is taken as that of a publish. There is no span here: between action.invoke and action.dispatch,
 * both of which say all there is to say, the bridge only passes it on. */
#include <stdio.h>
#include <string.h>

#include "bridge/session/attempts.h"
#include "bridge/session/incoming.h"
#include "envelope/id.h"

/* The bridge's own word: the call has not reached the bus. One without an id gets one here. */
static void refuse(session *s, const frame_call *f, frame_call_outcome outcome, const char *code, const char *text)
{
    uint8_t given[LOOM_UUID_SIZE];
    loom_bytes call_id = f->call_id;
    if (call_id.len == 0) {
        loom_uuid7_generate(given);
        call_id = (loom_bytes){given, sizeof given};
    }
    s->bridge->stats.refused++;
    session_answer(s, &(frame){.type = FRAME_RESULT,
                               .u.result = {.call_id = call_id,
                                            .outcome = outcome,
                                            .code = {code, strlen(code)},
                                            .text = {text, strlen(text)}}});
}

loom_status on_call(session *s, const frame_call *f, char reason[FRAME_REASON_SIZE])
{
    bridge *b = s->bridge;
    uint8_t *wire = (uint8_t *)(uintptr_t)f->envelope.data; /* the read buffer, which session_receive() may change */
    const char *fault = "";
    envelope_view view;
    uint32_t used = 0;
    loom_status st = incoming_take(s, &wire, f->envelope.len, &view, &used, &fault);
    if (st == LOOM_ETOOBIG) {
        refuse(s, f, FRAME_CALL_TOO_LARGE, "call_too_large", fault);
        return LOOM_OK;
    }
    if (st != LOOM_OK) {
        snprintf(reason, FRAME_REASON_SIZE, "call frame: envelope: %s", fault);
        return st;
    }
    if (used < f->envelope.len) {
        snprintf(reason, FRAME_REASON_SIZE, "call frame: %zu bytes after its envelope", f->envelope.len - used);
        return LOOM_EMALFORMED;
    }
    if (!incoming_is_own(s, &view)) {
        refuse(s, f, FRAME_CALL_DENIED, "sender", "the sender is not the agent of this session");
        return LOOM_OK;
    }
    b->stats.calls.up++;
    b->options.bus->ops->call(b->options.bus, s->port, f, &view, wire);
    return LOOM_OK;
}

void on_cancel(session *s, const frame *f)
{
    s->bridge->stats.cancels.up++;
    session_pass_up(s, f);
}

void on_result(session *s, const frame *f)
{
    const frame_result *result = &f->u.result;
    s->bridge->stats.results.up++;
    attempts_end(s, result->call_id, result->outcome, result->code, result->text);
    session_pass_up(s, f);
}

void on_report(session *s, const frame *f)
{
    s->bridge->stats.reports.up++;
    session_pass_up(s, f);
}
