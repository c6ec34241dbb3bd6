/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/pipeline/edit.h"

void edit_open(edit_walk *w, pb_buf *out, loom_bytes message)
{
    const pb_cursor cursor = pb_cursor_on(message);
    *w = (edit_walk){.out = out, .cursor = cursor, .field = cursor.at, .copied = cursor.at};
}

void edit_open_in(edit_walk *w, edit_walk *parent, uint32_t number, loom_bytes message)
{
    edit_open(w, parent->out, message);
    w->parent = parent;
    w->number = number;
}

bool edit_next(edit_walk *w, pb_field *field)
{
    w->field = w->cursor.at;
    if (pb_next(&w->cursor, field)) {
        return true;
    }
    if (w->cursor.bad) {
        w->out->failed = true;
    }
    return false;
}

static void copy_until(edit_walk *w, const uint8_t *end)
{
    if (end != w->copied) {
        pb_raw(w->out, w->copied, (size_t)(end - w->copied));
        w->copied = end;
    }
}

pb_buf *edit_replace(edit_walk *w)
{
    if (!w->changed) {
        w->changed = true;
        if (w->parent != NULL) {
            w->mark = pb_open(edit_replace(w->parent), w->number);
        }
    }
    if (w->field >= w->copied) { /* the first call for this field */
        copy_until(w, w->field);
        w->copied = w->cursor.at;
    }
    return w->out;
}

bool edit_close(edit_walk *w)
{
    if (w->changed) {
        copy_until(w, w->cursor.end);
        if (w->parent != NULL) {
            pb_close(w->out, w->mark);
        }
    }
    return w->changed;
}
