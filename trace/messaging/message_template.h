/* SPDX-License-Identifier: Apache-2.0 */
/* The attributes of one hop of one agent and topic as they were encoded last, with the places of what differs from message to
 * message: its id, and the size of its payload. Copying and patching them takes a third of encoding them. */
#ifndef LOOM_TRACE_MESSAGE_TEMPLATE_H
#define LOOM_TRACE_MESSAGE_TEMPLATE_H

#include "trace/messaging/message_span.h"

enum { TEMPLATE_IDS = 5 };

/* All zero: of no hop. */
typedef struct message_template {
    bool filled;
    uint8_t hop;
    uint8_t id_count, size_len; /* size_len: of the varint */
    uint16_t agent_len, topic_len;
    uint16_t agent_at, topic_at, size_at, id_at[TEMPLATE_IDS]; /* in the block's bytes */
    attr_block block;
} message_template;

typedef struct message_templates message_templates;

/* NULL: no memory. free() is enough. */
message_templates *message_templates_make(void);
/* The id as text; in own, or, of the message before, in templates (NULL: none). Valid until the next call. */
const char *message_id_text(message_templates *templates, const uint8_t id[LOOM_UUID_SIZE], char own[LOOM_UUID_TEXT_SIZE]);
/* Where this hop of this message has its template; NULL: it can have none. */
message_template *message_template_of(message_templates *templates, message_hop hop, const message_facts *facts);
/* Writes the attributes, if it is of the same hop, agent and topic. */
bool message_template_write(const message_template *t, message_hop hop, const message_facts *facts,
                            const char *id_text, attr_index *index, pb_buf *b);
/* Takes over what was written from mark on: these attributes, none left out. The id among them is id_text itself; agent and
 * topic are texts of facts. */
void message_template_take(message_template *t, message_hop hop, const message_facts *facts, const char *id_text,
                           const fixed_attr *attrs, const attr_index *index, const pb_buf *b, size_t mark);

#endif
