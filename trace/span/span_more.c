/* SPDX-License-Identifier: Apache-2.0 */
/* What <loom/span.h> adds to <loom/trace.h>, on top of it. */
#include <loom/span.h>

#include "base/str.h"
#include "trace/span/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define STRINGS_MAX 1024u     /* of an array given as NUL-terminated strings */
#define EXCEPTION_ATTRS_MAX 32u /* beyond, the heap is asked */
#define EXCEPTION_ATTRS_OWN 3u

void loom_span_set_uint(loom_span *span, const char *key, uint64_t value)
{
    if (value <= INT64_MAX) {
        loom_span_set_int(span, key, (int64_t)value);
        return;
    }
    char digits[24];
    (void)snprintf(digits, sizeof digits, "%" PRIu64, value);
    loom_span_set_string(span, key, digits);
}

static void set_array(loom_span *span, const char *key, loom_attr_type type, const void *items, size_t count)
{
    const loom_attr attr = {.key = key, .type = type, .value.array = {items, items != NULL ? count : 0}};
    loom_span_set_attr(span, &attr);
}

void loom_span_set_strs(loom_span *span, const char *key, const loom_str *items, size_t count)
{
    set_array(span, key, LOOM_ATTR_STRINGS, items, count);
}

void loom_span_set_strings(loom_span *span, const char *key, const char *const *items, size_t count)
{
    loom_str texts[STRINGS_MAX];
    if (!loom_span_is_recording(span)) {
        return;
    }
    count = items == NULL ? 0 : count < STRINGS_MAX ? count : STRINGS_MAX;
    for (size_t i = 0; i < count; i++) {
        texts[i] = str_of(items[i]);
    }
    set_array(span, key, LOOM_ATTR_STRINGS, texts, count);
}

void loom_span_set_bools(loom_span *span, const char *key, const bool *items, size_t count)
{
    set_array(span, key, LOOM_ATTR_BOOLS, items, count);
}

void loom_span_set_ints(loom_span *span, const char *key, const int64_t *items, size_t count)
{
    set_array(span, key, LOOM_ATTR_INTS, items, count);
}

void loom_span_set_doubles(loom_span *span, const char *key, const double *items, size_t count)
{
    set_array(span, key, LOOM_ATTR_DOUBLES, items, count);
}

/* The keys of an event have to be different: what the caller names is the caller's. */
static bool is_given(const loom_exception *e, const char *key)
{
    for (size_t i = 0; i < e->attr_count; i++) {
        if (e->attrs[i].key != NULL && strcmp(e->attrs[i].key, key) == 0) {
            return true;
        }
    }
    return false;
}

/* There is room for all, or for `room` of them. */
static size_t collect_attrs(const loom_exception *e, loom_attr *attrs, size_t room)
{
    const struct {
        const char *key, *text;
    } own[] = {{"exception.type", e->type}, {"exception.message", e->message}, {"exception.stacktrace", e->stacktrace}};
    size_t count = 0;
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        if (own[i].text != NULL && !is_given(e, own[i].key)) {
            attrs[count++] = (loom_attr){.key = own[i].key, .type = LOOM_ATTR_STRING, .value.string = str_of(own[i].text)};
        }
    }
    for (size_t i = 0; i < e->attr_count && count < room; i++) {
        attrs[count++] = e->attrs[i];
    }
    return count;
}

void loom_span_record_exception(loom_span *span, const loom_exception *exception)
{
    if (exception == NULL || !loom_span_is_recording(span)) {
        return;
    }
    loom_exception e = *exception;
    e.attr_count = e.attrs != NULL ? e.attr_count : 0;
    loom_attr few[EXCEPTION_ATTRS_MAX], *many = NULL;
    size_t room = EXCEPTION_ATTRS_MAX;
    if (e.attr_count > room - EXCEPTION_ATTRS_OWN && (many = calloc(e.attr_count + EXCEPTION_ATTRS_OWN, sizeof *many)) != NULL) {
        room = e.attr_count + EXCEPTION_ATTRS_OWN;
    }
    loom_attr *const attrs = many != NULL ? many : few;
    loom_span_add_event(span, "exception", attrs, collect_attrs(&e, attrs, room));
    free(many);
    if (e.type != NULL) {
        loom_span_set_string(span, "error.type", e.type);
    }
    loom_span_set_status(span, LOOM_SPAN_ERROR, e.message);
}

void loom_span_record_error(loom_span *span, const char *type, const char *message)
{
    loom_span_record_exception(span, &(loom_exception){.type = type, .message = message});
}

void span_record_failure(loom_span *span, const char *type, const char *message)
{
    const span_recording *rec = span_recording_of(span);
    if (rec != NULL && rec->status != LOOM_SPAN_ERROR) {
        loom_span_record_error(span, type, message);
    }
}

void span_keep_error(loom_span *span)
{
    span_recording *rec = span_recording_of(span);
    if (rec != NULL) {
        rec->status_stays = rec->status_stays || rec->status == LOOM_SPAN_ERROR;
    }
}

void loom_span_detach(loom_span *handle)
{
    if (handle != NULL) {
        context_stack_forget(&span_thread_here()->stack, handle);
    }
}

loom_span *loom_span_begin(loom_tracer *tracer, const char *name, const loom_span_options *options)
{
    loom_span *span = loom_span_start(tracer, name, options);
    loom_span_make_current(span);
    return span;
}
