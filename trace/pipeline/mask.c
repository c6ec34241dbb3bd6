/* SPDX-License-Identifier: Apache-2.0 */
/* The masking stage: the rules of mask_text.h on the texts and attributes of a span. */
#include "base/last_error.h"
#include "trace/pipeline/mask_known.h"

#include "trace/otlp/fields.h"
#include "trace/otlp/read.h"
#include "trace/pipeline/span_edit.h"

#include <stdlib.h>

#define DEPTH_MAX 16u /* of values within values; deeper ones are masked whole */

typedef struct mask_stage {
    loom_span_stage base;
    mask_rules rules;
    mask_known known;
} mask_stage;

/* A text that is being replaced: the field is opened at the first thing found. */
typedef struct text_writer {
    edit_walk *w;
    uint32_t number;
    loom_str text;
    pb_buf *out; /* NULL: nothing found yet */
    size_t mark, copied;
} text_writer;

static void replace_found(void *user, size_t from, size_t to, const char *replacement)
{
    text_writer *t = user;
    if (t->out == NULL) {
        t->out = edit_replace(t->w);
        t->mark = pb_open(t->out, t->number);
    }
    pb_raw(t->out, t->text.data + t->copied, from - t->copied);
    pb_raw(t->out, replacement, strlen(replacement));
    t->copied = to;
}

/* The walk stands on a string field. */
static void mask_string(mask_stage *m, edit_walk *w, uint32_t number, loom_str key, loom_str text)
{
    text_writer t = {.w = w, .number = number, .text = text};
    if (mask_is_clean(&m->known, key, text)) {
        return;
    }
    mask_scan(&m->rules, key, text, replace_found, &t);
    if (t.out == NULL) {
        mask_note_clean(&m->known, key, text);
    } else {
        pb_raw(t.out, text.data + t.copied, text.len - t.copied);
        pb_close(t.out, t.mark);
    }
}

static void mask_key_value(mask_stage *m, edit_walk *parent, uint32_t number, loom_bytes key_value, unsigned depth);
static void mask_any(mask_stage *m, edit_walk *parent, uint32_t number, loom_str key, loom_bytes any, unsigned depth);

/* The walk stands on an AnyValue, which gives way to the word for a secret. */
static void mask_value_whole(edit_walk *w, uint32_t number)
{
    pb_buf *out = edit_replace(w);
    const size_t any = pb_open(out, number);
    pb_bytes_field(out, ANY_STRING, MASKED, sizeof MASKED - 1);
    pb_close(out, any);
}

/* An ArrayValue or a KeyValueList: values or pairs, in both as field 1. In a list of arguments, "--password" has its value
 * behind it. */
static void mask_list(mask_stage *m, edit_walk *parent, const pb_field *list, loom_str key, unsigned depth)
{
    bool secret_next = false;
    edit_walk w;
    pb_field f;
    edit_open_in(&w, parent, list->number, list->bytes);
    while (!w.out->failed && edit_next(&w, &f)) {
        if (!pb_is(&f, ARRAY_VALUES, PB_LENGTH)) {
            continue;
        }
        if (depth == DEPTH_MAX) {
            (void)edit_replace(&w);
        } else if (list->number == ANY_KVLIST) {
            mask_key_value(m, &w, f.number, f.bytes, depth + 1);
        } else if (secret_next) {
            mask_value_whole(&w, f.number);
            secret_next = false;
        } else {
            const otlp_any item = otlp_read_any(f.bytes);
            secret_next = item.type == OTLP_ANY_STRING && mask_secret_option(&m->rules, (loom_str){(const char *)item.bytes.data, item.bytes.len});
            mask_any(m, &w, f.number, key, f.bytes, depth + 1);
        }
    }
    (void)edit_close(&w);
}

/* The parent stands on an AnyValue. */
static void mask_any(mask_stage *m, edit_walk *parent, uint32_t number, loom_str key, loom_bytes any, unsigned depth)
{
    edit_walk w;
    pb_field f;
    edit_open_in(&w, parent, number, any);
    while (!w.out->failed && edit_next(&w, &f)) {
        if (pb_is(&f, ANY_STRING, PB_LENGTH)) {
            mask_string(m, &w, f.number, key, (loom_str){(const char *)f.bytes.data, f.bytes.len});
        } else if (pb_is(&f, ANY_ARRAY, PB_LENGTH) || pb_is(&f, ANY_KVLIST, PB_LENGTH)) {
            mask_list(m, &w, &f, key, depth);
        }
    }
    (void)edit_close(&w);
}

/* Whether a secret was set, or is there, is none. */
static bool is_bool(loom_bytes any)
{
    return otlp_read_any(any).type == OTLP_ANY_BOOL;
}

static void mask_pair_of(mask_stage *m, edit_walk *parent, uint32_t number, loom_bytes key_value, loom_str key,
                         unsigned depth)
{
    const mask_verdict verdict = mask_judge(&m->known, &m->rules, key);
    edit_walk w;
    pb_field f;
    if (verdict == MASK_KEY_ALLOWED) {
        return;
    }
    edit_open_in(&w, parent, number, key_value);
    while (!w.out->failed && edit_next(&w, &f)) {
        if (!pb_is(&f, KEYVALUE_VALUE, PB_LENGTH)) {
            continue;
        }
        if (verdict == MASK_KEY_OTHER) {
            mask_any(m, &w, f.number, key, f.bytes, depth);
        } else if (!is_bool(f.bytes)) {
            mask_value_whole(&w, f.number);
        }
    }
    (void)edit_close(&w);
}

static void mask_key_value(mask_stage *m, edit_walk *parent, uint32_t number, loom_bytes key_value, unsigned depth)
{
    mask_pair_of(m, parent, number, key_value, edit_key_of(key_value), depth);
}

static void on_attr(void *self, edit_walk *w, const edit_attr *attr)
{
    mask_pair_of(self, w, attr->number, attr->key_value, attr->key, 0);
}

static void on_text(void *self, edit_walk *w, uint32_t number, loom_str text)
{
    mask_string(self, w, number, (loom_str){0}, text);
}

static bool mask_rewrite(const loom_span_stage *self, loom_bytes span, pb_buf *out)
{
    const span_editor editor = {.on_text = on_text, .on_attr = on_attr, .self = (void *)(uintptr_t)self};
    return span_edit(&editor, span, out);
}

static void mask_free(loom_span_stage *self)
{
    mask_stage *mask = (mask_stage *)self;
    mask_known_fini(&mask->known);
    pattern_list_fini(&mask->rules.keys);
    pattern_list_fini(&mask->rules.allow_keys);
    pattern_list_fini(&mask->rules.allow_values);
    free(mask);
}

loom_status loom_mask_create(loom_span_stage **out, const loom_mask_options *options)
{
    static const loom_mask_options defaults = {.kinds = LOOM_MASK_ALL};
    const loom_mask_options *o = options != NULL ? options : &defaults;
    if (out == NULL) {
        return last_error_null("the place for the stage");
    }
    *out = NULL;
    if ((o->kinds & ~(unsigned)LOOM_MASK_ALL) != 0) {
        return last_error(LOOM_EINVAL, "kinds 0x%x names something that is not LOOM_MASK_*", o->kinds);
    }
    mask_stage *mask = calloc(1, sizeof *mask);
    if (mask == NULL) {
        return LOOM_ENOMEM;
    }
    stage_init(&mask->base, mask_rewrite, mask_free);
    mask_known_init(&mask->known);
    mask->rules.kinds = o->kinds != 0 ? o->kinds : LOOM_MASK_ALL;
    loom_status st = pattern_list_init(&mask->rules.keys, o->keys, o->key_count);
    if (st == LOOM_OK) {
        st = pattern_list_init(&mask->rules.allow_keys, o->allow_keys, o->allow_key_count);
    }
    if (st == LOOM_OK) {
        st = pattern_list_init(&mask->rules.allow_values, o->allow_values, o->allow_value_count);
    }
    if (st != LOOM_OK) {
        mask_free(&mask->base);
        return st;
    }
    *out = &mask->base;
    return LOOM_OK;
}
