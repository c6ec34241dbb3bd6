/* SPDX-License-Identifier: Apache-2.0 */
/* credit: how much more the agent takes, as totals since hello. Smaller totals than before are ignored. */
#include "bridge/session/session.h"

void on_credit(session *s, uint64_t messages, uint64_t bytes)
{
    if (messages > s->credit_messages) {
        s->credit_messages = messages;
    }
    if (bytes > s->credit_bytes) {
        s->credit_bytes = bytes;
    }
    session_apply_credit(s, true);
}
