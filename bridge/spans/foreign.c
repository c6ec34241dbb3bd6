/* SPDX-License-Identifier: Apache-2.0 */
/* Threads: one at a time, but for release(), which is the exporter thread's, too. */
#include "bridge/spans/foreign.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "trace/export/processor.h"
#include "trace/otlp/fields.h"
#include "trace/otlp/protobuf_write.h"

struct foreign_scope {
    span_scope base;
    foreign_scope *next;
    size_t head, len; /* where the message lies in base.encoded; what follows is the schema URL */
    uint8_t bytes[];
};

struct foreign_resource {
    span_resource base;
    loom_span_processor *processor;
    atomic_size_t uses; /* one of its owner, one for each span in the processor's queue */
    atomic_bool owned;
    foreign_scope *scopes;
    size_t scope_count;
    size_t head, len;   /* where the message that it was opened with lies in base.encoded */
    bool has_agent;     /* behind it lies one attribute more */
    uint8_t bytes[];
};

static foreign_resource *of_base(const span_resource *self)
{
    return (foreign_resource *)(uintptr_t)((const char *)self - offsetof(foreign_resource, base));
}

static void release(span_resource *self, size_t uses)
{
    foreign_resource *r = of_base(self);
    if (atomic_fetch_sub_explicit(&r->uses, uses, memory_order_acq_rel) != uses) {
        return;
    }
    loom_span_processor *processor = r->processor;
    processor_detach(processor, self);
    while (r->scopes != NULL) {
        foreign_scope *next = r->scopes->next;
        free(r->scopes);
        r->scopes = next;
    }
    free(r);
    processor_unhold(processor);
}

static size_t uses_of_spans(const span_resource *self)
{
    const foreign_resource *r = of_base(self);
    const size_t uses = atomic_load_explicit(&r->uses, memory_order_relaxed);
    return uses > 0 && atomic_load_explicit(&r->owned, memory_order_relaxed) ? uses - 1 : uses;
}

static uint64_t none_unsampled(const span_resource *self)
{
    (void)self;
    return 0;
}

/* Tag and length of a field of bytes. */
static size_t put_head(uint8_t *to, uint32_t field, size_t len)
{
    const size_t n = pb_put_tag(to, field, PB_LENGTH);
    return n + pb_put_varint(to + n, len);
}

/* The attribute loom.agent.id: a Resource.attributes field. Returns its size; to has room for AGENT_FIELD_MAX bytes. */
enum { AGENT_FIELD_MAX = 3 * (1 + PB_VARINT_MAX) + 32 + LOOM_AGENT_ID_MAX };

static size_t put_agent(uint8_t *to, loom_str agent)
{
    static const char key[] = "loom.agent.id";
    uint8_t value[1 + PB_VARINT_MAX + LOOM_AGENT_ID_MAX], pair[sizeof value + sizeof key + 2 * PB_VARINT_MAX];
    if (agent.len == 0 || agent.len > LOOM_AGENT_ID_MAX) {
        return 0;
    }
    const size_t value_len = pb_put_bytes(value, ANY_STRING, agent.data, agent.len);
    size_t len = pb_put_bytes(pair, KEYVALUE_KEY, key, sizeof key - 1);
    len += pb_put_bytes(pair + len, KEYVALUE_VALUE, value, value_len);
    return pb_put_bytes(to, RESOURCE_ATTRIBUTES, pair, len);
}

loom_status foreign_open(foreign_resource **out, loom_span_processor *processor, loom_bytes encoded, loom_str agent)
{
    uint8_t field[AGENT_FIELD_MAX];
    const size_t added = put_agent(field, agent);
    *out = NULL;
    foreign_resource *r = calloc(1, sizeof *r + 2 * PB_VARINT_MAX + encoded.len + added);
    if (r == NULL) {
        return LOOM_ENOMEM;
    }
    r->head = put_head(r->bytes, RESOURCE_SPANS_RESOURCE, encoded.len + added);
    r->len = encoded.len;
    r->has_agent = added > 0;
    if (encoded.len > 0) {
        memcpy(r->bytes + r->head, encoded.data, encoded.len);
    }
    memcpy(r->bytes + r->head + encoded.len, field, added);
    atomic_init(&r->uses, 1);
    atomic_init(&r->owned, true);
    r->processor = processor;
    r->base = (span_resource){.encoded = {r->bytes, r->head + encoded.len + added},
                              .release = release, .uses = uses_of_spans, .unsampled = none_unsampled};
    processor_hold(processor);
    processor_attach(processor, &r->base);
    *out = r;
    return LOOM_OK;
}

void foreign_close(foreign_resource *r)
{
    atomic_store_explicit(&r->owned, false, memory_order_relaxed);
    release(&r->base, 1);
}

bool foreign_is(const foreign_resource *r, loom_bytes encoded, loom_str agent)
{
    return r->has_agent == (agent.len > 0) && bytes_equal((loom_bytes){r->bytes + r->head, r->len}, encoded);
}

static foreign_scope *add_scope(foreign_resource *r, loom_bytes encoded, loom_bytes schema)
{
    const size_t room = 2 * PB_VARINT_MAX + encoded.len + schema.len;
    foreign_scope *s = r->scope_count < FOREIGN_SCOPES_MAX ? malloc(sizeof *s + room) : NULL;
    if (s == NULL) {
        return NULL;
    }
    s->head = put_head(s->bytes, SCOPE_SPANS_SCOPE, encoded.len);
    if (encoded.len > 0) {
        memcpy(s->bytes + s->head, encoded.data, encoded.len);
    }
    if (schema.len > 0) {
        memcpy(s->bytes + s->head + encoded.len, schema.data, schema.len);
    }
    s->len = encoded.len;
    s->base = (span_scope){{s->bytes, s->head + encoded.len + schema.len}, &r->base};
    s->next = r->scopes;
    r->scopes = s;
    r->scope_count++;
    return s;
}

static bool is_scope(const foreign_scope *s, loom_bytes encoded, loom_bytes schema)
{
    const size_t end = s->head + s->len;
    return bytes_equal((loom_bytes){s->bytes + s->head, s->len}, encoded) &&
           bytes_equal((loom_bytes){s->bytes + end, s->base.encoded.len - end}, schema);
}

foreign_scope *foreign_scope_of(foreign_resource *r, loom_bytes encoded, loom_bytes schema, bool add)
{
    foreign_scope *s = r->scopes;
    while (s != NULL && !is_scope(s, encoded, schema)) {
        s = s->next;
    }
    return s == NULL && add ? add_scope(r, encoded, schema) : s;
}

void foreign_submit(foreign_scope *scope, loom_bytes field)
{
    foreign_resource *r = of_base(scope->base.resource);
    atomic_fetch_add_explicit(&r->uses, 1, memory_order_relaxed); /* the processor gives it back with the span */
    (void)processor_submit(r->processor, &scope->base, field);
}

foreign_source foreign_source_of(const foreign_scope *s)
{
    const foreign_resource *r = of_base(s->base.resource);
    const size_t end = s->head + s->len;
    return (foreign_source){.resource = {r->bytes + r->head, r->base.encoded.len - r->head},
                            .scope = {s->bytes + s->head, s->len},
                            .schema = {s->bytes + end, s->base.encoded.len - end}};
}

const span_scope *foreign_open_scope(loom_span_processor *processor, loom_bytes resource, loom_bytes scope, loom_bytes schema)
{
    foreign_resource *r;
    if (foreign_open(&r, processor, resource, (loom_str){0}) != LOOM_OK) {
        return NULL;
    }
    foreign_scope *s = foreign_scope_of(r, scope, schema, true);
    if (s == NULL) {
        foreign_close(r);
        return NULL;
    }
    atomic_store_explicit(&r->owned, false, memory_order_relaxed); /* its owner's use is the span's from here on */
    return &s->base;
}
