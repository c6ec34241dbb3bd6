/* SPDX-License-Identifier: Apache-2.0 */
/* What is said about a span that does not record costs a test here, and no call; nor does a span of a tracer that is NULL,
 * where nothing is current. <loom/trace.h> includes this; nothing in it is to be used by name.
 *
 * The lowest bit of a span's address is set when the span does not record, and LOOM_SPAN_NOWHERE_ is a span without context
 * and memory; both are part of the ABI. The functions themselves are there for bindings of other languages, for whoever takes their address, and where LOOM_TRACE_NO_INLINE is defined. */
#ifndef LOOM_TRACE_INLINE_H
#define LOOM_TRACE_INLINE_H

#include <loom/trace.h>

#include <stdint.h>
#include <string.h>

#define LOOM_SPAN_NOWHERE_ ((loom_span *)(uintptr_t)1)

LOOM_BEGIN_DECLS
/* Whether any thread of this process ever had a current context. */
LOOM_API extern bool loom_context_in_use_;
LOOM_END_DECLS

#ifndef LOOM_TRACE_NO_INLINE

static inline bool loom_context_in_use_now_(void)
{
    return __atomic_load_n(&loom_context_in_use_, __ATOMIC_RELAXED);
}

static inline loom_span *loom_span_start_(loom_tracer *tracer, const char *name, const loom_span_options *with)
{
    if (tracer == NULL && (with == NULL || with->parent == NULL) && !loom_context_in_use_now_()) {
        return LOOM_SPAN_NOWHERE_;
    }
    return loom_span_start(tracer, name, with);
}
#define loom_span_start(tracer, name, ...) loom_span_start_(tracer, name, __VA_ARGS__)

static inline void loom_span_end_(loom_span *span)
{
    if (span != LOOM_SPAN_NOWHERE_ || loom_context_in_use_now_()) {
        loom_span_end(span);
    }
}
#define loom_span_end(span) loom_span_end_(span)

static inline bool loom_span_may_record_(const loom_span *span)
{
    return ((uintptr_t)span & 1u) == 0;
}

static inline bool loom_span_is_recording_(const loom_span *span)
{
    return loom_span_may_record_(span) && loom_span_is_recording(span);
}
#define loom_span_is_recording(span) loom_span_is_recording_(span)

static inline void loom_span_set_name_(loom_span *span, const char *name)
{
    if (loom_span_may_record_(span)) {
        loom_span_set_name(span, name);
    }
}
#define loom_span_set_name(span, name) loom_span_set_name_(span, name)

static inline void loom_span_set_attr_(loom_span *span, const loom_attr *attr)
{
    if (loom_span_may_record_(span)) {
        loom_span_set_attr(span, attr);
    }
}
#define loom_span_set_attr(span, ...) loom_span_set_attr_(span, __VA_ARGS__) /* a compound literal has commas in it */

/* The length of a literal costs nothing here. */
static inline loom_str loom_str_of_(const char *text)
{
    const loom_str str = {text, text != NULL ? strlen(text) : 0};
    return str;
}

static inline void loom_span_set_string_(loom_span *span, const char *key, const char *value)
{
    if (loom_span_may_record_(span)) {
        loom_span_put_str(span, loom_str_of_(key), loom_str_of_(value));
    }
}
#define loom_span_set_string(span, key, ...) loom_span_set_string_(span, key, __VA_ARGS__)

static inline void loom_span_set_str_(loom_span *span, const char *key, loom_str value)
{
    if (loom_span_may_record_(span)) {
        loom_span_put_str(span, loom_str_of_(key), value);
    }
}
#define loom_span_set_str(span, key, ...) loom_span_set_str_(span, key, __VA_ARGS__)

static inline void loom_span_set_bool_(loom_span *span, const char *key, bool value)
{
    if (loom_span_may_record_(span)) {
        loom_span_put_bool(span, loom_str_of_(key), value);
    }
}
#define loom_span_set_bool(span, key, ...) loom_span_set_bool_(span, key, __VA_ARGS__)

static inline void loom_span_set_int_(loom_span *span, const char *key, int64_t value)
{
    if (loom_span_may_record_(span)) {
        loom_span_put_int(span, loom_str_of_(key), value);
    }
}
#define loom_span_set_int(span, key, ...) loom_span_set_int_(span, key, __VA_ARGS__)

static inline void loom_span_set_double_(loom_span *span, const char *key, double value)
{
    if (loom_span_may_record_(span)) {
        loom_span_put_double(span, loom_str_of_(key), value);
    }
}
#define loom_span_set_double(span, key, ...) loom_span_set_double_(span, key, __VA_ARGS__)

#else

#define loom_span_set_string_ loom_span_set_string
#define loom_span_set_str_ loom_span_set_str
#define loom_span_set_bool_ loom_span_set_bool
#define loom_span_set_int_ loom_span_set_int
#define loom_span_set_double_ loom_span_set_double

#endif
#endif
