/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/messaging/message_record.h"

#include "base/utf8.h"
#include "trace/otlp/fields.h"
#include "trace/record/write.h"
#include "trace/span/internal.h"
#include "trace/span/provider.h"

#include <assert.h>

/* Of a record. */
enum {
    FLAG_REMOTE = 1,
    FLAG_RANDOM = 2, /* the flag of the context */
    FLAG_COUNTS = 4, /* three numbers follow, */
    FLAG_TEXTS = 8,  /* then two lengths, and as many bytes: thread and correlation id */
    FLAG_COARSE = 16, /* the duration is in units of 1024 ns */
    FLAG_LINK = 32,   /* the id of a span of the same trace comes first of what follows */
    FLAG_LINK_RANDOM = 64
};

typedef struct message_record {
    ring_record base;
    uint8_t span_id[LOOM_SPAN_ID_SIZE], parent_id[LOOM_SPAN_ID_SIZE];
    uint64_t start_ns;
    uint32_t duration;
    uint32_t payload_len;
    uint8_t id[LOOM_UUID_SIZE];
    uint8_t more[];
} message_record;

static_assert(sizeof(message_record) == 72, "which is what makes a record cheap");

static uint64_t duration_of(const ring_record *r)
{
    const message_record *rec = (const message_record *)r;
    return (uint64_t)rec->duration << ((r->head.flags & FLAG_COARSE) != 0 ? 10 : 0);
}

/* ---- out ---- */

static message_facts facts_of(const record_definition *d, const message_record *rec, message_counts *counts, const uint8_t **link_id)
{
    message_facts facts = {.agent = definition_text(d, 0),
                           .topic = definition_text(d, 1),
                           .id = rec->id,
                           .payload_len = rec->payload_len};
    const uint8_t *at = rec->more;
    if ((rec->base.head.flags & FLAG_LINK) != 0) {
        *link_id = at;
        at += LOOM_SPAN_ID_SIZE;
    }
    if ((rec->base.head.flags & FLAG_COUNTS) != 0) {
        memcpy(counts, at, sizeof *counts);
        at += sizeof *counts;
    }
    if ((rec->base.head.flags & FLAG_TEXTS) != 0) {
        uint16_t len[2];
        memcpy(len, at, sizeof len);
        at += sizeof len;
        facts.thread_id = (loom_str){(const char *)at, len[0]};
        facts.correlation_id = (loom_str){(const char *)at + len[0], len[1]};
    }
    return facts;
}

static void put_link(pb_buf *out, const ring_record *r, const uint8_t *link_id)
{
    const loom_trace_context ctx = {.trace_flags = (r->head.flags & FLAG_LINK_RANDOM) != 0 ? LOOM_TRACE_FLAG_RANDOM : 0};
    const size_t link = pb_open(out, SPAN_LINKS);
    pb_bytes_field(out, LINK_TRACE_ID, r->trace_id, sizeof r->trace_id);
    pb_bytes_field(out, LINK_SPAN_ID, link_id, LOOM_SPAN_ID_SIZE);
    pb_fixed32_field(out, LINK_FLAGS, span_flags(&ctx, true));
    pb_close(out, link);
}

static void put_span(const span_scope *scope, const record_definition *d, const ring_record *r, pb_buf *out)
{
    const message_record *rec = (const message_record *)r;
    const loom_tracer *tracer = (const loom_tracer *)scope; /* whose first member it is */
    const message_hop hop = (message_hop)d->key;
    const loom_trace_context ctx = {.trace_flags = (r->head.flags & FLAG_RANDOM) != 0 ? LOOM_TRACE_FLAG_RANDOM : 0};
    message_counts counts;
    const uint8_t *link_id = NULL;
    const message_facts facts = facts_of(d, rec, &counts, &link_id);
    pb_bytes_field(out, SPAN_TRACE_ID, r->trace_id, sizeof r->trace_id);
    pb_bytes_field(out, SPAN_SPAN_ID, rec->span_id, sizeof rec->span_id);
    if (id_word(rec->parent_id) != 0) {
        pb_bytes_field(out, SPAN_PARENT_SPAN_ID, rec->parent_id, sizeof rec->parent_id);
    }
    pb_varint_field(out, SPAN_KIND, message_hops[hop].kind);
    pb_fixed32_field(out, SPAN_FLAGS, span_flags(&ctx, (r->head.flags & FLAG_REMOTE) != 0));
    pb_fixed64_field(out, SPAN_START_TIME, rec->start_ns);
    pb_string_field(out, SPAN_NAME, (loom_str){message_hops[hop].name, strlen(message_hops[hop].name)});
    attr_index index;
    attr_index_init(&index, tracer->provider->attr_limits);
    uint32_t dropped = message_attrs_write(hop, &facts, &index, out, SPAN_ATTRIBUTES);
    if ((r->head.flags & FLAG_COUNTS) != 0) {
        fixed_attr list[MESSAGE_COUNTS];
        dropped += attr_index_add_fixed(&index, out, SPAN_ATTRIBUTES, list, message_counts_list(list, &counts));
    }
    attr_index_fini(&index);
    if (link_id != NULL && tracer->provider->limits.link_count > 0) {
        put_link(out, r, link_id);
    }
    pb_fixed64_field(out, SPAN_END_TIME, rec->start_ns + duration_of(r));
    if (dropped > 0) {
        pb_varint_field(out, SPAN_DROPPED_ATTRIBUTES, dropped);
    }
}

static const record_form message_form = {.write = put_span, .duration_ns = duration_of};

/* ---- in ---- */

static bool fits(const message_facts *facts, uint64_t duration_ns)
{
    return (facts->agent.len | facts->topic.len) < RECORD_TEXT_MAX && /* powers of two */
           (facts->thread_id.len | facts->correlation_id.len) < MESSAGE_RECORD_TEXT_MAX &&
           (facts->payload_len | duration_ns >> 10) <= UINT32_MAX;
}

static uint8_t *put_texts(uint8_t *to, const message_facts *facts)
{
    const uint16_t len[2] = {(uint16_t)facts->thread_id.len, (uint16_t)facts->correlation_id.len};
    memcpy(to, len, sizeof len);
    to += sizeof len;
    if (len[0] > 0) {
        memcpy(to, facts->thread_id.data, len[0]);
    }
    if (len[1] > 0) {
        memcpy(to + len[0], facts->correlation_id.data, len[1]);
    }
    return to + len[0] + len[1];
}

bool message_record_links(const loom_trace_context *ctx, const loom_link *link)
{
    return link->attr_count == 0 && link->tracestate.len == 0 && link->context_is_remote &&
           (link->context.trace_flags & LOOM_TRACE_FLAG_SAMPLED) == 0 &&
           memcmp(link->context.trace_id, ctx->trace_id, sizeof ctx->trace_id) == 0;
}

bool message_record_write(record_chunk *chunk, const message_pass *pass, const message_facts *facts, uint64_t end_ns,
                          const message_counts *counts, const loom_link *link)
{
    const uint64_t duration_ns = end_ns > pass->start_ns ? end_ns - pass->start_ns : 0;
    if (!fits(facts, duration_ns)) {
        return false;
    }
    recorder *const r = pass->tracer->recorder;
    const record_definition *d = record_definition_of(
        chunk, r, &(record_what){.form = &message_form, .tracer = pass->tracer->record_number, .key = pass->hop,
                                 .name = message_hops[pass->hop].name, .texts = {facts->agent, facts->topic}});
    message_record *rec = record_here(chunk);
    uint8_t flags = (uint8_t)((pass->remote ? FLAG_REMOTE : 0) |
                              ((pass->ctx.trace_flags & LOOM_TRACE_FLAG_RANDOM) != 0 ? FLAG_RANDOM : 0));
    memcpy(rec->base.trace_id, pass->ctx.trace_id, sizeof rec->base.trace_id);
    memcpy(rec->span_id, pass->ctx.span_id, sizeof rec->span_id);
    memcpy(rec->parent_id, pass->parent_id, sizeof rec->parent_id);
    rec->start_ns = pass->start_ns;
    const bool coarse = duration_ns > UINT32_MAX;
    rec->duration = (uint32_t)(coarse ? duration_ns >> 10 : duration_ns);
    flags = (uint8_t)(flags | (coarse ? FLAG_COARSE : 0));
    rec->payload_len = (uint32_t)facts->payload_len;
    memcpy(rec->id, facts->id, sizeof rec->id);
    uint8_t *end = rec->more;
    if (link != NULL) {
        memcpy(end, link->context.span_id, LOOM_SPAN_ID_SIZE);
        end += LOOM_SPAN_ID_SIZE;
        flags |= (link->context.trace_flags & LOOM_TRACE_FLAG_RANDOM) != 0 ? FLAG_LINK | FLAG_LINK_RANDOM : FLAG_LINK;
    }
    if (counts != NULL) {
        memcpy(end, counts, sizeof *counts);
        end += sizeof *counts;
        flags |= FLAG_COUNTS;
    }
    if (facts->thread_id.len + facts->correlation_id.len > 0) {
        end = put_texts(end, facts);
        flags |= FLAG_TEXTS;
    }
    record_publish(chunk, r, &rec->base, d, (size_t)(end - (uint8_t *)rec), flags, duration_ns);
    return true;
}
