/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/messaging/message_template.h"

#include "base/str.h"
#include "envelope/id.h"
#include "trace/span/provider.h"

#include <assert.h>
#include <stdlib.h>

enum { TEMPLATES = 64, ID_LEN = LOOM_UUID_TEXT_SIZE - 1 };

/* Each has one place; another one that belongs there takes it. Pages that are not used are not there. */
struct message_templates {
    uint8_t id[LOOM_UUID_SIZE]; /* of the last message, which passes several hops in turn */
    char id_text[LOOM_UUID_TEXT_SIZE];
    message_template at[TEMPLATES];
};

void message_span_remember(loom_tracer *tracer)
{
    if (tracer != NULL && tracer->templates == NULL) {
        tracer->templates = message_templates_make();
    }
}

message_templates *message_templates_make(void)
{
    return calloc(1, sizeof(message_templates));
}

const char *message_id_text(message_templates *templates, const uint8_t id[LOOM_UUID_SIZE], char own[LOOM_UUID_TEXT_SIZE])
{
    if (templates == NULL) {
        loom_uuid_to_text(own, id);
        return own;
    }
    if (templates->id_text[0] == '\0' || memcmp(templates->id, id, LOOM_UUID_SIZE) != 0) {
        memcpy(templates->id, id, LOOM_UUID_SIZE);
        loom_uuid_to_text(templates->id_text, id);
    }
    return templates->id_text;
}

static uint64_t tail_of(loom_str text)
{
    uint64_t word = text.len;
    if (text.len >= sizeof word) {
        memcpy(&word, text.data + text.len - sizeof word, sizeof word);
        return word ^ text.len;
    }
    for (size_t i = 0; i < text.len; i++) {
        word = word << 8 ^ (uint8_t)text.data[i];
    }
    return word;
}

message_template *message_template_of(message_templates *templates, message_hop hop, const message_facts *facts)
{
    if (templates == NULL || facts->thread_id.len > 0 || facts->correlation_id.len > 0 || facts->group.len > 0) {
        return NULL;
    }
    const uint64_t hash = (tail_of(facts->topic) * 31 + tail_of(facts->agent)) * 31 + (uint64_t)hop;
    return &templates->at[hash * UINT64_C(0x9e3779b97f4a7c15) >> 58];
}

bool message_template_write(const message_template *t, message_hop hop, const message_facts *facts,
                            const char *id_text, attr_index *index, pb_buf *b)
{
    const char *bytes = (const char *)t->block.bytes;
    if (!t->filled || t->hop != hop || t->agent_len != facts->agent.len || t->topic_len != facts->topic.len ||
        t->size_len != pb_varint_size(facts->payload_len) ||
        !str_same(bytes + t->topic_at, facts->topic.data, t->topic_len) ||
        !str_same(bytes + t->agent_at, facts->agent.data, t->agent_len)) {
        return false;
    }
    uint8_t *to = attr_block_add(&t->block, index, b);
    if (to == NULL) {
        return false;
    }
    for (unsigned i = 0; i < t->id_count; i++) {
        memcpy(to + t->id_at[i], id_text, ID_LEN);
    }
    (void)pb_put_varint(to + t->size_at, facts->payload_len);
    return true;
}

static_assert(TEMPLATES == 1 << (64 - 58), "the hash has as many values as there are places");

void message_template_take(message_template *t, message_hop hop, const message_facts *facts, const char *id_text,
                           const fixed_attr *attrs, const attr_index *index, const pb_buf *b, size_t mark)
{
    t->filled = attr_block_take(&t->block, index, b, mark);
    t->hop = (uint8_t)hop;
    t->agent_len = (uint16_t)facts->agent.len;
    t->topic_len = (uint16_t)facts->topic.len;
    t->size_len = (uint8_t)pb_varint_size(facts->payload_len);
    t->id_count = 0;
    for (uint32_t i = 0; t->filled && i < t->block.count; i++) {
        const uint32_t end = t->block.slots[i].offset + t->block.slots[i].len; /* every value ends its attribute */
        if (attrs[i].key->is_int) {
            t->size_at = (uint16_t)(end - t->size_len);
        } else if (attrs[i].string.data == id_text) {
            t->id_at[t->id_count++] = (uint16_t)(end - ID_LEN);
        } else if (attrs[i].string.data == facts->agent.data) {
            t->agent_at = (uint16_t)(end - t->agent_len);
        } else if (attrs[i].string.data == facts->topic.data) {
            t->topic_at = (uint16_t)(end - t->topic_len);
        }
    }
}
