/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/messaging/message_span.h"

#include "base/utf8.h"
#include "envelope/id.h"
#include "trace/messaging/message_record.h"
#include "trace/messaging/message_template.h"
#include "trace/span/provider.h"

#include <assert.h>

#define TEXT(s) {.data = s, .len = sizeof(s) - 1}

/* "send" is what the conventions call a producer's part; "publish", which they once had for it, is deprecated as a type
 * and stays as a name. For a message dropped they have no type. */
static const struct {
    loom_str type, name; /* of the operation */
} hops[] = {
    [HOP_AGENT_EMIT] = {TEXT("send"), TEXT("emit")},
    [HOP_BRIDGE_PUBLISH] = {TEXT("receive"), TEXT("publish")},
    [HOP_EVENTBUS_PUBLISH] = {TEXT("send"), TEXT("publish")},
    [HOP_EVENTBUS_DROP] = {TEXT(""), TEXT("drop")},
    [HOP_BRIDGE_FORWARD] = {TEXT("send"), TEXT("forward")},
    [HOP_AGENT_ON_EVENT] = {TEXT("process"), TEXT("on_event")},
};

const span_what message_hops[] = {
    [HOP_AGENT_EMIT] = {"agent.emit", LOOM_SPAN_PRODUCER},
    [HOP_BRIDGE_PUBLISH] = {"bridge.publish", LOOM_SPAN_CONSUMER},
    [HOP_EVENTBUS_PUBLISH] = {"eventbus.publish", LOOM_SPAN_INTERNAL},
    [HOP_EVENTBUS_DROP] = {"eventbus.drop", LOOM_SPAN_INTERNAL},
    [HOP_BRIDGE_FORWARD] = {"bridge.forward", LOOM_SPAN_PRODUCER},
    [HOP_AGENT_ON_EVENT] = {"agent.on_event", LOOM_SPAN_CONSUMER},
};

enum {
    KEY_SYSTEM,
    KEY_OPERATION_TYPE,
    KEY_OPERATION_NAME,
    KEY_DESTINATION,
    KEY_MESSAGE_ID,
    KEY_CONVERSATION_ID,
    KEY_CLIENT_ID,
    KEY_BODY_SIZE,
    KEY_AGENT_ID,
    KEY_TOPIC,
    KEY_EVENT_ID,
    KEY_THREAD_ID,
    KEY_CORRELATION_ID,
    KEY_GROUP,
    KEYS
};

static const attr_key keys[KEYS] = {
    [KEY_SYSTEM] = ATTR_STRING_KEY("messaging.system"),
    [KEY_OPERATION_TYPE] = ATTR_STRING_KEY("messaging.operation.type"),
    [KEY_OPERATION_NAME] = ATTR_STRING_KEY("messaging.operation.name"),
    [KEY_DESTINATION] = ATTR_STRING_KEY("messaging.destination.name"),
    [KEY_MESSAGE_ID] = ATTR_STRING_KEY("messaging.message.id"),
    [KEY_CONVERSATION_ID] = ATTR_STRING_KEY("messaging.message.conversation_id"),
    [KEY_CLIENT_ID] = ATTR_STRING_KEY("messaging.client.id"),
    [KEY_BODY_SIZE] = ATTR_INT_KEY("messaging.message.body.size"),
    [KEY_AGENT_ID] = ATTR_STRING_KEY("agent_id"),
    [KEY_TOPIC] = ATTR_STRING_KEY("topic"),
    [KEY_EVENT_ID] = ATTR_STRING_KEY("event_id"),
    [KEY_THREAD_ID] = ATTR_STRING_KEY("thread_id"),
    [KEY_CORRELATION_ID] = ATTR_STRING_KEY("correlation_id"),
    [KEY_GROUP] = ATTR_STRING_KEY("messaging.consumer.group.name"),
};

typedef struct attr_list {
    fixed_attr items[KEYS];
    size_t count;
} attr_list;

/* Text of a message, looked at once however many attributes say it. */
typedef struct known_text {
    loom_str str;
    bool is_utf8;
} known_text;

static known_text look_at(loom_str text)
{
    return (known_text){text, utf8_valid(text)};
}

static known_text look_at_or(loom_str text, known_text otherwise)
{
    return text.len > 0 ? look_at(text) : otherwise;
}

static void add(attr_list *list, unsigned key, known_text text)
{
    if (text.str.len > 0) {
        list->items[list->count++] = (fixed_attr){.key = &keys[key], .string = text.str, .is_utf8 = text.is_utf8};
    }
}

static bool describe(attr_list *list, message_hop hop, const message_facts *facts, const char *id_text)
{
    const known_text id = {{id_text, LOOM_UUID_TEXT_SIZE - 1}, true};
    const known_text agent = look_at(facts->agent), topic = look_at(facts->topic);
    const known_text thread = look_at_or(facts->thread_id, id);
    const known_text correlation = look_at_or(facts->correlation_id, thread);
    list->count = 0;
    add(list, KEY_SYSTEM, (known_text){TEXT("loom"), true});
    add(list, KEY_OPERATION_TYPE, (known_text){hops[hop].type, true});
    add(list, KEY_OPERATION_NAME, (known_text){hops[hop].name, true});
    add(list, KEY_DESTINATION, topic);
    add(list, KEY_MESSAGE_ID, id);
    add(list, KEY_CONVERSATION_ID, correlation);
    add(list, KEY_CLIENT_ID, agent);
    list->items[list->count++] = (fixed_attr){.key = &keys[KEY_BODY_SIZE], .integer = (int64_t)facts->payload_len};
    add(list, KEY_AGENT_ID, agent);
    add(list, KEY_TOPIC, topic);
    add(list, KEY_EVENT_ID, id);
    add(list, KEY_THREAD_ID, thread);
    add(list, KEY_CORRELATION_ID, correlation);
    add(list, KEY_GROUP, look_at(facts->group));
    assert(list->count <= KEYS);
    return agent.is_utf8 && topic.is_utf8;
}

uint32_t message_attrs_write(const void *user, attr_index *index, pb_buf *b, uint32_t field)
{
    const hop_attrs *h = user;
    attr_list list;
    char own[LOOM_UUID_TEXT_SIZE];
    const char *id_text = message_id_text(h->templates, h->facts->id, own);
    message_template *t = message_template_of(h->templates, h->hop, h->facts);
    if (t != NULL && message_template_write(t, h->hop, h->facts, id_text, index, b)) {
        return 0;
    }
    const bool as_it_is = describe(&list, h->hop, h->facts, id_text);
    const size_t mark = b->len;
    const uint32_t dropped = attr_index_add_fixed(index, b, field, list.items, list.count);
    if (t != NULL && as_it_is && dropped == 0) {
        message_template_take(t, h->hop, h->facts, id_text, list.items, index, b, mark);
    }
    return dropped;
}

message_facts message_facts_of(const envelope_view *view, loom_str agent)
{
    return (message_facts){.agent = agent,
                           .topic = envelope_view_str(view, ENV_TOPIC),
                           .thread_id = envelope_view_str(view, ENV_THREAD_ID),
                           .correlation_id = envelope_view_str(view, ENV_CORRELATION_ID),
                           .id = view->data + view->field[ENV_ID].off,
                           .payload_len = view->field[ENV_PAYLOAD].len};
}

loom_span *message_span_start(loom_tracer *tracer, message_hop hop, const message_facts *facts,
                              const loom_span_options *options, const loom_trace_context *decided)
{
    loom_span_options of_hop = *options;
    of_hop.kind = message_hops[hop].kind;
    return span_start_writing(tracer, message_hops[hop].name, &of_hop, decided, message_attrs_write,
                              &(hop_attrs){tracer->templates, facts, hop});
}

void message_span_set_group(loom_span *span, loom_str group)
{
    if (group.len > 0) {
        loom_span_set_str(span, "messaging.consumer.group.name", group);
    }
}

/* ---- what the writers of attributes share with records (message_record.c) ---- */

uint32_t message_counts_list(fixed_attr out[MESSAGE_COUNTS], const message_counts *counts)
{
    static const attr_key matched = ATTR_INT_KEY("loom.matched"), delivered = ATTR_INT_KEY("loom.delivered"),
                          dropped = ATTR_INT_KEY("loom.dropped");
    out[0] = (fixed_attr){.key = &matched, .integer = counts->matched};
    out[1] = (fixed_attr){.key = &delivered, .integer = counts->delivered};
    out[2] = (fixed_attr){.key = &dropped, .integer = counts->dropped};
    return MESSAGE_COUNTS;
}
