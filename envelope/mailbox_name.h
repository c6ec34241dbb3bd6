/* SPDX-License-Identifier: Apache-2.0 */
/* Where an agent's answers go: agent.ID.replies (WIRE.md 4.8). */
#ifndef LOOM_ENVELOPE_MAILBOX_NAME_H
#define LOOM_ENVELOPE_MAILBOX_NAME_H

#include "base/str.h"

#define MAILBOX_PREFIX "agent."
#define MAILBOX_SUFFIX ".replies"

/* Whose mailbox the topic is, in its bytes. Empty: it is nobody's. */
static inline loom_str mailbox_agent(loom_str topic)
{
    const size_t before = sizeof MAILBOX_PREFIX - 1, behind = sizeof MAILBOX_SUFFIX - 1;
    if (topic.len <= before + behind || !str_starts_with(topic, MAILBOX_PREFIX) ||
        !str_same(topic.data + topic.len - behind, MAILBOX_SUFFIX, behind)) {
        return (loom_str){NULL, 0};
    }
    const loom_str id = {topic.data + before, topic.len - before - behind};
    return memchr(id.data, '.', id.len) == NULL ? id : (loom_str){NULL, 0};
}

#endif
