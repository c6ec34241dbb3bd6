/* SPDX-License-Identifier: Apache-2.0 */
/* result and report, from an agent that works on a call. Whether there is such a call (any more) is for the broker to say. */
#include "bridge/session/attempts.h"

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
