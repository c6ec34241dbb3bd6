/* SPDX-License-Identifier: Apache-2.0 */
/* call: this broker has no providers, and says so at once. */
#include <string.h>

#include "bridge/session.h"

void on_call(session *s, const frame_call *f)
{
    static const char text[] = "no agent provides this capability";
    frame_result result = {
        .call_id = f->call_id,
        .outcome = FRAME_CALL_NO_RESPONDERS,
        .text = {text, sizeof text - 1},
    };
    size_t before = s->out.len;
    session_appended(s, frame_put_result(&s->out, &result));
    s->reply_bytes += s->out.len - before;
    session_wake(s, before);
}
