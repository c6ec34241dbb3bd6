/* SPDX-License-Identifier: Apache-2.0 */
/* The recorder's kinds, and the spans that are of one. */
#include "trace/record/internal.h"

#include "base/clock.h"
#include "base/str.h"
#include "trace/otlp/fields.h"
#include "trace/otlp/protobuf_read.h"
#include "trace/otlp/read.h"

/* Lock held. What definitions remember is true no more. */
static void changed(recorder *r)
{
    r->kinds_changes += r->kinds_changes == UINT32_MAX ? 2 : 1;
    atomic_store(&recorder_kept.kinds, r->kinds.count > 0 ? r->kinds_changes : 0);
}

void recorder_expire_kinds(recorder *r)
{
    if (r->kinds.count > 0 && trace_kinds_expire(&r->kinds, clock_monotonic_ns())) {
        changed(r);
    }
}

void recorder_forget_kinds(recorder *r)
{
    r->kinds.count = 0;
    changed(r);
}

/* ---- what is asked for ---- */

bool recorder_is_running(void)
{
    return atomic_load(&recorder_of_process.on) && !recorder_is_forked(&recorder_of_process);
}

loom_status recorder_add_kind(const trace_kind *kind, uint32_t *number)
{
    recorder *r = &recorder_of_process;
    *number = 0;
    if (!recorder_is_running()) {
        return LOOM_ENOTFOUND;
    }
    pthread_mutex_lock(&r->lock);
    recorder_expire_kinds(r);
    const loom_status st = trace_kinds_add(&r->kinds, kind, number);
    if (st == LOOM_OK) {
        changed(r);
    }
    pthread_mutex_unlock(&r->lock);
    return st;
}

bool recorder_remove_kind(uint32_t number)
{
    recorder *r = &recorder_of_process;
    pthread_mutex_lock(&r->lock);
    recorder_expire_kinds(r);
    const bool removed = trace_kinds_remove(&r->kinds, number);
    changed(r);
    pthread_mutex_unlock(&r->lock);
    return removed;
}

size_t recorder_list_kinds(trace_kind *out)
{
    recorder *r = &recorder_of_process;
    pthread_mutex_lock(&r->lock);
    recorder_expire_kinds(r);
    const size_t count = r->kinds.count;
    memcpy(out, r->kinds.items, count * sizeof *out);
    pthread_mutex_unlock(&r->lock);
    return count;
}

/* ---- what comes ---- */

void recorder_look_at_record(recorder *r, record_definition *d, uint32_t kinds, const uint8_t trace_id[LOOM_TRACE_ID_SIZE])
{
    if ((d->kinds_seen == kinds && d->kind == 0) || recorder_is_forked(r)) {
        return;
    }
    pthread_mutex_lock(&r->lock);
    recorder_expire_kinds(r);
    const uint32_t now = atomic_load(&recorder_kept.kinds);
    if (d->kinds_seen != now) {
        const trace_kind *kind = trace_kinds_find(&r->kinds, false, definition_text(d, 1));
        d->kind = kind != NULL ? kind->number : 0;
        d->kinds_seen = now;
    }
    recorder_trigger_kind(r, trace_kinds_get(&r->kinds, d->kind), trace_id);
    pthread_mutex_unlock(&r->lock);
}

void recorder_look_at_span(recorder *r, loom_bytes span, const uint8_t trace_id[LOOM_TRACE_ID_SIZE])
{
    pb_cursor all = pb_cursor_on(span); /* a field of ScopeSpans */
    pb_field field;
    if (recorder_is_forked(r) || !pb_next(&all, &field)) {
        return;
    }
    const loom_str topic = otlp_span_string(field.bytes, "topic"), capability = otlp_span_string(field.bytes, "capability");
    if (topic.len == 0 && capability.len == 0) {
        return;
    }
    pthread_mutex_lock(&r->lock);
    recorder_expire_kinds(r);
    trace_kind *kind = trace_kinds_find(&r->kinds, false, topic);
    recorder_trigger_kind(r, kind != NULL ? kind : trace_kinds_find(&r->kinds, true, capability), trace_id);
    pthread_mutex_unlock(&r->lock);
}
