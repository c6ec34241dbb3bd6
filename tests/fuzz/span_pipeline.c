/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a span on its way to the exporter. Whatever comes in: what leaves is a span as OTLP readers take it, or
 * nothing; masking keeps every field in its place, and every field but texts, attributes, events, links and the status byte
 * for byte. The first byte chooses the stages. */
#include "trace/otlp/fields.h"
#include "trace/otlp/protobuf_read.h"
#include "trace/otlp/read.h"
#include "trace/pipeline/stage.h"

#include <stdlib.h>
#include <string.h>

#define CHECK(condition)  \
    do {                  \
        if (!(condition)) \
            abort();      \
    } while (0)

static void set_one(void *user, loom_ended_span *span)
{
    (void)user;
    const loom_str name = loom_ended_span_name(span);
    loom_ended_span_set(span, &(loom_attr){.key = "a", .type = LOOM_ATTR_STRING, .value.string = name});
}

static loom_span_stage *make_stage(unsigned which)
{
    static const loom_filter_rule rules[] = {
        {LOOM_FILTER_HASH, "a*", NULL}, {LOOM_FILTER_RENAME, "b", "c"}, {LOOM_FILTER_DROP, "d*", NULL}};
    const loom_attr constant = {.key = "e", .type = LOOM_ATTR_INT, .value.integer = 1};
    loom_span_stage *stage = NULL;
    loom_status st = which == 0   ? loom_mask_create(&stage, NULL)
                     : which == 1 ? loom_attr_filter_create(&stage, rules, 3, "key")
                                  : loom_enrich_create(&stage, &(loom_enrich_options){&constant, 1, set_one, NULL});
    CHECK(st == LOOM_OK);
    return stage;
}

static bool is_edited(const pb_field *f)
{
    return f->wire == PB_LENGTH && (f->number == SPAN_NAME || f->number == SPAN_ATTRIBUTES || f->number == SPAN_EVENTS ||
                                    f->number == SPAN_LINKS || f->number == SPAN_STATUS);
}

static loom_bytes span_of(loom_bytes field)
{
    pb_cursor c = pb_cursor_on(field);
    pb_field f;
    CHECK(pb_next(&c, &f) && pb_is(&f, SCOPE_SPANS_SPANS, PB_LENGTH) && c.at == c.end);
    return f.bytes;
}

/* What a mask may not change. A span that was no message, or had a bad one in it, has become bare. */
static void check_masked(loom_bytes before, loom_bytes after)
{
    pb_cursor from = pb_cursor_on(before), to = pb_cursor_on(after);
    pb_field a, b;
    for (;;) {
        const uint8_t *start_a = from.at, *start_b = to.at;
        const bool more = pb_next(&from, &a);
        CHECK(pb_next(&to, &b) == more && !to.bad);
        if (!more) {
            return;
        }
        CHECK(a.number == b.number && a.wire == b.wire);
        const size_t size = (size_t)(from.at - start_a);
        CHECK(is_edited(&a) || ((size_t)(to.at - start_b) == size && memcmp(start_a, start_b, size) == 0));
    }
}

static bool visit_attr(void *user, otlp_attr attr)
{
    (void)user;
    (void)otlp_read_any(attr.value);
    return true;
}

static bool is_message(loom_bytes message)
{
    pb_cursor c = pb_cursor_on(message);
    pb_field f;
    while (pb_next(&c, &f)) {
    }
    return !c.bad;
}

/* The data as the name, an attribute's value and the status of a span: every text reaches the scanners. */
static void mask_text_of(span_chain *chain, loom_bytes data)
{
    pb_buf b;
    pb_init(&b, NULL, 0, SIZE_MAX / 8);
    const size_t field = pb_open(&b, SCOPE_SPANS_SPANS);
    pb_bytes_field(&b, SPAN_NAME, data.data, data.len);
    const size_t kv = pb_open(&b, SPAN_ATTRIBUTES);
    pb_bytes_field(&b, KEYVALUE_KEY, data.data, data.len < 20 ? data.len : 20);
    const size_t any = pb_open(&b, KEYVALUE_VALUE);
    pb_bytes_field(&b, ANY_STRING, data.data, data.len);
    pb_close(&b, any);
    pb_close(&b, kv);
    pb_close(&b, field);
    CHECK(!b.failed);
    const loom_bytes out = span_chain_run(chain, b.data, b.len);
    CHECK(is_message(span_of(out)));
    pb_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    const unsigned which = data[0] % 4;
    span_chain chain = {0};
    for (unsigned i = 0; i < 3; i++) {
        if (which == 3 || which == i) {
            loom_span_stage *stage = make_stage(i);
            CHECK(span_chain_add(&chain, &stage, 1) == LOOM_OK);
            loom_span_stage_unref(stage);
        }
    }
    pb_buf field;
    pb_init(&field, NULL, 0, SIZE_MAX / 8);
    pb_bytes_field(&field, SCOPE_SPANS_SPANS, data + 1, size - 1);
    const loom_bytes before = {data + 1, size - 1};
    const loom_bytes out = span_chain_run(&chain, field.data, field.len);
    const loom_bytes after = span_of(out);
    CHECK(is_message(after));
    otlp_read_span_attrs(after, visit_attr, NULL);
    const bool bare = out.data >= field.data && out.data < field.data + field.len;
    if (which == 0 && !bare) {
        check_masked(before, after);
    }
    mask_text_of(&chain, (loom_bytes){data + 1, size - 1});
    pb_fini(&field);
    span_chain_fini(&chain);
    return 0;
}
