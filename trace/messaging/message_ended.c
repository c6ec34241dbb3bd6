/* SPDX-License-Identifier: Apache-2.0 */
/* Spans of hops, written when they leave. Those that are sampled are queued as what is below, and the exporter thread writes them out:
 * whoever handles messages copies a hundred bytes where the span has seven hundred. */
#include "trace/messaging/message_ended.h"

#include "base/str.h"
#include "trace/export/processor.h"
#include "trace/messaging/message_record.h"
#include "trace/otlp/fields.h"
#include "trace/span/internal.h"

static void put_link(pb_buf *out, const ended_hop *h)
{
    const loom_trace_context ctx = {.trace_flags = h->link_flags};
    const size_t link = pb_open(out, SPAN_LINKS);
    pb_bytes_field(out, LINK_TRACE_ID, h->trace_id, LOOM_TRACE_ID_SIZE);
    pb_bytes_field(out, LINK_SPAN_ID, h->link_id, LOOM_SPAN_ID_SIZE);
    pb_fixed32_field(out, LINK_FLAGS, span_flags(&ctx, true));
    pb_close(out, link);
}

/* As loom_span_record_error() does. Returns how many events did not fit the limits. */
static uint32_t put_exception(pb_buf *out, const ended_hop *h, const loom_span_limits *limits)
{
    const loom_attr attrs[] = {
        {.key = "exception.type", .type = LOOM_ATTR_STRING, .value.string = str_of(loom_status_name(h->facts.failure))},
        {.key = "exception.message", .type = LOOM_ATTR_STRING, .value.string = str_of(loom_status_text(h->facts.failure))}};
    if (limits->event_count == 0) {
        return 1;
    }
    span_put_event(out, "exception", h->end_ns, attrs, sizeof attrs / sizeof *attrs, limits);
    return 0;
}

/* Returns how many did not fit the limits. */
static uint32_t put_attributes(const loom_tracer *tracer, const ended_hop *h, message_templates *templates, pb_buf *out)
{
    attr_index index;
    attr_index_init(&index, tracer->provider->attr_limits);
    uint32_t dropped = message_attrs_write(&(hop_attrs){templates, &h->facts, h->hop}, &index, out, SPAN_ATTRIBUTES);
    if (h->has_counts) {
        fixed_attr list[MESSAGE_COUNTS];
        dropped += attr_index_add_fixed(&index, out, SPAN_ATTRIBUTES, list, message_counts_list(list, &h->counts));
    }
    if (h->facts.failure != LOOM_OK) {
        dropped += !attr_index_put_str(&index, out, SPAN_ATTRIBUTES, str_of("error.type"), str_of(loom_status_name(h->facts.failure)));
    }
    attr_index_fini(&index);
    return dropped;
}

void ended_hop_write(const ended_hop *h, const loom_tracer *tracer, message_templates *templates, pb_buf *out)
{
    const loom_trace_context ctx = {.trace_flags = h->trace_flags};
    const bool links = tracer->provider->limits.link_count > 0;
    pb_bytes_field(out, SPAN_TRACE_ID, h->trace_id, LOOM_TRACE_ID_SIZE);
    pb_bytes_field(out, SPAN_SPAN_ID, h->span_id, LOOM_SPAN_ID_SIZE);
    if (id_word(h->parent_id) != 0) {
        pb_bytes_field(out, SPAN_PARENT_SPAN_ID, h->parent_id, LOOM_SPAN_ID_SIZE);
    }
    pb_varint_field(out, SPAN_KIND, message_hops[h->hop].kind);
    pb_fixed32_field(out, SPAN_FLAGS, span_flags(&ctx, h->remote));
    pb_fixed64_field(out, SPAN_START_TIME, h->start_ns);
    pb_string_field(out, SPAN_NAME, str_of(message_hops[h->hop].name));
    const uint32_t dropped = put_attributes(tracer, h, templates, out);
    if (h->link_id != NULL && links) {
        put_link(out, h);
    }
    uint32_t dropped_events = 0;
    if (h->facts.failure != LOOM_OK) {
        dropped_events = put_exception(out, h, &tracer->provider->limits);
        span_put_status(out, LOOM_SPAN_ERROR, loom_status_text(h->facts.failure));
    }
    pb_fixed64_field(out, SPAN_END_TIME, h->end_ns);
    if (dropped > 0) {
        pb_varint_field(out, SPAN_DROPPED_ATTRIBUTES, dropped);
    }
    if (dropped_events > 0) {
        pb_varint_field(out, SPAN_DROPPED_EVENTS, dropped_events);
    }
    if (h->link_id != NULL && !links) {
        pb_varint_field(out, SPAN_DROPPED_LINKS, 1);
    }
}

bool ended_hop_links(const loom_trace_context *ctx, const loom_link *link)
{
    return link->attr_count == 0 && link->tracestate.len == 0 && link->context_is_remote &&
           memcmp(link->context.trace_id, ctx->trace_id, sizeof ctx->trace_id) == 0;
}

/* ---- sampled ones, on their way to the exporter thread ---- */

enum { TEXTS = 5, TEXT_MAX = 1024 };

typedef struct sampled_hop {
    uint8_t trace_id[LOOM_TRACE_ID_SIZE], span_id[LOOM_SPAN_ID_SIZE], parent_id[LOOM_SPAN_ID_SIZE];
    uint8_t link_id[LOOM_SPAN_ID_SIZE];
    uint8_t id[LOOM_UUID_SIZE];
    uint64_t start_ns, end_ns;
    uint32_t payload_len;
    message_counts counts;
    uint16_t len[TEXTS]; /* of what follows: agent, topic, thread and correlation id, group */
    uint8_t hop, trace_flags, link_flags, failure;
    bool remote, has_counts, has_link;
} sampled_hop;

static void write_sampled(const span_scope *scope, loom_bytes record, pb_buf *out)
{
    loom_tracer *tracer = (loom_tracer *)(uintptr_t)scope; /* whose first member it is; no other thread looks at this of it */
    sampled_hop s;
    loom_str texts[TEXTS];
    memcpy(&s, record.data, sizeof s);
    const char *at = (const char *)record.data + sizeof s;
    for (unsigned i = 0; i < TEXTS; at += s.len[i], i++) {
        texts[i] = (loom_str){at, s.len[i]};
    }
    if (tracer->written == NULL) {
        tracer->written = message_templates_make();
    }
    const ended_hop h = {.hop = (message_hop)s.hop,
                         .remote = s.remote,
                         .has_counts = s.has_counts,
                         .trace_flags = s.trace_flags,
                         .link_flags = s.link_flags,
                         .facts = {.agent = texts[0], .topic = texts[1], .thread_id = texts[2], .correlation_id = texts[3],
                                   .group = texts[4], .id = s.id, .payload_len = s.payload_len,
                                   .failure = (loom_status)s.failure},
                         .counts = s.counts,
                         .trace_id = s.trace_id,
                         .span_id = s.span_id,
                         .parent_id = s.parent_id,
                         .link_id = s.has_link ? s.link_id : NULL,
                         .start_ns = s.start_ns,
                         .end_ns = s.end_ns};
    ended_hop_write(&h, tracer, tracer->written, out);
}

static const span_form sampled_form = {write_sampled};

static uint8_t *put_text(uint8_t *to, loom_str text, uint16_t *len)
{
    *len = (uint16_t)text.len;
    if (text.len > 0) {
        memcpy(to, text.data, text.len);
    }
    return to + text.len;
}

bool message_sampled_submit(const message_pass *pass, const message_facts *facts, uint64_t end_ns, const message_counts *counts,
                            const loom_link *link)
{
    struct {
        sampled_hop hop;
        uint8_t texts[TEXTS * TEXT_MAX];
    } record;
    sampled_hop *const s = &record.hop;
    if ((facts->agent.len | facts->topic.len | facts->thread_id.len | facts->correlation_id.len | facts->group.len) >= TEXT_MAX ||
        facts->payload_len > UINT32_MAX || (unsigned)facts->failure > UINT8_MAX || (link != NULL && !ended_hop_links(&pass->ctx, link))) {
        return false;
    }
    memcpy(s->trace_id, pass->ctx.trace_id, sizeof s->trace_id);
    memcpy(s->span_id, pass->ctx.span_id, sizeof s->span_id);
    memcpy(s->parent_id, pass->parent_id, sizeof s->parent_id);
    memcpy(s->id, facts->id, sizeof s->id);
    s->start_ns = pass->start_ns;
    s->end_ns = pass->start_ns + hop_duration_ns(pass, end_ns);
    s->payload_len = (uint32_t)facts->payload_len;
    s->hop = (uint8_t)pass->hop;
    s->trace_flags = pass->ctx.trace_flags;
    s->failure = (uint8_t)facts->failure;
    s->remote = pass->remote;
    s->has_counts = counts != NULL;
    s->counts = counts != NULL ? *counts : (message_counts){0};
    s->has_link = link != NULL;
    s->link_flags = link != NULL ? link->context.trace_flags : 0;
    memcpy(s->link_id, link != NULL ? link->context.span_id : s->parent_id, sizeof s->link_id);
    uint8_t *end = put_text(record.texts, facts->agent, &s->len[0]);
    end = put_text(end, facts->topic, &s->len[1]);
    end = put_text(end, facts->thread_id, &s->len[2]);
    end = put_text(end, facts->correlation_id, &s->len[3]);
    end = put_text(end, facts->group, &s->len[4]);
    span_thread_here()->next_place =
        processor_submit_form(pass->tracer->provider->processor, &pass->tracer->scope, &sampled_form,
                              (loom_bytes){(const uint8_t *)&record, sizeof *s + (size_t)(end - record.texts)});
    return true;
}
