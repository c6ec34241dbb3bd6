/* SPDX-License-Identifier: Apache-2.0 */
/* Frames without an envelope on their way down to an agent: outcomes of what it asked for, and what is said of calls. */
#include <string.h>

#include "bridge/session/attempts.h"
#include "bridge/session/unsent.h"
#include "trace/messaging/message_span.h"

static loom_status put_notice(session *s, const frame_outcome *f)
{
    char text[FRAME_TEXT_MAX + 1];
    size_t len = f->text.len < FRAME_TEXT_MAX ? f->text.len : FRAME_TEXT_MAX;
    if (s->publishing != NULL) { /* it is not when the answer comes later */
        if (len > 0) {
            memcpy(text, f->text.data, len);
        }
        text[len] = '\0';
        loom_span_record_error(message_pass_span(s->publishing), loom_status_name((loom_status)f->status), text);
    }
    s->bridge->stats.refused++;
    return frame_put_outcome(&s->out, FRAME_NOTICE, f);
}

/* A reason is for people, but the broker's own are codes, and those make a good error.type. */
static bool is_code(loom_str reason)
{
    for (size_t i = 0; i < reason.len; i++) {
        char c = reason.data[i];
        if ((c < 'a' || c > 'z') && c != '_') {
            return false;
        }
    }
    return reason.len > 0;
}

static loom_status put_cancel(session *s, loom_bytes call_id, loom_str reason)
{
    attempts_end(s, call_id, FRAME_CALL_CANCELLED, is_code(reason) ? reason : (loom_str){0}, reason);
    if (unsent_drop(s, call_id)) {
        return LOOM_OK;
    }
    s->bridge->stats.cancels.down++;
    return frame_put_cancel(&s->out, call_id, reason);
}

/* Progress is news that nobody granted credit for: a provider that reports much must not end the session of a caller that
 * is slow. Chunks are within the caller's credit. */
static bool leaves_out(const session *s, const frame_report *f)
{
    return f->kind == FRAME_PROGRESS && s->calls.older + s->calls.newer > SESSION_PROGRESS_MAX &&
           session_waiting(s) > SESSION_PROGRESS_MAX;
}

static loom_status put_of_call(session *s, const frame *f)
{
    bridge_stats *stats = &s->bridge->stats;
    switch (f->type) {
    case FRAME_RESULT:
        stats->results.down++;
        return frame_put_result(&s->out, &f->u.result);
    case FRAME_REPORT:
        if (leaves_out(s, &f->u.report)) {
            stats->progress_dropped++;
            return LOOM_OK;
        }
        stats->reports.down++;
        return frame_put_report(&s->out, &f->u.report);
    case FRAME_CANCEL: return put_cancel(s, f->u.cancel.call_id, f->u.cancel.reason);
    case FRAME_CALL_CREDIT:
        return frame_put_call_credit(&s->out, f->u.call_credit.call_id, f->u.call_credit.chunks, f->u.call_credit.bytes);
    default: return LOOM_OK; /* nothing else comes down */
    }
}

/* The broker has no port for it any more. Nothing may be ended inside a handler of the bus, so the owner of the connection
 * does it at the end of the round. */
static void ended_by_broker(session *s, const frame_outcome *f)
{
    const loom_status why = f->status < INT32_MAX ? (loom_status)f->status : LOOM_EPROTO;
    const bool says_why = f->text.len > 0 && f->text.len < sizeof s->broker_text;
    if (says_why && s->doom == LOOM_OK) {
        memcpy(s->broker_text, f->text.data, f->text.len); /* the rest is zero */
    }
    session_doom(s, why, says_why ? s->broker_text : "the broker has ended this session");
    s->bridge->stats.replaced += why == LOOM_EREPLACED;
    s->io->output(s->io_user);
}

void session_answer(void *user, const frame *f)
{
    session *s = user;
    if (s->doom != LOOM_OK) {
        return;
    }
    const size_t mark = session_begin(s);
    switch (f->type) {
    case FRAME_ACK:
        session_commit(s, mark, SESSION_REPLY, frame_put_outcome(&s->out, FRAME_ACK, &f->u.outcome));
        break;
    case FRAME_NOTICE: session_commit(s, mark, SESSION_REPLY, put_notice(s, &f->u.outcome)); break;
    case FRAME_MATCHED: session_commit(s, mark, SESSION_REPLY, frame_put_matched(&s->out, &f->u.matched)); break;
    case FRAME_MOVE: session_commit(s, mark, SESSION_OTHER, s->moves ? frame_put_number(&s->out, FRAME_MOVE, f->u.number) : LOOM_OK); break;
    case FRAME_ERROR: ended_by_broker(s, &f->u.outcome); break;
    default: session_commit(s, mark, SESSION_CALL, put_of_call(s, f));
    }
}
