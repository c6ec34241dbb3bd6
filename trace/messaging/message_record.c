/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/messaging/message_record.h"

#include "base/utf8.h"
#include "trace/messaging/message_ended.h"
#include "trace/record/write.h"
#include "trace/span/internal.h"
#include "trace/span/provider.h"

#include <assert.h>

/* Of a record. */
enum {
    FLAG_REMOTE = 1,
    FLAG_RANDOM = 2, /* the flag of the context */
    FLAG_COUNTS = 4, /* three numbers follow, */
    FLAG_TEXTS = 8,  /* then three lengths, and as many bytes: thread id, correlation id, group */
    FLAG_COARSE = 16, /* the duration is in units of 1024 ns */
    FLAG_LINK = 32,   /* the id of a span of the same trace comes first of what follows */
    FLAG_LINK_RANDOM = 64,
    FLAG_FAILED = 128 /* its status comes behind the numbers */
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

/* Another hop of the same message, which goes on from the record of the first of them that ended. */
typedef struct next_record {
    record_head head;
    uint8_t span_id[LOOM_SPAN_ID_SIZE], parent_id[LOOM_SPAN_ID_SIZE];
    int32_t start; /* ns after the base's */
    uint32_t duration;
    uint64_t counts[]; /* with FLAG_COUNTS one: 21 bits each */
} next_record;

static_assert(sizeof(next_record) == 32, "which is what makes it cheaper");

enum { COUNT_BITS = 21, COUNT_MAX = (1 << COUNT_BITS) - 1 };
#define START_MAX (UINT64_C(1) << 31)

static uint64_t duration_of(const record_head *head)
{
    const message_record *rec = (const message_record *)(const void *)head;
    return (uint64_t)rec->duration << ((head->flags & FLAG_COARSE) != 0 ? 10 : 0);
}

static uint64_t next_duration_of(const record_head *head)
{
    return ((const next_record *)(const void *)head)->duration;
}

/* ---- out ---- */

static void read_flags(ended_hop *out, uint8_t flags)
{
    out->remote = (flags & FLAG_REMOTE) != 0;
    out->trace_flags = (flags & FLAG_RANDOM) != 0 ? LOOM_TRACE_FLAG_RANDOM : 0;
    out->link_flags = (flags & FLAG_LINK_RANDOM) != 0 ? LOOM_TRACE_FLAG_RANDOM : 0;
    out->has_counts = (flags & FLAG_COUNTS) != 0;
}

static void read_texts(message_facts *facts, const uint8_t *at)
{
    uint16_t len[3];
    memcpy(len, at, sizeof len);
    at += sizeof len;
    facts->thread_id = (loom_str){(const char *)at, len[0]};
    facts->correlation_id = (loom_str){(const char *)at + len[0], len[1]};
    facts->group = (loom_str){(const char *)at + len[0] + len[1], len[2]};
}

/* Of one that stands for itself. */
static void read_record(ended_hop *out, const record_definition *d, const ring_record *r)
{
    const message_record *rec = (const message_record *)r;
    *out = (ended_hop){.hop = (message_hop)d->key,
                       .facts = {.agent = definition_text(d, 0),
                                 .topic = definition_text(d, 1),
                                 .id = rec->id,
                                 .payload_len = rec->payload_len},
                       .trace_id = r->trace_id,
                       .span_id = rec->span_id,
                       .parent_id = rec->parent_id,
                       .start_ns = rec->start_ns,
                       .end_ns = rec->start_ns + duration_of(&r->head)};
    read_flags(out, r->head.flags);
    const uint8_t *at = rec->more;
    if ((r->head.flags & FLAG_LINK) != 0) {
        out->link_id = at;
        at += LOOM_SPAN_ID_SIZE;
    }
    if (out->has_counts) {
        memcpy(&out->counts, at, sizeof out->counts);
        at += sizeof out->counts;
    }
    if ((r->head.flags & FLAG_FAILED) != 0) {
        out->facts.failure = (loom_status)*at++;
    }
    if ((r->head.flags & FLAG_TEXTS) != 0) {
        read_texts(&out->facts, at);
    }
}

/* Of one that goes on from what out says. */
static void read_next(ended_hop *out, const record_definition *d, const record_head *head)
{
    const next_record *rec = (const next_record *)(const void *)head;
    out->hop = (message_hop)d->key;
    out->facts.agent = definition_text(d, 0);
    out->facts.group = (loom_str){NULL, 0};
    out->facts.failure = LOOM_OK;
    out->span_id = rec->span_id;
    out->parent_id = rec->parent_id;
    out->link_id = NULL;
    out->start_ns += (uint64_t)(int64_t)rec->start;
    out->end_ns = out->start_ns + rec->duration;
    read_flags(out, head->flags);
    if (out->has_counts) {
        const uint64_t packed = rec->counts[0];
        out->counts = (message_counts){.matched = (uint32_t)(packed & COUNT_MAX),
                                       .delivered = (uint32_t)(packed >> COUNT_BITS & COUNT_MAX),
                                       .dropped = (uint32_t)(packed >> 2 * COUNT_BITS & COUNT_MAX)};
    }
}

static void put_span(const span_scope *scope, const found_record *found, pb_buf *out)
{
    ended_hop h;
    read_record(&h, found->base_definition, found->base);
    if (found->definition->form->goes_on) {
        read_next(&h, found->definition, found->rec);
    }
    ended_hop_write(&h, (const loom_tracer *)scope, NULL, out); /* whose first member it is */
}

static uint64_t start_of(const found_record *found)
{
    const uint64_t base_ns = ((const message_record *)found->base)->start_ns;
    const next_record *next = (const next_record *)(const void *)found->rec;
    return found->definition->form->goes_on ? base_ns + (uint64_t)(int64_t)next->start : base_ns;
}

static loom_str name_of(const record_definition *d)
{
    return str_of(message_hops[d->key].name);
}

static const record_form message_form = {.write = put_span, .duration_ns = duration_of, .start_ns = start_of, .name = name_of};
static const record_form next_form = {
    .goes_on = true, .write = put_span, .duration_ns = next_duration_of, .start_ns = start_of, .name = name_of};

/* ---- in ---- */

static inline bool fits(const message_facts *facts, uint64_t duration_ns)
{
    return (facts->agent.len | facts->topic.len) < RECORD_TEXT_MAX && /* powers of two */
           (facts->thread_id.len | facts->correlation_id.len | facts->group.len) < MESSAGE_RECORD_TEXT_MAX &&
           (facts->payload_len | duration_ns >> 10) <= UINT32_MAX && (unsigned)facts->failure <= UINT8_MAX;
}

static uint8_t *put_text(uint8_t *to, loom_str text)
{
    if (text.len > 0) {
        memcpy(to, text.data, text.len);
    }
    return to + text.len;
}

__attribute__((noinline)) static uint8_t *put_texts(uint8_t *to, const message_facts *facts)
{
    const uint16_t len[3] = {(uint16_t)facts->thread_id.len, (uint16_t)facts->correlation_id.len, (uint16_t)facts->group.len};
    memcpy(to, len, sizeof len);
    return put_text(put_text(put_text(to + sizeof len, facts->thread_id), facts->correlation_id), facts->group);
}

enum { NEXT = 8 }; /* number of the first hop's definition of those that go on, behind those of the others */

static_assert((int)HOP_AGENT_ON_EVENT < (int)NEXT && (int)NEXT + (int)HOP_AGENT_ON_EVENT < (int)CHUNK_RECENT, "each hop has its number");

__attribute__((noinline)) static const record_definition *define(record_chunk *chunk, const message_pass *pass, const record_form *form,
                                                                 unsigned number, loom_str agent, loom_str topic)
{
    const record_definition *d =
        record_define(chunk, pass->tracer->recorder,
                      &(record_what){.form = form, .tracer = pass->tracer->record_number, .key = pass->hop,
                                     .name = message_hops[pass->hop].name, .texts = {agent, topic}});
    chunk->recent[number] = definition_place(d);
    return d;
}

/* The number says the form and the hop. */
static inline const record_definition *definition_of(record_chunk *chunk, const message_pass *pass, const record_form *form,
                                                     unsigned number, loom_str agent, loom_str topic)
{
    const record_definition *d = record_recent(chunk, number);
    return d != NULL && d->tracer == pass->tracer->record_number && definition_says(d, agent, topic)
               ? d
               : define(chunk, pass, form, number, agent, topic);
}

static inline uint8_t flags_of(const message_pass *pass)
{
    static_assert((int)FLAG_RANDOM == (int)LOOM_TRACE_FLAG_RANDOM && FLAG_REMOTE == 1, "no test for each");
    return (uint8_t)((pass->ctx.trace_flags & LOOM_TRACE_FLAG_RANDOM) | (uint8_t)pass->remote);
}

bool message_record_write(record_chunk *chunk, const message_pass *pass, const message_facts *facts, uint64_t end_ns,
                          const message_counts *counts, const loom_link *link)
{
    const uint64_t duration_ns = hop_duration_ns(pass, end_ns);
    if (!fits(facts, duration_ns)) {
        return false;
    }
    const record_definition *d = definition_of(chunk, pass, &message_form, pass->hop, facts->agent, facts->topic);
    message_record *rec = record_here(chunk);
    uint8_t flags = flags_of(pass);
    memcpy(rec->base.trace_id, pass->ctx.trace_id, sizeof rec->base.trace_id);
    memcpy(rec->span_id, pass->ctx.span_id, sizeof rec->span_id);
    memcpy(rec->parent_id, pass->parent_id, sizeof rec->parent_id);
    rec->start_ns = pass->start_ns;
    rec->duration = (uint32_t)duration_ns;
    if (duration_ns > UINT32_MAX) {
        rec->duration = (uint32_t)(duration_ns >> 10);
        flags |= FLAG_COARSE;
    }
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
    if (facts->failure != LOOM_OK) {
        *end++ = (uint8_t)facts->failure;
        flags |= FLAG_FAILED;
    }
    if ((facts->thread_id.len | facts->correlation_id.len | facts->group.len) > 0) {
        end = put_texts(end, facts);
        flags |= FLAG_TEXTS;
    }
    chunk->base_of = pass->view != NULL ? pass->view->data : NULL;
    chunk->base = (uint16_t)chunk->used;
    record_publish(chunk, pass->tracer->recorder, &rec->base, d, (size_t)(end - (uint8_t *)rec), flags, duration_ns);
    if (facts->failure != LOOM_OK) {
        recorder_trigger(pass->tracer->recorder, rec->base.trace_id, (loom_str){"error", 5});
    }
    return true;
}

bool message_record_go_on(record_chunk *chunk, const message_pass *pass, uint64_t end_ns, const message_counts *counts)
{
    const message_record *base = chunk_at(chunk, chunk->base);
    const uint64_t duration_ns = hop_duration_ns(pass, end_ns);
    const uint64_t start = pass->start_ns - base->start_ns;
    if (memcmp(base->id, pass->view->data + pass->view->field[ENV_ID].off, sizeof base->id) != 0 || pass->group.len > 0 ||
        pass->agent.len >= RECORD_TEXT_MAX || (duration_ns | (start + START_MAX)) > UINT32_MAX) {
        return false;
    }
    const record_definition *d = definition_of(chunk, pass, &next_form, NEXT + pass->hop, pass->agent, (loom_str){NULL, 0});
    next_record *rec = record_here(chunk);
    uint8_t flags = flags_of(pass);
    size_t size = sizeof *rec;
    memcpy(rec->span_id, pass->ctx.span_id, sizeof rec->span_id);
    memcpy(rec->parent_id, pass->parent_id, sizeof rec->parent_id);
    rec->start = (int32_t)start;
    rec->duration = (uint32_t)duration_ns;
    if (counts != NULL) {
        if ((counts->matched | counts->delivered | counts->dropped) > COUNT_MAX) {
            return false;
        }
        rec->counts[0] = counts->matched | (uint64_t)counts->delivered << COUNT_BITS | (uint64_t)counts->dropped << 2 * COUNT_BITS;
        size += sizeof *rec->counts;
        flags |= FLAG_COUNTS;
    }
    record_publish_behind(chunk, pass->tracer->recorder, &rec->head, d, size, flags, duration_ns);
    return true;
}
