/* SPDX-License-Identifier: Apache-2.0 */
#include "sdk-c/agent/wiring.h"

#include "sdk-c/actions/actions.h"
#include "sdk-c/agent/report.h"
#include "sdk-c/agent/keeps.h"
#include "sdk-c/agent/spans.h"
#include "sdk-c/collaboration/mailbox.h"
#include "sdk-c/events/dispatch.h"
#include "sdk-c/events/subscribe.h"

/* ---- frames ---- */

static loom_status on_deliver(loom_agent *a, const frame *f)
{
    return dispatch_batch(a, &f->u.batch);
}

/* Requests of both kinds are answered by the same frame. */
static loom_status on_ack(loom_agent *a, const frame *f)
{
    if (!capabilities_on_ack(a, &f->u.outcome)) {
        subscriptions_on_ack(a, &f->u.outcome);
    }
    return LOOM_OK;
}

static loom_status on_call(loom_agent *a, const frame *f)
{
    return actions_on_call(a, &f->u.call);
}

static loom_status on_cancel(loom_agent *a, const frame *f)
{
    actions_on_cancel(a, f->u.cancel.call_id);
    return LOOM_OK;
}

static loom_status on_call_credit(loom_agent *a, const frame *f)
{
    actions_on_credit(a, f->u.call_credit.call_id, f->u.call_credit.chunks, f->u.call_credit.bytes);
    return LOOM_OK;
}

static loom_status on_result(loom_agent *a, const frame *f)
{
    open_calls_on_result(a, &f->u.result);
    return LOOM_OK;
}

static loom_status on_report(loom_agent *a, const frame *f)
{
    return open_calls_on_report(a, &f->u.report);
}

static loom_status on_matched(loom_agent *a, const frame *f)
{
    exchanges_on_matched(a, &f->u.matched);
    return LOOM_OK;
}

static loom_status on_span_credit(loom_agent *a, const frame *f)
{
    agent_spans_answered(a, &f->u.span_credit);
    return LOOM_OK;
}

static loom_status on_keep(loom_agent *a, const frame *f)
{
    (void)a;
    agent_keeps_told(&f->u.keep);
    return LOOM_OK;
}

static loom_status on_move(loom_agent *a, const frame *f)
{
    session_ask_to_move(&a->session, f->u.number);
    return LOOM_OK;
}

/* ---- the session begins and ends ---- */

static loom_status begun(loom_agent *a, const frame_welcome *f)
{
    agent_spans_begun(a, f->span_credit);
    agent_keeps_begun(a, f->recorder);
    loom_status st = subscriptions_announce(a);
    return st == LOOM_OK ? actions_announce(a) : st;
}

static void broken(loom_agent *a)
{
    agent_spans_broken(a);
    agent_keeps_broken(a);
    subscriptions_broken(a);
    actions_broken(a);
}

const session_ops agent_session_ops = {
    .begun = begun,
    .broken = broken,
    .tell_broken = actions_tell_broken,
    .between_frames = dispatch_kept,
    .refused = report_refusal,
    .state_changed = report_state,
    .parting = agent_keeps_hand_over,
    .busy = actions_busy,
    .frames = {[FRAME_DELIVER] = on_deliver,
               [FRAME_ACK] = on_ack,
               [FRAME_CALL] = on_call,
               [FRAME_CANCEL] = on_cancel,
               [FRAME_CALL_CREDIT] = on_call_credit,
               [FRAME_RESULT] = on_result,
               [FRAME_REPORT] = on_report,
               [FRAME_SPAN_CREDIT] = on_span_credit,
               [FRAME_MATCHED] = on_matched,
               [FRAME_KEEP] = on_keep,
               [FRAME_KEEP_LAST] = on_keep,
               [FRAME_MOVE] = on_move},
};
