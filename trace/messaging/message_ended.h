/* SPDX-License-Identifier: Apache-2.0 */
/* A hop that has ended, as it was noted down, and the span that becomes of it: by whoever exports, not by whoever handles messages. */
#ifndef LOOM_TRACE_MESSAGE_ENDED_H
#define LOOM_TRACE_MESSAGE_ENDED_H

#include "trace/messaging/message_template.h"

typedef struct ended_hop {
    message_hop hop;
    bool remote;         /* its parent is of another process */
    bool has_counts;
    uint8_t trace_flags;
    uint8_t link_flags;  /* of the link's context */
    message_facts facts;
    message_counts counts;
    const uint8_t *trace_id, *span_id, *parent_id; /* parent_id: all zero for none */
    const uint8_t *link_id;                        /* of a span of the same trace; NULL: none */
    uint64_t start_ns, end_ns;
} ended_hop;

/* Appends the fields of a Span. templates: NULL for none. */
void ended_hop_write(const ended_hop *h, const loom_tracer *tracer, message_templates *templates, pb_buf *out);

/* Whether a hop can have this link: to a span of its own trace, as that of a message's creation is. */
bool ended_hop_links(const loom_trace_context *ctx, const loom_link *link);

/* Hands one that is sampled to the exporter thread, with the use of the provider that the pass has. false: it takes a span to say all of
 * it. counts, link: NULL for none. */
bool message_sampled_submit(const message_pass *pass, const message_facts *facts, uint64_t end_ns, const message_counts *counts,
                            const loom_link *link);

#endif
