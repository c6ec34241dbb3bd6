/* SPDX-License-Identifier: Apache-2.0 */
/* A hop's span as the flight recorder keeps it (trace/record/): what differs from other messages of the same hop, agent and topic. Its
 * attributes are made when the span leaves, as message_span.c makes them. */
#ifndef LOOM_TRACE_MESSAGE_RECORD_H
#define LOOM_TRACE_MESSAGE_RECORD_H

#include "trace/messaging/message_template.h"
#include "trace/record/chunk.h"

enum { MESSAGE_COUNTS = 3 };

/* What the attributes of a hop's span are made of. */
typedef struct hop_attrs {
    message_templates *templates; /* NULL: none */
    const message_facts *facts;
    message_hop hop;
} hop_attrs;

/* message_span.c. user: hop_attrs. Returns how many were left out. */
uint32_t message_attrs_write(const void *user, attr_index *index, pb_buf *b, uint32_t field);
void message_span_set_group(loom_span *span, loom_str group);
uint32_t message_counts_list(fixed_attr out[MESSAGE_COUNTS], const message_counts *counts);

/* Writes the record of a hop that ends now. counts: of eventbus.publish, else NULL. link: of agent.on_event, else NULL; only what
 * ended_hop_links() allows, and not sampled. false: it takes a span to say all of it. */
bool message_record_write(record_chunk *chunk, const message_pass *pass, const message_facts *facts, uint64_t end_ns,
                          const message_counts *counts, const loom_link *link);
/* The same of one that is passed on, another hop of the message that the chunk's base is of: chunk->base_of is where it lies. false: it
 * takes message_record_write(). */
bool message_record_go_on(record_chunk *chunk, const message_pass *pass, uint64_t end_ns, const message_counts *counts);

/* The most bytes that one takes. */
enum { MESSAGE_RECORD_TEXT_MAX = 256, MESSAGE_RECORD_MAX = 96 + 3 * MESSAGE_RECORD_TEXT_MAX + 8 };

#endif
