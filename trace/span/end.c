/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a span, and what can be asked of it until then. */
#define LOOM_TRACE_NO_INLINE /* the functions are defined here */
#include "trace/span/internal.h"

#include "base/clock.h"
#include "trace/export/processor.h"
#include "trace/otlp/fields.h"
#include "trace/span/plain.h"
#include "trace/span/provider.h"

static uint8_t *put_dropped(uint8_t *to, uint32_t field, uint32_t count)
{
    if (count > 0) {
        to += pb_put_tag(to, field, PB_VARINT);
        to += pb_put_varint(to, count);
    }
    return to;
}

/* Writes the tail into the room kept for it, and the field header right before the message. */
static loom_bytes finish(span_recording *rec, uint64_t end_ns)
{
    uint8_t *to = rec->buf.data + rec->buf.len;
    to += pb_put_tag(to, SPAN_END_TIME, PB_FIXED64);
    /* The wall clock may be set back meanwhile; a span that ends before it starts confuses every viewer. */
    to += pb_put_fixed64(to, end_ns > rec->start_ns ? end_ns : rec->start_ns);
    to = put_dropped(to, SPAN_DROPPED_ATTRIBUTES, rec->dropped_attributes);
    to = put_dropped(to, SPAN_DROPPED_EVENTS, rec->dropped_events);
    to = put_dropped(to, SPAN_DROPPED_LINKS, rec->dropped_links);
    uint8_t *const body = rec->buf.data + SPAN_HEAD_SIZE;
    const size_t len = (size_t)(to - body), head = 1 + pb_varint_size(len);
    uint8_t *field = body - head;
    field[0] = SCOPE_SPANS_SPANS << 3 | PB_LENGTH;
    (void)pb_put_varint(field + 1, len);
    return (loom_bytes){field, head + len};
}

/* Takes a span that records, which from here on is nobody else's: every handle to it is stale. Whoever starts the next
 * generation ends the span; another thread that tries the same has come too late. NULL: it has ended. */
static span_recording *take_recording(const loom_span *handle)
{
    loom_span *span = span_memory(handle);
    if (span == NULL) {
        return NULL;
    }
    unsigned generation = atomic_load_explicit(&span->generation, memory_order_relaxed);
    const bool live = span_handle_of(span, generation) == handle;
    return live && atomic_compare_exchange_strong_explicit(&span->generation, &generation, generation + SPAN_GENERATION_STEP,
                                                           memory_order_acquire, memory_order_relaxed)
               ? (span_recording *)span
               : NULL;
}

static loom_str name_of(const span_recording *rec)
{
    const attr_slot slot = rec->index.pins[ATTR_PIN_NAME];
    const uint8_t *at = rec->buf.data + slot.offset + 1;
    size_t len = slot.len > 0 ? slot.len - 1 : 0;
    while (len > 0 && (*at & 0x80u) != 0) {
        at++;
        len--;
    }
    return len > 0 ? (loom_str){(const char *)at + 1, len - 1} : (loom_str){0};
}

/* One that is not sampled: it stays here, until somebody asks for its trace. */
static void put_in_recorder(span_thread *thread, span_recording *rec, loom_bytes bytes, uint64_t end_ns)
{
    loom_tracer *tracer = rec->tracer;
    record_hand *hand = span_thread_hand(thread);
    if (hand != NULL && !processor_is_forked(tracer->provider->processor)) {
        record_span(hand, tracer->recorder, tracer->record_number, name_of(rec), rec->base.ctx.trace_id, bytes,
                    end_ns > rec->start_ns ? end_ns - rec->start_ns : 0);
        if (rec->status == LOOM_SPAN_ERROR) {
            recorder_trigger(tracer->recorder, rec->base.ctx.trace_id, (loom_str){"error", 5});
        }
    }
    tracer->scope.resource->release(tracer->scope.resource, 1);
}

__attribute__((noinline)) static void end_recording(const loom_span *handle, uint64_t end_ns)
{
    span_recording *rec = take_recording(handle);
    if (rec == NULL) {
        return;
    }
    end_ns = end_ns != 0 ? end_ns : clock_unix_ns();
    loom_bytes bytes = finish(rec, end_ns);
    span_thread *const thread = span_thread_here();
    if ((rec->base.ctx.trace_flags & LOOM_TRACE_FLAG_SAMPLED) != 0) {
        thread->next_place = processor_submit(rec->tracer->provider->processor, &rec->tracer->scope, bytes);
    } else {
        put_in_recorder(thread, rec, bytes, end_ns);
    }
    if (atomic_load_explicit(&rec->base.pins, memory_order_acquire) > 1) { /* it is current, here or on another thread */
        context_stack_forget(&thread->stack, handle);
    }
    span_unpin(&rec->base);
}

__attribute__((noinline)) static void end_nowhere(void)
{
    context_stack_forget(&span_thread_here()->stack, LOOM_SPAN_NOWHERE_);
}

void loom_span_end(loom_span *handle)
{
    if (!span_is_plain(handle)) {
        end_recording(handle, 0);
    } else if (handle == LOOM_SPAN_NOWHERE_) {
        end_nowhere();
    } else {
        plain_end(handle);
    }
}

void loom_span_end_at(loom_span *handle, uint64_t end_unix_ns)
{
    if (span_is_plain(handle)) {
        loom_span_end(handle);
    } else {
        end_recording(handle, end_unix_ns != 0 ? end_unix_ns : 1); /* before it starts, so when it starts */
    }
}

bool loom_span_is_recording(const loom_span *handle)
{
    return span_recording_of(handle) != NULL;
}

const loom_trace_context *loom_span_context(const loom_span *handle)
{
    static const loom_trace_context none = {0};
    loom_span *span = span_live(handle);
    if (span != NULL && span->lacks != 0) {
        span_complete_context(span);
    }
    return span != NULL ? &span->ctx : &none;
}

loom_str loom_span_tracestate(const loom_span *handle)
{
    const loom_span *span = span_live(handle);
    return span != NULL ? span->tracestate : (loom_str){0};
}
