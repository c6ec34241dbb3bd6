/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/pipeline/span_edit.h"

#include "base/str.h"
#include "trace/otlp/fields.h"

/* Where a message has its text and its attributes; 0: it has none. */
typedef struct message_shape {
    uint32_t text, attributes;
} message_shape;

static const message_shape span_shape = {SPAN_NAME, SPAN_ATTRIBUTES};
static const message_shape event_shape = {EVENT_NAME, EVENT_ATTRIBUTES};
static const message_shape link_shape = {0, LINK_ATTRIBUTES};
static const message_shape status_shape = {STATUS_MESSAGE, 0};

static const message_shape *shape_inside_span(uint32_t number)
{
    switch (number) {
    case SPAN_EVENTS:
        return &event_shape;
    case SPAN_LINKS:
        return &link_shape;
    case SPAN_STATUS:
        return &status_shape;
    default:
        return NULL;
    }
}

/* As protobuf readers take it: the last key and the last value count. */
static bool read_key_value(loom_bytes key_value, edit_attr *attr)
{
    pb_cursor c = pb_cursor_on(key_value);
    pb_field f;
    *attr = (edit_attr){.key_value = key_value};
    while (pb_next(&c, &f)) {
        if (pb_is(&f, KEYVALUE_KEY, PB_LENGTH)) {
            attr->key = (loom_str){(const char *)f.bytes.data, f.bytes.len};
        } else if (pb_is(&f, KEYVALUE_VALUE, PB_LENGTH)) {
            attr->value = f.bytes;
        }
    }
    return !c.bad;
}

static void edit_attribute(const span_editor *editor, edit_walk *w, loom_bytes holder, const pb_field *f)
{
    edit_attr attr;
    if (!read_key_value(f->bytes, &attr)) {
        w->out->failed = true;
        return;
    }
    attr.number = f->number;
    attr.holder = holder;
    editor->on_attr(editor->self, w, &attr);
}

static void edit_fields(const span_editor *editor, edit_walk *w, const message_shape *shape, loom_bytes message)
{
    pb_field f;
    while (!w->out->failed && edit_next(w, &f)) {
        if (f.wire != PB_LENGTH) {
            continue;
        }
        const message_shape *inner = shape == &span_shape ? shape_inside_span(f.number) : NULL;
        if (inner != NULL) {
            edit_walk nested;
            edit_open_in(&nested, w, f.number, f.bytes);
            edit_fields(editor, &nested, inner, f.bytes); /* one level deep: no message inside has such fields itself */
            (void)edit_close(&nested);
        } else if (f.number == shape->text && editor->on_text != NULL) {
            editor->on_text(editor->self, w, f.number, (loom_str){(const char *)f.bytes.data, f.bytes.len});
        } else if (f.number == shape->attributes && editor->on_attr != NULL) {
            edit_attribute(editor, w, message, &f);
        }
    }
}

bool span_edit(const span_editor *editor, loom_bytes span, pb_buf *out)
{
    edit_walk w;
    edit_open(&w, out, span);
    edit_fields(editor, &w, &span_shape, span);
    if (editor->at_end != NULL && !out->failed) {
        editor->at_end(editor->self, &w, span);
    }
    return edit_close(&w);
}

loom_str edit_key_of(loom_bytes key_value)
{
    edit_attr attr;
    return read_key_value(key_value, &attr) ? attr.key : (loom_str){0};
}

bool edit_has_key(loom_bytes holder, uint32_t number, loom_str key)
{
    pb_cursor c = pb_cursor_on(holder);
    pb_field f;
    edit_attr attr;
    while (pb_next(&c, &f)) {
        if (pb_is(&f, number, PB_LENGTH) && read_key_value(f.bytes, &attr) && str_equal(attr.key, key)) {
            return true;
        }
    }
    return false;
}
