/* SPDX-License-Identifier: Apache-2.0 */
#include "sdk-c/message_attrs.h"

#include <string.h>

#include "envelope/id.h"

static loom_attr text(const char *key, loom_str value)
{
    return (loom_attr){.key = key, .type = LOOM_ATTR_STRING, .value.string = value};
}

static loom_str str(const char *s)
{
    return (loom_str){s, strlen(s)};
}

void message_attrs_fill(message_attrs *out, const message_facts *facts)
{
    loom_uuid_to_text(out->event_id, facts->id);
    loom_str id = {out->event_id, LOOM_UUID_TEXT_SIZE - 1};
    loom_str thread = facts->thread_id.len > 0 ? facts->thread_id : id;
    loom_str correlation = facts->correlation_id.len > 0 ? facts->correlation_id : thread;
    const loom_attr items[MESSAGE_ATTRS] = {
        text("messaging.system", str("loom")),
        text("messaging.operation.type", str(facts->operation_type)),
        text("messaging.operation.name", str(facts->operation_name)),
        text("messaging.destination.name", facts->topic),
        text("messaging.message.id", id),
        text("messaging.message.conversation_id", correlation),
        text("messaging.client.id", facts->agent),
        text("agent_id", facts->agent),
        text("topic", facts->topic),
        text("event_id", id),
        text("thread_id", thread),
        text("correlation_id", correlation),
        {.key = "messaging.message.body.size", .type = LOOM_ATTR_INT, .value.integer = (int64_t)facts->payload_len},
    };
    memcpy(out->items, items, sizeof items);
}
