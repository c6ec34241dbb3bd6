/* SPDX-License-Identifier: Apache-2.0 */
/* spans and recorded: what the agent has traced, to be exported with our own, or to be recorded here since it leaves. Nothing here makes
 * a span, or there would be no end to it. */
#include "bridge/session/agents.h"
#include "bridge/session/session.h"
#include "base/utf8.h"

static void answer(session *s)
{
    const size_t mark = session_begin(s);
    const frame_span_credit totals = span_sender_answer(s->spans);
    session_commit(s, mark, SESSION_REPLY, frame_put_span_credit(&s->out, &totals));
}

/* It has waited for credit, and has some. */
static void on_resumed(void *user)
{
    answer(user);
}

static bool find_agent(void *user, loom_str id, const span_sender **sender)
{
    const session *other = agents_find(((const session *)user)->bridge, id);
    *sender = other != NULL ? other->spans : NULL;
    return other != NULL;
}

uint64_t session_open_spans(session *s, const frame_hello *f)
{
    if (f->service.len == 0 || !utf8_valid(f->service) || !utf8_valid(f->service_instance) || !utf8_valid(f->tenant)) {
        return 0;
    }
    const span_sender_options options = {
        .agent = session_agent(s),
        .service = f->service,
        .service_instance = f->service_instance,
        .tenant = f->tenant,
        .find_agent = find_agent,
        .resumed = on_resumed,
        .user = s,
    };
    if (span_sender_open(s->bridge->options.spans, &s->spans, &options) == LOOM_EDENIED) {
        session_log(s, LINES_REFUSALS, LOG_WARN, "spans refused: their service is another's");
    }
    return span_sender_credit(s->spans);
}

void on_spans(session *s, const frame_spans *f)
{
    span_refusal why;
    const uint64_t refused = span_sender_take(s->bridge->options.spans, s->spans, f, &why);
    if (refused > 0) {
        session_log(s, LINES_REFUSALS, LOG_WARN, "spans refused: %s count=%llu", span_refusal_text(why), (unsigned long long)refused);
    }
    if (s->spans != NULL && why != SPAN_REFUSED_CREDIT) {
        answer(s);
    }
}

void on_recorded(session *s, const frame_spans *f)
{
    span_refusal why;
    const uint64_t refused = span_sender_hand_over(s->bridge->options.spans, s->spans, f, &why);
    if (refused > 0) {
        session_log(s, LINES_REFUSALS, LOG_WARN, "recorded spans refused: %s count=%llu", span_refusal_text(why),
                    (unsigned long long)refused);
    }
}
